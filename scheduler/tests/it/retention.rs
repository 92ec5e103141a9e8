//! Retention: the plan equals what a reader of the rules would work out by hand, and never harms the last good point.

use std::collections::{BTreeMap, BTreeSet};

use nakivo_scheduler::calendar::Calendar;
use nakivo_scheduler::chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc, Weekday};
use nakivo_scheduler::chrono_tz::Tz;
use nakivo_scheduler::retention::{
    Kept, Point, Protection, Quality, RetentionError, RetentionPolicy, Rule, Until, plan_retention,
};
use proptest::prelude::*;

use crate::support::ODD_ZONES;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn point(id: usize, committed: DateTime<Utc>, quality: Quality) -> Point<usize> {
    Point {
        id,
        committed,
        quality,
        protection: Protection::JobRetention,
    }
}

/// One complete point a day at 12:00 UTC, the first on `first`.
fn daily(first: &str, days: usize) -> Vec<Point<usize>> {
    let first = at(first);
    (0..days)
        .map(|day| point(day, first + TimeDelta::days(day as i64), Quality::Complete))
        .collect()
}

fn kept(points: &[Point<usize>], policy: &RetentionPolicy, calendar: &Calendar, now: &str) -> Vec<usize> {
    plan_retention(points, policy, calendar, at(now))
        .unwrap()
        .kept()
        .copied()
        .collect()
}

// ---- The oracle: the rules read aloud, in quadratic time, with the calendar done by hand ----

/// A name for the period, by walking the days.
fn period_name(rule: Rule, moment: DateTime<Utc>, calendar: &Calendar) -> NaiveDate {
    let mut date = moment.with_timezone(&calendar.zone).date_naive();
    let begins = |date: NaiveDate| match rule {
        Rule::Last | Rule::Daily => true,
        Rule::Weekly => date.weekday() == calendar.first_day_of_week,
        Rule::Monthly => date.day() == 1,
        Rule::Yearly => date.ordinal() == 1,
    };
    while !begins(date) {
        date = date.pred_opt().unwrap();
    }
    date
}

fn oracle_keeps(
    points: &[Point<usize>],
    names: &BTreeMap<(Rule, usize), NaiveDate>,
    i: usize,
    policy: &RetentionPolicy,
    now: DateTime<Utc>,
) -> bool {
    let me = &points[i];
    match me.protection {
        Protection::Forever => return true,
        Protection::Until(end) if end > now => return true,
        _ => {}
    }
    if me.quality == Quality::Complete && points[i + 1..].iter().all(|p| p.quality != Quality::Complete) {
        return true;
    }
    for worst in [Quality::Complete, Quality::Partial, Quality::Damaged] {
        if me.quality < worst {
            continue;
        }
        let rivals: Vec<usize> = (0..points.len())
            .filter(|&j| points[j].quality >= worst)
            .collect();
        for rule in Rule::ALL {
            let Some(n) = policy.keeps(rule) else { continue };
            let (newer, beaten) = if rule == Rule::Last {
                (rivals.iter().filter(|&&j| j > i).count(), false)
            } else {
                let mine = names[&(rule, i)];
                let newer: BTreeSet<NaiveDate> = rivals
                    .iter()
                    .map(|&j| names[&(rule, j)])
                    .filter(|&start| start > mine)
                    .collect();
                let beaten = rivals
                    .iter()
                    .any(|&j| names[&(rule, j)] == mine && (points[j].committed, j) > (me.committed, i));
                (newer.len(), beaten)
            };
            if newer < n as usize && !beaten {
                return true;
            }
        }
    }
    false
}

// ---- Random histories ----

fn qualities() -> impl Strategy<Value = Quality> {
    prop_oneof![6 => Just(Quality::Complete), 3 => Just(Quality::Partial), 1 => Just(Quality::Damaged)]
}

