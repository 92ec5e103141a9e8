//! Copying recovery points into another repository, with keys and compression of its own.
//!
//! A copy is the point itself: it keeps id, times, protection, description, figures and the list of what it lacks. Content
//! is read, authenticated and stored as a backup would store it there, so it shares chunks with whatever the target holds.
//! Only what differs from a point that was copied before is read. What is damaged in the source is listed in the copied
//! point and in the report; the rest is copied.

use std::collections::HashSet;
use std::time::Duration;

use nakivo_repo_format::log::Operation;
use nakivo_repo_format::manifest::{LedgerEntry, ObjectRecord};
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{Blob, Manifest, ObjectId, PointId, RunId};
use serde::Serialize;

pub use crate::backup::{Outcome, ProgressLimits};
use crate::error::{Error, Result};
use crate::progress::{Reporter, Running};
use crate::repository::{LogDamage, Repository, WriteStats};

mod item;
mod losses;
mod plan;
mod point;

/// Which points are copied, and how much work an interruption may cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Only points of these objects. Default: of all.
    pub objects: Vec<ObjectId>,
    /// Only these points. Default: all.
    pub points: Vec<PointId>,
    /// Also copy points of which the target holds a later one of the same object. They count as the newest there, because
    /// the order of commits says which point is. Default: `false`.
    pub late: bool,
    /// What an interruption may cost.
    pub progress: ProgressLimits,
}

impl CopyOptions {
    /// Only points of these objects.
    #[must_use]
    pub fn with_objects(mut self, objects: Vec<ObjectId>) -> Self {
        self.objects = objects;
        self
    }

    /// Only these points.
    #[must_use]
    pub fn with_points(mut self, points: Vec<PointId>) -> Self {
        self.points = points;
        self
    }

    /// Sets [`CopyOptions::late`].
    #[must_use]
    pub fn with_late(mut self, late: bool) -> Self {
        self.late = late;
        self
    }

    /// Sets [`CopyOptions::progress`].
    #[must_use]
    pub fn with_progress(mut self, progress: ProgressLimits) -> Self {
        self.progress = progress;
        self
    }
}

/// What becomes of one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CopyState {
    /// It would be copied. Only in a plan.
    Planned,
    /// It was copied by this call, whole.
    Copied,
    /// It was copied by this call without what is damaged in the source; the copy lists that.
    CopiedPartly,
    /// The target has it.
    Present,
    /// The target has it without what was damaged in the source when it was copied. Its id is taken, so it stays so.
    PresentPartly,
    /// It was removed from the target, by retention or by hand. It does not come back.
    Removed,
    /// The target holds a later point of the object; see [`CopyOptions::late`].
    Late,
    /// The target has another point of that id.
    Different,
    /// It was removed from the source while it was being copied.
    Gone,
    /// It cannot be read at all.
    Failed,
}

impl CopyState {
    /// Whether something that was asked for is not in the target, and nobody removed it.
    #[must_use]
    pub fn is_lacking(self) -> bool {
        matches!(
            self,
            Self::CopiedPartly | Self::PresentPartly | Self::Late | Self::Different | Self::Failed
        )
    }
}

/// One point and what becomes of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopiedPoint {
    /// The point, in both repositories.
    pub point: PointId,
    /// What it protects.
    pub object: ObjectRecord,
    /// When its run began, milliseconds since 1970 UTC.
    pub started_ms: i64,
    /// Items in it, in the source.
    pub items: u64,
    /// Sum of their sizes in bytes.
    pub bytes: u64,
    /// What becomes of it.
    pub state: CopyState,
    /// What the copy lacks because it is damaged in the source, and why. Also in the ledger of the copied point.
    pub issues: Vec<LedgerEntry>,
}

impl CopiedPoint {
    fn new(manifest: &Manifest, state: CopyState) -> Self {
        Self {
            point: manifest.id,
            object: manifest.object.clone(),
            started_ms: manifest.started_ms,
            items: manifest.counts.items,
            bytes: manifest.counts.bytes,
            state,
            issues: Vec::new(),
        }
    }
}

