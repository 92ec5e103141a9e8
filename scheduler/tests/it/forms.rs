//! What a schedule may hold, what it refuses, and that nothing panics.

use std::collections::BTreeMap;

use nakivo_scheduler::chrono::{DateTime, TimeDelta, Utc};
use nakivo_scheduler::schedule::{MAX_SCHEDULES, Repeat, Schedule, ScheduleError, ScheduleForm, Timetable};
use serde_json::{Value, json};

use crate::support::{ODD_ZONES, Random, at, checked, full, random_form};

fn refusal(form: Value) -> String {
    let form: ScheduleForm = serde_json::from_value(form).unwrap();
    form.check().unwrap_err().to_string()
}

fn with(field: &str, value: &str) -> Value {
    let mut form = json!({"repeat": {"kind": "daily"}});
    form[field] = value.into();
    form
}

/// Every field, a value just outside of what it may hold, and what the error says about it.
#[test]
fn what_is_refused_is_named_with_its_value_and_what_is_allowed() {
    let ranges = [
        ("daily", "every_days", 365),
        ("weekly", "every_weeks", 52),
        ("monthly", "every_months", 60),
        ("periodic", "every_minutes", 1440),
    ];
    for (kind, field, most) in ranges {
        for value in [i64::MIN, -1, 0, most + 1, i64::MAX] {
            let mut repeat = json!({"kind": kind, field: value});
            if kind == "monthly" {
                repeat["on"] = "last day".into();
            }
            let expected = format!("repeat.{field} = {value}: expected 1 to {most}");
            assert_eq!(refusal(json!({"repeat": repeat})), expected);
            repeat[field] = most.into();
            serde_json::from_value::<Schedule>(json!({"repeat": repeat})).unwrap();
        }
    }
    let time = "a time from 00:00 to 23:59 as HH:MM";
    let date = "a date from 1970-01-01 to 9999-12-31 as YYYY-MM-DD";
    let rows = [
        (with("start", "24:00"), format!("start = 24:00: expected {time}")),
        (with("start", "1:00"), format!("start = 1:00: expected {time}")),
        (with("end", "23:60"), format!("end = 23:60: expected {time}")),
        (with("end", " 1:00"), format!("end =  1:00: expected {time}")),
        (
            with("from", "1969-12-31"),
            format!("from = 1969-12-31: expected {date}"),
        ),
        (
            with("from", "2026-02-29"),
            format!("from = 2026-02-29: expected {date}"),
        ),
        (
            with("until", "10000-01-01"),
            format!("until = 10000-01-01: expected {date}"),
        ),
        (
            with("until", "+999-01-01"),
            format!("until = +999-01-01: expected {date}"),
        ),
        (
            with("zone", "Berlin"),
            "zone = Berlin: expected an IANA time zone such as Europe/Berlin or UTC".to_owned(),
        ),
        (
            with("week_start", "noday"),
            "week_start = noday: expected a day of the week, monday to sunday".to_owned(),
        ),
        (
            json!({"repeat": {"kind": "weekly", "days": []}}),
            "repeat.days = []: expected at least one of: a day of the week, monday to sunday".to_owned(),
        ),
        (
            json!({"repeat": {"kind": "periodic", "every_minutes": 5, "days": ["montag"]}}),
            "repeat.days = montag: expected a day of the week, monday to sunday".to_owned(),
        ),
        (
            json!({"repeat": {"kind": "yearly", "on": "day 1", "months": ["smarch"]}}),
            "repeat.months = smarch: expected a month, january to december".to_owned(),
        ),
        (
            json!({"repeat": {"kind": "after", "job": "", "delay_minutes": 0}}),
            "repeat.job = \"\": expected the id of a job, 1 to 256 bytes without control characters"
                .to_owned(),
        ),
        (
            json!({"repeat": {"kind": "after", "job": "a", "delay_minutes": 43201}}),
            "repeat.delay_minutes = 43201: expected 0 to 43200".to_owned(),
        ),
        (
            json!({"repeat": {"kind": "after", "job": "a", "outcomes": ["success"]}}),
            "repeat.outcomes = success: expected complete, partial, failed, stopped".to_owned(),
        ),
        (
            json!({"repeat": {"kind": "daily"}, "from": "2026-02-01", "until": "2026-01-31"}),
            "until = 2026-01-31: expected a date not before from = 2026-02-01".to_owned(),
        ),
        (
            json!({"repeat": {"kind": "manual"}, "start": "01:00"}),
            "start is set, but a schedule of kind manual has no start: leave it out".to_owned(),
        ),
        (
            json!({"repeat": {"kind": "after", "job": "a"}, "end": "01:00"}),
            "end is set, but a schedule of kind after has no end: leave it out".to_owned(),
        ),
    ];
    for (form, expected) in rows {
        assert_eq!(refusal(form), expected);
    }
    for on in [
        "",
        "first",
        "fifth monday",
        "day 0",
        "day 32",
        "day -1",
        "day",
        "last",
        "last  friday",
    ] {
        let error = refusal(json!({"repeat": {"kind": "monthly", "on": on}}));
        assert!(
            error.starts_with(&format!("repeat.on = {on}: expected first, ")),
            "{error}"
        );
    }
}

