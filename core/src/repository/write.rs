//! Writing: content becomes chunks, new chunks become packs, edits become trees.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use nakivo_repo_format::log::IndexRef;
use nakivo_repo_format::manifest::{LedgerEntry, encode_ledger};
use nakivo_repo_format::pack::BlockRole;
use nakivo_repo_format::record::{ContentPart, DIRECT_CHUNKS, Segment, SegmentList, encode_segments};
use nakivo_repo_format::split::{ContentSplitter, Encoding, SegmentsBuilder, SplitMode, SplitOutput};
use nakivo_repo_format::tree::{RangeScan, TreeEdit, TreeRoot};
use nakivo_repo_format::{
    Blob, ChunkId, ChunkRef, ContentHash, ItemKey, ItemRecord, KeyKind, KeySet, PartHasher, RunId,
};
use serde::Serialize;

use super::objects::format_error;
use super::shared::Shared;
use super::tree;
use crate::error::Result;

mod packer;
mod segments;

pub(crate) use packer::Packer;
pub(crate) use segments::Segments;

/// Content is cut and hashed in batches of about this many bytes, off the event loop.
const BATCH_BYTES: usize = 512 << 10;
/// Below this, handing a batch to another thread costs more than it takes to cut and hash it.
const INLINE_BATCH_BYTES: usize = 96 << 10;
/// Blobs up to this length lie in the record that refers to them.
const INLINE_BLOB_BYTES: usize = 4096;
/// Blobs are cut into chunks of this length: they are read from front to back and seldom repeat.
const BLOB_CHUNK_BYTES: usize = 1 << 20;
/// More segments than this, and their list is stored as chunks.
const DIRECT_SEGMENTS: usize = 64;

/// How the content of a part is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PartMode {
    /// A file: cut where its content suggests.
    #[default]
    File,
    /// A message: base64 is stored decoded, so that an attachment equals the file it came from.
    Mime,
    /// A small record such as JSON.
    Plain,
}

impl PartMode {
    /// How the engine cuts a part of this name and media type.
    pub(crate) fn of(name: &str, media_type: Option<&str>) -> Self {
        match (name, media_type) {
            ("mime", _) | (_, Some("message/rfc822")) => Self::Mime,
            ("json", _) => Self::Plain,
            _ => Self::File,
        }
    }
}

/// What a writer did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct WriteStats {
    /// Bytes of parts and blobs that were handed in.
    pub bytes_read: u64,
    /// Plain bytes of chunks that were not known before, tree nodes included.
    pub bytes_new: u64,
    /// Bytes that reached the store: packs and index segments.
    pub bytes_stored: u64,
    /// Chunks that were not known before.
    pub chunks_new: u64,
    /// Chunks that were.
    pub chunks_known: u64,
    /// Packs stored.
    pub packs: u64,
}

impl std::ops::Add for WriteStats {
    type Output = Self;

    /// What two writers did together.
    fn add(self, other: Self) -> Self {
        Self {
            bytes_read: self.bytes_read + other.bytes_read,
            bytes_new: self.bytes_new + other.bytes_new,
            bytes_stored: self.bytes_stored + other.bytes_stored,
            chunks_new: self.chunks_new + other.chunks_new,
            chunks_known: self.chunks_known + other.chunks_known,
            packs: self.packs + other.packs,
        }
    }
}

/// Stores what one run reads. Calls may run at the same time.
///
/// Nothing becomes visible before a commit refers to the segments that [`Writer::flush`] returns. The first error sticks:
/// every later call returns it. Dropping a writer, or any of its futures, leaves at worst objects nobody refers to.
#[derive(Debug, Clone)]
pub struct Writer {
    pub(super) packer: Arc<Packer>,
    run: RunId,
}

