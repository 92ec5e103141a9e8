//! The external form: plain data that a file, a request or a person gives.

use serde::{Deserialize, Serialize};

use super::dates::{Dates, Months, month_names, weekday_name, weekday_names};
use super::{Kind, Schedule, ScheduleError, Timing};

/// A schedule as data, unchecked. [`ScheduleForm::check`] makes a [`Schedule`] of it.
///
/// Times are `HH:MM` from `00:00` to `23:59`, dates `YYYY-MM-DD` from 1970 to 9999, days and months English names.
///
/// ```
/// use nakivo_scheduler::schedule::ScheduleForm;
///
/// let nightly = ScheduleForm::daily("01:00").ending("06:00").in_zone("Europe/Berlin").check()?;
/// let json = r#"{"repeat": {"kind": "daily"}, "zone": "Europe/Berlin", "start": "01:00", "end": "06:00"}"#;
/// assert_eq!(nightly, serde_json::from_str(json).unwrap());
/// # Ok::<(), nakivo_scheduler::schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleForm {
    /// On which dates, how often, or after what.
    pub repeat: Repeat,
    /// IANA name of the zone that times and dates are meant in. Default: `UTC`.
    #[serde(default = "utc")]
    pub zone: String,
    /// Local time at which the job starts, and the window opens. Default: `00:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Local time at which a run is stopped: the end of the window, on the next day when it is not later than `start`.
    /// Default: no end; for a periodic schedule the same time on the next day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// First local date in force; also where counting "every N" begins. Default: none, and counting begins on Monday,
    /// 5 January 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Last local date in force. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// First day of the week where weeks are counted. Default: `monday`.
    #[serde(default = "monday")]
    pub week_start: String,
}

/// On which dates a schedule is due, how often, or after what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Repeat {
    /// Never by itself: on demand.
    Manual,
    /// Every so many days.
    Daily {
        /// Range 1 to 365. Default: 1.
        #[serde(default = "one")]
        every_days: i64,
    },
    /// On some days of every so many weeks.
    Weekly {
        /// At least one day of the week. Default: all.
        #[serde(default = "all_days")]
        days: Vec<String>,
        /// Range 1 to 52. Default: 1.
        #[serde(default = "one")]
        every_weeks: i64,
    },
    /// Once in every so many months.
    Monthly {
        /// `first monday` to `fourth sunday`, `last friday`, `day 1` to `day 31`, or `last day`. A month that has no such day
        /// is due on its last one.
        on: String,
        /// Range 1 to 60. Default: 1.
        #[serde(default = "one")]
        every_months: i64,
    },
    /// Once in each of some months of every year.
    Yearly {
        /// As for [`Repeat::Monthly`].
        on: String,
        /// At least one month.
        months: Vec<String>,
    },
    /// Again and again inside the window, in elapsed time from its start.
    Periodic {
        /// Range 1 to 1,440.
        every_minutes: i64,
        /// The days on which the window opens. Default: all.
        #[serde(default = "all_days")]
        days: Vec<String>,
    },
    /// When a run of another job has ended.
    After {
        /// Id of the other job.
        job: String,
        /// How long after its end. Range 0 to 43,200, which is 30 days. Default: 0.
        #[serde(default)]
        delay_minutes: i64,
        /// After which ends: `complete`, `partial`, `failed`, `stopped`. At least one. Default: `complete`.
        #[serde(default = "complete")]
        outcomes: Vec<String>,
    },
}

impl Repeat {
    /// The word that the external form has for the kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Daily { .. } => "daily",
            Self::Weekly { .. } => "weekly",
            Self::Monthly { .. } => "monthly",
            Self::Yearly { .. } => "yearly",
            Self::Periodic { .. } => "periodic",
            Self::After { .. } => "after",
        }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn monday() -> String {
    "monday".to_owned()
}

fn one() -> i64 {
    1
}

fn all_days() -> Vec<String> {
    weekday_names(|_| true)
}

