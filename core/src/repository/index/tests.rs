//! The index by itself, and beside a naive one that keeps everything in maps.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nakivo_repo_format::pack::{BlockRole, ChunkEntry};

use super::*;
use crate::scratch::{ScratchFile, ScratchSpace};

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
    let mut index = Index::new(Scratch::default());
    assert!(index.find(&chunk(0).id).unwrap().is_none());
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
                let place = index.find(&id).unwrap().unwrap();
                let block = index.block(place.block).unwrap();
                assert_eq!((block.pack, &block.entry, place.range), (pack.id, entry, range));
                assert_eq!(place.key, block.key());
            }
        }
        assert_eq!(&index.pack(&pack.id).unwrap().unwrap().0, pack);
    }
    assert!(!index.contains(&chunk(40_000).id).unwrap());
}

#[test]
fn keeps_both_copies_of_a_chunk() {
    let mut index = Index::new(Scratch::default());
    let first = pack(0, 2, 3);
    let mut second = pack(0, 1, 6);
    second.id = PackId::from_bytes([9; 32]);
    index.add(&first).unwrap();
    index.add(&second).unwrap();
    let places = index.places(&chunk(4).id).unwrap();
    assert_eq!(
        places.iter().map(|place| place.key.0).collect::<Vec<_>>(),
        [first.id, second.id]
    );
}

#[test]
fn nothing_is_found_in_a_hidden_pack_until_it_is_shown_again() {
    let mut index = Index::new(Scratch::default());
    let first = pack(0, 2, 3);
    let mut second = pack(0, 1, 4);
    second.id = PackId::from_bytes([9; 32]);
    index.add(&first).unwrap();
    index.add(&second).unwrap();
    let stored = index.stored_bytes();
    index.hide(&first.id);
    index.hide(&first.id);
    assert!(
        !index.contains(&chunk(5).id).unwrap(),
        "only the first pack has it"
    );
    assert_eq!(index.find(&chunk(1).id).unwrap().unwrap().key.0, second.id);
    assert_eq!(index.packs().map(|(id, _)| id).collect::<Vec<_>>(), [second.id]);
    assert_eq!(index.stored_bytes(), stored - first.size);
    index.show(&first.id);
    assert_eq!(index.find(&chunk(5).id).unwrap().unwrap().key.0, first.id);
    assert_eq!(index.stored_bytes(), stored);
}

#[test]
fn usage_counts_what_is_wanted_in_each_pack() {
    let mut index = Index::new(Scratch::default());
    index.add(&pack(0, 2, 2)).unwrap();
    index.add(&pack(100, 1, 2)).unwrap();
    // Chunks 0 and 1 of the first block, which are 10 and 11 bytes long; one of them is elsewhere, too.
    let usage = index
        .usage(|_| true, |position| position < 2, |position| position == 1)
        .unwrap();
    assert_eq!(usage[0].wanted_bytes, 500);
    assert!(!usage[0].dispensable);
    assert_eq!(usage[1].wanted_bytes, 0);
    assert!(usage[1].dispensable);
    assert_eq!(
        index.usage(|_| true, |position| position == 0, |_| true).unwrap()[0].wanted_bytes,
        500 * 10 / 21
    );
}

#[test]
fn neighbours_stay_in_the_pack_and_in_the_budget() {
    let mut index = Index::new(Scratch::default());
    index.add(&pack(0, 5, 1)).unwrap();
    index.add(&pack(100, 5, 1)).unwrap();
    assert_eq!(index.following(0, u64::MAX).unwrap().len(), 4);
    assert_eq!(index.following(4, u64::MAX).unwrap().len(), 0);
    assert_eq!(index.following(0, 11 + 12).unwrap().len(), 2);
    assert_eq!(index.following(0, 0).unwrap().len(), 0);
}

/// A small generator of numbers, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 += 1;
        let hash = blake3::hash(&self.0.to_le_bytes());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap()) % sides
    }
}

/// The naive index: packs in the order they came.
#[derive(Default)]
struct Model {
    packs: Vec<IndexedPack>,
    hidden: BTreeSet<PackId>,
    damaged: BTreeMap<PackId, Vec<u32>>,
    unannounced: BTreeSet<PackId>,
}

impl Model {
    fn add(&mut self, pack: &IndexedPack, announced: bool) {
        let known = self.packs.iter().any(|known| known.id == pack.id);
        if !known {
            self.packs.push(pack.clone());
        }
        if announced {
            self.unannounced.remove(&pack.id);
        } else if !known {
            self.unannounced.insert(pack.id);
        }
    }

