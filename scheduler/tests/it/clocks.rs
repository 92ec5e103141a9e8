//! The table of `docs/schedules.md` about changes of clocks, row by row.

use nakivo_scheduler::schedule::{Repeat, ScheduleForm};

use crate::support::{at, checked};

/// Starts of `form` from midnight UTC of `from` to that of `to`, as UTC without the year.
fn starts(form: ScheduleForm, from: &str, to: &str) -> Vec<String> {
    let midnight = |date: &str| at(&format!("{date}T00:00:00Z"));
    let schedule = checked(form);
    schedule
        .between(midnight(from), midnight(to))
        .map(|occurrence| occurrence.start.format("%m-%d %H:%M:%S").to_string())
        .collect()
}

/// Starts and ends as UTC times of day.
fn windows(form: ScheduleForm, from: &str, to: &str) -> Vec<(String, String)> {
    let midnight = |date: &str| at(&format!("{date}T00:00:00Z"));
    let schedule = checked(form);
    schedule
        .between(midnight(from), midnight(to))
        .map(|occurrence| {
            let time = |moment: nakivo_scheduler::chrono::DateTime<_>| moment.format("%H:%M").to_string();
            (time(occurrence.start), time(occurrence.end.unwrap()))
        })
        .collect()
}

#[test]
fn a_time_that_is_skipped_starts_once_at_the_first_moment_after_the_gap() {
    // Berlin goes from 02:00 to 03:00 on 29 March 2026.
    let form = ScheduleForm::daily("02:30").in_zone("Europe/Berlin");
    let expected = ["03-28 01:30:00", "03-29 01:00:00", "03-30 00:30:00"];
    assert_eq!(starts(form.clone(), "2026-03-28", "2026-03-31"), expected);
    let moved: Vec<bool> = checked(form)
        .between(at("2026-03-28T00:00:00Z"), at("2026-03-31T00:00:00Z"))
        .map(|occurrence| occurrence.moved)
        .collect();
    assert_eq!(moved, [false, true, false]);
}

#[test]
fn a_time_that_comes_twice_starts_once_the_first_time() {
    // Berlin goes from 03:00 back to 02:00 on 25 October 2026.
    let form = ScheduleForm::daily("02:30").in_zone("Europe/Berlin");
    let expected = ["10-24 00:30:00", "10-25 00:30:00", "10-26 01:30:00"];
    assert_eq!(starts(form, "2026-10-24", "2026-10-27"), expected);
}

#[test]
fn the_very_hour_of_the_change_belongs_to_what_comes_after_it() {
    let form = |time: &str| ScheduleForm::daily(time).in_zone("Europe/Berlin");
    assert_eq!(
        starts(form("02:00"), "2026-03-29", "2026-03-30"),
        ["03-29 01:00:00"]
    );
    assert_eq!(
        starts(form("03:00"), "2026-03-29", "2026-03-30"),
        ["03-29 01:00:00"]
    );
    assert_eq!(
        starts(form("02:00"), "2026-10-25", "2026-10-26"),
        ["10-25 00:00:00"]
    );
    assert_eq!(
        starts(form("03:00"), "2026-10-25", "2026-10-26"),
        ["10-25 02:00:00"]
    );
}

#[test]
fn a_midnight_that_does_not_exist_is_the_first_moment_of_the_day() {
    // Havana goes from 00:00 to 01:00 on 8 March 2026, which is 05:00 in UTC.
    let form = ScheduleForm::daily("00:00").in_zone("America/Havana");
    let expected = ["03-07 05:00:00", "03-08 05:00:00", "03-09 04:00:00"];
    assert_eq!(starts(form, "2026-03-07", "2026-03-10"), expected);
    // It comes twice on 1 November.
    let form = ScheduleForm::daily("00:00").in_zone("America/Havana");
    let expected = ["10-31 04:00:00", "11-01 04:00:00", "11-02 05:00:00"];
    assert_eq!(starts(form, "2026-10-31", "2026-11-03"), expected);
}

