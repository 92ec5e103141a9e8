//! Figures, not assertions: run with `cargo test -p nakivo-core --features measure --test it speed -- --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use nakivo_core::format::ItemKey;
use nakivo_core::format::RunId;
use nakivo_core::format::log::Operation;
use nakivo_core::repository::{PartMode, Repository, ScanRange};
use nakivo_core::seams::Environment;
use nakivo_core::store::StoreLocation;

use super::repository::{
    Noise, body, commit_point, create_options, file_record, manifest, open_options, put_edit,
};

#[test]
fn speed_of_many_files_and_one_large() {
    // Few blocking threads: each gets a heap of its own from the C library, and those are never given back.
    let threads = std::env::var("NAKIVO_BLOCKING_THREADS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(8);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(threads)
        .enable_all()
        .build()
        .unwrap()
        .block_on(measure());
}

async fn measure() {
    let place = tempfile::tempdir().unwrap();
    let env = Environment::default();
    let location = StoreLocation::directory(place.path());
    let repository = Repository::create(location.create().await.unwrap(), create_options(), env.clone())
        .await
        .unwrap();
    let (count, size) = (8_000usize, 60_000usize);
    // Half noise, half text: compresses about as documents do.
    let text = b"The quick brown fox jumps over the lazy dog. ".repeat(1 + size / 45);
    let file = |n: usize| {
        let mut bytes = Noise::new(n as u64 + 1).bytes(size / 2);
        bytes.extend_from_slice(&text[..size / 2]);
        bytes
    };
    let seconds = |from: std::time::Duration| (env.clock.monotonic() - from).as_secs_f64();
    let writer = repository.writer(RunId::from_bytes([1; 16]));
    let start = env.clock.monotonic();
    let mut edits: Vec<_> = stream::iter(0..count)
        .map(|n| {
            let writer = writer.clone();
            let bytes = file(n);
            async move {
                let part = writer
                    .put_part("content".into(), None, PartMode::File, body(&bytes, 1 << 20))
                    .await?;
                Ok::<_, nakivo_core::Error>(put_edit(&file_record(
                    &format!("dir{:03}/file{n:06}", n / 160),
                    part,
                )))
            }
        })
        .buffer_unordered(8)
        .try_collect()
        .await
        .unwrap();
    edits.sort_by(|a, b| a.key.cmp(&b.key));
    let mut point = manifest("speed", 1, None);
    point.root = writer
        .update_tree(None, stream::iter(edits.into_iter().map(Ok)))
        .await
        .unwrap();
    commit_point(&repository, &writer, &point).await.unwrap();
    let mib = (count * size) as f64 / 1048576.0;
    println!(
        "write {count} files: {:.0} MiB/s  {:?}",
        mib / seconds(start),
        writer.stats()
    );

    let again = Repository::open(location.open().await.unwrap(), open_options(), env.clone())
        .await
        .unwrap();
    let start = env.clock.monotonic();
    let again = Arc::new(again);
    let total: u64 = again
        .scan(point.root, &ScanRange::all())
        .map(|item| {
            let again = Arc::clone(&again);
            async move {
                let (_, record): (ItemKey, _) = item?;
                let mut total = 0;
                let mut read = again.read_part(&record.parts[0]);
                while let Some(piece) = read.try_next().await? {
                    total += piece.len() as u64;
                }
                Ok::<_, nakivo_core::Error>(total)
            }
        })
        .buffered(8)
        .try_fold(0, |sum, more| async move { Ok(sum + more) })
        .await
        .unwrap();
    println!(
        "read {count} files: {:.0} MiB/s",
        total as f64 / 1048576.0 / seconds(start)
    );

    let start = env.clock.monotonic();
    let report = again.verify(Default::default()).wait().await.unwrap();
    assert!(report.is_clean());
    println!(
        "{} verify: {:.0} MiB/s of content",
        memory_now(),
        mib / seconds(start)
    );

    let large = 1024usize;
    let writer = repository.writer(RunId::from_bytes([2; 16]));
    let pieces = stream::iter(0..large).map(|n| {
        let mut bytes = Noise::new(n as u64 + 7_000_000).bytes(1 << 19);
        bytes.resize(1 << 20, b'x');
        Ok(bytes.into())
    });
    let start = env.clock.monotonic();
    let part = writer
        .put_part("content".into(), None, PartMode::File, pieces.boxed())
        .await
        .unwrap();
    let segments = writer.flush().await.unwrap();
    repository
        .commit(|_| {
            Ok(vec![Operation::AddIndex {
                segments: segments.clone(),
            }])
        })
        .await
        .unwrap();
    println!(
        "{} write {large} MiB: {:.0} MiB/s",
        memory_now(),
        large as f64 / seconds(start)
    );
    let start = env.clock.monotonic();
    let mut read = repository.read_part(&part);
    while read.try_next().await.unwrap().is_some() {}
    println!(
        "{} read {large} MiB: {:.0} MiB/s",
        memory_now(),
        large as f64 / seconds(start)
    );
}

fn memory_now() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + " ")
        .collect()
}
