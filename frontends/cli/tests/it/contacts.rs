//! Contacts, start to end, against the emulator in a process of its own.

use crate::support::{ACCOUNT, Emulator, Place, all, of_type, tree};

#[test]
fn contacts_are_backed_up_browsed_searched_exported_and_recovered() {
    let place = Place::new();
    place.init();
    let card =
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Doe;Jane;;;\r\nFN:Jane Doe\r\nEMAIL:jane@x.org\r\nEND:VCARD\r\n";
    std::fs::create_dir_all(place.path("cards/Friends")).unwrap();
    std::fs::write(place.path("cards/Friends/jane.vcf"), card).unwrap();
    let emulator = Emulator::start(
        &place,
        &[
            "--users",
            "2",
            "--items",
            "4",
            "--seed",
            "5",
            "--contacts",
            "9",
            "--contacts-from",
            "cards",
        ],
    );
    let mailboxes = emulator.record["mailboxes"].as_array().unwrap();
    let (anna, other) = (mailboxes[0].as_str().unwrap(), mailboxes[1].as_str().unwrap());
    let backup = all(&[&["backup", "m365"], &ACCOUNT[..]].concat());

    // Mail alone, then all: what is new is the contacts.
    let (code, lines) = place.json(&[&backup[..], &["--service", "mail"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    assert!(
        of_type(&lines, "backup")
            .iter()
            .all(|report| report["items"] == 4),
        "{lines:?}"
    );
    let (code, lines) = place.json(&backup);
    assert_eq!(code, 0, "{lines:?}");
    let reports = of_type(&lines, "backup");
    let report = reports.iter().find(|report| report["object"] == anna).unwrap();
    assert_eq!(
        (&report["items"], &report["counts"]["added"]),
        (&14.into(), &10.into())
    );
    let (code, lines) = place.json(&[&backup[..], &["--service", "contacts"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    let reports = of_type(&lines, "backup");
    assert!(
        reports.iter().all(|report| report["counts"]["stored"] == 0),
        "{lines:?}"
    );

    let (_, listed) = place.json(&all(&["browse", "--object", anna, "Contacts/Friends"]));
    let jane = |line: &&serde_json::Value| line["name"] == "Jane Doe" && line["kind"] == "contact";
    assert!(listed.iter().any(|line| jane(&line)), "{listed:?}");
    let (_, found) = place.json(&all(&["find", "jane type:contact", "--object", anna]));
    assert_eq!(of_type(&found, "entry").len(), 1, "{found:?}");

    place.run(&all(&["export", "--object", anna, "--to", "out"])).ok();
    let files = tree(&place.path("out"));
    let exported = &files[std::path::Path::new("Contacts/Friends/Jane Doe.vcf")];
    let exported = String::from_utf8_lossy(exported);
    assert!(
        exported.starts_with("BEGIN:VCARD\r\nVERSION:4.0\r\n"),
        "{exported}"
    );
    assert!(exported.contains("\r\nEMAIL:jane@x.org\r\n"), "{exported}");

    // What is identical is left alone; another mailbox gets its own copies.
    let recover = all(&[&["recover", "--object", anna], &ACCOUNT[..]].concat());
    let (code, lines) = place.json(&[&recover[..], &["--preview", "Contacts"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    let planned = of_type(&lines, "planned");
    assert_eq!(planned.len(), 10);
    assert!(
        planned.iter().all(|item| item["action"] == "skip_identical"),
        "{lines:?}"
    );
    let to_other = [&recover[..], &["--to-mailbox", other, "Contacts/Friends"]].concat();
    let (code, lines) = place.json(&to_other);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "recovered").len(), 1, "{lines:?}");
    let (code, lines) = place.json(&to_other);
    assert_eq!((code, of_type(&lines, "skipped").len()), (0, 1), "{lines:?}");
}