    fn is_damaged(&self, pack: &PackId, place: usize) -> bool {
        let places = self.damaged.get(pack);
        places.is_some_and(|places| places.is_empty() || places.iter().any(|known| *known as usize == place))
    }

    /// Places of a chunk, sound ones first: its position, the pack, the block's number and place, whether it is damaged.
    fn places(&self, chunk: &ChunkId) -> Vec<(u32, ChunkPlace, PackId, bool)> {
        let (mut position, mut number) = (0, 0);
        let mut found = Vec::new();
        for pack in &self.packs {
            for (place, block) in pack.blocks.iter().enumerate() {
                for (id, range) in block.chunk_ranges() {
                    if id == *chunk && !self.hidden.contains(&pack.id) {
                        let key = (pack.id, block.offset);
                        let at = ChunkPlace {
                            block: number,
                            key,
                            range,
                        };
                        found.push((position, at, pack.id, self.is_damaged(&pack.id, place)));
                    }
                    position += 1;
                }
                number += 1;
            }
        }
        found.sort_by_key(|(_, _, _, damaged)| *damaged);
        found
    }

    fn shown(&self) -> impl Iterator<Item = &IndexedPack> {
        self.packs.iter().filter(|pack| !self.hidden.contains(&pack.id))
    }
}

/// A pack of a few blocks whose chunks come from a small world, so that many are in several packs.
fn random_pack(dice: &mut Dice) -> IndexedPack {
    let mut offset = 64;
    let blocks = (0..1 + dice.roll(4))
        .map(|_| {
            let stored_length = 100 + dice.roll(1000) as u32;
            let entry = BlockEntry {
                offset,
                stored_length,
                role: [BlockRole::Data, BlockRole::Tree, BlockRole::Other][dice.roll(3) as usize],
                chunks: (0..1 + dice.roll(5)).map(|_| chunk(dice.roll(300))).collect(),
            };
            offset += stored_length;
            entry
        })
        .collect();
    IndexedPack {
        id: PackId::of(&dice.0.to_le_bytes()),
        size: u64::from(offset) + 100,
        epoch: dice.roll(3) as u32,
        blocks,
    }
}

fn compare(index: &Index, model: &Model, dice: &mut Dice, seed: u64) {
    for n in 0..330 {
        let id = chunk(n).id;
        let places = model.places(&id);
        let what = format!("seed {seed}, chunk {n}");
        let expected: Vec<ChunkPlace> = places.iter().map(|(_, at, ..)| at.clone()).collect();
        assert_eq!(index.places(&id).unwrap(), expected, "{what}");
        assert_eq!(index.find(&id).unwrap(), expected.first().cloned(), "{what}");
        let numbers: Vec<u32> = expected.iter().map(|at| at.block).collect();
        assert_eq!(index.block_numbers(&id).unwrap(), numbers, "{what}");
        assert_eq!(index.contains(&id).unwrap(), !expected.is_empty(), "{what}");
        let first = places.first();
        assert_eq!(index.position(&id).unwrap(), first.map(|place| place.0), "{what}");
        assert_eq!(
            index.find_pack(&id).unwrap(),
            first.map(|place| place.2),
            "{what}"
        );
        assert_eq!(
            index.length(&id).unwrap(),
            first.map(|_| chunk(n).length),
            "{what}"
        );
        let reliable = places
            .iter()
            .any(|(_, _, pack, damaged)| !damaged && !model.unannounced.contains(pack));
        assert_eq!(index.is_reliable(&id).unwrap(), reliable, "{what}");
    }
    let chunks = |pack: &IndexedPack| pack.blocks.iter().map(|block| block.chunks.len()).sum::<usize>();
    assert_eq!(index.chunk_count(), model.shown().map(chunks).sum::<usize>());
    assert_eq!(index.pack_count(), model.shown().count());
    assert_eq!(
        index.stored_bytes(),
        model.shown().map(|pack| pack.size).sum::<u64>()
    );
    let plain = |pack: &IndexedPack| {
        let lengths = pack.blocks.iter().map(|block| u64::from(block.plain_length()));
        lengths.sum::<u64>()
    };
    assert_eq!(index.plain_bytes(), model.shown().map(plain).sum::<u64>());
    let mut block = 0;
    for pack in &model.packs {
        let numbers = block..block + number(pack.blocks.len());
        assert_eq!(
            index.pack(&pack.id).unwrap(),
            Some((pack.clone(), numbers.clone()))
        );
        for (place, entry) in (0..).zip(&pack.blocks) {
            assert_eq!(&index.block(block).unwrap().entry, entry);
            assert_eq!(index.place_in_pack(block), (pack.id, place));
            assert_eq!(
                index.is_block_damaged(block),
                model.is_damaged(&pack.id, place as usize)
            );
            block += 1;
        }
        assert_eq!(
            index.following(numbers.start, u64::MAX).unwrap().len(),
            pack.blocks.len() - 1
        );
    }
    compare_usage(index, model, dice);
}

