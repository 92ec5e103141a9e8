//! Runs of jobs as values: what may happen to them, and what comes of it.
//!
//! A [`Run`] is the processing of some objects, each a [`Task`]; a [`Job`] has at most one at a time. Both are plain data that
//! commands change; a command that makes no sense is refused by name and changes nothing. They start nothing themselves:
//! [`Run::startable`] says what may be started, [`admit`](crate::admission::admit) which of it, and [`Run::to_stop`] what to stop.
//!
//! ```text
//!                    ┌──────────── fails, tries left ────────────┐
//!                    ▼                                           │
//!   task:         Retrying ── its time comes ──┐                 │
//!                                              ▼                 │
//!              Waiting ───── start ──────▶  Running ──────── finish ──▶ Ended: complete, partial, failed, stopped
//!                 ▲                            │
//!                 └──── the process died ──────┘
//!
//!   run:        Active ── stop all, the window ends ──▶ Stopping ──▶ Ended
//!                  └────────────── every task ended ──────────────────▶
//! ```

mod job;
mod retry;
mod task;

pub use job::{Edited, Job, LastRun, Scope};
pub use retry::{RetryError, RetryPolicy};
pub use task::{Task, TaskEnd, TaskState};

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::chain::Outcome;

/// Why a run is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// Somebody asked for it.
    Asked,
    /// The window of its schedule is over.
    WindowEnd,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RunState {
    /// Tasks are started.
    Active,
    /// No task is started any more; those that run are told to stop.
    Stopping {
        /// Why.
        cause: StopCause,
    },
    /// Every task has ended. Nothing changes any more.
    Ended {
        /// How.
        outcome: Outcome,
        /// When.
        at: DateTime<Utc>,
    },
}

/// A command that makes no sense where the run or the job stands. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The run has ended.
    #[error("the run has ended: nothing in it can be {command}")]
    Ended {
        /// What was asked for.
        command: &'static str,
    },
    /// The run is being stopped.
    #[error("the run is being stopped: {object} is not started any more")]
    Stopping {
        /// The object.
        object: String,
    },
    /// The object is no part of the run or the job.
    #[error("{object} is not among its objects")]
    NotAnObject {
        /// The object.
        object: String,
    },
    /// The object is named twice.
    #[error("{object} is named twice")]
    Twice {
        /// The object.
        object: String,
    },
    /// The task stands where this cannot happen.
    #[error("{object} is {state}: it cannot be {command}")]
    Task {
        /// The object.
        object: String,
        /// Where its task stands.
        state: &'static str,
        /// What was asked for.
        command: &'static str,
    },
    /// There is nothing to do.
    #[error("there is no object to process: {reason}")]
    Nothing {
        /// Why.
        reason: &'static str,
    },
    /// A run of the job has not ended.
    #[error("the job is running: {command} when the run has ended, or stop it")]
    Running {
        /// What to do then.
        command: &'static str,
    },
    /// The job is disabled: it runs neither by schedule nor by hand.
    #[error("the job is disabled: enable it first")]
    Disabled,
}

impl RunError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ended { .. } => "run_ended",
            Self::Stopping { .. } => "run_stopping",
            Self::NotAnObject { .. } => "run_object_unknown",
            Self::Twice { .. } => "run_object_twice",
            Self::Task { .. } => "task_not_possible",
            Self::Nothing { .. } => "run_nothing_to_do",
            Self::Running { .. } => "job_running",
            Self::Disabled => "job_disabled",
        }
    }
}

/// What an object's id must be able to do: be compared, and be named in errors.
pub trait ObjectId: Clone + Ord + fmt::Display {}

impl<T: Clone + Ord + fmt::Display> ObjectId for T {}

/// One execution of a job. `O` is the caller's id of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run<O> {
    state: RunState,
    tasks: Vec<Task<O>>,
    window_end: Option<DateTime<Utc>>,
    retry: Option<RetryPolicy>,
}

