//! When a run must make sure that it can be continued after an interruption.

use std::time::Duration;

/// What may be lost at most when a run is interrupted, and what was made sure of last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) interval: Duration,
    pub(crate) bytes: u64,
    pub(crate) items: u64,
    at: Duration,
    stored_bytes: u64,
    stored_items: u64,
}

impl Pace {
    /// Begins at `now`, by the monotonic clock.
    pub(crate) fn new(now: Duration, interval: Duration, bytes: u64, items: u64) -> Self {
        Self {
            interval,
            bytes,
            items,
            at: now,
            stored_bytes: 0,
            stored_items: 0,
        }
    }

    /// Whether it is time. Never without new items.
    pub(crate) fn is_due(&self, now: Duration, items: u64, bytes: u64) -> bool {
        items > self.stored_items
            && (now.saturating_sub(self.at) >= self.interval
                || bytes.saturating_sub(self.stored_bytes) >= self.bytes
                || items - self.stored_items >= self.items)
    }

    /// Notes what was made sure of.
    pub(crate) fn note(&mut self, now: Duration, items: u64, bytes: u64) {
        self.at = now;
        self.stored_items = items;
        self.stored_bytes = bytes;
    }
}
