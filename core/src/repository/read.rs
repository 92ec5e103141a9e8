//! Reading chunks: through the cache, in large ranges where reading is sequential, every byte authenticated.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use nakivo_repo_format::object::ObjectType;
use nakivo_repo_format::pack::{BlockEntry, open_blocks};
use nakivo_repo_format::record::{ContentPart, SegmentList};
use nakivo_repo_format::{ChunkRef, paths};

use super::cache::{BlockKey, Loaded, Lookup, MAX_READ_AHEAD_BYTES};
use super::index::{BlockPlace, ChunkPlace, Index};
use super::objects::{corrupt, format_error};
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};

/// Plain bytes that one call of [`Shared::preload`] reads. What several callers want at a time fits in the cache.
const MAX_PRELOAD_BYTES: u64 = 4 << 20;

/// How the caller goes on after this chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Not known: neighbours are read when earlier reads suggest it.
    Unknown,
    /// The next chunks of the same content follow at once.
    Sequential,
}

impl Shared {
    /// The plaintext of a chunk that the index knows.
    pub(crate) async fn read_chunk(self: &Arc<Self>, chunk: &ChunkRef, pattern: Pattern) -> Result<Bytes> {
        if let Some(bytes) = self
            .hot
            .get(&chunk.id)
            .filter(|bytes| bytes.len() == chunk.length as usize)
        {
            return Ok(bytes);
        }
        let before = self.view().state.seq();
        let error = match self.read_chunk_in(&self.index, chunk, pattern).await {
            Ok(bytes) => {
                self.hot.note(&chunk.id, &bytes);
                return Ok(bytes);
            }
            Err(error) => error,
        };
        if error.kind() == ErrorKind::Corrupt && self.has_moved(chunk, before).await? {
            return self.read_chunk_in(&self.index, chunk, pattern).await;
        }
        Err(error)
    }

