//! Where every chunk is: about 7 bytes of memory a chunk in large repositories, and no more than some 50 MiB in others.
//!
//! The directories of all packs, kept as flat rows in pack order (so that a block's entry, which opening it needs, can be
//! given back), and a table from chunk id to position. The rows of chunks and blocks are in memory up to a million chunks,
//! and above in scratch files of this machine ([`Scratch`]); packs and the table are in memory always.
//!
//! A row that cannot be read back is an error of whoever asked: never a chunk that is not known, nor one that is.

use std::collections::HashSet;
use std::ops::Range;

use nakivo_repo_format::index::IndexedPack;
use nakivo_repo_format::pack::BlockEntry;
use nakivo_repo_format::{ChunkId, PackId};

use super::cache::BlockKey;
use crate::error::{Error, ErrorKind, Result};
use crate::scratch::Scratch;

mod column;
mod rows;
mod table;
#[cfg(test)]
mod tests;
mod usage;

use column::Column;
use rows::{BLOCK_BYTES, BlockRow, CHUNK_BYTES, ChunkRow};
use table::Table;
pub(crate) use usage::PackUsage;

/// See the module.
#[derive(Debug)]
pub(crate) struct Index {
    packs: Vec<PackSlot>,
    /// From a pack's id to its number.
    pack_table: Table,
    blocks: Column<BLOCK_BYTES>,
    chunks: Column<CHUNK_BYTES>,
    /// From a chunk's id to its position.
    table: Table,
    scratch: Scratch,
    /// Whether rows were to go there. It is tried once.
    spilled: bool,
    stored_bytes: u64,
    /// Packs that are about to go or gone: nothing is found in them any more.
    hidden: HashSet<u32>,
    /// Blocks known to be damaged. What only they hold is found, but not relied on.
    damaged: HashSet<u32>,
    /// Packs known from their directories alone, of which nobody says whether a commit announced them: not relied on either.
    unannounced: HashSet<u32>,
}

/// A pack and the epoch that it is sealed in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SealedPack {
    pub(crate) id: PackId,
    pub(crate) size: u64,
    pub(crate) epoch: u32,
    pub(crate) hidden: bool,
}

#[derive(Debug)]
struct PackSlot {
    id: PackId,
    size: u64,
    /// Plain bytes of its chunks.
    plain: u64,
    epoch: u32,
    first_block: u32,
    first_chunk: u32,
}

/// A block, with all that is needed to read and open it.
#[derive(Debug, Clone)]
pub(crate) struct BlockPlace {
    pub(crate) pack: PackId,
    pub(crate) epoch: u32,
    pub(crate) entry: BlockEntry,
}

impl BlockPlace {
    pub(crate) fn key(&self) -> BlockKey {
        (self.pack, self.entry.offset)
    }

    pub(crate) fn end(&self) -> u64 {
        u64::from(self.entry.offset) + u64::from(self.entry.stored_length)
    }
}

/// A chunk: its block and where it lies in the block's plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    /// Number of the block, for [`Index::block`].
    pub(crate) block: u32,
    pub(crate) key: BlockKey,
    pub(crate) range: Range<usize>,
}

/// A chunk that was looked up.
#[derive(Debug, Clone, Copy)]
struct Found {
    position: u32,
    row: ChunkRow,
}

impl Index {
    /// An empty index that puts its rows there once they are many.
    pub(crate) fn new(scratch: Scratch) -> Self {
        Self {
            packs: Vec::new(),
            pack_table: Table::default(),
            blocks: Column::default(),
            chunks: Column::default(),
            table: Table::default(),
            scratch,
            spilled: false,
            stored_bytes: 0,
            hidden: HashSet::new(),
            damaged: HashSet::new(),
            unannounced: HashSet::new(),
        }
    }