impl<O: ObjectId> Run<O> {
    /// A run over `objects`, the most important first, that is stopped at `window_end`.
    ///
    /// # Errors
    /// [`RunError::Nothing`] without objects, [`RunError::Twice`] for one that is named twice.
    pub fn new(
        objects: Vec<O>,
        window_end: Option<DateTime<Utc>>,
        retry: Option<RetryPolicy>,
    ) -> Result<Self, RunError> {
        if objects.is_empty() {
            let reason = "the job has none";
            return Err(RunError::Nothing { reason });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = objects.iter().find(|object| !seen.insert(*object)) {
            let object = twice.to_string();
            return Err(RunError::Twice { object });
        }
        Ok(Self {
            state: RunState::Active,
            tasks: objects.into_iter().map(Task::new).collect(),
            window_end,
            retry,
        })
    }

    /// Where the run stands.
    #[must_use]
    pub fn state(&self) -> RunState {
        self.state
    }

    /// How the run ended; `None` while it has not.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self.state {
            RunState::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Its tasks, the most important first.
    #[must_use]
    pub fn tasks(&self) -> &[Task<O>] {
        &self.tasks
    }

    /// The objects whose tasks may be started at `now`, the most important first.
    pub fn startable(&self, now: DateTime<Utc>) -> impl Iterator<Item = &O> {
        let active = self.state == RunState::Active;
        let ready = move |task: &&Task<O>| active && task.is_ready(now, self.retry.as_ref());
        self.tasks.iter().filter(ready).map(Task::object)
    }

    /// The objects whose tasks run and are to be told to stop.
    pub fn to_stop(&self) -> impl Iterator<Item = &O> {
        let stopping = self.tasks.iter().filter(|task| task.is_told_to_stop());
        stopping.map(Task::object)
    }

    /// When to call [`Run::tick`] next: the end of the window, or the next retry. `None`: time alone changes nothing.
    #[must_use]
    pub fn next_tick(&self) -> Option<DateTime<Utc>> {
        if self.state != RunState::Active {
            return None;
        }
        let retries = self.tasks.iter().filter_map(|task| task.retry_at());
        retries.chain(self.window_end).min()
    }

    /// Records that the task of `object` was handed out.
    ///
    /// # Errors
    /// [`RunError::Ended`], [`RunError::Stopping`], [`RunError::NotAnObject`]; [`RunError::Task`] unless it is
    /// [startable](Run::startable).
    pub fn start(&mut self, object: &O, now: DateTime<Utc>) -> Result<(), RunError> {
        self.not_ended("started")?;
        if let RunState::Stopping { .. } = self.state {
            let object = object.to_string();
            return Err(RunError::Stopping { object });
        }
        let retry = self.retry;
        self.task(object)?.start(now, retry.as_ref())
    }

    /// Records how the task of `object` ended, and plans another try if it failed and one is left.
    ///
    /// # Errors
    /// [`RunError::Ended`], [`RunError::NotAnObject`]; [`RunError::Task`] unless it runs, or if it claims to have been
    /// stopped although nobody told it to.
    pub fn finish(&mut self, object: &O, end: TaskEnd, now: DateTime<Utc>) -> Result<(), RunError> {
        self.not_ended("finished")?;
        let retry = self.retry;
        self.task(object)?.finish(end, now, retry.as_ref())?;
        self.end_when_done(now);
        Ok(())
    }

    /// Stops the whole run: what waits is not started, what runs is told to stop. Asking again changes nothing.
    ///
    /// # Errors
    /// [`RunError::Ended`].
    pub fn stop_all(&mut self, cause: StopCause, now: DateTime<Utc>) -> Result<(), RunError> {
        self.not_ended("stopped")?;
        if self.state == RunState::Active {
            self.state = RunState::Stopping { cause };
        }
        for task in &mut self.tasks {
            task.stop();
        }
        self.end_when_done(now);
        Ok(())
    }

    /// Stops the tasks of these objects; the others go on. Those that have ended stay as they are.
    ///
    /// # Errors
    /// [`RunError::Ended`]; [`RunError::NotAnObject`], and then none is stopped.
    pub fn stop(&mut self, objects: &[O], now: DateTime<Utc>) -> Result<(), RunError> {
        self.not_ended("stopped")?;
        let known: BTreeSet<&O> = self.tasks.iter().map(Task::object).collect();
        if let Some(foreign) = objects.iter().find(|object| !known.contains(object)) {
            return Err(not_an_object(foreign));
        }
        let wanted: BTreeSet<&O> = objects.iter().collect();
        for task in &mut self.tasks {
            if wanted.contains(task.object()) {
                task.stop();
            }
        }
        self.end_when_done(now);
        Ok(())
    }

    /// Lets time pass: stops the run when its window is over. Never fails; an ended run stays as it is.
    pub fn tick(&mut self, now: DateTime<Utc>) {
        if self.state == RunState::Active && self.window_end.is_some_and(|end| now >= end) {
            // An active run has not ended, so this is never refused.
            let _ = self.stop_all(StopCause::WindowEnd, now);
        }
    }

    /// Brings a stored run back after the process that ran its tasks is gone.
    ///
    /// What ran waits again, first in its place, and the interrupted try is not counted: the repository has its progress. What
    /// had been told to stop has stopped. Then time passes as by [`Run::tick`].
    pub fn resume(&mut self, now: DateTime<Utc>) {
        for task in &mut self.tasks {
            task.interrupted();
        }
        self.end_when_done(now);
        self.tick(now);
    }

    fn task(&mut self, object: &O) -> Result<&mut Task<O>, RunError> {
        let found = self.tasks.iter_mut().find(|task| task.object() == object);
        found.ok_or_else(|| not_an_object(object))
    }

    fn not_ended(&self, command: &'static str) -> Result<(), RunError> {
        match self.state {
            RunState::Ended { .. } => Err(RunError::Ended { command }),
            _ => Ok(()),
        }
    }

    fn end_when_done(&mut self, now: DateTime<Utc>) {
        if self.outcome().is_none()
            && let Some(ends) = self.tasks.iter().map(Task::end).collect::<Option<Vec<_>>>()
        {
            let stopping = self.state != RunState::Active;
            let outcome = outcome(&ends, stopping);
            self.state = RunState::Ended { outcome, at: now };
        }
    }
}

fn not_an_object(object: &impl fmt::Display) -> RunError {
    let object = object.to_string();
    RunError::NotAnObject { object }
}

/// What the ends of all tasks come to.
///
/// *Complete* is every task; *stopped* is a run that was stopped before it was done, or of which everything was stopped; *failed*
/// left nothing behind; everything else is *partial*.
fn outcome(ends: &[TaskEnd], stopping: bool) -> Outcome {
    let has = |wanted: fn(&TaskEnd) -> bool| ends.iter().any(wanted);
    let stored = has(|end| matches!(end, TaskEnd::Complete | TaskEnd::Partial));
    let failed = has(|end| matches!(end, TaskEnd::Failed { .. }));
    let stopped = has(|end| *end == TaskEnd::Stopped);
    if ends.iter().all(|end| *end == TaskEnd::Complete) {
        Outcome::Complete
    } else if stopped && (stopping || !(stored || failed)) {
        Outcome::Stopped
    } else if stored {
        Outcome::Partial
    } else {
        Outcome::Failed
    }
}
