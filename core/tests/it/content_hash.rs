//! Verification compares content with its hashes, and reads it from the store.
//!
//! What is stored soundly and is not what was backed up: each part is compared with its hash, however it was cut.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use futures::{TryStreamExt, stream};
use nakivo_core::ErrorKind;
use nakivo_core::bytes::Bytes;
use nakivo_core::format::ContentHash;
use nakivo_core::format::record::ContentPart;
use nakivo_core::object_store::path::Path;
use nakivo_core::object_store::{ObjectStore, ObjectStoreExt};
use nakivo_core::repository::{PartMode, PointFilter, Repository, VerifyOptions};

use crate::repository::{
    Noise, assert_holds, back_up, body, commit_point, file_record, manifest, memory, new_repository,
    put_edit, reopen, some_files,
};

async fn read(repository: &Repository, part: &ContentPart) -> Result<Vec<u8>, ErrorKind> {
    let pieces: nakivo_core::Result<Vec<Bytes>> = repository.read_part(part).try_collect().await;
    pieces.map(|pieces| pieces.concat()).map_err(|error| error.kind())
}

/// A message with an attachment: text, base64, text.
fn message(noise: &mut Noise) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut text =
        "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            .to_owned();
    for line in noise.bytes(57 * 300).chunks(57) {
        let symbols = line.iter().flat_map(|byte| [byte & 15, byte >> 4]).take(76);
        let line: String = symbols.map(|symbol| char::from(b'A' + symbol)).collect();
        write!(text, "{line}\r\n").unwrap();
    }
    text.into_bytes()
}

#[tokio::test]
async fn a_part_is_compared_with_its_hash_however_it_was_cut() {
    let store = memory();
    let repository = new_repository(&store).await;
    let mut point = manifest("a", 1, None);
    let writer = repository.writer(point.run);
    let mut noise = Noise::new(7);
    let contents = [
        ("one-chunk", PartMode::File, noise.bytes(20_000)),
        ("many-chunks", PartMode::File, noise.bytes(9_000_000)),
        ("message", PartMode::Mime, message(&mut noise)),
        ("empty", PartMode::File, Vec::new()),
    ];
    let mut edits = Vec::new();
    let mut parts = Vec::new();
    for (name, mode, bytes) in &contents {
        let part = writer
            .put_part("content".into(), None, *mode, body(bytes, 60_000))
            .await
            .unwrap();
        let mut spoiled = part.clone();
        let mut hash = *part.hash.as_bytes();
        hash[31] ^= 1;
        spoiled.hash = ContentHash::from_bytes(hash);
        edits.push(put_edit(&file_record(&format!("good-{name}"), part.clone())));
        edits.push(put_edit(&file_record(
            &format!("spoiled-{name}"),
            spoiled.clone(),
        )));
        parts.push((part, spoiled));
    }
    edits.sort_by(|a, b| a.key.cmp(&b.key));
    point.root = writer
        .update_tree(None, stream::iter(edits.into_iter().map(Ok)))
        .await
        .unwrap();
    point.counts.items = 8;
    commit_point(&repository, &writer, &point).await.unwrap();

    let repository = reopen(&store).await.unwrap();
    for ((name, _, bytes), (part, spoiled)) in contents.iter().zip(&parts) {
        assert!(read(&repository, part).await.as_ref() == Ok(bytes), "{name}");
        assert_eq!(
            read(&repository, spoiled).await,
            Err(ErrorKind::Corrupt),
            "{name}"
        );
        let whole = repository.read_part_bytes(spoiled, u64::MAX).await;
        assert_eq!(whole.unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
    }
    let report = repository.verify(VerifyOptions::default()).wait().await.unwrap();
    let mut affected: Vec<&str> = report
        .damage
        .iter()
        .flat_map(|damage| &damage.affected)
        .map(|item| item.path.as_str())
        .collect();
    affected.sort_unstable();
    assert_eq!(
        affected,
        [
            "spoiled-empty",
            "spoiled-many-chunks",
            "spoiled-message",
            "spoiled-one-chunk"
        ]
    );
    assert!(report.damaged_points.contains(&point.id));
}

/// Changes a byte of the first block of each pack, and says which packs there are.
async fn spoil_packs(store: &Arc<dyn ObjectStore>) -> Vec<String> {
    let objects: Vec<_> = store
        .list(Some(&Path::from("packs")))
        .try_collect()
        .await
        .unwrap();
    let packs = objects.iter().map(|object| object.location.to_string()).collect();
    for object in objects {
        let bytes = store.get(&object.location).await.unwrap().bytes().await.unwrap();
        let mut bytes = bytes.to_vec();
        bytes[100] ^= 1;
        store.put(&object.location, bytes.into()).await.unwrap();
    }
    packs
}

#[tokio::test]
async fn damage_of_what_no_point_needs_is_told_as_well() {
    let store = memory();
    let repository = new_repository(&store).await;
    back_up(&repository, "gone", 1, &some_files(3, 10, 30_000), None)
        .await
        .unwrap();
    let everything = PointFilter::default();
    repository
        .delete_points(&everything, "a test", false)
        .await
        .unwrap();
    let spoiled = spoil_packs(&store).await;
    assert!(!spoiled.is_empty());
    back_up(&repository, "kept", 2, &some_files(4, 10, 30_000), None)
        .await
        .unwrap();
    let repository = reopen(&store).await.unwrap();
    let report = repository.verify(VerifyOptions::default()).wait().await.unwrap();
    let mut told: Vec<_> = report.damage.iter().map(|damage| damage.object.clone()).collect();
    told.sort_unstable();
    assert_eq!(told, spoiled, "{report:?}");
    assert!(report.damaged_points.is_empty(), "{report:?}");
}

#[tokio::test]
async fn what_was_read_earlier_hides_no_damage() {
    let store = memory();
    let repository = new_repository(&store).await;
    let files = some_files(3, 40, 30_000);
    let point = back_up(&repository, "a", 1, &files, None).await.unwrap();
    for _ in 0..3 {
        assert_holds(&repository, &point, &files).await;
    }
    spoil_packs(&store).await;
    let report = repository.verify(VerifyOptions::default()).wait().await.unwrap();
    assert!(report.damaged_points.contains(&point.id), "{report:?}");
    assert!(
        report.damage.iter().any(|damage| damage.affected_count > 0),
        "{report:?}"
    );
}
