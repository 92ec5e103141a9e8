//! How stored bytes become a part's bytes.

use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

use super::lines::MAX_LINE_CHARS;
use crate::cbor::{UnknownTag, coded_enum};

coded_enum! {
    /// The end of a line.
    LineEnd, "line end" {
        /// Carriage return and line feed.
        Crlf = 0 "crlf",
        /// Line feed alone.
        Lf = 1 "lf",
    }
}

impl LineEnd {
    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Crlf => b"\r\n",
            Self::Lf => b"\n",
        }
    }
}

/// How stored bytes become a part's bytes. Stored as `[0]`, or `[1, line length, line end, last line end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Encoding {
    /// They are the part's bytes.
    #[default]
    Raw,
    /// They are encoded as padded base64 (RFC 4648, section 4) in lines.
    Base64 {
        /// Characters per line: a multiple of 4, from 4 to [`MAX_LINE_CHARS`]. The last line may be shorter.
        line_length: u16,
        /// What ends every line.
        eol: LineEnd,
        /// Whether the last line has a line end too.
        last_line_eol: bool,
    },
}

impl Encoding {
    /// Whether stored bytes are the part's bytes.
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        matches!(self, Self::Raw)
    }

    /// Length of the part's bytes for `stored` stored bytes; `None` when it does not fit.
    #[must_use]
    pub fn encoded_length(&self, stored: u64) -> Option<u64> {
        match *self {
            Self::Raw => Some(stored),
            Self::Base64 {
                line_length,
                eol,
                last_line_eol,
            } => {
                let chars = stored.div_ceil(3).checked_mul(4)?;
                let lines = chars.div_ceil(u64::from(line_length).max(1));
                let ends = if last_line_eol {
                    lines
                } else {
                    lines.saturating_sub(1)
                };
                chars.checked_add(ends.checked_mul(eol.as_bytes().len() as u64)?)
            }
        }
    }
}

impl<C> Encode<C> for Encoding {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Raw => e.array(1)?.u8(0)?.ok(),
            Self::Base64 {
                line_length,
                eol,
                last_line_eol,
            } => e
                .array(4)?
                .u8(1)?
                .u16(*line_length)?
                .u8(eol.code())?
                .bool(*last_line_eol)?
                .ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Encoding {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        use minicbor::decode::Error;
        let at = d.position();
        let length = d.array()?;
        match (d.u64()?, length) {
            (0, Some(1)) => Ok(Self::Raw),
            (1, Some(4)) => {
                let line_length = d.u16()?;
                if line_length == 0 || line_length % 4 != 0 || usize::from(line_length) > MAX_LINE_CHARS {
                    return Err(Error::message("a base64 line of impossible length").at(at));
                }
                Ok(Self::Base64 {
                    line_length,
                    eol: LineEnd::decode(d, ctx)?,
                    last_line_eol: d.bool()?,
                })
            }
            (0 | 1, _) => Err(Error::message("an encoding of wrong length").at(at)),
            (tag, _) => Err(Error::custom(UnknownTag("encoding", tag)).at(at)),
        }
    }
}
