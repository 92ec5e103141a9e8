//! Replays the corpus of every fuzz target, and inputs made from it by chance, with the stable compiler.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nakivo_repo_format::log::{Checkpoint, CommitRecord};
use nakivo_repo_format::pack::open_pack;
use nakivo_repo_format::{KeySet, KeySlot, paths};

use crate::fixtures::{Gen, codec, seed};

#[expect(unreachable_pub, reason = "the fuzz crate uses them")]
#[path = "../../../fuzz/src/bodies.rs"]
mod bodies;

/// Inputs made from each one of a corpus.
const CHANGED: usize = 40;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let targets: BTreeSet<String> = bodies::TARGETS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let programs: BTreeSet<String> = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&folder().join("fuzz_targets")), programs);
    assert_eq!(names(&folder().join("corpus")), targets);
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for name in &targets {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name}"
        );
    }
}

#[test]
fn the_corpus_is_replayed() {
    let mut g = Gen::new(seed("the_corpus_is_replayed"));
    let (mut inputs, mut changed) = (0, 0);
    for (name, body) in bodies::TARGETS {
        body(b"");
        let corpus = folder().join("corpus").join(name);
        for file in names(&corpus) {
            let input = std::fs::read(corpus.join(file)).unwrap();
            body(&input);
            inputs += 1;
            for _ in 0..CHANGED {
                body(&mutated(&mut g, &input));
                changed += 1;
            }
        }
    }
    println!(
        "counts: {} fuzz targets, {inputs} inputs of the corpus, {changed} changed ones",
        bodies::TARGETS.len()
    );
    assert!(inputs >= bodies::TARGETS.len());
}

/// The input with a few bytes changed, cut out or repeated.
fn mutated(g: &mut Gen, input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + g.below(4) {
        let at = g.below(bytes.len() + 1);
        match g.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, g.next() as u8),
            2 => {
                let end = (at + 1 + g.below(8)).min(bytes.len());
                let piece = bytes[at.min(end)..end].to_vec();
                bytes.extend(piece);
            }
            _ if at < bytes.len() => bytes[at] = g.next() as u8,
            _ => {}
        }
    }
    bytes
}

/// With `NAKIVO_WRITE_CORPUS=1`: adds the golden vectors, and what is in the golden repository, to the corpus.
#[test]
fn the_corpus_is_seeded() {
    if std::env::var_os("NAKIVO_WRITE_CORPUS").is_none() {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = here.join("tests/vectors/v1");
    let vector = |name: &str| std::fs::read(vectors.join(name)).unwrap();
    for (target, names) in [
        ("config", &["format.json"][..]),
        ("directory", &["header.bin"]),
        ("edits", &["edits.cborseq"]),
        ("item_record", &["item-record.cbor", "container-record.cbor"]),
        ("key_file", &["recovery-key.txt"]),
        (
            "key_slot",
            &["key-slot.json", "key-slot-plain.json", "key-slot-recovery.json"],
        ),
        ("ledger", &["ledger.cborseq"]),
        ("node", &["tree-root.cbor", "tree-leaf.cbor"]),
        (
            "sealed",
            &[
                "commit.bin",
                "commit-zstd.bin",
                "checkpoint.bin",
                "index.bin",
                "pack.bin",
            ],
        ),
        ("segments", &["segments.cborseq", "mail-segments.cborseq"]),
    ] {
        for name in names {
            add(target, &vector(name));
        }
    }
    for how in [0u8, 2, 30] {
        add("split", &[&[how][..], &vector("mail.eml")].concat());
    }
    let text = vector("mail.eml");
    for level in [1, 3, 19] {
        let frame = zstd::bulk::compress(&text, level).unwrap();
        add("payload", &[&[255u8, 1][..], &frame].concat());
        add("payload", &[&[0u8, 1][..], &frame].concat());
    }
    // No content size, a checksum, and two frames.
    let mut streamed = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    streamed.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut streamed, &text).unwrap();
    add(
        "payload",
        &[&[255u8, 1][..], &streamed.finish().unwrap()].concat(),
    );
    let small = zstd::bulk::compress(b"payload", 3).unwrap();
    add("payload", &[&[9u8, 1][..], &small, &small].concat());
    add("payload", b"\x01\x00stored");
    add("payload", b"\x01\x07of a method to come");
    let mut g = Gen::new(7);
    for length in [30, 300, 900] {
        let script: Vec<u8> = (0..length).map(|_| g.next() as u8).collect();
        add("tree", &script);
    }
    seed_from_repository(&here.join("tests/golden/v1/plain/NakivoBackup"));
}

fn seed_from_repository(folder: &Path) {
    let slots = names(&folder.join(paths::KEYS));
    let slot = std::fs::read(folder.join(paths::KEYS).join(slots.first().unwrap())).unwrap();
    let slot = KeySlot::parse(&slot).unwrap();
    let keys = KeySet::of_ring(slot.open_plain().unwrap(), slot.repository());
    let mut codec = codec();
    let mut log = Vec::new();
    for name in names(&folder.join(paths::LOG)) {
        let bytes = std::fs::read(folder.join(paths::LOG).join(&name)).unwrap();
        let seq = paths::parse_seq(&name).unwrap();
        let (_, record) = CommitRecord::open(&keys, &mut codec, seq, &bytes).unwrap();
        let plain = minicbor::to_vec(&record).unwrap();
        add("commit", &plain);
        log.extend(plain);
    }
    add("log", &log);
    for name in names(&folder.join(paths::CHECKPOINT)) {
        let bytes = std::fs::read(folder.join(paths::CHECKPOINT).join(&name)).unwrap();
        let seq = paths::parse_seq(&name).unwrap();
        let checkpoint = Checkpoint::open(&keys, &mut codec, seq, &bytes).unwrap();
        add("checkpoint", &minicbor::to_vec(&checkpoint).unwrap());
    }
    for first in names(&folder.join(paths::PACKS)) {
        for name in names(&folder.join(paths::PACKS).join(&first)) {
            let bytes = std::fs::read(folder.join(paths::PACKS).join(&first).join(name)).unwrap();
            let (_, directory) = open_pack(&keys, &mut codec, &bytes).unwrap();
            add("directory", &directory.encode().unwrap());
        }
    }
}

/// Adds an input under the hash of its bytes.
fn add(target: &str, input: &[u8]) {
    let corpus = folder().join("corpus").join(target);
    std::fs::create_dir_all(&corpus).unwrap();
    let name = &blake3::hash(input).to_string()[..16];
    std::fs::write(corpus.join(name), input).unwrap();
}
