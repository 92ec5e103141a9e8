//! From the external form to a checked schedule: every refusal names the field, its value and what is allowed.

use std::str::FromStr;

use chrono::{Month, NaiveDate, NaiveTime, TimeDelta, Weekday, WeekdaySet};
use chrono_tz::Tz;

use super::dates::{Dates, DayOfMonth, Months};
use super::{Effective, FIRST_DATE, Kind, LAST_DATE, Repeat, Schedule, ScheduleError, ScheduleForm, Timing};
use crate::calendar::Calendar;
use crate::chain::Link;

const WEEKDAY: &str = "a day of the week, monday to sunday";

type Result<T> = std::result::Result<T, ScheduleError>;

pub(super) fn schedule(form: &ScheduleForm) -> Result<Schedule> {
    Ok(Schedule {
        calendar: Calendar {
            zone: zone(&form.zone)?,
            first_day_of_week: word("week_start", &form.week_start, WEEKDAY)?,
        },
        effective: effective(form)?,
        kind: kind(form)?,
    })
}

fn kind(form: &ScheduleForm) -> Result<Kind> {
    let (dates, step) = match &form.repeat {
        Repeat::Manual => {
            for (field, set) in [("from", form.from.is_some()), ("until", form.until.is_some())] {
                unused(field, set, form)?;
            }
            without_window(form)?;
            return Ok(Kind::Manual);
        }
        Repeat::After {
            job,
            delay_minutes,
            outcomes,
        } => {
            without_window(form)?;
            return Link::read(job, *delay_minutes, outcomes).map(Kind::After);
        }
        Repeat::Periodic { every_minutes, days } => {
            let minutes = number("repeat.every_minutes", *every_minutes, 1440)?;
            let days = weekdays(days)?;
            (Dates::Weeks { days, every: 1 }, Some(TimeDelta::minutes(minutes)))
        }
        calendar => (dates(calendar)?, None),
    };
    Ok(Kind::Timed(Timing {
        dates,
        start: form
            .start
            .as_deref()
            .map_or(Ok(NaiveTime::MIN), |text| time("start", text))?,
        end: form.end.as_deref().map(|text| time("end", text)).transpose()?,
        step,
    }))
}

fn dates(repeat: &Repeat) -> Result<Dates> {
    Ok(match repeat {
        Repeat::Weekly { days, every_weeks } => Dates::Weeks {
            days: weekdays(days)?,
            every: number("repeat.every_weeks", *every_weeks, 52)?,
        },
        Repeat::Monthly { on, every_months } => Dates::Months {
            on: day_of_month(on)?,
            months: Months::Every(number("repeat.every_months", *every_months, 60)?),
        },
        Repeat::Yearly { on, months } => Dates::Months {
            on: day_of_month(on)?,
            months: Months::Named(month_set(months)?),
        },
        Repeat::Daily { every_days } => Dates::Days {
            every: number("repeat.every_days", *every_days, 365)?,
        },
        Repeat::Manual | Repeat::After { .. } | Repeat::Periodic { .. } => Dates::Days { every: 1 },
    })
}

fn without_window(form: &ScheduleForm) -> Result<()> {
    unused("start", form.start.is_some(), form)?;
    unused("end", form.end.is_some(), form)
}

fn unused(field: &'static str, set: bool, form: &ScheduleForm) -> Result<()> {
    if set {
        let kind = form.repeat.kind();
        return Err(ScheduleError::NotUsed { field, kind });
    }
    Ok(())
}

fn zone(text: &str) -> Result<Tz> {
    text.parse()
        .map_err(|_| ScheduleError::refused("zone", text, "an IANA time zone such as Europe/Berlin or UTC"))
}

fn effective(form: &ScheduleForm) -> Result<Effective> {
    let read = |field, text: &Option<String>| text.as_deref().map(|text| date(field, text)).transpose();
    let (from, until) = (read("from", &form.from)?, read("until", &form.until)?);
    match (from, until) {
        (Some(from), Some(until)) if until < from => Err(ScheduleError::refused(
            "until",
            until,
            format!("a date not before from = {from}"),
        )),
        _ => Ok(Effective { from, until }),
    }
}

/// Exactly `YYYY-MM-DD`; chrono alone would also take signs, spaces and fewer digits.
fn date(field: &'static str, text: &str) -> Result<NaiveDate> {
    Some(text)
        .filter(|text| has_shape(text, b"0000-00-00"))
        .and_then(|text| text.parse().ok())
        .filter(|date| (FIRST_DATE..=LAST_DATE).contains(date))
        .ok_or_else(|| {
            ScheduleError::refused(
                field,
                text,
                format!("a date from {FIRST_DATE} to {LAST_DATE} as YYYY-MM-DD"),
            )
        })
}

/// Exactly `HH:MM`.
fn time(field: &'static str, text: &str) -> Result<NaiveTime> {
    Some(text)
        .filter(|text| has_shape(text, b"00:00"))
        .and_then(|text| NaiveTime::parse_from_str(text, "%H:%M").ok())
        .ok_or_else(|| ScheduleError::refused(field, text, "a time from 00:00 to 23:59 as HH:MM"))
}

/// True when `text` has a digit wherever `shape` has one, and otherwise the same characters.
fn has_shape(text: &str, shape: &[u8]) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape).all(|(is, &wanted)| {
            if wanted == b'0' {
                is.is_ascii_digit()
            } else {
                is == wanted
            }
        })
}

/// A number from 1 to `most`.
fn number(field: &'static str, value: i64, most: i64) -> Result<i64> {
    in_range(field, value, 1, most)
}

/// A number from `least` to `most`.
pub(crate) fn in_range(field: &'static str, value: i64, least: i64, most: i64) -> Result<i64> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(ScheduleError::refused(field, value, format!("{least} to {most}")))
}

fn word<T: FromStr>(field: &'static str, text: &str, allowed: &str) -> Result<T> {
    text.parse()
        .map_err(|_| ScheduleError::refused(field, text, allowed))
}

/// At least one word, each of which means something.
pub(crate) fn some<'a>(field: &'static str, words: &'a [String], allowed: &str) -> Result<&'a [String]> {
    if words.is_empty() {
        return Err(ScheduleError::refused(
            field,
            "[]",
            format!("at least one of: {allowed}"),
        ));
    }
    Ok(words)
}

fn weekdays(names: &[String]) -> Result<WeekdaySet> {
    let field = "repeat.days";
    let mut set = WeekdaySet::EMPTY;
    for name in some(field, names, WEEKDAY)? {
        set.insert(word::<Weekday>(field, name, WEEKDAY)?);
    }
    Ok(set)
}

fn month_set(names: &[String]) -> Result<u16> {
    let (field, allowed) = ("repeat.months", "a month, january to december");
    let mut set = 0;
    for name in some(field, names, allowed)? {
        let month: Month = word(field, name, allowed)?;
        set |= 1 << (month.number_from_month() - 1);
    }
    Ok(set)
}

fn day_of_month(text: &str) -> Result<DayOfMonth> {
    DayOfMonth::parse(text).ok_or_else(|| {
        ScheduleError::refused(
            "repeat.on",
            text,
            "first, second, third, fourth or last with a day of the week, day 1 to day 31, or last day",
        )
    })
}