fn compare_usage(index: &Index, model: &Model, dice: &mut Dice) {
    let (wanted, elsewhere) = (2 + dice.roll(5) as u32, 1 + dice.roll(3) as u32);
    let odd = |id: &PackId| id.as_bytes()[0] % 2 == 1;
    let usage = index
        .usage(odd, |at| at % wanted == 0, |at| at % elsewhere == 0)
        .unwrap();
    let mut position = 0;
    let mut expected = Vec::new();
    for pack in &model.packs {
        let (mut bytes, mut dispensable) = (0, true);
        for block in &pack.blocks {
            let mut live = 0;
            for chunk in &block.chunks {
                if position % wanted == 0 {
                    live += u64::from(chunk.length);
                    dispensable &= position % elsewhere == 0;
                }
                position += 1;
            }
            bytes += u64::from(block.stored_length) * live / u64::from(block.plain_length());
        }
        if !model.hidden.contains(&pack.id) && odd(&pack.id) {
            expected.push((pack.id, bytes, dispensable));
        }
    }
    let found = usage
        .iter()
        .map(|pack| (pack.id, pack.wanted_bytes, pack.dispensable));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

/// A history of random packs, removals and damage, compared with the model all along.
fn history(seed: u64, scratch: Scratch, reserve: u64) -> Index {
    let mut dice = Dice(seed << 32);
    let mut index = Index::new(scratch);
    let mut model = Model::default();
    if reserve > 0 {
        index.reserve(reserve);
    }
    for step in 0..120 {
        let some = (!model.packs.is_empty())
            .then(|| model.packs[dice.roll(model.packs.len() as u64) as usize].clone());
        match (dice.roll(10), some) {
            (0, Some(pack)) => {
                index.hide(&pack.id);
                model.hidden.insert(pack.id);
            }
            (1, Some(pack)) => {
                index.show(&pack.id);
                model.hidden.remove(&pack.id);
            }
            (2, Some(pack)) => {
                let places = if dice.roll(2) == 0 {
                    vec![]
                } else {
                    vec![0, dice.roll(6) as u32]
                };
                model.damaged.insert(pack.id, places);
                index.set_damaged(model.damaged.iter().map(|(pack, places)| (*pack, &places[..])));
            }
            (3, Some(pack)) => {
                index.add(&pack).unwrap();
                model.add(&pack, true);
            }
            (4 | 5, _) => {
                let pack = random_pack(&mut dice);
                index.add_unannounced(&pack).unwrap();
                model.add(&pack, false);
            }
            _ => {
                let pack = random_pack(&mut dice);
                index.add(&pack).unwrap();
                model.add(&pack, true);
            }
        }
        if step % 30 == 29 {
            compare(&index, &model, &mut dice, seed);
        }
    }
    assert_eq!(
        index.unannounced(),
        model.unannounced.iter().copied().collect::<Vec<_>>()
    );
    index
}

#[test]
fn a_random_history_gives_what_a_naive_index_gives() {
    let seeds = match std::env::var("NAKIVO_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=8).collect(),
    };
    let place = tempfile::tempdir().unwrap();
    for seed in seeds {
        let scratch = Scratch::directory(place.path());
        for (scratch, reserve) in [
            (Scratch::default(), 0),
            (Scratch::default(), 500),
            (scratch.clone().with_threshold(0), 0),
            (scratch.clone().with_threshold(70), 0),
            (scratch.with_threshold(70), 500),
            (Scratch::over(Arc::new(Disk::default())).with_threshold(0), 0),
            (Scratch::over(Arc::new(Disk::takes(20))).with_threshold(0), 0),
            (Scratch::over(Arc::new(Disk::takes(0))).with_threshold(9), 0),
            (Scratch::over(Arc::new(Disk::none())).with_threshold(9), 0),
        ] {
            history(seed, scratch, reserve);
        }
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

/// A disk that can be told to fail.
#[derive(Debug, Default, Clone)]
struct Disk {
    /// Makes no files.
    absent: bool,
    /// Pages each file takes; `None`: all.
    takes: Option<u64>,
    /// Fails every read.
    silent: Arc<AtomicBool>,
    /// Gives back other bytes than were written.
    forgets: Arc<AtomicBool>,
}

impl Disk {
    fn takes(pages: u64) -> Self {
        Self {
            takes: Some(pages),
            ..Self::default()
        }
    }

    fn none() -> Self {
        Self {
            absent: true,
            ..Self::default()
        }
    }
}

impl ScratchSpace for Disk {
    fn create(&self) -> io::Result<Box<dyn ScratchFile>> {
        if self.absent {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Box::new(OnDisk {
            disk: self.clone(),
            bytes: std::sync::Mutex::default(),
        }))
    }
}

#[derive(Debug)]
struct OnDisk {
    disk: Disk,
    bytes: std::sync::Mutex<Vec<u8>>,
}

impl ScratchFile for OnDisk {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.disk.takes.is_some_and(|pages| offset >= pages * 4096) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut kept = self.bytes.lock().unwrap();
        assert_eq!(kept.len() as u64, offset, "written once, in order");
        kept.extend_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.disk.silent.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let from = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&self.bytes.lock().unwrap()[from..from + buffer.len()]);
        if self.disk.forgets.load(Ordering::Relaxed) {
            buffer[7] ^= 1;
        }
        Ok(())
    }
}

#[test]
fn rows_that_do_not_come_back_are_errors_and_never_answers() {
    let disk = Disk::default();
    let mut index = Index::new(Scratch::over(Arc::new(disk.clone())).with_threshold(0));
    // Far more than are kept in memory.
    let packs: Vec<_> = (0..40).map(|n| pack(n * 1000, 20, 50)).collect();
    for pack in &packs {
        index.add(pack).unwrap();
    }
    for (fault, name, n) in [(&disk.silent, "silent", 500), (&disk.forgets, "forgets", 20_500)] {
        fault.store(true, Ordering::Relaxed);
        let id = chunk(n).id;
        let kinds = [
            index.contains(&id).unwrap_err().kind(),
            index.is_reliable(&id).unwrap_err().kind(),
            index.find(&id).unwrap_err().kind(),
            index.places(&id).unwrap_err().kind(),
            index.position(&id).unwrap_err().kind(),
            index.length(&id).unwrap_err().kind(),
            index.block_numbers(&id).unwrap_err().kind(),
            index.block(3).unwrap_err().kind(),
            index.following(3, u64::MAX).unwrap_err().kind(),
            index.pack(&packs[5].id).unwrap_err().kind(),
            index.usage(|_| true, |_| true, |_| true).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::ScratchFailed; 11], "{name}");
        fault.store(false, Ordering::Relaxed);
        assert!(
            index.contains(&id).unwrap(),
            "it is read again, not remembered as bad"
        );
    }
}

