//! What the suites share: seeds, zones, random schedules.

use nakivo_scheduler::chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use nakivo_scheduler::chrono_tz::{TZ_VARIANTS, Tz};
use nakivo_scheduler::schedule::{Repeat, Schedule, ScheduleForm};

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A generator that a seed repeats (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    /// The seed is `NAKIVO_SEED` where it is set, else `default`; printed, so that a failure can be repeated.
    #[allow(clippy::print_stdout, reason = "the seed is how a failure is repeated")]
    pub(crate) fn new(suite: &str, default: u64) -> Self {
        let seed = std::env::var("NAKIVO_SEED").ok();
        let seed = seed.and_then(|text| text.trim().parse().ok()).unwrap_or(default);
        println!("{suite}: NAKIVO_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound.unsigned_abs()) as i64
    }

    pub(crate) fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as i64) as usize].clone()
    }

    /// At least one of `values`, in their order.
    pub(crate) fn some(&mut self, values: &[&str]) -> Vec<String> {
        let sure = self.pick(values);
        let picked = values.iter().filter(|value| **value == sure || self.chance(40));
        picked.map(|value| (*value).to_owned()).collect()
    }
}

/// True when the long version was asked for.
pub(crate) fn full() -> bool {
    std::env::var("NAKIVO_FULL").is_ok_and(|value| value == "1")
}

/// Zones that change by half an hour, never, at midnight, by a day, every few weeks, by seconds, and the usual ones.
pub(crate) const ODD_ZONES: [Tz; 16] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::America__Havana,
    Tz::America__Sao_Paulo,
    Tz::Australia__Lord_Howe,
    Tz::Asia__Kolkata,
    Tz::Pacific__Apia,
    Tz::Pacific__Kiritimati,
    Tz::Pacific__Kwajalein,
    Tz::Asia__Beirut,
    Tz::Asia__Gaza,
    Tz::America__St_Johns,
    Tz::Africa__Casablanca,
    Tz::Africa__Monrovia,
    Tz::Antarctica__Troll,
];

/// The odd zones and `more` others, or all there are when the long version was asked for.
pub(crate) fn zones(random: &mut Random, more: usize) -> Vec<Tz> {
    if full() {
        return TZ_VARIANTS.to_vec();
    }
    let others = (0..more).map(|_| random.pick(&TZ_VARIANTS));
    ODD_ZONES.into_iter().chain(others).collect()
}

pub(crate) const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
pub(crate) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A time at which something may go wrong more often than at any.
pub(crate) fn random_time(random: &mut Random) -> String {
    let minutes = if random.chance(60) {
        random.pick(&[
            0, 1, 29, 30, 31, 44, 45, 59, 60, 61, 90, 119, 120, 121, 150, 179, 180, 181, 1439,
        ])
    } else {
        random.below(1440)
    };
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn random_day_of_month(random: &mut Random) -> String {
    match random.below(4) {
        0 => "last day".to_owned(),
        1 => format!("day {}", 1 + random.below(31)),
        _ => {
            let which = random.pick(&["first", "second", "third", "fourth", "last"]);
            format!("{which} {}", random.pick(&DAYS))
        }
    }
}

/// Any schedule that goes by the calendar, once on each of its dates.
pub(crate) fn random_calendar_repeat(random: &mut Random) -> Repeat {
    match random.below(4) {
        0 => Repeat::Daily {
            every_days: random.pick(&[1, 1, 2, 3, 7, 30, 365]),
        },
        1 => Repeat::Weekly {
            days: random.some(&DAYS),
            every_weeks: random.pick(&[1, 1, 2, 3, 4, 52]),
        },
        2 => Repeat::Monthly {
            on: random_day_of_month(random),
            every_months: random.pick(&[1, 1, 2, 3, 5, 12, 60]),
        },
        _ => Repeat::Yearly {
            on: random_day_of_month(random),
            months: random.some(&MONTHS),
        },
    }
}

/// Any schedule that goes by the clock.
pub(crate) fn random_form(random: &mut Random, zone: Tz) -> ScheduleForm {
    let repeat = if random.chance(30) {
        Repeat::Periodic {
            every_minutes: random.pick(&[30, 45, 60, 61, 90, 240, 719, 1440]),
            days: random.some(&DAYS),
        }
    } else {
        random_calendar_repeat(random)
    };
    let mut form = ScheduleForm::new(repeat)
        .in_zone(zone.name())
        .starting(&random_time(random));
    if random.chance(60) {
        form = form.ending(&random_time(random));
    }
    form.week_start = random.pick(&DAYS).to_owned();
    if random.chance(50) {
        let from = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + TimeDelta::days(random.below(15_000));
        form = form.effective_from(&from.to_string());
        if random.chance(50) {
            form = form.effective_until(&(from + TimeDelta::days(random.below(15_000))).to_string());
        }
    }
    form
}

pub(crate) fn checked(form: ScheduleForm) -> Schedule {
    form.clone()
        .check()
        .unwrap_or_else(|error| panic!("{form:?}: {error}"))
}
