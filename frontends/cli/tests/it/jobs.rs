//! Jobs: added, changed, run, on record, removed; and the director that runs what is due.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{Emulator, Place, fails, interrupt, of_type};

/// A place with a repository called `main` and a folder.
fn place() -> Place {
    let place = Place::new();
    place.init();
    place.write("data/file", "content\n");
    place.import("main");
    place
}

fn add(place: &Place, name: &str, more: &[&str]) -> Value {
    let (code, lines) = place.json(&[&["job", "add", name, "--repo", "main"], more].concat());
    assert_eq!(code, 0, "{lines:?}");
    lines[0].clone()
}

#[test]
fn a_job_of_a_folder_is_added_run_changed_and_removed() {
    let place = place();
    let daily = [
        "--daily",
        "22:00",
        "--until",
        "06:00",
        "--time-zone",
        "Europe/Berlin",
        "--keep",
        "last=2",
    ];
    let job = add(
        &place,
        "Files",
        &[&["--folder", "files=data"], &daily[..]].concat(),
    );
    assert_eq!(
        (&job["state"], &job["repository"]),
        (&"enabled".into(), &"main".into()),
        "{job}"
    );
    let settings = &job["settings"];
    assert_eq!(settings["schedules"][0]["zone"], "Europe/Berlin", "{job}");
    let location = settings["sources"][0]["location"].as_str().unwrap();
    assert_eq!(location, place.path("data").to_str().unwrap());

    for round in 0..3 {
        place.write("data/file", format!("content {round}\n"));
        let (code, lines) = place.json(&["job", "run", "Files"]);
        assert_eq!(code, 0, "{lines:?}");
        let ended = of_type(&lines, "director");
        let ended = ended.iter().find(|line| line["event"] == "run_ended").unwrap();
        assert_eq!(ended["record"]["outcome"], "complete", "{ended}");
    }
    let (_, points) = place.json(&["point", "list", "--object", "files", "--repo", "main"]);
    assert_eq!(
        of_type(&points, "point").len(),
        2,
        "retention was applied: {points:?}"
    );
    let (_, history) = place.json(&["job", "history", "Files", "--limit", "2"]);
    assert_eq!(history.len(), 2, "{history:?}");
    assert_eq!(history[0]["objects"][0]["points_removed"], 1, "{history:?}");
    assert!(
        place
            .run(&["job", "history", "Files"])
            .ok()
            .stdout
            .contains("asked for")
    );

    place
        .run(&[
            "job",
            "edit",
            "Files",
            "--new-name",
            "Data",
            "--on-demand",
            "--retries",
            "0",
        ])
        .ok();
    let (_, lines) = place.json(&["job", "show", "Data"]);
    assert_eq!(
        lines[0]["settings"]["schedules"],
        Value::Array(Vec::new()),
        "{lines:?}"
    );
    assert!(
        lines[0]["settings"]["retry"].is_null() && lines[0]["next"].is_null(),
        "{lines:?}"
    );
    place.run(&["job", "show", "Data"]).ok();
    place.run(&["job", "edit", "Data", "--disable"]).ok();
    fails(&place, &["job", "run", "Data"], 1, "conflict");
    assert!(place.run(&["job", "list"]).ok().stdout.contains("disabled"));

    let remove = ["job", "remove", "Data", "--preview"];
    assert!(place.run(&remove).ok().stdout.contains("3 lines"));
    place.run(&["job", "show", "Data"]).ok();
    place.run(&remove[..3]).ok();
    fails(&place, &["job", "show", "Data"], 4, "not_found");
    place
        .run(&["point", "list", "--object", "files", "--repo", "main"])
        .ok();
}