#[test]
fn a_change_by_half_an_hour_and_one_by_seconds() {
    // Lord Howe goes from 02:00 to 02:30 on 4 October 2026; Monrovia went from 00:00:00 to 00:44:30 on 7 January 1972.
    let form = ScheduleForm::daily("02:15").in_zone("Australia/Lord_Howe");
    assert_eq!(starts(form, "2026-10-03", "2026-10-04"), ["10-03 15:30:00"]);
    let form = ScheduleForm::daily("00:30").in_zone("Africa/Monrovia");
    let expected = ["01-06 01:14:30", "01-07 00:44:30", "01-08 00:30:00"];
    assert_eq!(starts(form, "1972-01-06", "1972-01-09"), expected);
}

#[test]
fn a_day_that_does_not_exist_is_due_as_the_next_one_begins() {
    // Samoa had no Friday, 30 December 2011: the 29th ended at 10:00 UTC, and the 31st began.
    let zone = "Pacific/Apia";
    let friday = ScheduleForm::weekly(&["friday"], "12:00").in_zone(zone);
    assert_eq!(starts(friday, "2011-12-28", "2012-01-03"), ["12-30 10:00:00"]);
    // Two dates may then name one moment, which is due once.
    let midnight = ScheduleForm::daily("00:00").in_zone(zone);
    let expected = ["12-29 10:00:00", "12-30 10:00:00", "12-31 10:00:00"];
    assert_eq!(starts(midnight.clone(), "2011-12-29", "2012-01-01"), expected);
    let (schedule, moment) = (checked(midnight), at("2011-12-30T10:00:00Z"));
    let (last, next) = (
        schedule.last_until(moment),
        schedule.next_after(at("2011-12-30T09:00:00Z")),
    );
    assert_eq!(
        (last, next.unwrap().date.to_string().as_str()),
        (next, "2011-12-30")
    );
    let noon = ScheduleForm::daily("12:00").in_zone(zone);
    let expected = [
        "12-29 22:00:00",
        "12-30 10:00:00",
        "12-30 22:00:00",
        "12-31 22:00:00",
    ];
    assert_eq!(starts(noon, "2011-12-29", "2012-01-01"), expected);
}

#[test]
fn a_day_that_comes_twice_is_due_once() {
    // Kwajalein lived 30 September 1969 twice, before the first date that a schedule knows; here an evening comes twice.
    let form = ScheduleForm::daily("23:30").in_zone("America/Sao_Paulo");
    // Sao Paulo went from 00:00 back to 23:00 on 18 February 2018, 02:00 in UTC.
    let expected = ["02-17 01:30:00", "02-18 01:30:00", "02-19 02:30:00"];
    assert_eq!(starts(form, "2018-02-17", "2018-02-20"), expected);
}

#[test]
fn a_periodic_schedule_counts_elapsed_time_inside_its_window() {
    let hourly = || ScheduleForm::periodic(60).in_zone("Europe/Berlin");
    let of = |form, from, to| starts(form, from, to).len();
    assert_eq!(
        of(hourly(), "2026-03-28", "2026-03-31"),
        72,
        "every hour of three days"
    );
    // A window from 01:00 to 04:00 lasts two hours in spring and four in autumn.
    let night = || hourly().starting("01:00").ending("04:00");
    assert_eq!(
        starts(night(), "2026-03-29", "2026-03-30"),
        ["03-29 00:00:00", "03-29 01:00:00", "03-29 23:00:00"],
        "the last is of the next night"
    );
    let expected = [
        "10-24 23:00:00",
        "10-25 00:00:00",
        "10-25 01:00:00",
        "10-25 02:00:00",
    ];
    assert_eq!(starts(night(), "2026-10-24", "2026-10-26")[2..], expected);
    // Counting begins with each window: 00:00, 01:30, ... 22:30, and 00:00 again.
    let odd = starts(ScheduleForm::periodic(100), "2026-06-01", "2026-06-02");
    assert_eq!((odd.len(), odd[14].as_str()), (15, "06-01 23:20:00"));
}