    /// An empty one for the same scratch.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.scratch.clone())
    }

    /// Adds a pack. Adding one twice does nothing.
    ///
    /// # Errors
    /// `Internal` when more than 4 billion chunks would have to be numbered.
    pub(crate) fn add(&mut self, pack: &IndexedPack) -> Result<()> {
        if let Some(number) = self.number_of(&pack.id) {
            self.unannounced.remove(&number);
            return Ok(());
        }
        let chunks: usize = pack.blocks.iter().map(|block| block.chunks.len()).sum();
        // So all numbers below fit.
        let fits =
            |count: u32, more: usize| u32::try_from(more).is_ok_and(|more| count.checked_add(more).is_some());
        if !fits(self.chunks.len(), chunks) || !fits(self.blocks.len(), pack.blocks.len()) {
            return Err(too_large());
        }
        self.make_room(chunks);
        self.add_slot(pack);
        for block in &pack.blocks {
            let number = self.blocks.len();
            let row = BlockRow {
                first_chunk: self.chunks.len(),
                offset: block.offset,
                stored_length: block.stored_length,
                role: block.role,
            };
            self.blocks.push(row.encode());
            for chunk in &block.chunks {
                self.table.insert(chunk.id.as_bytes(), self.chunks.len());
                let row = ChunkRow {
                    id: chunk.id,
                    length: chunk.length,
                    block: number,
                };
                self.chunks.push(row.encode());
            }
        }
        self.spill_if_large(self.chunks.len());
        Ok(())
    }

    fn add_slot(&mut self, pack: &IndexedPack) {
        let lengths = pack.blocks.iter().flat_map(|block| &block.chunks);
        self.packs.push(PackSlot {
            id: pack.id,
            size: pack.size,
            plain: lengths.map(|chunk| u64::from(chunk.length)).sum(),
            epoch: pack.epoch,
            first_block: self.blocks.len(),
            first_chunk: self.chunks.len(),
        });
        self.stored_bytes += pack.size;
        if self.pack_table.has_room(1) {
            self.pack_table
                .insert(pack.id.as_bytes(), number(self.packs.len() - 1));
        } else {
            self.pack_table = Table::with_room(self.packs.len() + self.packs.len() / 2);
            for (at, pack) in self.packs.iter().enumerate() {
                self.pack_table.insert(pack.id.as_bytes(), number(at));
            }
        }
    }

    /// Makes room for this many chunks beforehand, so that loading does not grow anything step by step.
    pub(crate) fn reserve(&mut self, chunks: u64) {
        let chunks = u32::try_from(chunks).unwrap_or(u32::MAX);
        self.spill_if_large(self.chunks.len().saturating_add(chunks));
        if self.chunks.in_memory().is_some() {
            self.chunks.reserve(chunks as usize);
        }
        self.make_room(chunks as usize);
    }

    /// Has the table take so many more.
    fn make_room(&mut self, chunks: usize) {
        if self.table.has_room(chunks) {
            return;
        }
        let known = self.chunks.len() as usize;
        match self.chunks.in_memory() {
            Some(rows) => {
                self.table = Table::with_room(chunks + known + if known == 0 { 0 } else { known / 2 });
                for (position, row) in (0..).zip(rows) {
                    self.table.insert(ChunkRow::id_bytes(row), position);
                }
            }
            // Their ids would have to be read back, and while the new table is filled there would be two.
            None => self.table.extend(chunks.max(known / 8)),
        }
    }

    fn spill_if_large(&mut self, chunks: u32) {
        if !self.spilled && chunks > self.scratch.threshold() {
            self.spilled = true;
            self.chunks.spill(&self.scratch);
            self.blocks.spill(&self.scratch);
        }
    }

    /// Makes everything in a pack unknown, unless another pack has it, too. Its directory stays.
    pub(crate) fn hide(&mut self, pack: &PackId) {
        if let Some(number) = self.number_of(pack)
            && self.hidden.insert(number)
        {
            self.stored_bytes -= self.packs[number as usize].size;
        }
    }

    /// Takes back [`Index::hide`].
    pub(crate) fn show(&mut self, pack: &PackId) {
        if let Some(number) = self.number_of(pack)
            && self.hidden.remove(&number)
        {
            self.stored_bytes += self.packs[number as usize].size;
        }
    }

    /// Sets which blocks are known to be damaged: packs, and the places of the blocks in each; no places: all of them.
    pub(crate) fn set_damaged<'a>(&mut self, damaged: impl Iterator<Item = (PackId, &'a [u32])>) {
        self.damaged.clear();
        for (pack, places) in damaged {
            let Some(numbers) = self.blocks_of(&pack) else {
                continue;
            };
            if places.is_empty() {
                self.damaged.extend(numbers);
            } else {
                let known = places
                    .iter()
                    .filter_map(|place| numbers.start.checked_add(*place));
                self.damaged
                    .extend(known.filter(|number| numbers.contains(number)));
            }
        }
    }

    /// Adds a pack that no segment lists.
    ///
    /// # Errors
    /// As [`Index::add`].
    pub(crate) fn add_unannounced(&mut self, pack: &IndexedPack) -> Result<()> {
        if !self.contains_pack(&pack.id) {
            self.add(pack)?;
            self.unannounced.extend(self.number_of(&pack.id));
        }
        Ok(())
    }

    /// Packs that no segment lists, as far as one must go by the packs.
    pub(crate) fn unannounced(&self) -> Vec<PackId> {
        let mut packs: Vec<PackId> = self
            .unannounced
            .iter()
            .map(|number| self.packs[*number as usize].id)
            .collect();
        packs.sort_unstable();
        packs
    }

    /// Where a chunk is in packs that are not hidden.
    fn shown<'a>(&'a self, chunk: &'a ChunkId) -> impl Iterator<Item = Result<Found>> + 'a {
        self.table.candidates(chunk.as_bytes()).filter_map(|position| {
            let row = match self.chunks.get(position) {
                Ok(row) => ChunkRow::decode(&row),
                Err(error) => return Some(Err(error)),
            };
            let hidden = !self.hidden.is_empty() && self.hidden.contains(&self.pack_number(row.block));
            (row.id == *chunk && !hidden).then_some(Ok(Found { position, row }))
        })
    }

    /// The first place of a chunk, one in a block not known to be damaged if there is any.
    fn first(&self, chunk: &ChunkId) -> Result<Option<Found>> {
        let mut damaged = None;
        for found in self.shown(chunk) {
            let found = found?;
            if !self.is_block_damaged(found.row.block) {
                return Ok(Some(found));
            }
            damaged.get_or_insert(found);
        }
        Ok(damaged)
    }

    /// Every place of a chunk, those in blocks known to be damaged last.
    fn all(&self, chunk: &ChunkId) -> Result<Vec<Found>> {
        let mut all = self.shown(chunk).collect::<Result<Vec<_>>>()?;
        all.sort_by_key(|found| self.is_block_damaged(found.row.block));
        Ok(all)
    }

    /// Whether a block is known to be damaged.
    pub(crate) fn is_block_damaged(&self, block: u32) -> bool {
        !self.damaged.is_empty() && self.damaged.contains(&block)
    }

    /// Whether the chunk is in a pack that is not hidden.
    ///
    /// # Errors
    /// Here and in all that follow: `ScratchFailed` if the disk does not give back what was put there.
    pub(crate) fn contains(&self, chunk: &ChunkId) -> Result<bool> {
        Ok(self.first(chunk)?.is_some())
    }

    /// Whether the chunk is where a new recovery point may rely on it: in a block not known to be damaged, of a pack that a
    /// commit announced.
    pub(crate) fn is_reliable(&self, chunk: &ChunkId) -> Result<bool> {
        for found in self.shown(chunk) {
            let block = found?.row.block;
            let announced =
                self.unannounced.is_empty() || !self.unannounced.contains(&self.pack_number(block));
            if announced && !self.is_block_damaged(block) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Length of a known chunk.
    pub(crate) fn length(&self, chunk: &ChunkId) -> Result<Option<u32>> {
        Ok(self.first(chunk)?.map(|found| found.row.length))
    }

    /// Every place of a chunk: writers that ran at the same time may have stored it twice, and then the second copy helps
    /// where the first is damaged.
    pub(crate) fn places(&self, chunk: &ChunkId) -> Result<Vec<ChunkPlace>> {
        let all = self.all(chunk)?;
        all.into_iter().map(|found| self.place(found)).collect()
    }

    /// The first place of a chunk.
    pub(crate) fn find(&self, chunk: &ChunkId) -> Result<Option<ChunkPlace>> {
        self.first(chunk)?.map(|found| self.place(found)).transpose()
    }

    /// The pack of the first place of a chunk; cheaper than the place.
    pub(crate) fn find_pack(&self, chunk: &ChunkId) -> Result<Option<PackId>> {
        Ok(self.first(chunk)?.map(|found| self.pack_of(found.row.block)))
    }

    /// The chunk's number: chunks that lie side by side have numbers side by side.
    pub(crate) fn position(&self, chunk: &ChunkId) -> Result<Option<u32>> {
        Ok(self.first(chunk)?.map(|found| found.position))
    }

    /// Numbers of the blocks that hold a chunk; cheaper than the places.
    pub(crate) fn block_numbers(&self, chunk: &ChunkId) -> Result<Vec<u32>> {
        let all = self.all(chunk)?;
        Ok(all.into_iter().map(|found| found.row.block).collect())
    }

    fn place(&self, found: Found) -> Result<ChunkPlace> {
        let number = found.row.block;
        let block = self.block_row(number)?;
        let mut start = 0;
        self.chunks.each(block.first_chunk..found.position, |_, row| {
            start += ChunkRow::decode(row).length as usize;
        })?;
        Ok(ChunkPlace {
            block: number,
            key: (self.pack_of(number), block.offset),
            range: start..start + found.row.length as usize,
        })
    }

    fn block_row(&self, number: u32) -> Result<BlockRow> {
        self.blocks.get(number).and_then(|row| BlockRow::decode(&row))
    }

    /// A block by its number.
    pub(crate) fn block(&self, number: u32) -> Result<BlockPlace> {
        let row = self.block_row(number)?;
        let pack = &self.packs[self.pack_number(number) as usize];
        let mut chunks = Vec::new();
        self.chunks.each(self.chunk_positions(number)?, |_, row| {
            chunks.push(ChunkRow::decode(row).entry());
        })?;
        Ok(BlockPlace {
            pack: pack.id,
            epoch: pack.epoch,
            entry: row.entry(chunks),
        })
    }

    /// The blocks that follow `number` in its pack, as long as they hold at most `plain_bytes` together.
    pub(crate) fn following(&self, number: u32, plain_bytes: u64) -> Result<Vec<BlockPlace>> {
        let pack = self.pack_number(number);
        let mut found = Vec::new();
        let mut left = plain_bytes;
        for next in number + 1..self.blocks_of_number(pack).end {
            let place = self.block(next)?;
            let plain = u64::from(place.entry.plain_length());
            if plain > left {
                break;
            }
            left -= plain;
            found.push(place);
        }
        Ok(found)
    }

    /// A block's pack, and its place in the pack's directory.
    pub(crate) fn place_in_pack(&self, block: u32) -> (PackId, u32) {
        let pack = &self.packs[self.pack_number(block) as usize];
        (pack.id, block - pack.first_block)
    }

    /// The pack of a block.
    pub(crate) fn pack_of(&self, block: u32) -> PackId {
        self.packs[self.pack_number(block) as usize].id
    }

    /// Number of the pack of a block.
    fn pack_number(&self, block: u32) -> u32 {
        number(self.packs.partition_point(|pack| pack.first_block <= block) - 1)
    }

    fn number_of(&self, pack: &PackId) -> Option<u32> {
        let mut candidates = self.pack_table.candidates(pack.as_bytes());
        candidates.find(|number| self.packs[*number as usize].id == *pack)
    }

    /// Whether the pack was added, hidden since or not.
    pub(crate) fn contains_pack(&self, pack: &PackId) -> bool {
        self.number_of(pack).is_some()
    }

    /// Whether the pack was added and is not hidden.
    pub(crate) fn shows_pack(&self, pack: &PackId) -> bool {
        self.number_of(pack)
            .is_some_and(|number| !self.hidden.contains(&number))
    }

    /// Ids and sizes of all packs that are not hidden.
    pub(crate) fn packs(&self) -> impl Iterator<Item = (PackId, u64)> + '_ {
        self.shown_packs().map(|(_, pack)| (pack.id, pack.size))
    }

    fn shown_packs(&self) -> impl Iterator<Item = (u32, &PackSlot)> {
        (0..)
            .zip(&self.packs)
            .filter(|(number, _)| !self.hidden.contains(number))
    }

    /// Every pack that was added, hidden or not, and its epoch.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = SealedPack> + '_ {
        (0..).zip(&self.packs).map(|(number, pack)| SealedPack {
            id: pack.id,
            size: pack.size,
            epoch: pack.epoch,
            hidden: self.hidden.contains(&number),
        })
    }

    /// Positions of the chunks of a block.
    pub(crate) fn chunk_positions(&self, block: u32) -> Result<Range<u32>> {
        let first = self.block_row(block)?.first_chunk;
        let end = if block + 1 < self.blocks.len() {
            self.block_row(block + 1)?.first_chunk
        } else {
            self.chunks.len()
        };
        Ok(first..end)
    }

    /// Numbers of the blocks of a pack that was added.
    pub(crate) fn blocks_of(&self, pack: &PackId) -> Option<Range<u32>> {
        self.number_of(pack).map(|number| self.blocks_of_number(number))
    }

    fn blocks_of_number(&self, pack: u32) -> Range<u32> {
        let next = self.packs.get(pack as usize + 1);
        let end = next.map_or(self.blocks.len(), |next| next.first_block);
        self.packs[pack as usize].first_block..end
    }

    fn chunks_of_number(&self, pack: u32) -> Range<u32> {
        let next = self.packs.get(pack as usize + 1);
        let end = next.map_or(self.chunks.len(), |next| next.first_chunk);
        self.packs[pack as usize].first_chunk..end
    }

    /// Size of a pack that was added.
    pub(crate) fn pack_size(&self, pack: &PackId) -> Option<u64> {
        self.number_of(pack)
            .map(|number| self.packs[number as usize].size)
    }

    /// The directory of a pack, as this index has it.
    pub(crate) fn pack(&self, id: &PackId) -> Result<Option<(IndexedPack, Range<u32>)>> {
        let Some(at) = self.number_of(id) else {
            return Ok(None);
        };
        let pack = &self.packs[at as usize];
        let numbers = self.blocks_of_number(at);
        let blocks = self.entries_of(at)?;
        let indexed = IndexedPack {
            id: pack.id,
            size: pack.size,
            epoch: pack.epoch,
            blocks,
        };
        Ok(Some((indexed, numbers)))
    }

    /// The entries of the blocks of a pack.
    fn entries_of(&self, pack: u32) -> Result<Vec<BlockEntry>> {
        let mut entries: Vec<BlockEntry> = self
            .block_rows(pack)?
            .into_iter()
            .map(|row| row.entry(Vec::new()))
            .collect();
        let first = self.packs[pack as usize].first_block;
        self.chunks.each(self.chunks_of_number(pack), |_, row| {
            let row = ChunkRow::decode(row);
            if let Some(entry) = entries.get_mut((row.block - first) as usize) {
                entry.chunks.push(row.entry());
            }
        })?;
        Ok(entries)
    }

    fn block_rows(&self, pack: u32) -> Result<Vec<BlockRow>> {
        let mut rows = Vec::new();
        self.blocks.each(self.blocks_of_number(pack), |_, row| {
            rows.push(BlockRow::decode(row));
        })?;
        rows.into_iter().collect()
    }

    pub(crate) fn pack_count(&self) -> usize {
        self.packs.len() - self.hidden.len()
    }

    /// Chunks of all packs that are not hidden.
    pub(crate) fn chunk_count(&self) -> usize {
        self.shown_packs()
            .map(|(number, _)| self.chunks_of_number(number).len())
            .sum()
    }

    /// Bytes of all packs that are not hidden.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Plain bytes of the chunks of all packs that are not hidden.
    pub(crate) fn plain_bytes(&self) -> u64 {
        self.shown_packs().map(|(_, pack)| pack.plain).sum()
    }
}

/// The error for an index beyond what this implementation numbers.
fn too_large() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the repository has more than 4 billion chunks, which this version cannot index",
    )
}

/// `Index::add` checked that every count fits.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
