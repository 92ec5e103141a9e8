//! The journal of the director: jobs come back from a repository when the state is lost.

use serde_json::Value;

use crate::support::{OPEN, Place, all, fails, of_type};

/// A place with a repository called `main` and a job called `Files`.
fn place() -> Place {
    let place = Place::new();
    place.init();
    place.write("data/file", "content\n");
    place.import("main");
    let add = ["job", "add", "Files", "--repo", "main", "--folder", "files=data"];
    place.run(&[&add[..], &["--daily", "22:00"]].concat()).ok();
    place
}

fn restore<'a>(more: &[&'a str]) -> Vec<&'a str> {
    all(&[&["director", "restore"], more].concat())
}

fn points(place: &Place) -> usize {
    let (_, lines) = place.json(&all(&["point", "list", "--object", "files"]));
    of_type(&lines, "point").len()
}

#[test]
fn a_lost_state_directory_loses_neither_backups_nor_jobs() {
    let place = place();
    let add = ["job", "add", "More", "--repo", "main", "--folder", "more=data"];
    place
        .run(&[&add[..], &["--after", "Files", "--keep", "last=2"]].concat())
        .ok();
    place.run(&["job", "run", "Files"]).ok();
    let (_, before) = place.json(&["job", "show", "More"]);
    assert_eq!(before[0]["journal"]["behind"], false, "{before:?}");
    let shown = place.run(&["job", "show", "More"]).ok().stdout;
    assert!(shown.contains("journal        revision 2, written"), "{shown}");

    std::fs::remove_dir_all(place.path("state")).unwrap();
    assert!(place.json(&["job", "list"]).1.is_empty());
    let (code, lines) = place.json(&restore(&[]));
    assert_eq!(code, 0, "{lines:?}");
    let restored = of_type(&lines, "director_restored");
    assert_eq!(
        (&restored[0]["jobs"], &restored[0]["from"]["revision"]),
        (&2.into(), &2.into())
    );
    let (_, after) = place.json(&["job", "show", "More"]);
    for field in ["id", "name", "repository", "settings", "added"] {
        assert_eq!(after[0][field], before[0][field], "{field}");
    }

    // The repository is known by its name, and opens with what it was restored with.
    place.write("data/file", "other content\n");
    let (code, lines) = place.json(&["job", "run", "Files"]);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(points(&place), 2);
    let shown = place.run(&["director", "journal"]).ok().stdout;
    assert!(shown.contains("brought back from the journal of"), "{shown}");
    let (_, found) = place.json(&all(&["director", "journal"]));
    let found = of_type(&found, "journal_found");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0]["origin"]["director"], found[1]["director"], "{found:?}");

    // The old one is part of the new one, and can go.
    let old = found[1]["director"].as_str().unwrap();
    let forget = all(&["director", "forget", "--director", old]);
    let preview = [&forget[..], &["--preview"]].concat();
    assert!(place.run(&preview).ok().stdout.contains("would be taken out"));
    place.run(&forget).ok();
    fails(&place, &forget, 4, "not_found");
    let (_, left) = place.json(&all(&["director", "journal"]));
    assert_eq!(of_type(&left, "journal_found").len(), 1, "{left:?}");

    fails(&place, &restore(&[]), 1, "conflict");
    std::fs::remove_dir_all(place.path("state")).unwrap();
    place.run(&restore(&[])).ok();
    assert_eq!(of_type(&place.json(&["job", "list"]).1, "job").len(), 2);
}

#[test]
fn a_repository_that_is_away_is_behind_until_it_is_back() {
    let place = place();
    std::fs::rename(place.path("vault"), place.path("away")).unwrap();
    let ran = place.run(&["job", "edit", "Files", "--tasks", "2"]).exits(3);
    assert!(
        ran.stderr.contains("repository main does not have this"),
        "{ran:?}"
    );
    let (code, lines) = place.json(&["director", "journal"]);
    assert_eq!(code, 3, "{lines:?}");
    let one = &of_type(&lines, "journal")[0]["repositories"][0];
    assert_eq!(
        (&one["behind"], &one["revision"], &one["problem"]["code"]),
        (&true.into(), &1.into(), &"repository_missing".into()),
        "{one}"
    );
    assert!(
        place
            .run(&["job", "show", "Files"])
            .ok()
            .stdout
            .contains("behind since")
    );
    place.run(&["director", "journal", "--write"]).exits(3);

    std::fs::rename(place.path("away"), place.path("vault")).unwrap();
    place.run(&["director", "journal"]).exits(3);
    place.run(&["director", "journal", "--write"]).ok();
    place.run(&["director", "journal"]).ok();

    // A run is an occasion, too.
    place
        .run(&["repo", "edit", "main", "--description", "in the cellar"])
        .ok();
    place.run(&["director", "journal"]).exits(3);
    place.run(&["job", "run", "Files"]).ok();
    place.run(&["director", "journal"]).ok();
    place.run(&["job", "remove", "Files", "--preview"]).ok();
    place.run(&["job", "remove", "Files"]).ok();
}

#[test]
fn what_cannot_be_restored_says_why() {
    let place = place();
    std::fs::remove_dir_all(place.path("state")).unwrap();
    let wrong = [
        "director",
        "restore",
        "--repo",
        "file:vault",
        "--passphrase-file",
        "wrong",
    ];
    fails(&place, &wrong, 12, "wrong_passphrase");
    fails(
        &place,
        &["director", "restore", "--repo", "file:nowhere"],
        10,
        "repository_missing",
    );
    let nobody = ["--director", "00000000000000000000000000000000"];
    let (_, error) = fails(&place, &restore(&nobody), 4, "not_found");
    assert!(error["hint"].as_str().unwrap().contains("1 jobs"), "{error}");
    fails(&place, &restore(&["--director", "me"]), 2, "invalid_input");
    place.run(&["repo", "init", "file:other", "--no-encryption"]).ok();
    fails(
        &place,
        &["director", "restore", "--repo", "file:other"],
        4,
        "not_found",
    );

    // Nothing of that is in the way.
    place.run(&restore(&[])).ok();
}

/// What reads the repository without knowing of directors passes the journal over.
#[test]
fn a_journal_is_nothing_that_is_backed_up() {
    let place = place();
    let objects = [&["object", "list"][..], &OPEN].concat();
    assert!(of_type(&place.json(&objects).1, "object").is_empty());
    let verify = ["repo", "verify", "file:vault", "--passphrase-file", "pass"];
    place.run(&verify).ok();
    place.run(&["job", "run", "Files"]).ok();
    place.run(&["repo", "reclaim", "main", "--grace", "0h"]).ok();
    let heads: Vec<Value> = place.json(&all(&["director", "journal"])).1;
    assert_eq!(of_type(&heads, "journal_found").len(), 1, "{heads:?}");
}