    /// Whether a chunk that could not be read may be found elsewhere now: its pack is gone from the store, because somebody
    /// reclaimed space, and the view has moved on since commit `before`. Not for callers that hold the log.
    async fn has_moved(self: &Arc<Self>, chunk: &ChunkRef, before: u64) -> Result<bool> {
        let pack = self.index().find_pack(&chunk.id)?;
        if self.view().state.seq() == before {
            if let Some(pack) = pack
                && !matches!(self.objects.size(&paths::pack(&pack)).await, Ok(None))
            {
                return Ok(false);
            }
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "the view could not be refreshed");
            }
        }
        Ok(self.view().state.seq() > before)
    }

    /// As [`Shared::read_chunk`], looking the chunk up in `index`.
    pub(crate) async fn read_chunk_in(
        self: &Arc<Self>,
        index: &RwLock<Index>,
        chunk: &ChunkRef,
        pattern: Pattern,
    ) -> Result<Bytes> {
        let Some(place) = lock(index).find(&chunk.id)? else {
            return Err(corrupt(
                &format!("chunk {}", chunk.id),
                "no index segment and no pack directory lists it",
            ));
        };
        let first = match self.read_place(index, chunk, &place, pattern).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        // Writers that ran at the same time may have stored a second copy.
        let others = lock(index).places(&chunk.id)?;
        for other in others.iter().filter(|other| other.key != place.key) {
            match self.read_place(index, chunk, other, Pattern::Unknown).await {
                Ok(bytes) => {
                    tracing::warn!(chunk = %chunk.id, error = %first, "a damaged chunk was read from its second copy");
                    return Ok(bytes);
                }
                // Whether this copy is damaged, too, is not known.
                Err(error) if error.kind() == ErrorKind::ScratchFailed => return Err(error),
                Err(_) => {}
            }
        }
        Err(first)
    }

    async fn read_place(
        self: &Arc<Self>,
        index: &RwLock<Index>,
        chunk: &ChunkRef,
        place: &ChunkPlace,
        pattern: Pattern,
    ) -> Result<Bytes> {
        if place.range.len() != chunk.length as usize {
            let path = paths::pack(&place.key.0);
            let what = format!(
                "chunk {} is {} bytes there, {} are expected",
                chunk.id,
                place.range.len(),
                chunk.length
            );
            return Err(corrupt(&path, &what));
        }
        let block = self.read_block(index, place.block, place.key, pattern).await?;
        // The entry that opened the block is the one that the range comes from.
        if place.range.end > block.len() {
            return Err(Error::internal("a block is shorter than its entry"));
        }
        Ok(block.slice(place.range.clone()))
    }

    /// The plaintext of a block.
    pub(crate) async fn read_block(
        self: &Arc<Self>,
        index: &RwLock<Index>,
        number: u32,
        key: BlockKey,
        pattern: Pattern,
    ) -> Result<Bytes> {
        loop {
            match self.cache.lookup(&key) {
                Lookup::Ready(data) => return Ok(data),
                Lookup::Loading(mut receiver) => {
                    // An error means that the reader went away without a word: look again.
                    let loaded = receiver
                        .wait_for(Option::is_some)
                        .await
                        .ok()
                        .and_then(|loaded| loaded.clone());
                    if let Some(result) = loaded.as_ref().and_then(|loaded| loaded.get(&key)) {
                        return result.clone();
                    }
                }
                Lookup::Absent => {
                    let ahead = match pattern {
                        Pattern::Sequential => MAX_READ_AHEAD_BYTES,
                        Pattern::Unknown => self.cache.read_ahead(&key.0, u64::from(key.1)),
                    };
                    let places = {
                        let index = lock(index);
                        let mut places = vec![index.block(number)?];
                        if ahead > 0 {
                            let own = u64::from(places[0].entry.plain_length());
                            places.extend(index.following(number, ahead.saturating_sub(own))?);
                        }
                        places
                    };
                    self.start_read(places);
                }
            }
        }
    }

    /// Starts reading what these chunks need, each block once and those of a pack together: for who knows what comes next. It is a hint;
    /// what cannot be read is told to who asks for it.
    pub(crate) fn preload<'a>(self: &Arc<Self>, chunks: impl Iterator<Item = &'a ChunkRef>) {
        let places = {
            let index = self.index();
            let wanted = chunks
                .filter(|chunk| !self.hot.contains(&chunk.id))
                .filter_map(|chunk| index.find(&chunk.id).ok().flatten())
                .filter(|place| !self.cache.holds(&place.key))
                .map(|place| place.block);
            let numbers: BTreeSet<u32> = wanted.collect();
            let places = numbers.into_iter().filter_map(|number| index.block(number).ok());
            places.collect::<Vec<_>>()
        };
        let mut run: Vec<BlockPlace> = Vec::new();
        let (mut plain, mut all) = (0, 0);
        for place in places {
            let length = u64::from(place.entry.plain_length());
            all += length;
            if all > MAX_PRELOAD_BYTES {
                // More would drive out of the cache what was not asked for yet.
                break;
            }
            let here = run.last().is_some_and(|last| last.pack == place.pack);
            if !here || plain + length > MAX_READ_AHEAD_BYTES {
                self.start_read(std::mem::take(&mut run));
                plain = 0;
            }
            plain += length;
            run.push(place);
        }
        self.start_read(run);
    }

    /// Starts a task that reads blocks which lie one after the other in a pack. A task of its own, so that a caller who goes away takes nothing along
    /// that others wait for.
    fn start_read(self: &Arc<Self>, mut places: Vec<BlockPlace>) {
        let keys: Vec<BlockKey> = places.iter().map(BlockPlace::key).collect();
        let Some((count, sender)) = self.cache.claim(&keys) else {
            return;
        };
        places.truncate(count);
        let claim = Claim {
            shared: Arc::clone(self),
            keys: keys[..count].to_vec(),
            sender,
            loaded: HashMap::new(),
        };
        if let (Some(first), Some(last)) = (places.first(), places.last()) {
            self.cache
                .read_until(&first.pack, u64::from(first.entry.offset), last.end());
        }
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let mut claim = claim;
            let Ok(_permit) = Arc::clone(&shared.reads).acquire_owned().await else {
                return;
            };
            claim.loaded = shared.read_blocks(places).await;
        });
    }

    /// Reads blocks of one pack with one request and opens them.
    async fn read_blocks(self: &Arc<Self>, mut places: Vec<BlockPlace>) -> HashMap<BlockKey, Result<Bytes>> {
        let Some(first) = places.first().map(BlockPlace::key) else {
            return HashMap::new();
        };
        let mut read = self.read_range(&places).await;
        if read.is_err() && places.len() > 1 {
            // Damage further on must not hide an undamaged first block; the others are read when they are wanted.
            places.truncate(1);
            read = self.read_range(&places).await;
        }
        let result = match read {
            Ok(bytes) => {
                self.compute(move |shared, codec| Ok(shared.open_blocks(codec, &places, &bytes)))
                    .await
            }
            Err(error) => Err(error),
        };
        result.unwrap_or_else(|error| HashMap::from([(first, Err(error))]))
    }

    /// The sealed bytes of each block.
    async fn read_range(&self, places: &[BlockPlace]) -> Result<Vec<Bytes>> {
        let Some(first) = places.first() else {
            return Ok(Vec::new());
        };
        let path = paths::pack(&first.pack);
        let ranges: Vec<Range<u64>> = places.iter().map(|place| place.entry.range()).collect();
        self.objects
            .get_ranges(&path, &ranges)
            .await?
            .ok_or_else(|| corrupt(&path, "the object is missing"))
    }

    fn open_blocks(
        &self,
        codec: &mut nakivo_repo_format::Codec,
        places: &[BlockPlace],
        bytes: &[Bytes],
    ) -> HashMap<BlockKey, Result<Bytes>> {
        let Some(first) = places.first() else {
            return HashMap::new();
        };
        let path = paths::pack(&first.pack);
        let keys = self.keys();
        let header = match keys.header_in_epoch(first.epoch, ObjectType::Pack, 0) {
            Ok(header) => header,
            Err(error) => return HashMap::from([(first.key(), Err(format_error(&path, error)))]),
        };
        let sealed: Vec<(&BlockEntry, &[u8])> = places
            .iter()
            .zip(bytes)
            .map(|(place, stored)| (&place.entry, &stored[..]))
            .collect();
        places
            .iter()
            .zip(open_blocks(&keys, codec, &header, &sealed))
            .map(|(place, opened)| {
                let opened = opened.map(Bytes::from);
                (place.key(), opened.map_err(|error| format_error(&path, error)))
            })
            .collect()
    }
}

