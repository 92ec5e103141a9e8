//! OneDrive, start to end, against the emulator in a process of its own.

use crate::support::{ACCOUNT, Emulator, Place, all, fails, of_type, tree};

#[test]
fn a_drive_is_backed_up_browsed_searched_exported_and_recovered() {
    let place = Place::new();
    place.init();
    std::fs::create_dir_all(place.path("files/Plans/2026")).unwrap();
    std::fs::write(place.path("files/Plans/2026/budget.csv"), "a;b\n1;2\n").unwrap();
    std::fs::write(place.path("files/empty.txt"), "").unwrap();
    std::fs::write(place.path("files/large.bin"), vec![7u8; 6_000_000]).unwrap();
    let emulator = Emulator::start(
        &place,
        &[
            "--users",
            "2",
            "--items",
            "5",
            "--seed",
            "5",
            "--files",
            "12",
            "--files-from",
            "files",
        ],
    );
    let drives: Vec<String> = emulator.record["drives"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| format!("onedrive:{}", name.as_str().unwrap()))
        .collect();
    assert_eq!(drives.len(), 2);
    let backup = all(&[&["backup", "m365"], &ACCOUNT[..]].concat());
    let (code, lines) = place.json(&backup);
    assert_eq!(code, 0, "{lines:?}");
    let reports = of_type(&lines, "backup");
    assert_eq!(reports.len(), 4, "two mailboxes and two drives: {reports:?}");
    let report = |object: &str| {
        reports
            .iter()
            .find(|report| report["object"] == object)
            .map(|report| report["items"].clone())
    };
    assert_eq!(report(&drives[0]), Some(15.into()), "{reports:?}");
    assert_eq!(report(&drives[1]), Some(12.into()));

    let (code, lines) = place.json(&[&backup[..], &["--service", "onedrive"]].concat());
    assert_eq!(code, 0);
    let again = of_type(&lines, "backup");
    assert_eq!(again.len(), 2);
    assert!(
        again.iter().all(|report| report["counts"]["stored"] == 0),
        "{again:?}"
    );

    let (_, lines) = place.json(&all(&["object", "list"]));
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(
        kinds.iter().filter(|kind| **kind == "drive").count(),
        2,
        "{lines:?}"
    );
    let object = drives[0].as_str();
    let (_, listed) = place.json(&all(&["browse", "--object", object, "Plans/2026"]));
    assert!(
        listed
            .iter()
            .any(|line| line["name"] == "budget.csv" && line["kind"] == "file"),
        "{listed:?}"
    );
    let (_, found) = place.json(&all(&["find", "budget", "--object", object]));
    assert_eq!(of_type(&found, "entry").len(), 1, "{found:?}");

    place
        .run(&all(&["export", "--object", object, "--to", "out"]))
        .ok();
    let files = tree(&place.path("out"));
    assert_eq!(
        files[std::path::Path::new("Plans/2026/budget.csv")],
        b"a;b\n1;2\n",
        "{:?}",
        files.keys()
    );
    assert_eq!(files[std::path::Path::new("large.bin")].len(), 6_000_000);
    place
        .run(&all(&["export", "--object", object, "--to", "out.zip"]))
        .ok();

    // What is identical is left alone; another drive gets its own copy.
    let recover = all(&[&["recover", "--object", object], &ACCOUNT[..]].concat());
    let (code, lines) = place.json(&[&recover[..], &["--preview"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    assert!(
        of_type(&lines, "planned")
            .iter()
            .all(|item| item["action"] == "skip_identical"),
        "{lines:?}"
    );
    let other = drives[1].strip_prefix("onedrive:").unwrap();
    let to_other = [&recover[..], &["--to-drive", other, "Plans", "large.bin"]].concat();
    let (code, lines) = place.json(&to_other);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "recovered").len(), 2, "{lines:?}");
    let (code, lines) = place.json(&to_other);
    assert_eq!(code, 0);
    assert_eq!(of_type(&lines, "skipped").len(), 2, "{lines:?}");

    // Files do not go to a mailbox, nor mail to a drive.
    fails(
        &place,
        &[&recover[..], &["--to-mailbox", other]].concat(),
        2,
        "invalid_input",
    );
    let mailbox = all(&[&["recover", "--object", other], &ACCOUNT[..]].concat());
    fails(
        &place,
        &[&mailbox[..], &["--to-drive", other]].concat(),
        2,
        "invalid_input",
    );
    let nobody = ["--object", "onedrive:nobody@fabrika.example"];
    fails(&place, &[&backup[..], &nobody].concat(), 4, "not_found");
}
