//! References to chunks, and small-or-chunked byte strings.

use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

use crate::cbor::UnknownTag;
use crate::ids::ChunkId;

/// A chunk and its plaintext length. Stored as `[id, length]`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct ChunkRef {
    /// The chunk.
    #[n(0)]
    pub id: ChunkId,
    /// Its plaintext length in bytes.
    #[n(1)]
    pub length: u32,
}

/// Bytes kept in place when few, as chunks when many. Stored as `[0, bytes]` or `[1, size, [chunk, ...]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blob {
    /// The bytes themselves.
    Inline(Vec<u8>),
    /// The bytes are the chunks' plaintexts, one after the other.
    Chunks {
        /// Sum of the chunks' lengths.
        size: u64,
        /// The chunks in order.
        chunks: Vec<ChunkRef>,
    },
}

impl Blob {
    /// A blob of these chunks; the size is their sum.
    #[must_use]
    pub fn from_chunks(chunks: Vec<ChunkRef>) -> Self {
        Self::Chunks {
            size: chunks.iter().map(|c| u64::from(c.length)).sum(),
            chunks,
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Chunks { size, .. } => *size,
        }
    }

    /// The chunks it refers to; none when inline.
    #[must_use]
    pub fn chunks(&self) -> &[ChunkRef] {
        match self {
            Self::Inline(_) => &[],
            Self::Chunks { chunks, .. } => chunks,
        }
    }
}

impl<C> Encode<C> for Blob {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Inline(bytes) => e.array(2)?.u8(0)?.bytes(bytes)?.ok(),
            Self::Chunks { size, chunks } => {
                e.array(3)?.u8(1)?.u64(*size)?;
                chunks.encode(e, ctx)
            }
        }
    }
}

impl<'b, C> Decode<'b, C> for Blob {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        use minicbor::decode::Error;
        let at = d.position();
        let length = d.array()?;
        match (d.u64()?, length) {
            (0, Some(2)) => Ok(Self::Inline(d.bytes()?.to_vec())),
            (1, Some(3)) => {
                let size = d.u64()?;
                let blob = Self::from_chunks(Vec::decode(d, ctx)?);
                if blob.size() != size {
                    return Err(Error::message("the size of a blob is not the sum of its chunks").at(at));
                }
                Ok(blob)
            }
            (0 | 1, _) => Err(Error::message("a blob has a wrong number of elements").at(at)),
            (tag, _) => Err(Error::custom(UnknownTag("blob", tag)).at(at)),
        }
    }
}
