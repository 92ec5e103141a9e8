//! What the index of a large repository takes: peak memory while it is opened and looked up, and how long that takes.
//!
//!     index_memory make FOLDER CHUNKS     a repository whose index lists so many chunks, in packs that are not there
//!     index_memory open FOLDER CHUNKS [SCRATCH]
//!                                         opens it, looks up a million chunks three times, and prints the figures;
//!                                         without a folder for scratch everything stays in memory
//!
//! One process for each, so that the peak is that of opening. Packs are as a mailbox makes them: a third of the bytes in
//! blocks of small chunks, the rest in chunks of their own: 208 chunks in 24 blocks.

#![allow(clippy::disallowed_methods, reason = "it measures, so it reads the clock")]

use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nakivo_core::format::index::{IndexSegment, IndexedPack};
use nakivo_core::format::log::{CommitRecord, IndexRef, Operation};
use nakivo_core::format::pack::{BlockEntry, BlockRole, ChunkEntry};
use nakivo_core::format::record::{ContentPart, Segment, SegmentData, SegmentList};
use nakivo_core::format::split::Encoding;
use nakivo_core::format::{
    ChunkId, ChunkRef, Codec, CommitHash, Compression, ContentHash, KeySet, KeySlot, PackId,
    RepositoryConfig, WriterId, paths,
};
use nakivo_core::repository::{CreateOptions, OpenOptions, Repository};
use nakivo_core::scratch::Scratch;
use nakivo_core::seams::Environment;
use object_store::local::LocalFileSystem;

type Outcome<T> = Result<T, Box<dyn Error>>;

const SHARED_BLOCKS: u64 = 8;
const SHARED_CHUNKS: u64 = 24;
const OWN_BLOCKS: u64 = 16;
const PACK_CHUNKS: u64 = SHARED_BLOCKS * SHARED_CHUNKS + OWN_BLOCKS;
/// As many as the engine puts into one segment.
const SEGMENT_PACKS: u64 = 250_000 / PACK_CHUNKS;
const LOOKUPS: u64 = 1_000_000;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match words.as_slice() {
        ["make", folder, chunks] => runtime.block_on(make(Path::new(folder), chunks.parse()?)),
        ["open", folder, chunks] => {
            runtime.block_on(open(Path::new(folder), chunks.parse()?, Scratch::default()))
        }
        ["open", folder, chunks, scratch] => {
            let scratch = Scratch::directory(scratch);
            runtime.block_on(open(Path::new(folder), chunks.parse()?, scratch))
        }
        _ => Err("usage: index_memory make|open FOLDER CHUNKS [SCRATCH]".into()),
    }
}

fn id(number: u64) -> [u8; 32] {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}

async fn make(folder: &Path, chunks: u64) -> Outcome<()> {
    fs::create_dir(folder)?;
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder)?);
    drop(Repository::create(store, CreateOptions::default(), Environment::default()).await?);
    let config = RepositoryConfig::parse(&fs::read(folder.join(paths::FORMAT))?)?;
    let slot = fs::read_dir(folder.join(paths::KEYS))?
        .next()
        .ok_or("no key slot")??;
    let ring = KeySlot::parse(&fs::read(slot.path())?)?.open_plain()?;
    let keys = KeySet::of_ring(ring, &config.id);
    let mut codec = Codec::new(Compression::Disabled)?;
    let packs = chunks / PACK_CHUNKS;
    let mut segments = Vec::new();
    for first in (0..packs).step_by(usize::try_from(SEGMENT_PACKS)?) {
        let packs: Vec<IndexedPack> = (first..packs.min(first + SEGMENT_PACKS)).map(pack).collect();
        let count = u32::try_from(packs.len())?;
        let segment = IndexSegment { packs };
        let chunks = segment.chunks();
        let (id, bytes) = segment.seal(&keys, &mut codec)?;
        write(folder, &paths::index(&id), &bytes)?;
        segments.push(IndexRef {
            id,
            size: bytes.len() as u64,
            packs: count,
            chunks,
        });
    }
    let mut seq = 1;
    let mut previous = CommitHash::from_bytes([0; 32]);
    while let Ok(bytes) = fs::read(folder.join(paths::commit(seq))) {
        (previous, seq) = (CommitHash::of(&bytes), seq + 1);
    }
    let record = CommitRecord {
        seq,
        previous,
        writer: WriterId::from_bytes([7; 16]),
        time_ms: 0,
        software: "index_memory".to_owned(),
        operations: vec![Operation::AddIndex { segments }],
        locked_ms: None,
    };
    write(folder, &paths::commit(seq), &record.seal(&keys, &mut codec)?.1)
}