#[test]
fn errors_do_not_repeat_what_is_long() {
    let form = ScheduleForm::daily("00:00").in_zone(&"ü".repeat(100_000));
    let error = form.check().unwrap_err();
    assert!(error.to_string().len() < 300, "{}", error.to_string().len());
    assert_eq!((error.field(), error.code()), ("zone", "schedule_refused"));
}

#[test]
fn unknown_fields_and_kinds_are_refused() {
    for text in [
        r#"{"repeat": {"kind": "daily"}, "time": "01:00"}"#,
        r#"{"repeat": {"kind": "daily", "every": 2}}"#,
        r#"{"repeat": {"kind": "hourly"}}"#,
        r#"{"repeat": {"kind": "monthly"}}"#,
        r#"{"start": "01:00"}"#,
    ] {
        assert!(serde_json::from_str::<Schedule>(text).is_err(), "{text}");
    }
}

/// The external form is what files hold: it may grow, but what was written once keeps its meaning.
#[test]
fn the_external_form_is_stable() {
    let rows = [
        (
            ScheduleForm::weekly(&["Fri", "MON"], "22:00")
                .ending("06:00")
                .in_zone("Europe/Berlin")
                .effective_from("2026-01-05"),
            json!({"repeat": {"kind": "weekly", "days": ["monday", "friday"], "every_weeks": 1}, "zone": "Europe/Berlin",
                "start": "22:00", "end": "06:00", "from": "2026-01-05", "week_start": "monday"}),
        ),
        (
            ScheduleForm::yearly("Last Fri", &["dec", "mar"], "01:00"),
            json!({"repeat": {"kind": "yearly", "on": "last friday", "months": ["march", "december"]}, "zone": "UTC",
                "start": "01:00", "week_start": "monday"}),
        ),
        (
            ScheduleForm::after("nightly"),
            json!({"repeat": {"kind": "after", "job": "nightly", "delay_minutes": 0, "outcomes": ["complete"]},
                "zone": "UTC", "week_start": "monday"}),
        ),
        (
            ScheduleForm::manual(),
            json!({"repeat": {"kind": "manual"}, "zone": "UTC", "week_start": "monday"}),
        ),
    ];
    for (form, expected) in rows {
        let schedule = checked(form);
        assert_eq!(serde_json::to_value(&schedule).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Schedule>(expected).unwrap(), schedule);
    }
}

#[test]
fn every_schedule_survives_being_written_and_read() {
    let mut random = Random::new("every_schedule_survives", 3);
    for _ in 0..2_000 {
        let zone = random.pick(&ODD_ZONES);
        let schedule = checked(random_form(&mut random, zone));
        let text = serde_json::to_string(&schedule).unwrap();
        assert_eq!(
            serde_json::from_str::<Schedule>(&text).unwrap(),
            schedule,
            "{text}"
        );
        assert_eq!(checked(schedule.form()), schedule, "{text}");
    }
}

/// Values that somebody who means harm would try, anywhere.
fn nasty(random: &mut Random) -> Value {
    let values = [
        json!(null),
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("00:00"),
        json!("23:59"),
        json!("9999-12-31"),
        json!("1970-01-01"),
        json!("-0001-01-01"),
        json!("2024-02-29"),
        json!("day 31"),
        json!("last day"),
        json!("first ünday"),
        json!("\u{0}"),
        json!("Pacific/Apia"),
        json!("monday"),
        json!([]),
        json!(["monday", "monday"]),
        json!(["february"]),
        json!(["stopped"]),
        json!({}),
        json!({"kind": "manual"}),
        json!({"kind": "periodic", "every_minutes": 1440}),
        json!({"kind": "daily", "every_days": 365}),
        json!({"kind": "monthly", "on": "day 31", "every_months": 60}),
    ];
    random.pick(&values)
}

/// Damages one place of a form: another value, a missing field, a foreign one, one more digit.
fn mutate(random: &mut Random, value: &mut Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() && random.chance(80) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = random.pick(&keys);
            match random.below(10) {
                0 => drop(fields.remove(&key)),
                1 => drop(fields.insert("more".to_owned(), nasty(random))),
                _ => mutate(random, fields.get_mut(&key).unwrap()),
            }
        }
        Value::String(text) if random.chance(50) => {
            let place = random.below(text.chars().count() as i64 + 1) as usize;
            let mut chars: Vec<char> = text.chars().collect();
            chars.insert(place, random.pick(&['0', '9', ' ', '-', '+', ':', 'ß', '\u{0}']));
            *text = chars.into_iter().collect();
        }
        Value::Number(_) if random.chance(50) => *value = json!(random.next() as i64),
        other => *other = nasty(random),
    }
}

