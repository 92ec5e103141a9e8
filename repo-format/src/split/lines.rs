//! Finding base64 in a byte stream, line by line, knowing nothing of MIME.
//!
//! A run of equally long lines of the base64 alphabet with equal line ends, and the shorter line after it, is
//! taken out and decoded when encoding it again gives the identical bytes. Everything else stays as it is, so
//! any input comes back exactly, mail or not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use memchr::memchr;

use super::encoding::{Encoding, LineEnd};

/// The longest line that can be part of a run, in characters.
pub const MAX_LINE_CHARS: usize = 996;

/// Input is looked at in pieces of this many bytes.
const PIECE_BYTES: usize = 64 << 10;

/// When a run is worth a segment of its own. Policy of the writer; readers do not need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MimePolicy {
    /// Full lines a run must have.
    pub min_lines: usize,
    /// Characters its full lines must have together.
    pub min_chars: usize,
    /// After this many base64 segments everything is raw, so that hostile input cannot make a record grow
    /// without bound.
    pub max_segments: usize,
}

impl Default for MimePolicy {
    /// 8 lines, 512 characters, 1024 segments.
    fn default() -> Self {
        Self {
            min_lines: 8,
            min_chars: 512,
            max_segments: 1024,
        }
    }
}

/// Receives what [`MimeSplitter`] finds, in order.
pub trait SplitSink {
    /// Bytes to be kept as they are. Calls in a row belong to one segment.
    fn raw(&mut self, bytes: &[u8]);
    /// A base64 segment begins.
    fn begin(&mut self);
    /// Decoded bytes of the open base64 segment.
    fn decoded(&mut self, bytes: &[u8]);
    /// The open base64 segment ends; `length` is its length in the input.
    fn end(&mut self, encoding: Encoding, length: u64);
}

#[derive(Debug, Clone, Copy)]
struct Run {
    chars: usize,
    eol: LineEnd,
}

