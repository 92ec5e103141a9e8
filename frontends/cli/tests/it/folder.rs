//! A folder, start to end: backup, change, backup again, browse, search, export to a folder and to a zip.

use serde_json::Value;

use crate::support::{Place, all, of_type, tree};

#[test]
fn everything_comes_back_byte_for_byte() {
    let place = Place::new();
    place.init();
    place.write("data/readme.txt", "first version\n");
    place.write("data/Projects/plan.md", "# Plan\n");
    place.write("data/Projects/Übersicht 2026.bin", vec![7u8; 3_000_000]);
    place.write("data/empty", "");
    let first_tree = tree(&place.path("data"));
    let backup = all(&["backup", "folder", "data", "--name", "files"]);
    let (code, lines) = place.json(&backup);
    assert_eq!(code, 0, "{lines:?}");
    let first = of_type(&lines, "backup")[0]["point"].as_str().unwrap().to_owned();
    assert_eq!(of_type(&lines, "backup")[0]["items"], 4);
    assert_eq!(lines.last().unwrap()["type"], "summary");

    place.write("data/readme.txt", "second version\n");
    std::fs::remove_file(place.path("data/Projects/plan.md")).unwrap();
    place.write("data/Projects/new.txt", "new\n");
    let second_tree = tree(&place.path("data"));
    let (code, lines) = place.json(&backup);
    assert_eq!(code, 0);
    let report = of_type(&lines, "backup")[0];
    assert_eq!(
        (
            &report["counts"]["added"],
            &report["counts"]["changed"],
            &report["counts"]["removed"]
        ),
        (&Value::from(1), &Value::from(1), &Value::from(1)),
        "{report}"
    );
    assert!(
        report["bytes_read"].as_u64().unwrap() < 10_000,
        "only the change is read: {report}"
    );

    let (code, lines) = place.json(&all(&["object", "list"]));
    assert_eq!((code, lines.len()), (0, 1), "{lines:?}");
    assert_eq!(lines[0]["points"], 2);
    let (code, lines) = place.json(&all(&["point", "list", "--object", "files"]));
    assert_eq!((code, lines.len()), (0, 2), "{lines:?}");
    assert_eq!(lines[0]["id"], first.as_str(), "oldest first");

    let (_, lines) = place.json(&all(&["browse", "--object", "files", "Projects"]));
    let names: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2, "{lines:?}");
    assert!(
        names.contains(&"new.txt") && names.contains(&"Übersicht 2026.bin"),
        "{names:?}"
    );
    let (_, lines) = place.json(&all(&[
        "browse",
        "--object",
        "files",
        "--point",
        &first[..8],
        "Projects",
    ]));
    assert!(lines.iter().any(|line| line["name"] == "plan.md"), "{lines:?}");
    let (_, lines) = place.json(&all(&["find", "übersicht size>1M"]));
    assert_eq!(of_type(&lines, "entry").len(), 1, "{lines:?}");
    let shown = place.run(&all(&["find", "NEW.*"])).ok();
    assert!(shown.stdout.contains("Projects/new.txt"), "{shown:?}");

    place
        .run(&all(&["export", "--object", "files", "--to", "latest"]))
        .ok();
    assert_same_files(&place, "latest", &second_tree);
    place
        .run(&all(&[
            "export", "--object", "files", "--point", &first, "--to", "older",
        ]))
        .ok();
    assert_same_files(&place, "older", &first_tree);
    place
        .run(&all(&[
            "export",
            "--object",
            "files",
            "--to",
            "part",
            "readme.txt",
        ]))
        .ok();
    assert_eq!(
        std::fs::read(place.path("part/readme.txt")).unwrap(),
        b"second version\n"
    );
    assert!(!place.path("part/Projects").exists());

    place
        .run(&all(&["export", "--object", "files", "--to", "all.zip"]))
        .ok();
    let unzip = std::process::Command::new("python3")
        .args(["-m", "zipfile", "-e", "all.zip", "unzipped"])
        .current_dir(place.dir.path())
        .status()
        .unwrap();
    assert!(unzip.success());
    assert_same_files(&place, "unzipped", &second_tree);

    // What exists is never overwritten.
    let ran = place
        .run(&all(&["export", "--object", "files", "--to", "all.zip"]))
        .exits(1);
    assert!(ran.stderr.contains("all.zip"), "{ran:?}");

    let (code, lines) = place.json(&["repo", "verify", "file:vault", "--passphrase-file", "pass"]);
    assert_eq!(
        (code, &lines.last().unwrap()["verified"]),
        (0, &Value::Bool(true)),
        "{lines:?}"
    );
    let (code, lines) = place.json(&[
        "repo",
        "verify",
        "file:vault",
        "--passphrase-file",
        "pass",
        "--sample",
        "20",
    ]);
    assert_eq!(
        (code, &lines.last().unwrap()["complete"]),
        (0, &Value::Bool(false)),
        "{lines:?}"
    );
    let (code, lines) = place.json(&["repo", "info", "file:vault", "--passphrase-file", "pass"]);
    assert_eq!(
        (code, &lines[0]["points"], &lines[0]["objects"]),
        (0, &2.into(), &1.into()),
        "{lines:?}"
    );
    let shown = place
        .run(&["repo", "info", "file:vault", "--passphrase-file", "pass"])
        .ok();
    assert!(shown.stdout.contains("encrypted      yes"), "{shown:?}");
}