/// Whatever is read either becomes a schedule that answers every question, or an error.
#[test]
fn nothing_that_can_be_read_panics() {
    let mut random = Random::new("nothing_that_can_be_read_panics", 7);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..if full() { 500_000 } else { 20_000 } {
        let zone = random.pick(&ODD_ZONES);
        let mut value = serde_json::to_value(random_form(&mut random, zone)).unwrap();
        for _ in 0..random.below(4) {
            mutate(&mut random, &mut value);
        }
        let Ok(schedule) = serde_json::from_value::<Schedule>(value) else {
            bad += 1;
            continue;
        };
        good += 1;
        let moments = [
            DateTime::<Utc>::MIN_UTC,
            DateTime::<Utc>::MAX_UTC,
            at("2026-11-01T05:30:00Z"),
        ];
        let moment = random.pick(&moments);
        let _ = schedule.last_until(moment);
        if let Some(next) = schedule.next_after(moment) {
            assert!(
                next.start > moment && next.end.is_none_or(|end| end > next.start),
                "{schedule:?}"
            );
            assert_eq!(
                schedule.last_until(next.start).map(|last| last.start),
                Some(next.start),
                "{schedule:?}"
            );
        }
    }
    println!("counts: forms schedules={good} refused={bad}");
    assert!(good > 1_000 && bad > 1_000);
}

#[test]
fn several_schedules_are_one_timetable() {
    let table = Timetable::new(vec![
        checked(ScheduleForm::daily("01:00").ending("02:00")),
        checked(ScheduleForm::weekly(&["sunday"], "01:00").ending("05:00")),
        checked(ScheduleForm::monthly("day 1", "12:00")),
        checked(ScheduleForm::manual()),
        checked(ScheduleForm::after("other")),
    ])
    .unwrap();
    let starts: Vec<String> = table
        .occurrences(at("2026-10-31T00:00:00Z"))
        .take(4)
        .map(|o| {
            format!(
                "{} to {:?}",
                o.start.format("%d %H"),
                o.end.map(|end| end.format("%H").to_string())
            )
        })
        .collect();
    // 1 November 2026 is a Sunday.
    let expected = [
        r#"31 01 to Some("02")"#,
        r#"01 01 to Some("05")"#,
        r#"01 12 to None"#,
        r#"02 01 to Some("02")"#,
    ];
    assert_eq!(starts, expected);
    assert_eq!(
        table.count(at("2026-10-31T00:00:00Z"), at("2026-11-01T23:00:00Z")),
        4
    );

    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<Timetable>(&text).unwrap(), table);
    let many = vec![checked(ScheduleForm::manual()); MAX_SCHEDULES + 1];
    let error = Timetable::new(many.clone()).unwrap_err();
    assert_eq!(error.to_string(), "schedules = 33 schedules: expected at most 32");
    assert!(serde_json::from_value::<Timetable>(serde_json::to_value(many).unwrap()).is_err());
    assert_eq!(Timetable::default().next_after(at("2026-10-31T00:00:00Z")), None);
}

#[test]
fn a_timetable_has_the_occurrences_of_all_its_schedules() {
    let mut random = Random::new("a_timetable", 6);
    for _ in 0..200 {
        let zone = random.pick(&ODD_ZONES);
        let forms = (0..random.below(5)).map(|_| checked(random_form(&mut random, zone)));
        let schedules: Vec<Schedule> = forms.collect();
        let table = Timetable::new(schedules.clone()).unwrap();
        let (from, to) = (at("2010-01-01T00:00:00Z"), at("2010-03-01T00:00:00Z"));
        let mut all: BTreeMap<DateTime<Utc>, Option<DateTime<Utc>>> = BTreeMap::new();
        for one in schedules.iter().flat_map(|schedule| schedule.between(from, to)) {
            let end = all.entry(one.start).or_insert(one.end);
            *end = end.zip(one.end).map(|(a, b)| a.max(b));
        }
        let ours = table.occurrences(from - TimeDelta::nanoseconds(1));
        let ours = ours
            .map(|one| (one.start, one.end))
            .take_while(|(start, _)| *start < to);
        assert_eq!(ours.collect::<BTreeMap<_, _>>(), all, "{table:?}");
    }
}

#[test]
fn every_kind_has_the_name_that_its_form_has() {
    for repeat in [
        Repeat::Manual,
        ScheduleForm::periodic(5).repeat,
        ScheduleForm::after("a").repeat,
    ] {
        let kind = repeat.kind();
        assert_eq!(serde_json::to_value(&repeat).unwrap()["kind"], kind);
    }
    let not_used = ScheduleForm::manual()
        .effective_from("2026-01-01")
        .check()
        .unwrap_err();
    let (field, kind) = ("from", "manual");
    assert_eq!(not_used, ScheduleError::NotUsed { field, kind });
}
