//! Index segments: the directories of some packs, so that a chunk is found without reading packs.

use minicbor::{Decode, Encode};

use crate::cbor;
use crate::codec::Codec;
use crate::crypto::KeySet;
use crate::error::{FormatError, Result};
use crate::ids::{IndexId, PackId};
use crate::object::{self, ObjectType};
use crate::pack::Entries;
use crate::pack::{BlockEntry, FinishedPack};

const WHAT: &str = "index";

/// The longest index segment in bytes of plaintext.
pub const MAX_INDEX_BYTES: usize = 256 << 20;

/// A pack in an index segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedPack {
    /// The pack.
    pub id: PackId,
    /// Its length in bytes.
    pub size: u64,
    /// The epoch it is sealed in; with it a block opens without reading the pack's header.
    pub epoch: u32,
    /// The entries of its directory.
    pub blocks: Vec<BlockEntry>,
}

impl From<&FinishedPack> for IndexedPack {
    fn from(pack: &FinishedPack) -> Self {
        Self {
            id: pack.id,
            size: pack.size,
            epoch: pack.epoch,
            blocks: pack.directory.blocks.clone(),
        }
    }
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct StoredPack {
    #[n(0)]
    id: PackId,
    #[n(1)]
    size: u64,
    #[n(2)]
    epoch: u32,
    #[n(3)]
    blocks: Entries,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    packs: Vec<StoredPack>,
}

/// An index segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexSegment {
    /// The packs it describes.
    pub packs: Vec<IndexedPack>,
}

impl IndexSegment {
    /// Number of chunks in all packs of the segment.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.packs
            .iter()
            .flat_map(|p| &p.blocks)
            .map(|b| b.chunks.len() as u64)
            .sum()
    }

    /// Seals the segment: its id and its bytes.
    ///
    /// # Errors
    /// `LimitExceeded` above [`MAX_INDEX_BYTES`], `EncodeCheckFailed`.
    pub fn seal(self, keys: &KeySet, codec: &mut Codec) -> Result<(IndexId, Vec<u8>)> {
        let packs = self
            .packs
            .into_iter()
            .map(|p| StoredPack {
                id: p.id,
                size: p.size,
                epoch: p.epoch,
                blocks: Entries(p.blocks),
            })
            .collect();
        let plain = cbor::encode(WHAT, &Stored { packs })?;
        if plain.len() > MAX_INDEX_BYTES {
            return Err(FormatError::LimitExceeded {
                what: WHAT,
                limit: MAX_INDEX_BYTES as u64,
                found: plain.len() as u64,
            });
        }
        let bytes = object::seal(keys, codec, ObjectType::Index, 0, &plain)?;
        Ok((IndexId::of(&bytes), bytes))
    }

    /// Opens the segment named `id`.
    ///
    /// # Errors
    /// `IdMismatch` when the bytes are not the segment `id`; else as every sealed object.
    pub fn open(keys: &KeySet, codec: &mut Codec, id: &IndexId, bytes: &[u8]) -> Result<Self> {
        if &IndexId::of(bytes) != id {
            return Err(FormatError::IdMismatch { what: WHAT });
        }
        let plain = object::open(keys, codec, ObjectType::Index, 0, bytes, MAX_INDEX_BYTES)?;
        let stored: Stored = cbor::decode(WHAT, &plain)?;
        let packs = stored
            .packs
            .into_iter()
            .map(|p| IndexedPack {
                id: p.id,
                size: p.size,
                epoch: p.epoch,
                blocks: p.blocks.0,
            })
            .collect();
        Ok(Self { packs })
    }
}