/// Histories with bursts, gaps and clocks that step back, near days on which clocks change.
fn histories() -> impl Strategy<Value = (Vec<Point<usize>>, DateTime<Utc>)> {
    let starts = prop_oneof![
        Just("2026-03-20T00:00:00Z"), // Europe goes forward on the 29th, Beirut at midnight
        Just("2026-10-20T00:00:00Z"), // and back on the 25th; America on 1 November
        Just("2018-10-28T00:00:00Z"), // Sao Paulo skipped midnight on 4 November
        Just("2011-12-20T00:00:00Z"), // Samoa had no 30 December
        Just("2023-12-15T00:00:00Z"),
        Just("2024-02-20T00:00:00Z"), // a leap day
    ];
    let minutes = prop_oneof![
        5 => 1i64..90,
        8 => 600i64..2_000,
        3 => 5_000i64..60_000,
        1 => -4_000i64..0,
        1 => Just(0i64),
    ];
    let protections = prop_oneof![
        12 => Just(None),
        1 => Just(Some(i64::MAX)),
        2 => (-100_000i64..100_000).prop_map(Some),
    ];
    let steps = prop::collection::vec((minutes, qualities(), protections), 0..60);
    (starts, steps, -2_000i64..100_000).prop_map(|(start, steps, later)| {
        let mut time = at(start);
        let mut points = Vec::new();
        for (id, (minutes, quality, protection)) in steps.into_iter().enumerate() {
            time += TimeDelta::minutes(minutes);
            let protection = match protection {
                None => Protection::JobRetention,
                Some(i64::MAX) => Protection::Forever,
                Some(minutes) => Protection::Until(time + TimeDelta::minutes(minutes)),
            };
            points.push(Point {
                id,
                committed: time,
                quality,
                protection,
            });
        }
        (points, time + TimeDelta::minutes(later))
    })
}

fn rule(max: u32) -> impl Strategy<Value = Option<u32>> {
    prop_oneof![2 => Just(None), 3 => (1..=max).prop_map(Some)]
}

fn policies() -> impl Strategy<Value = RetentionPolicy> {
    (rule(12), rule(12), rule(6), rule(12), rule(3))
        .prop_map(|(last, daily, weekly, monthly, yearly)| RetentionPolicy {
            last,
            daily,
            weekly,
            monthly,
            yearly,
        })
        .prop_filter("an empty policy is refused", |policy| policy.validate().is_ok())
}

