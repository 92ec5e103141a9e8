//! Bad input and bad weather: each is one line with the fix in it, a stable code and the right exit code, and leaves
//! nothing half done.

use crate::support::{OPEN, Place, fails, of_type, tree};

fn with_point() -> Place {
    let place = Place::new();
    place.init();
    place.write("data/a.txt", "alpha");
    place
        .run(&[&["backup", "folder", "data", "--name", "files"][..], &OPEN].concat())
        .ok();
    place
}

#[test]
fn init_wants_a_passphrase_or_the_word_that_there_is_none() {
    let place = Place::new();
    let (message, json) = fails(&place, &["repo", "init", "file:vault"], 2, "invalid_input");
    assert!(message.contains("--no-encryption"), "{message}");
    let hint = json["hint"].as_str().unwrap();
    assert!(
        hint.contains("--passphrase-file") && hint.contains("--no-encryption"),
        "{hint}"
    );
    assert!(!place.path("vault").exists(), "nothing half done");
}

#[test]
fn passphrase_files_are_checked() {
    let place = Place::new();
    place.write_secret("empty", "\nsecond line\n");
    place.write_secret("binary", b"\xff\xfe\n");
    place.write_secret("long", "x".repeat(5000));
    for (file, code, kind) in [
        ("empty", 2, "invalid_input"),
        ("binary", 2, "invalid_input"),
        ("long", 2, "invalid_input"),
        ("none", 4, "not_found"),
    ] {
        let (_, json) = fails(
            &place,
            &["repo", "init", "file:vault", "--passphrase-file", file],
            code,
            kind,
        );
        assert!(json["message"].as_str().unwrap().contains(file), "{json}");
    }
    assert!(!place.path("vault").exists());
    // Only the first line counts, whatever ends it, and others who can read the file are a warning.
    place.write("shared", "correct horse battery staple\r\nnot this\n");
    let ran = place
        .run(&["repo", "init", "file:vault", "--passphrase-file", "shared"])
        .ok();
    assert!(
        ran.stderr.contains("warning: ") && ran.stderr.contains("chmod 600"),
        "{ran:?}"
    );
    let info = place
        .run(&["repo", "info", "file:vault", "--passphrase-file", "pass"])
        .ok();
    assert_eq!(info.stderr, "");
    let mut command = place.command(&["repo", "info", "file:vault"]);
    assert!(
        command
            .env("NAKIVO_PASSPHRASE_FILE", place.path("pass"))
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn wrong_passphrase_is_12_and_a_missing_one_too() {
    let place = with_point();
    for tail in [&["--passphrase-file", "wrong"][..], &[]] {
        for head in [
            &["repo", "info", "file:vault"][..],
            &["repo", "verify", "file:vault"],
            &["object", "list", "--repo", "file:vault"],
            &["point", "list", "--repo", "file:vault", "--object", "files"],
            &["browse", "--repo", "file:vault", "--object", "files"],
            &["find", "alpha", "--repo", "file:vault"],
            &[
                "backup",
                "folder",
                "data",
                "--name",
                "files",
                "--repo",
                "file:vault",
            ],
            &[
                "export",
                "--repo",
                "file:vault",
                "--object",
                "files",
                "--to",
                "out",
            ],
        ] {
            let (_, json) = fails(&place, &[head, tail].concat(), 12, "wrong_passphrase");
            assert!(
                json["hint"].as_str().unwrap().contains("--passphrase-file"),
                "{json}"
            );
        }
    }
    assert!(!place.path("out").exists());
}

#[test]
fn no_repository_is_10_everywhere() {
    let place = Place::new();
    place.write("data/a.txt", "alpha");
    for head in [
        &["repo", "info", "file:nowhere"][..],
        &["repo", "verify", "file:nowhere"],
        &["object", "list", "--repo", "file:nowhere"],
        &[
            "backup",
            "folder",
            "data",
            "--name",
            "files",
            "--repo",
            "file:nowhere",
        ],
        &[
            "export",
            "--repo",
            "file:nowhere",
            "--object",
            "files",
            "--to",
            "out",
        ],
    ] {
        let arguments = [head, &["--passphrase-file", "pass"]].concat();
        let (_, json) = fails(&place, &arguments, 10, "repository_missing");
        assert!(
            json["hint"].as_str().unwrap().contains("nakivo repo init"),
            "{json}"
        );
    }
    assert!(!place.path("nowhere").exists(), "looking creates nothing");
}

#[test]
fn other_schemes_are_refused_by_name() {
    let place = Place::new();
    for url in ["ftp://x", "vault", "", "s3:", "az:/x", "gs:ab", "memory:"] {
        fails(
            &place,
            &["repo", "init", url, "--passphrase-file", "pass"],
            2,
            "invalid_input",
        );
    }
}

#[test]
fn a_second_repository_in_one_place_is_refused() {
    let place = with_point();
    let before = tree(&place.path("vault"));
    fails(
        &place,
        &["repo", "init", "file:vault", "--passphrase-file", "pass"],
        1,
        "already_exists",
    );
    assert_eq!(tree(&place.path("vault")), before);
}

#[test]
fn a_newer_format_is_not_touched() {
    let place = with_point();
    let path = place.path("vault/NakivoBackup/format.json");
    let mut config = nakivo_core::format::RepositoryConfig::parse(&std::fs::read(&path).unwrap()).unwrap();
    config.incompatible_features.push("from-the-future".to_owned());
    std::fs::write(&path, config.to_bytes().unwrap()).unwrap();
    let before = tree(&place.path("vault"));
    let arguments = [&["backup", "folder", "data", "--name", "files"][..], &OPEN].concat();
    fails(&place, &arguments, 1, "unsupported_format");
    assert_eq!(tree(&place.path("vault")), before);
}

#[test]
fn unknown_things_are_4() {
    let place = with_point();
    for head in [
        &["point", "list", "--object", "nobody"][..],
        &["browse", "--object", "nobody"],
        &["browse", "--object", "files", "--point", "ffffffff"],
        &["browse", "--object", "files", "no/such/folder"],
        &["find", "x", "--object", "nobody"],
        &["export", "--object", "nobody", "--to", "out"],
        &["export", "--object", "files", "--to", "out", "no/such/file"],
        &["backup", "folder", "no-such-folder", "--name", "files"],
    ] {
        fails(&place, &[head, &OPEN].concat(), 4, "not_found");
    }
    assert!(!place.path("out").exists(), "nothing half done");
}

#[test]
fn nonsense_is_2() {
    let place = with_point();
    for head in [
        &["find", "size>lots", "--object", "files"][..],
        &["browse", "--object", "files", "--point", "not-an-id"],
    ] {
        fails(&place, &[head, &OPEN].concat(), 2, "invalid_input");
    }
    // What the parser of the command line refuses is JSON too, where JSON was asked for.
    for arguments in [
        &["repo", "inif"][..],
        &["find"],
        &["repo", "verify", "file:vault", "--sample", "0"],
        &["--nonsense"],
        &[],
    ] {
        let ran = place.run(arguments).exits(2);
        assert!(ran.stdout.is_empty(), "{ran:?}");
        let (code, lines) = place.json(arguments);
        assert_eq!(code, 2);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(of_type(&lines, "error")[0]["code"], "invalid_input", "{lines:?}");
    }
}

#[test]
fn a_full_disk_is_said_so_and_costs_no_earlier_point() {
    let place = with_point();
    let before = tree(&place.path("vault"));
    place.write("data/big.bin", noise(3 << 20));
    let program = env!("CARGO_BIN_EXE_nakivo");
    // 1,024 blocks of 512 bytes for each file: the pack does not fit.
    let script = format!(
        "trap '' XFSZ; ulimit -f 1024; exec '{program}' backup folder data --name files --repo file:vault --passphrase-file pass --json"
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.dir.path())
        .env("NAKIVO_STATE_DIR", place.path("state"))
        .output()
        .unwrap();
    let ran = crate::support::Ran::new(script, output).exits(1);
    let lines = ran.lines();
    assert_eq!(of_type(&lines, "error")[0]["code"], "storage_full", "{lines:?}");
    for (path, bytes) in &before {
        assert_eq!(
            std::fs::read(place.path("vault").join(path)).ok().as_ref(),
            Some(bytes),
            "{}",
            path.display()
        );
    }
    // With space again, the same command succeeds.
    place
        .run(&[&["backup", "folder", "data", "--name", "files"][..], &OPEN].concat())
        .ok();
    place
        .run(&["repo", "verify", "file:vault", "--passphrase-file", "pass"])
        .ok();
}

#[test]
fn damage_is_found_named_and_1() {
    let place = with_point();
    let packs = place.path("vault/NakivoBackup/packs");
    let pack = packs.join(tree(&packs).into_keys().next().unwrap());
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    let (code, lines) = place.json(&["repo", "verify", "file:vault", "--passphrase-file", "pass"]);
    assert_eq!(code, 1, "{lines:?}");
    let damage = of_type(&lines, "damage");
    let name = pack.file_name().unwrap().to_str().unwrap();
    assert!(
        damage
            .iter()
            .any(|line| line["object"].as_str().unwrap().contains(name)),
        "{damage:?}"
    );
    assert_eq!(of_type(&lines, "verify")[0]["verified"], false);
    let ran = place
        .run(&["repo", "verify", "file:vault", "--passphrase-file", "pass"])
        .exits(1);
    assert!(ran.stdout.contains(name), "{ran:?}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let place = with_point();
    for number in 0..2000 {
        place.write(&format!("data/many/{number:05}"), "x");
    }
    place
        .run(&[&["backup", "folder", "data", "--name", "files"][..], &OPEN].concat())
        .ok();
    let program = env!("CARGO_BIN_EXE_nakivo");
    let script = format!(
        "'{program}' browse --repo file:vault --passphrase-file pass --object files many 2>err | head -n 1; cat err"
    );
    let output = std::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", &script])
        .current_dir(place.dir.path())
        .env("NAKIVO_STATE_DIR", place.path("state"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && !text.contains("panicked") && !text.contains("error"),
        "{text}"
    );
}

#[test]
fn names_cannot_speak_to_the_terminal() {
    let place = Place::new();
    place.init();
    place.write("data/\u{1b}[2Jerror: gone\n", "x");
    let ran = place
        .run(&[&["backup", "folder", "data", "--name", "files"][..], &OPEN].concat())
        .ok();
    let listed = place
        .run(&[&["browse", "--object", "files"][..], &OPEN].concat())
        .ok();
    let found = place
        .run(&[&["find", "gone", "--object", "files"][..], &OPEN].concat())
        .ok();
    assert!(listed.stdout.contains("\\u{1b}[2Jerror: gone\\n"), "{listed:?}");
    for ran in [ran, listed, found] {
        assert!(
            !ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'),
            "{ran:?}"
        );
        assert!(
            !ran.stdout.lines().any(|line| line.starts_with("error")),
            "{ran:?}"
        );
    }
    let (_, lines) = place.json(&[&["browse", "--object", "files"][..], &OPEN].concat());
    assert!(
        of_type(&lines, "entry")
            .iter()
            .any(|line| line["name"] == "\u{1b}[2Jerror: gone\n"),
        "{lines:?}"
    );
}

#[test]
fn an_account_file_that_is_not_one_is_refused_without_quoting_it() {
    let place = Place::new();
    place.init();
    place.write_secret("bad.toml", "client_secret = \"CANARY\ndirectory_id = 1\n");
    place.write_secret(
        "unknown.toml",
        "directory_id='d'\napp_id='a'\nclient_secret='CANARY'\nclient_secrets='CANARY'\n",
    );
    for (file, code, kind) in [
        ("bad.toml", 2, "invalid_input"),
        ("unknown.toml", 2, "invalid_input"),
        ("none.toml", 4, "not_found"),
    ] {
        let arguments = [&["backup", "m365", "--account", file][..], &OPEN].concat();
        let (message, json) = fails(&place, &arguments, code, kind);
        assert!(
            !message.contains("CANARY") && !json.to_string().contains("CANARY"),
            "{message}"
        );
    }
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect()
}

#[test]
fn streams_are_plain_where_no_terminal_is() {
    let place = with_point();
    let arguments = [&["backup", "folder", "data", "--name", "files"][..], &OPEN].concat();
    let ran = place.run(&arguments).ok();
    assert!(
        !ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}') && !ran.stderr.contains('\r'),
        "{ran:?}"
    );
    let ran = place
        .run(&[&arguments[..], &["--progress", "none", "--quiet"]].concat())
        .ok();
    assert_eq!(ran.stderr, "");
}

#[test]
fn the_emulator_is_not_for_others_and_wants_mail() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    fails(&place, &["emulate", "--listen", "0.0.0.0:0"], 2, "invalid_input");
    fails(&place, &["emulate", "--mail-from", "nowhere"], 4, "not_found");
    fails(&place, &["demo", "--mail-from", "nowhere"], 4, "not_found");
    fails(
        &place,
        &["demo", "--mail-from", "empty", "--dir", "new"],
        4,
        "not_found",
    );
    assert!(!place.path("new").exists(), "nothing half done");
}

#[test]
fn state_goes_where_it_is_told() {
    let place = with_point();
    assert!(place.path("state").is_dir());
    place
        .run(&[&["object", "list", "--state-dir", "elsewhere"][..], &OPEN].concat())
        .ok();
    assert!(place.path("elsewhere").is_dir());
    let output = place
        .command(&[&["object", "list"][..], &OPEN].concat())
        .env_remove("NAKIVO_STATE_DIR")
        .env("XDG_STATE_HOME", place.path("xdg"))
        .status()
        .unwrap();
    assert!(output.success() && place.path("xdg/nakivo").is_dir());
}

#[test]
fn a_store_that_goes_back_in_time_is_noticed() {
    let place = with_point();
    let before = tree(&place.path("vault"));
    place.write("data/b.txt", "beta");
    place
        .run(&[&["backup", "folder", "data", "--name", "files"][..], &OPEN].concat())
        .ok();
    std::fs::remove_dir_all(place.path("vault")).unwrap();
    for (path, bytes) in before {
        place.write(&format!("vault/{}", path.display()), bytes);
    }
    fails(
        &place,
        &[&["object", "list"][..], &OPEN].concat(),
        1,
        "history_rewound",
    );
}
