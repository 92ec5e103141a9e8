//! Blocks that were read lately, blocks that are being read, and how far to read ahead.
//!
//! A block is read, authenticated and decompressed once for all who ask for it at the same time. Whoever reads one pack
//! from front to back is noticed and given larger ranges; whoever jumps about is not.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use nakivo_repo_format::PackId;
use tokio::sync::watch;

use crate::error::Result;

/// Plain bytes of read blocks that are kept. Default: 20 MiB.
pub(crate) const DEFAULT_CACHE_BYTES: usize = 20 << 20;
/// Plain bytes asked for at once by a reader known to be sequential.
pub(crate) const MAX_READ_AHEAD_BYTES: u64 = 4 << 20;
/// Plain bytes of the first larger read.
const FIRST_READ_AHEAD_BYTES: u64 = 512 << 10;
/// Reading may skip this much of a pack and still counts as sequential: not every block belongs to what is recovered.
const MAX_SKIP_BYTES: u64 = 1 << 20;
/// Sequential readers followed at once.
const MAX_STREAMS: usize = 16;

/// Names a block by its place: its pack and its offset there.
pub(crate) type BlockKey = (PackId, u32);

/// What one ranged read brought, block by block.
pub(crate) type Loaded = Arc<HashMap<BlockKey, Result<Bytes>>>;

/// What the cache knows of a block.
pub(crate) enum Lookup {
    /// Its plaintext.
    Ready(Bytes),
    /// Somebody is reading it: wait here.
    Loading(watch::Receiver<Option<Loaded>>),
    /// Nothing.
    Absent,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct BlockCache {
    state: Mutex<State>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<BlockKey, Slot>,
    /// Ready blocks, oldest use first.
    order: BTreeMap<u64, BlockKey>,
    tick: u64,
    bytes: usize,
    streams: VecDeque<Stream>,
}

#[derive(Debug)]
enum Slot {
    Ready { data: Bytes, tick: u64 },
    Loading(watch::Receiver<Option<Loaded>>),
}

#[derive(Debug)]
struct Stream {
    pack: PackId,
    next: u64,
    window: u64,
}

impl BlockCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            capacity,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lookup(&self, id: &BlockKey) -> Lookup {
        let mut state = self.lock();
        state.tick += 1;
        let now = state.tick;
        match state.slots.get_mut(id) {
            None => Lookup::Absent,
            Some(Slot::Loading(receiver)) => Lookup::Loading(receiver.clone()),
            Some(Slot::Ready { data, tick }) => {
                let (data, before) = (data.clone(), std::mem::replace(tick, now));
                state.order.remove(&before);
                state.order.insert(now, *id);
                Lookup::Ready(data)
            }
        }
    }

    /// Forgets the blocks that are there.
    pub(crate) fn clear(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        for (_, id) in std::mem::take(&mut state.order) {
            state.slots.remove(&id);
        }
        state.bytes = 0;
    }

    /// Whether a block is there, or being read.
    pub(crate) fn holds(&self, id: &BlockKey) -> bool {
        self.lock().slots.contains_key(id)
    }

