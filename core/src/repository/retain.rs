//! Locks on the repository's objects: until when a new one is locked, and everything that is asked of the store's locks.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nakivo_repo_format::log::Operation;
use nakivo_repo_format::state::RepositoryState;

use super::objects::{Objects, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ObjectVersion, RetainUntil};

/// Fewest and most days for which points can be immutable. Ten years: what is locked by mistake is paid for until the end.
pub(crate) const IMMUTABLE_DAYS: std::ops::RangeInclusive<u32> = 1..=3650;
/// Largest difference between this machine's clock and the store's at which locks are set.
pub(crate) const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// How long the last comparison of clocks counts.
const CLOCK_CHECK_EVERY: Duration = Duration::from_secs(10 * 60);

/// For how long a repository promises that points stay, and for how long objects are locked for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Promise {
    days: u32,
}

impl Promise {
    /// Checks the number of days.
    pub(crate) fn new(days: u32) -> Result<Self> {
        if IMMUTABLE_DAYS.contains(&days) {
            Ok(Self { days })
        } else {
            Err(Error::invalid("immutable days", days, "1 to 3650 days"))
        }
    }

    pub(crate) fn days(self) -> u32 {
        self.days
    }

    /// How long a point is immutable after it was made.
    pub(crate) fn length(self) -> TimeDelta {
        TimeDelta::days(self.days.into())
    }

    /// How long an object is locked when it is stored or its lock is renewed: longer than promised by half, so that what
    /// older points share with new ones needs a new lock only that often.
    pub(crate) fn lock_length(self) -> TimeDelta {
        TimeDelta::days((self.days + (self.days / 2).max(1)).into())
    }
}

/// What a handle knows about locks.
#[derive(Debug)]
pub(crate) struct Retention {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    promise: Option<Promise>,
    /// Nothing that this handle stored and that is not covered by `claimed_ms` was stored before.
    since: DateTime<Utc>,
    /// Until when everything is locked, as found by the last renewal of this handle.
    claimed_ms: Option<i64>,
    /// Until when everything is locked, as found by the last renewal of anybody else: what this handle stored since then is
    /// locked for longer.
    renewed_ms: Option<i64>,
    /// When clocks were last compared, on the monotonic clock.
    compared: Option<Duration>,
}

