//! The way back.

use nakivo_core::connector::OnConflict;
use nakivo_core::recovery::{ItemOutcome, PlannedAction, RecoveryReport, Selection, Target};
use nakivo_graph_connector::MailboxService;
use nakivo_graph_emulator::{Action, Calendars, EventTruth, FaultBody};
use serde_json::{Value, json};

use super::{Lab, day, lab, series, single};
use crate::lab::{Truth, places, status, stride};

fn all() -> Selection {
    Selection::Paths(vec!["Calendar".to_owned()])
}

fn not_carried(report: &RecoveryReport) -> Vec<&str> {
    let lines = report.items.iter().flat_map(|item| match &item.outcome {
        ItemOutcome::Recovered(recovered) => recovered.not_carried.as_slice(),
        _ => &[],
    });
    lines.map(String::as_str).collect()
}

/// What people see of an event, who took part aside.
fn essence_of(one: &EventTruth, calendars: &Calendars) -> Value {
    let calendar = calendars.calendars().unwrap();
    let calendar = calendar.into_iter().find(|(id, _)| *id == one.calendar_id);
    let mut seen = json!({ "calendar": calendar.unwrap().1, "cancelled": one.cancelled, "files": [] });
    let empty = [
        ("subject", json!("")),
        ("start", json!({})),
        ("end", json!({})),
        ("body", json!({"contentType": "html", "content": ""})),
        ("recurrence", json!(null)),
        ("categories", json!([])),
        ("showAs", json!("busy")),
    ];
    for (name, empty) in empty {
        seen[name] = Some(&one.fields[name])
            .filter(|value| !value.is_null())
            .unwrap_or(&empty)
            .clone();
    }
    seen["location"] = json!(one.fields["location"]["displayName"].as_str().unwrap_or_default());
    for time in ["start", "end"] {
        let text = seen[time]["dateTime"].as_str().unwrap()[..19].to_owned();
        seen[time]["dateTime"] = json!(text);
    }
    let changed = one
        .exceptions
        .iter()
        .map(|(day, fields)| (day, fields["subject"].clone()));
    seen["changed"] = json!(changed.collect::<std::collections::BTreeMap<_, _>>());
    let files: Vec<Value> = one
        .attachments
        .iter()
        .map(|(name, bytes)| {
            json!([
                name,
                bytes.len(),
                bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>()
            ])
        })
        .collect();
    seen["files"] = json!(files);
    seen
}

fn essence(calendars: &Calendars) -> Vec<String> {
    let all = calendars.all().unwrap();
    let mut out: Vec<String> = all
        .iter()
        .map(|one| essence_of(one, calendars).to_string())
        .collect();
    out.sort();
    out
}

/// Two calendars with single events, a series with a changed, a moved and a cancelled day, and files.
async fn filled(large: usize) -> (Lab, Calendars) {
    let (lab, calendars) = lab().await;
    calendars.create_calendar("Work", Some("Other")).unwrap();
    for n in 0..6 {
        calendars.add(["", "Work"][n as usize % 2], single(n)).unwrap();
    }
    calendars
        .add(
            "",
            json!({"subject": "Holiday", "isAllDay": true, "categories": ["Red", "Blue"], "showAs": "oof",
            "location": {"displayName": "At home"},
            "start": {"dateTime": "2026-05-01T00:00:00", "timeZone": "W. Europe Standard Time"},
            "end": {"dateTime": "2026-05-02T00:00:00", "timeZone": "W. Europe Standard Time"}}),
        )
        .unwrap();
    let master = calendars.add("Work", series()).unwrap();
    calendars
        .edit(&master, Some(day("2026-03-30")), json!({"subject": "Later"}))
        .unwrap();
    let moved = json!({"subject": "Moved",
        "start": {"dateTime": "2026-04-14T10:00:00", "timeZone": "W. Europe Standard Time"},
        "end": {"dateTime": "2026-04-14T10:30:00", "timeZone": "W. Europe Standard Time"}});
    calendars.edit(&master, Some(day("2026-04-13")), moved).unwrap();
    calendars.cancel(&master, day("2026-04-06")).unwrap();
    calendars.attach(&master, "agenda.txt", vec![7u8; 3000]).unwrap();
    let single = calendars.all().unwrap()[0].id.clone();
    calendars.attach(&single, "large.bin", vec![9u8; large]).unwrap();
    (lab, calendars)
}

