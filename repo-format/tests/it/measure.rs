//! Throughput of the hot paths. Prints numbers, asserts nothing: run with `--features measure -- --nocapture`.

use std::time::Instant;

use base64::Engine as _;
use nakivo_repo_format::pack::{BlockInput, BlockRole, seal_block, seal_blocks};
use nakivo_repo_format::split::{Chunker, ContentSplitter, SegmentJoiner, SplitMode, SplitOutput};
use nakivo_repo_format::tree::TreeBuilder;
use nakivo_repo_format::{Codec, Compression, ItemKey};

use crate::fixtures::{Gen, keys};

/// Seconds this thread ran on a processor; wall time where the system does not say.
fn cpu_seconds(since: Instant) -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
        .map_or_else(|| since.elapsed().as_secs_f64(), |ns| ns / 1e9)
}

fn report(what: &str, bytes: usize, mut work: impl FnMut()) {
    work();
    let begin = Instant::now();
    let start = cpu_seconds(begin);
    let rounds = 3;
    for _ in 0..rounds {
        work();
    }
    let seconds = cpu_seconds(begin) - start;
    println!("{what:32} {:>8.0} MB/s", (bytes * rounds) as f64 / seconds / 1e6);
}

#[test]
fn throughput() {
    let keys = keys();
    let size = 64 << 20;
    let data = Gen::new(1).bytes(size);
    let text: Vec<u8> =
        b"Some ordinary words of a letter, repeated with numbers 12345.\r\n".repeat(size / 63);
    let engine = base64::engine::general_purpose::STANDARD;
    let encoded: Vec<u8> = engine.encode(&data[..size / 4 * 3]).into_bytes();
    let base64: Vec<u8> = encoded
        .chunks(76)
        .flat_map(|line| [line, b"\r\n".as_slice()].concat())
        .collect();

    report("chunker", size, || {
        let mut chunker = Chunker::new(&keys);
        let mut rest = data.as_slice();
        while let Some(cut) = chunker.next_cut(rest) {
            rest = &rest[cut..];
        }
    });
    for (name, mode, input) in [
        ("split plain", SplitMode::Plain, &data),
        ("split mime: text", SplitMode::Mime, &text),
        ("split mime: base64", SplitMode::Mime, &base64),
        ("split mime: random", SplitMode::Mime, &data),
    ] {
        report(name, input.len(), || {
            let mut splitter = ContentSplitter::new(&keys, mode);
            for piece in input.chunks(1 << 20) {
                splitter.push(piece);
                while let Some(output) = splitter.next_output() {
                    std::hint::black_box(&output);
                }
            }
            splitter.finish();
            while splitter.next_output().is_some() {}
        });
    }
    let mut splitter = ContentSplitter::new(&keys, SplitMode::Mime);
    splitter.push(&base64);
    splitter.finish();
    let (mut stored, mut encodings) = (Vec::new(), Vec::new());
    while let Some(output) = splitter.next_output() {
        match output {
            SplitOutput::Chunk(bytes) => stored.push(bytes),
            SplitOutput::Segment { encoding, length, .. } => encodings.push((encoding, length)),
        }
    }
    report("join base64", base64.len(), || {
        let mut out = Vec::with_capacity(base64.len() + 100);
        let mut joiner = SegmentJoiner::new(encodings[0].0, encodings[0].1).unwrap();
        for bytes in &stored {
            joiner.push(bytes, &mut out).unwrap();
        }
        joiner.finish(&mut out).unwrap();
    });
    report("chunk id, 1 MiB", size, || {
        for chunk in data.chunks(1 << 20) {
            std::hint::black_box(keys.chunk_id(chunk));
        }
    });
    for (name, compression, input, length) in [
        ("seal 1 MiB random, medium", Compression::Medium, &data, 1 << 20),
        (
            "seal 1 MiB random, disabled",
            Compression::Disabled,
            &data,
            1 << 20,
        ),
        ("seal 1 MiB text, medium", Compression::Medium, &text, 1 << 20),
        ("seal 1 MiB text, fast", Compression::Fast, &text, 1 << 20),
        ("seal 4 KiB random, medium", Compression::Medium, &data, 4 << 10),
    ] {
        let mut codec = Codec::new(compression).unwrap();
        let chunks: Vec<_> = input.chunks(length).map(|c| (keys.chunk_id(c), c)).collect();
        report(name, input.len(), || {
            for chunk in &chunks {
                std::hint::black_box(seal_block(&keys, &mut codec, BlockRole::Data, &[*chunk]).unwrap());
            }
        });
    }
    for (name, length) in [
        ("seal 4 x 1 MiB random, disabled", 1 << 20),
        ("seal 4 x 4 KiB random, disabled", 4 << 10),
    ] {
        let mut codec = Codec::new(Compression::Disabled).unwrap();
        let chunks: Vec<_> = data.chunks(length).map(|c| [(keys.chunk_id(c), c)]).collect();
        report(name, size, || {
            for four in chunks.chunks(4) {
                let inputs: Vec<_> = four
                    .iter()
                    .map(|chunks| BlockInput {
                        role: BlockRole::Data,
                        chunks,
                    })
                    .collect();
                std::hint::black_box(seal_blocks(&keys, &mut codec, &inputs).unwrap());
            }
        });
    }
    let value = Gen::new(2).bytes(400);
    let entries: Vec<_> = (0..100_000)
        .map(|i| {
            ItemKey::item("AAMkinbox", format!("AAMk{i:08}"))
                .unwrap()
                .to_bytes()
        })
        .collect();
    report("tree build, 400 byte records", entries.len() * 400, || {
        let mut builder = TreeBuilder::new(&keys);
        for key in &entries {
            builder.push(key, 1, &value).unwrap();
            while builder.take_node().is_some() {}
        }
        builder.finish().unwrap();
    });
}
