//! Blocks: the unit of compression and sealing. A block holds one or more chunks.

use std::ops::Range;

use minicbor::{Decode, Decoder, Encode, Encoder};

use super::MAX_BLOCK_BYTES;
use crate::cbor::coded_enum;
use crate::codec::{Codec, Payload, SEAL_OVERHEAD_BYTES, Sealed};
use crate::crypto::KeySet;
use crate::error::{FormatError, Result};
use crate::ids::{BlockId, ChunkId};
use crate::object::{ObjectHeader, ObjectType};
use crate::siv::LANES;

const WHAT: &str = "block";
/// Most bytes, sealed and plain, of blocks that are opened together.
const MAX_GROUP_BYTES: usize = 6 << 20;

coded_enum! {
    /// What the chunks of a block are for. A hint for placement and caching; correctness never depends on it.
    BlockRole, "block role" {
        /// Content of items.
        Data = 1 "data",
        /// Nodes of manifest trees.
        Tree = 2 "tree",
        /// Everything else: ledgers, cursors, run state.
        Other = 3 "other",
    }
}

/// A chunk inside a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// The chunk's id.
    pub id: ChunkId,
    /// Its plaintext length in bytes.
    pub length: u32,
}

/// Where a block lies in its pack and what it holds.
///
/// Stored as `[stored length, role, [id, length, id, length, ...]]`. Offsets are not stored: blocks lie one
/// after the other from byte 64 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockEntry {
    /// Offset from the beginning of the pack.
    pub offset: u32,
    /// Length in the pack: tag and ciphertext.
    pub stored_length: u32,
    /// What the chunks are for.
    pub role: BlockRole,
    /// The chunks, in the order in which their plaintexts follow each other. At least one.
    pub chunks: Vec<ChunkEntry>,
}

impl BlockEntry {
    /// Sum of the chunks' lengths.
    #[must_use]
    pub fn plain_length(&self) -> u32 {
        self.chunks.iter().fold(0, |sum, c| sum.saturating_add(c.length))
    }

    /// The block's id, which is associated data of its seal.
    #[must_use]
    pub fn id(&self, keys: &KeySet) -> BlockId {
        keys.block_id(self.chunks.iter().map(|c| &c.id))
    }

    /// The byte range in the pack.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        let start = u64::from(self.offset);
        start..start + u64::from(self.stored_length)
    }

    /// Where each chunk lies in the block's plaintext.
    pub fn chunk_ranges(&self) -> impl Iterator<Item = (ChunkId, Range<usize>)> + '_ {
        let mut at = 0usize;
        self.chunks.iter().map(move |chunk| {
            let start = at;
            at += chunk.length as usize;
            (chunk.id, start..at)
        })
    }

    /// Checks lengths against the format's limits.
    fn validate(&self) -> Result<()> {
        if self.chunks.is_empty() {
            return Err(FormatError::corrupt(WHAT, "a block without chunks"));
        }
        let plain: u64 = self.chunks.iter().map(|c| u64::from(c.length)).sum();
        limit("block length", MAX_BLOCK_BYTES.into(), plain)?;
        limit(
            "stored block length",
            plain + SEAL_OVERHEAD_BYTES as u64,
            self.stored_length.into(),
        )?;
        if (self.stored_length as usize) < SEAL_OVERHEAD_BYTES {
            return Err(FormatError::corrupt(WHAT, "a block shorter than its seal"));
        }
        Ok(())
    }
}

fn limit(what: &'static str, limit: u64, found: u64) -> Result<()> {
    if found > limit {
        Err(FormatError::LimitExceeded { what, limit, found })
    } else {
        Ok(())
    }
}

/// A list of block entries as stored: adjacent blocks from byte 64 on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Entries(pub(crate) Vec<BlockEntry>);

impl<C> Encode<C> for Entries {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(self.0.len() as u64)?;
        for entry in &self.0 {
            e.array(3)?.u32(entry.stored_length)?.u8(entry.role.code())?;
            e.array(2 * entry.chunks.len() as u64)?;
            for chunk in &entry.chunks {
                e.bytes(chunk.id.as_bytes())?.u32(chunk.length)?;
            }
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Entries {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        use minicbor::decode::Error;
        let at = d.position();
        let wrong = |text: &'static str| Error::message(text).at(at);
        let count = d.array()?.ok_or_else(|| wrong("a list of unknown length"))?;
        let mut entries = Vec::new();
        let mut offset = crate::object::HEADER_BYTES as u32;
        for _ in 0..count {
            if d.array()? != Some(3) {
                return Err(wrong("a block entry has not three elements"));
            }
            let stored_length = d.u32()?;
            let role = BlockRole::decode(d, ctx)?;
            let elements = d.array()?.ok_or_else(|| wrong("a list of unknown length"))?;
            if elements % 2 != 0 {
                return Err(wrong("a chunk without length"));
            }
            let mut chunks = Vec::new();
            for _ in 0..elements / 2 {
                chunks.push(ChunkEntry {
                    id: ChunkId::decode(d, ctx)?,
                    length: d.u32()?,
                });
            }
            let entry = BlockEntry {
                offset,
                stored_length,
                role,
                chunks,
            };
            entry.validate().map_err(|e| Error::message(e).at(at))?;
            offset = offset
                .checked_add(stored_length)
                .ok_or_else(|| wrong("blocks longer than a pack"))?;
            entries.push(entry);
        }
        Ok(Self(entries))
    }
}

/// A sealed block, ready to be put into a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBlock {
    pub(super) epoch: u32,
    pub(super) role: BlockRole,
    pub(super) chunks: Vec<ChunkEntry>,
    pub(super) bytes: Vec<u8>,
}

