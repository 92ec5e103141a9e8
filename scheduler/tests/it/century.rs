//! A hundred years, hour by hour and where clocks change second by second, by somebody who knows no calendar arithmetic.

use nakivo_scheduler::chrono::{
    DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc,
};
use nakivo_scheduler::chrono_tz::Tz;
use nakivo_scheduler::schedule::{Occurrence, Repeat, ScheduleForm};

use crate::support::{Random, checked, random_form, zones};

const FIRST: &str = "1970-01-01";
const YEARS: i64 = 100;
const HOUR: i64 = 3600;

/// What a clock on the wall shows, for each hour of the century and a few days around it.
struct Wall {
    zone: Tz,
    begins: i64,
    /// Offsets from UTC in seconds, at the beginning of each hour.
    hours: Vec<i64>,
}

impl Wall {
    fn new(zone: Tz) -> Self {
        let begins = day(FIRST).and_time(NaiveTime::MIN).and_utc().timestamp() - 96 * HOUR;
        let hours = (0..(YEARS * 366 + 20) * 24)
            .map(|hour| offset(zone, begins + hour * HOUR))
            .collect();
        Self { zone, begins, hours }
    }

    /// The first second at which the clock shows `local` or later, looking from `since` on.
    fn first_showing(&self, since: i64, local: NaiveDateTime) -> i64 {
        let wanted = local.and_utc().timestamp();
        let mut hour = (since - self.begins).div_euclid(HOUR) as usize;
        loop {
            let (shown, next) = (self.hours[hour], self.hours[hour + 1]);
            let start = self.begins + hour as i64 * HOUR;
            if shown != next {
                // The clock was touched in this hour: look at every second.
                let mut seconds = start..start + HOUR;
                if let Some(found) = seconds.find(|second| second + offset(self.zone, *second) >= wanted) {
                    return found;
                }
            } else if start + HOUR + shown > wanted {
                let minute = (0..60).find(|m| start + (m + 1) * 60 + shown > wanted).unwrap();
                let mut seconds = start + minute * 60..start + HOUR;
                return seconds.find(|second| second + shown >= wanted).unwrap();
            }
            hour += 1;
        }
    }
}

