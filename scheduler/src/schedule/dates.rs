//! Which local dates a schedule selects: a question about dates alone, without times or zones.

use std::fmt;

use chrono::{Datelike, Month, NaiveDate, Weekday, WeekdaySet};

const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

/// The rule for dates. Numbers are in the ranges of the external form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dates {
    Days { every: i64 },
    Weeks { days: WeekdaySet, every: i64 },
    Months { on: DayOfMonth, months: Months },
}

/// Which months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Months {
    Every(i64),
    /// Bit 0 is January.
    Named(u16),
}

/// Which day of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayOfMonth {
    /// The first to fourth such weekday: 1 to 4.
    Nth(u32, Weekday),
    Last(Weekday),
    /// This day, or the last one of a shorter month: 1 to 31.
    Day(u32),
    LastDay,
}

impl Dates {
    /// True when the rule selects `date`, counting from `anchor` in weeks that begin on `week_start`.
    pub(super) fn contains(&self, date: NaiveDate, anchor: NaiveDate, week_start: Weekday) -> bool {
        match self {
            Self::Days { every } => (date - anchor).num_days().rem_euclid(*every) == 0,
            Self::Weeks { days, every } => {
                let weeks = (week(date, week_start) - week(anchor, week_start)).num_weeks();
                days.contains(date.weekday()) && weeks.rem_euclid(*every) == 0
            }
            Self::Months { on, months } => {
                let selected = match months {
                    Months::Every(every) => {
                        (month_number(date) - month_number(anchor)).rem_euclid(*every) == 0
                    }
                    Months::Named(set) => set & (1 << date.month0()) != 0,
                };
                selected && on.is(date)
            }
        }
    }
}

/// The first day of the week that `date` lies in. Dates lie far from the ends of the calendar.
fn week(date: NaiveDate, week_start: Weekday) -> NaiveDate {
    date.week(week_start).checked_first_day().unwrap_or(date)
}

fn month_number(date: NaiveDate) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

impl DayOfMonth {
    fn is(self, date: NaiveDate) -> bool {
        let length = u32::from(date.num_days_in_month());
        match self {
            Self::Nth(n, weekday) => date.weekday() == weekday && date.day().div_ceil(7) == n,
            Self::Last(weekday) => date.weekday() == weekday && date.day() + 7 > length,
            Self::Day(day) => date.day() == day.min(length),
            Self::LastDay => date.day() == length,
        }
    }

    /// Reads `first monday`, `last friday`, `day 15` and `last day`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (which, what) = lower.split_once(' ')?;
        match (which, what) {
            ("last", "day") => Some(Self::LastDay),
            ("day", number) => number
                .parse()
                .ok()
                .filter(|day| (1..=31).contains(day))
                .map(Self::Day),
            ("last", weekday) => Some(Self::Last(weekday.parse().ok()?)),
            (nth, weekday) => {
                let n = ORDINALS.iter().zip(1..).find(|(word, _)| **word == nth)?.1;
                Some(Self::Nth(n, weekday.parse().ok()?))
            }
        }
    }
}

const ORDINALS: [&str; 4] = ["first", "second", "third", "fourth"];

impl fmt::Display for DayOfMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nth(n, weekday) => {
                let word = ORDINALS.iter().zip(1..).find(|(_, i)| i == n);
                write!(
                    f,
                    "{} {}",
                    word.map_or("first", |(word, _)| word),
                    weekday_name(*weekday)
                )
            }
            Self::Last(weekday) => write!(f, "last {}", weekday_name(*weekday)),
            Self::Day(day) => write!(f, "day {day}"),
            Self::LastDay => f.write_str("last day"),
        }
    }
}

/// The English name, lower case.
pub(super) fn weekday_name(day: Weekday) -> String {
    match day {
        Weekday::Mon => "monday",
        Weekday::Tue => "tuesday",
        Weekday::Wed => "wednesday",
        Weekday::Thu => "thursday",
        Weekday::Fri => "friday",
        Weekday::Sat => "saturday",
        Weekday::Sun => "sunday",
    }
    .to_owned()
}

/// Names of the days that are `wanted`, Monday first.
pub(super) fn weekday_names(wanted: impl Fn(Weekday) -> bool) -> Vec<String> {
    WEEK.into_iter()
        .filter(|&day| wanted(day))
        .map(weekday_name)
        .collect()
}

/// Names of the months in `set`, January first.
pub(super) fn month_names(set: u16) -> Vec<String> {
    (0..12u8)
        .filter(|month| set & (1 << month) != 0)
        .filter_map(|month| Month::try_from(month + 1).ok())
        .map(|month| month.name().to_ascii_lowercase())
        .collect()
}