impl Writer {
    pub(super) fn new(shared: &Arc<Shared>, run: RunId) -> Self {
        let packer = Arc::new(Packer::new(Arc::clone(shared)));
        shared
            .writers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::downgrade(&packer));
        Self { packer, run }
    }

    /// The run it writes for.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Stores one part of an item's content.
    ///
    /// # Errors
    /// An error of `body`, as it is: nothing of the part is kept then. `StorageFull`, `PermissionMissing`, `Unavailable`
    /// of the store; `Internal` if what was sealed does not open again.
    ///
    /// # Cancellation
    /// Safe: chunks stored so far stay and are found again by a later part with the same content.
    pub async fn put_part(
        &self,
        name: String,
        media_type: Option<String>,
        mode: PartMode,
        mut body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ContentPart> {
        self.packer.check()?;
        let mut part = Part::new(&self.packer.shared().keys(), mode);
        let mut builder = SegmentsBuilder::new();
        loop {
            let mut batch = Vec::new();
            let mut length = 0;
            let mut ended = false;
            while length < BATCH_BYTES {
                match body.next().await {
                    Some(bytes) => {
                        let bytes = bytes?;
                        length += bytes.len();
                        batch.push(bytes);
                    }
                    None => {
                        ended = true;
                        break;
                    }
                }
            }
            let (returned, pieces) = self.digest(part, batch, length, ended).await?;
            part = returned;
            self.store(&mut builder, pieces).await?;
            if ended {
                return self.finish(name, media_type, &part, builder).await;
            }
        }
    }

    /// Stores a part whose bytes are at hand, such as a JSON record.
    ///
    /// # Errors
    /// As [`Writer::put_part`].
    pub async fn put_small(
        &self,
        name: String,
        media_type: Option<String>,
        bytes: Bytes,
    ) -> Result<ContentPart> {
        self.packer.check()?;
        let mut builder = SegmentsBuilder::new();
        let length = bytes.len();
        let part = Part::new(&self.packer.shared().keys(), PartMode::Plain);
        let (part, pieces) = self.digest(part, vec![bytes], length, true).await?;
        self.store(&mut builder, pieces).await?;
        self.finish(name, media_type, &part, builder).await
    }

    /// Cuts and hashes a batch.
    async fn digest(
        &self,
        part: Part,
        batch: Vec<Bytes>,
        length: usize,
        last: bool,
    ) -> Result<(Part, Vec<Piece>)> {
        self.packer
            .counters()
            .bytes_read
            .fetch_add(length as u64, Ordering::Relaxed);
        if length <= INLINE_BATCH_BYTES {
            return Ok(part.digest(&batch, last));
        }
        self.packer
            .shared()
            .env
            .computing
            .run(move || Ok(part.digest(&batch, last)))
            .await
    }

    async fn store(&self, builder: &mut SegmentsBuilder, pieces: Vec<Piece>) -> Result<()> {
        for piece in pieces {
            match piece {
                Piece::Chunk(id, bytes) => builder.chunk(self.packer.add(BlockRole::Data, id, bytes).await?),
                Piece::Segment {
                    encoding,
                    length,
                    inline,
                } => builder.segment(encoding, length, inline),
            }
        }
        Ok(())
    }

    async fn finish(
        &self,
        name: String,
        media_type: Option<String>,
        part: &Part,
        builder: SegmentsBuilder,
    ) -> Result<ContentPart> {
        let chunks = builder.chunks();
        let segments: Vec<Segment> = builder.finish();
        let segments = if chunks > DIRECT_CHUNKS || segments.len() > DIRECT_SEGMENTS {
            let list = encode_segments(&segments).map_err(|error| format_error("segment list", error))?;
            SegmentList::Indirect(self.put_chunks(list, BLOB_CHUNK_BYTES).await?)
        } else {
            SegmentList::Direct(segments)
        };
        let attributes = std::collections::BTreeMap::new();
        Ok(ContentPart {
            name,
            media_type,
            size: part.size,
            hash: part.hash(),
            segments,
            attributes,
        })
    }

    /// Stores bytes that are no item's content: a ledger, a cursor, run state. Few bytes are returned in place.
    ///
    /// # Errors
    /// As [`Writer::put_part`].
    pub async fn put_blob(&self, bytes: Vec<u8>) -> Result<Blob> {
        self.packer.check()?;
        if bytes.len() <= INLINE_BLOB_BYTES {
            return Ok(Blob::Inline(bytes));
        }
        self.put_chunks(bytes, BLOB_CHUNK_BYTES).await
    }

    /// As [`Writer::put_blob`], in chunks of this length: for one of many blobs that are read side by side.
    pub(crate) async fn put_blob_in_pieces(&self, bytes: Vec<u8>, piece_bytes: usize) -> Result<Blob> {
        self.packer.check()?;
        if bytes.len() <= INLINE_BLOB_BYTES {
            return Ok(Blob::Inline(bytes));
        }
        self.put_chunks(bytes, piece_bytes).await
    }

    async fn put_chunks(&self, bytes: Vec<u8>, piece_bytes: usize) -> Result<Blob> {
        let mut rest = Bytes::from(bytes);
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(piece_bytes));
            let id = self.packer.shared().keys().chunk_id(&piece);
            chunks.push(self.packer.add(BlockRole::Other, id, piece).await?);
        }
        Ok(Blob::from_chunks(chunks))
    }

    /// Stores a tree node made elsewhere.
    ///
    /// # Errors
    /// As [`Writer::put_part`].
    pub async fn put_tree_node(&self, bytes: Bytes) -> Result<ChunkRef> {
        let id = self.packer.shared().keys().chunk_id(&bytes);
        self.packer.add(BlockRole::Tree, id, bytes).await
    }

    /// Applies edits to a manifest tree and returns the root of the result: the tree that building its content from nothing
    /// would give. Reads only nodes on the paths of edits; `base` may be a tree this writer made before.
    ///
    /// # Errors
    /// An error of `edits`; `Internal` if they are not in strictly ascending order of their keys; `Corrupt` if a node of
    /// `base` is damaged; those of [`Writer::put_part`].
    pub async fn update_tree(
        &self,
        base: Option<TreeRoot>,
        edits: impl Stream<Item = Result<TreeEdit>> + Send,
    ) -> Result<Option<TreeRoot>> {
        self.packer.check()?;
        let (root, stats) = tree::edit(&self.packer, base, edits).await?;
        tracing::debug!(run = %self.run, ?stats, "the manifest tree was updated");
        Ok(root)
    }

    /// One entry of a tree that this writer made, flushed or not, or that is committed.
    ///
    /// # Errors
    /// `Corrupt`, naming the damaged object; those of the store.
    pub async fn get(&self, root: Option<&TreeRoot>, key: &ItemKey) -> Result<Option<ItemRecord>> {
        tree::get(tree::NodeSource::Run(Arc::clone(&self.packer)), root, key).await
    }

    /// How many containers are in a tree that this writer made, flushed or not.
    ///
    /// # Errors
    /// As [`Writer::get`].
    pub(crate) async fn count_containers(&self, root: Option<TreeRoot>) -> Result<u64> {
        let source = tree::NodeSource::Run(Arc::clone(&self.packer));
        tree::entries(source, RangeScan::all(root))
            .try_fold(0, |count, entry| async move {
                let (key, _) = tree::decode_entry(&entry)?;
                Ok(count + u64::from(key.kind() == KeyKind::Container))
            })
            .await
    }

    /// Stores the ledger of a run; `None` if there is nothing to report.
    ///
    /// # Errors
    /// As [`Writer::put_part`].
    pub async fn put_ledger(&self, entries: &[LedgerEntry]) -> Result<Option<Blob>> {
        if entries.is_empty() {
            return Ok(None);
        }
        let bytes = encode_ledger(entries).map_err(|error| format_error("ledger", error))?;
        self.put_blob(bytes).await.map(Some)
    }

    /// Reads a chunk that is committed or that this writer stored, flushed or not.
    ///
    /// # Errors
    /// `Corrupt`, naming the object; those of the store.
    pub async fn read_chunk(&self, chunk: &ChunkRef) -> Result<Bytes> {
        self.packer.read_chunk(chunk, super::read::Pattern::Unknown).await
    }

    /// Stores everything that was handed in by calls that have returned, checks that the store has it, and returns the
    /// index segments that no commit refers to yet: put them into an `AddIndex` of the commit that needs them.
    ///
    /// Safe while other calls are under way; what they hand in meanwhile may be in or not.
    ///
    /// # Errors
    /// As [`Writer::put_part`]; `Unavailable` if the store does not have what it acknowledged.
    ///
    /// # Cancellation
    /// Safe: storing goes on in the background.
    pub async fn flush(&self) -> Result<Vec<IndexRef>> {
        self.packer.flush().await
    }

    /// What this writer did so far.
    #[must_use]
    pub fn stats(&self) -> WriteStats {
        self.packer.stats()
    }
}