impl Retention {
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self {
            state: Mutex::new(State {
                promise: None,
                since: now,
                claimed_ms: None,
                renewed_ms: None,
                compared: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn promise(&self) -> Option<Promise> {
        self.state().promise
    }

    /// Locks what is stored from now on.
    pub(crate) fn set_promise(&self, promise: Option<Promise>) {
        self.state().promise = promise;
    }

    /// A renewal that began then came to its end: everything is locked until `until`, and what came meanwhile longer.
    pub(crate) fn renewed(&self, began: DateTime<Utc>, until: DateTime<Utc>) {
        let mut state = self.state();
        state.since = began;
        state.claimed_ms = Some(until.timestamp_millis());
    }

    /// What a commit after this state says about locks. Later than before: somebody renewed all locks, also those of what
    /// this handle stored. Not a word: nothing is known of them any more.
    pub(crate) fn learn(&self, before: &RepositoryState, locked_ms: Option<i64>) {
        let mut state = self.state();
        if locked_ms.is_none() {
            state.claimed_ms = None;
            state.renewed_ms = None;
        } else if before.seq() > 0 && locked_ms > before.locked_ms() {
            state.renewed_ms = state.renewed_ms.max(locked_ms);
        }
    }

    /// What the commit after this state may say about locks.
    pub(crate) fn locked_after(&self, before: &RepositoryState, operations: &[Operation]) -> Option<i64> {
        let state = self.state();
        let own = (state.since + state.promise?.lock_length()).timestamp_millis();
        let own = state.renewed_ms.map_or(own, |renewed| own.max(renewed));
        // Renewals leave out what is about to be removed.
        let revives = |operation: &Operation| matches!(operation, Operation::Revive { .. });
        if operations.iter().any(revives) {
            return None;
        }
        if before.seq() == 0 {
            return Some(own);
        }
        before
            .locked_ms()
            .max(state.claimed_ms)
            .map(|known| known.min(own))
    }
}

/// What became of an object that was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is gone.
    Gone,
    /// It is locked until then; `None`: the store does not say.
    Locked(Option<DateTime<Utc>>),
}

impl Objects {
    /// What the object that is to be stored there must be locked until; `None`: nothing is locked here.
    pub(super) async fn retain_until(&self, path: &str) -> Result<Option<RetainUntil>> {
        let Some(promise) = self.retention.promise() else {
            return Ok(None);
        };
        // They come and go; nothing ever depends on them.
        if path.ends_with(".removing") || path.starts_with("probe-") {
            return Ok(None);
        }
        self.compare_clocks().await?;
        Ok(Some(RetainUntil(self.env.clock.now() + promise.lock_length())))
    }

    /// Fails if this machine's clock and the store's differ so much that locks would be too short or far too long.
    pub(crate) async fn compare_clocks(&self) -> Result<()> {
        let monotonic = self.env.clock.monotonic();
        let fresh = |compared: Duration| monotonic.saturating_sub(compared) < CLOCK_CHECK_EVERY;
        if self.retention.state().compared.is_some_and(fresh) {
            return Ok(());
        }
        let locks = self.need_locks()?;
        let there = match self
            .retry("the store's clock", "read", false, || locks.now())
            .await?
        {
            Outcome::Done(there) => there,
            _ => return Err(Error::internal("a clock that is not found")),
        };
        let here = self.env.clock.now();
        if (here - there).abs() > CLOCK_TOLERANCE {
            let shown = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            return Err(Error::invalid(
                "this machine's clock",
                shown(here),
                &format!(
                    "at most 5 minutes from the store's clock, which shows {}",
                    shown(there)
                ),
            )
            .with_hint(
                "Set the clock; locks for a wrong time cannot be taken back, so nothing was stored.",
            ));
        }
        self.retention.state().compared = Some(monotonic);
        Ok(())
    }

    /// The store's locks.
    ///
    /// # Errors
    /// `Protocol` if it has none.
    pub(crate) fn need_locks(&self) -> Result<std::sync::Arc<dyn crate::store::ObjectLocks>> {
        self.store.locks().cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::Protocol,
                "this store cannot lock objects, so points in it cannot be immutable; allowed: S3 buckets with object lock",
            )
            .with_hint(
                "Directories, Azure and Google Cloud are not supported for this. What is stored can be read and copied.",
            )
        })
    }

    /// Until when the object is locked; `Some(None)`: not at all, `None`: there is no such object.
    pub(crate) async fn locked_until(&self, path: &str) -> Result<Option<Option<DateTime<Utc>>>> {
        let locks = self.need_locks()?;
        let ask = || locks.retention(path);
        match self.retry(path, "read the lock", false, ask).await? {
            Outcome::Done(until) => Ok(Some(until)),
            Outcome::NotFound => Ok(None),
            Outcome::Exists => Err(Error::internal("a lock that exists already")),
        }
    }

    /// Locks the object until then, unless it is locked for longer. `false`: there is no such object.
    pub(crate) async fn retain(&self, path: &str, until: DateTime<Utc>) -> Result<bool> {
        let locks = self.need_locks()?;
        let ask = || locks.retain(path, until);
        match self.retry(path, "lock", true, ask).await {
            Ok(Outcome::Done(())) => Ok(true),
            Ok(_) => Ok(false),
            // A lock is not made shorter, and the store says so as if a right were missing.
            Err(error) if error.kind() == ErrorKind::PermissionMissing => {
                match self.locked_until(path).await {
                    Ok(Some(Some(found))) if found >= until => Ok(true),
                    Ok(None) => Ok(false),
                    _ => Err(error.with_hint(
                        "Give this user the right to read and set the retention of objects there.",
                    )),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the store refuses to lock the object for a shorter time than it is.
    pub(crate) async fn refuses_shorter(&self, path: &str, until: DateTime<Utc>) -> Result<bool> {
        let locks = self.need_locks()?;
        let ask = || locks.retain(path, until);
        match self.retry(path, "lock", true, ask).await {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::PermissionMissing => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// All versions of what lies there.
    pub(crate) async fn versions(&self, prefix: &str) -> Result<Vec<ObjectVersion>> {
        let locks = self.need_locks()?;
        let ask = || locks.versions(prefix);
        match self.retry(prefix, "list versions of", false, ask).await? {
            Outcome::Done(versions) => Ok(versions),
            _ => Ok(Vec::new()),
        }
    }

    /// Removes one version for good; `false`: it is locked, or that is not allowed.
    pub(crate) async fn remove_version(&self, path: &str, id: &str) -> Result<bool> {
        let locks = self.need_locks()?;
        let ask = || locks.remove_version(path, id);
        match self.retry(path, "remove a version of", true, ask).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::PermissionMissing => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes an object with all its versions. Where nothing is locked, as [`Self::delete`].
    ///
    /// A plain removal in a store that keeps versions only hides the object, and frees nothing.
    pub(crate) async fn remove(&self, path: &str) -> Result<Removal> {
        if self.retention.promise().is_none() {
            self.delete(path).await?;
            return Ok(Removal::Gone);
        }
        if let Removal::Locked(until) = self.is_locked(path).await? {
            return Ok(Removal::Locked(until));
        }
        for version in self.versions(path).await? {
            if version.path == path && !self.remove_version(path, &version.id).await? {
                return Ok(Removal::Locked(None));
            }
        }
        Ok(Removal::Gone)
    }

    /// Whether the object cannot go yet.
    pub(crate) async fn is_locked(&self, path: &str) -> Result<Removal> {
        if self.retention.promise().is_none() {
            return Ok(Removal::Gone);
        }
        let now = self.env.clock.now();
        let found = self.locked_until(path).await?.flatten();
        Ok(match found.filter(|until| *until > now) {
            Some(until) => Removal::Locked(Some(until)),
            None => Removal::Gone,
        })
    }
}
