//! The schedules of one job, taken together.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Occurrence, Schedule, ScheduleError};

/// Most schedules that one job may have.
pub const MAX_SCHEDULES: usize = 32;

/// The schedules of one job. A moment that several of them name is one occurrence, with the latest of their ends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Schedule>", into = "Vec<Schedule>")]
pub struct Timetable {
    schedules: Vec<Schedule>,
}

impl Timetable {
    /// Takes these schedules together; none at all is the same as on demand.
    ///
    /// # Errors
    /// [`ScheduleError::Refused`] for more than [`MAX_SCHEDULES`].
    pub fn new(schedules: Vec<Schedule>) -> Result<Self, ScheduleError> {
        if schedules.len() > MAX_SCHEDULES {
            let count = format!("{} schedules", schedules.len());
            return Err(ScheduleError::refused(
                "schedules",
                count,
                format!("at most {MAX_SCHEDULES}"),
            ));
        }
        Ok(Self { schedules })
    }

    /// The schedules, in the order given.
    #[must_use]
    pub fn schedules(&self) -> &[Schedule] {
        &self.schedules
    }

    /// The first occurrence of any schedule that starts after `moment`.
    #[must_use]
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<Occurrence> {
        let all = self.schedules.iter();
        all.filter_map(|schedule| schedule.next_after(moment))
            .reduce(|a, b| {
                if a.start == b.start {
                    merged(a, b)
                } else if b.start < a.start {
                    b
                } else {
                    a
                }
            })
    }

    /// The last occurrence that starts at or before `moment` and that `wanted` accepts, of those that are the last of their schedule.
    pub(crate) fn last_until(
        &self,
        moment: DateTime<Utc>,
        wanted: impl Fn(&Occurrence) -> bool,
    ) -> Option<Occurrence> {
        let all = self.schedules.iter();
        all.filter_map(|schedule| schedule.last_until(moment))
            .filter(|occurrence| wanted(occurrence))
            .reduce(|a, b| {
                if a.start == b.start {
                    merged(a, b)
                } else if b.start > a.start {
                    b
                } else {
                    a
                }
            })
    }

    /// Every occurrence that starts after `moment`, in order, each start once.
    pub fn occurrences(&self, moment: DateTime<Utc>) -> impl Iterator<Item = Occurrence> + '_ {
        std::iter::successors(self.next_after(moment), |last| self.next_after(last.start))
    }

    /// How many starts of single schedules lie after `after` and not later than `until`.
    #[must_use]
    pub fn count(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> u64 {
        self.schedules
            .iter()
            .map(|schedule| schedule.count(after, until))
            .sum()
    }
}

/// One occurrence for two that start together.
fn merged(a: Occurrence, b: Occurrence) -> Occurrence {
    Occurrence {
        end: a.end.and_then(|a| b.end.map(|b| a.max(b))),
        ..a
    }
}

impl TryFrom<Vec<Schedule>> for Timetable {
    type Error = ScheduleError;

    fn try_from(schedules: Vec<Schedule>) -> Result<Self, ScheduleError> {
        Self::new(schedules)
    }
}

impl From<Timetable> for Vec<Schedule> {
    fn from(timetable: Timetable) -> Self {
        timetable.schedules
    }
}
