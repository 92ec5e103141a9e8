//! Events from the emulator into a repository: listed, followed, their exceptions and files, faults and random histories.

mod recovery;

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::NaiveDate;
use nakivo_core::format::record::{ItemKind, ItemRecord};
use nakivo_graph_connector::MailboxService;
use nakivo_graph_emulator::{Action, Calendars, Damage, Emulator, FaultBody};
use serde_json::{Value, json};

use crate::bench::{Bench, TestRng, seed};
use crate::lab::{self, Truth, account, is_a_lab, part, status, walk};

struct Held {
    record: ItemRecord,
    json: Value,
    calendar: String,
    files: Vec<Bytes>,
}

struct Lab {
    common: lab::Lab,
    calendars: Calendars,
}

is_a_lab!(Lab);

impl Lab {
    async fn new() -> Self {
        let bench = Bench::with(Emulator::builder().seed(seed()).users(2)).await;
        let account = account(&bench, &MailboxService::ALL);
        let address = bench.mailbox().address().to_owned();
        Self {
            calendars: bench.emulator.calendars(&address).unwrap(),
            common: lab::Lab::new(bench, account, &address).await,
        }
    }
}

async fn lab() -> (Lab, Calendars) {
    let lab = Lab::new().await;
    let address = lab.bench.mailbox().address().to_owned();
    let calendars = lab.bench.emulator.calendars(&address).unwrap();
    (lab, calendars)
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn single(n: u64) -> Value {
    let hour = n % 23;
    json!({"subject": format!("Event {n}"), "start": {"dateTime": format!("2026-03-0{}T{hour:02}:00:00", 1 + n % 9), "timeZone": "FLE Standard Time"},
        "end": {"dateTime": format!("2026-03-0{}T{hour:02}:30:00", 1 + n % 9), "timeZone": "FLE Standard Time"},
        "body": {"contentType": "html", "content": "<p>Bring; tea,\\milk</p>"}, "shoeSize": n,
        "attendees": [{"type": "required", "emailAddress": {"name": "A", "address": "a@x.org"}}]})
}

fn series() -> Value {
    json!({"subject": "Stand-up", "start": {"dateTime": "2026-03-23T09:00:00", "timeZone": "W. Europe Standard Time"},
        "end": {"dateTime": "2026-03-23T09:30:00", "timeZone": "W. Europe Standard Time"},
        "recurrence": {"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"], "firstDayOfWeek": "monday"},
            "range": {"type": "noEnd", "startDate": "2026-03-23"}}})
}

async fn held(lab: &Lab) -> BTreeMap<String, Held> {
    let view = lab.view();
    let mut out = BTreeMap::new();
    for (_, record) in walk(&view).await {
        if record.kind != ItemKind::Event {
            continue;
        }
        let mut files = Vec::new();
        for stored in &record.parts {
            if stored.name.starts_with("attachment-") {
                files.push(part(&view, &record, &stored.name).await);
            }
        }
        let calendar = part(&view, &record, "icalendar").await;
        let held = Held {
            json: serde_json::from_slice(&part(&view, &record, "json").await).unwrap(),
            calendar: String::from_utf8(calendar.to_vec()).unwrap(),
            files,
            record,
        };
        assert!(out.insert(held.record.id.clone(), held).is_none());
    }
    out
}

impl Truth for Lab {
    async fn assert_truth(&self) {
        let held = held(self).await;
        let truth = self.calendars.all().unwrap();
        assert_eq!(held.len(), truth.len());
        for one in &truth {
            let stored = &held[&one.id];
            assert_eq!(stored.record.container, format!("calendar:{}", one.calendar_id));
            for (name, value) in one.fields.as_object().unwrap() {
                if matches!(name.as_str(), "start" | "end") {
                    let local = value["dateTime"].as_str().unwrap();
                    assert!(
                        stored.json[name]["dateTime"].as_str().unwrap().starts_with(local),
                        "wall clock of {name}"
                    );
                    assert_eq!(stored.json[name]["timeZone"], value["timeZone"]);
                } else {
                    assert_eq!(&stored.json[name], value, "{name}");
                }
            }
            let exceptions = stored.json["exceptionOccurrences"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let there: Vec<&Value> = one
                .exceptions
                .iter()
                .filter(|(day, _)| !one.cancelled.contains(*day))
                .map(|(_, fields)| &fields["subject"])
                .collect();
            assert_eq!(
                exceptions.iter().map(|one| &one["subject"]).collect::<Vec<_>>(),
                there
            );
            let cancelled = stored.json["cancelledOccurrences"].as_array().map_or(0, Vec::len);
            assert_eq!(cancelled, one.cancelled.len());
            let files: Vec<&Bytes> = one.attachments.iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(stored.files.iter().collect::<Vec<_>>(), files);
            assert_eq!(stored.calendar.matches("BEGIN:VEVENT").count(), 1 + there.len());
        }
    }
}

#[tokio::test]
async fn events_of_every_own_calendar_are_read_and_followed() {
    let (lab, calendars) = lab().await;
    calendars.create_calendar("Work", None).unwrap();
    calendars.create_calendar("Birthdays", Some("Other")).unwrap();
    for n in 0..25 {
        let calendar = ["", "Work", "Birthdays"][n as usize % 3];
        calendars.add(calendar, single(n)).unwrap();
    }
    let master = calendars.add("", series()).unwrap();
    calendars
        .edit(&master, Some(day("2026-03-30")), json!({"subject": "Later"}))
        .unwrap();
    calendars.cancel(&master, day("2026-04-06")).unwrap();
    calendars
        .attach(&master, "agenda.bin", vec![7u8; 300_000])
        .unwrap();
    calendars
        .attach(&master, "minutes.bin", vec![8u8; 5 << 20])
        .unwrap();
    // Of others, and left out.
    calendars.share_calendar("Kids", "alex@x.org").unwrap();
    lab.bench.emulator.set(|settings| settings.read_only_guard = true);
    lab.back_up_and_compare().await;
    let stored = held(&lab).await;
    let text = &stored[&master].calendar;
    for line in [
        "RRULE:FREQ=WEEKLY;BYDAY=MO;INTERVAL=1;WKST=MO",
        "DTSTART;TZID=\"W. Europe Standard Time\":20260323T090000",
        "EXDATE;TZID=\"W. Europe Standard Time\":20260406T090000",
        "RECURRENCE-ID:20260330T070000Z",
    ] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
    }
    let first = stored.values().find(|one| one.record.name == "Event 3").unwrap();
    assert!(
        first.calendar.contains("\r\nDTSTART:20260304T010000Z\r\n"),
        "{}",
        first.calendar
    );

