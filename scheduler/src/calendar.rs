//! Local periods: days, weeks, months and years as the people of one time zone count them.

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc, Weekday,
};
use chrono_tz::Tz;

/// Whose midnight counts, and where a week begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// IANA zone with its daylight-saving rules. Default: UTC.
    pub zone: Tz,
    /// First day of the week in the region. Default: Monday.
    pub first_day_of_week: Weekday,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            zone: Tz::UTC,
            first_day_of_week: Weekday::Mon,
        }
    }
}

/// A length of local time that has a beginning everyone agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// From one local midnight to the next: 23, 24 or 25 hours where clocks change.
    Day,
    /// Seven days from the calendar's first day of the week.
    Week,
    /// From the first of a month.
    Month,
    /// From 1 January.
    Year,
}

/// No zone's clock was ever further from UTC than this, before or after a change.
const LONGEST_OFFSET: TimeDelta = TimeDelta::hours(26);

impl Calendar {
    /// The local date at `moment`; `None` outside the years that a date can hold.
    #[must_use]
    pub fn date(&self, moment: DateTime<Utc>) -> Option<NaiveDate> {
        Some(self.local(moment)?.date())
    }

    /// What the local clock shows at `moment`; `None` outside the years that a date can hold.
    #[must_use]
    pub fn local(&self, moment: DateTime<Utc>) -> Option<NaiveDateTime> {
        let offset = chrono::Offset::fix(&self.zone.offset_from_utc_datetime(&moment.naive_utc()));
        moment.naive_utc().checked_add_offset(offset)
    }

    /// The first date of the period that `moment` falls into. Two moments share a period exactly when this is equal.
    #[must_use]
    pub fn period_start(&self, period: Period, moment: DateTime<Utc>) -> Option<NaiveDate> {
        let date = self.date(moment)?;
        match period {
            Period::Day => Some(date),
            Period::Week => {
                let into = date.weekday().days_since(self.first_day_of_week);
                date.checked_sub_days(Days::new(u64::from(into)))
            }
            Period::Month => date.with_day(1),
            Period::Year => date.with_day(1)?.with_month(1),
        }
    }

    /// The first date of the period that begins `count` periods after the one beginning on `start`.
    #[must_use]
    pub fn advance(period: Period, start: NaiveDate, count: u32) -> Option<NaiveDate> {
        match period {
            Period::Day => start.checked_add_days(Days::new(u64::from(count))),
            Period::Week => start.checked_add_days(Days::new(u64::from(count) * 7)),
            Period::Month => start.checked_add_months(Months::new(count)),
            Period::Year => start.checked_add_months(Months::new(count.checked_mul(12)?)),
        }
    }

    /// The first moment at which the local date is `date` or later.
    ///
    /// Where clocks go forward at midnight that is the first moment that exists; where midnight comes twice, the first one.
    #[must_use]
    pub fn first_moment(&self, date: NaiveDate) -> Option<DateTime<Utc>> {
        self.moment(date.and_time(NaiveTime::MIN))
    }

    /// The first moment at which the local clock shows `local` or later.
    ///
    /// This one sentence is every rule about clock changes: a time that is skipped stands for the first moment after the
    /// gap, be it an hour or a whole day, and of a time that comes twice it is the first. Later local times never give
    /// earlier moments. `None` outside the years that a date can hold.
    #[must_use]
    pub fn moment(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let mut before = local.and_utc().checked_sub_signed(LONGEST_OFFSET)?;
        let mut after = local.and_utc().checked_add_signed(LONGEST_OFFSET)?;
        if let Some(found) = self.zone.from_local_datetime(&local).earliest() {
            return Some(found.with_timezone(&Utc));
        }
        // Inside a gap the clock shows less before it and more behind it, so the gap's end is found by halving.
        while after - before > TimeDelta::seconds(1) {
            let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
            if self.local(middle)? < local {
                before = middle;
            } else {
                after = middle;
            }
        }
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// Checks the definition of `first_moment` against the dates on both sides of it.
    fn check(zone: Tz, day: NaiveDate) {
        let calendar = Calendar {
            zone,
            ..Calendar::default()
        };
        let first = calendar.first_moment(day).unwrap();
        assert!(
            calendar.date(first).unwrap() >= day,
            "{zone} {day}: {first} is too early"
        );
        let before = calendar.date(first - TimeDelta::seconds(1)).unwrap();
        assert!(before < day, "{zone} {day}: {first} is too late");
    }

    #[test]
    fn a_day_begins_at_the_first_moment_of_its_date_in_every_zone() {
        for zone in chrono_tz::TZ_VARIANTS {
            // Every day of a year in which many zones still changed their clocks, then a sample of the others.
            for day in 0..365 {
                check(zone, date("2015-01-01") + Days::new(day));
            }
            for year in 1980..2045 {
                for (month, day) in [(1, 1), (2, 28), (3, 31), (6, 15), (10, 26), (12, 31)] {
                    check(zone, NaiveDate::from_ymd_opt(year, month, day).unwrap());
                }
            }
        }
    }

    #[test]
    fn clocks_that_change_at_midnight() {
        // Havana goes from 00:00 to 01:00 on 8 March 2026 and from 01:00 back to 00:00 on 1 November.
        for day in ["2026-03-08", "2026-11-01"] {
            check(Tz::America__Havana, date(day));
        }
        // Samoa had no 30 December 2011: the first moment at or after it belongs to the 31st.
        let samoa = Calendar {
            zone: Tz::Pacific__Apia,
            ..Calendar::default()
        };
        assert_eq!(
            samoa.first_moment(date("2011-12-30")),
            samoa.first_moment(date("2011-12-31"))
        );
    }

    #[test]
    fn a_gap_may_end_within_a_minute() {
        // Monrovia gave up its own time on 7 January 1972: from 00:00:00 to 00:44:30.
        check(Tz::Africa__Monrovia, date("1972-01-07"));
    }

    #[test]
    fn weeks_begin_where_the_region_says() {
        let moment = "2026-02-28T12:00:00Z".parse().unwrap(); // a Saturday
        for (first, start) in [
            (Weekday::Mon, "2026-02-23"),
            (Weekday::Sun, "2026-02-22"),
            (Weekday::Sat, "2026-02-28"),
        ] {
            let calendar = Calendar {
                first_day_of_week: first,
                ..Calendar::default()
            };
            assert_eq!(calendar.period_start(Period::Week, moment), Some(date(start)));
        }
    }

    #[test]
    fn an_hour_of_utc_may_belong_to_another_local_year() {
        let auckland = Calendar {
            zone: Tz::Pacific__Auckland,
            ..Calendar::default()
        };
        let moment = "2025-12-31T11:30:00Z".parse().unwrap();
        assert_eq!(
            auckland.period_start(Period::Year, moment),
            Some(date("2026-01-01"))
        );
        assert_eq!(
            Calendar::default().period_start(Period::Year, moment),
            Some(date("2025-01-01"))
        );
    }

    #[test]
    fn the_ends_of_time_are_refused_not_a_panic() {
        let calendar = Calendar {
            zone: Tz::Pacific__Kiritimati,
            ..Calendar::default()
        };
        assert_eq!(calendar.date(DateTime::<Utc>::MAX_UTC), None);
        let west = Calendar {
            zone: Tz::America__New_York,
            ..Calendar::default()
        };
        assert_eq!(west.date(DateTime::<Utc>::MIN_UTC), None);
        assert_eq!(Calendar::advance(Period::Year, NaiveDate::MAX, u32::MAX), None);
    }
}
