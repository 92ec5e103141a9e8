//! One run: reads the changes of one protected object and commits a new recovery point.
//!
//! The order is what keeps data safe. Content goes into packs, packs into the index, and one commit record makes the
//! point visible together with the cursor that covers it. A deletion is believed only after every container was read
//! and the vanished item was looked up. What fails is listed in the point's ledger and tried again by the next run.

use std::sync::Arc;
use std::time::Duration;

use nakivo_repo_format::ids::{PointId, RunId};
use nakivo_repo_format::manifest::{LedgerEntry, ObjectRecord};
use serde::Serialize;

use crate::connector::{Connector, Usage};
use crate::progress::Running;
use crate::repository::{PointLock, Repository, WriteStats};

mod containers;
mod damaged;
pub(crate) mod edits;
mod fetch;
mod fetches;
mod ledger;
mod pace;
mod relied_on;
mod run;
pub(crate) mod save;
mod vanished;
mod whereabouts;

pub use ledger::RunCounts;
pub(crate) use pace::Pace;
pub use pace::ProgressLimits;

/// Settings of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupOptions {
    /// Stop at the first failed item instead of recording it. Default: `false`.
    pub fail_fast: bool,
    /// What an interruption may cost.
    pub progress: ProgressLimits,
}

impl BackupOptions {
    /// Sets [`BackupOptions::fail_fast`].
    #[must_use]
    pub fn with_fail_fast(mut self, fail_fast: bool) -> Self {
        self.fail_fast = fail_fast;
        self
    }

    /// Sets [`BackupOptions::progress`].
    #[must_use]
    pub fn with_progress(mut self, progress: ProgressLimits) -> Self {
        self.progress = progress;
        self
    }
}

/// How a run that committed a point ended. A run that committed none is an [`Error`](crate::Error).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything the source named is in the point.
    Complete,
    /// The point is usable; what is missing is listed.
    Partial,
}

/// What a run did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackupReport {
    /// Whether anything is missing.
    pub outcome: Outcome,
    /// The new recovery point.
    pub point: PointId,
    /// The run.
    pub run: RunId,
    /// The object.
    pub object: ObjectRecord,
    /// Whether there was no earlier point to build on.
    pub first: bool,
    /// What became of the items.
    pub counts: RunCounts,
    /// Items in the new point.
    pub items: u64,
    /// Containers in the new point.
    pub containers: u64,
    /// Plain bytes of all items of the new point.
    pub bytes: u64,
    /// What was written.
    pub written: WriteStats,
    /// What was asked of the service during this run.
    pub usage: Usage,
    /// Failed and skipped items and warnings.
    pub issues: Vec<LedgerEntry>,
    /// Time the run took.
    pub duration: Duration,
    /// What locks the point, where points are immutable.
    pub lock: Option<PointLock>,
}

/// Starts a run that backs up `object` through `connector` into `repository`.
///
/// # Errors
/// From [`Running::wait`]: `InvalidInput` for options out of range; `Cancelled`; `Unauthorized`, `PermissionMissing`,
/// `Unavailable` if the source as a whole cannot be read; `StorageFull`, `Unavailable`, `Corrupt` from the repository.
/// In all these cases no point was committed; a later run resumes from what is stored.
///
/// # Cancellation
/// At the next await point; what was stored is remembered so that the next run resumes.
#[must_use]
pub fn start(
    repository: &Repository,
    connector: Arc<dyn Connector>,
    object: ObjectRecord,
    options: BackupOptions,
) -> Running<BackupReport> {
    let repository = repository.clone();
    Running::start(move |reporter| async move {
        options.progress.validate()?;
        run::run(repository, connector, object, options, reporter).await
    })
}
