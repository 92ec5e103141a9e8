//! A job and the run that it may have.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ObjectId, RetryPolicy, Run, RunError, RunState, Task, TaskEnd};
use crate::chain::Outcome;

/// Which of a job's objects a run takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope<O> {
    /// All of them.
    All,
    /// These.
    Selected(Vec<O>),
    /// Those that failed, were stopped, or are incomplete since the last run.
    Failed,
}

/// How the last run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastRun<O> {
    /// How.
    pub outcome: Outcome,
    /// When.
    pub ended: DateTime<Utc>,
    /// Objects that are not backed up in full, the most important first.
    pub failed: Vec<O>,
}

/// When an edit takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// At once.
    Now,
    /// When the run that is going on has ended.
    AfterRun,
}

/// A job: its configuration `C`, whether it may run, and at most one run over objects `O`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job<C, O> {
    config: C,
    edited: Option<C>,
    enabled: bool,
    run: Option<Run<O>>,
    last: Option<LastRun<O>>,
}

impl<C, O: ObjectId> Job<C, O> {
    /// An enabled job that has never run.
    #[must_use]
    pub fn new(config: C) -> Self {
        Self {
            config,
            edited: None,
            enabled: true,
            run: None,
            last: None,
        }
    }

    /// The configuration in force: during a run that with which it started.
    #[must_use]
    pub fn config(&self) -> &C {
        &self.config
    }

    /// The configuration that takes effect when the run has ended, if it was edited meanwhile.
    #[must_use]
    pub fn edited(&self) -> Option<&C> {
        self.edited.as_ref()
    }

    /// Whether the job runs, by schedule or by hand.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Enables or disables the job. A run that is going on is not touched.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// The run that is going on.
    #[must_use]
    pub fn run(&self) -> Option<&Run<O>> {
        self.run.as_ref()
    }

    /// The run that is going on, for commands; call [`Job::settle`] after them.
    pub fn run_mut(&mut self) -> Option<&mut Run<O>> {
        self.run.as_mut()
    }

    /// How the last run ended.
    #[must_use]
    pub fn last(&self) -> Option<&LastRun<O>> {
        self.last.as_ref()
    }

    /// Edits the job. During a run the last edit takes effect when it has ended.
    pub fn edit(&mut self, config: C) -> Edited {
        if self.run.is_some() {
            self.edited = Some(config);
            Edited::AfterRun
        } else {
            self.config = config;
            Edited::Now
        }
    }

    /// Says whether the job may be deleted.
    ///
    /// # Errors
    /// [`RunError::Running`] during a run.
    pub fn check_deletable(&self) -> Result<(), RunError> {
        match self.run {
            Some(_) => Err(RunError::Running { command: "delete it" }),
            None => Ok(()),
        }
    }

    /// Starts a run over those of the job's `objects` (the most important first) that `scope` takes.
    ///
    /// # Errors
    /// [`RunError::Disabled`], [`RunError::Running`]; [`RunError::NotAnObject`] for a selected object that the job does not have;
    /// [`RunError::Nothing`] where nothing is left to process.
    pub fn start(
        &mut self,
        scope: &Scope<O>,
        objects: &[O],
        window_end: Option<DateTime<Utc>>,
        retry: Option<RetryPolicy>,
    ) -> Result<&mut Run<O>, RunError> {
        if !self.enabled {
            return Err(RunError::Disabled);
        }
        if self.run.is_some() {
            return Err(RunError::Running { command: "start it" });
        }
        let run = Run::new(self.scoped(scope, objects)?, window_end, retry)?;
        Ok(self.run.insert(run))
    }

    /// Puts a run that has ended aside, and lets an edit take effect. `None` while it goes on, and without one.
    pub fn settle(&mut self) -> Option<Run<O>> {
        let RunState::Ended { outcome, at } = self.run.as_ref()?.state() else {
            return None;
        };
        let run = self.run.take()?;
        let incomplete = |task: &&Task<O>| task.end() != Some(TaskEnd::Complete);
        let failed = run.tasks().iter().filter(incomplete);
        self.last = Some(LastRun {
            outcome,
            ended: at,
            failed: failed.map(|task| task.object().clone()).collect(),
        });
        if let Some(config) = self.edited.take() {
            self.config = config;
        }
        Some(run)
    }

    /// The objects that `scope` takes, in the job's order.
    fn scoped(&self, scope: &Scope<O>, objects: &[O]) -> Result<Vec<O>, RunError> {
        let wanted = match scope {
            Scope::All => return Ok(objects.to_vec()),
            Scope::Selected(selected) => {
                let known: BTreeSet<&O> = objects.iter().collect();
                if let Some(foreign) = selected.iter().find(|object| !known.contains(object)) {
                    return Err(super::not_an_object(foreign));
                }
                selected.as_slice()
            }
            Scope::Failed => self.last.as_ref().map_or(&[][..], |last| &last.failed),
        };
        let wanted: BTreeSet<&O> = wanted.iter().collect();
        let taken: Vec<O> = objects
            .iter()
            .filter(|object| wanted.contains(object))
            .cloned()
            .collect();
        match (taken.is_empty(), scope) {
            (true, Scope::Failed) => Err(RunError::Nothing {
                reason: "none failed in the last run",
            }),
            (true, _) => Err(RunError::Nothing {
                reason: "none is selected",
            }),
            _ => Ok(taken),
        }
    }
}
