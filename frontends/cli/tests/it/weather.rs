//! What the service can do to a backup: refuse a permission, fail an item, be slow while the user loses patience. The
//! emulator runs in the test's own process, so that the test can steer it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use nakivo_graph_emulator::{Action, Emulator, Fault};
use serde_json::Value;

use crate::support::{Place, Ran, fails, interrupt, of_type};

const BACKUP: [&str; 8] = [
    "backup",
    "m365",
    "--repo",
    "file:vault",
    "--passphrase-file",
    "pass",
    "--account",
    "account.toml",
];

/// A place with a repository and an account file for this emulator.
fn place_for(emulator: &Emulator) -> Place {
    let place = Place::new();
    place.init();
    place.write_secret(
        "account.toml",
        format!(
            "graph_url = '{}'\nlogin_url = '{}'\ndirectory_id = '{}'\napp_id = '{}'\nclient_secret = '{}'\n",
            emulator.graph_url(),
            emulator.login_url(),
            emulator.directory_id(),
            emulator.app_id(),
            emulator.client_secret()
        ),
    );
    place
}

/// The emulator needs a runtime that goes on while the test waits for a process.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// A backup from an organisation whose app has these roles alone.
fn with_roles(roles: &[&str], check: impl FnOnce(&Place)) {
    let runtime = runtime();
    let emulator = runtime
        .block_on(
            Emulator::builder()
                .users(1)
                .items_per_user(3)
                .roles(roles.iter().copied())
                .start(),
        )
        .unwrap();
    let place = place_for(&emulator);
    check(&place);
    let list = [
        "point",
        "list",
        "--repo",
        "file:vault",
        "--passphrase-file",
        "pass",
        "--object",
        "x",
    ];
    let (_, lines) = place.json(&list);
    assert_eq!(lines[0]["code"], "not_found", "no point was made: {lines:?}");
}

#[test]
fn a_missing_permission_is_named_and_5() {
    with_roles(
        &["User.Read.All", "MailboxSettings.Read", "Files.Read.All"],
        |place| {
            let (_, json) = fails(place, &BACKUP, 5, "permission_missing");
            assert!(
                json.to_string().contains("Mail.Read"),
                "the permission is named: {json}"
            );
        },
    );
}

/// The service that is left out and the mailbox that cannot be read are told apart, each with what to grant.
#[test]
fn every_missing_permission_is_named_and_5() {
    with_roles(&["User.Read.All", "MailboxSettings.Read"], |place| {
        let ran = place.run(&BACKUP);
        assert_eq!(ran.code, 5, "{ran:?}");
        let errors: Vec<&str> = ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert!(
            matches!(errors[..], [left_out, failed] if left_out.contains("drives are left out") && failed.contains("mailbox")),
            "{ran:?}"
        );
        assert!(
            ran.stderr.contains("permission Files.Read.All") && ran.stderr.contains("permission Mail.Read"),
            "{ran:?}"
        );
    });
}

#[test]
fn an_item_that_fails_is_listed_the_outcome_is_3_and_the_next_run_tries_again() {
    let runtime = runtime();
    let emulator = runtime
        .block_on(Emulator::builder().users(1).items_per_user(12).start())
        .unwrap();
    let place = place_for(&emulator);
    let mailbox = &emulator.mailboxes()[0];
    let broken = mailbox.messages().unwrap()[4].clone();
    mailbox.corrupt_message(&broken.id, true).unwrap();
    let (code, lines) = place.json(&BACKUP);
    assert_eq!(code, 3, "{lines:?}");
    let report = of_type(&lines, "backup")[0];
    assert_eq!(
        (&report["outcome"], &report["items"], &report["counts"]["failed"]),
        (&"partial".into(), &11.into(), &1.into())
    );
    let issue = of_type(&lines, "issue")[0];
    assert!(
        issue["path"].as_str().unwrap().contains(broken.subject.as_str()),
        "{issue}"
    );
    let ran = place.run(&[&BACKUP[..], &["--partial-ok"]].concat()).exits(0);
    assert!(ran.stderr.contains("warning: "), "{ran:?}");
    mailbox.corrupt_message(&broken.id, false).unwrap();
    let (code, lines) = place.json(&BACKUP);
    assert_eq!(
        (code, &of_type(&lines, "backup")[0]["items"]),
        (0, &12.into()),
        "{lines:?}"
    );
}

#[test]
fn the_first_ctrl_c_stops_in_good_order_and_the_next_run_resumes() {
    let runtime = runtime();
    let emulator = runtime
        .block_on(Emulator::builder().users(1).items_per_user(150).start())
        .unwrap();
    let place = place_for(&emulator);
    // Slow enough that there is something to interrupt: the content of each message takes 50 ms.
    let slow = emulator
        .faults()
        .add(Fault::new(Action::Delay { millis: 50 }).path("$value"));
    let mut child = place
        .command(&[&BACKUP[..], &["--json", "--progress", "json"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    let mut interrupted = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if !interrupted && line["type"] == "progress" && line["items_done"].as_u64().unwrap() >= 5 {
            interrupt(&child);
            interrupted = true;
        }
        lines.push(line);
    }
    assert!(interrupted, "{lines:?}");
    let ran = Ran::new("interrupted backup".into(), child.wait_with_output().unwrap()).exits(130);
    assert!(!ran.stderr.contains("panicked"));
    let error = of_type(&lines, "error")[0];
    assert_eq!(error["code"], "cancelled", "{error}");
    assert!(error["hint"].as_str().unwrap().contains("resume"), "{error}");
    assert!(
        of_type(&lines, "backup").is_empty(),
        "no point of a run that did not end"
    );

    emulator.faults().remove(slow);
    let (code, lines) = place.json(&BACKUP);
    assert_eq!(code, 0, "{lines:?}");
    let report = of_type(&lines, "backup")[0];
    assert_eq!(report["items"], 150, "{report}");
    assert!(report["counts"]["resumed"].as_u64().unwrap() >= 5, "{report}");
    place
        .run(&["repo", "verify", "file:vault", "--passphrase-file", "pass"])
        .ok();
}
