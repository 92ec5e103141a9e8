//! Putting a pack together.

use bytes::Bytes;

use super::block::{BlockEntry, SealedBlock};
use super::directory::{Directory, FOOTER_BYTES};
use super::{MAX_DIRECTORY_BYTES, MAX_PACK_BYTES};
use crate::codec::{Codec, SEAL_OVERHEAD_BYTES};
use crate::crypto::KeySet;
use crate::error::{FormatError, Result};
use crate::ids::PackId;
use crate::object::{HEADER_BYTES, ObjectType};

/// CBOR bytes of a block entry besides its chunks, at most.
const ENTRY_BYTES: u64 = 16;
/// CBOR bytes of a chunk in an entry, at most.
const CHUNK_BYTES: u64 = 40;

/// Collects sealed blocks into a pack. Holds them without copying; the id is hashed as they come.
#[derive(Debug)]
pub struct PackWriter {
    keys: KeySet,
    hasher: blake3::Hasher,
    parts: Vec<Bytes>,
    directory: Directory,
    /// Header and blocks so far.
    end: u64,
    /// Upper bound of the directory's plaintext.
    directory_bound: u64,
}

/// A finished pack.
#[derive(Debug, Clone)]
pub struct FinishedPack {
    /// Its id, which is its name.
    pub id: PackId,
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes: header, blocks, tail, in order.
    pub parts: Vec<Bytes>,
    /// The epoch it is sealed in.
    pub epoch: u32,
    /// What it holds.
    pub directory: Directory,
}

impl PackWriter {
    /// Begins a pack in the current epoch of `keys`.
    #[must_use]
    pub fn new(keys: &KeySet) -> Self {
        let header = keys.header(ObjectType::Pack, 0).encode();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header);
        Self {
            keys: keys.clone(),
            hasher,
            parts: vec![Bytes::copy_from_slice(&header)],
            directory: Directory::default(),
            end: HEADER_BYTES as u64,
            directory_bound: 16,
        }
    }

    /// Adds a block.
    ///
    /// # Errors
    /// `LimitExceeded` when the pack would pass [`MAX_PACK_BYTES`]; the pack is unchanged and can be finished.
    /// `IdMismatch` for a block of another epoch.
    pub fn append(&mut self, block: SealedBlock) -> Result<()> {
        if block.epoch != self.keys.epoch() {
            return Err(FormatError::IdMismatch {
                what: "block of another epoch",
            });
        }
        let end = self.end + block.bytes.len() as u64;
        let bound = self.directory_bound + ENTRY_BYTES + CHUNK_BYTES * block.chunks.len() as u64;
        let total = end + bound + (SEAL_OVERHEAD_BYTES + FOOTER_BYTES) as u64;
        if total > MAX_PACK_BYTES || bound > u64::from(MAX_DIRECTORY_BYTES) {
            return Err(FormatError::LimitExceeded {
                what: "pack",
                limit: MAX_PACK_BYTES,
                found: total,
            });
        }
        let too_long = |_| FormatError::LimitExceeded {
            what: "pack",
            limit: MAX_PACK_BYTES,
            found: end,
        };
        self.directory.blocks.push(BlockEntry {
            offset: u32::try_from(self.end).map_err(too_long)?,
            stored_length: u32::try_from(block.bytes.len()).map_err(too_long)?,
            role: block.role,
            chunks: block.chunks,
        });
        self.hasher.update(&block.bytes);
        self.parts.push(Bytes::from(block.bytes));
        self.end = end;
        self.directory_bound = bound;
        Ok(())
    }

    /// The epoch that it is sealed in, and every block of it.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.keys.epoch()
    }

    /// Bytes so far: header and blocks, without the tail.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end
    }

    /// Whether it holds no block yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.directory.blocks.is_empty()
    }

    /// Number of blocks so far.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.directory.blocks.len()
    }

    /// Seals the directory and ends the pack.
    ///
    /// # Errors
    /// `EncodeCheckFailed` when the directory does not open to what was sealed.
    pub fn finish(mut self, codec: &mut Codec) -> Result<FinishedPack> {
        let tail = self.directory.seal(&self.keys, codec)?;
        self.hasher.update(&tail);
        let size = self.end + tail.len() as u64;
        self.parts.push(Bytes::from(tail));
        Ok(FinishedPack {
            id: PackId::from_bytes(*self.hasher.finalize().as_bytes()),
            size,
            parts: self.parts,
            epoch: self.keys.epoch(),
            directory: self.directory,
        })
    }
}

impl FinishedPack {
    /// The whole pack in one piece. Copies; meant for tests and small packs.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts.concat()
    }
}