fn wipe(calendars: &Calendars) {
    for one in calendars.all().unwrap() {
        calendars.delete(&one.id).unwrap();
    }
}

#[tokio::test]
async fn deleted_events_come_back_with_their_calendars_days_and_files() {
    let (lab, calendars) = filled(5 << 20).await;
    let before = essence(&calendars);
    lab.back_up_and_compare().await;
    let plan = lab.plan(all(), Target::Original, OnConflict::Rename).await;
    let identical = |plan: &[_]| plan.iter().all(|action| *action == PlannedAction::SkipIdentical);
    let actions: Vec<_> = plan.items.iter().map(|item| item.action.clone()).collect();
    assert!(identical(&actions), "{actions:?}");
    wipe(&calendars);
    calendars.delete_calendar("Work").unwrap();
    let report = lab.recover(all(), Target::Original, OnConflict::Rename).await;
    assert_eq!(report.counts.failed, 0, "{:#?}", report.items);
    assert_eq!(essence(&calendars), before);
    assert_eq!(calendars.invitations().unwrap(), 0, "nobody is invited");
    let lost = not_carried(&report);
    assert_eq!(
        lost.iter()
            .filter(|line| **line == "attendees: 1, not invited again")
            .count(),
        6,
        "{lost:?}"
    );
    assert_eq!(
        lost.iter()
            .filter(|line| **line == "shoeSize: Graph does not take it")
            .count(),
        6,
        "{lost:?}"
    );
    assert_eq!(lost.len(), 12, "{lost:?}");
    let again = lab.recover(all(), Target::Original, OnConflict::Rename).await;
    assert_eq!(
        again.counts.recovered, 0,
        "everything is there already: {:#?}",
        again.items
    );
    assert_eq!(essence(&calendars), before);
}

#[tokio::test]
async fn to_another_mailbox() {
    let (lab, calendars) = filled(5 << 20).await;
    lab.back_up_and_compare().await;
    let mailboxes = lab.bench.emulator.mailboxes();
    let other = lab.bench.emulator.calendars(mailboxes[1].address()).unwrap();
    let target = lab.connector.find_object(mailboxes[1].address()).await.unwrap();
    let report = lab
        .recover(all(), Target::Object(target), OnConflict::Rename)
        .await;
    assert_eq!(report.counts.failed, 0, "{:#?}", report.items);
    assert_eq!(essence(&other), essence(&calendars));
    assert_eq!(other.invitations().unwrap(), 0);
}

