//! Copying recovery points into another repository.

use crate::support::{Place, fails, of_type, tree};

const FROM: [&str; 3] = ["repo", "copy", "file:vault"];
const KEYS: [&str; 4] = ["--passphrase-file", "pass", "--to-passphrase-file", "other"];

fn copy<'a>(tail: &[&'a str]) -> Vec<&'a str> {
    [&FROM[..], &["file:second"], &KEYS, tail].concat()
}

/// A vault with two points of a folder, and an empty one with another passphrase and compression.
fn two_vaults(place: &Place) -> Vec<String> {
    place.init();
    place.write_secret("other", "of the second\n");
    let init = ["repo", "init", "file:second", "--passphrase-file", "other"];
    place.run(&[&init[..], &["--compression", "best"]].concat()).ok();
    place.write("data/steady.txt", "always the same\n".repeat(500));
    ["one\n", "two\n"]
        .into_iter()
        .map(|content| {
            place.write("data/changing.txt", content);
            let backup = ["backup", "folder", "data", "--name", "files"];
            let open = ["--repo", "file:vault", "--passphrase-file", "pass"];
            let (code, lines) = place.json(&[&backup[..], &open].concat());
            assert_eq!(code, 0, "{lines:?}");
            of_type(&lines, "backup")[0]["point"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn points_are_copied_into_a_repository_with_another_passphrase() {
    let place = Place::new();
    let points = two_vaults(&place);

    let (code, lines) = place.json(&copy(&["--preview"]));
    assert_eq!(code, 0, "{lines:?}");
    let planned = of_type(&lines, "copy");
    assert!(
        planned.len() == 2 && planned.iter().all(|line| line["state"] == "planned"),
        "{lines:?}"
    );

    let (code, lines) = place.json(&copy(&["--object", "files", "--point", &points[0][..8]]));
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "copy")[0]["state"], "copied");
    let (code, lines) = place.json(&copy(&[]));
    assert_eq!(code, 0, "{lines:?}");
    let states: Vec<_> = of_type(&lines, "copy")
        .iter()
        .map(|line| line["state"].clone())
        .collect();
    assert_eq!(states, ["present", "copied"]);
    let summary = of_type(&lines, "summary")[0];
    assert_eq!(
        (&summary["copied"], &summary["lacking"]),
        (&1.into(), &0.into()),
        "{summary}"
    );

    let second = ["--repo", "file:second", "--passphrase-file", "other"];
    let export = ["export", "--object", "files", "--to", "out"];
    place.run(&[&export[..], &second].concat()).ok();
    assert_eq!(std::fs::read(place.path("out/changing.txt")).unwrap(), b"two\n");
    let verify = ["repo", "verify", "file:second", "--passphrase-file", "other"];
    place.run(&verify).ok();

    let said = place.run(&copy(&[])).ok().stdout;
    assert!(
        said.contains("is there already") && said.contains("0 recovery points copied"),
        "{said}"
    );
}

#[test]
fn wrong_targets_are_refused() {
    let place = Place::new();
    two_vaults(&place);
    let before = tree(&place.path("second"));
    let with = |to: &str, tail: &[&str]| {
        let head: Vec<String> = FROM.iter().map(ToString::to_string).collect();
        let tail = tail.iter().map(ToString::to_string);
        [
            head,
            vec![to.to_owned(), "--passphrase-file".into(), "pass".into()],
            tail.collect(),
        ]
        .concat()
    };
    // The passphrase of the first opens the first only.
    fails(&place, &with("file:second", &[]), 12, "wrong_passphrase");
    fails(
        &place,
        &with("file:second", &["--to-unencrypted"]),
        12,
        "wrong_passphrase",
    );
    fails(&place, &with("file:nowhere", &[]), 10, "repository_missing");
    fails(&place, &with("file:vault", &[]), 2, "invalid_input");
    fails(&place, &copy(&["--object", "nobody"]), 4, "not_found");
    assert_eq!(tree(&place.path("second")), before);

    // A target without encryption has to be called so.
    place.run(&["repo", "init", "file:plain", "--no-encryption"]).ok();
    place.run(&with("file:plain", &["--to-unencrypted"])).ok();
}

#[test]
fn damage_of_the_source_ends_as_partial_and_is_listed() {
    let place = Place::new();
    place.init();
    place.write_secret("other", "of the second\n");
    place
        .run(&["repo", "init", "file:second", "--passphrase-file", "other"])
        .ok();
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    place.write("data/sub/large.bin", noise.take(1_000_000).collect::<Vec<u8>>());
    place.write("data/small.txt", "small\n");
    place.backup_data();
    let packs = tree(&place.path("vault/NakivoBackup/packs"));
    let (name, bytes) = packs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let mut damaged = bytes.clone();
    damaged[400_000] ^= 1;
    std::fs::write(place.path("vault/NakivoBackup/packs").join(name), damaged).unwrap();

    let (code, lines) = place.json(&copy(&[]));
    assert_eq!(code, 3, "{lines:?}");
    let point = of_type(&lines, "copy")[0];
    assert_eq!(point["state"], "copied_partly");
    assert_eq!(point["issues"][0]["path"], "sub/large.bin", "{point}");
    assert_eq!(point["issues"].as_array().unwrap().len(), 1);
    let show = [
        "point",
        "show",
        "--object",
        "files",
        "--repo",
        "file:second",
        "--passphrase-file",
        "other",
    ];
    let (_, lines) = place.json(&show);
    assert_eq!(
        (&lines[0]["outcome"], &lines[0]["issues"][0]["path"]),
        (&"partial".into(), &"sub/large.bin".into())
    );

    let ran = place.run(&copy(&[])).exits(3);
    assert!(
        ran.stdout.contains("is there without what was damaged"),
        "{}",
        ran.stdout
    );
    place.run(&copy(&["--partial-ok"])).ok();
}
