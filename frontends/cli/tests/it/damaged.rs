//! A repository whose newest commit cannot be read: every command that shows an older state says so.

use serde_json::Value;

use crate::support::{Emulator, Place, all, of_type};

const INFO: [&str; 5] = ["repo", "info", "file:vault", "--passphrase-file", "pass"];
const VERIFY: [&str; 5] = ["repo", "verify", "file:vault", "--passphrase-file", "pass"];

/// Flips a bit of the newest object of the log and returns its path in the repository.
fn damage_newest_commit(place: &Place) -> String {
    let log = place.path("vault/NakivoBackup/log");
    let mut names: Vec<String> = std::fs::read_dir(&log)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let newest = names.pop().unwrap();
    let path = log.join(&newest);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    format!("log/{newest}")
}

/// Three points of one folder; returns their ids.
fn three_points(place: &Place) -> Vec<String> {
    place.init();
    (1..=3)
        .map(|number| {
            place.write("data/file", format!("state {number}\n"));
            let (code, lines) = place.json(&all(&["backup", "folder", "data", "--name", "files"]));
            assert_eq!(code, 0, "{lines:?}");
            of_type(&lines, "backup")[0]["point"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn warnings(lines: &[Value]) -> Vec<&Value> {
    of_type(lines, "warning")
}

#[test]
fn every_command_that_reads_says_that_it_may_show_an_older_state() {
    let place = Place::new();
    three_points(&place);
    let commands: [Vec<&str>; 6] = [
        all(&["object", "list"]),
        all(&["point", "list", "--object", "files"]),
        all(&["browse", "--object", "files"]),
        all(&["find", "file"]),
        INFO.to_vec(),
        VERIFY.to_vec(),
    ];
    for command in &commands {
        let ran = place.run(command).ok();
        assert!(!ran.stderr.contains("warning"), "{ran:?}");
        assert!(warnings(&place.json(command).1).is_empty());
    }
    let object = damage_newest_commit(&place);
    for command in &commands {
        let code = i32::from(command[1] == "verify");
        for quiet in [false, true] {
            let mut command = command.clone();
            command.extend(quiet.then_some("--quiet"));
            let ran = place.run(&command).exits(code);
            let told: Vec<&str> = ran
                .stderr
                .lines()
                .filter(|line| line.starts_with("warning: ") && line.contains("older state"))
                .collect();
            assert_eq!(told.len(), 1, "{ran:?}");
            for said in [
                object.as_str(),
                "nakivo repo verify file:vault",
                "copy of the repository",
            ] {
                assert!(told[0].contains(said), "{told:?}");
            }
        }
        let (json_code, lines) = place.json(command);
        assert_eq!(json_code, code);
        let told = warnings(&lines);
        assert_eq!(told.len(), 1, "{lines:?}");
        assert_eq!(told[0]["object"], object.as_str());
        assert!(told[0]["message"].as_str().unwrap().contains("older state"));
    }
    // Without what this machine remembers it is the same.
    let ran = place
        .run(&all(&["object", "list", "--state-dir", "elsewhere"]))
        .ok();
    assert!(ran.stderr.contains(&object), "{ran:?}");
    let backup = place
        .run(&all(&["backup", "folder", "data", "--name", "files"]))
        .exits(1);
    assert!(backup.stderr.contains(&object), "{backup:?}");
}

#[test]
fn an_export_of_an_older_state_ends_as_partial_unless_it_was_asked_for() {
    let place = Place::new();
    let points = three_points(&place);
    place
        .run(&all(&["export", "--object", "files", "--to", "sound"]))
        .ok();
    let object = damage_newest_commit(&place);
    for (number, extra) in [None, Some("--quiet"), Some("--partial-ok")]
        .into_iter()
        .enumerate()
    {
        let to = format!("out{number}");
        let mut command = all(&["export", "--object", "files", "--to", &to]);
        command.extend(extra);
        let ran = place.run(&command).exits(3);
        assert!(ran.stderr.contains(&object), "{ran:?}");
        assert!(ran.stderr.contains("may not be the newest"), "{ran:?}");
        // All the same it is there.
        assert_eq!(std::fs::read(place.path(&to).join("file")).unwrap(), b"state 2\n");
    }
    let (code, lines) = place.json(&all(&["export", "--object", "files", "--to", "json"]));
    assert_eq!(code, 3, "{lines:?}");
    assert_eq!(warnings(&lines)[0]["object"], object.as_str());
    let summary = lines.iter().find(|line| line["type"] == "summary").unwrap();
    assert_eq!(
        (&summary["maybe_older"], &summary["failed"]),
        (&true.into(), &0.into())
    );

    // Who names the point gets what was meant.
    let named = all(&[
        "export", "--object", "files", "--point", &points[1], "--to", "named",
    ]);
    let ran = place.run(&named).ok();
    assert!(ran.stderr.contains(&object), "{ran:?}");
    assert!(!ran.stderr.contains("may not be the newest"), "{ran:?}");
    assert_eq!(std::fs::read(place.path("named/file")).unwrap(), b"state 2\n");
    // The damaged one is not there, and nothing else is given for it.
    place
        .run(&all(&[
            "export", "--object", "files", "--point", &points[2], "--to", "lost",
        ]))
        .exits(4);
}

#[test]
fn a_recovery_of_an_older_state_ends_as_partial_unless_it_was_asked_for() {
    let place = Place::new();
    place.init();
    let emulator = Emulator::start(&place, &["--users", "1", "--items", "5", "--seed", "7"]);
    let object = emulator.record["mailboxes"][0].as_str().unwrap().to_owned();
    let backup = all(&["backup", "m365", "--account", "account.toml", "--object", &object]);
    let mut points = Vec::new();
    for _ in 0..2 {
        let (code, lines) = place.json(&backup);
        assert_eq!(code, 0, "{lines:?}");
        points.push(of_type(&lines, "backup")[0]["point"].as_str().unwrap().to_owned());
    }
    let recover = all(&["recover", "--account", "account.toml", "--object", &object]);
    let preview = [&recover[..], &["--preview"]].concat();
    place.run(&preview).ok();
    let commit = damage_newest_commit(&place);
    for command in [&preview, &recover] {
        let ran = place.run(command).exits(3);
        assert!(ran.stderr.contains(&commit), "{ran:?}");
        assert!(ran.stderr.contains("may not be the newest"), "{ran:?}");
        let ran = place.run(&[&command[..], &["--point", &points[0]]].concat()).ok();
        assert!(ran.stderr.contains(&commit), "{ran:?}");
    }
    assert_eq!(emulator.stop(), 0);
}
