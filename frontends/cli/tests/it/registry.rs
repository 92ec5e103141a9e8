//! Repositories known by a name: import, use, detach, attach, edit, refresh, remove.

use serde_json::Value;

use crate::support::{KEY, Place, fails, of_type};

fn vault(place: &Place) -> Value {
    place.init();
    place.write("data/file", "content\n");
    place.backup_data();
    place.import("main")
}

#[test]
fn a_name_stands_for_a_repository_until_it_is_detached() {
    let place = Place::new();
    let entry = vault(&place);
    assert_eq!(
        (&entry["figures"]["points"], &entry["attached"]),
        (&1.into(), &true.into()),
        "{entry}"
    );
    // No passphrase file is given: the one that was imported is used.
    let points = ["point", "list", "--object", "files", "--repo", "main"];
    place.run(&points).ok();
    place
        .run(&["backup", "folder", "data", "--name", "files", "--repo", "main"])
        .ok();
    let (_, lines) = place.json(&["repo", "refresh"]);
    assert_eq!(lines[0]["figures"]["points"], 2, "{lines:?}");

    place.run(&["repo", "reclaim", "main", "--preview"]).ok();
    let (_, lines) = place.json(&["repo", "info", "main"]);
    assert_eq!(
        (&lines[0]["name"], &lines[0]["points"]),
        (&"main".into(), &2.into()),
        "{lines:?}"
    );
    assert_eq!(lines[0]["reclaimable_bytes"], 0, "{lines:?}");

    place.run(&["repo", "detach", "main"]).ok();
    let (_, error) = fails(&place, &points, 6, "unavailable");
    assert!(error.to_string().contains("detached"), "{error}");
    let (_, lines) = place.json(&["repo", "list"]);
    assert_eq!(lines[0]["attached"], false);
    std::fs::rename(place.path("vault"), place.path("moved")).unwrap();
    fails(&place, &["repo", "attach", "main"], 10, "repository_missing");
    place
        .run(&[
            "repo",
            "edit",
            "main",
            "--url",
            "file:moved",
            "--new-name",
            "vault",
        ])
        .ok();
    place.run(&["repo", "attach", "vault"]).ok();
    place
        .run(&["point", "list", "--object", "files", "--repo", "vault"])
        .ok();
    fails(&place, &points, 4, "not_found");
    fails(&place, &["repo", "edit", "vault"], 2, "invalid_input");
}

#[test]
fn removing_keeps_the_data_unless_it_is_confirmed_by_its_id() {
    let place = Place::new();
    let id = vault(&place)["id"].as_str().unwrap().to_owned();
    place.run(&["repo", "remove", "main"]).ok();
    assert!(place.path("vault/NakivoBackup/format.json").exists());
    fails(&place, &["repo", "info", "main"], 4, "not_found");
    place.import("again");

    fails(
        &place,
        &["repo", "remove", "again", "--with-data"],
        2,
        "invalid_input",
    );
    for confirm in ["again", &id[..7], "00000000"] {
        let remove = ["repo", "remove", "again", "--with-data", "--confirm", confirm];
        fails(&place, &remove, 2, "invalid_input");
    }
    assert!(place.path("vault/NakivoBackup/format.json").exists());
    let remove = ["repo", "remove", "again", "--with-data", "--confirm", &id[..8]];
    let (code, lines) = place.json(&remove);
    assert_eq!(code, 0, "{lines:?}");
    assert!(
        of_type(&lines, "removed")[0]["objects"].as_u64().unwrap() > 4,
        "{lines:?}"
    );
    assert!(!place.path("vault/NakivoBackup/format.json").exists());
    let (_, lines) = place.json(&["repo", "list"]);
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_name_remembers_the_file_with_the_recovery_key() {
    let place = Place::new();
    place.write_secret("own.key", KEY);
    place
        .run(&["repo", "init", "file:vault", "--key-file", "own.key"])
        .ok();
    let entry = place.import_with("main", &["--key-file", "own.key"]);
    assert!(entry["passphrase_file"].is_null(), "{entry}");
    place.run(&["repo", "info", "main"]).ok();

    // A passphrase on the command line goes before it.
    let with_passphrase = ["repo", "info", "main", "--passphrase-file", "wrong"];
    fails(&place, &with_passphrase, 12, "wrong_passphrase");
    place.write_secret("gone.key", KEY);
    place
        .run(&["repo", "edit", "main", "--key-file", "gone.key"])
        .ok();
    std::fs::remove_file(place.path("gone.key")).unwrap();
    let (_, error) = fails(&place, &["repo", "info", "main"], 4, "not_found");
    assert!(error.to_string().contains("gone.key"), "{error}");
}
