//! Chunks that are wanted again and again: an attachment that many got lies in one block, far from most of the items that it belongs
//! to. A block is opened whole, so reading such a chunk each time anew costs many times what the chunk is long.
//!
//! A chunk gets in when it is read for the second time, so that whoever reads everything once leaves nothing here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use nakivo_repo_format::ChunkId;

/// Chunks remembered as read once, at most. Those that fall out are only found out later.
const MAX_SEEN: usize = 1 << 15;

/// See the module.
#[derive(Debug)]
pub(crate) struct HotChunks {
    state: Mutex<State>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Part of the ids of chunks that were read, each at the place that it gives; made when first needed.
    seen: Vec<u64>,
    chunks: HashMap<ChunkId, Kept>,
    /// Oldest use first.
    order: BTreeMap<u64, ChunkId>,
    tick: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    data: Bytes,
    tick: u64,
}

impl HotChunks {
    /// Room for so many bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            capacity,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.lock() = State::default();
    }

    /// Whether the chunk is here. No use of it.
    pub(crate) fn contains(&self, id: &ChunkId) -> bool {
        self.lock().chunks.contains_key(id)
    }

    pub(crate) fn get(&self, id: &ChunkId) -> Option<Bytes> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let kept = state.chunks.get_mut(id)?;
        state.tick += 1;
        state.order.remove(&kept.tick);
        kept.tick = state.tick;
        state.order.insert(state.tick, *id);
        Some(kept.data.clone())
    }

    /// Notes that a chunk was read from its block, and keeps a copy if that was so before.
    pub(crate) fn note(&self, id: &ChunkId, data: &Bytes) {
        // One large chunk shall not drive all others out.
        if data.len() > self.capacity / 8 {
            return;
        }
        let mut guard = self.lock();
        let state = &mut *guard;
        if !state.is_second(id) || state.chunks.contains_key(id) {
            return;
        }
        state.tick += 1;
        let kept = Kept {
            // The block that it is part of shall not stay with it.
            data: Bytes::copy_from_slice(data),
            tick: state.tick,
        };
        state.bytes += data.len();
        state.order.insert(state.tick, *id);
        state.chunks.insert(*id, kept);
        while state.bytes > self.capacity {
            let Some((_, oldest)) = state.order.pop_first() else {
                break;
            };
            if let Some(kept) = state.chunks.remove(&oldest) {
                state.bytes -= kept.data.len();
            }
        }
    }
}

impl State {
    /// Whether the chunk was met before, as far as is remembered.
    fn is_second(&mut self, id: &ChunkId) -> bool {
        let mut print = [0; 8];
        print.copy_from_slice(&id.as_bytes()[..8]);
        let print = u64::from_le_bytes(print);
        self.seen.resize(MAX_SEEN, 0);
        // The length is a power of two.
        let place = &mut self.seen[(print >> 32) as usize & (MAX_SEEN - 1)];
        std::mem::replace(place, print) == print
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> ChunkId {
        ChunkId::from_bytes([n; 32])
    }

    #[test]
    fn keeps_what_is_read_twice_and_drops_the_oldest() {
        let hot = HotChunks::new(1000);
        let note = |n: u8| hot.note(&id(n), &Bytes::from(vec![n; 100]));
        for n in 1..=20 {
            note(n);
            assert!(!hot.contains(&id(n)), "read once");
        }
        for n in 1..=10 {
            note(n);
            note(n);
        }
        assert_eq!(hot.get(&id(1)), Some(Bytes::from(vec![1; 100])));
        note(11);
        assert!(hot.contains(&id(1)), "used a moment ago");
        assert!(!hot.contains(&id(2)), "the oldest went");
        let state = hot.lock();
        assert_eq!((state.bytes, state.order.len()), (1000, state.chunks.len()));
    }

    #[test]
    fn large_chunks_stay_out() {
        let hot = HotChunks::new(1000);
        for _ in 0..3 {
            hot.note(&id(1), &Bytes::from(vec![0; 126]));
        }
        assert!(!hot.contains(&id(1)));
    }
}
