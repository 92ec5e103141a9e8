//! Which tasks may start now: limits, one job per object, and turns that are fair.
//!
//! [`admit`] is a pure function of what runs and what waits. Among the jobs that have something to start, the one that had its
//! last turn longest ago is next, so a job with a hundred thousand objects does not keep one with a single object waiting: while
//! a job could start something but has no place, no other job starts more than one task.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Fewest and most tasks at once that a limit may say.
pub const TASK_RANGE: std::ops::RangeInclusive<u32> = 1..=100;

/// How many tasks run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Limits {
    form: Form,
}

/// The external form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    transporter: u32,
    recovery: u32,
    one_job_per_object: bool,
}

impl Default for Limits {
    /// 6 tasks, 2 more for recovery, and each object in one job at a time.
    fn default() -> Self {
        Self {
            form: Form {
                transporter: 6,
                recovery: 2,
                one_job_per_object: true,
            },
        }
    }
}

/// A limit that is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value}: expected {least} to {most}", most = TASK_RANGE.end())]
pub struct LimitError {
    /// The field.
    pub field: &'static str,
    /// What it held.
    pub value: u32,
    /// Least allowed.
    pub least: u32,
}

impl Limits {
    /// `transporter` tasks of any kind at once (range 1 to 100) and `recovery` more that only recoveries use (0 to 100; 0 turns
    /// it off). `one_job_per_object` keeps an object from being processed by two jobs at a time.
    ///
    /// # Errors
    /// [`LimitError`] for the first number that is out of range.
    pub fn new(transporter: u32, recovery: u32, one_job_per_object: bool) -> Result<Self, LimitError> {
        for (field, value, least) in [
            ("transporter", transporter, *TASK_RANGE.start()),
            ("recovery", recovery, 0),
        ] {
            if !(least..=*TASK_RANGE.end()).contains(&value) {
                return Err(LimitError { field, value, least });
            }
        }
        Ok(Self {
            form: Form {
                transporter,
                recovery,
                one_job_per_object,
            },
        })
    }

    /// True when one more task of `kind` fits beside `running`: `(backups, recoveries)`.
    ///
    /// Recoveries fill their own places first, and share the others when those are taken.
    fn fits(&self, kind: TaskKind, (backups, recoveries): (u32, u32)) -> bool {
        let shared = backups.saturating_add(recoveries.saturating_sub(self.form.recovery));
        let own_place = kind == TaskKind::Recovery && recoveries < self.form.recovery;
        own_place || shared < self.form.transporter
    }
}

impl TryFrom<Form> for Limits {
    type Error = LimitError;

    fn try_from(form: Form) -> Result<Self, LimitError> {
        Self::new(form.transporter, form.recovery, form.one_job_per_object)
    }
}

impl From<Limits> for Form {
    fn from(limits: Limits) -> Self {
        limits.form
    }
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Backs an object up, or copies, or maintains.
    Backup,
    /// Recovers; has places of its own.
    Recovery,
}

/// Tasks of one job that run at once unless the job says otherwise.
pub const JOB_TASKS: u32 = 3;

/// What one job, or one recovery, has running and waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue<O> {
    /// What its tasks do.
    pub kind: TaskKind,
    /// Most tasks of it at once. Default of a job: [`JOB_TASKS`].
    pub limit: u32,
    /// The turn in which it last started something, as [`Admitted::turn`] gave it; 0 for never.
    pub turn: u64,
    /// Objects of which a task runs.
    pub running: Vec<O>,
    /// Objects whose tasks may start, the most important first.
    pub waiting: Vec<O>,
}

/// A task that may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted<O> {
    /// Which of the queues given.
    pub queue: usize,
    /// The object.
    pub object: O,
    /// Number of this turn; to be kept as the queue's [`Queue::turn`].
    pub turn: u64,
}

/// The tasks that may start now, in the order of their turns.
///
/// Where more runs than the limits allow, because they were lowered, nothing starts until they are met. An object that runs for
/// one queue is passed over in the others, and keeps its place. Queues that never had a turn come first, in the order given.
#[must_use]
pub fn admit<O: Clone + Ord>(limits: &Limits, queues: &[Queue<O>]) -> Vec<Admitted<O>> {
    let mut busy: BTreeSet<&O> = queues.iter().flat_map(|queue| &queue.running).collect();
    let mut totals = totals(queues);
    let mut turn = queues.iter().map(|queue| queue.turn).max().unwrap_or(0);
    let mut started: BTreeMap<usize, BTreeSet<&O>> = BTreeMap::new();
    let mut turns: BTreeSet<(u64, usize)> = queues
        .iter()
        .enumerate()
        .map(|(i, queue)| (queue.turn, i))
        .collect();
    let mut admitted = Vec::new();
    while let Some((_, i)) = turns.pop_first() {
        let queue = &queues[i];
        let mine = started.entry(i).or_default();
        let in_use = queue.running.len() + mine.len();
        if in_use >= queue.limit as usize || !limits.fits(queue.kind, totals) {
            continue;
        }
        let free = |object: &&O| {
            let elsewhere = limits.form.one_job_per_object && busy.contains(object);
            !elsewhere && !mine.contains(object) && !queue.running.contains(object)
        };
        let Some(object) = queue.waiting.iter().find(free) else {
            continue;
        };
        turn = turn.saturating_add(1);
        mine.insert(object);
        busy.insert(object);
        match queue.kind {
            TaskKind::Backup => totals.0 += 1,
            TaskKind::Recovery => totals.1 += 1,
        }
        admitted.push(Admitted {
            queue: i,
            object: object.clone(),
            turn,
        });
        turns.insert((turn, i));
    }
    admitted
}

/// How many backups and recoveries run.
fn totals<O>(queues: &[Queue<O>]) -> (u32, u32) {
    let of = |kind| {
        let running = queues
            .iter()
            .filter(|queue| queue.kind == kind)
            .map(|queue| queue.running.len());
        u32::try_from(running.sum::<usize>()).unwrap_or(u32::MAX)
    };
    (of(TaskKind::Backup), of(TaskKind::Recovery))
}
