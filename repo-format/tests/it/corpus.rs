//! Real mail, when it is at hand: every file comes back, and the numbers behind the block sizes.

use std::path::{Path, PathBuf};

use nakivo_repo_format::split::{ContentSplitter, SplitMode};

use crate::fixtures::keys;
use crate::splitter::{Store, join, split_with};

fn files(under: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(under) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
    found.sort();
}

fn corpus(test: &str) -> Option<Vec<(PathBuf, Vec<u8>)>> {
    let shared = std::env::var_os("NAKIVO_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let mut paths = Vec::new();
    files(&shared.join("corpus"), &mut paths);
    if paths.is_empty() {
        println!("{test}: SKIPPED: no corpus at {}", shared.display());
        return None;
    }
    Some(
        paths
            .into_iter()
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect(),
    )
}

#[test]
fn every_file_comes_back() {
    let Some(files) = corpus("every_file_comes_back") else {
        return;
    };
    let keys = keys();
    for (path, data) in &files {
        for feed in [usize::MAX, 4096, 97] {
            let mut store = Store::new();
            let splitter = ContentSplitter::new(&keys, SplitMode::Mime);
            let segments = split_with(&keys, splitter, data, feed, &mut store);
            assert_eq!(&join(&segments, &store), data, "{}", path.display());
        }
    }
    println!("{} files came back", files.len());
}

/// Prints stored sizes for several block sizes, with and without the splitter. Run with `--features measure -- --nocapture`.
#[cfg(feature = "measure")]
#[test]
fn measure_blocks_and_splitter() {
    use nakivo_repo_format::pack::{BlockRole, seal_block};
    use nakivo_repo_format::split::MimePolicy;
    use nakivo_repo_format::{Codec, Compression, SegmentData};

    let Some(files) = corpus("measure_blocks_and_splitter") else {
        return;
    };
    let keys = keys();
    let total: usize = files.iter().map(|(_, data)| data.len()).sum();
    println!("{} files, {total} bytes", files.len());
    for (name, mode, min_chars, inline) in [
        ("plain, inline 0", SplitMode::Plain, 512, 0),
        ("plain, inline 256", SplitMode::Plain, 512, 256),
        ("mime 512, inline 0", SplitMode::Mime, 512, 0),
        ("mime 512, inline 256", SplitMode::Mime, 512, 256),
        ("mime 2048, inline 256", SplitMode::Mime, 2048, 256),
        ("mime 8192, inline 256", SplitMode::Mime, 8192, 256),
    ] {
        let (mut chunks, mut order, mut refs, mut inline_bytes) = (Store::new(), Vec::new(), 0usize, 0usize);
        for (_, data) in &files {
            let policy = MimePolicy {
                min_chars,
                ..MimePolicy::default()
            };
            let splitter = ContentSplitter::with_policy(&keys, mode, Default::default(), policy, inline);
            let mut store = Store::new();
            let segments = split_with(&keys, splitter, data, usize::MAX, &mut store);
            for segment in &segments {
                if let SegmentData::Inline(bytes) = &segment.data {
                    inline_bytes += bytes.len();
                }
                for chunk in segment.chunks() {
                    refs += 1;
                    chunks.entry(chunk.id).or_insert_with(|| {
                        order.push(chunk.id);
                        store[&chunk.id].clone()
                    });
                }
            }
        }
        for limit in [0, 64 << 10, 256 << 10, 1 << 20] {
            let mut codec = Codec::new(Compression::Medium).unwrap();
            let (mut stored, mut blocks, mut open, mut filled) = (0usize, 0usize, Vec::new(), 0usize);
            let own = limit.min(64 << 10);
            let mut seal = |open: &mut Vec<(nakivo_repo_format::ChunkId, &[u8])>| {
                if !open.is_empty() {
                    stored += seal_block(&keys, &mut codec, BlockRole::Data, open)
                        .unwrap()
                        .bytes()
                        .len();
                    blocks += 1;
                    open.clear();
                }
            };
            for id in &order {
                let plain = chunks[id].as_slice();
                if plain.len() >= own {
                    seal(&mut vec![(*id, plain)]);
                    continue;
                }
                filled += plain.len();
                open.push((*id, plain));
                if filled >= limit {
                    seal(&mut open);
                    filled = 0;
                }
            }
            seal(&mut open);
            println!(
                "{name:24} block {:>5} KiB: {:>9} bytes ({:.1} %), {} blocks, {} chunks, {refs} references, inline {inline_bytes}",
                limit >> 10,
                stored,
                stored as f64 * 100.0 / total as f64,
                blocks,
                chunks.len(),
            );
        }
    }
}
