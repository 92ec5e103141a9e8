//! From stored bytes back to a part's bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::encoding::{Encoding, LineEnd};
use super::lines::MAX_LINE_CHARS;
use crate::error::{FormatError, Result};

const WHAT: &str = "segment";

/// Turns the stored bytes of one segment into the part's bytes, piece by piece.
#[derive(Debug)]
pub struct SegmentJoiner {
    encoding: Encoding,
    /// What the segment's record says.
    expected: u64,
    produced: u64,
    /// Stored bytes of the line that is not complete yet.
    line: Vec<u8>,
    /// Lines written so far need their line end before the next one.
    owes_eol: bool,
}

impl SegmentJoiner {
    /// Begins a segment with this encoding and this length in the part.
    ///
    /// # Errors
    /// `Corrupt` for an impossible line length.
    pub fn new(encoding: Encoding, length: u64) -> Result<Self> {
        if let Encoding::Base64 { line_length, .. } = encoding
            && (line_length == 0 || line_length % 4 != 0 || usize::from(line_length) > MAX_LINE_CHARS)
        {
            return Err(FormatError::corrupt(WHAT, "a base64 line of impossible length"));
        }
        Ok(Self {
            encoding,
            expected: length,
            produced: 0,
            line: Vec::new(),
            owes_eol: false,
        })
    }

    /// Adds stored bytes; appends the part's bytes to `out`.
    ///
    /// # Errors
    /// `Corrupt` when the segment becomes longer than its record says; `out` is then to be thrown away.
    pub fn push(&mut self, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        match self.encoding {
            Encoding::Raw => out.extend_from_slice(stored),
            Encoding::Base64 { line_length, eol, .. } => {
                let line_bytes = usize::from(line_length) / 4 * 3;
                let mut rest = stored;
                if !self.line.is_empty() {
                    let missing = (line_bytes - self.line.len()).min(rest.len());
                    self.line.extend_from_slice(&rest[..missing]);
                    rest = &rest[missing..];
                    if self.line.len() == line_bytes {
                        let line = std::mem::take(&mut self.line);
                        self.encode_line(&line, eol, out);
                    }
                }
                let mut lines = rest.chunks_exact(line_bytes);
                for line in &mut lines {
                    self.encode_line(line, eol, out);
                }
                self.line.extend_from_slice(lines.remainder());
            }
        }
        self.count(out.len() - before)
    }

    /// Ends the segment.
    ///
    /// # Errors
    /// `Corrupt` when its length is not what its record says.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        if let Encoding::Base64 {
            eol, last_line_eol, ..
        } = self.encoding
        {
            if !self.line.is_empty() {
                let line = std::mem::take(&mut self.line);
                self.encode_line(&line, eol, out);
            }
            if self.owes_eol && last_line_eol {
                out.extend_from_slice(eol.as_bytes());
            }
        }
        self.count(out.len() - before)?;
        if self.produced == self.expected {
            Ok(())
        } else {
            Err(FormatError::corrupt(WHAT, "shorter than its record says"))
        }
    }

    fn encode_line(&mut self, line: &[u8], eol: LineEnd, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.owes_eol, true) {
            out.extend_from_slice(eol.as_bytes());
        }
        let at = out.len();
        out.resize(at + line.len().div_ceil(3) * 4, 0);
        let written = out.get_mut(at..).map(|room| STANDARD.encode_slice(line, room));
        match written {
            Some(Ok(length)) => out.truncate(at + length),
            // There is room for it; and if not, the segment comes out shorter than its record says, which is an error.
            _ => out.truncate(at),
        }
    }

    fn count(&mut self, more: usize) -> Result<()> {
        self.produced += more as u64;
        if self.produced > self.expected {
            return Err(FormatError::corrupt(WHAT, "longer than its record says"));
        }
        Ok(())
    }
}
