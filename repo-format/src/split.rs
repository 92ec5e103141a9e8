//! From content to chunks and back: cutting where the content suggests, and storing base64 decoded.
//!
//! [`ContentSplitter`] is the whole of it for writers: push bytes, take chunks and segments. [`SegmentJoiner`]
//! is the whole of it for readers. [`Chunker`] and [`MimeSplitter`] are what they are made of.

mod chunker;
mod content;
mod encoding;
mod join;
mod lines;

pub use chunker::{Chunker, ChunkerParams};
pub use content::{ContentSplitter, SegmentsBuilder, SplitMode, SplitOutput};
pub use encoding::{Encoding, LineEnd};
pub use join::SegmentJoiner;
pub use lines::{MAX_LINE_CHARS, MimePolicy, MimeSplitter, SplitSink};