#[tokio::test]
async fn what_changed_is_renamed_skipped_or_overwritten() {
    let (lab, calendars) = lab().await;
    let alone = json!({"subject": "Dentist", "body": {"contentType": "text", "content": "Floor 2"},
        "start": {"dateTime": "2026-03-05T09:00:00", "timeZone": "UTC"}, "end": {"dateTime": "2026-03-05T10:00:00", "timeZone": "UTC"}});
    let id = calendars.add("", alone.clone()).unwrap();
    // Of the same name at another time: another event.
    let mut other = alone.clone();
    other["start"]["dateTime"] = json!("2026-03-04T09:00:00");
    calendars.add("", other).unwrap();
    lab.back_up_and_compare().await;
    calendars
        .edit(
            &id,
            None,
            json!({"body": {"contentType": "text", "content": "Floor 3"}}),
        )
        .unwrap();
    let path = || Selection::Ids(vec![id.clone()]);
    let plan = lab.plan(path(), Target::Original, OnConflict::Skip).await;
    let PlannedAction::SkipExisting { difference } = &plan.items[0].action else {
        panic!("{:?}", plan.items);
    };
    assert_eq!(difference, "body");
    let report = lab.recover(path(), Target::Original, OnConflict::Rename).await;
    assert_eq!(report.counts.recovered, 1, "{:#?}", report.items);
    let subjects = || {
        let mut all: Vec<String> = calendars
            .all()
            .unwrap()
            .iter()
            .map(|one| {
                format!(
                    "{} {}",
                    one.fields["subject"].as_str().unwrap(),
                    one.fields["body"]["content"]
                )
            })
            .collect();
        all.sort();
        all
    };
    let renamed = subjects();
    assert!(
        renamed
            .iter()
            .any(|one| one.starts_with("Dentist (recovered 2") && one.ends_with("\"Floor 2\"")),
        "{renamed:?}"
    );
    assert!(renamed.contains(&"Dentist \"Floor 3\"".to_owned()), "{renamed:?}");
    let report = lab.recover(path(), Target::Original, OnConflict::Overwrite).await;
    assert_eq!(report.counts.recovered, 1, "{:#?}", report.items);
    assert!(
        !subjects().iter().any(|one| one.contains("Floor 3")),
        "{:?}",
        subjects()
    );
    assert_eq!(calendars.invitations().unwrap(), 0);
}

#[tokio::test]
async fn a_meeting_whose_guests_would_be_told_is_not_replaced() {
    let (lab, calendars) = lab().await;
    let id = calendars.add("", single(1)).unwrap();
    lab.back_up_and_compare().await;
    calendars.edit(&id, None, json!({"subject": "Changed"})).unwrap();
    let report = lab.recover(all(), Target::Original, OnConflict::Overwrite).await;
    let ItemOutcome::Failed { message, .. } = &report.items[0].outcome else {
        panic!("{:?}", report.items);
    };
    assert!(message.contains("attendees"), "{message}");
    let there = calendars.all().unwrap();
    assert_eq!((there.len(), &there[0].fields["subject"]), (1, &json!("Changed")));
    assert_eq!(calendars.invitations().unwrap(), 0);
}

/// Each event once, whatever happens to one request.
#[tokio::test]
async fn every_fault_at_every_request() {
    let (mut lab, calendars) = filled(2000).await;
    lab.reads(&[MailboxService::Calendar]);
    lab.back_up_and_compare().await;
    let before = essence(&calendars);
    wipe(&calendars);
    lab.bench.emulator.requests().clear();
    lab.recover(all(), Target::Original, OnConflict::Rename).await;
    let requests = lab.bench.emulator.requests().count();
    let kinds = [
        status(429, FaultBody::Envelope, None),
        status(500, FaultBody::Envelope, None),
        status(504, FaultBody::Empty, None),
        Action::AfterSuccess { status: 500 },
        Action::ResetAfterSuccess,
        Action::Reset,
    ];
    let mut runs = 0;
    for (number, kind) in kinds.iter().enumerate() {
        for n in places(requests, number, stride(20)) {
            wipe(&calendars);
            lab.bench.break_request(kind, n);
            let report = lab.recover(all(), Target::Original, OnConflict::Rename).await;
            lab.bench.emulator.faults().clear();
            if report.counts.failed > 0 {
                // What failed is listed, and the next try brings it, without doubles.
                let again = lab.recover(all(), Target::Original, OnConflict::Rename).await;
                assert_eq!(again.counts.failed, 0, "{kind:?} at {n}: {:#?}", again.items);
            }
            assert_eq!(
                essence(&calendars),
                before,
                "{kind:?} at {n}: {:#?}",
                report.items
            );
            runs += 1;
        }
    }
    assert_eq!(calendars.invitations().unwrap(), 0);
    println!("{runs} recoveries with {requests} requests");
}