#[test]
fn what_makes_no_sense_is_refused_and_says_why() {
    let place = place();
    add(&place, "Files", &["--folder", "files=data"]);
    let add = |more: &str| format!("job add X --repo main --folder a=b {more}");
    for (arguments, code, kind, word) in [
        (
            "job add Files --repo main --folder a=b",
            1,
            "already_exists",
            "Files",
        ),
        ("job add X --repo other --folder a=b", 4, "not_found", "other"),
        ("job add X --repo main", 2, "invalid_input", "backed up"),
        (
            "job add X --repo main --folder a",
            2,
            "invalid_input",
            "files=/srv/files",
        ),
        (add("--daily 25:00").as_str(), 2, "invalid_input", "25:00"),
        (add("--keep last=0").as_str(), 2, "invalid_input", "last"),
        (add("--tasks 101").as_str(), 2, "invalid_input", "1 to 100"),
        (add("--retries 11").as_str(), 2, "invalid_input", "2 to 10"),
        (add("--after Y").as_str(), 4, "not_found", "Y"),
        (add("--schedule {}").as_str(), 2, "invalid_input", "repeat"),
        ("job edit Files", 2, "invalid_input", "nothing"),
        ("job edit Files --after Files", 2, "invalid_input", "circle"),
        ("job run Files --object z", 4, "not_found", "z"),
        ("job run Files --failed", 4, "not_found", "none failed"),
        ("repo remove main", 1, "conflict", "Files"),
    ] {
        let words: Vec<&str> = arguments.split(' ').collect();
        let (_, error) = fails(&place, &words, code, kind);
        assert!(error.to_string().contains(word), "{arguments}: {error}");
    }
    let id = place.json(&["repo", "list"]).1[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    fails(
        &place,
        &["repo", "remove", "main", "--with-data", "--confirm", &id],
        1,
        "conflict",
    );
    assert!(place.path("vault/NakivoBackup/format.json").exists());
}

#[test]
fn a_source_that_is_away_fails_and_the_others_are_backed_up() {
    let place = place();
    let folders = [
        "--folder",
        "files=data",
        "--folder",
        "gone=nowhere",
        "--retries",
        "0",
    ];
    add(&place, "Files", &folders);
    let (code, lines) = place.json(&["job", "run", "Files"]);
    assert_eq!(code, 3, "{lines:?}");
    place.run(&["job", "run", "Files", "--partial-ok"]).ok();
    // Of the one that failed alone nothing comes: its cause decides.
    let ran = place.run(&["job", "run", "Files", "--failed"]);
    assert!(
        ![0, 3].contains(&ran.code) && ran.stdout.contains("failed"),
        "{ran:?}"
    );
}

/// The chained job is due from the end of the first one on; whoever runs jobs next starts it.
#[test]
fn the_director_runs_what_is_due_and_nobody_else_does_meanwhile() {
    use std::io::BufRead as _;
    let place = place();
    add(&place, "First", &["--folder", "files=data"]);
    add(&place, "Second", &["--folder", "more=data", "--after", "First"]);
    place.run(&["job", "run", "First"]).ok();
    assert!(place.json(&["job", "history", "Second"]).1.is_empty());

    let mut child = place
        .command(&["director", "run", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let ended = lines
        .find(|line| line.as_ref().unwrap().contains("run_ended"))
        .unwrap()
        .unwrap();
    let ended: Value = serde_json::from_str(&ended).unwrap();
    assert_eq!(ended["record"]["job_name"], "Second", "{ended}");
    assert_eq!(ended["record"]["cause"]["kind"], "chain", "{ended}");
    fails(&place, &["job", "run", "First"], 11, "busy");
    fails(&place, &["director", "run"], 11, "busy");
    // What is looked at and changed meanwhile is not kept waiting.
    place.run(&["job", "edit", "First", "--tasks", "2"]).ok();
    assert_eq!(place.json(&["job", "history", "Second"]).1.len(), 1);
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    place.run(&["job", "run", "First"]).ok();
}

#[test]
fn a_job_of_an_organisation_keeps_the_name_of_its_account_file_and_nothing_of_what_is_in_it() {
    let place = place();
    let emulator = Emulator::start(&place, &["--users", "2", "--items", "5"]);
    let account = emulator.account.to_str().unwrap();
    add(&place, "Mail", &["--account", account, "--service", "mail"]);
    let (code, lines) = place.json(&["job", "run", "Mail"]);
    assert_eq!(code, 0, "{lines:?}");
    let (_, history) = place.json(&["job", "history", "Mail"]);
    assert_eq!(history[0]["objects"].as_array().unwrap().len(), 2, "{history:?}");
    let name = history[0]["objects"][1]["name"].as_str().unwrap();
    let (code, lines) = place.json(&["job", "run", "Mail", "--object", name]);
    assert_eq!(code, 0, "{lines:?}");

    let file = std::fs::read_to_string(account).unwrap();
    let secret = file
        .lines()
        .find(|line| line.starts_with("client_secret"))
        .unwrap();
    let secret = secret.split('"').nth(1).unwrap();
    for entry in std::fs::read_dir(place.path("state")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(secret));
    }
}
