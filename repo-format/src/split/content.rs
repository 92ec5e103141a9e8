//! From a part's bytes to chunks and segments.

use std::collections::VecDeque;

use bytes::Bytes;

use super::chunker::{Chunker, ChunkerParams};
use super::encoding::Encoding;
use super::lines::{MimePolicy, MimeSplitter, SplitSink};
use crate::blob::ChunkRef;
use crate::crypto::KeySet;
use crate::record::{INLINE_SEGMENT_BYTES, Segment, SegmentData};

/// How content is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SplitMode {
    /// As one raw segment: files.
    #[default]
    Plain,
    /// With base64 taken out and decoded: MIME, and anything else that may hold base64 in lines.
    Mime,
}

/// What a [`ContentSplitter`] yields, in order: the chunks of a segment, then the segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitOutput {
    /// A chunk of the open segment: hash it, store it, remember its reference.
    Chunk(Bytes),
    /// The segment ends.
    Segment {
        /// How its stored bytes become the part's bytes.
        encoding: Encoding,
        /// Its length in the part.
        length: u64,
        /// Its stored bytes, when they are few; then it has no chunks.
        inline: Option<Bytes>,
    },
}

/// Splits one part: push its bytes, take the outputs. Holds at most one chunk and one line's worth of bytes
/// besides what is not taken yet.
#[derive(Debug)]
pub struct ContentSplitter {
    mime: Option<MimeSplitter>,
    sink: Sink,
}

#[derive(Debug)]
struct Sink {
    chunker: Chunker,
    /// Bytes of the open chunk.
    open: Vec<u8>,
    /// Stored bytes of the open segment.
    stored: u64,
    inline_limit: usize,
    outputs: VecDeque<SplitOutput>,
}

impl ContentSplitter {
    /// A splitter with the default policies.
    #[must_use]
    pub fn new(keys: &KeySet, mode: SplitMode) -> Self {
        Self::with_policy(
            keys,
            mode,
            ChunkerParams::default(),
            MimePolicy::default(),
            INLINE_SEGMENT_BYTES,
        )
    }

    /// A splitter with other policies. Raw segments up to `inline_limit` bytes are kept inline.
    #[must_use]
    pub fn with_policy(
        keys: &KeySet,
        mode: SplitMode,
        chunks: ChunkerParams,
        mime: MimePolicy,
        inline_limit: usize,
    ) -> Self {
        Self {
            mime: (mode == SplitMode::Mime).then(|| MimeSplitter::new(mime)),
            sink: Sink {
                chunker: Chunker::with_params(keys, chunks),
                open: Vec::new(),
                stored: 0,
                inline_limit,
                outputs: VecDeque::new(),
            },
        }
    }

    /// Takes in the next bytes of the part. Take the outputs before pushing much more.
    pub fn push(&mut self, data: &[u8]) {
        match &mut self.mime {
            Some(mime) => mime.push(data, &mut self.sink),
            None => self.sink.raw(data),
        }
    }

    /// Ends the part. Take the remaining outputs; then the splitter is ready for the next part.
    pub fn finish(&mut self) {
        if let Some(mime) = &mut self.mime {
            mime.finish(&mut self.sink);
        }
        self.sink.end_raw();
    }

    /// Takes the next output.
    pub fn next_output(&mut self) -> Option<SplitOutput> {
        self.sink.outputs.pop_front()
    }
}

impl Sink {
    fn store(&mut self, mut data: &[u8]) {
        self.stored += data.len() as u64;
        while let Some(cut) = self.chunker.next_cut(data) {
            self.open.extend_from_slice(&data[..cut]);
            data = &data[cut..];
            self.end_chunk();
        }
        self.open.extend_from_slice(data);
    }

    fn end_chunk(&mut self) {
        // Chunks wait in packs to be; do not let them hold twice their length.
        let mut chunk = std::mem::take(&mut self.open);
        if chunk.capacity() > chunk.len() + chunk.len() / 4 {
            chunk.shrink_to_fit();
        }
        self.outputs.push_back(SplitOutput::Chunk(chunk.into()));
    }

    fn end_segment(&mut self, encoding: Encoding, length: u64, inline_limit: usize) {
        let mut inline = None;
        if self.stored as usize == self.open.len() && self.open.len() <= inline_limit {
            inline = Some(Bytes::from(std::mem::take(&mut self.open)));
        } else if !self.open.is_empty() {
            self.end_chunk();
        }
        self.chunker.reset();
        self.stored = 0;
        self.outputs.push_back(SplitOutput::Segment {
            encoding,
            length,
            inline,
        });
    }

    fn end_raw(&mut self) {
        if self.stored > 0 {
            self.end_segment(Encoding::Raw, self.stored, self.inline_limit);
        }
    }
}

impl SplitSink for Sink {
    fn raw(&mut self, bytes: &[u8]) {
        self.store(bytes);
    }

    fn begin(&mut self) {
        self.end_raw();
    }

    fn decoded(&mut self, bytes: &[u8]) {
        self.store(bytes);
    }

    fn end(&mut self, encoding: Encoding, length: u64) {
        self.end_segment(encoding, length, 0);
    }
}

/// Raw segments of more chunks than this are cut, so that a long list can be read piece by piece.
const SEGMENT_CHUNKS: usize = 1024;

/// Puts the outputs of a [`ContentSplitter`] together to the segments of a part.
#[derive(Debug, Clone, Default)]
pub struct SegmentsBuilder {
    segments: Vec<Segment>,
    open: Vec<ChunkRef>,
    chunks: usize,
}

impl SegmentsBuilder {
    /// An empty part.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A chunk of the open segment was stored (or was there already).
    pub fn chunk(&mut self, chunk: ChunkRef) {
        self.chunks += 1;
        self.open.push(chunk);
    }

    /// The open segment ends: the fields of [`SplitOutput::Segment`].
    pub fn segment(&mut self, encoding: Encoding, length: u64, inline: Option<Bytes>) {
        let chunks = std::mem::take(&mut self.open);
        if let Some(bytes) = inline {
            let data = SegmentData::Inline(bytes.to_vec());
            self.segments.push(Segment {
                encoding,
                length,
                data,
            });
        } else if encoding.is_raw() && chunks.len() > SEGMENT_CHUNKS {
            for some in chunks.chunks(SEGMENT_CHUNKS) {
                let length = some.iter().map(|c| u64::from(c.length)).sum();
                self.segments.push(Segment {
                    encoding,
                    length,
                    data: SegmentData::Chunks(some.to_vec()),
                });
            }
        } else {
            self.segments.push(Segment {
                encoding,
                length,
                data: SegmentData::Chunks(chunks),
            });
        }
    }

    /// Number of chunks so far; above [`crate::record::DIRECT_CHUNKS`] store the list indirectly.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// The segments.
    #[must_use]
    pub fn finish(self) -> Vec<Segment> {
        self.segments
    }
}
