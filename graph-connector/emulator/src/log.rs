//! What clients asked for: one record for each request, and counters that never forget.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// One request as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// Number of the request, from 1. Members of a batch have numbers of their own.
    pub number: u64,
    /// The emulator's time in Unix milliseconds.
    pub at_ms: i64,
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query as received; for a batch member as given there.
    pub target: String,
    /// Path without ids, such as `/users/{id}/messages/{id}/$value`.
    pub operation: String,
    /// Status of the answer; 0 when the connection was dropped.
    pub status: u16,
    /// Application id of the token; `None` without one.
    pub app: Option<String>,
    /// The preferences of all `Prefer` headers.
    pub prefer: Vec<String>,
    /// `client-request-id`, if sent.
    pub client_request_id: Option<String>,
    /// `User-Agent`, if sent.
    pub user_agent: Option<String>,
    /// True when an `Authorization` header was sent.
    pub authorized: bool,
    /// Length of the request body in bytes.
    pub body_len: u64,
    /// True for a member of a `$batch`.
    pub in_batch: bool,
    /// True when the answer was an injected fault.
    pub fault: bool,
    /// True when it would change the state (anything but GET, HEAD and `$batch` itself), executed or not.
    pub write: bool,
}

/// Totals since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// All requests, batch members included.
    pub total: u64,
    /// By status.
    pub by_status: BTreeMap<u16, u64>,
    /// By method and operation.
    pub by_operation: BTreeMap<String, u64>,
    /// Requests that would change the state.
    pub writes: u64,
    /// Requests to a scope (application and mailbox) before the time its last `Retry-After` named.
    pub retry_after_violations: u64,
    /// Largest number of requests in progress for one mailbox and application.
    pub peak_in_flight: u32,
    /// Message creations answered with an error after they had been executed.
    pub errors_after_success: u64,
    /// Resource units of the calls about drives, refused ones included.
    pub resource_units: u64,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<RequestRecord>,
    limit: usize,
    counters: Counters,
    fences: HashMap<(String, String), i64>,
}

/// The log. Cheap to clone; all clones see the same log.
#[derive(Debug, Clone, Default)]
pub struct Requests(Arc<Mutex<State>>);

impl Requests {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            limit,
            ..State::default()
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All records kept, oldest first (the builder's `request_log_limit` bounds how many).
    pub fn all(&self) -> Vec<RequestRecord> {
        self.lock().records.iter().cloned().collect()
    }

    /// Records that `keep` accepts.
    pub fn matching(&self, keep: impl Fn(&RequestRecord) -> bool) -> Vec<RequestRecord> {
        self.lock().records.iter().filter(|r| keep(r)).cloned().collect()
    }

    /// Records of calls that would change the state: must be empty when a client promised to read only.
    pub fn writes(&self) -> Vec<RequestRecord> {
        self.matching(|r| r.write)
    }

    /// Number of requests so far, forgotten ones included.
    pub fn count(&self) -> u64 {
        self.lock().counters.total
    }

    /// Totals since the start or the last [`Self::clear`].
    pub fn counters(&self) -> Counters {
        self.lock().counters.clone()
    }

    /// Forgets records and counters.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.records.clear();
        state.counters = Counters::default();
    }

    pub(crate) fn arrived(&self, scope: &(String, String), now: i64) {
        let mut state = self.lock();
        if state.fences.get(scope).is_some_and(|until| now < *until) {
            state.counters.retry_after_violations += 1;
        }
    }

    pub(crate) fn fence(&self, scope: (String, String), until: i64) {
        self.lock().fences.insert(scope, until);
    }

    pub(crate) fn in_flight(&self, now: u32) {
        let mut state = self.lock();
        state.counters.peak_in_flight = state.counters.peak_in_flight.max(now);
    }

    pub(crate) fn units(&self, cost: u32) {
        self.lock().counters.resource_units += u64::from(cost);
    }

    pub(crate) fn after_success(&self) {
        self.lock().counters.errors_after_success += 1;
    }

    pub(crate) fn push(&self, mut record: RequestRecord) {
        let mut state = self.lock();
        let counters = &mut state.counters;
        counters.total += 1;
        record.number = counters.total;
        *counters.by_status.entry(record.status).or_default() += 1;
        *counters
            .by_operation
            .entry(format!("{} {}", record.method, record.operation))
            .or_default() += 1;
        counters.writes += u64::from(record.write);
        if state.limit > 0 {
            if state.records.len() >= state.limit {
                state.records.pop_front();
            }
            state.records.push_back(record);
        }
    }
}
