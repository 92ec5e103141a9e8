//! Immutable repositories on the command line: refused where nothing can lock, told about everywhere else.

use crate::support::{Place, fails};

#[test]
fn what_cannot_be_immutable_is_refused_with_the_reason() {
    let place = Place::new();
    let init = |days| {
        [
            "repo",
            "init",
            "file:vault",
            "--no-encryption",
            "--immutable-days",
            days,
        ]
    };
    let (_, json) = fails(&place, &init("30"), 1, "protocol");
    let message = json["message"].as_str().unwrap();
    assert!(
        message.contains("object lock") && message.contains("S3"),
        "{message}"
    );
    for days in ["0", "3651"] {
        let (_, json) = fails(&place, &init(days), 2, "invalid_input");
        assert!(json["message"].as_str().unwrap().contains("1 to 3650"), "{json}");
    }
    place.run(&["repo", "init", "file:plain", "--no-encryption"]).ok();
    fails(&place, &["repo", "lock", "file:plain"], 2, "invalid_input");
    fails(&place, &["repo", "unhide", "file:plain"], 1, "protocol");
}

#[cfg(feature = "servers")]
#[test]
fn a_locked_repository_on_minio() {
    let Some(config) = std::env::var_os("NAKIVO_TEST_S3_MINIO") else {
        println!("SKIPPED: MinIO is not there");
        return;
    };
    let place = Place::new();
    place.write_secret("store.toml", std::fs::read(config).unwrap());
    place.write("data/a.txt", "alpha");
    let unique = place.dir.path().file_name().unwrap().to_str().unwrap();
    let url = format!("s3:nakivo-locked/{}", unique.trim_start_matches('.'));
    let run = |line: &str, code: i32| {
        let line = format!("{line} --passphrase-file pass --store-config store.toml");
        let ran = place.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, code, "{line}: {ran:?}");
        ran.stdout
    };
    let plain = url.replace("nakivo-locked", "nakivo-test");
    run(&format!("repo init {plain} --immutable-days 7"), 1);
    assert!(run(&format!("repo init {url} --immutable-days 7"), 0).contains("7 days"));
    let backed_up = run(&format!("backup folder data --name files --repo {url}"), 0);
    assert!(backed_up.contains("Immutable until"), "{backed_up}");
    let info = run(&format!("repo info {url}"), 0);
    assert!(
        info.contains("immutable") && info.contains("7 days; everything is locked until"),
        "{info}"
    );
    let verified = run(&format!("repo verify {url}"), 0);
    assert!(verified.contains("Locked until"), "{verified}");
    assert!(run(&format!("repo lock {url}"), 0).contains("Nothing to renew"));
    assert!(run(&format!("repo lock {url} --force"), 0).contains("Renewed the locks of"));
    let kept = run(&format!("repo unhide {url} --preview"), 0);
    assert!(kept.contains("0 objects would come back"), "{kept}");
    run(&format!("repo import {url} --name vault"), 0);
    let edited = place
        .run(&["repo", "edit", "vault", "--immutable-days", "9"])
        .ok();
    assert!(edited.stdout.contains("Renewed the locks of"), "{edited:?}");
    assert!(run("repo info vault", 0).contains("9 days"));
}
