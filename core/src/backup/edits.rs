//! The edits of one run, in bounded memory: a sorted buffer, then sorted runs, merged once at the end.
//!
//! A run of 200,000 new messages makes about 100 MB of item records. They are needed in key order only once, when the
//! manifest tree is written, so they wait as compressed sorted runs; past [`MEMORY_BYTES`] the runs move into the
//! repository, which is also what lets an interrupted run resume.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use nakivo_repo_format::sequence::SequenceReader;
use nakivo_repo_format::tree::{Edit, TreeEdit, encode_edits};
use nakivo_repo_format::{Blob, FormatError, ItemKey};

use crate::error::{Error, ErrorKind, Result};
use crate::repository::Writer;

/// Plain bytes of edits held before they become a sorted run.
const BUFFER_BYTES: usize = 6 << 20;
/// Plain bytes of one separately compressed or stored piece of a run; the merge holds one of each run.
const PIECE_BYTES: usize = 64 << 10;
/// Compressed bytes of runs kept in memory; beyond, they are stored in the repository.
const MEMORY_BYTES: usize = 12 << 20;

enum Run {
    Memory(Vec<Bytes>),
    Stored(Blob),
}

/// Collects edits; the last one of a key wins.
pub(crate) struct EditLog {
    buffer: BTreeMap<Vec<u8>, Edit>,
    buffered: usize,
    runs: Vec<Run>,
    in_memory: usize,
}

impl EditLog {
    pub(crate) fn new() -> Self {
        Self {
            buffer: BTreeMap::new(),
            buffered: 0,
            runs: Vec::new(),
            in_memory: 0,
        }
    }

    /// Starts from the runs that an interrupted run left in the repository.
    pub(crate) fn resumed(spills: &[Blob]) -> Self {
        let mut log = Self::new();
        log.runs = spills.iter().cloned().map(Run::Stored).collect();
        log
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.runs.is_empty()
    }

    pub(crate) async fn push(&mut self, key: &ItemKey, edit: Edit, writer: &Writer) -> Result<()> {
        let key = key.to_bytes();
        let size = |edit: &Edit| match edit {
            Edit::Put { value, .. } => value.len(),
            Edit::Delete => 0,
        };
        self.buffered += key.len() + size(&edit) + 64;
        if let Some(previous) = self.buffer.insert(key, edit) {
            self.buffered = self.buffered.saturating_sub(size(&previous));
        }
        if self.buffered >= BUFFER_BYTES {
            self.seal_buffer()?;
            if self.in_memory > MEMORY_BYTES {
                self.store(writer).await?;
            }
        }
        Ok(())
    }

    /// Puts everything collected so far into the repository and names it, so that a progress commit can refer to it.
    pub(crate) async fn store(&mut self, writer: &Writer) -> Result<Vec<Blob>> {
        self.seal_buffer()?;
        let mut spills = Vec::with_capacity(self.runs.len());
        for run in &mut self.runs {
            if let Run::Memory(pieces) = run {
                let mut plain = Vec::new();
                for piece in pieces.iter() {
                    plain.extend_from_slice(&decompress(piece)?);
                }
                *run = Run::Stored(writer.put_blob_in_pieces(plain, PIECE_BYTES).await?);
            }
            if let Run::Stored(blob) = run {
                spills.push(blob.clone());
            }
        }
        self.in_memory = 0;
        Ok(spills)
    }

    fn seal_buffer(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut pieces = Vec::new();
        let mut plain = Vec::with_capacity(PIECE_BYTES * 2);
        for (key, edit) in std::mem::take(&mut self.buffer) {
            plain.extend_from_slice(&encode_edits(&[TreeEdit { key, edit }]).map_err(bad_run)?);
            if plain.len() >= PIECE_BYTES {
                pieces.push(compress(&plain)?);
                plain.clear();
            }
        }
        if !plain.is_empty() {
            pieces.push(compress(&plain)?);
        }
        self.buffered = 0;
        self.in_memory += pieces.iter().map(Bytes::len).sum::<usize>();
        self.runs.push(Run::Memory(pieces));
        Ok(())
    }

    /// Goes through all edits: gives them back with the keys of those that put something and that `wanted` accepts.
    pub(crate) async fn searched(
        self,
        writer: &Writer,
        wanted: impl Fn(&ItemKey) -> bool,
    ) -> Result<(Self, Vec<ItemKey>)> {
        let (mut kept, mut found) = (Self::new(), Vec::new());
        let mut edits = self.merged(writer).await?;
        while let Some(next) = edits.next().await {
            let TreeEdit { key, edit } = next?;
            let key = ItemKey::from_bytes(&key).map_err(bad_run)?;
            if matches!(edit, Edit::Put { .. }) && wanted(&key) {
                found.push(key.clone());
            }
            kept.push(&key, edit, writer).await?;
        }
        Ok((kept, found))
    }

