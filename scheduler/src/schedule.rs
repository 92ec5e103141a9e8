//! Schedules as data, and the moments at which they are due.
//!
//! A [`ScheduleForm`] is what people write and files hold; [`Schedule`] is one that was checked, so whatever has this type can
//! be asked for its [`Occurrence`]s and never fails. Several of them together are a job's [`Timetable`].
//!
//! One rule covers every change of clocks: an occurrence starts at **the first moment at which the local clock shows its time
//! or later**. A time that is skipped is therefore the first valid moment after the gap, and one that comes twice is its first.
//! Inside a window, a periodic schedule counts elapsed time. The guide `docs/schedules.md` has the whole table, with examples.

mod dates;
mod error;
mod form;
mod occurrences;
mod read;
mod timetable;

pub(crate) use read::{in_range, some};

pub use error::ScheduleError;
pub use form::{Repeat, ScheduleForm};
pub use occurrences::Occurrence;
pub use timetable::{MAX_SCHEDULES, Timetable};

use chrono::{NaiveDate, NaiveTime, TimeDelta};
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::chain::Link;
use dates::Dates;

/// First date on which anything can be due.
const FIRST_DATE: NaiveDate = date(1970, 1, 1);
/// From where "every N" counts when no `from` is given.
const FIRST_MONDAY: NaiveDate = date(1970, 1, 5);
/// Last date on which anything can be due.
const LAST_DATE: NaiveDate = date(9999, 12, 31);

const fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => NaiveDate::MIN,
    }
}

/// A schedule that was checked. Made from a [`ScheduleForm`], and stored as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleForm", into = "ScheduleForm")]
pub struct Schedule {
    calendar: Calendar,
    effective: Effective,
    kind: Kind,
}

/// The local dates, both included, between which a schedule is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Effective {
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
}

impl Effective {
    fn first(&self) -> NaiveDate {
        self.from.unwrap_or(FIRST_DATE)
    }

    fn last(&self) -> NaiveDate {
        self.until.unwrap_or(LAST_DATE)
    }

    fn contains(&self, date: NaiveDate) -> bool {
        (self.first()..=self.last()).contains(&date)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Manual,
    Timed(Timing),
    After(Link),
}

/// When a schedule that goes by the clock is due.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Timing {
    dates: Dates,
    start: NaiveTime,
    end: Option<NaiveTime>,
    /// Repeated so often inside the window; `None` is once a day.
    step: Option<TimeDelta>,
}

impl Schedule {
    /// True when the schedule starts nothing by itself.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        self.kind == Kind::Manual
    }

    /// The job after which this one runs, for a schedule of that kind.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        match &self.kind {
            Kind::After(link) => Some(link),
            _ => None,
        }
    }

    /// The time zone and the first day of the week that the schedule goes by.
    #[must_use]
    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    /// True when the local date at `moment` lies within the dates between which the schedule is in force.
    #[must_use]
    pub fn is_effective(&self, moment: chrono::DateTime<chrono::Utc>) -> bool {
        self.calendar
            .date(moment)
            .is_some_and(|date| self.effective.contains(date))
    }

    /// The schedule as data, every word in its usual spelling.
    #[must_use]
    pub fn form(&self) -> ScheduleForm {
        ScheduleForm::of(self)
    }
}

impl TryFrom<ScheduleForm> for Schedule {
    type Error = ScheduleError;

    fn try_from(form: ScheduleForm) -> Result<Self, ScheduleError> {
        read::schedule(&form)
    }
}

impl From<Schedule> for ScheduleForm {
    fn from(schedule: Schedule) -> Self {
        schedule.form()
    }
}
