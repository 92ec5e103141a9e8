//! When a run must make sure that it can be continued after an interruption.

use std::time::Duration;

use crate::error::{Error, Result};

/// How much work an interruption may cost: after the first of these that is reached, what is stored is committed as progress,
/// and whoever is interrupted later goes on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgressLimits {
    /// Longest time. Default: 15 s; 1 s to 1 h.
    pub interval: Duration,
    /// Most bytes stored. Default: 64 MiB; at least 1 MiB.
    pub bytes: u64,
    /// Most items stored. Default: 50,000; at least 1.
    pub items: u64,
}

impl Default for ProgressLimits {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            bytes: 64 << 20,
            items: 50_000,
        }
    }
}

impl ProgressLimits {
    /// Sets [`ProgressLimits::interval`].
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets [`ProgressLimits::bytes`].
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets [`ProgressLimits::items`].
    #[must_use]
    pub fn with_items(mut self, items: u64) -> Self {
        self.items = items;
        self
    }

    /// `InvalidInput`, with field, value and what is allowed, if one is out of its range.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.interval < Duration::from_secs(1) || self.interval > Duration::from_secs(3600) {
            return Err(Error::invalid(
                "progress.interval",
                format!("{} s", self.interval.as_secs_f64()),
                "1 s to 1 h",
            ));
        }
        if self.bytes < 1 << 20 {
            return Err(Error::invalid(
                "progress.bytes",
                self.bytes,
                "1048576 (1 MiB) or more",
            ));
        }
        if self.items == 0 {
            return Err(Error::invalid("progress.items", self.items, "1 or more"));
        }
        Ok(())
    }
}

/// What was made sure of last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    limits: ProgressLimits,
    at: Duration,
    stored_bytes: u64,
    stored_items: u64,
}

impl Pace {
    /// Begins at `now`, by the monotonic clock.
    pub(crate) fn new(now: Duration, limits: ProgressLimits) -> Self {
        Self {
            limits,
            at: now,
            stored_bytes: 0,
            stored_items: 0,
        }
    }

    /// Whether it is time. Never without new items.
    pub(crate) fn is_due(&self, now: Duration, items: u64, bytes: u64) -> bool {
        items > self.stored_items
            && (now.saturating_sub(self.at) >= self.limits.interval
                || bytes.saturating_sub(self.stored_bytes) >= self.limits.bytes
                || items - self.stored_items >= self.limits.items)
    }

    /// Notes what was made sure of.
    pub(crate) fn note(&mut self, now: Duration, items: u64, bytes: u64) {
        self.at = now;
        self.stored_items = items;
        self.stored_bytes = bytes;
    }
}
