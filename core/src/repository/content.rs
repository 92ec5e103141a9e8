//! Reading content: the chunks of a part, some ahead, joined to the original bytes and compared with their hash.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use nakivo_repo_format::record::{ContentPart, Segment, SegmentData, SegmentList};
use nakivo_repo_format::sequence::SequenceReader;
use nakivo_repo_format::split::{Encoding, SegmentJoiner};
use nakivo_repo_format::{Blob, ChunkRef, ContentHash, PartHasher};

use super::Repository;
use super::objects::{corrupt, format_error};
use super::read::Pattern;
use super::shared::Shared;
use super::write::PartMode;
use crate::error::{Error, Result};

/// Chunks of one stream read at once.
const PARALLEL_CHUNKS: usize = 4;
/// Largest blob that is read into memory as a whole.
const MAX_BLOB_BYTES: u64 = 64 << 20;

impl Repository {
    /// One chunk, verified.
    ///
    /// # Errors
    /// `Corrupt`, naming the object, if its bytes are damaged or missing; those of the store.
    pub async fn read_chunk(&self, chunk: &ChunkRef) -> Result<Bytes> {
        self.shared.read_chunk(chunk, Pattern::Unknown).await
    }

    /// The bytes of a blob, in pieces. The first error ends the stream.
    pub fn read_blob(&self, blob: &Blob) -> BoxStream<'static, Result<Bytes>> {
        read_blob(&self.shared, blob)
    }

    /// The bytes of a blob of at most 64 MiB, whole.
    ///
    /// # Errors
    /// `InvalidInput` for a larger one; else as [`Repository::read_chunk`].
    pub async fn read_blob_bytes(&self, blob: &Blob) -> Result<Bytes> {
        let size = blob.size();
        if size > MAX_BLOB_BYTES {
            return Err(Error::invalid("blob", format!("{size} bytes"), "at most 64 MiB"));
        }
        let mut pieces: Vec<Bytes> = self.read_blob(blob).try_collect().await?;
        if pieces.len() == 1 {
            return Ok(pieces.swap_remove(0));
        }
        let mut whole = BytesMut::new();
        for piece in pieces {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The original bytes of a part, in pieces. The first error ends the stream; length and hash of the whole are checked
    /// at its end, so bytes are certain to be right once the stream has ended without an error.
    pub fn read_part(&self, part: &ContentPart) -> BoxStream<'static, Result<Bytes>> {
        read_part(&self.shared, part)
    }

    /// How the content of a part was cut when it was stored.
    ///
    /// # Errors
    /// `Corrupt` if the list of its segments is damaged; those of the store.
    pub(crate) async fn mode_of(&self, part: &ContentPart) -> Result<PartMode> {
        let mut segments = segments(&self.shared, &part.segments);
        while let Some(segment) = segments.try_next().await? {
            if !segment.encoding.is_raw() {
                return Ok(PartMode::Mime);
            }
        }
        // Without base64 in it, a message is cut like a file.
        Ok(PartMode::File)
    }

    /// A number that grows along the store: who has many parts to read reads them fastest in the order of this number. It
    /// is good for this handle only.
    #[must_use]
    pub fn placement(&self, part: &ContentPart) -> u64 {
        self.shared.placement(part)
    }

    /// Starts reading the content of parts that will be read at once.
    pub(crate) fn preload<'a>(&self, parts: impl Iterator<Item = &'a ContentPart>) {
        self.shared.preload(parts.flat_map(listed_chunks));
    }

    /// The original bytes of a part of at most `limit` bytes, whole.
    ///
    /// # Errors
    /// `InvalidInput` for a longer part; `Corrupt`; those of the store.
    pub async fn read_part_bytes(&self, part: &ContentPart, limit: u64) -> Result<Bytes> {
        if part.size > limit {
            return Err(Error::invalid(
                &part.name,
                format!("{} bytes", part.size),
                &format!("at most {limit} bytes"),
            ));
        }
        let mut pieces: Vec<Bytes> = self.read_part(part).try_collect().await?;
        if pieces.len() == 1 {
            return Ok(pieces.swap_remove(0));
        }
        Ok(pieces.concat().into())
    }
}

