//! What happens in a director, for whoever watches.

use chrono::{DateTime, Utc};
use nakivo_repo_format::RepositoryId;
use nakivo_repo_format::ids::RunId;
use nakivo_scheduler::catch_up::Missed;
use serde::Serialize;

use super::history::{Cause, ObjectResult, Problem, RunRecord};
use super::ids::JobId;
use super::journal::DirectorId;

/// Something that happened and is on record, or is about to be.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DirectorEvent {
    /// A run has found its objects and begins.
    RunStarted {
        /// The job.
        job: JobId,
        /// What it is called.
        name: String,
        /// The run.
        run: RunId,
        /// Why.
        cause: Cause,
        /// How many objects it has.
        objects: usize,
    },
    /// A run that was interrupted goes on.
    RunResumed {
        /// The job.
        job: JobId,
        /// What it is called.
        name: String,
        /// The run.
        run: RunId,
    },
    /// One try at an object has ended; on record.
    ObjectDone {
        /// The job.
        job: JobId,
        /// What it is called.
        name: String,
        /// The run.
        run: RunId,
        /// What became of it.
        result: Box<ObjectResult>,
    },
    /// A run has ended; on record.
    RunEnded {
        /// Its record.
        record: Box<RunRecord>,
    },
    /// A job was due and not started; on record.
    Missed {
        /// The job.
        job: JobId,
        /// What it is called.
        name: String,
        /// How often, and when.
        missed: Missed,
    },
    /// The clock was set back so far that the record of what was started begins anew: a time may be due a second time.
    ClockSetBack {
        /// The job.
        job: JobId,
        /// What it is called.
        name: String,
    },
    /// The configuration is in the journal of a repository.
    Journalled {
        /// The repository.
        repository: RepositoryId,
        /// Number of the configuration.
        revision: u64,
    },
    /// The configuration could not be written into a repository; on record, and tried again.
    JournalBehind {
        /// The repository.
        repository: RepositoryId,
        /// What it is called.
        name: String,
        /// Why.
        problem: Problem,
    },
    /// The repository holds a configuration of this director that it never wrote: its state was set back, or a copy of it is in
    /// use elsewhere. It goes on under a new id, and both configurations stay.
    SetApart {
        /// The repository.
        repository: RepositoryId,
        /// Id under which the other configuration stays.
        before: DirectorId,
        /// Id from now on.
        now: DirectorId,
        /// When the other configuration was written, if it is understood.
        found: Option<DateTime<Utc>>,
    },
    /// Somebody brought a director back from this one's journal. If both run, objects are backed up twice.
    BroughtBackElsewhere {
        /// The repository in which that was seen.
        repository: RepositoryId,
        /// The other director.
        director: DirectorId,
    },
}
