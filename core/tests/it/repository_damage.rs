//! Damaged and missing objects: named, contained, and never read as something else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt, stream};
use nakivo_core::bytes::Bytes;
use nakivo_core::error::ErrorKind;
use nakivo_core::format::record::{ItemKind, ItemRecord};
use nakivo_core::format::tree::{Edit, TreeEdit};
use nakivo_core::format::{Manifest, RepositoryConfig};
use nakivo_core::object_store::path::Path;
use nakivo_core::object_store::{ObjectStore, ObjectStoreExt};
use nakivo_core::recovery::{
    Destination, ExportOptions, MANIFEST_NAME, Outcome as RecoveryOutcome, PageRequest, PointView, Query,
    Selection, export,
};
use nakivo_core::repository::{PartMode, Repository, VerifyOptions, VerifyReport};

use super::repository::{
    Files, Noise, assert_holds, back_up, commit_point, contents, manifest, memory, names, new_repository,
    reopen, some_files, store_files,
};

async fn get(store: &Arc<dyn ObjectStore>, path: &str) -> Vec<u8> {
    store
        .get(&Path::from(path))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec()
}

async fn put(store: &Arc<dyn ObjectStore>, path: &str, bytes: Vec<u8>) {
    store
        .put(&Path::from(path), Bytes::from(bytes).into())
        .await
        .unwrap();
}

async fn copy(store: &Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    let copy = memory();
    for name in names(store, "").await {
        put(&copy, &name, get(store, &name).await).await;
    }
    copy
}

async fn verify(repository: &Repository) -> VerifyReport {
    repository.verify(VerifyOptions::default()).wait().await.unwrap()
}

/// Three points of two objects, each with packs of its own.
async fn sample() -> (Arc<dyn ObjectStore>, Vec<(Manifest, Files)>) {
    let store = memory();
    let repository = new_repository(&store).await;
    let one = some_files(1, 40, 3_000);
    let first = back_up(&repository, "alice", 1, &one, None).await.unwrap();
    let change: Files = [("dir1/added".to_owned(), Noise::new(77).bytes(5_000))].into();
    let second = back_up(&repository, "alice", 2, &change, Some(&first))
        .await
        .unwrap();
    let mut two = one.clone();
    two.extend(change);
    let three = some_files(3, 30, 100_000);
    let third = back_up(&repository, "bob", 3, &three, None).await.unwrap();
    (store, vec![(first, one), (second, two), (third, three)])
}

