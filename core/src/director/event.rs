//! What happens in a director, for whoever watches.

use nakivo_repo_format::ids::RunId;
use nakivo_scheduler::catch_up::Missed;
use serde::Serialize;

use super::history::{Cause, ObjectResult, RunRecord};
use super::job::JobId;

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
}
