//! The processing of one object within a run.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::retry::RetryPolicy;
use super::{ObjectId, RunError};

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskEnd {
    /// The object is backed up in full.
    Complete,
    /// A point exists, and lists what is not in it.
    Partial,
    /// There is no new point.
    Failed {
        /// True for a cause that another try does not cure, such as a missing permission.
        critical: bool,
    },
    /// It was stopped before it was done, or before it began.
    Stopped,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It has not begun, or was interrupted.
    Waiting,
    /// It was handed out.
    Running {
        /// It is to be told to stop.
        stopping: bool,
    },
    /// It failed and is tried again.
    Retrying {
        /// Not before this moment.
        at: DateTime<Utc>,
        /// Whether the failure was critical.
        critical: bool,
    },
    /// It ended, and stays so.
    Ended(TaskEnd),
}

/// One object within a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task<O> {
    object: O,
    state: TaskState,
    tries: u32,
}

impl<O: ObjectId> Task<O> {
    pub(super) fn new(object: O) -> Self {
        Self {
            object,
            state: TaskState::Waiting,
            tries: 0,
        }
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &O {
        &self.object
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// How often it was started, interrupted tries not counted.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// How it ended; `None` while it has not.
    #[must_use]
    pub fn end(&self) -> Option<TaskEnd> {
        match self.state {
            TaskState::Ended(end) => Some(end),
            _ => None,
        }
    }

    pub(super) fn is_told_to_stop(&self) -> bool {
        self.state == TaskState::Running { stopping: true }
    }

    pub(super) fn retry_at(&self) -> Option<DateTime<Utc>> {
        match self.state {
            TaskState::Retrying { at, .. } => Some(at),
            _ => None,
        }
    }

    /// A retry is due at its time, and at once when the clock went back so far that it lies further off than it ever could.
    pub(super) fn is_ready(&self, now: DateTime<Utc>, retry: Option<&RetryPolicy>) -> bool {
        match self.state {
            TaskState::Waiting => true,
            TaskState::Retrying { at, .. } => {
                at <= now || retry.is_none_or(|retry| at - now > retry.interval())
            }
            _ => false,
        }
    }

    pub(super) fn start(&mut self, now: DateTime<Utc>, retry: Option<&RetryPolicy>) -> Result<(), RunError> {
        if !self.is_ready(now, retry) {
            return Err(self.refuse("started"));
        }
        self.tries = self.tries.saturating_add(1);
        self.state = TaskState::Running { stopping: false };
        Ok(())
    }

    pub(super) fn finish(
        &mut self,
        end: TaskEnd,
        now: DateTime<Utc>,
        retry: Option<&RetryPolicy>,
    ) -> Result<(), RunError> {
        let TaskState::Running { stopping } = self.state else {
            return Err(self.refuse("finished"));
        };
        if end == TaskEnd::Stopped && !stopping {
            return Err(self.refuse("reported as stopped, because nobody told it to stop"));
        }
        self.state = match (end, retry) {
            (TaskEnd::Failed { critical }, Some(retry))
                if !stopping && retry.allows(self.tries, critical) =>
            {
                let at = now.checked_add_signed(retry.interval()).unwrap_or(now);
                TaskState::Retrying { at, critical }
            }
            _ => TaskState::Ended(end),
        };
        Ok(())
    }

    /// A task that waits for another try has failed; one that has ended stays as it is.
    pub(super) fn stop(&mut self) {
        self.state = match self.state {
            TaskState::Waiting => TaskState::Ended(TaskEnd::Stopped),
            TaskState::Running { .. } => TaskState::Running { stopping: true },
            TaskState::Retrying { critical, .. } => TaskState::Ended(TaskEnd::Failed { critical }),
            ended @ TaskState::Ended(_) => ended,
        };
    }

    pub(super) fn interrupted(&mut self) {
        if let TaskState::Running { stopping } = self.state {
            self.tries = self.tries.saturating_sub(1);
            self.state = if stopping {
                TaskState::Ended(TaskEnd::Stopped)
            } else {
                TaskState::Waiting
            };
        }
    }

    fn refuse(&self, command: &'static str) -> RunError {
        let state = match self.state {
            TaskState::Waiting => "waiting",
            TaskState::Running { .. } => "running",
            TaskState::Retrying { .. } => "waiting for its next try",
            TaskState::Ended(_) => "done",
        };
        RunError::Task {
            object: self.object.to_string(),
            state,
            command,
        }
    }
}
