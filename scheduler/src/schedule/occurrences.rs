//! The moments at which a schedule is due.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{FIRST_DATE, FIRST_MONDAY, Kind, LAST_DATE, Schedule, Timing};

/// One moment at which a job is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Occurrence {
    /// When the job starts.
    pub start: DateTime<Utc>,
    /// When a run that started then is stopped; `None` lets it finish. Always later than `start`.
    pub end: Option<DateTime<Utc>>,
    /// The local date that it belongs to: that of the window's opening, by name, even when clocks skip that date.
    pub date: NaiveDate,
    /// True when its local time does not exist on that date, so that it starts at the first moment after the gap.
    pub moved: bool,
}

impl Occurrence {
    /// True when a run may begin at `now`: not before the start, and before the end of the window.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        now >= self.start && self.end.is_none_or(|end| now < end)
    }
}

/// How many dates beyond the local one may decide about a moment: a window of a day that crosses midnight, and a date that
/// clocks skip, with one to spare.
const REACH: Days = Days::new(3);

/// What is due on one date.
struct Slot {
    first: DateTime<Utc>,
    /// Starts of the date: one, or as many as a periodic schedule has; `step` apart.
    count: i64,
    step: TimeDelta,
    end: Option<DateTime<Utc>>,
    date: NaiveDate,
    moved: bool,
}

impl Slot {
    fn start(&self, index: i64) -> DateTime<Utc> {
        // Fewer than 1,440 steps inside about a day.
        self.first + TimeDelta::seconds(self.step.num_seconds() * index)
    }

    fn occurrence(&self, index: i64) -> Occurrence {
        Occurrence {
            start: self.start(index),
            end: self.end,
            date: self.date,
            moved: self.moved && index == 0,
        }
    }

    /// How many of its starts are at or before `moment`.
    fn until(&self, moment: DateTime<Utc>) -> i64 {
        if moment < self.first {
            return 0;
        }
        let passed = (moment - self.first).num_seconds();
        let steps = passed.checked_div(self.step.num_seconds()).unwrap_or(0);
        steps.saturating_add(1).min(self.count)
    }
}

impl Schedule {
    /// The first occurrence that starts after `moment`.
    ///
    /// `None` when there is none: on demand, chained, or no longer in force.
    #[must_use]
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<Occurrence> {
        self.occurrences(moment).next()
    }

    /// The last occurrence that starts at or before `moment`.
    #[must_use]
    pub fn last_until(&self, moment: DateTime<Utc>) -> Option<Occurrence> {
        let timing = self.timing()?;
        let mut date = (self.near(moment) + REACH).min(self.effective.last());
        while date >= self.effective.first() {
            if self.selects(timing, date)
                && let Some(slot) = self.slot(timing, date)
                && slot.first <= moment
            {
                // Where two dates give one moment, the first of them is the one that counts.
                let start = slot.start(slot.until(moment) - 1);
                return self.next_after(start - TimeDelta::nanoseconds(1));
            }
            date = date.pred_opt()?;
        }
        None
    }

    /// Every occurrence that starts after `moment`, in order, each start once.
    pub fn occurrences(&self, moment: DateTime<Utc>) -> impl Iterator<Item = Occurrence> + '_ {
        let mut last = moment;
        self.slots(moment)
            .flat_map(move |slot| (slot.until(moment)..slot.count).map(move |index| slot.occurrence(index)))
            // Where clocks skip a whole day, two dates may give one moment.
            .filter(move |occurrence| {
                let fresh = occurrence.start > last;
                last = last.max(occurrence.start);
                fresh
            })
    }

    /// The occurrences that start at `from` or later and before `to`.
    pub fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = Occurrence> + '_ {
        // Starts are whole seconds, so nothing lies in the nanosecond.
        let before = from.checked_sub_signed(TimeDelta::nanoseconds(1)).unwrap_or(from);
        self.occurrences(before)
            .take_while(move |occurrence| occurrence.start < to)
    }

    /// How many occurrences start after `after` and not later than `until`, without walking through those of a day.
    ///
    /// Takes time in proportion to the number of days between them.
    #[must_use]
    pub fn count(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> u64 {
        let mut counted = after;
        let mut total = 0;
        for slot in self.slots(after).take_while(|slot| slot.first <= until) {
            let fresh = (slot.until(until) - slot.until(counted)).max(0);
            if fresh > 0 {
                counted = slot.start(slot.until(until) - 1);
            }
            total += fresh.unsigned_abs();
        }
        total
    }

    /// What is due on each date, from a little before `moment` on.
    fn slots(&self, moment: DateTime<Utc>) -> impl Iterator<Item = Slot> + '_ {
        let first = (self.near(moment) - REACH).max(self.effective.first());
        self.timing().into_iter().flat_map(move |timing| {
            first
                .iter_days()
                .take_while(|date| *date <= self.effective.last())
                .filter(|date| self.selects(timing, *date))
                .filter_map(|date| self.slot(timing, date))
        })
    }

    fn timing(&self) -> Option<&Timing> {
        match &self.kind {
            Kind::Timed(timing) => Some(timing),
            _ => None,
        }
    }

    /// The local date at `moment`, within the dates on which anything can be due, and a little around them.
    fn near(&self, moment: DateTime<Utc>) -> NaiveDate {
        let (least, most) = (FIRST_DATE - REACH - REACH, LAST_DATE + REACH + REACH);
        let outside = if moment.timestamp() < 0 { least } else { most };
        self.calendar.date(moment).unwrap_or(outside).clamp(least, most)
    }

    fn selects(&self, timing: &Timing, date: NaiveDate) -> bool {
        let anchor = self.effective.from.unwrap_or(FIRST_MONDAY);
        timing
            .dates
            .contains(date, anchor, self.calendar.first_day_of_week)
    }

    /// What is due on `date`, which the rule selects.
    fn slot(&self, timing: &Timing, date: NaiveDate) -> Option<Slot> {
        let opens = date.and_time(timing.start);
        let first = self.calendar.moment(opens)?;
        // A window of a whole day ends where the next one begins.
        let end = timing.end.unwrap_or(timing.start);
        let closing_date = if end > timing.start {
            date
        } else {
            date.succ_opt()?
        };
        let closes = closing_date.and_time(end);
        let closed = self.calendar.moment(closes)?;
        let (count, step) = match timing.step {
            None => (1, TimeDelta::zero()),
            // A window that clocks skip altogether is due once, like any time that is skipped.
            Some(step) => {
                let seconds = (closed - first).num_seconds() + step.num_seconds() - 1;
                ((seconds / step.num_seconds()).max(1), step)
            }
        };
        Some(Slot {
            first,
            count,
            step,
            // Such a window keeps its length, or a run would be stopped as it starts.
            end: timing.end.or(timing.step.map(|_| end)).map(|_| {
                if closed > first {
                    closed
                } else {
                    first + (closes - opens)
                }
            }),
            date,
            moved: self.calendar.local(first)? != opens,
        })
    }
}
