//! On which days a series takes place: the six patterns and three ranges of Graph, day by day.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use serde_json::Value;

/// Days after which nobody looks for another occurrence.
const MAX_DAYS: u64 = 366 * 100;

/// A pattern and its range, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recurrence {
    pattern: Pattern,
    interval: i64,
    pub start: NaiveDate,
    end: Option<NaiveDate>,
    count: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Daily,
    Weekly {
        days: Vec<Weekday>,
        first: Weekday,
    },
    Monthly {
        month: Option<u32>,
        day: u32,
    },
    Relative {
        month: Option<u32>,
        days: Vec<Weekday>,
        index: usize,
    },
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name.to_lowercase().as_str() {
        "monday" => Weekday::Mon,
        "tuesday" => Weekday::Tue,
        "wednesday" => Weekday::Wed,
        "thursday" => Weekday::Thu,
        "friday" => Weekday::Fri,
        "saturday" => Weekday::Sat,
        "sunday" => Weekday::Sun,
        _ => return None,
    })
}

impl Recurrence {
    /// Reads `patternedRecurrence`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        let (pattern, range) = (&value["pattern"], &value["range"]);
        let number = |name: &str| pattern[name].as_u64().unwrap_or(0) as u32;
        let date = |name: &str| {
            range[name]
                .as_str()
                .and_then(|text| text.parse::<NaiveDate>().ok())
        };
        let days: Option<Vec<Weekday>> = match pattern["daysOfWeek"].as_array() {
            Some(list) => list.iter().map(|day| weekday(day.as_str()?)).collect(),
            None => Some(Vec::new()),
        };
        let days = days.ok_or("daysOfWeek has an unknown day")?;
        let kind = pattern["type"].as_str().unwrap_or_default().to_lowercase();
        let month = Some(number("month")).filter(|_| kind.ends_with("yearly"));
        if month.is_some_and(|month| !(1..=12).contains(&month)) {
            return Err("month has to be 1 to 12".to_owned());
        }
        let pattern = match kind.as_str() {
            "daily" => Pattern::Daily,
            "weekly" if !days.is_empty() => Pattern::Weekly {
                days,
                first: pattern["firstDayOfWeek"]
                    .as_str()
                    .and_then(weekday)
                    .unwrap_or(Weekday::Sun),
            },
            "absolutemonthly" | "absoluteyearly" if (1..=31).contains(&number("dayOfMonth")) => {
                Pattern::Monthly {
                    month,
                    day: number("dayOfMonth"),
                }
            }
            "relativemonthly" | "relativeyearly" if !days.is_empty() => {
                let names = ["first", "second", "third", "fourth", "last"];
                let index = pattern["index"].as_str().unwrap_or("first").to_lowercase();
                let index = names.iter().position(|name| *name == index);
                Pattern::Relative {
                    month,
                    days,
                    index: index.ok_or("index is unknown")?,
                }
            }
            _ => return Err(format!("the pattern '{kind}' is unknown or lacks what it needs")),
        };
        let interval = i64::from(value["pattern"]["interval"].as_u64().unwrap_or(0) as u32);
        if interval < 1 {
            return Err("interval has to be at least 1".to_owned());
        }
        let start = date("startDate").ok_or("range.startDate is missing")?;
        let (end, count) = match range["type"].as_str().unwrap_or_default().to_lowercase().as_str() {
            "noend" => (None, None),
            "enddate" => (Some(date("endDate").ok_or("range.endDate is missing")?), None),
            "numbered" => {
                let count = range["numberOfOccurrences"].as_u64().filter(|count| *count > 0);
                (
                    None,
                    Some(count.ok_or("range.numberOfOccurrences has to be at least 1")?),
                )
            }
            other => return Err(format!("the range '{other}' is unknown")),
        };
        Ok(Self {
            pattern,
            interval,
            start,
            end,
            count,
        })
    }

    /// The days of the series up to `until`.
    pub(crate) fn days(&self, until: NaiveDate) -> Vec<NaiveDate> {
        let last = self.end.map_or(until, |end| end.min(until));
        let mut out = Vec::new();
        let all = (0..MAX_DAYS).filter_map(|n| self.start.checked_add_days(Days::new(n)));
        for day in all.take_while(|day| *day <= last) {
            if self.count.is_some_and(|count| out.len() as u64 >= count) {
                break;
            }
            if self.takes_place(day) {
                out.push(day);
            }
        }
        out
    }

    fn takes_place(&self, day: NaiveDate) -> bool {
        let months = |day: NaiveDate| i64::from(day.year()) * 12 + i64::from(day.month0());
        let passed = months(day) - months(self.start);
        match &self.pattern {
            Pattern::Daily => (day - self.start).num_days() % self.interval == 0,
            Pattern::Weekly { days, first } => {
                let weeks =
                    (day.week(*first).first_day() - self.start.week(*first).first_day()).num_days() / 7;
                days.contains(&day.weekday()) && weeks % self.interval == 0
            }
            Pattern::Monthly { month, day: number } => {
                self.in_month(day, *month, passed) && day.day() == (*number).min(length(day))
            }
            Pattern::Relative { month, days, index } => {
                self.in_month(day, *month, passed) && relative(day, days, *index)
            }
        }
    }

    fn in_month(&self, day: NaiveDate, month: Option<u32>, passed: i64) -> bool {
        match month {
            Some(month) => {
                day.month() == month && i64::from(day.year() - self.start.year()) % self.interval == 0
            }
            None => passed % self.interval == 0,
        }
    }
}