#[test]
fn ids_that_look_alike_are_told_apart() {
    // The same place and the same tag: only the rest of the id differs.
    let alike = |last: u8| {
        let mut id = *chunk(1).id.as_bytes();
        id[31] = last;
        ChunkId::from_bytes(id)
    };
    for scratch in [
        Scratch::default(),
        Scratch::over(Arc::new(Disk::default())).with_threshold(0),
    ] {
        let mut index = Index::new(scratch);
        let mut known = pack(7000, 1, 3);
        for (last, chunk) in (1..).zip(&mut known.blocks[0].chunks) {
            chunk.id = alike(last);
        }
        index.add(&known).unwrap();
        for last in 1..=3 {
            assert_eq!(index.position(&alike(last)).unwrap(), Some(u32::from(last) - 1));
        }
        assert!(!index.contains(&alike(4)).unwrap());
        assert!(!index.is_reliable(&alike(5)).unwrap());
    }
}

#[test]
fn memory_stays_small_above_the_threshold() {
    let disk = Disk::default();
    let mut index = Index::new(Scratch::over(Arc::new(disk)).with_threshold(10_000));
    for n in 0..100 {
        index.add(&pack(n * 1000, 20, 50)).unwrap();
    }
    let tails = index.chunks.memory() + index.blocks.memory();
    assert!(tails < 64 * 2 * 4096, "{tails} bytes of rows");
    let table = index.table.bytes() / 100_000;
    assert!(table < 9, "{table} bytes a chunk");
}
