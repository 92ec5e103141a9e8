//! What is on record of a job: its runs with what became of each object, and the times that were missed.

use chrono::{DateTime, Utc};
use nakivo_repo_format::ids::{PointId, RunId};
use nakivo_scheduler::catch_up::Missed;
use nakivo_scheduler::chain::Outcome;
use nakivo_scheduler::run::TaskEnd;
use serde::{Deserialize, Serialize};

use super::ids::JobId;
use crate::error::Error;

/// Why a run was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Cause {
    /// Somebody asked for it.
    Asked,
    /// A schedule.
    Schedule {
        /// When it was due.
        due: DateTime<Utc>,
        /// Whether it makes up for a time that was missed.
        late: bool,
    },
    /// The end of a run of another job.
    Chain {
        /// The other job.
        after: JobId,
    },
}

/// Why something failed, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Stable code, as [`Error::code`].
    pub code: String,
    /// One line for people.
    pub message: String,
    /// What can be done about it.
    pub hint: Option<String>,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
        }
    }
}

/// What became of one object in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectResult {
    /// Its id; for what was never found the name that the job has for it.
    pub object: String,
    /// What people call it.
    pub name: String,
    /// How its last try ended.
    pub end: TaskEnd,
    /// How often it was tried, interrupted tries not counted.
    pub tries: u32,
    /// The recovery point that was made.
    pub point: Option<PointId>,
    /// Items in that point.
    pub items: u64,
    /// Plain bytes of these.
    pub bytes: u64,
    /// Items added since the point before.
    pub added: u64,
    /// Items changed since the point before.
    pub changed: u64,
    /// Items that are gone since the point before.
    pub removed: u64,
    /// Items that could not be read; the ledger of the point names them.
    pub failed: u64,
    /// Plain bytes read from the source.
    pub bytes_read: u64,
    /// Bytes that reached the repository.
    pub bytes_stored: u64,
    /// Older points that retention removed afterwards.
    pub points_removed: u64,
    /// Why there is no point, or what went wrong after it was made.
    pub problem: Option<Problem>,
}

impl ObjectResult {
    /// Of an object of which nothing is known yet.
    pub(super) fn new(object: &str, name: &str, end: TaskEnd) -> Self {
        Self {
            object: object.to_owned(),
            name: name.to_owned(),
            end,
            tries: 0,
            point: None,
            items: 0,
            bytes: 0,
            added: 0,
            changed: 0,
            removed: 0,
            failed: 0,
            bytes_read: 0,
            bytes_stored: 0,
            points_removed: 0,
            problem: None,
        }
    }
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Its id.
    pub run: RunId,
    /// The job.
    pub job: JobId,
    /// What the job was called.
    pub job_name: String,
    /// Why it was started.
    pub cause: Cause,
    /// When.
    pub started: DateTime<Utc>,
    /// When it had ended.
    pub ended: DateTime<Utc>,
    /// How.
    pub outcome: Outcome,
    /// How often the process ended while it went on.
    pub interruptions: u32,
    /// What became of its objects, in their order.
    pub objects: Vec<ObjectResult>,
}

/// One line of a job's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "entry")]
pub enum HistoryEntry {
    /// A run has ended.
    Run(Box<RunRecord>),
    /// The job was due and not started.
    Missed(Missed),
}

impl HistoryEntry {
    /// The moment that it is filed under: the end of a run, the latest moment of what was missed.
    #[must_use]
    pub fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Run(run) => run.ended,
            Self::Missed(missed) => missed.until,
        }
    }

    /// Whether `self` says anew what `before` said, because the process ended before that was acknowledged.
    pub(super) fn repeats(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Run(again), Self::Run(run)) => again.run == run.run,
            (Self::Missed(again), Self::Missed(missed)) => again.after == missed.after,
            _ => false,
        }
    }
}
