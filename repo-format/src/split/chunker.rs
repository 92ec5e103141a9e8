//! Content-defined chunking: FastCDC with a gear table that is derived from the master key.
//!
//! The keyed table keeps chunk lengths from telling a stranger which file was stored.

use crate::crypto::KeySet;

/// Limits of chunk lengths. Policy of the writer; one repository should use one set, or nothing deduplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkerParams {
    /// No chunk but the last is this short or shorter. Bytes below it are not hashed.
    pub min: usize,
    /// Up to this length a cut needs four times more luck than on average, above it four times less.
    pub average: usize,
    /// No chunk is longer.
    pub max: usize,
}

impl Default for ChunkerParams {
    /// 256 KiB, 1 MiB, 4 MiB.
    fn default() -> Self {
        Self {
            min: 256 << 10,
            average: 1 << 20,
            max: 4 << 20,
        }
    }
}

impl ChunkerParams {
    /// The masks below and above the average: 2 bits more and 2 bits fewer than the average asks for, taken from
    /// the top of the hash, where 64 bytes of content have a say.
    fn masks(&self) -> (u64, u64) {
        let bits = self.average.max(16).ilog2();
        let top = |bits: u32| u64::MAX << (64 - bits.min(63));
        (top(bits + 2), top(bits - 2))
    }
}

/// Finds cut points in a stream, fed in slices of any size. The cuts do not depend on how it is fed.
#[derive(Debug, Clone)]
pub struct Chunker {
    keys: KeySet,
    params: ChunkerParams,
    strict: u64,
    loose: u64,
    /// Length of the open chunk.
    filled: usize,
    hash: u64,
}

impl Chunker {
    /// A chunker with the default lengths.
    #[must_use]
    pub fn new(keys: &KeySet) -> Self {
        Self::with_params(keys, ChunkerParams::default())
    }

    /// A chunker with other lengths. `min < average < max` is expected; else cuts come at `max` only.
    #[must_use]
    pub fn with_params(keys: &KeySet, params: ChunkerParams) -> Self {
        let (strict, loose) = params.masks();
        Self {
            keys: keys.clone(),
            params,
            strict,
            loose,
            filled: 0,
            hash: 0,
        }
    }

    /// Length of the open chunk.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.filled
    }

    /// Forgets the open chunk: the next byte begins a new one.
    pub fn reset(&mut self) {
        self.filled = 0;
        self.hash = 0;
    }

    /// Takes in `data` up to the next cut. `Some(n)`: the chunk ends after `n` bytes of `data`; call again with the
    /// rest. `None`: all of `data` belongs to the open chunk. The end of the stream ends the last chunk.
    pub fn next_cut(&mut self, data: &[u8]) -> Option<usize> {
        let skip = self.params.min.saturating_sub(self.filled).min(data.len());
        self.filled += skip;
        let mut at = skip;
        for (limit, mask) in [(self.params.average, self.strict), (self.params.max, self.loose)] {
            let end = data.len().min(at + limit.saturating_sub(self.filled));
            match scan(self.keys.gear(), &data[at..end], mask, &mut self.hash) {
                Some(n) => {
                    self.reset();
                    return Some(at + n);
                }
                None => {
                    self.filled += end - at;
                    at = end;
                }
            }
        }
        if self.filled >= self.params.max {
            self.reset();
            return Some(at);
        }
        None
    }
}

/// Rolls the hash over `data`; the count of bytes up to and including the one where it meets the mask.
#[inline]
fn scan(gear: &[u64; 256], data: &[u8], mask: u64, hash: &mut u64) -> Option<usize> {
    let mut h = *hash;
    for (i, byte) in data.iter().enumerate() {
        h = (h << 1).wrapping_add(gear[usize::from(*byte)]);
        if h & mask == 0 {
            return Some(i + 1);
        }
    }
    *hash = h;
    None
}