    /// All edits in key order, one for each key: the last. `writer` stored what was put into the repository, or it is
    /// committed.
    pub(crate) async fn merged(mut self, writer: &Writer) -> Result<BoxStream<'static, Result<TreeEdit>>> {
        self.seal_buffer()?;
        let mut merge = Merge {
            sources: Vec::new(),
            heap: BinaryHeap::new(),
        };
        for run in self.runs {
            let pieces: BoxStream<'static, Result<Bytes>> = match run {
                Run::Memory(pieces) => stream::iter(pieces).map(|piece| decompress(&piece)).boxed(),
                Run::Stored(blob) => one_by_one(writer, blob),
            };
            merge.sources.push(Source {
                pieces,
                reader: Some(SequenceReader::new("sorted run of edits")),
                ahead: VecDeque::new(),
            });
        }
        for index in 0..merge.sources.len() {
            merge.refill(index).await?;
        }
        Ok(stream::try_unfold(merge, |mut merge| async move {
            Ok(merge.next().await?.map(|edit| (edit, merge)))
        })
        .boxed())
    }
}

/// The bytes of a blob, each piece read when it is asked for: reading ahead in every run at once takes the memory of all.
fn one_by_one(writer: &Writer, blob: Blob) -> BoxStream<'static, Result<Bytes>> {
    match blob {
        Blob::Inline(bytes) => stream::iter([Ok(Bytes::from(bytes))]).boxed(),
        Blob::Chunks { chunks, .. } => {
            let writer = writer.clone();
            stream::iter(chunks)
                .then(move |chunk| {
                    let writer = writer.clone();
                    async move { writer.read_chunk(&chunk).await }
                })
                .boxed()
        }
    }
}

struct Source {
    pieces: BoxStream<'static, Result<Bytes>>,
    reader: Option<SequenceReader<TreeEdit>>,
    ahead: VecDeque<TreeEdit>,
}

struct Merge {
    sources: Vec<Source>,
    /// Smallest key first; of equal keys the newest run (highest index) first.
    heap: BinaryHeap<Reverse<(Vec<u8>, Reverse<usize>)>>,
}

impl Merge {
    /// Puts the next key of source `index` on the heap, if it has one.
    async fn refill(&mut self, index: usize) -> Result<()> {
        let source = &mut self.sources[index];
        while source.ahead.is_empty()
            && let Some(mut reader) = source.reader.take()
        {
            match source.pieces.next().await {
                Some(piece) => {
                    reader.push(&piece?);
                    while let Some(edit) = reader.next_value().map_err(bad_run)? {
                        source.ahead.push_back(edit);
                    }
                    source.reader = Some(reader);
                }
                None => reader.finish().map_err(bad_run)?,
            }
        }
        if let Some(edit) = source.ahead.front() {
            self.heap.push(Reverse((edit.key.clone(), Reverse(index))));
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<TreeEdit>> {
        let Some(Reverse((key, Reverse(newest)))) = self.heap.pop() else {
            return Ok(None);
        };
        let edit = self.sources[newest].ahead.pop_front();
        self.refill(newest).await?;
        // Older runs may hold the same key: superseded.
        while let Some(Reverse((other, Reverse(index)))) = self.heap.peek() {
            if *other != key {
                break;
            }
            let index = *index;
            self.heap.pop();
            self.sources[index].ahead.pop_front();
            self.refill(index).await?;
        }
        Ok(edit)
    }
}

fn bad_run(error: FormatError) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the edits of a run: {error}")).with_source(error)
}

fn compress(plain: &[u8]) -> Result<Bytes> {
    zstd::bulk::compress(plain, 1)
        .map(Bytes::from)
        .map_err(|error| Error::internal(format!("compressing edits: {error}")))
}

fn decompress(piece: &Bytes) -> Result<Bytes> {
    zstd::stream::decode_all(piece.as_ref())
        .map(Bytes::from)
        .map_err(|error| Error::internal(format!("decompressing edits: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::TryStreamExt;
    use nakivo_repo_format::RunId;
    use object_store::memory::InMemory;

    use super::*;
    use crate::repository::{CreateOptions, Repository};
    use crate::seams::{Environment, random_bytes};

    /// What went into the repository for want of memory, and into no commit yet, is read back.
    #[tokio::test]
    async fn edits_that_do_not_fit_into_memory_come_back() {
        let env = Environment::default();
        let options = CreateOptions::unencrypted();
        let repository = Repository::create(Arc::new(InMemory::new()), options, env.clone())
            .await
            .unwrap();
        let writer = repository.writer(RunId::from_bytes([1; 16]));
        let mut log = EditLog::new();
        let mut expected = Vec::new();
        // Random bytes do not compress.
        for number in 0..400 {
            let key = ItemKey::item("", format!("{number:04}")).unwrap();
            let value: [u8; 64 << 10] = random_bytes(&*env.rng).unwrap();
            let edit = Edit::Put {
                size: number,
                value: value.to_vec().into(),
            };
            expected.push(TreeEdit {
                key: key.to_bytes(),
                edit: edit.clone(),
            });
            log.push(&key, edit, &writer).await.unwrap();
        }
        let stored = log.runs.iter().find_map(|run| match run {
            Run::Stored(blob) => blob.chunks().first(),
            Run::Memory(_) => None,
        });
        let first = stored.expect("some of it was stored");
        repository
            .read_chunk(first)
            .await
            .expect_err("no commit refers to it");
        let merged = log.merged(&writer).await.unwrap();
        let found: Vec<TreeEdit> = merged.try_collect().await.unwrap();
        assert!(found == expected);
    }
}
