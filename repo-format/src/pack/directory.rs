//! The directory at the end of a pack.

use super::block::{BlockEntry, Entries, open_block};
use super::{MAX_DIRECTORY_BYTES, MAX_PACK_BYTES};
use crate::cbor;
use crate::codec::{Codec, SEAL_OVERHEAD_BYTES};
use crate::crypto::KeySet;
use crate::error::{FormatError, Result};
use crate::ids::PackId;
use crate::object::{HEADER_BYTES, ObjectHeader, ObjectType};

const WHAT: &str = "directory";
const MAGIC: &[u8; 8] = b"NAKIVOPK";

/// Length of a [`PackFooter`] in bytes.
pub const FOOTER_BYTES: usize = 16;

/// The last 16 bytes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackFooter {
    /// Length of the sealed directory in front of the footer.
    pub directory_length: u32,
    /// Number of blocks; repeated in the directory.
    pub blocks: u32,
}

impl PackFooter {
    /// The 16 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; FOOTER_BYTES] {
        let mut out = [0; FOOTER_BYTES];
        out[..4].copy_from_slice(&self.directory_length.to_le_bytes());
        out[4..8].copy_from_slice(&self.blocks.to_le_bytes());
        out[8..].copy_from_slice(MAGIC);
        out
    }

    /// Reads the footer at the end of `tail`.
    ///
    /// # Errors
    /// `Truncated`, `BadMagic`, `LimitExceeded`.
    pub fn decode(tail: &[u8]) -> Result<Self> {
        let raw: &[u8; FOOTER_BYTES] = tail
            .last_chunk()
            .ok_or(FormatError::Truncated { what: "pack footer" })?;
        if &raw[8..] != MAGIC {
            return Err(FormatError::BadMagic { what: "pack footer" });
        }
        let directory_length = u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]);
        let limit = MAX_DIRECTORY_BYTES as u64 + SEAL_OVERHEAD_BYTES as u64;
        if u64::from(directory_length) > limit {
            return Err(FormatError::LimitExceeded {
                what: WHAT,
                limit,
                found: directory_length.into(),
            });
        }
        Ok(Self {
            directory_length,
            blocks: u32::from_le_bytes([raw[4], raw[5], raw[6], raw[7]]),
        })
    }

    /// How many bytes from the end of the pack hold directory and footer.
    #[must_use]
    pub fn tail_length(&self) -> u64 {
        u64::from(self.directory_length) + FOOTER_BYTES as u64
    }
}

/// What a pack holds, block by block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// The blocks in the order in which they lie in the pack.
    pub blocks: Vec<BlockEntry>,
}

impl Directory {
    /// The deterministic CBOR of the directory, before compression and sealing.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be encoded; does not happen.
    pub fn encode(&self) -> Result<Vec<u8>> {
        cbor::encode(WHAT, &Entries(self.blocks.clone()))
    }

    /// Reads what [`Directory::encode`] wrote.
    ///
    /// # Errors
    /// `Truncated`, `Corrupt`, `UnsupportedFeature`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(Self {
            blocks: cbor::decode::<Entries>(WHAT, bytes)?.0,
        })
    }

    /// Where the last block ends, which is where the sealed directory begins.
    #[must_use]
    pub fn blocks_end(&self) -> u64 {
        self.blocks
            .last()
            .map_or(HEADER_BYTES as u64, |last| last.range().end)
    }

    /// Seals directory and footer: the tail of the pack.
    pub(super) fn seal(&self, keys: &KeySet, codec: &mut Codec) -> Result<Vec<u8>> {
        let plain = self.encode()?;
        if plain.len() > MAX_DIRECTORY_BYTES as usize {
            return Err(FormatError::LimitExceeded {
                what: WHAT,
                limit: MAX_DIRECTORY_BYTES.into(),
                found: plain.len() as u64,
            });
        }
        let header = keys.header(ObjectType::Pack, 0).encode();
        let aad: [&[u8]; 2] = [&header, WHAT.as_bytes()];
        let mut tail = codec.seal(keys.current(), WHAT, &aad, &[], &[&plain])?;
        let length = |n: usize| {
            u32::try_from(n).map_err(|_| FormatError::LimitExceeded {
                what: WHAT,
                limit: u32::MAX.into(),
                found: n as u64,
            })
        };
        let footer = PackFooter {
            directory_length: length(tail.len())?,
            blocks: length(self.blocks.len())?,
        };
        tail.extend_from_slice(&footer.encode());
        Ok(tail)
    }
}