impl Run {
    const fn stride(self) -> usize {
        self.chars + self.eol.as_bytes().len()
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Looking for a run.
    Text {
        /// Lines that may be the beginning of a run: where they begin, what they are like, how many.
        candidate: Option<(usize, Run, usize)>,
        /// Inside a line that is too long to matter.
        in_long_line: bool,
    },
    /// Inside a run.
    Base64 {
        run: Run,
        /// Input bytes of the segment so far.
        length: u64,
    },
}

const TEXT: State = State::Text {
    candidate: None,
    in_long_line: false,
};

/// Splits a stream into raw and base64 segments. Holds back a bounded number of bytes, whatever the input.
#[derive(Debug)]
pub struct MimeSplitter {
    policy: MimePolicy,
    /// Bytes that are not handed on yet.
    buffer: Vec<u8>,
    /// Everything before is handed on.
    start: usize,
    /// Where the next line to look at begins (text only).
    scan: usize,
    state: State,
    segments: usize,
    packed: Vec<u8>,
    plain: Vec<u8>,
}

impl Default for MimeSplitter {
    fn default() -> Self {
        Self::new(MimePolicy::default())
    }
}

impl MimeSplitter {
    /// A splitter for one stream.
    #[must_use]
    pub fn new(policy: MimePolicy) -> Self {
        Self {
            policy,
            buffer: Vec::new(),
            start: 0,
            scan: 0,
            state: TEXT,
            segments: 0,
            packed: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// Bytes held back at the moment.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Takes in the next bytes.
    pub fn push(&mut self, data: &[u8], sink: &mut impl SplitSink) {
        for piece in data.chunks(PIECE_BYTES) {
            self.buffer.extend_from_slice(piece);
            self.process(false, sink);
            self.buffer.drain(..self.start);
            if let State::Text {
                candidate: Some((begin, ..)),
                ..
            } = &mut self.state
            {
                *begin -= self.start;
            }
            self.scan = self.scan.saturating_sub(self.start);
            self.start = 0;
        }
    }

    /// Ends the stream. The splitter is then as new.
    pub fn finish(&mut self, sink: &mut impl SplitSink) {
        self.process(true, sink);
        if self.start < self.buffer.len() {
            sink.raw(&self.buffer[self.start..]);
        }
        *self = Self::new(self.policy);
    }

    fn process(&mut self, at_end: bool, sink: &mut impl SplitSink) {
        loop {
            let again = match self.state {
                State::Text { .. } if self.segments >= self.policy.max_segments => {
                    self.scan = self.buffer.len();
                    self.state = TEXT;
                    false
                }
                State::Text {
                    candidate,
                    in_long_line,
                } => self.text(candidate, in_long_line, sink),
                State::Base64 { run, length } => self.base64(run, length, at_end, sink),
            };
            if !again {
                break;
            }
        }
        if let State::Text { candidate, .. } = self.state {
            let upto = candidate.map_or(self.scan, |(begin, ..)| begin);
            if upto > self.start {
                sink.raw(&self.buffer[self.start..upto]);
                self.start = upto;
            }
        }
    }

    /// Looks at lines until a run is found (`true`) or more input is needed (`false`).
    fn text(
        &mut self,
        mut candidate: Option<(usize, Run, usize)>,
        mut in_long_line: bool,
        sink: &mut impl SplitSink,
    ) -> bool {
        loop {
            let rest = &self.buffer[self.scan..];
            let Some(end) = memchr(b'\n', rest) else {
                if in_long_line || rest.len() > MAX_LINE_CHARS + 2 {
                    in_long_line = true;
                    candidate = None;
                    self.scan = self.buffer.len();
                }
                self.state = State::Text {
                    candidate,
                    in_long_line,
                };
                return false;
            };
            let begin = self.scan;
            self.scan += end + 1;
            let (line, eol) = split_eol(&rest[..end]);
            if std::mem::take(&mut in_long_line) || !is_full_line(line) {
                candidate = None;
                continue;
            }
            let (from, run, count) = match candidate {
                Some((from, run, count)) if run.chars == line.len() && run.eol == eol => {
                    (from, run, count + 1)
                }
                _ => (
                    begin,
                    Run {
                        chars: line.len(),
                        eol,
                    },
                    1,
                ),
            };
            if count >= self.policy.min_lines && count * run.chars >= self.policy.min_chars {
                if from > self.start {
                    sink.raw(&self.buffer[self.start..from]);
                }
                self.start = from;
                self.scan = from;
                sink.begin();
                self.state = State::Base64 { run, length: 0 };
                return true;
            }
            candidate = Some((from, run, count));
        }
    }

    /// Decodes lines until the run ends (`true`) or more input is needed (`false`).
    fn base64(&mut self, run: Run, mut length: u64, at_end: bool, sink: &mut impl SplitSink) -> bool {
        length += self.full_lines(run, sink);
        let rest = &self.buffer[self.start..];
        let newline = memchr(b'\n', &rest[..rest.len().min(run.stride())]);
        let last = match newline {
            Some(end) => {
                let (line, eol) = split_eol(&rest[..end]);
                (eol == run.eol).then_some((line, end + 1, true))
            }
            None if rest.len() < run.stride() && !at_end => {
                self.state = State::Base64 { run, length };
                return false;
            }
            None if at_end => Some((rest, rest.len(), false)),
            None => None,
        };
        let mut last_line_eol = true;
        if let Some((line, taken, has_eol)) = last
            && !line.is_empty()
            && line.len() <= run.chars
            && line.len().is_multiple_of(4)
        {
            self.plain.clear();
            // The engine insists on canonical padding and zero trailing bits.
            if STANDARD.decode_vec(line, &mut self.plain).is_ok() {
                sink.decoded(&self.plain);
                self.start += taken;
                length += taken as u64;
                last_line_eol = has_eol;
            }
        }
        // At most MAX_LINE_CHARS, which fits.
        let line_length = run.chars as u16;
        sink.end(
            Encoding::Base64 {
                line_length,
                eol: run.eol,
                last_line_eol,
            },
            length,
        );
        self.segments += 1;
        self.scan = self.start;
        self.state = TEXT;
        true
    }

    /// Decodes as many full lines as there are; returns how many input bytes they take.
    fn full_lines(&mut self, run: Run, sink: &mut impl SplitSink) -> u64 {
        let (stride, eol) = (run.stride(), run.eol.as_bytes());
        self.packed.clear();
        for line in self.buffer[self.start..].chunks_exact(stride) {
            let (chars, end) = line.split_at(run.chars);
            if end != eol {
                break;
            }
            self.packed.extend_from_slice(chars);
        }
        self.plain.clear();
        if STANDARD_NO_PAD.decode_vec(&self.packed, &mut self.plain).is_err() {
            // Some line is not of the alphabet: keep those before it.
            let good = self
                .packed
                .chunks_exact(run.chars)
                .take_while(|line| is_full_line(line))
                .count();
            self.packed.truncate(good * run.chars);
            self.plain.clear();
            if STANDARD_NO_PAD.decode_vec(&self.packed, &mut self.plain).is_err() {
                return 0;
            }
        }
        if self.packed.is_empty() {
            return 0;
        }
        sink.decoded(&self.plain);
        let taken = self.packed.len() / run.chars * stride;
        self.start += taken;
        taken as u64
    }
}

/// Splits a line (without its line feed) from its carriage return.
fn split_eol(line: &[u8]) -> (&[u8], LineEnd) {
    match line {
        [line @ .., b'\r'] => (line, LineEnd::Crlf),
        line => (line, LineEnd::Lf),
    }
}

/// Whether a line can be a full line of a run.
fn is_full_line(line: &[u8]) -> bool {
    !line.is_empty()
        && line.len() <= MAX_LINE_CHARS
        && line.len().is_multiple_of(4)
        && line
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}
