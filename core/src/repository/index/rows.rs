//! Rows of chunks and blocks, as they lie in memory and in scratch files. Little-endian, of no use to any other process.

use nakivo_repo_format::ChunkId;
use nakivo_repo_format::pack::{BlockEntry, BlockRole, ChunkEntry};

use crate::error::{Error, Result};

/// Bytes of a [`ChunkRow`].
pub(super) const CHUNK_BYTES: usize = 40;
/// Bytes of a [`BlockRow`].
pub(super) const BLOCK_BYTES: usize = 13;

/// A chunk, by its position.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkRow {
    pub(super) id: ChunkId,
    pub(super) length: u32,
    /// Number of its block.
    pub(super) block: u32,
}

impl ChunkRow {
    pub(super) fn encode(&self) -> [u8; CHUNK_BYTES] {
        let mut row = [0; CHUNK_BYTES];
        row[..32].copy_from_slice(self.id.as_bytes());
        row[32..36].copy_from_slice(&self.length.to_le_bytes());
        row[36..].copy_from_slice(&self.block.to_le_bytes());
        row
    }

    pub(super) fn decode(row: &[u8; CHUNK_BYTES]) -> Self {
        Self {
            id: ChunkId::from_bytes(*Self::id_bytes(row)),
            length: number_at(row, 32),
            block: number_at(row, 36),
        }
    }

    /// The id alone.
    pub(super) fn id_bytes(row: &[u8; CHUNK_BYTES]) -> &[u8; 32] {
        row.first_chunk().unwrap_or(&[0; 32])
    }

    pub(super) fn entry(&self) -> ChunkEntry {
        ChunkEntry {
            id: self.id,
            length: self.length,
        }
    }
}

/// A block, by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockRow {
    /// Position of its first chunk.
    pub(super) first_chunk: u32,
    pub(super) offset: u32,
    pub(super) stored_length: u32,
    pub(super) role: BlockRole,
}

impl BlockRow {
    pub(super) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut row = [0; BLOCK_BYTES];
        row[..4].copy_from_slice(&self.first_chunk.to_le_bytes());
        row[4..8].copy_from_slice(&self.offset.to_le_bytes());
        row[8..12].copy_from_slice(&self.stored_length.to_le_bytes());
        row[12] = self.role.code();
        row
    }

    pub(super) fn decode(row: &[u8; BLOCK_BYTES]) -> Result<Self> {
        Ok(Self {
            first_chunk: number_at(row, 0),
            offset: number_at(row, 4),
            stored_length: number_at(row, 8),
            role: BlockRole::from_code(row[12])
                .ok_or_else(|| Error::internal("a row of the index has an unknown role"))?,
        })
    }

    /// Its entry with these chunks.
    pub(super) fn entry(&self, chunks: Vec<ChunkEntry>) -> BlockEntry {
        BlockEntry {
            offset: self.offset,
            stored_length: self.stored_length,
            role: self.role,
            chunks,
        }
    }
}

fn number_at(row: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&row[at..at + 4]);
    u32::from_le_bytes(bytes)
}
