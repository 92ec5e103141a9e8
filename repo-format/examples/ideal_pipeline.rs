//! What the steps of a first backup cost when nothing else is done: read, chunk, BLAKE3, zstd 3, AES-256-SIV, append.
//!
//!     ideal_pipeline TREE OUT
//!
//! Two threads share the files of TREE; each appends to a file of its own in OUT, synced at the end. No deduplication, no
//! index, no second look at what was sealed, no metadata: a mark to measure the engine against, not a backup.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use nakivo_repo_format::split::Chunker;
use nakivo_repo_format::{ChunkId, KeySet, MasterKey, RepositoryId};
use zstd::bulk::Compressor;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const THREADS: usize = 2;
/// As the engine packs: a chunk of this length is sealed alone,
const OWN_BLOCK_BYTES: usize = 64 << 10;
/// smaller ones together until they are this long.
const SHARED_BLOCK_BYTES: usize = 256 << 10;

fn main() -> Outcome<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [tree, out] = arguments.as_slice() else {
        return Err("usage: ideal_pipeline TREE OUT".into());
    };
    fs::create_dir_all(out)?;
    let mut files = Vec::new();
    list(tree, &mut files)?;
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|number| {
                let (files, next) = (&files, &next);
                scope.spawn(move || Worker::new(&out.join(number.to_string()))?.run(files, next))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread panicked")?)
    })
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

struct Worker {
    keys: KeySet,
    chunker: Chunker,
    compressor: Compressor<'static>,
    sealer: Aes256Siv,
    shared: Vec<u8>,
    ids: Vec<ChunkId>,
    out: BufWriter<File>,
}

impl Worker {
    fn new(path: &Path) -> Outcome<Self> {
        let keys = KeySet::derive(
            &MasterKey::from_random([7; 32]),
            0,
            &RepositoryId::from_bytes([7; 16]),
        );
        Ok(Self {
            chunker: Chunker::new(&keys),
            keys,
            compressor: Compressor::new(3)?,
            sealer: Aes256Siv::new(&[7; 64].into()),
            shared: Vec::new(),
            ids: Vec::new(),
            out: BufWriter::new(File::create(path)?),
        })
    }

    fn run(mut self, files: &[PathBuf], next: &AtomicUsize) -> Outcome<()> {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let content = fs::read(path)?;
            let mut rest = content.as_slice();
            self.chunker.reset();
            while !rest.is_empty() {
                let length = self.chunker.next_cut(rest).unwrap_or(rest.len());
                let (chunk, more) = rest.split_at(length);
                self.chunk(chunk)?;
                rest = more;
            }
        }
        self.close_shared()?;
        self.out.into_inner()?.sync_all()?;
        Ok(())
    }

    fn chunk(&mut self, chunk: &[u8]) -> Outcome<()> {
        self.ids.push(self.keys.chunk_id(chunk));
        if chunk.len() >= OWN_BLOCK_BYTES {
            return self.seal(chunk);
        }
        self.shared.extend_from_slice(chunk);
        if self.shared.len() >= SHARED_BLOCK_BYTES {
            self.close_shared()?;
        }
        Ok(())
    }

    fn close_shared(&mut self) -> Outcome<()> {
        let mut shared = std::mem::take(&mut self.shared);
        self.seal(&shared)?;
        shared.clear();
        self.shared = shared;
        Ok(())
    }

    fn seal(&mut self, plain: &[u8]) -> Outcome<()> {
        let compressed = self.compressor.compress(plain)?;
        let sealed = self
            .sealer
            .encrypt([b"block"], &compressed)
            .map_err(|_| "sealing failed")?;
        self.out.write_all(&sealed)?;
        Ok(())
    }
}