pub(super) fn read_blob(shared: &Arc<Shared>, blob: &Blob) -> BoxStream<'static, Result<Bytes>> {
    match blob {
        Blob::Inline(bytes) => stream::iter([Ok(Bytes::from(bytes.clone()))]).boxed(),
        Blob::Chunks { chunks, .. } => {
            let shared = Arc::clone(shared);
            let pattern = if chunks.len() > 1 {
                Pattern::Sequential
            } else {
                Pattern::Unknown
            };
            stream::iter(chunks.clone())
                .map(move |chunk| {
                    let shared = Arc::clone(&shared);
                    async move { shared.read_chunk(&chunk, pattern).await }
                })
                .buffered(PARALLEL_CHUNKS)
                .boxed()
        }
    }
}

/// One thing to do to join a part.
enum Job {
    Begin(Encoding, u64),
    Stored(Bytes),
    Chunk(ChunkRef),
    End,
}

fn jobs_of(segment: Segment) -> impl Iterator<Item = Job> {
    let begin = Job::Begin(segment.encoding, segment.length);
    let (inline, chunks) = match segment.data {
        SegmentData::Inline(bytes) => (Some(Job::Stored(bytes.into())), Vec::new()),
        SegmentData::Chunks(chunks) => (None, chunks),
    };
    std::iter::once(begin)
        .chain(inline)
        .chain(chunks.into_iter().map(Job::Chunk))
        .chain(std::iter::once(Job::End))
}

/// The segments of a part, read piece by piece where their list is stored as chunks.
pub(super) fn segments(shared: &Arc<Shared>, list: &SegmentList) -> BoxStream<'static, Result<Segment>> {
    match list {
        SegmentList::Direct(segments) => stream::iter(segments.clone()).map(Ok).boxed(),
        SegmentList::Indirect(blob) => {
            let bad = |error| format_error("segment list", error);
            let state = (
                read_blob(shared, blob),
                Some(SequenceReader::<Segment>::new("segment list")),
            );
            stream::try_unfold(state, move |(mut bytes, mut reader)| async move {
                loop {
                    let Some(open) = &mut reader else { return Ok(None) };
                    if let Some(segment) = open.next_value().map_err(bad)? {
                        return Ok(Some((segment, (bytes, reader))));
                    }
                    match bytes.try_next().await? {
                        Some(piece) => open.push(&piece),
                        None => {
                            if let Some(reader) = reader.take() {
                                reader.finish().map_err(bad)?;
                            }
                        }
                    }
                }
            })
            .boxed()
        }
    }
}

/// The chunk that is all of a part, byte for byte. Its id is the hash of these bytes under the key that the part's hash is made with,
/// and is compared when its block is opened, so a part whose hash is that id need not be hashed a second time.
fn only_chunk(part: &ContentPart) -> Option<ChunkRef> {
    let SegmentList::Direct(segments) = &part.segments else {
        return None;
    };
    let [segment] = segments.as_slice() else {
        return None;
    };
    let [chunk] = segment.chunks() else {
        return None;
    };
    let length = u64::from(chunk.length);
    let whole = segment.encoding.is_raw() && segment.length == length && part.size == length;
    (whole && chunk.id.as_bytes() == part.hash.as_bytes()).then_some(*chunk)
}

/// The chunks that a part lists itself.
pub(super) fn listed_chunks(part: &ContentPart) -> impl Iterator<Item = &ChunkRef> {
    let (segments, blob) = match &part.segments {
        SegmentList::Direct(segments) => (segments.as_slice(), [].as_slice()),
        SegmentList::Indirect(blob) => ([].as_slice(), blob.chunks()),
    };
    segments.iter().flat_map(Segment::chunks).chain(blob)
}

