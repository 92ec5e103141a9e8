//! Edits of a tree, and their stored form (a spilled, sorted run of edits).

use bytes::Bytes;
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::cbor;
use crate::error::Result;

/// What to do with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Sets its value.
    Put {
        /// What the entry adds to the sum of sizes.
        size: u64,
        /// The value.
        value: Bytes,
    },
    /// Removes it, if it is there.
    Delete,
}

/// One edit. Stored as `[key, size, value]`, or `[key]` for a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEdit {
    /// The key.
    pub key: Vec<u8>,
    /// What to do with it.
    pub edit: Edit,
}

impl<C> Encode<C> for TreeEdit {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match &self.edit {
            Edit::Put { size, value } => e.array(3)?.bytes(&self.key)?.u64(*size)?.bytes(value)?.ok(),
            Edit::Delete => e.array(1)?.bytes(&self.key)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for TreeEdit {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let length = d.array()?;
        let key = d.bytes()?.to_vec();
        let edit = match length {
            Some(1) => Edit::Delete,
            Some(3) => Edit::Put {
                size: d.u64()?,
                value: Bytes::copy_from_slice(d.bytes()?),
            },
            _ => return Err(minicbor::decode::Error::message("an edit of wrong length").at(at)),
        };
        Ok(Self { key, edit })
    }
}

/// Encodes edits as a CBOR sequence. Results may be appended.
///
/// # Errors
/// `Corrupt` when an edit cannot be encoded; does not happen.
pub fn encode_edits(edits: &[TreeEdit]) -> Result<Vec<u8>> {
    cbor::encode_sequence("edits", edits)
}

/// Decodes a CBOR sequence of edits. For long runs use [`crate::sequence::SequenceReader`].
///
/// # Errors
/// `Truncated`, `Corrupt`.
pub fn decode_edits(bytes: &[u8]) -> Result<Vec<TreeEdit>> {
    cbor::decode_sequence("edits", bytes)
}
