//! Damage from its discovery to its end: verify marks, lists show, delete and heal use it.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Place, all, of_type};

fn repo<'a>(verb: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [
        &["repo", verb, "file:vault", "--passphrase-file", "pass"][..],
        rest,
    ]
    .concat()
}

/// Bytes that do not compress.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

/// A folder backed up twice, and the pack that holds the content of its files.
fn prepare(place: &Place) -> PathBuf {
    place.init();
    for number in 0..4 {
        place.write(&format!("data/sub/file {number}"), noise(number, 60_000));
    }
    place.write("data/small", "text\n");
    for _ in 0..2 {
        place
            .run(&all(&["backup", "folder", "data", "--name", "files"]))
            .ok();
    }
    largest_pack(place)
}

fn largest_pack(place: &Place) -> PathBuf {
    let mut packs = Vec::new();
    for folder in std::fs::read_dir(place.path("vault/NakivoBackup/packs")).unwrap() {
        for pack in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let pack = pack.unwrap();
            packs.push((pack.metadata().unwrap().len(), pack.path()));
        }
    }
    packs.sort();
    packs.pop().unwrap().1
}

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn damaged_points(place: &Place) -> Vec<Value> {
    let (code, lines) = place.json(&all(&["point", "list", "--object", "files"]));
    assert_eq!(code, 0, "{lines:?}");
    let points = of_type(&lines, "point").into_iter();
    points
        .filter(|point| !point["damage"].is_null())
        .cloned()
        .collect()
}

#[test]
fn damage_is_marked_shown_and_healed_from_the_folder() {
    let place = Place::new();
    let pack = prepare(&place);
    flip(&pack, 30_000);
    // Looking only changes nothing.
    place.run(&repo("verify", &["--no-marks"])).exits(1);
    assert!(damaged_points(&place).is_empty());
    let ran = place.run(&repo("verify", &[])).exits(1);
    assert!(ran.stdout.contains("its points are marked"), "{ran:?}");
    let marked = damaged_points(&place);
    assert_eq!(marked.len(), 2, "{marked:?}");
    let shown = place.run(&all(&["point", "list", "--object", "files"])).ok();
    assert!(shown.stdout.contains("complete, damaged"), "{shown:?}");
    let shown = place.run(&all(&["point", "show", "--object", "files"])).ok();
    assert!(shown.stdout.contains("cannot be read"), "{shown:?}");
    let (_, lines) = place.json(&repo("info", &["--reclaimable"]));
    let info = of_type(&lines, "repository")[0];
    assert_eq!(
        (&info["damaged_points"], &info["damaged_packs"]),
        (&2.into(), &1.into())
    );
    assert!(info["reclaimable_bytes"].is_u64(), "{info}");

    let (code, lines) = place.json(&all(&["point", "delete", "--corrupted", "--preview"]));
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(
        of_type(&lines, "deleted")[0]["deleted"].as_array().unwrap().len(),
        2
    );

    // Nobody has the data: it is listed, and the exit code says that not all is well.
    let ran = place.run(&repo("heal", &[])).exits(3);
    assert!(ran.stdout.contains("sub/file"), "{ran:?}");
    let heal = ["--folder", "data", "--object", "files"];
    let (code, lines) = place.json(&repo("heal", &[&heal[..], &["--preview"]].concat()));
    assert_eq!(code, 0, "{lines:?}");
    assert!(of_type(&lines, "heal")[0]["restored_parts"].as_u64().unwrap() > 0);
    assert_eq!(damaged_points(&place).len(), 2, "a preview");
    let ran = place.run(&repo("heal", &heal)).ok();
    assert!(
        ran.stdout.contains("Every recovery point can be read in full"),
        "{ran:?}"
    );
    assert!(damaged_points(&place).is_empty());
    place.run(&repo("verify", &[])).ok();
    let ran = place.run(&repo("heal", &heal)).ok();
    assert!(ran.stdout.contains("Nothing to heal"), "{ran:?}");
    place
        .run(&all(&["export", "--object", "files", "--to", "out"]))
        .ok();
    assert_eq!(
        std::fs::read(place.path("out/sub/file 2")).unwrap(),
        noise(2, 60_000)
    );
}

#[test]
fn another_repository_heals_and_a_lost_index_and_commit_too() {
    let place = Place::new();
    let pack = prepare(&place);
    place.write_secret("other.pass", "another one\n");
    let other = ["--repo", "file:second", "--passphrase-file", "other.pass"];
    place
        .run(&["repo", "init", "file:second", "--passphrase-file", "other.pass"])
        .ok();
    place
        .run(&[&["backup", "folder", "data", "--name", "files"][..], &other].concat())
        .ok();
    std::fs::remove_file(&pack).unwrap();
    std::fs::remove_dir_all(place.path("vault/NakivoBackup/index")).unwrap();
    // Without its index nobody can tell what was in the pack; the items can.
    let from = ["--from", "file:second", "--from-passphrase-file", "other.pass"];
    let ran = place.run(&repo("heal", &from)).ok();
    assert!(ran.stdout.contains("index"), "{ran:?}");
    place.run(&repo("verify", &[])).ok();

    // The newest commit: what it said is lost, and that is said.
    let log = place.path("vault/NakivoBackup/log");
    let mut names: Vec<_> = std::fs::read_dir(&log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    flip(names.last().unwrap(), 80);
    place
        .run(&all(&["backup", "folder", "data", "--name", "files"]))
        .exits(1);
    let ran = place.run(&repo("heal", &from)).exits(3);
    assert!(ran.stdout.contains("lost history: log/"), "{ran:?}");
    place
        .run(&all(&["backup", "folder", "data", "--name", "files"]))
        .ok();
    place.run(&repo("verify", &[])).ok();
}

#[test]
fn a_verification_is_limited_and_resumed() {
    let place = Place::new();
    prepare(&place);
    place.run(&repo("verify", &["--object", "files"])).ok();
    place.run(&repo("verify", &["--object", "nobody"])).exits(4);
    let (_, lines) = place.json(&all(&["point", "list", "--object", "files"]));
    let id = of_type(&lines, "point")[0]["id"].as_str().unwrap().to_owned();
    let (code, lines) = place.json(&repo("verify", &["--point", &id]));
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "verify")[0]["points"], 1);
    let ran = place.run(&repo("verify", &["--max-duration", "0"]));
    // No time at all is no time to read anything.
    let ran = ran.exits(3);
    assert!(ran.stdout.contains("--resume"), "{ran:?}");
    let (code, lines) = place.json(&repo("verify", &["--resume"]));
    assert_eq!(code, 0);
    assert_eq!(of_type(&lines, "verify")[0]["resumed"], true);
}
