//! Calendars, start to end, against the emulator in a process of its own.

use crate::support::{ACCOUNT, Emulator, Place, all, of_type, tree};

#[test]
fn events_are_backed_up_browsed_exported_and_recovered() {
    let place = Place::new();
    place.init();
    let emulator = Emulator::start(
        &place,
        &["--users", "2", "--items", "2", "--seed", "5", "--events", "14"],
    );
    let mailboxes = emulator.record["mailboxes"].as_array().unwrap();
    let (anna, other) = (mailboxes[0].as_str().unwrap(), mailboxes[1].as_str().unwrap());
    let backup = all(&[&["backup", "m365"], &ACCOUNT[..]].concat());
    let (code, lines) = place.json(&backup);
    assert_eq!(code, 0, "{lines:?}");
    let (_, listed) = place.json(&all(&["browse", "--object", anna, "Calendar"]));
    assert!(listed.iter().any(|line| line["kind"] == "event"), "{listed:?}");
    let (_, found) = place.json(&all(&["find", "type:event", "--object", anna]));
    assert_eq!(of_type(&found, "entry").len(), 14, "{found:?}");
    place
        .run(&all(&["export", "--object", anna, "--to", "out", "Calendar"]))
        .ok();
    let files = tree(&place.path("out"));
    let calendars = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "ics"));
    let calendars: Vec<_> = calendars.collect();
    assert_eq!(calendars.len(), 14, "{:?}", files.keys());
    assert!(
        calendars
            .iter()
            .all(|(_, bytes)| bytes.starts_with(b"BEGIN:VCALENDAR\r\n"))
    );

    // What is identical is left alone; another mailbox gets its own copies, once.
    let recover = all(&[&["recover", "--object", anna], &ACCOUNT[..]].concat());
    let (code, lines) = place.json(&[&recover[..], &["--preview", "Calendar"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    let planned = of_type(&lines, "planned");
    assert_eq!(planned.len(), 14);
    assert!(
        planned.iter().all(|item| item["action"] == "skip_identical"),
        "{lines:?}"
    );
    let to_other = [&recover[..], &["--to-mailbox", other, "Calendar"]].concat();
    let (code, lines) = place.json(&to_other);
    assert_eq!(code, 0, "{lines:?}");
    let recovered = of_type(&lines, "recovered");
    assert_eq!(recovered.len(), 14, "{lines:?}");
    assert!(
        recovered.iter().any(|item| item["not_carried"]
            .to_string()
            .contains("attendees: 1, not invited again")),
        "{lines:?}"
    );
    let (code, lines) = place.json(&to_other);
    assert_eq!((code, of_type(&lines, "skipped").len()), (0, 14), "{lines:?}");
}