#[test]
fn a_window_ends_when_the_clock_shows_its_end() {
    let night = || {
        ScheduleForm::daily("22:00")
            .ending("06:00")
            .in_zone("Europe/Berlin")
    };
    let one = |from, to| windows(night(), from, to)[0].clone();
    assert_eq!(one("2026-03-27", "2026-03-28"), ("21:00".into(), "05:00".into()));
    assert_eq!(
        one("2026-03-28", "2026-03-29"),
        ("21:00".into(), "04:00".into()),
        "seven hours"
    );
    assert_eq!(
        one("2026-10-24", "2026-10-25"),
        ("20:00".into(), "05:00".into()),
        "nine hours"
    );
    // An end that is the start is a whole day.
    let day = ScheduleForm::daily("08:00")
        .ending("08:00")
        .in_zone("Europe/Berlin");
    assert_eq!(
        windows(day, "2026-03-28", "2026-03-29"),
        [("07:00".into(), "06:00".into())]
    );
}

#[test]
fn a_window_that_is_skipped_altogether_keeps_its_length() {
    let gap = || {
        ScheduleForm::daily("02:10")
            .ending("02:50")
            .in_zone("Europe/Berlin")
    };
    assert_eq!(
        windows(gap(), "2026-03-29", "2026-03-30"),
        [("01:00".into(), "01:40".into())]
    );
    let mut often = gap();
    often.repeat = Repeat::Periodic {
        every_minutes: 10,
        days: vec!["sunday".to_owned()],
    };
    assert_eq!(
        starts(often, "2026-03-29", "2026-03-30"),
        ["03-29 01:00:00"],
        "due once"
    );
}

#[test]
fn months_that_are_too_short_are_due_on_their_last_day() {
    let form = ScheduleForm::monthly("day 31", "00:00");
    let expected = [
        "01-31 00:00:00",
        "02-29 00:00:00",
        "03-31 00:00:00",
        "04-30 00:00:00",
    ];
    assert_eq!(starts(form, "2028-01-01", "2028-05-01"), expected);
    let leap = ScheduleForm::yearly("day 29", &["february"], "00:00");
    assert_eq!(
        starts(leap, "2027-01-01", "2029-01-01"),
        ["02-28 00:00:00", "02-29 00:00:00"]
    );
}

#[test]
fn the_dates_in_force_are_local_and_both_included() {
    let form = ScheduleForm::daily("23:30")
        .in_zone("America/New_York")
        .effective_from("2026-06-01")
        .effective_until("2026-06-02");
    assert_eq!(
        starts(form.clone(), "2026-05-01", "2026-07-01"),
        ["06-02 03:30:00", "06-03 03:30:00"]
    );
    assert_eq!(checked(form).next_after(at("2026-06-03T03:30:00Z")), None);
}

#[test]
fn the_ends_of_time_give_nothing_and_do_not_panic() {
    use nakivo_scheduler::chrono::{DateTime, Utc};
    for zone in ["Pacific/Kiritimati", "America/New_York", "UTC"] {
        for form in [
            ScheduleForm::daily("00:00"),
            ScheduleForm::periodic(1),
            ScheduleForm::monthly("day 1", "00:00"),
        ] {
            let schedule = checked(form.in_zone(zone));
            let (least, most) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
            assert_eq!(schedule.next_after(least).unwrap().date.to_string(), "1970-01-01");
            assert!(
                schedule
                    .last_until(most)
                    .unwrap()
                    .date
                    .to_string()
                    .starts_with("9999-12-")
            );
            assert_eq!(schedule.next_after(most), None);
            assert_eq!(schedule.last_until(least), None);
            assert_eq!(schedule.count(most, least), 0);
        }
    }
}
