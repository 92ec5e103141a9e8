//! What a job is: what is backed up, where to, when, how long it is kept, and how hard it is tried.

use std::collections::BTreeSet;

use nakivo_repo_format::RepositoryId;
use nakivo_scheduler::admission::{JOB_TASKS, TASK_RANGE};
use nakivo_scheduler::calendar::Calendar;
use nakivo_scheduler::catch_up::CatchUp;
use nakivo_scheduler::chrono::Weekday;
use nakivo_scheduler::chrono_tz::Tz;
use nakivo_scheduler::retention::RetentionPolicy;
use nakivo_scheduler::run::RetryPolicy;
use nakivo_scheduler::schedule::Timetable;
use serde::{Deserialize, Serialize};

use super::source::Source;
use crate::error::{Error, Result};

/// Longest name of a job, in characters.
const MAX_NAME_CHARS: usize = 64;
/// Most sources of one job.
pub const MAX_SOURCES: usize = 1_000;

/// How many recovery points a job keeps of each object; `None` turns a rule off. As [`RetentionPolicy`], as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The last N points. Range 1 to 1,000.
    #[serde(default)]
    pub last: Option<u32>,
    /// One point a day for N days. Range 1 to 1,000.
    #[serde(default)]
    pub daily: Option<u32>,
    /// One point a week for N weeks. Range 1 to 1,000.
    #[serde(default)]
    pub weekly: Option<u32>,
    /// One point a month for N months. Range 1 to 1,000.
    #[serde(default)]
    pub monthly: Option<u32>,
    /// One point a year for N years. Range 1 to 1,000.
    #[serde(default)]
    pub yearly: Option<u32>,
}

impl Keep {
    /// The same as the planner takes it.
    #[must_use]
    pub fn policy(&self) -> RetentionPolicy {
        RetentionPolicy {
            last: self.last,
            daily: self.daily,
            weekly: self.weekly,
            monthly: self.monthly,
            yearly: self.yearly,
        }
    }
}

impl From<RetentionPolicy> for Keep {
    fn from(policy: RetentionPolicy) -> Self {
        Self {
            last: policy.last,
            daily: policy.daily,
            weekly: policy.weekly,
            monthly: policy.monthly,
            yearly: policy.yearly,
        }
    }
}

/// A job as data, unchecked. [`JobForm::check`] makes a [`Job`] of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobForm {
    /// What people call it: 1 to 64 characters, none of them a control character, no blank at either end.
    pub name: String,
    /// What is backed up, the most important first. At least one, at most [`MAX_SOURCES`].
    pub sources: Vec<Source>,
    /// Where to.
    pub repository: RepositoryId,
    /// When. Default: on demand.
    #[serde(default)]
    pub schedules: Timetable,
    /// What to do about times that were missed. Default: start within the window.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// How many points of each object stay when a run has made a new one. `None` removes nothing. Default: the last 10.
    #[serde(default = "keep")]
    pub retention: Option<Keep>,
    /// Whose midnight counts for retention: IANA name. Default: `UTC`.
    #[serde(default = "utc")]
    pub zone: String,
    /// First day of the week for retention. Default: `monday`.
    #[serde(default = "monday")]
    pub week_start: String,
    /// How failed objects are tried again within a run; `None` does not. Default: 3 times, every 15 minutes.
    #[serde(default = "retry")]
    pub retry: Option<RetryPolicy>,
    /// Objects processed at once. Range 1 to 100. Default: 3.
    #[serde(default = "tasks")]
    pub tasks: u32,
    /// Whether it runs, by schedule or by hand. Default: `true`.
    #[serde(default = "yes")]
    pub enabled: bool,
}

#[allow(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn keep() -> Option<Keep> {
    Some(RetentionPolicy::default().into())
}

fn utc() -> String {
    "UTC".to_owned()
}

fn monday() -> String {
    "monday".to_owned()
}

#[allow(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn retry() -> Option<RetryPolicy> {
    Some(RetryPolicy::default())
}

fn tasks() -> u32 {
    JOB_TASKS
}

fn yes() -> bool {
    true
}

