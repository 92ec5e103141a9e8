//! Packs: each read once, whole. Where its hash is wrong, its blocks tell what is left of it.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use nakivo_repo_format::index::IndexedPack;
use nakivo_repo_format::object::{ObjectHeader, ObjectType};
use nakivo_repo_format::pack::{BlockEntry, open_blocks, open_directory, open_pack};
use nakivo_repo_format::{Codec, PackId, paths};

use super::Verifier;
use crate::error::Result;
use crate::repository::objects::{corrupt, format_error};
use crate::repository::shared::Shared;

/// Packs read at once: as many as keep the machine busy. Of one that is intact, next to nothing is held in memory.
const PARALLEL_PACKS: usize = 2;
/// Blocks opened before the first of them is forgotten.
const BLOCKS_AT_ONCE: usize = 4;
/// Bytes read between two notes of how far the verification came.
const SAVE_EVERY_BYTES: u64 = 1 << 30;

/// What one pack is like.
struct Condition {
    /// What is wrong with the pack as a whole.
    wrong: Option<String>,
    /// Blocks that cannot be opened, counted within the pack.
    bad: Vec<u32>,
    bytes: u64,
    chunks: u64,
}

impl Verifier {
    /// Reads the packs in `only`, or all.
    pub(super) async fn packs(&mut self, only: Option<&HashSet<PackId>>) -> Result<()> {
        let sample = self.sample;
        let done = self.saved.last_pack;
        let mut packs: Vec<PackId> = {
            let index = self.shared.index();
            index
                .packs()
                .map(|(id, _)| id)
                .filter(|id| only.is_none_or(|only| only.contains(id)))
                .filter(|id| sample.takes(id.as_bytes()))
                .filter(|id| done.is_none_or(|done| *id > done))
                .collect()
        };
        // One after the other in a fixed order, so that how far this came is one name.
        packs.sort_unstable();
        let total = packs
            .iter()
            .filter_map(|id| self.shared.index().pack_size(id))
            .sum();
        self.reporter
            .update(|progress| progress.bytes_total = Some(total));
        let shared = Arc::clone(&self.shared);
        // With content hashes every needed block is opened when its items are joined: once is enough.
        let blocks_too = !self.hashes;
        let mut reading = stream::iter(packs)
            .map(|id| {
                let shared = Arc::clone(&shared);
                async move { (id, read_pack(&shared, id, blocks_too).await) }
            })
            .buffered(PARALLEL_PACKS);
        while let Some((id, result)) = reading.next().await {
            self.reporter.check()?;
            if !self.shared.index().shows_pack(&id) {
                // It went meanwhile, and nothing needs it any more.
                continue;
            }
            self.report.packs += 1;
            let path = paths::pack(&id);
            match result {
                Ok(condition) => {
                    self.silent = 0;
                    self.report.bytes += condition.bytes;
                    self.report.chunks += condition.chunks;
                    self.reporter
                        .update(|progress| progress.bytes_done += condition.bytes);
                    if self.shared.view().state.damaged_packs().contains_key(&id) {
                        self.known.read.insert(id);
                    }
                    self.unsaved_bytes += condition.bytes;
                    if !condition.bad.is_empty() {
                        self.bad(id, condition.bad.into_iter().collect());
                    }
                    if let Some(wrong) = condition.wrong {
                        self.known.changed.insert(id);
                        self.damaged(&path, wrong);
                    }
                }
                Err(error) => {
                    let what = self.damage_of(error)?;
                    self.damaged(&path, what);
                    self.known.changed.insert(id);
                    self.bad(id, BTreeSet::new());
                }
            }
            self.saved.last_pack = Some(id);
            if self.unsaved_bytes >= SAVE_EVERY_BYTES {
                self.save().await;
            }
            // Behind it: each call gets on by one pack at least.
            self.check()?;
        }
        Ok(())
    }
}

