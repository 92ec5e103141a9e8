//! Randomness that a test can repeat.

use std::sync::{Arc, Mutex, PoisonError};

use nakivo_core::Result;
use nakivo_core::seams::Rng;

/// The seeds of a suite of random histories: `NAKIVO_SEED` alone where it is set, else as many as `NAKIVO_HISTORIES` says, by
/// default `default`. Prints which.
#[must_use]
pub fn history_seeds(suite: &str, default: u64) -> Vec<u64> {
    let seeds: Vec<u64> = match environment_number("NAKIVO_SEED") {
        Some(seed) => vec![seed],
        None => (0..environment_number("NAKIVO_HISTORIES").unwrap_or(default)).collect(),
    };
    announce(&format!(
        "{suite}: seeds {:?}..={:?}",
        seeds.first(),
        seeds.last()
    ));
    seeds
}

/// A seeded generator (SplitMix64); clones share their state.
///
/// Good enough to drive tests and to make distinct ids; its bytes are no secret.
#[derive(Debug, Clone)]
pub struct SeededRng {
    state: Arc<Mutex<u64>>,
    seed: u64,
}

impl SeededRng {
    /// A generator with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(seed)),
            seed,
        }
    }

    /// The seed from the environment variable `NAKIVO_SEED`, else `default`; prints which one, so that a failure can be
    /// repeated.
    #[must_use]
    pub fn from_environment(test: &str, default: u64) -> Self {
        let seed = environment_number("NAKIVO_SEED").unwrap_or(default);
        announce(&format!("{test}: NAKIVO_SEED={seed}"));
        Self::new(seed)
    }

    /// The seed this generator started with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next 64 bits.
    #[must_use]
    pub fn next(&self) -> u64 {
        step(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// An index in `0..length`; 0 when `length` is 0.
    #[must_use]
    pub fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True in `percent` of 100 cases.
    #[must_use]
    pub fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `values`, or `None` when there are none.
    #[must_use]
    pub fn pick<'a, T>(&self, values: &'a [T]) -> Option<&'a T> {
        values.get(self.index(values.len()))
    }

    /// `length` bytes.
    #[must_use]
    pub fn bytes(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill_bytes(&mut bytes);
        bytes
    }

    fn fill_bytes(&self, bytes: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            let word = step(&mut state).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mix(*state)
}

/// One step of SplitMix64's output function: spreads a counter over 64 bits.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A whole number from an environment variable; `None` if it is absent or no number.
#[must_use]
pub fn environment_number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}

/// Prints one line for the reader of a test's output: seeds, counts, what was skipped and why.
#[allow(
    clippy::print_stdout,
    reason = "test support: the output is the test's evidence"
)]
pub fn announce(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_bytes() {
        assert_eq!(SeededRng::new(7).bytes(100), SeededRng::new(7).bytes(100));
        assert_ne!(SeededRng::new(7).bytes(100), SeededRng::new(8).bytes(100));
    }
}