impl JobForm {
    /// A job on demand with every other field at its default.
    #[must_use]
    pub fn new(name: &str, repository: RepositoryId, sources: Vec<Source>) -> Self {
        Self {
            name: name.to_owned(),
            sources,
            repository,
            schedules: Timetable::default(),
            catch_up: CatchUp::default(),
            retention: keep(),
            zone: utc(),
            week_start: monday(),
            retry: retry(),
            tasks: tasks(),
            enabled: yes(),
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// `InvalidInput` that names the first field at fault, its value and what is allowed.
    pub fn check(self) -> Result<Job> {
        check_name(&self.name)?;
        check_sources(&self.sources)?;
        if let Some(keep) = &self.retention {
            let refused = |error| Error::invalid("retention", error, "numbers from 1 to 1,000, one at least");
            keep.policy().validate().map_err(refused)?;
        }
        let zone: Tz = self.zone.parse().map_err(|_| {
            Error::invalid("zone", &self.zone, "an IANA name of a zone such as Europe/Berlin")
        })?;
        let first_day_of_week: Weekday = self.week_start.parse().map_err(|_| {
            Error::invalid("week_start", &self.week_start, "a day of the week such as monday")
        })?;
        if !TASK_RANGE.contains(&self.tasks) {
            return Err(Error::invalid("tasks", self.tasks, "1 to 100"));
        }
        let calendar = Calendar {
            zone,
            first_day_of_week,
        };
        Ok(Job { form: self, calendar })
    }
}

pub(super) fn check_name(name: &str) -> Result<()> {
    let length = name.chars().count();
    let printable = !name.chars().any(char::is_control);
    if (1..=MAX_NAME_CHARS).contains(&length) && printable && name.trim() == name {
        return Ok(());
    }
    let allowed = "1 to 64 characters, none of them a control character, no blank at either end";
    Err(Error::invalid("name", name.escape_default(), allowed))
}

fn check_sources(sources: &[Source]) -> Result<()> {
    if !(1..=MAX_SOURCES).contains(&sources.len()) {
        return Err(Error::invalid("sources", sources.len(), "1 to 1,000 sources"));
    }
    let mut seen = BTreeSet::new();
    for source in sources {
        source.check()?;
        // A source that names no objects stands for all of them.
        let objects = source.objects.iter().map(Some);
        let all = source.objects.is_empty().then_some(None);
        for object in objects.chain(all) {
            if !seen.insert((&source.connector, source.place(), object)) {
                let what = object.map_or(source.place(), String::as_str);
                return Err(Error::invalid("sources", what, "each object once"));
            }
        }
    }
    Ok(())
}

/// A job that was checked. Stored as its form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "JobForm", into = "JobForm")]
pub struct Job {
    form: JobForm,
    calendar: Calendar,
}

impl Job {
    /// Every field.
    #[must_use]
    pub fn form(&self) -> &JobForm {
        &self.form
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.form.name
    }

    /// What retention counts days, weeks, months and years by.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }
}

impl TryFrom<JobForm> for Job {
    type Error = Error;

    fn try_from(form: JobForm) -> Result<Self> {
        form.check()
    }
}

impl From<Job> for JobForm {
    fn from(job: Job) -> Self {
        job.form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> JobForm {
        let source = Source::folder("/srv/files", "files");
        JobForm::new("Nightly", RepositoryId::from_bytes([1; 16]), vec![source])
    }

    fn refused(change: impl FnOnce(&mut JobForm)) -> String {
        let mut form = form();
        change(&mut form);
        let error = form.check().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
        error.message().to_owned()
    }

    #[test]
    fn the_defaults_are_those_of_the_requirements() {
        let job = form().check().unwrap();
        let form = job.form();
        assert_eq!(form.retention.unwrap().policy(), RetentionPolicy::default());
        assert_eq!((form.tasks, form.enabled, form.zone.as_str()), (3, true, "UTC"));
        assert_eq!(form.retry, Some(RetryPolicy::new(3, 15, false).unwrap()));
        let text = r#"{"name": "Nightly", "repository": "01010101010101010101010101010101",
            "sources": [{"connector": "folder", "location": "/srv/files", "objects": ["files"]}]}"#;
        assert_eq!(serde_json::from_str::<Job>(text).unwrap(), job);
        let stored = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&stored).unwrap(), job);
    }

    #[test]
    fn what_a_field_cannot_hold_is_refused_by_name() {
        for name in ["", " x", "a\nb", &"x".repeat(65)] {
            assert!(refused(|form| form.name = name.to_owned()).starts_with("name: "));
        }
        assert!(refused(|form| form.sources.clear()).starts_with("sources: '0'"));
        assert!(refused(|form| form.sources.push(form.sources[0].clone())).contains("'files'"));
        assert!(refused(|form| form.sources[0].location.clear()).starts_with("location: "));
        assert!(
            refused(|form| form.tasks = 101).starts_with("tasks: '101' is not allowed; allowed: 1 to 100")
        );
        assert!(refused(|form| form.tasks = 0).starts_with("tasks: '0'"));
        assert!(refused(|form| form.zone = "Mars/Base".to_owned()).starts_with("zone: 'Mars/Base'"));
        assert!(refused(|form| form.week_start = "moonday".to_owned()).starts_with("week_start: "));
        let nothing: Keep = RetentionPolicy::none().into();
        assert!(refused(|form| form.retention = Some(nothing)).starts_with("retention: "));
        let beyond = Keep {
            last: Some(1_001),
            ..nothing
        };
        assert!(refused(|form| form.retention = Some(beyond)).contains("last = 1001"));
        for text in [
            r#"{"name": "x", "sources": []}"#,
            r#"{"name": "x", "repository": "01", "sources": []}"#,
        ] {
            assert!(serde_json::from_str::<Job>(text).is_err(), "{text}");
        }
    }
}