impl SealedBlock {
    /// The sealed bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the chunks are for.
    #[must_use]
    pub fn role(&self) -> BlockRole {
        self.role
    }

    /// The chunks it holds, in order.
    #[must_use]
    pub fn chunks(&self) -> &[ChunkEntry] {
        &self.chunks
    }

    /// Takes a block out of another pack as it is, without opening it. The epochs must agree when it is put
    /// into a pack.
    ///
    /// # Errors
    /// `Truncated` when `bytes` is not the entry's stored length.
    pub fn from_stored(epoch: u32, entry: &BlockEntry, bytes: &[u8]) -> Result<Self> {
        if bytes.len() != entry.stored_length as usize {
            return Err(FormatError::Truncated { what: WHAT });
        }
        Ok(Self {
            epoch,
            role: entry.role,
            chunks: entry.chunks.clone(),
            bytes: bytes.to_vec(),
        })
    }
}

/// Compresses and seals chunks as one block, opens the result again and compares.
///
/// The chunk ids are the caller's ([`KeySet::chunk_id`] of each plaintext); they are not computed again.
/// Several blocks at a time are faster: see [`seal_blocks`].
///
/// # Errors
/// `LimitExceeded` for more than [`MAX_BLOCK_BYTES`], `Corrupt` for no chunk, `EncodeCheckFailed` when what was
/// sealed does not open to the same bytes.
pub fn seal_block(
    keys: &KeySet,
    codec: &mut Codec,
    role: BlockRole,
    chunks: &[(ChunkId, &[u8])],
) -> Result<SealedBlock> {
    let mut blocks = seal_blocks(keys, codec, &[BlockInput { role, chunks }])?;
    blocks.pop().ok_or(FormatError::EncodeCheckFailed { what: WHAT })
}

/// What [`seal_blocks`] makes a block of.
#[derive(Debug, Clone, Copy)]
pub struct BlockInput<'a> {
    /// What the chunks are for.
    pub role: BlockRole,
    /// The chunks: ids and plaintexts.
    pub chunks: &'a [(ChunkId, &'a [u8])],
}