/// Days of the month.
fn length(day: NaiveDate) -> u32 {
    (28..=31).rev().find(|n| day.with_day(*n).is_some()).unwrap_or(28)
}

/// Whether a day is the first, second ... or last of its month that falls on one of `days`.
fn relative(day: NaiveDate, days: &[Weekday], index: usize) -> bool {
    let fitting: Vec<u32> = (1..=length(day))
        .filter(|n| day.with_day(*n).is_some_and(|day| days.contains(&day.weekday())))
        .collect();
    let wanted = if index == 4 {
        fitting.last()
    } else {
        fitting.get(index)
    };
    wanted == Some(&day.day())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn days(pattern: Value, range: Value) -> Vec<String> {
        let recurrence =
            Recurrence::parse(&json!({"pattern": pattern, "range": range})).unwrap_or_else(|e| panic!("{e}"));
        let until = NaiveDate::from_ymd_opt(2030, 1, 1).unwrap_or_default();
        recurrence.days(until).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_pattern() {
        let numbered =
            |start: &str, n: u32| json!({"type": "numbered", "startDate": start, "numberOfOccurrences": n});
        assert_eq!(
            days(
                json!({"type": "daily", "interval": 10}),
                json!({"type": "endDate", "startDate": "2026-02-20", "endDate": "2026-03-12"})
            ),
            ["2026-02-20", "2026-03-02", "2026-03-12"]
        );
        assert_eq!(
            days(
                json!({"type": "weekly", "interval": 2, "daysOfWeek": ["monday", "friday"], "firstDayOfWeek": "monday"}),
                numbered("2026-01-09", 3)
            ),
            ["2026-01-09", "2026-01-19", "2026-01-23"]
        );
        assert_eq!(
            days(
                json!({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31}),
                numbered("2026-01-31", 3)
            ),
            ["2026-01-31", "2026-02-28", "2026-03-31"]
        );
        assert_eq!(
            days(
                json!({"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["tuesday"], "index": "last"}),
                numbered("2026-01-01", 2)
            ),
            ["2026-01-27", "2026-02-24"]
        );
        assert_eq!(
            days(
                json!({"type": "absoluteYearly", "interval": 1, "dayOfMonth": 29, "month": 2}),
                numbered("2026-01-01", 3)
            ),
            ["2026-02-28", "2027-02-28", "2028-02-29"]
        );
        assert_eq!(
            days(
                json!({"type": "relativeYearly", "interval": 2, "daysOfWeek": ["monday"], "index": "first", "month": 9}),
                numbered("2026-01-01", 2)
            ),
            ["2026-09-07", "2028-09-04"]
        );
        assert!(
            Recurrence::parse(&json!({"pattern": {"type": "weekly", "interval": 1}, "range": {}})).is_err()
        );
    }
}
