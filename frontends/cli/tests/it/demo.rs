//! The demo proves what it says, for programs and for people.

use crate::support::{Place, of_type};

#[test]
fn the_demo_verifies_itself() {
    let place = Place::new();
    let mut command = place.command(&["demo", "--json", "--seed", "3"]);
    let ran = crate::support::Ran::new("demo --json".into(), command.output().unwrap()).exits(0);
    let lines = ran.lines();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["type"], &last["verified"], &last["mismatches"]),
        (&"summary".into(), &true.into(), &0.into())
    );
    for field in [
        "items",
        "bytes_read",
        "bytes_stored",
        "points",
        "recovered",
        "requests",
    ] {
        assert!(last[field].as_u64().unwrap() > 0, "{field}: {last}");
    }
    assert!(of_type(&lines, "error").is_empty());
    assert!(of_type(&lines, "phase").len() >= 6, "{lines:?}");
}

#[test]
fn the_demo_keeps_its_repository_where_it_is_told_to_and_touches_nothing_else() {
    let place = Place::new();
    place.write(
        "mail/a.eml",
        "From: a@example.com\r\nTo: b@example.com\r\nSubject: One\r\n\r\nHello.\r\n",
    );
    place.write(
        "mail/sub/b.eml",
        "From: a@example.com\r\nSubject: Two\r\n\r\nHello again.\r\n",
    );
    place.write(
        "mail/sub/c.eml",
        "From: a@example.com\r\nSubject: Three\r\n\r\nAnd again.\r\n",
    );
    let ran = place.run(&["demo", "--mail-from", "mail", "--dir", "kept"]).ok();
    assert!(ran.stdout.contains("byte for byte"), "{ran:?}");
    assert!(place.path("kept/vault/NakivoBackup/format.json").is_file());
    place
        .run(&[
            "object",
            "list",
            "--repo",
            "file:kept/vault",
            "--passphrase-file",
            "kept/passphrase.txt",
        ])
        .ok();
    // Again in the same place is fine; in a folder of somebody else it is not.
    place.run(&["demo", "--mail-from", "mail", "--dir", "kept"]).ok();
    place.write("mine/thesis.txt", "years of work");
    let ran = place
        .run(&["demo", "--mail-from", "mail", "--dir", "mine"])
        .exits(1);
    assert!(ran.stderr.contains("error: "), "{ran:?}");
    assert_eq!(std::fs::read_dir(place.path("mine")).unwrap().count(), 1);
}