async fn packs_by_size(store: &Arc<dyn ObjectStore>) -> Vec<(usize, String)> {
    let mut packs = Vec::new();
    for name in names(store, "packs").await {
        packs.push((get(store, &name).await.len(), name));
    }
    packs.sort();
    packs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_pack_costs_its_own_items_and_verify_names_them() {
    let (store, points) = sample().await;
    let (size, name) = packs_by_size(&store).await.pop().unwrap();
    let mut bytes = get(&store, &name).await;
    bytes.truncate(size / 2);
    put(&store, &name, bytes).await;

    let repository = reopen(&store).await.unwrap();
    let found = contents(&repository, &points[2].0).await.unwrap();
    let lost: Vec<&String> = found
        .iter()
        .filter(|(_, bytes)| bytes.is_err())
        .map(|(path, _)| path)
        .collect();
    assert!(
        !lost.is_empty() && lost.len() < found.len(),
        "{} of {} lost",
        lost.len(),
        found.len()
    );
    for (path, bytes) in &found {
        match bytes {
            Ok(bytes) => assert!(bytes == &points[2].1[path]),
            Err(kind) => assert_eq!(*kind, ErrorKind::Corrupt),
        }
    }
    assert_holds(&repository, &points[0].0, &points[0].1).await;

    for skip in [false, true] {
        let options = VerifyOptions::default().with_skip_content_hashes(skip);
        let report = repository.verify(options).wait().await.unwrap();
        assert_eq!(report.damage.len(), 1, "{report:?}");
        let damage = &report.damage[0];
        assert_eq!(damage.object, name);
        assert!(
            damage.what.contains(&format!("of {size} bytes")),
            "{}",
            damage.what
        );
        let mut named: Vec<String> = damage
            .affected
            .iter()
            .map(|item| item.path.to_lowercase())
            .collect();
        named.sort();
        let mut expected: Vec<String> = lost.iter().map(|path| path.to_lowercase()).collect();
        expected.sort();
        assert_eq!(named, expected, "skip {skip}");
        assert_eq!(damage.affected_count, lost.len() as u64);
        assert!(
            damage
                .affected
                .iter()
                .all(|item| item.object == "bob" && item.point == points[2].0.id)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_told_for_every_point_that_shares_it() {
    let (store, points) = sample().await;
    // The pack with the content of alice's first point, which her second shares.
    let mut damaged = None;
    for (_, name) in packs_by_size(&store).await {
        let other = copy(&store).await;
        other.delete(&Path::from(name.as_str())).await.unwrap();
        let repository = reopen(&other).await.unwrap();
        if contents(&repository, &points[0].0)
            .await
            .is_ok_and(|found| found.values().any(Result::is_err))
        {
            damaged = Some((repository, name));
            break;
        }
    }
    let (repository, name) = damaged.unwrap();
    let report = verify(&repository).await;
    let damage = report.damage.iter().find(|damage| damage.object == name).unwrap();
    assert!(damage.what.contains("missing"));
    for (manifest, files) in &points[..2] {
        let found = contents(&repository, manifest).await.unwrap();
        let lost = found.values().filter(|bytes| bytes.is_err()).count();
        let named = damage
            .affected
            .iter()
            .filter(|item| item.point == manifest.id)
            .count();
        assert_eq!(named, lost);
        assert!(lost > 0 && found.len() == files.len());
    }
    assert!(damage.affected.iter().all(|item| item.object == "alice"));
    let scoped = VerifyOptions::default().with_object(points[2].0.object.id.clone());
    assert!(
        repository.verify(scoped).wait().await.unwrap().is_clean(),
        "bob needs none of it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_index_is_rebuilt_from_the_packs() {
    let (store, points) = sample().await;
    for (how, name) in names(&store, "index").await.into_iter().enumerate() {
        if how == 0 {
            store.delete(&Path::from(name.as_str())).await.unwrap();
        } else {
            let mut bytes = get(&store, &name).await;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            put(&store, &name, bytes).await;
        }
    }
    let repository = reopen(&store).await.unwrap();
    for (manifest, files) in &points {
        assert_holds(&repository, manifest, files).await;
    }
    assert_eq!(repository.info().await.unwrap().notes.len(), 3);
    let report = verify(&repository).await;
    assert_eq!(report.damage.len(), 3);
    assert!(
        report
            .damage
            .iter()
            .all(|damage| damage.object.starts_with("index/") && damage.affected_count == 0)
    );
    // Writing goes on.
    let more = some_files(8, 5, 1_000);
    let point = back_up(&repository, "carol", 9, &more, None).await.unwrap();
    assert_holds(&reopen(&store).await.unwrap(), &point, &more).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_checkpoint_is_replaced_by_an_older_one_or_the_log() {
    let store = memory();
    let repository = new_repository(&store).await;
    let mut points = Vec::new();
    for number in 1..=35 {
        let files = some_files(u64::from(number), 2, 300);
        points.push((
            back_up(&repository, "alice", number, &files, None).await.unwrap(),
            files,
        ));
    }
    let checkpoints = names(&store, "checkpoint").await;
    assert_eq!(checkpoints.len(), 2);
    for count in 1..=2 {
        let name = &checkpoints[2 - count];
        let mut bytes = get(&store, name).await;
        bytes[100] ^= 1;
        put(&store, name, bytes).await;
        let again = reopen(&store).await.unwrap();
        let info = again.info().await.unwrap();
        assert_eq!((info.head, info.points, info.notes.len()), (35, 35, count));
        assert_holds(&again, &points[20].0, &points[20].1).await;
        assert_eq!(verify(&again).await.damage.len(), count);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_damaged_commit_it_can_be_read_and_not_written() {
    let (pristine, points) = sample().await;
    for seq in 1..=3usize {
        for missing in [false, true] {
            let store = copy(&pristine).await;
            let name = format!("log/{seq:020}");
            if missing {
                store.delete(&Path::from(name.as_str())).await.unwrap();
            } else {
                let mut bytes = get(&store, &name).await;
                bytes[90] ^= 16;
                put(&store, &name, bytes).await;
            }
            let repository = reopen(&store).await.unwrap();
            for (number, (manifest, files)) in points.iter().enumerate() {
                let found = repository
                    .points(&manifest.object.id)
                    .into_iter()
                    .find(|point| point.id == manifest.id);
                if number + 1 == seq {
                    assert!(found.is_none());
                } else {
                    assert_holds(&repository, &found.unwrap(), files).await;
                }
            }
            if missing && seq == 3 {
                // The newest commit is gone without a trace: only what is remembered outside can tell.
                continue;
            }
            assert!(repository.info().await.unwrap().read_only);
            let error = back_up(&repository, "carol", 9, &some_files(9, 1, 10), None)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
            assert!(error.message().contains(&name));
            assert!(
                verify(&repository)
                    .await
                    .damage
                    .iter()
                    .any(|damage| damage.object == name),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let store = memory();
    new_repository(&store).await;
    let mut config = RepositoryConfig::parse(&get(&store, "format.json").await).unwrap();
    config.incompatible_features.push("quantum-packs".to_owned());
    put(&store, "format.json", config.to_bytes().unwrap()).await;
    let error = reopen(&store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
    assert!(error.message().contains("quantum-packs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_object_is_damaged_reads_are_right_or_refused() {
    let seed = std::env::var("NAKIVO_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(2026);
    println!("NAKIVO_SEED={seed}");
    let mut noise = Noise::new(seed);
    let (pristine, points) = sample().await;
    let (mut opened, mut refused) = (0, 0);
    for name in names(&pristine, "").await {
        let good = get(&pristine, &name).await;
        for case in 0..6 {
            let store = copy(&pristine).await;
            let mut bytes = good.clone();
            match case {
                0 => bytes.clear(),
                1 => bytes.truncate((noise.next() % good.len() as u64) as usize),
                2 => bytes.push(0),
                _ => {
                    let bit = noise.next() % (good.len() as u64 * 8);
                    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
                }
            }
            put(&store, &name, bytes).await;
            let repository = match reopen(&store).await {
                Ok(repository) => repository,
                Err(error) => {
                    assert!(
                        name.starts_with("keys") || name.starts_with("format") || name.starts_with("log"),
                        "{error:?}"
                    );
                    assert!(
                        matches!(
                            error.kind(),
                            ErrorKind::Corrupt | ErrorKind::UnsupportedFormat | ErrorKind::RepositoryMissing
                        ),
                        "{name} {case}: {error:?}"
                    );
                    refused += 1;
                    continue;
                }
            };
            opened += 1;
            for (manifest, files) in &points {
                if let Ok(found) = contents(&repository, manifest).await {
                    for (path, bytes) in found {
                        assert!(
                            bytes.is_err() || bytes.unwrap() == files[&path],
                            "{name} {case}: {path} is wrong"
                        );
                    }
                }
            }
            let report = verify(&repository).await;
            assert!(
                report.damage.iter().any(|damage| damage.object == name),
                "{name} case {case}: {report:?}"
            );
        }
    }
    assert!(opened > 30 && refused > 5, "{opened} opened, {refused} refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_object_is_missing_the_rest_reads() {
    let (pristine, points) = sample().await;
    for name in names(&pristine, "").await {
        let store = copy(&pristine).await;
        store.delete(&Path::from(name.as_str())).await.unwrap();
        let repository = match reopen(&store).await {
            Ok(repository) => repository,
            Err(error) if name == "format.json" => {
                assert_eq!(error.kind(), ErrorKind::RepositoryMissing);
                continue;
            }
            Err(error) => {
                assert!(
                    name.starts_with("keys/") && error.kind() == ErrorKind::Corrupt,
                    "{name}: {error:?}"
                );
                continue;
            }
        };
        let mut lost = 0;
        for (manifest, files) in &points {
            if !repository.points(&manifest.object.id).contains(manifest) {
                continue;
            }
            match contents(&repository, manifest).await {
                Ok(found) => {
                    for (path, bytes) in found {
                        match bytes {
                            Ok(bytes) => assert!(bytes == files[&path]),
                            Err(_) => lost += 1,
                        }
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt);
                    lost += 1;
                }
            }
        }
        let report = verify(&repository).await;
        // The newest commit is gone without a trace; see the test about a store that falls behind.
        let traceless = name == "log/00000000000000000003";
        assert!(
            traceless || report.damage.iter().any(|damage| damage.object == name),
            "{name}: {report:?}"
        );
        let named: u64 = report.damage.iter().map(|damage| damage.affected_count).sum();
        assert_eq!(named > 0, lost > 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_is_chosen_by_its_seed() {
    let store = memory();
    let repository = new_repository(&store).await;
    for number in 1..=20 {
        back_up(
            &repository,
            "alice",
            number,
            &some_files(u64::from(number), 1, 2_000),
            None,
        )
        .await
        .unwrap();
    }
    let run = async |percent, seed| {
        let options = VerifyOptions::default()
            .with_sample_percent(percent)
            .with_seed(seed);
        repository.verify(options).wait().await.unwrap()
    };
    let (a, b, c) = (run(30, 1).await, run(30, 1).await, run(30, 2).await);
    assert_eq!(
        (a.packs, a.content_bytes, a.bytes),
        (b.packs, b.content_bytes, b.bytes)
    );
    assert_ne!(
        (a.packs, a.content_bytes, a.bytes),
        (c.packs, c.content_bytes, c.bytes)
    );
    assert!(!a.complete && a.packs > 0 && a.packs < run(100, 1).await.packs);
    let options = VerifyOptions::default().with_sample_percent(0);
    assert_eq!(
        repository.verify(options).wait().await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flipped_bit_of_a_header_is_damage_and_no_newer_format() {
    let store = memory();
    let repository = new_repository(&store).await;
    for number in 1..=17 {
        back_up(
            &repository,
            "alice",
            number,
            &some_files(u64::from(number), 1, 200),
            None,
        )
        .await
        .unwrap();
    }
    let mut objects = names(&store, "checkpoint").await;
    objects.push("log/00000000000000000017".to_owned());
    objects.push(names(&store, "index").await.remove(0));
    for name in objects {
        let good = get(&store, &name).await;
        for bit in 0..64 * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            put(&store, &name, bytes).await;
            let again = Repository::open(
                Arc::clone(&store),
                super::repository::open_options(),
                nakivo_core::seams::Environment::default(),
            )
            .await;
            let info = again
                .unwrap_or_else(|error| panic!("{name} bit {bit}: {error:?}"))
                .info()
                .await
                .unwrap();
            let told = info.notes.iter().any(|note| note.contains(&name));
            let told = told || info.log_damage.iter().any(|damage| damage.object == name);
            assert!(told, "{name} bit {bit}: {info:?}");
        }
        put(&store, &name, good).await;
    }
}

/// What is done to the entry of one item.
type Spoil = fn(TreeEdit, &ItemRecord) -> TreeEdit;

fn with_record(edit: TreeEdit, record: &ItemRecord, change: impl FnOnce(&mut ItemRecord)) -> TreeEdit {
    let mut other = record.clone();
    change(&mut other);
    TreeEdit {
        key: edit.key,
        edit: Edit::Put {
            size: record.size,
            value: other.encode().unwrap().into(),
        },
    }
}

fn with_value(edit: TreeEdit, record: &ItemRecord, change: impl FnOnce(&mut Vec<u8>)) -> TreeEdit {
    let mut value = record.encode().unwrap();
    change(&mut value);
    TreeEdit {
        key: edit.key,
        edit: Edit::Put {
            size: record.size,
            value: value.into(),
        },
    }
}

/// One item whose record is authentic and cannot be used: it is named, and everything beside it comes out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_used_costs_its_item_alone() {
    let spoils: [(&str, &str, Spoil); 6] = [
        ("an unknown kind", "unsupported_format", |edit, record| {
            with_value(edit, record, |value| {
                assert_eq!(value[1..3], [0, 6], "the kind comes first");
                value[2] = 9;
            })
        }),
        (
            "a property of an unknown type",
            "unsupported_format",
            |edit, record| {
                let mut record = record.clone();
                record.properties.insert("x".to_owned(), true.into());
                with_value(edit, &record, |value| {
                    let at = value
                        .windows(3)
                        .position(|some| some == [0x61, b'x', 0xf5])
                        .unwrap();
                    value[at + 2] = 0xf6;
                })
            },
        ),
        ("another size than its entry", "corrupt", |edit, record| {
            with_record(edit, record, |record| record.size += 7)
        }),
        ("the kind of a container", "corrupt", |edit, record| {
            with_record(edit, record, |record| record.kind = ItemKind::Container)
        }),
        ("another id", "corrupt", |edit, record| {
            with_record(edit, record, |record| record.id.push('x'))
        }),
        ("another container", "corrupt", |edit, record| {
            with_record(edit, record, |record| record.container.push('x'))
        }),
    ];
    for (what, code, spoil) in spoils {
        let store = memory();
        let repository = new_repository(&store).await;
        let files = some_files(5, 20, 3_000);
        let mut manifest = manifest("alice", 1, None);
        let writer = repository.writer(manifest.run);
        let mut edits = store_files(&writer, &files, PartMode::File).await.unwrap();
        let victim = edits
            .iter_mut()
            .find(|edit| String::from_utf8_lossy(&edit.key).ends_with("file0009"))
            .unwrap();
        let Edit::Put { value, .. } = &victim.edit else {
            panic!("no removal")
        };
        let record = ItemRecord::decode(value).unwrap();
        *victim = spoil(victim.clone(), &record);
        manifest.root = writer
            .update_tree(None, stream::iter(edits.into_iter().map(Ok)))
            .await
            .unwrap();
        commit_point(&repository, &writer, &manifest).await.unwrap();

        let report = verify(&repository).await;
        assert_eq!(report.damage.len(), 1, "{what}: {:?}", report.damage);
        let damage = &report.damage[0];
        assert!(
            damage.object.starts_with("packs/") && damage.what.contains("file0009"),
            "{what}: {damage:?}"
        );
        get(&store, &damage.object).await;
        assert_eq!(damage.affected_count, 1, "{what}");

        let view = PointView::open(&repository, manifest.clone());
        let query = Query::parse("type:file").unwrap();
        let searched: Vec<_> = view.find(&query).collect().await;
        let (entries, errors): (Vec<_>, Vec<_>) = searched.into_iter().partition(Result::is_ok);
        assert_eq!((entries.len(), errors.len()), (19, 1), "{what}: {errors:?}");
        let error = errors.into_iter().next().unwrap().unwrap_err();
        assert!(error.message().contains("file0009"), "{what}: {error:?}");
        assert_eq!(error.code(), code, "{what}");
        // Page by page, in pages smaller than what is there: no entry twice, none left out.
        let (mut listed, mut spoiled, mut after) = (BTreeSet::new(), 0, None);
        loop {
            let request = PageRequest {
                after: after.take(),
                limit: 2,
            };
            let page = view.list("dir2", request).await.unwrap();
            for entry in &page.entries {
                assert!(
                    listed.insert(entry.id().to_owned()),
                    "{what}: {} twice",
                    entry.id()
                );
            }
            spoiled += page.spoiled.len();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(spoiled, 1, "{what}");
        let there = files.keys().filter(|path| path.starts_with("dir2/")).count();
        assert_eq!(listed.len(), there - 1, "{what}: {listed:?}");

        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let options = ExportOptions::new(Destination::Directory(out.clone()));
        let report = export(&repository, &manifest, Selection::All, options)
            .wait()
            .await
            .unwrap();
        assert_eq!(report.outcome, RecoveryOutcome::Partial, "{what}");
        assert_eq!(report.items, 19, "{what}");
        assert_eq!(report.failed.len(), 1, "{what}: {:?}", report.failed);
        assert_eq!(
            (report.failed[0].id.as_str(), report.failed[0].code.as_str()),
            ("id-file0009", code)
        );
        assert!(report.failed[0].path.starts_with("DIR2/"), "{:?}", report.failed);
        let listed = std::fs::read_to_string(out.join(MANIFEST_NAME)).unwrap();
        let lines: Vec<&str> = listed
            .lines()
            .filter(|line| line.contains("id-file0009"))
            .collect();
        assert!(lines.len() == 1 && lines[0].contains(code), "{what}: {lines:?}");
        for (path, bytes) in &files {
            let (folder, name) = path.split_once('/').unwrap();
            let file = out.join(folder.to_uppercase()).join(name);
            if name == "file0009" {
                assert!(!file.exists());
            } else {
                assert_eq!(&std::fs::read(file).unwrap(), bytes, "{what}: {path}");
            }
        }

        // An item beside it is found by its path, and it itself is refused by its id.
        let view = PointView::open(&repository, manifest.clone());
        assert_eq!(
            view.resolve_path("DIR2/file0002").await.unwrap().id(),
            "id-file0002"
        );
        let error = view.entry_by_id("id-file0009").await.unwrap_err();
        assert_eq!(error.code(), code, "{what}");
    }
}

/// A folder whose record cannot be used: what is in it comes out all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_without_a_usable_record_keeps_its_items() {
    let store = memory();
    let repository = new_repository(&store).await;
    let files = some_files(6, 14, 500);
    let mut manifest = manifest("alice", 1, None);
    let writer = repository.writer(manifest.run);
    let mut edits = store_files(&writer, &files, PartMode::File).await.unwrap();
    let victim = edits.iter_mut().find(|edit| edit.key.ends_with(b"dir3")).unwrap();
    if let Edit::Put { size, .. } = &mut victim.edit {
        *size = 1;
    }
    manifest.root = writer
        .update_tree(None, stream::iter(edits.into_iter().map(Ok)))
        .await
        .unwrap();
    commit_point(&repository, &writer, &manifest).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let options = ExportOptions::new(Destination::Directory(out));
    let report = export(&repository, &manifest, Selection::All, options)
        .wait()
        .await
        .unwrap();
    assert_eq!(
        (report.items, report.failed.len()),
        (14, 1),
        "{:?}",
        report.failed
    );
    assert_eq!(report.failed[0].id, "dir3");
}

#[tokio::test]
async fn an_older_state_says_so() {
    // The two newest commits cannot be read: both are named.
    let (pristine, _) = sample().await;
    let store = copy(&pristine).await;
    let commits: Vec<String> = (2..=3).map(|seq| format!("log/{seq:020}")).collect();
    for name in &commits {
        let mut bytes = get(&store, name).await;
        *bytes.last_mut().unwrap() ^= 1;
        put(&store, name, bytes).await;
    }
    let repository = reopen(&store).await.unwrap();
    assert_eq!(repository.info().await.unwrap().head, 1);
    assert_eq!(repository.log_damage()[0].object, commits[0]);
    let report = verify(&repository).await;
    for name in &commits {
        assert!(
            report.damage.iter().any(|damage| damage.object == *name),
            "{:?}",
            report.damage
        );
    }
    assert!(reopen(&pristine).await.unwrap().log_damage().is_empty());

    // The log ends before a checkpoint that cannot be read, or is gone altogether: not an empty repository.
    let pristine = memory();
    let repository = new_repository(&pristine).await;
    for number in 1..=17 {
        let files = some_files(u64::from(number), 1, 100);
        back_up(&repository, "alice", number, &files, None).await.unwrap();
    }
    let checkpoints = names(&pristine, "checkpoint").await;
    assert_eq!(checkpoints.len(), 1);
    for kept in [0, 10] {
        let store = copy(&pristine).await;
        put(&store, &checkpoints[0], b"damaged".to_vec()).await;
        for name in names(&store, "log").await.split_off(kept) {
            store.delete(&Path::from(name.as_str())).await.unwrap();
        }
        let repository = reopen(&store).await.unwrap();
        assert_eq!(repository.info().await.unwrap().head, kept as u64);
        let damage = repository.log_damage().remove(0);
        assert_eq!(damage.object, format!("log/{:020}", kept + 1));
        assert!(damage.what.contains("checkpoint/"), "{damage:?}");
        let error = back_up(&repository, "bob", 99, &some_files(9, 1, 10), None)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        let report = verify(&repository).await;
        assert!(report.damage.iter().any(|found| found.object == damage.object));
    }
}
