//! Mail, start to end, against the emulator in a process of its own.

use std::collections::BTreeMap;

use crate::support::{ACCOUNT, Emulator, Place, all, corpus, fails, of_type, tree};

fn mailboxes(emulator: &Emulator) -> Vec<String> {
    emulator.record["mailboxes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_mailbox_is_backed_up_browsed_searched_exported_and_recovered() {
    let place = Place::new();
    place.init();
    let emulator = Emulator::start(&place, &["--users", "2", "--items", "60", "--seed", "5"]);
    let names = mailboxes(&emulator);
    assert_eq!(names.len(), 2);
    let backup = all(&[&["backup", "m365"], &ACCOUNT[..]].concat());
    let (code, lines) = place.json(&backup);
    assert_eq!(code, 0, "{lines:?}");
    let reports = of_type(&lines, "backup");
    assert_eq!(reports.len(), 2);
    assert!(
        reports
            .iter()
            .all(|report| report["outcome"] == "complete" && report["items"] == 60),
        "{reports:?}"
    );
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["type"], &summary["complete"], &summary["items"]),
        (&"summary".into(), &2.into(), &120.into())
    );

    // Nothing changed: the second run reads no content.
    let (code, lines) = place.json(&[&backup[..], &["--object", &names[0]]].concat());
    assert_eq!(code, 0);
    let report = of_type(&lines, "backup")[0];
    assert_eq!(
        (&report["counts"]["stored"], &report["items"]),
        (&0.into(), &60.into()),
        "{report}"
    );

    let (_, lines) = place.json(&all(&["object", "list"]));
    assert_eq!(lines.len(), 2);
    let object = names[0].as_str();
    let (_, lines) = place.json(&all(&["point", "list", "--object", object]));
    assert_eq!(lines.len(), 2, "{lines:?}");
    let (_, top) = place.json(&all(&["browse", "--object", object]));
    assert!(
        top.iter()
            .any(|line| line["name"] == "Inbox" && line["kind"] == "container"),
        "{top:?}"
    );
    let (_, inbox) = place.json(&all(&["browse", "--object", object, "Inbox"]));
    let message = inbox
        .iter()
        .find(|line| line["kind"] == "message")
        .unwrap()
        .clone();
    let shown = place.run(&all(&["browse", "--object", object, "Inbox"])).ok();
    assert!(shown.stdout.starts_with("KIND"), "{shown:?}");

    let subject = message["name"].as_str().unwrap();
    let query = format!("subject:\"{subject}\"");
    let (_, found) = place.json(&all(&["find", &query, "--object", object]));
    assert!(
        of_type(&found, "entry")
            .iter()
            .any(|entry| entry["id"] == message["id"]),
        "{found:?}"
    );

    for (format, ending) in [("eml", "eml"), ("mbox", "mbox")] {
        place
            .run(&all(&[
                "export", "--object", object, "--to", format, "--format", format, "Inbox",
            ]))
            .ok();
        let files = tree(&place.path(format));
        assert!(
            files
                .keys()
                .any(|path| path.extension().is_some_and(|found| found == ending)),
            "{files:?}"
        );
        assert!(files.contains_key(std::path::Path::new("manifest.jsonl")));
    }

    // What is identical is left alone; another mailbox gets its own copy.
    let recover = all(&[&["recover", "--object", object], &ACCOUNT[..]].concat());
    let id = message["id"].as_str().unwrap();
    let (code, lines) = place.json(&[&recover[..], &["--preview", id]].concat());
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(
        of_type(&lines, "planned")[0]["action"],
        "skip_identical",
        "{lines:?}"
    );
    assert!(of_type(&lines, "recovered").is_empty());
    let (code, lines) = place.json(&[&recover[..], &["--to-mailbox", &names[1], id]].concat());
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "recovered").len(), 1, "{lines:?}");
    assert_eq!(lines.last().unwrap()["type"], "summary");
    // Repeating it finds what the first one made.
    let (code, lines) = place.json(&[&recover[..], &["--to-mailbox", &names[1], id]].concat());
    assert_eq!(code, 0, "{lines:?}");
    assert!(of_type(&lines, "recovered").is_empty(), "{lines:?}");
    let (code, lines) = place.json(&[&backup[..], &["--object", &names[1]]].concat());
    assert_eq!(code, 0);
    assert_eq!(of_type(&lines, "backup")[0]["items"], 61, "{lines:?}");
    assert_eq!(emulator.stop(), 0);

    // Without the service: temporary.
    let (message, _) = fails(&place, &backup, 6, "unavailable");
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn wrong_credentials_and_unknown_mailboxes() {
    let place = Place::new();
    place.init();
    let emulator = Emulator::start(&place, &["--users", "1", "--items", "3"]);
    let text = std::fs::read_to_string(&emulator.account).unwrap();
    let secret = emulator.record["client_secret"].as_str().unwrap();
    place.write_secret("bad.toml", text.replace(secret, "CANARY-not-the-secret"));
    let (message, json) = fails(
        &place,
        &all(&["backup", "m365", "--account", "bad.toml"]),
        5,
        "unauthorized",
    );
    assert!(
        !message.contains("CANARY") && !json.to_string().contains("CANARY"),
        "{message}"
    );
    assert!(json["hint"].is_string(), "{json}");
    let unknown = all(&[
        "backup",
        "m365",
        "--account",
        "account.toml",
        "--object",
        "nobody@example.com",
    ]);
    fails(&place, &unknown, 4, "not_found");
}

/// Each exported message must be one of the files it came from, all of them, byte for byte.
#[test]
fn real_mail_comes_back_byte_for_byte() {
    let Some(corpus) = corpus() else { return };
    for folder in ["mail-parser", "spamassassin"] {
        let place = Place::new();
        place.init();
        let mut originals: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let files = tree(&corpus.join(folder));
        for (path, bytes) in files {
            if path.extension().is_some_and(|ending| ending == "eml") {
                *originals.entry(bytes).or_default() += 1;
            }
        }
        let count: usize = originals.values().sum();
        let from = corpus.join(folder);
        let emulator = Emulator::start(&place, &["--mail-from", from.to_str().unwrap()]);
        let (code, lines) = place.json(&all(&[&["backup", "m365"], &ACCOUNT[..]].concat()));
        assert_eq!(code, 0, "{:?}", of_type(&lines, "issue"));
        for mailbox in mailboxes(&emulator) {
            let to = format!("{folder}-{mailbox}");
            place
                .run(&all(&["export", "--object", &mailbox, "--to", &to]))
                .ok();
            for (path, bytes) in tree(&place.path(&to)) {
                if path.extension().is_some_and(|ending| ending == "eml") {
                    let left = originals.get_mut(&bytes);
                    let left = left.unwrap_or_else(|| panic!("{} is no original", path.display()));
                    *left = left
                        .checked_sub(1)
                        .unwrap_or_else(|| panic!("{} came twice", path.display()));
                }
            }
        }
        let missing: usize = originals.values().sum();
        assert_eq!(
            missing, 0,
            "{missing} of {count} mails of {folder} did not come back"
        );
        println!("{folder}: {count} mails came back byte for byte");
    }
}
