//! Accounts: added, tried, used by jobs under their name, changed, removed.

use serde_json::Value;

use crate::support::{Emulator, Place, all, fails, of_type};

fn place() -> (Place, Emulator) {
    let place = Place::new();
    place.init();
    place.import("main");
    let emulator = Emulator::start(&place, &["--users", "2", "--items", "5"]);
    (place, emulator)
}

fn account(lines: &[Value]) -> &Value {
    of_type(lines, "account")[0]
}

#[test]
fn an_account_is_tried_used_by_name_and_kept_while_a_job_uses_it() {
    let (place, _emulator) = place();
    let (code, lines) = place.json(&["account", "add", "Contoso", "--file", "account.toml"]);
    assert_eq!(code, 0, "{lines:?}");
    let tried = of_type(&lines, "permission");
    assert!(tried.len() > 5, "{lines:?}");
    let mail = tried
        .iter()
        .find(|line| line["check"]["permission"] == "Mail.Read")
        .unwrap();
    assert_eq!(mail["check"]["granted"], true, "{mail}");
    let details = &account(&lines)["account"]["details"];
    assert!(
        details["app_id"].is_string() && !details.to_string().contains("secret"),
        "{details}"
    );

    let add = [
        "job",
        "add",
        "Mail",
        "--repo",
        "main",
        "--account",
        "Contoso",
        "--service",
        "mail",
    ];
    place.run(&add).ok();
    let (code, lines) = place.json(&["job", "run", "Mail"]);
    assert_eq!(code, 0, "{lines:?}");
    assert!(
        place
            .run(&["job", "show", "Mail"])
            .ok()
            .stdout
            .contains("m365 Contoso: all (mail)")
    );
    let (_, error) = fails(&place, &["account", "remove", "Contoso"], 1, "conflict");
    assert!(error.to_string().contains("Mail"), "{error}");

    // Another name and another place of the file: the job goes on.
    std::fs::rename(place.path("account.toml"), place.path("moved.toml")).unwrap();
    assert_ne!(place.run(&["job", "run", "Mail"]).code, 0);
    let edit = [
        "account",
        "edit",
        "Contoso",
        "--file",
        "moved.toml",
        "--new-name",
        "Contoso Ltd",
    ];
    place.run(&edit).ok();
    let (code, lines) = place.json(&["job", "run", "Mail"]);
    assert_eq!(code, 0, "{lines:?}");
    assert!(
        place
            .run(&["account", "list"])
            .ok()
            .stdout
            .contains("Contoso Ltd")
    );
    place.run(&["account", "check"]).ok();

    // It comes back with the jobs.
    std::fs::remove_dir_all(place.path("state")).unwrap();
    place.run(&all(&["director", "restore"])).ok();
    let (_, lines) = place.json(&["account", "show", "Contoso Ltd"]);
    assert_eq!(account(&lines)["jobs"][0], "Mail", "{lines:?}");
    place.run(&["job", "run", "Mail"]).ok();

    place.run(&["job", "remove", "Mail"]).ok();
    place.run(&["account", "remove", "Contoso Ltd"]).ok();
    assert!(place.json(&["account", "list"]).1.is_empty());
    assert!(place.path("moved.toml").exists());
}

#[test]
fn an_account_that_cannot_be_used_is_not_added() {
    let (place, emulator) = place();
    let add = |name| ["account", "add", name, "--file", "account.toml"];
    let good = std::fs::read_to_string(&emulator.account).unwrap();
    let secret = good
        .lines()
        .find(|line| line.starts_with("client_secret"))
        .unwrap();
    place.write_secret("wrong.toml", good.replace(secret, "client_secret = \"wrong\""));
    fails(
        &place,
        &["account", "add", "X", "--file", "wrong.toml"],
        5,
        "unauthorized",
    );
    fails(
        &place,
        &["account", "add", "X", "--file", "nowhere.toml"],
        4,
        "not_found",
    );
    assert!(place.json(&["account", "list"]).1.is_empty());
    let unchecked = ["account", "add", "X", "--file", "wrong.toml", "--no-check"];
    place.run(&unchecked).ok();
    fails(&place, &["account", "check", "X"], 5, "unauthorized");
    fails(&place, &add("X"), 1, "already_exists");
    fails(&place, &add(" X"), 2, "invalid_input");
    fails(&place, &["account", "show", "Y"], 4, "not_found");
    place.run(&add("Y")).ok();
    // One that fails does not keep the others from being tried.
    let (code, lines) = place.json(&["account", "check"]);
    assert_eq!(code, 3, "{lines:?}");
    assert!(
        of_type(&lines, "permission")
            .iter()
            .all(|line| line["account"] == "Y")
    );
}