pub(super) fn read_part(shared: &Arc<Shared>, part: &ContentPart) -> BoxStream<'static, Result<Bytes>> {
    if let Some(chunk) = only_chunk(part) {
        let shared = Arc::clone(shared);
        let read = async move { shared.read_chunk(&chunk, Pattern::Unknown).await };
        return stream::once(read).boxed();
    }
    // Only a long run of chunks is known to lie in one piece. What a mail is made of lies here and there: text in shared blocks, an
    // attachment wherever it was met first.
    let long = match &part.segments {
        SegmentList::Direct(segments) => segments
            .iter()
            .any(|segment| segment.chunks().len() > PARALLEL_CHUNKS),
        SegmentList::Indirect(_) => true,
    };
    let pattern = if long {
        Pattern::Sequential
    } else {
        Pattern::Unknown
    };
    let reader = Arc::clone(shared);
    let stored = segments(shared, &part.segments)
        .map_ok(|segment| stream::iter(jobs_of(segment).map(Ok::<Job, Error>)))
        .try_flatten()
        .map(move |job| {
            let shared = Arc::clone(&reader);
            async move {
                Ok(match job? {
                    Job::Chunk(chunk) => Job::Stored(shared.read_chunk(&chunk, pattern).await?),
                    job => job,
                })
            }
        })
        .buffered(PARALLEL_CHUNKS)
        .boxed();
    let join = Join {
        stored,
        open: None,
        ready: VecDeque::new(),
        hasher: Some(shared.keys().part_hasher()),
        size: 0,
        expected_size: part.size,
        expected_hash: part.hash,
        name: part.name.clone(),
    };
    stream::try_unfold(join, |mut join| async move {
        let piece = join.next().await?;
        Ok(piece.map(|piece| (piece, join)))
    })
    .boxed()
}

/// The open segment.
enum Open {
    /// Its stored bytes are the part's bytes; so many are still to come.
    Raw(u64),
    Encoded(SegmentJoiner),
}

struct Join {
    stored: BoxStream<'static, Result<Job>>,
    open: Option<Open>,
    ready: VecDeque<Bytes>,
    /// Gone once the end was checked.
    hasher: Option<PartHasher>,
    size: u64,
    expected_size: u64,
    expected_hash: ContentHash,
    name: String,
}

impl Join {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            match self.stored.try_next().await? {
                Some(job) => self.take(job)?,
                None => return self.finish().map(|()| None),
            }
        }
    }

    fn take(&mut self, job: Job) -> Result<()> {
        let bad = |error| format_error("content", error);
        match job {
            Job::Begin(encoding, length) if encoding.is_raw() => self.open = Some(Open::Raw(length)),
            Job::Begin(encoding, length) => {
                self.open = Some(Open::Encoded(SegmentJoiner::new(encoding, length).map_err(bad)?));
            }
            Job::Stored(bytes) => match &mut self.open {
                Some(Open::Raw(left)) => {
                    let Some(rest) = left.checked_sub(bytes.len() as u64) else {
                        return Err(self.wrong("a segment is too long"));
                    };
                    *left = rest;
                    self.give(bytes);
                }
                Some(Open::Encoded(joiner)) => {
                    let mut out = Vec::with_capacity(bytes.len() / 3 * 4 + bytes.len() / 16 + 128);
                    joiner.push(&bytes, &mut out).map_err(bad)?;
                    self.give(out.into());
                }
                None => return Err(self.wrong("content outside of a segment")),
            },
            Job::Chunk(_) => return Err(Error::internal("a chunk was not read")),
            Job::End => match self.open.take() {
                Some(Open::Raw(0)) => {}
                Some(Open::Encoded(joiner)) => {
                    let mut out = Vec::new();
                    joiner.finish(&mut out).map_err(bad)?;
                    self.give(out.into());
                }
                Some(Open::Raw(_)) | None => return Err(self.wrong("a segment is too short")),
            },
        }
        Ok(())
    }

    fn give(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.size += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        self.ready.push_back(bytes);
    }

    fn finish(&mut self) -> Result<()> {
        let Some(hasher) = self.hasher.take() else {
            return Ok(());
        };
        if self.size != self.expected_size || hasher.finalize() != self.expected_hash {
            return Err(self.wrong("its chunks are intact and do not make up the content that was backed up"));
        }
        Ok(())
    }

    fn wrong(&self, what: &str) -> Error {
        corrupt(&format!("content part '{}'", self.name), what)
    }
}