/// A part on its way through splitter and hasher.
struct Part {
    keys: KeySet,
    splitter: ContentSplitter,
    hasher: PartHasher,
    size: u64,
    /// The hash, where it is known without hashing: a part of one raw chunk bears the chunk's.
    known: Option<ContentHash>,
}

enum Piece {
    Chunk(ChunkId, Bytes),
    Segment {
        encoding: Encoding,
        length: u64,
        inline: Option<Bytes>,
    },
}

impl Part {
    fn new(keys: &KeySet, mode: PartMode) -> Self {
        let mode = match mode {
            PartMode::Mime => SplitMode::Mime,
            PartMode::File | PartMode::Plain => SplitMode::Plain,
        };
        Self {
            keys: keys.clone(),
            splitter: ContentSplitter::new(keys, mode),
            hasher: keys.part_hasher(),
            size: 0,
            known: None,
        }
    }

    fn digest(mut self, batch: &[Bytes], last: bool) -> (Self, Vec<Piece>) {
        let whole = self.size == 0 && last;
        let mut pieces = Vec::new();
        for bytes in batch {
            self.size += bytes.len() as u64;
            self.splitter.push(bytes);
            self.take(&mut pieces);
        }
        if last {
            self.splitter.finish();
            self.take(&mut pieces);
        }
        match pieces.as_slice() {
            [Piece::Chunk(id, _), Piece::Segment { encoding, .. }] if whole && encoding.is_raw() => {
                self.known = Some(ContentHash::from_bytes(*id.as_bytes()));
            }
            _ => {
                for bytes in batch {
                    self.hasher.update(bytes);
                }
            }
        }
        (self, pieces)
    }

    fn take(&mut self, pieces: &mut Vec<Piece>) {
        while let Some(output) = self.splitter.next_output() {
            pieces.push(match output {
                SplitOutput::Chunk(bytes) => Piece::Chunk(self.keys.chunk_id(&bytes), bytes),
                SplitOutput::Segment {
                    encoding,
                    length,
                    inline,
                } => Piece::Segment {
                    encoding,
                    length,
                    inline,
                },
            });
        }
    }

    fn hash(&self) -> ContentHash {
        self.known.unwrap_or_else(|| self.hasher.finalize())
    }
}
