//! Where every chunk is, in memory: about 42 bytes a chunk.
//!
//! The directories of all packs, kept as flat arrays in pack order (so that a block's entry, which opening it needs, can
//! be given back), and a table from chunk id to position. Chunk ids are keyed hashes, so their own bits place them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use nakivo_repo_format::index::IndexedPack;
use nakivo_repo_format::pack::{BlockEntry, BlockRole, ChunkEntry};
use nakivo_repo_format::{ChunkId, PackId};

use super::cache::BlockKey;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index {
    packs: Vec<PackSlot>,
    by_id: HashMap<PackId, u32>,
    blocks: Vec<BlockSlot>,
    ids: Vec<ChunkId>,
    lengths: Vec<u32>,
    table: Table,
    stored_bytes: u64,
    /// Packs that are about to go or gone: nothing is found in them any more.
    hidden: HashSet<u32>,
    /// Blocks known to be damaged. What only they hold is found, but not relied on.
    damaged: HashSet<u32>,
    /// Packs known from their directories alone, of which nobody says whether a commit announced them: not relied on either.
    unannounced: HashSet<u32>,
}

/// How much of a pack is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackUsage {
    pub(crate) id: PackId,
    pub(crate) size: u64,
    pub(crate) epoch: u32,
    /// Stored bytes of what is wanted, as its share of its blocks.
    pub(crate) wanted_bytes: u64,
    /// Whether every wanted chunk is `elsewhere`, too, so that the pack may go.
    pub(crate) dispensable: bool,
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
    epoch: u32,
    first_block: u32,
}

#[derive(Debug)]
struct BlockSlot {
    pack: u32,
    first_chunk: u32,
    offset: u32,
    stored_length: u32,
    role: BlockRole,
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
#[derive(Debug, Clone)]
pub(crate) struct ChunkPlace {
    /// Number of the block, for [`Index::block`].
    pub(crate) block: u32,
    pub(crate) key: BlockKey,
    pub(crate) range: Range<usize>,
}

impl Index {
    /// Adds a pack. Adding one twice does nothing.
    ///
    /// # Errors
    /// When more than 4 billion chunks would have to be numbered.
    pub(crate) fn add(&mut self, pack: &IndexedPack) -> Result<(), TooLarge> {
        if let Some(number) = self.by_id.get(&pack.id) {
            self.unannounced.remove(number);
            return Ok(());
        }
        let chunks: usize = pack.blocks.iter().map(|block| block.chunks.len()).sum();
        // One number stays free: the table's mark for an empty place.
        let fits = |count: usize| u32::try_from(count).is_ok_and(|count| count < u32::MAX);
        if !fits(self.ids.len() + chunks) || !fits(self.blocks.len() + pack.blocks.len()) {
            return Err(TooLarge);
        }
        let number = number(self.packs.len());
        self.by_id.insert(pack.id, number);
        self.packs.push(PackSlot {
            id: pack.id,
            size: pack.size,
            epoch: pack.epoch,
            first_block: self::number(self.blocks.len()),
        });
        self.stored_bytes += pack.size;
        self.table.reserve(chunks, &self.ids);
        for block in &pack.blocks {
            self.blocks.push(BlockSlot {
                pack: number,
                first_chunk: self::number(self.ids.len()),
                offset: block.offset,
                stored_length: block.stored_length,
                role: block.role,
            });
            for chunk in &block.chunks {
                let position = self::number(self.ids.len());
                self.ids.push(chunk.id);
                self.lengths.push(chunk.length);
                self.table.insert(&chunk.id, position);
            }
        }
        Ok(())
    }

    /// Makes room for this many chunks beforehand, so that loading does not grow the arrays step by step.
    pub(crate) fn reserve(&mut self, chunks: u64) {
        let chunks = usize::try_from(chunks).unwrap_or(0).min(64 << 20);
        self.ids.reserve_exact(chunks);
        self.lengths.reserve_exact(chunks);
        self.table.reserve(chunks, &self.ids);
    }

    /// Makes everything in a pack unknown, unless another pack has it, too. Its directory stays.
    pub(crate) fn hide(&mut self, pack: &PackId) {
        if let Some(number) = self.by_id.get(pack)
            && self.hidden.insert(*number)
        {
            self.stored_bytes -= self.packs[*number as usize].size;
        }
    }