async fn read_pack(shared: &Arc<Shared>, id: PackId, blocks_too: bool) -> Result<Condition> {
    let path = paths::pack(&id);
    let Some((indexed, _)) = shared.index().pack(&id)? else {
        return Err(corrupt(&path, "it is not in the index"));
    };
    if !blocks_too && let Some(condition) = intact(shared, &indexed).await {
        return Ok(condition);
    }
    // Something was put behind the pack's end: what was there before may be whole.
    let limit = indexed.size;
    let bytes = match shared.objects.get(&path, limit).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(corrupt(&path, "the object is missing")),
        Err(error) => match shared.objects.size(&path).await {
            Ok(Some(size)) if size > limit => match shared.objects.get_range(&path, 0..limit).await? {
                Some(bytes) => bytes,
                None => return Err(corrupt(&path, "the object is missing")),
            },
            _ => return Err(error),
        },
    };
    let too_long = shared.objects.size(&path).await?.is_some_and(|size| size > limit);
    shared
        .compute(move |shared, codec| Ok(examine(shared, codec, &indexed, &bytes, blocks_too, too_long)))
        .await
}

/// The condition of a pack that is what it should be: its length, its hash, and its directory, which is that of the index. `None`: it
/// is not, and is to be looked at in full.
async fn intact(shared: &Arc<Shared>, indexed: &IndexedPack) -> Option<Condition> {
    let blocks_end = indexed.blocks.last()?.range().end;
    let path = paths::pack(&indexed.id);
    let digest = shared.objects.digest(&path, indexed.size, blocks_end);
    let digest = digest.await.ok()??;
    if digest.hash().as_bytes() != indexed.id.as_bytes() {
        return None;
    }
    let size = indexed.size;
    let opened = shared.compute(move |shared, codec| {
        let bad = |error| format_error(&path, error);
        let header = ObjectHeader::decode(&digest.head).map_err(bad)?;
        open_directory(&shared.keys(), codec, &header, size, &digest.tail).map_err(bad)
    });
    (opened.await.ok()?.blocks == indexed.blocks).then(|| Condition {
        wrong: None,
        bad: Vec::new(),
        bytes: size,
        chunks: indexed.blocks.iter().map(|block| block.chunks.len() as u64).sum(),
    })
}

/// The sealed bytes of a block, unless the pack is too short.
fn stored<'a>(pack: &'a [u8], entry: &BlockEntry) -> Option<&'a [u8]> {
    let Range { start, end } = entry.range();
    pack.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

fn examine(
    shared: &Shared,
    codec: &mut Codec,
    indexed: &IndexedPack,
    bytes: &Bytes,
    blocks_too: bool,
    too_long: bool,
) -> Condition {
    let mut condition = Condition {
        wrong: None,
        bad: Vec::new(),
        bytes: bytes.len() as u64,
        chunks: indexed.blocks.iter().map(|block| block.chunks.len() as u64).sum(),
    };
    let intact = PackId::of(bytes) == indexed.id;
    if intact {
        match open_pack(&shared.keys(), codec, bytes) {
            Ok((_, directory)) if directory.blocks == indexed.blocks => {}
            Ok(_) => condition.wrong = Some("its directory and the index disagree".to_owned()),
            Err(error) => condition.wrong = Some(error.to_string()),
        }
    }
    if !intact || blocks_too {
        let keys = shared.keys();
        let sealed: Vec<(&BlockEntry, &[u8])> = indexed
            .blocks
            .iter()
            .map(|entry| (entry, stored(bytes, entry).unwrap_or_default()))
            .collect();
        let header = keys.header_in_epoch(indexed.epoch, ObjectType::Pack, 0);
        // A few at a time: what is opened is not needed.
        for (from, some) in (0..).step_by(BLOCKS_AT_ONCE).zip(sealed.chunks(BLOCKS_AT_ONCE)) {
            match &header {
                Ok(header) => {
                    let opened = open_blocks(&keys, codec, header, some);
                    let bad = (from..).zip(opened).filter(|(_, opened)| opened.is_err());
                    condition.bad.extend(bad.map(|(number, _)| number));
                }
                Err(_) => condition.bad.extend((from..).zip(some).map(|(number, _)| number)),
            }
        }
    }
    if !intact || !condition.bad.is_empty() {
        let (bad, all) = (condition.bad.len(), indexed.blocks.len());
        let size = bytes.len() as u64;
        let what = if size < indexed.size {
            format!(
                "it has {size} of {} bytes; {bad} of {all} blocks cannot be read",
                indexed.size
            )
        } else if bad == 0 {
            "its header or directory was changed; all its blocks can be read".to_owned()
        } else {
            format!("its bytes were changed; {bad} of {all} blocks cannot be read")
        };
        condition.wrong = Some(what);
    } else if too_long && condition.wrong.is_none() {
        condition.wrong = Some("it is longer than it should be; all its blocks can be read".to_owned());
    }
    condition
}
