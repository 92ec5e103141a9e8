//! How small items are best compressed: alone, with a trained dictionary, in blocks of several sizes, at several levels.
//!
//!     small_items FOLDER...
//!
//! Takes each file of the folders as an item, splits it as the engine does, and keeps what would share blocks: chunks under
//! 64 KiB, each once. Prints for each way the ratio of plain to stored bytes (with 64 bytes for tag and directory entry of each
//! unit), how fast one core packs and unpacks (CPU time), and what reading one item costs: bytes to fetch and time to unpack.
//! The figures of `docs/adr/0015-blocks-not-dictionaries.md` come from here.

use nakivo_repo_format::split::{ContentSplitter, SplitMode, SplitOutput};
use nakivo_repo_format::{KeySet, MasterKey, RepositoryId};
use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longer chunks have a block of their own in any case.
const SMALL_BYTES: usize = 64 << 10;
/// Tag, method, and the block's entry in directory and index.
const UNIT_OVERHEAD_BYTES: usize = 64;
/// Every so many items one is used to train a dictionary.
const TRAIN_EVERY: usize = 4;

fn main() -> Outcome<()> {
    let mut items = Vec::new();
    for folder in std::env::args_os().skip(1) {
        items.append(&mut small_chunks(Path::new(&folder))?);
    }
    let plain: usize = items.iter().map(Vec::len).sum();
    if plain == 0 {
        return Err("usage: small_items FOLDER...".into());
    }
    let mut out = stdout().lock();
    writeln!(
        out,
        "{} chunks under 64 KiB, {:.1} MB",
        items.len(),
        plain as f64 / 1e6
    )?;
    writeln!(
        out,
        "way                              level   ratio  pack MB/s  unpack MB/s  fetch/item  unpack/item"
    )?;
    let samples: Vec<&[u8]> = items.iter().step_by(TRAIN_EVERY).map(Vec::as_slice).collect();
    for level in [1, 3, 6, 9, 12] {
        let mut row = |name: &str, block: usize, dictionary: &[u8]| -> Outcome<()> {
            let way = Way {
                block,
                level,
                dictionary,
            };
            writeln!(out, "{name:32} {level:>5} {}", way.measure(&items, plain)?)?;
            Ok(())
        };
        row("each alone", 1, &[])?;
        for kib in [16, 110] {
            let dictionary = zstd::dict::from_samples(&samples, kib << 10)?;
            row(&format!("each alone, {kib} KiB dictionary"), 1, &dictionary)?;
            for block in [16, 64, 256] {
                row(
                    &format!("{block} KiB blocks, {kib} KiB dictionary"),
                    block << 10,
                    &dictionary,
                )?;
            }
        }
        for block in [16, 64, 128, 256, 512, 1024, 4096] {
            row(&format!("{block} KiB blocks"), block << 10, &[])?;
        }
    }
    Ok(())
}

/// Seconds that this thread ran on a processor, however busy the machine is. Linux only.
fn cpu_seconds() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Outcome<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn small_chunks(folder: &Path) -> Outcome<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    files(folder, &mut paths)?;
    let keys = KeySet::derive(
        &MasterKey::from_random([7; 32]),
        0,
        &RepositoryId::from_bytes([7; 16]),
    );
    let mut splitter = ContentSplitter::new(&keys, SplitMode::Mime);
    let (mut seen, mut chunks) = (HashSet::new(), Vec::new());
    for path in paths {
        splitter.push(&fs::read(path)?);
        splitter.finish();
        while let Some(output) = splitter.next_output() {
            if let SplitOutput::Chunk(bytes) = output
                && bytes.len() < SMALL_BYTES
                && seen.insert(keys.chunk_id(&bytes))
            {
                chunks.push(bytes.to_vec());
            }
        }
    }
    Ok(chunks)
}

/// One way to compress: units of at least `block` bytes, with a dictionary if it is not empty.
struct Way<'a> {
    block: usize,
    level: i32,
    dictionary: &'a [u8],
}

impl Way<'_> {
    fn measure(&self, items: &[Vec<u8>], plain: usize) -> Outcome<String> {
        let units = self.units(items);
        let mut compressor = Compressor::with_dictionary(self.level, self.dictionary)?;
        let start = cpu_seconds()?;
        let packed = units
            .iter()
            .map(|unit| compressor.compress(unit))
            .collect::<Result<Vec<_>, _>>()?;
        let packing = cpu_seconds()? - start;
        let mut decompressor = Decompressor::with_dictionary(self.dictionary)?;
        let start = cpu_seconds()?;
        for (unit, packed) in units.iter().zip(&packed) {
            let size = get_frame_content_size(packed).ok().flatten().unwrap_or(0);
            let opened = decompressor.decompress(packed, usize::try_from(size)?)?;
            if opened != *unit {
                return Err("what was packed does not come back".into());
            }
        }
        let unpacking = cpu_seconds()? - start;
        let stored: usize = packed
            .iter()
            .map(|unit| unit.len().min(plain) + UNIT_OVERHEAD_BYTES)
            .sum();
        let megabytes = plain as f64 / 1e6;
        Ok(format!(
            "{:>7.2} {:>10.0} {:>12.0} {:>8.1} kB {:>9.0} us",
            plain as f64 / (stored + self.dictionary.len()) as f64,
            megabytes / packing,
            megabytes / unpacking,
            stored as f64 / packed.len() as f64 / 1e3,
            unpacking * 1e6 / packed.len() as f64,
        ))
    }

    fn units(&self, items: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut units = vec![Vec::new()];
        for item in items {
            if units.last().is_some_and(|unit| unit.len() >= self.block) {
                units.push(Vec::new());
            }
            if let Some(unit) = units.last_mut() {
                unit.extend_from_slice(item);
            }
        }
        units
    }
}