/// Opens the directory from the last bytes of a pack.
///
/// `tail` must hold at least [`PackFooter::tail_length`] bytes and end where the pack ends; `pack_size` is the
/// length of the whole pack, which must be exactly header, blocks, directory and footer.
///
/// # Errors
/// `Truncated`, `BadMagic`, `LimitExceeded`, `IdMismatch`, `Authentication`, `Corrupt`.
pub fn open_directory(
    keys: &KeySet,
    codec: &mut Codec,
    header: &ObjectHeader,
    pack_size: u64,
    tail: &[u8],
) -> Result<Directory> {
    if pack_size > MAX_PACK_BYTES {
        return Err(FormatError::LimitExceeded {
            what: "pack",
            limit: MAX_PACK_BYTES,
            found: pack_size,
        });
    }
    let footer = PackFooter::decode(tail)?;
    let epoch = keys.keys_for(header, ObjectType::Pack)?;
    let length = footer.directory_length as usize;
    let sealed = tail[..tail.len() - FOOTER_BYTES]
        .last_chunk_of(length)
        .ok_or(FormatError::Truncated { what: WHAT })?;
    let head = header.encode();
    let aad: [&[u8]; 2] = [&head, WHAT.as_bytes()];
    let plain = codec.open(&epoch, WHAT, &aad, sealed, MAX_DIRECTORY_BYTES as usize)?;
    let directory = Directory::decode(&plain)?;
    if directory.blocks.len() != footer.blocks as usize {
        return Err(FormatError::corrupt(WHAT, "the footer counts other blocks"));
    }
    if directory.blocks_end() + footer.tail_length() != pack_size {
        return Err(FormatError::corrupt(WHAT, "the blocks do not fill the pack"));
    }
    Ok(directory)
}

trait LastChunkOf {
    fn last_chunk_of(&self, length: usize) -> Option<&Self>;
}

impl LastChunkOf for [u8] {
    fn last_chunk_of(&self, length: usize) -> Option<&[u8]> {
        self.len().checked_sub(length).map(|at| &self[at..])
    }
}

/// Opens header and directory of a whole pack.
///
/// # Errors
/// As [`ObjectHeader::decode`] and [`open_directory`].
pub fn open_pack(keys: &KeySet, codec: &mut Codec, pack: &[u8]) -> Result<(ObjectHeader, Directory)> {
    let header = ObjectHeader::decode(pack)?;
    let directory = open_directory(keys, codec, &header, pack.len() as u64, pack)?;
    Ok((header, directory))
}

/// Checks every byte of a whole pack: its id, its directory, every block and every chunk.
///
/// # Errors
/// `IdMismatch` when the bytes are not the pack `id`; else as [`open_pack`] and [`open_block`].
pub fn verify_pack(keys: &KeySet, codec: &mut Codec, id: &PackId, pack: &[u8]) -> Result<Directory> {
    if &PackId::of(pack) != id {
        return Err(FormatError::IdMismatch { what: "pack" });
    }
    let (header, directory) = open_pack(keys, codec, pack)?;
    for entry in &directory.blocks {
        let (start, end) = (
            entry.offset as usize,
            entry.offset as usize + entry.stored_length as usize,
        );
        let bytes = pack
            .get(start..end)
            .ok_or(FormatError::Truncated { what: "block" })?;
        open_block(keys, codec, &header, entry, bytes)?;
    }
    Ok(directory)
}
