//! The emulator's time: injected, or a fixed base that advances by one millisecond at each reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

/// 2026-01-05T08:00:00Z in Unix milliseconds: where the built-in clock starts.
pub(crate) const BASE_MS: i64 = 1_767_600_000_000;

type Source = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Reads the time in Unix milliseconds.
#[derive(Clone)]
pub(crate) struct Clock {
    source: Option<Source>,
    built_in: Arc<AtomicI64>,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock")
            .field("injected", &self.source.is_some())
            .finish()
    }
}

impl Clock {
    pub(crate) fn new(source: Option<Source>) -> Self {
        Self {
            source,
            built_in: Arc::new(AtomicI64::new(BASE_MS)),
        }
    }

    /// Now, in Unix milliseconds. `advance` adds to an injected clock too.
    pub(crate) fn now(&self) -> i64 {
        match &self.source {
            Some(source) => source().timestamp_millis() + (self.built_in.load(Ordering::Relaxed) - BASE_MS),
            None => self.built_in.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// True when the time comes from the caller, so that it can be compared with his own.
    pub(crate) fn injected(&self) -> bool {
        self.source.is_some()
    }

    pub(crate) fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.built_in.fetch_add(ms, Ordering::Relaxed);
    }
}

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// `2026-01-05T08:00:00Z`: the form of a DateTimeOffset in Exchange's answers.
pub(crate) fn iso(ms: i64) -> String {
    at(ms).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `2026-01-05T08:00:00`: the form of `innerError.date`, UTC without a zone.
pub(crate) fn iso_bare(ms: i64) -> String {
    at(ms).format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// `2026-01-05 08:00:00Z`: the form of `timestamp` in errors of the token endpoint.
pub(crate) fn aad(ms: i64) -> String {
    at(ms).format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `2026-01-05T08:00:00.1230000Z`: the form with seven digits, used by upload sessions.
pub(crate) fn iso_ticks(ms: i64) -> String {
    at(ms).format("%Y-%m-%dT%H:%M:%S%.3f0000Z").to_string()
}

/// `Mon, 05 Jan 2026 08:00:00 GMT` for HTTP headers.
pub(crate) fn http(ms: i64) -> String {
    at(ms).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `Mon, 05 Jan 2026 08:00:00 +0000` for mail headers.
pub(crate) fn rfc2822(ms: i64) -> String {
    at(ms).format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// Parses an ISO 8601 time with an offset; anything else is `None`.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text.trim())
        .ok()
        .map(|t| t.timestamp_millis())
}