fn calendars() -> impl Strategy<Value = Calendar> {
    let days = prop_oneof![Just(Weekday::Mon), Just(Weekday::Sun), Just(Weekday::Sat)];
    (prop::sample::select(ODD_ZONES.to_vec()), days).prop_map(|(zone, first_day_of_week)| Calendar {
        zone,
        first_day_of_week,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_naive_oracle((points, now) in histories(), policy in policies(), calendar in calendars()) {
        let plan = plan_retention(&points, &policy, &calendar, now).unwrap();
        let names = (0..points.len())
            .flat_map(|i| Rule::ALL.map(|rule| ((rule, i), period_name(rule, points[i].committed, &calendar))))
            .collect();
        for (i, planned) in plan.points.iter().enumerate() {
            prop_assert_eq!(planned.id, i);
            prop_assert_eq!(!planned.goes(), oracle_keeps(&points, &names, i, &policy, now), "point {}", i);
        }
    }

    #[test]
    fn a_worse_point_never_costs_a_better_one(
        (points, now) in histories(), policy in policies(), calendar in calendars()
    ) {
        let complete: Vec<_> = points.iter().filter(|p| p.quality == Quality::Complete).cloned().collect();
        let alone = plan_retention(&complete, &policy, &calendar, now).unwrap();
        let together: BTreeSet<usize> =
            plan_retention(&points, &policy, &calendar, now).unwrap().kept().copied().collect();
        for id in alone.kept() {
            prop_assert!(together.contains(id), "{} is kept alone, but goes beside worse points", id);
        }
    }

    #[test]
    fn applying_it_twice_removes_nothing_more(
        (points, now) in histories(), policy in policies(), calendar in calendars()
    ) {
        let first: BTreeSet<usize> =
            plan_retention(&points, &policy, &calendar, now).unwrap().kept().copied().collect();
        let left: Vec<_> = points.into_iter().filter(|p| first.contains(&p.id)).collect();
        prop_assert_eq!(plan_retention(&left, &policy, &calendar, now).unwrap().removed().count(), 0);
    }

    /// The date a reason names is honest: with one complete point a period from here on, the rule lets the point go
    /// in the first period that begins there, not one earlier.
    #[test]
    fn not_before_is_the_day_it_goes(days in 1u32..12, count in 1usize..20, zone in prop::sample::select(ODD_ZONES.to_vec())) {
        let calendar = Calendar { zone, ..Calendar::default() };
        let policy = RetentionPolicy { daily: Some(days), ..RetentionPolicy::none() };
        let mut points = daily("2026-03-20T12:00:00Z", count);
        let now = points.last().unwrap().committed + TimeDelta::days(1);
        let plan = plan_retention(&points, &policy, &calendar, now).unwrap();
        let watched = *plan.kept().next().unwrap();
        let Some(Kept::Rule { until: Until::NewerPeriods { not_before: Some(end), .. }, .. }) =
            plan.points[watched].kept.iter().find(|kept| matches!(kept, Kept::Rule { .. })).copied()
        else { panic!("no rule keeps {watched}") };
        while points.len() < count + 30 {
            let committed = points.last().unwrap().committed + TimeDelta::days(1);
            points.push(point(points.len(), committed, Quality::Complete));
            let stays = !plan_retention(&points, &policy, &calendar, committed).unwrap().points[watched].goes();
            prop_assert_eq!(stays, committed < end, "at {}", committed);
        }
    }
}

// ---- Edges ----

#[test]
fn refuses_a_policy_that_would_remove_everything() {
    let nothing = plan_retention::<usize>(
        &[],
        &RetentionPolicy::none(),
        &Calendar::default(),
        at("2026-01-01T00:00:00Z"),
    );
    assert_eq!(nothing, Err(RetentionError::Empty));
    assert_eq!(RetentionError::Empty.code(), "policy_would_delete_all");
    for rule in Rule::ALL {
        for bad in [0, 1_001, u32::MAX] {
            let mut policy = RetentionPolicy::gfs();
            match rule {
                Rule::Last => policy.last = Some(bad),
                Rule::Daily => policy.daily = Some(bad),
                Rule::Weekly => policy.weekly = Some(bad),
                Rule::Monthly => policy.monthly = Some(bad),
                Rule::Yearly => policy.yearly = Some(bad),
            }
            let error = policy.validate().unwrap_err();
            assert_eq!(
                error,
                RetentionError::OutOfRange {
                    field: rule.field(),
                    value: bad
                }
            );
            assert!(error.to_string().contains(rule.field()), "{error}");
        }
    }
    let only_zero = RetentionPolicy {
        last: Some(0),
        ..RetentionPolicy::none()
    };
    assert!(only_zero.validate().is_err());
}

#[test]
fn defaults_are_the_documented_ones() {
    let points = daily("2026-01-01T12:00:00Z", 40);
    let kept = kept(
        &points,
        &RetentionPolicy::default(),
        &Calendar::default(),
        "2026-02-10T00:00:00Z",
    );
    assert_eq!(kept, (30..40).collect::<Vec<_>>());
    let gfs = RetentionPolicy::gfs();
    assert_eq!(
        (gfs.last, gfs.daily, gfs.weekly, gfs.monthly, gfs.yearly),
        (Some(10), Some(10), Some(4), Some(12), Some(3))
    );
}

#[test]
fn two_years_of_daily_points_leave_the_last_of_each_period() {
    let points = daily("2024-01-01T12:00:00Z", 731); // to 31 December 2025
    let policy = RetentionPolicy {
        daily: Some(3),
        weekly: Some(2),
        monthly: Some(3),
        yearly: Some(2),
        ..RetentionPolicy::none()
    };
    let kept = kept(&points, &policy, &Calendar::default(), "2026-01-01T06:00:00Z");
    let dates: Vec<String> = kept
        .iter()
        .map(|&id| points[id].committed.date_naive().to_string())
        .collect();
    assert_eq!(
        dates,
        [
            "2024-12-31",
            "2025-10-31",
            "2025-11-30",
            "2025-12-28",
            "2025-12-29",
            "2025-12-30",
            "2025-12-31"
        ]
    );
}

#[test]
fn bad_weeks_leave_the_last_good_point_alone() {
    let mut points = daily("2026-01-01T12:00:00Z", 5);
    for day in 5..60 {
        let quality = if day % 2 == 0 {
            Quality::Partial
        } else {
            Quality::Damaged
        };
        points.push(point(
            day,
            at("2026-01-01T12:00:00Z") + TimeDelta::days(day as i64),
            quality,
        ));
    }
    let policy = RetentionPolicy {
        last: Some(3),
        ..RetentionPolicy::none()
    };
    let kept = kept(&points, &policy, &Calendar::default(), "2026-03-10T00:00:00Z");
    // Three complete ones, the three newest that are at least partial, the three newest of all.
    assert_eq!(kept, [2, 3, 4, 54, 56, 57, 58, 59]);
}

#[test]
fn a_point_committed_while_the_clock_stood_in_1970_is_still_the_newest() {
    let mut points = daily("2026-01-01T12:00:00Z", 20);
    points.push(point(20, at("1970-01-01T00:00:05Z"), Quality::Complete));
    for policy in [
        RetentionPolicy {
            last: Some(1),
            ..RetentionPolicy::none()
        },
        RetentionPolicy {
            daily: Some(2),
            ..RetentionPolicy::none()
        },
    ] {
        assert!(
            kept(&points, &policy, &Calendar::default(), "2026-01-21T00:00:00Z").contains(&20),
            "{policy:?}"
        );
    }
}

#[test]
fn protection_ends_at_its_moment() {
    let mut points = daily("2026-01-01T12:00:00Z", 3);
    points[0].protection = Protection::Until(at("2026-06-01T00:00:00Z"));
    points[1].protection = Protection::Forever;
    let policy = RetentionPolicy {
        last: Some(1),
        ..RetentionPolicy::none()
    };
    let calendar = Calendar::default();
    assert_eq!(
        kept(&points, &policy, &calendar, "2026-05-31T23:59:59Z"),
        [0, 1, 2]
    );
    assert_eq!(kept(&points, &policy, &calendar, "2026-06-01T00:00:00Z"), [1, 2]);
    assert_eq!(kept(&points, &policy, &calendar, "2099-01-01T00:00:00Z"), [1, 2]);
}

#[test]
fn explains_itself() {
    let points = daily("2026-01-01T12:00:00Z", 3);
    let policy = RetentionPolicy {
        last: Some(2),
        daily: Some(2),
        ..RetentionPolicy::none()
    };
    let plan = plan_retention(&points, &policy, &Calendar::default(), at("2026-01-03T18:00:00Z")).unwrap();
    let words: Vec<Vec<String>> = plan
        .points
        .iter()
        .map(|point| point.kept.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(words[0], Vec::<String>::new());
    assert_eq!(
        words[1],
        [
            "last 2 of 2, until there is a newer point",
            "daily 2 of 2 (from 2026-01-02), not before 2026-01-04T00:00:00Z"
        ]
    );
    assert_eq!(
        words[2],
        [
            "newest complete point",
            "last 1 of 2, until there are 2 newer points",
            "daily 1 of 2 (from 2026-01-03), until there is a newer point in the same period"
        ]
    );
    assert_eq!(plan.removed_percent(), 33);
}

#[test]
fn a_time_outside_the_calendar_stops_everything() {
    let points = [point(0, DateTime::<Utc>::MAX_UTC, Quality::Complete)];
    let calendar = Calendar {
        zone: Tz::Pacific__Kiritimati,
        ..Calendar::default()
    };
    let plan = plan_retention(
        &points,
        &RetentionPolicy::gfs(),
        &calendar,
        at("2026-01-01T00:00:00Z"),
    );
    assert_eq!(plan, Err(RetentionError::TimeOutOfRange { position: 0 }));
}