/// The exported files are `expected`; the list of them beside them is not one of them.
#[track_caller]
fn assert_same_files(
    place: &Place,
    folder: &str,
    expected: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>,
) {
    let mut exported = tree(&place.path(folder));
    assert!(
        exported.remove(std::path::Path::new("manifest.jsonl")).is_some(),
        "{folder}"
    );
    assert_eq!(
        exported.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    assert!(exported == *expected, "bytes of {folder} differ");
}

#[test]
fn a_repository_without_encryption_says_so() {
    let place = Place::new();
    let ran = place.run(&["repo", "init", "file:open", "--no-encryption"]).ok();
    assert!(ran.stdout.contains("not encrypted"), "{ran:?}");
    place.write("data/a", "x");
    place
        .run(&["backup", "folder", "data", "--name", "n", "--repo", "file:open"])
        .ok();
    let (_, lines) = place.json(&["repo", "info", "file:open"]);
    assert_eq!(lines[0]["encrypted"], false);
}

#[test]
fn what_cannot_be_read_makes_the_outcome_partial() {
    let place = Place::new();
    place.init();
    place.write("data/good", "x");
    let secret = place.write("data/secret", "y");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    let mut arguments = all(&["backup", "folder", "data", "--name", "files"]);
    let program = env!("CARGO_BIN_EXE_nakivo");
    let mut command = if std::fs::read(&secret).is_ok() {
        // The superuser reads everything: become nobody.
        if std::process::Command::new("setpriv")
            .arg("--version")
            .output()
            .is_err()
        {
            println!("SKIPPED: runs as the superuser and there is no setpriv");
            return;
        }
        let chown = std::process::Command::new("chown")
            .arg("-R")
            .arg("65534:65534")
            .arg(place.dir.path())
            .status();
        assert!(chown.unwrap().success());
        // The program may be in a folder that nobody cannot enter.
        let copy = place.path("nakivo");
        std::fs::copy(program, &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = std::process::Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copy);
        command
    } else {
        std::process::Command::new(program)
    };
    arguments.push("--json");
    command
        .args(&arguments)
        .current_dir(place.dir.path())
        .env("NAKIVO_STATE_DIR", place.path("state"));
    let ran = crate::support::Ran::new("backup folder as nobody".into(), command.output().unwrap()).exits(3);
    let lines = ran.lines();
    let report = of_type(&lines, "backup")[0];
    assert_eq!(
        (&report["outcome"], &report["counts"]["failed"]),
        (&"partial".into(), &1.into()),
        "{lines:?}"
    );
    assert!(
        of_type(&lines, "issue")
            .iter()
            .any(|issue| issue["path"] == "secret"),
        "{lines:?}"
    );
    command.arg("--partial-ok");
    assert_eq!(command.output().unwrap().status.code(), Some(0));

    // The point is usable, and the next run tries again what failed.
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, lines) = place.json(&all(&["backup", "folder", "data", "--name", "files"]));
    assert_eq!(code, 0, "{lines:?}");
    place
        .run(&all(&["export", "--object", "files", "--to", "out"]))
        .ok();
    assert_eq!(std::fs::read(place.path("out/secret")).unwrap(), b"y");
}