/// What a copy did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyReport {
    /// Partial if the target lacks anything that was asked for and that nobody removed there.
    pub outcome: Outcome,
    /// Every selected point, in the order of the source's commits.
    pub points: Vec<CopiedPoint>,
    /// What was written.
    pub written: WriteStats,
    /// Where the source's log is damaged: points may be missing that were stored.
    pub log_damage: Vec<LogDamage>,
    /// Time it took.
    pub duration: Duration,
}

/// Says what becomes of each point. Writes nothing.
///
/// # Errors
/// `InvalidInput` if both are the same repository or an option is out of range; `NotFound` for an object or a point that the source does not have;
/// those of [`Repository::refresh`].
pub async fn plan(
    source: &Repository,
    target: &Repository,
    options: &CopyOptions,
) -> Result<Vec<CopiedPoint>> {
    source.refresh().await?;
    target.refresh().await?;
    Ok(plan::points(source, target, options)?
        .iter()
        .map(|(manifest, state)| CopiedPoint::new(manifest, *state))
        .collect())
}

/// Starts copying recovery points from `source` into `target`.
///
/// What is there already is not copied again, so calling it again goes on where it stopped and brings what is new.
///
/// # Errors
/// Through the handle: as [`plan`]; `Cancelled`; `StorageFull`, `Unavailable`, `Corrupt` and others of the target, and of
/// the source what is not damage. Points that were committed stay; what was stored of the next one is remembered there.
///
/// # Cancellation
/// At the next await point; as after an error.
#[must_use]
pub fn start(source: &Repository, target: &Repository, options: CopyOptions) -> Running<CopyReport> {
    let (source, target) = (source.clone(), target.clone());
    Running::start(move |reporter| async move { run(source, target, &options, &reporter).await })
}

async fn run(
    source: Repository,
    target: Repository,
    options: &CopyOptions,
    reporter: &Reporter,
) -> Result<CopyReport> {
    let clock = target.environment().clock.clone();
    let started = clock.monotonic();
    source.refresh().await?;
    target.refresh().await?;
    let planned = plan::points(&source, &target, options)?;
    if source.log_damage().is_empty() {
        drop_stale_progress(&source, &target).await?;
    }
    let items = planned
        .iter()
        .filter(|(_, state)| *state == CopyState::Planned)
        .map(|(manifest, _)| manifest.counts.items)
        .sum();
    reporter.phase("copy");
    reporter.update(|progress| progress.items_total = Some(items));
    let mut written = WriteStats::default();
    let mut points = Vec::with_capacity(planned.len());
    for (manifest, state) in planned {
        let mut copied = CopiedPoint::new(&manifest, state);
        if state == CopyState::Planned {
            reporter.check()?;
            let done = point::copy(&source, &target, &manifest, options, reporter).await?;
            copied.state = done.state;
            copied.issues = done.issues;
            written = written + done.written;
        }
        points.push(copied);
    }
    target.keep_locked_or_note(reporter).await?;
    let log_damage = source.log_damage();
    let lacking = !log_damage.is_empty() || points.iter().any(|point| point.state.is_lacking());
    Ok(CopyReport {
        outcome: if lacking {
            Outcome::Partial
        } else {
            Outcome::Complete
        },
        points,
        written,
        log_damage,
        duration: clock.monotonic().saturating_sub(started),
    })
}

/// What the progress of an unfinished copy bears: who knows which copy it belongs to can tell that it is not needed any more.
fn mark(source: &Repository) -> Vec<u8> {
    format!("copy of {}", source.id()).into_bytes()
}

/// Forgets unfinished copies of points that the source does not have any more.
async fn drop_stale_progress(source: &Repository, target: &Repository) -> Result<()> {
    let runs: HashSet<RunId> = source.all_points().iter().map(|manifest| manifest.run).collect();
    let mark = mark(source);
    let stale = |state: &RepositoryState| -> Vec<Operation> {
        state
            .progress()
            .values()
            .filter(|progress| matches!(&progress.state, Some(Blob::Inline(bytes)) if *bytes == mark))
            .filter(|progress| !runs.contains(&progress.run))
            .map(|progress| Operation::DropProgress { run: progress.run })
            .collect()
    };
    if !target.look(|state| stale(state).is_empty()) {
        target.commit(|state| Ok(stale(state))).await?;
    }
    Ok(())
}

fn same_repository() -> Error {
    Error::invalid(
        "target of the copy",
        "the repository itself",
        "another repository: one that was created, not copied as files",
    )
}