fn complete() -> Vec<String> {
    vec!["complete".to_owned()]
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

impl ScheduleForm {
    /// A form with this repetition and every other field at its default.
    #[must_use]
    pub fn new(repeat: Repeat) -> Self {
        Self {
            repeat,
            zone: utc(),
            start: None,
            end: None,
            from: None,
            until: None,
            week_start: monday(),
        }
    }

    /// On demand only.
    #[must_use]
    pub fn manual() -> Self {
        Self::new(Repeat::Manual)
    }

    /// Every day at `start`.
    #[must_use]
    pub fn daily(start: &str) -> Self {
        Self::new(Repeat::Daily { every_days: 1 }).starting(start)
    }

    /// Every week on `days` at `start`.
    #[must_use]
    pub fn weekly(days: &[&str], start: &str) -> Self {
        Self::new(Repeat::Weekly {
            days: words(days),
            every_weeks: 1,
        })
        .starting(start)
    }

    /// Every month on a day such as `last friday` or `day 15`, at `start`.
    #[must_use]
    pub fn monthly(on: &str, start: &str) -> Self {
        Self::new(Repeat::Monthly {
            on: on.to_owned(),
            every_months: 1,
        })
        .starting(start)
    }

    /// Every year in `months` on a day such as `last friday` or `day 15`, at `start`.
    #[must_use]
    pub fn yearly(on: &str, months: &[&str], start: &str) -> Self {
        Self::new(Repeat::Yearly {
            on: on.to_owned(),
            months: words(months),
        })
        .starting(start)
    }

    /// Every so many minutes, all day and every day.
    #[must_use]
    pub fn periodic(every_minutes: i64) -> Self {
        Self::new(Repeat::Periodic {
            every_minutes,
            days: all_days(),
        })
    }

    /// At once after each complete run of `job`.
    #[must_use]
    pub fn after(job: &str) -> Self {
        Self::new(Repeat::After {
            job: job.to_owned(),
            delay_minutes: 0,
            outcomes: complete(),
        })
    }

    /// Sets the local time at which the window opens.
    #[must_use]
    pub fn starting(mut self, start: &str) -> Self {
        self.start = Some(start.to_owned());
        self
    }

    /// Sets the local time at which the window ends and a run is stopped.
    #[must_use]
    pub fn ending(mut self, end: &str) -> Self {
        self.end = Some(end.to_owned());
        self
    }

    /// Sets the time zone by its IANA name.
    #[must_use]
    pub fn in_zone(mut self, zone: &str) -> Self {
        self.zone = zone.to_owned();
        self
    }

    /// Sets the first local date in force.
    #[must_use]
    pub fn effective_from(mut self, date: &str) -> Self {
        self.from = Some(date.to_owned());
        self
    }

    /// Sets the last local date in force.
    #[must_use]
    pub fn effective_until(mut self, date: &str) -> Self {
        self.until = Some(date.to_owned());
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ScheduleError`] for the first field that holds something it cannot hold, or that means nothing for this kind.
    pub fn check(self) -> Result<Schedule, ScheduleError> {
        Schedule::try_from(self)
    }

    pub(super) fn of(schedule: &Schedule) -> Self {
        let (repeat, timing) = match &schedule.kind {
            Kind::Manual => (Repeat::Manual, None),
            Kind::After(link) => (
                Repeat::After {
                    job: link.job.clone(),
                    delay_minutes: link.delay.num_minutes(),
                    outcomes: link.outcomes.names(),
                },
                None,
            ),
            Kind::Timed(timing) => (repeat_of(timing), Some(timing)),
        };
        Self {
            repeat,
            zone: schedule.calendar.zone.name().to_owned(),
            start: timing.map(|timing| timing.start.format("%H:%M").to_string()),
            end: timing.and_then(|timing| Some(timing.end?.format("%H:%M").to_string())),
            from: schedule.effective.from.map(|date| date.to_string()),
            until: schedule.effective.until.map(|date| date.to_string()),
            week_start: weekday_name(schedule.calendar.first_day_of_week),
        }
    }
}

fn repeat_of(timing: &Timing) -> Repeat {
    match (&timing.dates, timing.step) {
        (Dates::Weeks { days, .. }, Some(step)) => Repeat::Periodic {
            every_minutes: step.num_minutes(),
            days: weekday_names(|day| days.contains(day)),
        },
        (Dates::Days { every }, _) => Repeat::Daily { every_days: *every },
        (Dates::Weeks { days, every }, None) => Repeat::Weekly {
            days: weekday_names(|day| days.contains(day)),
            every_weeks: *every,
        },
        (Dates::Months { on, months }, _) => match months {
            Months::Every(every) => Repeat::Monthly {
                on: on.to_string(),
                every_months: *every,
            },
            Months::Named(set) => Repeat::Yearly {
                on: on.to_string(),
                months: month_names(*set),
            },
        },
    }
}
