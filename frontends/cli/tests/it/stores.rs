//! Repositories in object stores: settings come from a file, every command takes the URL, mistakes have their own code.

#[cfg(feature = "servers")]
use crate::support::tree;
use crate::support::{Place, fails};

/// Endpoint and credential of nobody; port 9 is where nothing listens.
const NOBODY: &str = "\
[s3]
endpoint = 'http://127.0.0.1:9'
access_key_id = 'id'
secret_access_key = 'hunter2'
[azure]
account = 'account'
access_key = 'aHVudGVyMg=='
endpoint = 'http://127.0.0.1:9/account'
";

#[test]
fn endpoint_and_credential_come_from_a_file() {
    let place = Place::new();
    let init = ["repo", "init", "s3:bucket/vault", "--passphrase-file", "pass"];
    let (_, json) = fails(&place, &init, 2, "invalid_input");
    let hint = json["hint"].as_str().unwrap();
    assert!(
        hint.contains("--store-config") && hint.contains("NAKIVO_STORE_CONFIG"),
        "{hint}"
    );
    let with = |file: &str| [&init[..], &["--store-config", file]].concat().join(" ");
    let run = |file: &str, code: i32, kind: &str| {
        let line = with(file);
        fails(&place, &line.split(' ').collect::<Vec<_>>(), code, kind).1
    };
    run("absent.toml", 4, "not_found");
    place.write_secret(
        "wrong.toml",
        "[s3]\nsecret_access_key = 'hunter2'\nregoin = 'x'\n",
    );
    let json = run("wrong.toml", 2, "invalid_input");
    let message = json["message"].as_str().unwrap();
    assert!(
        message.contains("wrong.toml") && message.contains("regoin"),
        "{message}"
    );
    assert!(!json.to_string().contains("hunter2"), "{json}");
    // Whoever can read the settings can read the secret in them.
    place.write("shared.toml", NOBODY);
    place.write_secret("own.toml", NOBODY);
    for (file, warned) in [("shared.toml", true), ("own.toml", false)] {
        let line = with(file);
        let ran = place.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.stderr.contains("chmod 600"), warned, "{ran:?}");
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
    run("own.toml", 6, "unavailable");
}

#[test]
fn every_command_takes_the_url() {
    let place = Place::new();
    place.write_secret("own.toml", NOBODY);
    place.write("data/a.txt", "alpha");
    for command in [
        "repo info az:container/vault",
        "repo verify az:container/vault",
        "backup folder data --name files --repo az:container/vault",
        "object list --repo az:container/vault",
        "point list --object files --repo az:container/vault",
        "browse --object files --repo az:container/vault",
        "find x --repo az:container/vault",
        "export --object files --to out --repo az:container/vault",
    ] {
        let command = format!("{command} --passphrase-file pass --store-config own.toml");
        let ran = place.run(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, 6, "{command}: {ran:?}");
    }
}

#[cfg(feature = "servers")]
/// A user's way through a repository on a service, where the variable names its settings.
fn whole_way(scheme: &str, variable: &str) {
    let config =
        std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no file with store settings"));
    let place = Place::new();
    place.write_secret("store.toml", std::fs::read(config).unwrap());
    place.write("data/a.txt", "alpha");
    place.write("data/b/large.bin", vec![7u8; 3_000_000]);
    let unique = place.dir.path().file_name().unwrap().to_str().unwrap();
    let url = format!("{scheme}:nakivo-test/{}", unique.trim_start_matches('.'));
    let run = |line: &str| {
        let line = format!("{line} --passphrase-file pass --store-config store.toml");
        let ran = place.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        ran.stdout
    };
    assert!(run(&format!("repo init {url}")).contains(&url));
    run(&format!("backup folder data --name files --repo {url}"));
    assert!(run(&format!("repo info {url}")).contains(&url));
    assert!(run(&format!("repo verify {url}")).contains("No damage"));
    assert!(run(&format!("find large --repo {url}")).contains("large.bin"));
    run(&format!("export --object files --to out --repo {url}"));
    let mut exported = tree(&place.path("out"));
    exported.retain(|path, _| !path.ends_with("manifest.jsonl"));
    assert_eq!(exported, tree(&place.path("data")));
    let again = [
        "repo",
        "init",
        &url,
        "--passphrase-file",
        "pass",
        "--store-config",
        "store.toml",
    ];
    fails(&place, &again, 1, "already_exists");
    let absent = format!("{scheme}:nakivo-absent-bucket");
    let missing = [
        "repo",
        "init",
        &absent,
        "--passphrase-file",
        "pass",
        "--store-config",
        "store.toml",
    ];
    fails(&place, &missing, 4, "not_found");
}

#[test]
#[cfg(feature = "servers")]
fn a_repository_in_s3_radosgw() {
    whole_way("s3", "NAKIVO_TEST_S3_RADOSGW");
}

#[test]
#[cfg(feature = "servers")]
fn a_repository_in_s3_moto() {
    whole_way("s3", "NAKIVO_TEST_S3_MOTO");
}

#[test]
#[cfg(feature = "servers")]
fn a_repository_in_azure() {
    whole_way("az", "NAKIVO_TEST_AZURE");
}
