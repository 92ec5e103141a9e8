//! `nakivo repo key`: secrets come from files, and what is asked is what happens.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{KEY, Place};

/// A repository that a key file opens, with a recovery point.
fn with_point() -> Place {
    let place = Place::new();
    place.write_secret("own.key", format!("# ours\n{KEY}"));
    place.write("data/a.txt", "alpha");
    place
        .run(&["repo", "init", "file:vault", "--key-file", "own.key"])
        .ok();
    place
        .run(&[
            "backup",
            "folder",
            "data",
            "--name",
            "files",
            "--repo",
            "file:vault",
            "--key-file",
            "own.key",
        ])
        .ok();
    place
}

fn key(place: &Place, arguments: &[&str], secret: &[&str]) -> (i32, Vec<Value>) {
    let (command, rest) = arguments.split_first().unwrap();
    let head = ["repo", "key", command, "file:vault"];
    place.json(&[&head, rest, secret].concat())
}

fn info(place: &Place, secret: &[&str]) -> (i32, Vec<Value>) {
    place.json(&[&["repo", "info", "file:vault"], secret].concat())
}

const OWN: [&str; 2] = ["--key-file", "own.key"];
const PASS: [&str; 2] = ["--passphrase-file", "pass"];

#[test]
fn a_life_of_keys() {
    let place = with_point();
    let (code, lines) = key(&place, &["list"], &OWN);
    assert_eq!((code, lines.len()), (0, 1), "{lines:?}");
    assert_eq!(
        (&lines[0]["kind"], &lines[0]["own"]),
        (&"key".into(), &true.into())
    );

    // Another passphrase; the same once more is refused.
    let add = ["add", "--new-passphrase-file", "pass", "--label", "desk"];
    let (code, lines) = key(&place, &add, &OWN);
    assert_eq!((code, &lines[0]["label"]), (0, &"desk".into()), "{lines:?}");
    assert_eq!(lines[0]["memory_kib"], 65536);
    let (code, lines) = key(&place, &add, &OWN);
    assert_eq!(
        (code, &lines[0]["code"]),
        (1, &"already_exists".into()),
        "{lines:?}"
    );
    assert_eq!(info(&place, &PASS).0, 0);

    // A recovery key into a file that is its owner's alone and is never replaced.
    let recovery = ["recovery", "--out", "paper.key", "--label", "paper"];
    assert_eq!(key(&place, &recovery, &OWN).0, 0);
    let mode = place.path("paper.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(info(&place, &["--key-file", "paper.key"]).0, 0);
    assert_eq!(key(&place, &recovery, &OWN).0, 1);
    let (_, lines) = key(&place, &["list"], &OWN);
    assert_eq!(lines.len(), 3, "no slot without a key: {lines:?}");

    // Never the one that opened it.
    let own = lines.iter().find(|slot| slot["own"] == true).unwrap()["id"].clone();
    let (code, refused) = key(&place, &["remove", own.as_str().unwrap()], &OWN);
    assert_eq!(
        (code, &refused[0]["code"]),
        (2, &"invalid_input".into()),
        "{refused:?}"
    );

    // A rotation names whom it would lock out.
    let (code, refused) = key(&place, &["rotate"], &OWN);
    let message = refused[0]["message"].as_str().unwrap();
    assert!(
        code == 2 && message.contains("desk") && message.contains("paper"),
        "{refused:?}"
    );
    let rotate = [
        "rotate",
        "--keep-key-file",
        "paper.key",
        "--drop-others",
        "--grace",
        "0m",
    ];
    let (code, lines) = key(&place, &rotate, &OWN);
    let rotation = lines.iter().find(|line| line["type"] == "rotation").unwrap();
    assert_eq!((code, &rotation["epoch"]), (0, &1.into()), "{lines:?}");
    assert_eq!(rotation["kept"].as_array().unwrap().len(), 2);
    assert_eq!(rotation["dropped"][0]["label"], "desk");
    let (code, refused) = info(&place, &PASS);
    assert_eq!((code, &refused[0]["code"]), (12, &"wrong_passphrase".into()));
    let (_, lines) = info(&place, &OWN);
    let older = &lines[0]["epochs"][0];
    assert_eq!(
        (&older["epoch"], &older["packs"], &older["waiting_packs"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert_eq!(lines[0]["epoch"], 1);
    let (code, lines) = key(&place, &["reencrypt", "--preview"], &OWN);
    assert_eq!((code, &lines.last().unwrap()["moved_bytes"]), (0, &0.into()));
    let verify = [
        &["repo", "verify", "file:vault"][..],
        &["--key-file", "paper.key"],
    ]
    .concat();
    place.run(&verify).ok();

    // The key becomes a passphrase again.
    let (code, lines) = key(&place, &["passphrase", "--new-passphrase-file", "wrong"], &OWN);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(info(&place, &OWN).0, 12);
    assert_eq!(info(&place, &["--passphrase-file", "wrong"]).0, 0);
    let id = lines[0]["id"].as_str().unwrap();
    let paper = ["--key-file", "paper.key"];
    assert_eq!(key(&place, &["remove", &id[..6]], &paper).0, 0);
    assert_eq!(info(&place, &["--passphrase-file", "wrong"]).0, 12);
    assert_eq!(key(&place, &["remove", "0000"], &paper).0, 4);
}

#[test]
fn key_files_are_checked() {
    let place = with_point();
    let mut typed: Vec<char> = KEY.chars().collect();
    typed[20] = if typed[20] == '7' { '8' } else { '7' };
    place.write_secret("typo.key", typed.iter().collect::<String>());
    place.write_secret("short.key", &KEY[..30]);
    place.write_secret("binary.key", [0xff; 40]);
    place.write_secret("long.key", KEY.repeat(70));
    for (file, what) in [
        ("typo.key", "group 3 has a typing error"),
        ("short.key", "instead of 64"),
        ("binary.key", "UTF-8"),
        ("long.key", "4096"),
    ] {
        let (code, lines) = info(&place, &["--key-file", file]);
        let message = lines[0]["message"].as_str().unwrap();
        assert!(code == 2 && message.contains(what), "{file}: {lines:?}");
        assert!(!message.contains(&KEY[..8]), "{message}");
    }
    assert_eq!(info(&place, &["--key-file", "missing.key"]).0, 4);
    let both = [&OWN[..], &PASS[..]].concat();
    assert_eq!(info(&place, &both).0, 2);
    // The environment: a key goes before a passphrase, the command line before both.
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.command(arguments);
        command.envs(variables.iter().copied());
        command.output().unwrap().status.code()
    };
    let bare = ["repo", "info", "file:vault"];
    let own = ("NAKIVO_KEY_FILE", "own.key");
    assert_eq!(run(&bare, &[own, ("NAKIVO_PASSPHRASE_FILE", "pass")]), Some(0));
    assert_eq!(run(&[&bare[..], &PASS].concat(), &[own]), Some(12));
}

/// A key that is shown is the one that opens.
#[test]
fn a_shown_key_opens() {
    let place = with_point();
    let arguments = [&["repo", "key", "recovery", "file:vault"][..], &OWN].concat();
    let shown = place.run(&arguments).ok().stdout;
    let key: String = shown
        .lines()
        .filter(|line| line.starts_with("    "))
        .collect::<Vec<_>>()
        .join("\n");
    place.write_secret("shown.key", key);
    assert_eq!(info(&place, &["--key-file", "shown.key"]).0, 0);
}