/// Blocks somebody waits for; publishes what was read, or that nothing was, however the reading ends.
struct Claim {
    shared: Arc<Shared>,
    keys: Vec<BlockKey>,
    sender: tokio::sync::watch::Sender<Option<Loaded>>,
    loaded: HashMap<BlockKey, Result<Bytes>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let loaded: Loaded = Arc::new(std::mem::take(&mut self.loaded));
        self.shared.cache.publish(&self.keys, &loaded);
        self.sender.send_replace(Some(loaded));
    }
}

impl Shared {
    /// Where a part's content begins in the store: reading parts in this order reads packs from front to back.
    pub(crate) fn placement(&self, part: &ContentPart) -> u64 {
        let first = match &part.segments {
            SegmentList::Direct(segments) => segments.iter().find_map(|segment| segment.chunks().first()),
            SegmentList::Indirect(blob) => blob.chunks().first(),
        };
        let index = self.index();
        first
            // Only an order: what cannot be looked up now is told when it is read.
            .and_then(|chunk| index.position(&chunk.id).ok().flatten())
            .map_or(u64::MAX, u64::from)
    }
}

pub(crate) fn lock(index: &RwLock<Index>) -> std::sync::RwLockReadGuard<'_, Index> {
    index.read().unwrap_or_else(PoisonError::into_inner)
}