    let second = lab.back_up_and_compare().await;
    assert_eq!(
        (second.counts.added, second.counts.changed, second.counts.removed),
        (0, 0, 0)
    );
    let all = calendars.all().unwrap();
    calendars
        .edit(&all[0].id, None, json!({"subject": "Changed"}))
        .unwrap();
    calendars.relocate(&all[1].id, "Birthdays").unwrap();
    calendars.delete(&all[2].id).unwrap();
    calendars
        .edit_occurrence_silently(&master, day("2026-04-13"), json!({"subject": "In silence"}))
        .unwrap();
    let third = lab.back_up_and_compare().await;
    assert_eq!(third.counts.removed, 1);
    calendars.delete_calendar("Work").unwrap();
    lab.back_up_and_compare().await;
    assert_eq!(calendars.invitations().unwrap(), 0);
}

#[tokio::test]
async fn a_service_that_does_not_tell_exceptions_is_not_believed() {
    let (lab, calendars) = lab().await;
    lab.bench
        .emulator
        .set(|settings| settings.exceptions_are_told = false);
    let master = calendars.add("", series()).unwrap();
    for _ in 0..2 {
        let report = lab.back_up().await.unwrap();
        assert!(report.issues.is_empty(), "{:#?}", report.issues);
        assert_eq!(report.counts.added + report.counts.changed, 1, "read in each run");
        let held = held(&lab).await;
        assert!(held[&master].record.properties.contains_key("exceptions_unknown"));
    }
    lab.bench
        .emulator
        .set(|settings| settings.exceptions_are_told = true);
    lab.back_up_and_compare().await;
    assert_eq!(lab.back_up().await.unwrap().counts.changed, 0);
}

#[tokio::test]
async fn random_histories_end_in_the_truth() {
    let rng = TestRng::new(seed());
    let (lab, calendars) = lab().await;
    let mut edits = 0;
    for _ in 0..25 {
        for _ in 0..rng.below(6) {
            edits += 1;
            let all = calendars.all().unwrap();
            let places = calendars.calendars().unwrap();
            let place = places[rng.below(places.len())].0.clone();
            let one = || all[rng.below(all.len())].clone();
            let date = day("2026-03-23") + chrono::Days::new(7 * rng.below(8) as u64);
            match rng.below(10) {
                0 | 1 => drop(calendars.add(&place, single(edits)).unwrap()),
                2 => drop(calendars.add(&place, series()).unwrap()),
                3 if !all.is_empty() => {
                    calendars
                        .edit(&one().id, None, json!({"subject": format!("S{edits}")}))
                        .unwrap();
                }
                4 if !all.is_empty() => calendars.relocate(&one().id, &place).unwrap(),
                5 if !all.is_empty() => calendars.delete(&one().id).unwrap(),
                6 => drop(calendars.create_calendar(&format!("C{edits}"), None).unwrap()),
                7 if place != places[0].0 => calendars.delete_calendar(&place).unwrap(),
                _ => {
                    let of_series = all.iter().find(|one| one.fields.get("recurrence").is_some());
                    match of_series {
                        Some(one) if one.cancelled.contains(&date) => {}
                        Some(one) if edits % 3 == 0 => calendars.cancel(&one.id, date).unwrap(),
                        Some(one) => {
                            let fields = json!({"subject": format!("E{edits}")});
                            calendars.edit_occurrence_silently(&one.id, date, fields).unwrap();
                        }
                        None => {}
                    }
                }
            }
        }
        lab.back_up_and_compare().await;
    }
    println!("25 runs, {edits} edits, no difference");
}

#[tokio::test]
async fn every_passing_fault_at_every_request() {
    let (mut lab, calendars) = lab().await;
    calendars.create_calendar("Work", Some("Other")).unwrap();
    for n in 0..3 {
        calendars.add("Work", single(n)).unwrap();
    }
    let master = calendars.add("", series()).unwrap();
    calendars
        .edit(&master, Some(day("2026-03-30")), json!({"subject": "Later"}))
        .unwrap();
    calendars.attach(&master, "agenda.txt", vec![7u8; 3000]).unwrap();
    lab.reads(&[MailboxService::Calendar]);
    let kinds = [
        status(429, FaultBody::Envelope, None),
        status(500, FaultBody::Envelope, None),
        status(502, FaultBody::Html, None),
        status(504, FaultBody::Empty, None),
        status(200, FaultBody::Html, None),
        status(401, FaultBody::Envelope, None),
        Action::Reset,
        Action::Damage(Damage::CutAt(60)),
    ];
    lab.survive(&kinds, 2).await;
}