fn offset(zone: Tz, second: i64) -> i64 {
    let moment = DateTime::<Utc>::from_timestamp(second, 0).unwrap();
    i64::from(
        zone.offset_from_utc_datetime(&moment.naive_utc())
            .fix()
            .local_minus_utc(),
    )
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Dates told apart by counting days, weeks and months as they go by.
#[derive(Clone, Copy, Default)]
struct Counters {
    days: i64,
    weeks: i64,
    months: i64,
    /// How often this date's weekday has come in this month.
    nth: u32,
}

fn counters(week_start: &str) -> Vec<(NaiveDate, Counters)> {
    let mut now = Counters::default();
    let mut seen = [0; 7];
    let mut all = Vec::new();
    for date in day(FIRST).iter_days().take((YEARS * 366 + 10) as usize) {
        now.days += 1;
        now.weeks += i64::from(name(date) == week_start);
        if date.day() == 1 {
            now.months += 1;
            seen = [0; 7];
        }
        let weekday = date.weekday() as usize;
        seen[weekday] += 1;
        now.nth = seen[weekday];
        all.push((date, now));
    }
    all
}

fn name(date: NaiveDate) -> String {
    date.format("%A").to_string().to_lowercase()
}

fn on_day(on: &str, date: NaiveDate, nth: u32) -> bool {
    let tomorrow_is_next_month = date.succ_opt().unwrap().day() == 1;
    let next_week_is_next_month = (date + nakivo_scheduler::chrono::Days::new(7)).month() != date.month();
    match on.split_once(' ').unwrap() {
        ("last", "day") => tomorrow_is_next_month,
        ("day", number) => {
            let number: u32 = number.parse().unwrap();
            date.day() == number || (tomorrow_is_next_month && date.day() < number)
        }
        ("last", weekday) => name(date) == weekday && next_week_is_next_month,
        (which, weekday) => {
            let which = ["first", "second", "third", "fourth"]
                .iter()
                .position(|word| *word == which);
            name(date) == weekday && which == Some(nth as usize - 1)
        }
    }
}

fn dates(form: &ScheduleForm) -> Vec<NaiveDate> {
    let all = counters(&form.week_start);
    let anchor = form.from.as_deref().map_or(day("1970-01-05"), day);
    let begin = all.iter().find(|(date, _)| *date == anchor).unwrap().1;
    let in_force = |date: &NaiveDate| {
        form.from.as_deref().is_none_or(|from| *date >= day(from))
            && form.until.as_deref().is_none_or(|until| *date <= day(until))
    };
    let selected = |date: NaiveDate, now: Counters| match &form.repeat {
        Repeat::Daily { every_days } => (now.days - begin.days) % every_days == 0,
        Repeat::Weekly { days, every_weeks } => {
            days.contains(&name(date)) && (now.weeks - begin.weeks) % every_weeks == 0
        }
        Repeat::Monthly { on, every_months } => {
            on_day(on, date, now.nth) && (now.months - begin.months) % every_months == 0
        }
        Repeat::Yearly { on, months } => {
            on_day(on, date, now.nth) && months.contains(&date.format("%B").to_string().to_lowercase())
        }
        Repeat::Periodic { days, .. } => days.contains(&name(date)),
        Repeat::Manual | Repeat::After { .. } => false,
    };
    let chosen = all
        .into_iter()
        .filter(|(date, now)| in_force(date) && selected(*date, *now));
    chosen.map(|(date, _)| date).collect()
}

/// Every occurrence that starts in the century: start and end in seconds.
fn expected(form: &ScheduleForm, wall: &Wall, until: i64) -> Vec<(i64, Option<i64>, NaiveDate)> {
    let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
    let start = time(form.start.as_deref().unwrap());
    let end = form.end.as_deref().map(time);
    let mut all: Vec<(i64, Option<i64>, NaiveDate)> = Vec::new();
    let mut since = wall.begins;
    for date in dates(form) {
        let opens = date.and_time(start);
        let first = wall.first_showing(since, opens);
        if first >= until {
            break;
        }
        since = first;
        let closing_time = end.unwrap_or(start);
        let days = u64::from(closing_time <= start);
        let closes = (date + nakivo_scheduler::chrono::Days::new(days)).and_time(closing_time);
        let shut = wall.first_showing(first, closes);
        let length = (closes - opens).num_seconds();
        let stop = if shut > first { shut } else { first + length };
        let (stop, step) = match form.repeat {
            Repeat::Periodic { every_minutes, .. } => (Some(stop), every_minutes * 60),
            _ => (end.map(|_| stop), i64::MAX / 2),
        };
        let mut next = first;
        loop {
            if next < until && all.last().is_none_or(|(last, ..)| *last < next) {
                all.push((next, stop, date));
            }
            next += step;
            if next >= shut {
                break;
            }
        }
    }
    all
}

fn plain(occurrence: Occurrence) -> (i64, Option<i64>, NaiveDate) {
    let end = occurrence.end.map(|end| end.timestamp());
    (occurrence.start.timestamp(), end, occurrence.date)
}

/// The first place where two lists differ, with what each has there.
fn assert_same(
    form: &ScheduleForm,
    ours: &[(i64, Option<i64>, NaiveDate)],
    theirs: &[(i64, Option<i64>, NaiveDate)],
) {
    let at = (0..ours.len().max(theirs.len())).find(|i| ours.get(*i) != theirs.get(*i));
    if let Some(at) = at {
        panic!(
            "{form:?}\n no. {at}\n is        {:?}\n should be {:?}",
            ours.get(at),
            theirs.get(at)
        );
    }
}

/// A hundred years of each of many zones: no occurrence is missing, double, early or late, and its window ends when it should.
#[test]
fn every_occurrence_of_a_century_is_where_a_clock_on_the_wall_shows_its_time() {
    let mut random = Random::new("century", 22);
    let (mut zone_count, mut compared) = (0, 0);
    for zone in zones(&mut random, 8) {
        let wall = Wall::new(zone);
        let until = wall.begins + 96 * HOUR + YEARS * 365 * 24 * HOUR;
        for _ in 0..3 {
            let form = random_form(&mut random, zone);
            let schedule = checked(form.clone());
            let before = DateTime::from_timestamp(wall.begins, 0).unwrap();
            let end = DateTime::from_timestamp(until, 0).unwrap();
            let ours: Vec<_> = schedule.between(before, end).map(plain).collect();
            assert_same(&form, &ours, &expected(&form, &wall, until));
            let last = DateTime::from_timestamp(until - 1, 0).unwrap();
            assert_eq!(schedule.count(before, last), ours.len() as u64, "{form:?}");
            probe(&mut random, &form, &ours, before);
            compared += ours.len();
        }
        zone_count += 1;
    }
    println!("counts: century zones={zone_count} occurrences={compared}");
    assert!(compared > 100_000);
}

/// Asking at any moment gives the neighbours in the list.
fn probe(
    random: &mut Random,
    form: &ScheduleForm,
    all: &[(i64, Option<i64>, NaiveDate)],
    before: DateTime<Utc>,
) {
    let schedule = checked(form.clone());
    assert_eq!(schedule.last_until(before), None, "{form:?}");
    // One alone has no neighbours to lie between.
    for _ in 0..all.len().saturating_sub(1).min(50) {
        let here = random.below(all.len() as i64 - 1).unsigned_abs() as usize;
        let (start, next) = (all[here].0, all[here + 1].0);
        let moment = DateTime::from_timestamp(start + random.below(next - start), 0).unwrap();
        assert_eq!(
            schedule.last_until(moment).map(plain),
            Some(all[here]),
            "{form:?} until {moment}"
        );
        assert_eq!(
            schedule.next_after(moment).map(plain),
            Some(all[here + 1]),
            "{form:?} after {moment}"
        );
    }
}
