//! Jobs that run after other jobs.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::schedule::{ScheduleError, Timetable, in_range, some};

/// Longest id of a job that a link accepts, in bytes.
const MAX_ID_BYTES: usize = 256;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every object is backed up in full.
    Complete,
    /// Something is backed up, and what is not is listed.
    Partial,
    /// Nothing is backed up.
    Failed,
    /// A person or the end of its window stopped it before it was done.
    Stopped,
}

impl Outcome {
    /// Every way to end.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Partial, Self::Failed, Self::Stopped];

    /// The word for it in the external form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`Outcome`]s: the condition of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes(u8);

impl Outcomes {
    /// True when `outcome` is one of them.
    #[must_use]
    pub fn contains(self, outcome: Outcome) -> bool {
        self.0 & (1 << outcome as u8) != 0
    }

    /// Their words, in the order of [`Outcome::ALL`].
    #[must_use]
    pub fn names(self) -> Vec<String> {
        let all = Outcome::ALL.into_iter();
        all.filter(|outcome| self.contains(*outcome))
            .map(|outcome| outcome.name().to_owned())
            .collect()
    }

    fn read(names: &[String]) -> Result<Self, ScheduleError> {
        let (field, allowed) = ("repeat.outcomes", "complete, partial, failed, stopped");
        let mut set = 0;
        for name in some(field, names, allowed)? {
            let outcome = Outcome::ALL
                .into_iter()
                .find(|outcome| outcome.name() == name)
                .ok_or_else(|| ScheduleError::refused(field, name, allowed))?;
            set |= 1 << outcome as u8;
        }
        Ok(Self(set))
    }
}

/// What makes a job run after another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Id of the job whose runs are followed.
    pub job: String,
    /// Elapsed time between the end of that run and the start of the next. Never negative.
    pub delay: TimeDelta,
    /// After which ends.
    pub outcomes: Outcomes,
}

impl Link {
    pub(crate) fn read(job: &str, delay_minutes: i64, outcomes: &[String]) -> Result<Self, ScheduleError> {
        if job.is_empty() || job.len() > MAX_ID_BYTES || job.chars().any(char::is_control) {
            let allowed = format!("the id of a job, 1 to {MAX_ID_BYTES} bytes without control characters");
            return Err(ScheduleError::refused("repeat.job", format!("{job:?}"), allowed));
        }
        let minutes = in_range("repeat.delay_minutes", delay_minutes, 0, 30 * 24 * 60)?;
        Ok(Self {
            job: job.to_owned(),
            delay: TimeDelta::minutes(minutes),
            outcomes: Outcomes::read(outcomes)?,
        })
    }
}

/// Why jobs cannot be chained like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A job waits for one that is not there.
    #[error("job {job} runs after job {missing}, which does not exist")]
    Missing {
        /// The one that waits.
        job: String,
        /// The one that is not there.
        missing: String,
    },
    /// Jobs wait for each other in a circle.
    #[error("these jobs run after each other in a circle: {}", .jobs.join(" after "))]
    Cycle {
        /// The circle, each job before the one that it runs after; the first is named again at the end.
        jobs: Vec<String>,
    },
}

impl ChainError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "chain_job_missing",
            Self::Cycle { .. } => "chain_cycle",
        }
    }
}

/// A start that a chain calls for. Plain data, so that a delay outlives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainedStart {
    /// The job to start.
    pub job: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The job after which it runs.
    pub after: String,
}

/// Refuses chains that lead nowhere or in a circle, whatever the conditions on them.
///
/// Takes time and memory in proportion to the number of links, however long a chain is.
///
/// # Errors
/// [`ChainError::Missing`] before [`ChainError::Cycle`]; the first of each by the order of ids.
pub fn check_chains(jobs: &BTreeMap<String, Timetable>) -> Result<(), ChainError> {
    for (job, link) in jobs
        .iter()
        .flat_map(|(job, table)| links(table).map(move |link| (job, link)))
    {
        if !jobs.contains_key(&link.job) {
            return Err(ChainError::Missing {
                job: job.clone(),
                missing: link.job.clone(),
            });
        }
    }
    let mut finished = std::collections::BTreeSet::new();
    for job in jobs.keys() {
        walk(jobs, job, &mut finished)?;
    }
    Ok(())
}

/// Follows every link from `job`; a path that comes back to itself is a circle.
fn walk<'a>(
    jobs: &'a BTreeMap<String, Timetable>,
    job: &'a str,
    finished: &mut std::collections::BTreeSet<&'a str>,
) -> Result<(), ChainError> {
    let open = |job: &'a str| (job, jobs.get(job).into_iter().flat_map(links));
    let mut on_path = std::collections::BTreeSet::from([job]);
    let mut path = vec![open(job)];
    while let Some((job, rest)) = path.last_mut() {
        let job = *job;
        let Some(next) = rest.next().map(|link| link.job.as_str()) else {
            finished.insert(job);
            on_path.remove(job);
            path.pop();
            continue;
        };
        if on_path.contains(next) {
            let circle = path.iter().map(|(job, _)| *job).skip_while(|job| *job != next);
            let jobs = circle.chain([next]).map(str::to_owned).collect();
            return Err(ChainError::Cycle { jobs });
        }
        if !finished.contains(next) {
            on_path.insert(next);
            path.push(open(next));
        }
    }
    Ok(())
}

fn links(table: &Timetable) -> impl Iterator<Item = &Link> {
    table.schedules().iter().filter_map(|schedule| schedule.link())
}

/// The starts that the end of a run calls for: each job once, at the earliest moment that one of its links gives, by id.
///
/// A link counts when its schedule is in force at that moment. `jobs` without `ended_job` in it calls for nothing of it.
#[must_use]
pub fn chained_starts(
    jobs: &BTreeMap<String, Timetable>,
    ended_job: &str,
    outcome: Outcome,
    ended: DateTime<Utc>,
) -> Vec<ChainedStart> {
    let start = |table: &Timetable| {
        let schedules = table.schedules().iter();
        schedules
            .filter_map(|schedule| {
                let link = schedule.link()?;
                let at = ended.checked_add_signed(link.delay)?;
                let wanted = link.job == ended_job && link.outcomes.contains(outcome);
                (wanted && schedule.is_effective(at)).then_some(at)
            })
            .min()
    };
    jobs.iter()
        .filter_map(|(job, table)| {
            Some(ChainedStart {
                job: job.clone(),
                at: start(table)?,
                after: ended_job.to_owned(),
            })
        })
        .collect()
}