fn write(folder: &Path, path: &str, bytes: &[u8]) -> Outcome<()> {
    let path = folder.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(path, bytes)?)
}

fn pack(number: u64) -> IndexedPack {
    let mut offset = 64;
    let mut next = number * PACK_CHUNKS;
    let mut block = |chunks: u64, length: u32, stored_length: u32| {
        let entry = BlockEntry {
            offset,
            stored_length,
            role: BlockRole::Data,
            chunks: (next..next + chunks)
                .map(|number| ChunkEntry {
                    id: ChunkId::from_bytes(id(number)),
                    length,
                })
                .collect(),
        };
        next += chunks;
        offset += stored_length;
        entry
    };
    let mut blocks: Vec<BlockEntry> = (0..SHARED_BLOCKS)
        .map(|_| block(SHARED_CHUNKS, 11_000, 64_000))
        .collect();
    blocks.extend((0..OWN_BLOCKS).map(|_| block(1, 900_000, 800_000)));
    IndexedPack {
        id: PackId::from_bytes(id(u64::MAX - number)),
        size: u64::from(offset) + 10_000,
        epoch: 0,
        blocks,
    }
}

async fn open(folder: &Path, chunks: u64, scratch: Scratch) -> Outcome<()> {
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder)?);
    let before = peak_mib()?;
    let start = Instant::now();
    let repository = Repository::open(
        store,
        OpenOptions::default(),
        Environment::default().with_scratch(scratch),
    )
    .await?;
    let opening = start.elapsed().as_secs_f64();
    let opened = peak_mib()?;
    let listed = chunks / PACK_CHUNKS * PACK_CHUNKS;
    // Anywhere; beyond the end: not there; one after the other, as content lies.
    let scattered = |lookup: u64| lookup.wrapping_mul(0x9E37_79B9_7F4A_7C15) % listed;
    let known = look_up(&repository, listed, scattered)?;
    let unknown = look_up(&repository, listed, |lookup| listed + scattered(lookup))?;
    let in_order = look_up(&repository, listed, |lookup| lookup % listed)?;
    writeln!(
        stdout(),
        "{listed} chunks: opened in {opening:.1} s, peak {opened} MiB opened, {} MiB in the end ({before} MiB before), \
         {:.1} bytes a chunk; lookups: {known:.2} us of a known one, {in_order:.2} us in order, {unknown:.2} us of an unknown one",
        peak_mib()?,
        (peak_mib()? - before) as f64 * 1_048_576.0 / listed as f64,
    )?;
    Ok(())
}

/// Microseconds that a look-up takes, making the id included.
fn look_up(repository: &Repository, listed: u64, number: impl Fn(u64) -> u64) -> Outcome<f64> {
    let start = Instant::now();
    for lookup in 0..LOOKUPS {
        let number = number(lookup);
        let known = repository.placement(&part(number)) != u64::MAX;
        if known != (number < listed) {
            let place = if known { "in" } else { "not in" };
            return Err(format!("chunk {number} is {place} the index").into());
        }
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / LOOKUPS as f64)
}

fn part(number: u64) -> ContentPart {
    let chunk = ChunkRef {
        id: ChunkId::from_bytes(id(number)),
        length: 1,
    };
    ContentPart {
        name: String::new(),
        media_type: None,
        size: 1,
        hash: ContentHash::from_bytes([0; 32]),
        segments: SegmentList::Direct(vec![Segment {
            encoding: Encoding::Raw,
            length: 1,
            data: SegmentData::Chunks(vec![chunk]),
        }]),
        attributes: Default::default(),
    }
}

/// Peak resident memory of this process.
fn peak_mib() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .ok_or("no VmHWM")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib / 1024)
}
