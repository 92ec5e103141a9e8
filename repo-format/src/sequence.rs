//! Reading a CBOR sequence piece by piece, with bounded memory.

use std::marker::PhantomData;

use minicbor::{Decode, Decoder};

use crate::cbor;
use crate::error::{FormatError, Result};

/// The longest single value of a sequence in bytes.
pub const MAX_SEQUENCE_VALUE_BYTES: usize = 64 << 20;

/// Decodes the values of a CBOR sequence (RFC 8742) whose bytes come in pieces.
#[derive(Debug)]
pub struct SequenceReader<T> {
    what: &'static str,
    buffer: Vec<u8>,
    at: usize,
    values: PhantomData<fn() -> T>,
}

impl<T: for<'b> Decode<'b, ()>> SequenceReader<T> {
    /// A reader; `what` names the sequence in errors.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            buffer: Vec::new(),
            at: 0,
            values: PhantomData,
        }
    }

    /// Adds the next bytes. Take all values with [`SequenceReader::next_value`] before adding more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next value; `None` when more bytes are needed.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedFeature`; `LimitExceeded` for a value above [`MAX_SEQUENCE_VALUE_BYTES`].
    pub fn next_value(&mut self) -> Result<Option<T>> {
        let rest = &self.buffer[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let mut decoder = Decoder::new(rest);
        match decoder.decode() {
            Ok(value) => {
                self.at += decoder.position();
                Ok(Some(value))
            }
            Err(e) if e.is_end_of_input() && rest.len() <= MAX_SEQUENCE_VALUE_BYTES => Ok(None),
            Err(e) if e.is_end_of_input() => Err(FormatError::LimitExceeded {
                what: self.what,
                limit: MAX_SEQUENCE_VALUE_BYTES as u64,
                found: rest.len() as u64,
            }),
            Err(e) => Err(cbor::error(self.what, &e)),
        }
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// `Truncated` when a value is incomplete.
    pub fn finish(self) -> Result<()> {
        if self.at == self.buffer.len() {
            Ok(())
        } else {
            Err(FormatError::Truncated { what: self.what })
        }
    }
}