/// Does what [`seal_block`] does for several blocks, with the same result. Four at a time are about twice as fast as
/// one by one, most of all when they are equally long; they take four times the working memory.
///
/// # Errors
/// As [`seal_block`]; then none is sealed.
pub fn seal_blocks(keys: &KeySet, codec: &mut Codec, blocks: &[BlockInput<'_>]) -> Result<Vec<SealedBlock>> {
    let header = keys.header(ObjectType::Pack, 0).encode();
    let mut entries = Vec::with_capacity(blocks.len());
    for block in blocks {
        let plain: u64 = block.chunks.iter().map(|(_, plain)| plain.len() as u64).sum();
        limit("block length", MAX_BLOCK_BYTES.into(), plain)?;
        if block.chunks.is_empty() {
            return Err(FormatError::corrupt(WHAT, "a block without chunks"));
        }
        let chunks: Vec<ChunkEntry> = block
            .chunks
            .iter()
            .map(|(id, plain)| ChunkEntry {
                id: *id,
                length: u32::try_from(plain.len()).unwrap_or(u32::MAX),
            })
            .collect();
        let id = keys.block_id(chunks.iter().map(|c| &c.id));
        entries.push((id, chunks));
    }
    let aads: Vec<[&[u8]; 3]> = entries
        .iter()
        .map(|(id, _)| [header.as_slice(), WHAT.as_bytes(), id.as_bytes()])
        .collect();
    let parts: Vec<Vec<&[u8]>> = blocks
        .iter()
        .map(|block| block.chunks.iter().map(|(_, plain)| *plain).collect())
        .collect();
    let payloads: Vec<Payload<'_>> = aads
        .iter()
        .zip(&parts)
        .map(|(aad, parts)| Payload {
            aad,
            prefix: &[],
            parts,
        })
        .collect();
    let sealed = codec.seal_all(keys.current(), WHAT, &payloads)?;
    let sealed = sealed.into_iter().zip(blocks).zip(entries);
    Ok(sealed
        .map(|((bytes, block), (_, chunks))| SealedBlock {
            epoch: keys.epoch(),
            role: block.role,
            chunks,
            bytes,
        })
        .collect())
}

/// Opens a block: the plaintexts of its chunks one after the other, each checked against its chunk id.
///
/// `header` is the pack's header, read from the pack or made with [`KeySet::header_in_epoch`].
///
/// # Errors
/// `Truncated` for a wrong length, `Authentication` for changed bytes or another block's bytes, `IdMismatch`
/// when a chunk is not what its id says.
pub fn open_block(
    keys: &KeySet,
    codec: &mut Codec,
    header: &ObjectHeader,
    entry: &BlockEntry,
    bytes: &[u8],
) -> Result<Vec<u8>> {
    check_stored(entry, bytes)?;
    let epoch = keys.keys_for(header, ObjectType::Pack)?;
    let head = header.encode();
    let id = entry.id(keys);
    let aad: [&[u8]; 3] = [&head, WHAT.as_bytes(), id.as_bytes()];
    let plain = codec.open(&epoch, WHAT, &aad, bytes, entry.plain_length() as usize)?;
    check_plain(keys, entry, plain)
}

/// Does what [`open_block`] does for several blocks of one pack, with the same results in the same order. About four at a time,
/// as many as take little memory, are authenticated side by side, which takes a third of the time.
#[must_use]
pub fn open_blocks(
    keys: &KeySet,
    codec: &mut Codec,
    header: &ObjectHeader,
    blocks: &[(&BlockEntry, &[u8])],
) -> Vec<Result<Vec<u8>>> {
    let mut results = Vec::with_capacity(blocks.len());
    let mut rest = blocks;
    while !rest.is_empty() {
        let (group, others) = rest.split_at(group_length(rest));
        match group {
            [(entry, bytes)] => results.push(open_block(keys, codec, header, entry, bytes)),
            _ => match open_group(keys, codec, header, group) {
                Ok(opened) => results.extend(opened),
                // Something is wrong with an entry: each tells for itself.
                Err(_) => results.extend(
                    group
                        .iter()
                        .map(|(entry, bytes)| open_block(keys, codec, header, entry, bytes)),
                ),
            },
        }
        rest = others;
    }
    results
}

/// How many of these blocks are opened together, at least one.
fn group_length(blocks: &[(&BlockEntry, &[u8])]) -> usize {
    let mut bytes = 0;
    let fitting = blocks.iter().take(LANES).take_while(|(entry, stored)| {
        bytes += stored.len() + entry.plain_length() as usize;
        bytes <= MAX_GROUP_BYTES
    });
    fitting.count().max(1)
}

fn open_group(
    keys: &KeySet,
    codec: &mut Codec,
    header: &ObjectHeader,
    group: &[(&BlockEntry, &[u8])],
) -> Result<Vec<Result<Vec<u8>>>> {
    for (entry, bytes) in group {
        check_stored(entry, bytes)?;
    }
    let epoch = keys.keys_for(header, ObjectType::Pack)?;
    let head = header.encode();
    let ids: Vec<BlockId> = group.iter().map(|(entry, _)| entry.id(keys)).collect();
    let aads: Vec<[&[u8]; 3]> = ids
        .iter()
        .map(|id| [head.as_slice(), WHAT.as_bytes(), id.as_bytes()])
        .collect();
    let sealed: Vec<Sealed<'_>> = group
        .iter()
        .zip(&aads)
        .map(|((entry, bytes), aad)| Sealed {
            aad,
            bytes,
            limit: entry.plain_length() as usize,
        })
        .collect();
    let opened = codec.open_all(&epoch, WHAT, &sealed).into_iter();
    Ok(opened
        .zip(group)
        .map(|(plain, (entry, _))| check_plain(keys, entry, plain?))
        .collect())
}

fn check_stored(entry: &BlockEntry, bytes: &[u8]) -> Result<()> {
    entry.validate()?;
    if bytes.len() != entry.stored_length as usize {
        return Err(FormatError::Truncated { what: WHAT });
    }
    Ok(())
}

/// The plaintext, if it is what the entry says.
fn check_plain(keys: &KeySet, entry: &BlockEntry, plain: Vec<u8>) -> Result<Vec<u8>> {
    if plain.len() != entry.plain_length() as usize {
        return Err(FormatError::corrupt(
            WHAT,
            "the plaintext has another length than its entry says",
        ));
    }
    for (id, range) in entry.chunk_ranges() {
        if keys.chunk_id(&plain[range]) != id {
            return Err(FormatError::IdMismatch { what: "chunk" });
        }
    }
    Ok(plain)
}

/// Opens a block and returns the plaintext of one of its chunks.
///
/// # Errors
/// As [`open_block`]; `IdMismatch` when the block does not hold the chunk.
pub fn open_chunk(
    keys: &KeySet,
    codec: &mut Codec,
    header: &ObjectHeader,
    entry: &BlockEntry,
    bytes: &[u8],
    chunk: &ChunkId,
) -> Result<Vec<u8>> {
    let mut plain = open_block(keys, codec, header, entry, bytes)?;
    let range = entry
        .chunk_ranges()
        .find_map(|(id, range)| (&id == chunk).then_some(range))
        .ok_or(FormatError::IdMismatch { what: "chunk" })?;
    if range.len() == plain.len() {
        return Ok(plain);
    }
    plain.truncate(range.end);
    plain.drain(..range.start);
    Ok(plain)
}