    /// Announces that these blocks are being read, as far as nobody has or reads them: the first one, then its neighbours
    /// up to the first that is taken. Returns how many were claimed (0: the first is taken) and where to publish.
    pub(crate) fn claim(&self, ids: &[BlockKey]) -> Option<(usize, watch::Sender<Option<Loaded>>)> {
        let mut state = self.lock();
        let count = ids.iter().take_while(|id| !state.slots.contains_key(id)).count();
        if count == 0 {
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        for id in &ids[..count] {
            state.slots.insert(*id, Slot::Loading(receiver.clone()));
        }
        Some((count, sender))
    }

    /// Ends a claim: keeps what was read, forgets what failed.
    pub(crate) fn publish(&self, ids: &[BlockKey], loaded: &Loaded) {
        let mut state = self.lock();
        for id in ids {
            state.slots.remove(id);
            if let Some(Ok(data)) = loaded.get(id) {
                state.tick += 1;
                let tick = state.tick;
                state.bytes += data.len();
                state.slots.insert(
                    *id,
                    Slot::Ready {
                        data: data.clone(),
                        tick,
                    },
                );
                state.order.insert(tick, *id);
            }
        }
        while state.bytes > self.capacity {
            let Some((_, oldest)) = state.order.pop_first() else {
                break;
            };
            if let Some(Slot::Ready { data, .. }) = state.slots.remove(&oldest) {
                state.bytes -= data.len();
            }
        }
    }

    /// How many plain bytes to read for a miss at `offset` of a pack: 0 for this block alone.
    pub(crate) fn read_ahead(&self, pack: &PackId, offset: u64) -> u64 {
        let mut state = self.lock();
        let found = state.streams.iter().position(|stream| {
            stream.pack == *pack && (stream.next..=stream.next + MAX_SKIP_BYTES).contains(&offset)
        });
        match found.and_then(|at| state.streams.remove(at)) {
            None => {
                state.streams.truncate(MAX_STREAMS - 1);
                state.streams.push_front(Stream {
                    pack: *pack,
                    next: offset,
                    window: 0,
                });
                0
            }
            Some(mut stream) => {
                stream.window = (stream.window * 2).clamp(FIRST_READ_AHEAD_BYTES, MAX_READ_AHEAD_BYTES);
                let window = stream.window;
                state.streams.push_front(stream);
                window
            }
        }
    }

    /// Notes that a read of this pack ended at `end`.
    pub(crate) fn read_until(&self, pack: &PackId, offset: u64, end: u64) {
        let mut state = self.lock();
        if let Some(stream) = state
            .streams
            .iter_mut()
            .find(|stream| stream.pack == *pack && stream.next <= offset && offset <= end)
        {
            stream.next = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> BlockKey {
        (PackId::from_bytes([n; 32]), 64)
    }

    fn load(cache: &BlockCache, n: u8, length: usize) {
        let ids = [id(n)];
        let (count, _) = cache.claim(&ids).unwrap();
        assert_eq!(count, 1);
        let loaded = Arc::new(HashMap::from([(id(n), Ok(Bytes::from(vec![n; length])))]));
        cache.publish(&ids, &loaded);
    }

    #[test]
    fn keeps_what_was_used_last_within_its_bytes() {
        let cache = BlockCache::new(100);
        for n in 0..3 {
            load(&cache, n, 40);
            assert!(
                matches!(cache.lookup(&id(0)), Lookup::Ready(_)),
                "0 is used each time and stays"
            );
        }
        assert!(matches!(cache.lookup(&id(1)), Lookup::Absent));
        assert!(matches!(cache.lookup(&id(2)), Lookup::Ready(_)));
        let state = cache.lock();
        assert!(state.bytes <= 100);
        assert_eq!(state.order.len(), state.slots.len());
    }

    #[test]
    fn one_reads_and_the_others_wait() {
        let cache = BlockCache::new(100);
        load(&cache, 3, 10);
        let ids = [id(1), id(2), id(3), id(4)];
        let (count, sender) = cache.claim(&ids).unwrap();
        assert_eq!(count, 2, "claims stop at a block that is there");
        assert!(cache.claim(&ids).is_none());
        let Lookup::Loading(receiver) = cache.lookup(&id(2)) else {
            panic!("not loading")
        };
        assert!(receiver.borrow().is_none());
        let loaded: Loaded = Arc::new(HashMap::from([
            (id(1), Ok(Bytes::from_static(b"one"))),
            (id(2), Err(crate::Error::internal("damaged"))),
        ]));
        cache.publish(&ids[..2], &loaded);
        sender.send_replace(Some(loaded));
        assert!(
            receiver
                .borrow()
                .as_ref()
                .is_some_and(|loaded| loaded[&id(2)].is_err())
        );
        assert!(matches!(cache.lookup(&id(1)), Lookup::Ready(_)));
        assert!(
            matches!(cache.lookup(&id(2)), Lookup::Absent),
            "a failure is tried again"
        );
    }

    #[test]
    fn reads_ahead_for_sequential_readers_only() {
        let cache = BlockCache::new(100);
        let (a, b) = (PackId::from_bytes([1; 32]), PackId::from_bytes([2; 32]));
        assert_eq!(cache.read_ahead(&a, 64), 0);
        cache.read_until(&a, 64, 1000);
        assert_eq!(cache.read_ahead(&b, 1000), 0, "another pack");
        assert_eq!(cache.read_ahead(&a, 1000), FIRST_READ_AHEAD_BYTES);
        cache.read_until(&a, 1000, 500_000);
        assert_eq!(cache.read_ahead(&a, 600_000), 2 * FIRST_READ_AHEAD_BYTES);
        cache.read_until(&a, 600_000, 1_500_000);
        assert_eq!(cache.read_ahead(&a, 90_000_000), 0, "far away");
        for _ in 0..100 {
            assert!(cache.read_ahead(&a, 1_500_000) <= MAX_READ_AHEAD_BYTES);
        }
    }
}
