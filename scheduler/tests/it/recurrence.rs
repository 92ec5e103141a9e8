//! The `rrule` library as a second opinion: the same dates by the rules of iCalendar.

use nakivo_scheduler::chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use nakivo_scheduler::chrono_tz::Tz;
use nakivo_scheduler::schedule::{Occurrence, Repeat, Schedule, ScheduleForm};
use rrule::RRuleSet;

use crate::support::{Random, checked, full, random_calendar_repeat, random_time, zones};

fn short(name: &str) -> String {
    name[..2].to_uppercase()
}

fn shorts(names: &[String]) -> String {
    names.iter().map(|name| short(name)).collect::<Vec<_>>().join(",")
}

/// The part of a rule that picks a day of the month.
fn by_day(on: &str) -> String {
    let (which, what) = on.split_once(' ').unwrap();
    let nth = ["first", "second", "third", "fourth"]
        .iter()
        .position(|word| *word == which);
    match (which, what) {
        ("last", "day") => "BYMONTHDAY=-1".to_owned(),
        ("last", weekday) => format!("BYDAY=-1{}", short(weekday)),
        // iCalendar leaves shorter months out. The last of "the 28th to the 31st that exist" is our day 31.
        ("day", number) if number.parse::<u32>().unwrap() > 28 => {
            let days: Vec<String> = (28..=number.parse().unwrap())
                .map(|day: u32| day.to_string())
                .collect();
            format!("BYMONTHDAY={};BYSETPOS=-1", days.join(","))
        }
        ("day", number) => format!("BYMONTHDAY={number}"),
        (_, weekday) => format!("BYDAY=+{}{}", nth.unwrap() + 1, short(weekday)),
    }
}

fn rule(form: &ScheduleForm) -> String {
    let week_start = short(&form.week_start);
    match &form.repeat {
        Repeat::Daily { every_days } => format!("FREQ=DAILY;INTERVAL={every_days}"),
        Repeat::Weekly { days, every_weeks } => {
            format!(
                "FREQ=WEEKLY;INTERVAL={every_weeks};WKST={week_start};BYDAY={}",
                shorts(days)
            )
        }
        Repeat::Monthly { on, every_months } => {
            format!("FREQ=MONTHLY;INTERVAL={every_months};{}", by_day(on))
        }
        Repeat::Yearly { on, months } => {
            let numbers: Vec<String> = (1..)
                .zip(crate::support::MONTHS)
                .filter(|(_, name)| months.iter().any(|month| month == name))
                .map(|(number, _): (u32, _)| number.to_string())
                .collect();
            format!("FREQ=MONTHLY;BYMONTH={};{}", numbers.join(","), by_day(on))
        }
        other => panic!("{other:?} has no rule"),
    }
}

#[test]
fn another_library_names_the_same_dates_and_moments() {
    let mut random = Random::new("recurrence", 5);
    let rounds = if full() { 4 } else { 1 };
    let mut compared = 0;
    for zone in (0..rounds)
        .flat_map(|_| zones(&mut random, 60))
        .collect::<Vec<Tz>>()
    {
        let from = NaiveDate::from_ymd_opt(1975, 1, 1).unwrap() + TimeDelta::days(random.below(18_000));
        let until = from + TimeDelta::days(10 * 365);
        let mut form = ScheduleForm::new(random_calendar_repeat(&mut random))
            .in_zone(zone.name())
            .starting(&random_time(&mut random))
            .effective_from(&from.to_string())
            .effective_until(&until.to_string());
        form.week_start = random.pick(&crate::support::DAYS).to_owned();

        let start = form.start.as_deref().unwrap().replace(':', "");
        // Dates alone are compared through UTC, where every time exists.
        let text = format!(
            "DTSTART:{}T{start}00Z\nRRULE:{}",
            from.format("%Y%m%d"),
            rule(&form)
        );
        let theirs: RRuleSet = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let theirs: Vec<NaiveDate> = theirs
            .into_iter()
            .map(|moment| moment.with_timezone(&Utc).date_naive())
            .take_while(|date| *date <= until)
            .collect();
        let ours = checked(form.clone());
        let utc = checked(ScheduleForm {
            zone: "UTC".to_owned(),
            ..form.clone()
        });
        let dates: Vec<NaiveDate> = utc
            .occurrences(DateTime::UNIX_EPOCH)
            .map(|occurrence| occurrence.date)
            .collect();
        assert_eq!(dates, theirs, "{form:?}\n{text}");
        compared += dates.len() + moments(&form, &ours, from, &rule(&form));
    }
    println!("counts: recurrence occurrences={compared}");
    assert!(compared > 10_000);
}

/// In the zone itself, on the days on which the time exists once: the libraries differ about those that clocks skip or show
/// twice, and what we do then is checked by the century.
fn moments(form: &ScheduleForm, ours: &Schedule, from: NaiveDate, rule: &str) -> usize {
    let start = form.start.as_deref().unwrap().replace(':', "");
    let text = format!(
        "DTSTART;TZID={}:{}T{start}00\nRRULE:{rule}",
        form.zone,
        from.format("%Y%m%d")
    );
    // A first moment that does not exist is refused there.
    let Ok(theirs) = text.parse::<RRuleSet>() else {
        return 0;
    };
    let ours: Vec<_> = ours.occurrences(DateTime::UNIX_EPOCH).collect();
    let Some(last) = ours.last() else { return 0 };
    let theirs: std::collections::BTreeSet<_> = theirs
        .into_iter()
        .map(|moment| moment.with_timezone(&Utc))
        .take_while(|moment| *moment <= last.start)
        .collect();
    let zone = form.zone.parse::<Tz>().unwrap();
    let once = |occurrence: &Occurrence| {
        let local = occurrence.start.with_timezone(&zone).naive_local();
        !occurrence.moved && zone.from_local_datetime(&local).single().is_some()
    };
    let exact: Vec<_> = ours.iter().filter(|occurrence| once(occurrence)).collect();
    for occurrence in &exact {
        assert!(
            theirs.contains(&occurrence.start),
            "{text}\n lacks {occurrence:?}"
        );
    }
    exact.len()
}