    /// Takes back [`Index::hide`].
    pub(crate) fn show(&mut self, pack: &PackId) {
        if let Some(number) = self.by_id.get(pack)
            && self.hidden.remove(number)
        {
            self.stored_bytes += self.packs[*number as usize].size;
        }
    }

    /// Sets which blocks are known to be damaged: packs, and the places of the blocks in each; no places: all of them.
    pub(crate) fn set_damaged<'a>(&mut self, damaged: impl Iterator<Item = (PackId, &'a [u32])>) {
        self.damaged.clear();
        for (pack, places) in damaged {
            let Some(numbers) = self.block_numbers_of(&pack) else {
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
    pub(crate) fn add_unannounced(&mut self, pack: &IndexedPack) -> Result<(), TooLarge> {
        if !self.by_id.contains_key(&pack.id) {
            self.add(pack)?;
            self.unannounced.extend(self.by_id.get(&pack.id));
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

    /// Positions of a chunk in packs that are not hidden, those in blocks known to be damaged last.
    fn positions<'a>(&'a self, chunk: &ChunkId) -> impl Iterator<Item = u32> + use<'a> {
        let some_damaged = !self.damaged.is_empty();
        let shown = move |position: &u32| {
            self.hidden.is_empty()
                || !self
                    .hidden
                    .contains(&self.blocks[self.block_of(*position) as usize].pack)
        };
        let damaged = move |position: &u32| some_damaged && self.is_damaged(*position);
        let sound = self
            .table
            .find(chunk, &self.ids)
            .filter(shown)
            .filter(move |at| !damaged(at));
        let rest = some_damaged
            .then(|| self.table.find(chunk, &self.ids).filter(shown).filter(damaged))
            .into_iter()
            .flatten();
        sound.chain(rest)
    }

    /// Whether the chunk at this position lies in a block known to be damaged.
    pub(crate) fn is_damaged(&self, position: u32) -> bool {
        !self.damaged.is_empty() && self.damaged.contains(&self.block_of(position))
    }

    /// Whether a block is known to be damaged.
    pub(crate) fn is_block_damaged(&self, block: u32) -> bool {
        self.damaged.contains(&block)
    }

    pub(crate) fn contains(&self, chunk: &ChunkId) -> bool {
        self.positions(chunk).next().is_some()
    }

    /// Whether the chunk is where a new recovery point may rely on it: in a block not known to be damaged, of a pack that a
    /// commit announced.
    pub(crate) fn is_reliable(&self, chunk: &ChunkId) -> bool {
        if self.damaged.is_empty() && self.unannounced.is_empty() {
            return self.contains(chunk);
        }
        self.positions(chunk).any(|position| {
            let block = self.block_of(position);
            !self.damaged.contains(&block) && !self.unannounced.contains(&self.blocks[block as usize].pack)
        })
    }

    /// Length of a known chunk.
    pub(crate) fn length(&self, chunk: &ChunkId) -> Option<u32> {
        self.positions(chunk).next().map(|at| self.lengths[at as usize])
    }

    /// Every place of a chunk: writers that ran at the same time may have stored it twice, and then the second copy helps
    /// where the first is damaged.
    pub(crate) fn places(&self, chunk: &ChunkId) -> Vec<ChunkPlace> {
        self.positions(chunk)
            .map(|position| self.place(position))
            .collect()
    }

    /// The first place of a chunk.
    pub(crate) fn find(&self, chunk: &ChunkId) -> Option<ChunkPlace> {
        self.positions(chunk).next().map(|position| self.place(position))
    }

    /// The chunk's number: chunks that lie side by side have numbers side by side.
    pub(crate) fn position(&self, chunk: &ChunkId) -> Option<u32> {
        self.positions(chunk).next()
    }

    /// Numbers of the blocks that hold a chunk; cheaper than the places.
    pub(crate) fn block_numbers(&self, chunk: &ChunkId) -> impl Iterator<Item = u32> + '_ {
        self.positions(chunk).map(|position| self.block_of(position))
    }

    fn block_of(&self, position: u32) -> u32 {
        number(self.blocks.partition_point(|block| block.first_chunk <= position) - 1)
    }

    fn place(&self, position: u32) -> ChunkPlace {
        let block = self.block_of(position);
        let first = self.blocks[block as usize].first_chunk;
        let start: usize = self.lengths[first as usize..position as usize]
            .iter()
            .map(|length| *length as usize)
            .sum();
        let range = start..start + self.lengths[position as usize] as usize;
        ChunkPlace {
            block,
            key: (self.pack_of(block), self.blocks[block as usize].offset),
            range,
        }
    }

    /// A block by its number.
    pub(crate) fn block(&self, number: u32) -> BlockPlace {
        let slot = &self.blocks[number as usize];
        let pack = &self.packs[slot.pack as usize];
        let chunks = slot.first_chunk as usize
            ..self
                .blocks
                .get(number as usize + 1)
                .map_or(self.ids.len(), |next| next.first_chunk as usize);
        let entry = BlockEntry {
            offset: slot.offset,
            stored_length: slot.stored_length,
            role: slot.role,
            chunks: chunks
                .map(|at| ChunkEntry {
                    id: self.ids[at],
                    length: self.lengths[at],
                })
                .collect(),
        };
        BlockPlace {
            pack: pack.id,
            epoch: pack.epoch,
            entry,
        }
    }

    /// The blocks that follow `number` in its pack, as long as they hold at most `plain_bytes` together.
    pub(crate) fn following(&self, number: u32, plain_bytes: u64) -> Vec<BlockPlace> {
        let pack = self.blocks[number as usize].pack;
        let mut found = Vec::new();
        let mut left = plain_bytes;
        for next in number as usize + 1..self.blocks.len() {
            if self.blocks[next].pack != pack {
                break;
            }
            let place = self.block(self::number(next));
            let plain = u64::from(place.entry.plain_length());
            if plain > left {
                break;
            }
            left -= plain;
            found.push(place);
        }
        found
    }

    /// A block's pack, and its place in the pack's directory.
    pub(crate) fn place_in_pack(&self, block: u32) -> (PackId, u32) {
        let pack = &self.packs[self.blocks[block as usize].pack as usize];
        (pack.id, block - pack.first_block)
    }

    /// The pack of a block.
    pub(crate) fn pack_of(&self, block: u32) -> PackId {
        self.packs[self.blocks[block as usize].pack as usize].id
    }

    /// Whether the pack was added, hidden since or not.
    pub(crate) fn contains_pack(&self, pack: &PackId) -> bool {
        self.by_id.contains_key(pack)
    }

    /// Whether the pack was added and is not hidden.
    pub(crate) fn shows_pack(&self, pack: &PackId) -> bool {
        self.by_id
            .get(pack)
            .is_some_and(|number| !self.hidden.contains(number))
    }

    /// Ids and sizes of all packs that are not hidden.
    pub(crate) fn packs(&self) -> impl Iterator<Item = (PackId, u64)> + '_ {
        (0..)
            .zip(&self.packs)
            .filter(|(number, _)| !self.hidden.contains(number))
            .map(|(_, pack)| (pack.id, pack.size))
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

    /// How much of each pack is wanted, by positions of chunks; hidden packs are left out.
    pub(crate) fn usage(
        &self,
        wanted: impl Fn(u32) -> bool,
        elsewhere: impl Fn(u32) -> bool,
    ) -> Vec<PackUsage> {
        let mut usage: Vec<PackUsage> = self
            .packs
            .iter()
            .map(|pack| PackUsage {
                id: pack.id,
                size: pack.size,
                epoch: pack.epoch,
                wanted_bytes: 0,
                dispensable: true,
            })
            .collect();
        for (at, block) in self.blocks.iter().enumerate() {
            let end = self
                .blocks
                .get(at + 1)
                .map_or(self.ids.len(), |next| next.first_chunk as usize);
            let (mut all, mut live) = (0u64, 0u64);
            for position in block.first_chunk as usize..end {
                let length = u64::from(self.lengths[position]);
                all += length;
                if wanted(number(position)) {
                    live += length;
                    usage[block.pack as usize].dispensable &= elsewhere(number(position));
                }
            }
            let share = (u64::from(block.stored_length) * live).checked_div(all);
            usage[block.pack as usize].wanted_bytes += share.unwrap_or(0);
        }
        (0..)
            .zip(usage)
            .filter(|(number, _)| !self.hidden.contains(number))
            .map(|(_, usage)| usage)
            .collect()
    }

    /// Positions of the chunks of a block.
    pub(crate) fn chunk_positions(&self, block: u32) -> Range<u32> {
        let end = self
            .blocks
            .get(block as usize + 1)
            .map_or(number(self.ids.len()), |next| next.first_chunk);
        self.blocks[block as usize].first_chunk..end
    }

    /// Numbers of the blocks of a pack.
    fn block_numbers_of(&self, id: &PackId) -> Option<Range<u32>> {
        let at = *self.by_id.get(id)? as usize;
        let end = self
            .packs
            .get(at + 1)
            .map_or(number(self.blocks.len()), |next| next.first_block);
        Some(self.packs[at].first_block..end)
    }

    /// The directory of a pack, as this index has it.
    pub(crate) fn pack(&self, id: &PackId) -> Option<(IndexedPack, Range<u32>)> {
        let at = *self.by_id.get(id)? as usize;
        let pack = &self.packs[at];
        let numbers = self.block_numbers_of(id)?;
        let blocks = numbers.clone().map(|number| self.block(number).entry).collect();
        Some((
            IndexedPack {
                id: pack.id,
                size: pack.size,
                epoch: pack.epoch,
                blocks,
            },
            numbers,
        ))
    }

    pub(crate) fn pack_count(&self) -> usize {
        self.packs.len() - self.hidden.len()
    }

    /// Positions of the chunks of all packs that are not hidden, block by block.
    fn shown(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        (0u32..)
            .zip(&self.blocks)
            .filter(|(_, block)| !self.hidden.contains(&block.pack))
            .map(|(number, _)| self.chunk_positions(number))
    }

    /// Chunks of all packs that are not hidden.
    pub(crate) fn chunk_count(&self) -> usize {
        if self.hidden.is_empty() {
            return self.ids.len();
        }
        self.shown().map(|positions| positions.len()).sum()
    }

    /// Bytes of all packs that are not hidden.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Plain bytes of the chunks of all packs that are not hidden.
    pub(crate) fn plain_bytes(&self) -> u64 {
        self.shown()
            .flatten()
            .map(|position| u64::from(self.lengths[position as usize]))
            .sum()
    }
}

/// More chunks than this implementation numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// `Index::add` checked that every count fits.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// An open-addressing table of positions; it holds no keys of its own.
#[derive(Debug, Default)]
struct Table {
    places: Vec<u32>,
    used: usize,
}

const EMPTY: u32 = u32::MAX;

impl Table {
    fn reserve(&mut self, more: usize, ids: &[ChunkId]) {
        // At most 5/6 full: short probes, and 5 to 7 bytes a chunk.
        let needed = (self.used + more) / 5 * 6 + 16;
        if needed <= self.places.len() {
            return;
        }
        let size = needed.max(self.places.len() + self.places.len() / 3);
        let old = std::mem::replace(&mut self.places, vec![EMPTY; size]);
        self.used = 0;
        for position in old.into_iter().filter(|position| *position != EMPTY) {
            self.insert(&ids[position as usize], position);
        }
    }

    fn home(&self, id: &ChunkId) -> usize {
        let mut first = [0; 8];
        first.copy_from_slice(&id.as_bytes()[..8]);
        // Multiply-shift: spreads a uniform 64-bit value evenly over any length.
        let wide = u128::from(u64::from_le_bytes(first)) * self.places.len() as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    fn insert(&mut self, id: &ChunkId, position: u32) {
        let mut at = self.home(id);
        while self.places[at] != EMPTY {
            at = if at + 1 == self.places.len() { 0 } else { at + 1 };
        }
        self.places[at] = position;
        self.used += 1;
    }

    fn find<'a>(&'a self, id: &ChunkId, ids: &'a [ChunkId]) -> impl Iterator<Item = u32> + use<'a> {
        let id = *id;
        let length = self.places.len();
        let start = if length == 0 { 0 } else { self.home(&id) };
        (0..length)
            .map(move |step| self.places[(start + step) % length])
            .take_while(|position| *position != EMPTY)
            .filter(move |position| ids[*position as usize] == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids as a keyed hash makes them: uniform, and reproducible here.
    fn chunk(n: u64) -> ChunkEntry {
        let id = ChunkId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes());
        ChunkEntry {
            id,
            length: 10 + (n % 100) as u32,
        }
    }

    fn pack(first: u64, blocks: u64, chunks: u64) -> IndexedPack {
        let mut offset = 64;
        let blocks = (0..blocks)
            .map(|block| {
                let chunks: Vec<_> = (0..chunks).map(|n| chunk(first + block * chunks + n)).collect();
                let entry = BlockEntry {
                    offset,
                    stored_length: 500,
                    role: BlockRole::Data,
                    chunks,
                };
                offset += 500;
                entry
            })
            .collect();
        IndexedPack {
            id: PackId::of(&first.to_le_bytes()),
            size: u64::from(offset) + 100,
            epoch: 0,
            blocks,
        }
    }

    #[test]
    fn finds_every_chunk_where_it_was_put() {
        let mut index = Index::default();
        assert!(index.find(&chunk(0).id).is_none());
        let packs: Vec<_> = (0..40).map(|n| pack(n * 1000, 20, 50)).collect();
        for pack in &packs {
            index.add(pack).unwrap();
            index.add(pack).unwrap();
        }
        assert_eq!(index.chunk_count(), 40_000);
        assert_eq!(index.pack_count(), 40);
        for pack in &packs {
            for entry in &pack.blocks {
                for (id, range) in entry.chunk_ranges() {
                    let place = index.find(&id).unwrap();
                    let block = index.block(place.block);
                    assert_eq!((block.pack, &block.entry, place.range), (pack.id, entry, range));
                    assert_eq!(place.key, block.key());
                }
            }
            assert_eq!(&index.pack(&pack.id).unwrap().0, pack);
        }
        assert!(!index.contains(&chunk(40_000).id));
        let bytes = index.table.places.len() * 4 + index.ids.len() * 36;
        assert!(
            bytes / index.ids.len() < 48,
            "{} bytes a chunk",
            bytes / index.ids.len()
        );
    }

    #[test]
    fn keeps_both_copies_of_a_chunk() {
        let mut index = Index::default();
        let first = pack(0, 2, 3);
        let mut second = pack(0, 1, 6);
        second.id = PackId::from_bytes([9; 32]);
        index.add(&first).unwrap();
        index.add(&second).unwrap();
        let places = index.places(&chunk(4).id);
        assert_eq!(
            places.iter().map(|place| place.key.0).collect::<Vec<_>>(),
            [first.id, second.id]
        );
    }

    #[test]
    fn nothing_is_found_in_a_hidden_pack_until_it_is_shown_again() {
        let mut index = Index::default();
        let first = pack(0, 2, 3);
        let mut second = pack(0, 1, 4);
        second.id = PackId::from_bytes([9; 32]);
        index.add(&first).unwrap();
        index.add(&second).unwrap();
        let stored = index.stored_bytes();
        index.hide(&first.id);
        index.hide(&first.id);
        assert!(!index.contains(&chunk(5).id), "only the first pack has it");
        assert_eq!(index.find(&chunk(1).id).unwrap().key.0, second.id);
        assert_eq!(index.packs().map(|(id, _)| id).collect::<Vec<_>>(), [second.id]);
        assert_eq!(index.stored_bytes(), stored - first.size);
        index.show(&first.id);
        assert_eq!(index.find(&chunk(5).id).unwrap().key.0, first.id);
        assert_eq!(index.stored_bytes(), stored);
    }

    #[test]
    fn usage_counts_what_is_wanted_in_each_pack() {
        let mut index = Index::default();
        index.add(&pack(0, 2, 2)).unwrap();
        index.add(&pack(100, 1, 2)).unwrap();
        // Chunks 0 and 1 of the first block, which are 10 and 11 bytes long; one of them is elsewhere, too.
        let usage = index.usage(|position| position < 2, |position| position == 1);
        assert_eq!(usage[0].wanted_bytes, 500);
        assert!(!usage[0].dispensable);
        assert_eq!(usage[1].wanted_bytes, 0);
        assert!(usage[1].dispensable);
        assert_eq!(
            index.usage(|position| position == 0, |_| true)[0].wanted_bytes,
            500 * 10 / 21
        );
    }

    #[test]
    fn neighbours_stay_in_the_pack_and_in_the_budget() {
        let mut index = Index::default();
        index.add(&pack(0, 5, 1)).unwrap();
        index.add(&pack(100, 5, 1)).unwrap();
        assert_eq!(index.following(0, u64::MAX).len(), 4);
        assert_eq!(index.following(4, u64::MAX).len(), 0);
        assert_eq!(index.following(0, 11 + 12).len(), 2);
        assert_eq!(index.following(0, 0).len(), 0);
    }
}
