//! Care for recovery points and space: show, protect, describe, delete, compare, retention, reclaim.

use serde_json::Value;

use crate::support::{Place, all, fails, of_type, tree};

/// A vault with three points of a folder; each has a file of its own of a megabyte that does not compress.
fn three_points(place: &Place) -> Vec<String> {
    place.init();
    place.write("data/steady.txt", "always the same\n");
    (0..3u32)
        .map(|number| {
            let mut state = number + 1;
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .take(1_000_000)
            .collect();
            place.write("data/changing.bin", noise);
            let (code, lines) = place.json(&all(&["backup", "folder", "data", "--name", "files"]));
            assert_eq!(code, 0, "{lines:?}");
            of_type(&lines, "backup")[0]["point"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["id"].as_str().unwrap()).collect()
}

#[test]
fn points_are_shown_protected_described_and_compared() {
    let place = Place::new();
    let points = three_points(&place);
    let object = ["--object", "files"];
    let one = |head: &[&str], point: &str, tail: &[&str]| {
        place.json(&[&all(head)[..], &object, &["--point", point], tail].concat())
    };

    let (code, lines) = one(&["point", "protect"], &points[0], &["--until", "2999-12-31"]);
    assert_eq!(code, 0, "{lines:?}");
    let (code, lines) = one(&["point", "describe"], &points[0], &["before the move"]);
    assert_eq!(code, 0, "{lines:?}");
    let (code, lines) = one(&["point", "show"], &points[0][..8], &[]);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(lines[0]["description"], "before the move");
    assert_eq!(lines[0]["protection"]["kind"], "until");
    assert_eq!(lines[0]["protection"]["until"], "3000-01-01T00:00:00.000Z");

    let diff = [
        &all(&["point", "diff"])[..],
        &object,
        &[&points[0][..8], "latest"],
    ]
    .concat();
    let (code, lines) = place.json(&diff);
    assert_eq!(code, 0);
    let changes = of_type(&lines, "change");
    assert_eq!(changes.len(), 1, "{lines:?}");
    assert_eq!(
        (&changes[0]["change"], &changes[0]["name"]),
        (&"changed".into(), &"changing.bin".into())
    );

    // A protected point is not deleted, by name or by criterion.
    let delete = all(&["point", "delete", "--point", &points[0]]);
    let (_, error) = fails(&place, &delete, 1, "immutable");
    assert!(error.to_string().contains(&points[0]), "{error}");
    let (code, lines) = place.json(&all(&[
        "point",
        "delete",
        "--object",
        "files",
        "--older-than",
        "0",
        "--preview",
    ]));
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(lines[0]["deleted"].as_array().unwrap().len(), 2, "{lines:?}");
    assert_eq!(lines[0]["kept"], Value::from(vec![points[0].clone()]));
    let (_, lines) = place.json(&[&all(&["point", "list"])[..], &object].concat());
    assert_eq!(ids(&lines), points, "a preview deletes nothing");

    let (code, _) = one(&["point", "protect"], &points[0], &["--job-retention"]);
    assert_eq!(code, 0);
    let (code, _) = place.json(&delete);
    assert_eq!(code, 0);
    let (_, lines) = place.json(&[&all(&["point", "list"])[..], &object].concat());
    assert_eq!(ids(&lines), points[1..]);
    fails(&place, &delete, 4, "not_found");
}

#[test]
fn points_are_deleted_by_criterion_and_protected_ones_are_named() {
    let place = Place::new();
    let points = three_points(&place);
    place.write("other/file", "another object\n");
    let (_, lines) = place.json(&all(&["backup", "folder", "other", "--name", "orphan"]));
    let orphan = of_type(&lines, "backup")[0]["point"].as_str().unwrap().to_owned();
    place
        .run(&all(&[
            "point",
            "protect",
            "--object",
            "files",
            "--point",
            &points[0],
            "--forever",
        ]))
        .ok();
    let delete = |tail: &[&str]| {
        let (code, lines) = place.json(&[&all(&["point", "delete"])[..], tail].concat());
        assert_eq!(code, 0, "{lines:?}");
        let list = |name: &str| -> Vec<String> {
            let list = lines[0][name].as_array().unwrap();
            list.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
        };
        (list("deleted"), list("kept"))
    };
    let preview = |tail: &[&str]| delete(&[tail, &["--preview"]].concat());
    // Points that are older than a month: none. Older than now: all, in order, but the protected one.
    assert_eq!(preview(&["--older-than", "1m"]), (vec![], vec![]));
    let all_but_first = vec![points[1].clone(), points[2].clone(), orphan.clone()];
    assert_eq!(
        preview(&["--older-than", "0"]),
        (all_but_first, vec![points[0].clone()])
    );
    assert_eq!(
        preview(&["--except-object", "files", "--all"]).0,
        std::slice::from_ref(&orphan)
    );
    assert_eq!(
        preview(&["--except-object", "files", "--older-than", "30d"]).0,
        Vec::<String>::new()
    );

    assert_eq!(
        delete(&["--all-but", "latest"]),
        (vec![points[1].clone()], vec![points[0].clone()])
    );
    let (_, lines) = place.json(&all(&["point", "list", "--object", "files"]));
    assert_eq!(ids(&lines), [&points[0], &points[2]]);
    assert_eq!(delete(&["--object", "orphan", "--all"]).0, [orphan]);

    for nonsense in [
        &["--all"][..],
        &["--object", "files"],
        &["--all-but", "oldest"],
        &["--older-than", "30s"],
        &["--point", "abcd", "--all-but", "latest"],
        &["--object", "files", "--except-object", "files", "--all"],
    ] {
        let arguments = [&all(&["point", "delete"])[..], nonsense].concat();
        fails(&place, &arguments, 2, "invalid_input");
    }
}

#[test]
fn retention_removes_what_nothing_keeps_and_reclaim_frees_its_space() {
    let place = Place::new();
    let points = three_points(&place);
    let newest = tree(&place.path("data"));
    let retention = |verb| {
        all(&[
            "retention",
            verb,
            "--object",
            "files",
            "--last",
            "1",
            "--time-zone",
            "Europe/Berlin",
        ])
    };

    let (code, lines) = place.json(&retention("plan"));
    assert_eq!(code, 0, "{lines:?}");
    let planned = of_type(&lines, "retention");
    assert_eq!(planned.len(), 3);
    let kept: Vec<bool> = planned
        .iter()
        .map(|line| line["kept"].as_bool().unwrap())
        .collect();
    assert_eq!(kept, [false, false, true]);
    assert!(
        !planned[2]["reasons"].as_array().unwrap().is_empty(),
        "{planned:?}"
    );
    let (_, lines) = place.json(&all(&["point", "list", "--object", "files"]));
    assert_eq!(ids(&lines), points, "a plan removes nothing");

    let (code, lines) = place.json(&retention("apply"));
    assert_eq!(
        (code, &lines.last().unwrap()["removed"]),
        (0, &Value::from(2)),
        "{lines:?}"
    );
    let (_, lines) = place.json(&all(&["point", "list", "--object", "files"]));
    assert_eq!(ids(&lines), points[2..]);

    let reclaim = |tail: &[&'static str]| {
        let head = ["repo", "reclaim", "file:vault", "--passphrase-file", "pass"];
        let (code, lines) = place.json(&[&head[..], tail].concat());
        assert_eq!(code, 0, "{lines:?}");
        of_type(&lines, "reclaim")[0].clone()
    };
    let preview = reclaim(&["--preview"]);
    assert!(
        preview["reclaimable_bytes"].as_u64().unwrap() > 1_900_000,
        "{preview}"
    );
    let marked = reclaim(&[]);
    assert!(
        marked["waiting_packs"].as_u64().unwrap() > 0 && marked["freed_bytes"] == 0,
        "{marked}"
    );
    let freed = reclaim(&["--grace", "0"]);
    assert!(freed["freed_bytes"].as_u64().unwrap() > 1_900_000, "{freed}");
    let idle = reclaim(&["--grace", "0"]);
    assert_eq!(idle["freed_bytes"], 0, "{idle}");

    place
        .run(&["repo", "verify", "file:vault", "--passphrase-file", "pass"])
        .ok();
    place
        .run(&all(&["export", "--object", "files", "--to", "back"]))
        .ok();
    let mut back = tree(&place.path("back"));
    back.retain(|path, _| !path.ends_with("manifest.jsonl"));
    let strip = |tree: std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
        let named = tree
            .into_iter()
            .map(|(path, bytes)| (path.file_name().unwrap().to_owned(), bytes));
        named.collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(strip(back), strip(newest));
}

#[test]
fn what_is_not_said_is_not_deleted() {
    let place = Place::new();
    place.init();
    fails(
        &place,
        &all(&["point", "delete", "--object", "files"]),
        2,
        "invalid_input",
    );
    let usage = place.run(&all(&["point", "delete"]));
    usage.exits(2);
    place
        .run(&all(&["retention", "apply", "--object", "files"]))
        .exits(2);
    place
        .run(&all(&[
            "retention",
            "plan",
            "--last",
            "3",
            "--time-zone",
            "Mars/Olympus",
        ]))
        .exits(2);
    fails(
        &place,
        &all(&["retention", "plan", "--last", "3", "--object", "files"]),
        4,
        "not_found",
    );
    place
        .run(&[
            "repo",
            "reclaim",
            "file:vault",
            "--passphrase-file",
            "pass",
            "--grace",
            "soon",
        ])
        .exits(2);
}
