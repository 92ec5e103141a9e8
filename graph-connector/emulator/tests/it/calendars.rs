//! Calendars: groups, events, series with exceptions, zones, attachments, what must not happen.

use nakivo_graph_emulator::{App, Calendars, Emulator};
use serde_json::{Value, json};

use crate::client::{Client, encode, send};
use crate::conformance::{facts, read, same_shape};

async fn client() -> (Client, Calendars, String) {
    let c = Client::start(Emulator::builder().users(2)).await.immutable();
    let me = c.me();
    let calendars = c
        .emulator
        .calendars(c.emulator.mailboxes()[0].address())
        .expect("calendars");
    (c, calendars, me)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn weekly() -> Value {
    json!({"subject": "Stand-up", "start": {"dateTime": "2026-03-23T09:00:00", "timeZone": "W. Europe Standard Time"},
        "end": {"dateTime": "2026-03-23T09:30:00", "timeZone": "W. Europe Standard Time"},
        "recurrence": {"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
            "range": {"type": "numbered", "startDate": "2026-03-23", "numberOfOccurrences": 4}}})
}

#[tokio::test]
async fn a_series_keeps_its_local_time_and_its_exceptions() {
    let (c, _, me) = client().await;
    let made = c
        .post(&format!("{me}/events"), &weekly())
        .await
        .expect(201)
        .json();
    assert_eq!(
        (text(&made, "type"), text(&made["start"], "dateTime")),
        ("seriesMaster".into(), "2026-03-23T08:00:00.0000000".into())
    );
    let path = format!("{me}/events/{}", text(&made, "id"));
    let window = "instances?startDateTime=2026-03-01T00:00:00Z&endDateTime=2026-05-01T00:00:00Z";
    let all = c.all(&format!("{path}/{window}")).await;
    let starts: Vec<String> = all
        .iter()
        .map(|one| text(&one["start"], "dateTime")[..16].to_owned())
        .collect();
    assert_eq!(
        starts,
        [
            "2026-03-23T08:00",
            "2026-03-30T07:00",
            "2026-04-06T07:00",
            "2026-04-13T07:00"
        ],
        "summer time"
    );

    let second = format!("{me}/events/{}", text(&all[1], "id"));
    let moved = json!({"subject": "Later", "start": {"dateTime": "2026-03-30T11:00:00", "timeZone": "W. Europe Standard Time"},
        "end": {"dateTime": "2026-03-30T11:30:00", "timeZone": "W. Europe Standard Time"}});
    let changed = c.patch(&second, &moved).await.expect(200).json();
    assert_eq!(
        (text(&changed, "type"), text(&changed, "originalStart")),
        ("exception".into(), "2026-03-30T07:00:00Z".into())
    );
    c.delete(&format!("{me}/events/{}", text(&all[2], "id")))
        .await
        .expect(204);
    let master = c
        .get(&format!("{path}?$expand=exceptionOccurrences"))
        .await
        .expect(200)
        .json();
    assert_ne!(master["changeKey"], made["changeKey"]);
    assert_eq!(text(&master["exceptionOccurrences"][0], "subject"), "Later");
    assert!(
        master["cancelledOccurrences"][0]
            .as_str()
            .expect("one")
            .ends_with(".2026-04-06")
    );
    assert_eq!(c.all(&format!("{path}/{window}")).await.len(), 3);
    let view =
        format!("{me}/calendarView?startDateTime=2026-03-30T00:00:00Z&endDateTime=2026-04-07T00:00:00Z");
    assert_eq!(c.all(&view).await.len(), 1);
    c.get(&format!("{me}/calendarView")).await.expect(400);

    let request = c
        .request("GET", &path)
        .header("Prefer", "outlook.timezone=\"W. Europe Standard Time\"");
    let local = send(request).await.expect(200).json();
    assert_eq!(text(&local["start"], "dateTime"), "2026-03-23T09:00:00.0000000");
    let paged = c.all(&format!("{path}/{window}&$top=2")).await;
    assert_eq!(paged.len(), 3);
}

#[tokio::test]
async fn what_outlook_refuses_counts_and_repeats() {
    let (c, calendars, me) = client().await;
    let time = |text: &str| json!({"dateTime": text, "timeZone": "UTC"});
    let good = json!({"subject": "x", "start": time("2026-01-05T08:00:00"), "end": time("2026-01-05T09:00:00"), "transactionId": "t1"});
    let with = |name: &str, value: Value| {
        let mut event = good.clone();
        event[name] = value;
        event
    };
    for bad in [
        with("end", time("2026-01-05T07:00:00")),
        with(
            "start",
            json!({"dateTime": "2026-01-05T08:00:00", "timeZone": "tzone://Microsoft/Custom"}),
        ),
        with("isAllDay", json!(true)),
        with("isOrganizer", json!(true)),
        with("showAs", json!("sleeping")),
        with("shoeSize", json!(43)),
        with(
            "recurrence",
            json!({"pattern": {"type": "daily", "interval": 1}, "range": {"type": "noEnd", "startDate": "2026-01-06"}}),
        ),
    ] {
        c.post(&format!("{me}/events"), &bad).await.expect(400);
    }
    let first = c.post(&format!("{me}/events"), &good).await.expect(201).json();
    let again = c.post(&format!("{me}/events"), &good).await.expect(201).json();
    assert_eq!(first["id"], again["id"], "the same transaction");
    assert_eq!(calendars.invitations().expect("a number"), 0);
    let attendees = json!([{"emailAddress": {"address": "a@b.org"}, "type": "required"}]);
    c.patch(
        &format!("{me}/events/{}", text(&first, "id")),
        &json!({"attendees": attendees}),
    )
    .await
    .expect(200);
    assert_eq!(calendars.invitations().expect("a number"), 1);
}

#[tokio::test]
async fn groups_calendars_and_attachments() {
    let (mut c, calendars, me) = client().await;
    calendars.create_calendar("Work", None).expect("made");
    calendars
        .create_calendar("Birthdays", Some("Other"))
        .expect("made");
    let shared = calendars.share_calendar("Kids", "alex@x.org").expect("made");
    assert_eq!(
        c.all(&format!("{me}/calendars")).await.len(),
        3,
        "those of the first group"
    );
    let groups = c.all(&format!("{me}/calendarGroups")).await;
    assert_eq!(groups.len(), 2);
    let other = c
        .all(&format!(
            "{me}/calendarGroups/{}/calendars",
            text(&groups[1], "id")
        ))
        .await;
    assert_eq!(text(&other[0], "name"), "Birthdays");
    c.emulator
        .set(|settings| settings.list_calendars_of_all_groups = true);
    assert_eq!(c.all(&format!("{me}/calendars")).await.len(), 4);
    c.post(&format!("{me}/calendars/{shared}/events"), &weekly())
        .await
        .expect(403);

    let event = c
        .post(
            &format!("{me}/calendars/{}/events", text(&other[0], "id")),
            &weekly(),
        )
        .await
        .expect(201)
        .json();
    let path = format!("{me}/events/{}", text(&event, "id"));
    assert_eq!(
        text(
            &c.get(&format!("{path}/calendar")).await.expect(200).json(),
            "name"
        ),
        "Birthdays"
    );
    let file =
        json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGk="});
    let made = c
        .post(&format!("{path}/attachments"), &file)
        .await
        .expect(201)
        .json();
    let value = c
        .get(&format!(
            "{path}/attachments/{}/$value",
            encode(&text(&made, "id"))
        ))
        .await
        .expect(200);
    assert_eq!(value.body, b"hi");
    assert_eq!(c.get(&path).await.expect(200).json()["hasAttachments"], true);

    if let Some(facts) = facts() {
        for (name, path) in [
            ("calendars--list", format!("{me}/calendars")),
            ("calendars--groups", format!("{me}/calendarGroups")),
            (
                "events--list",
                format!("{me}/calendars/{}/events", text(&other[0], "id")),
            ),
        ] {
            let published = read(facts.join(format!("examples/{name}.json")));
            let mut wrong = Vec::new();
            same_shape(
                &c.get(&path).await.json(),
                &published["response_body"],
                name,
                &mut wrong,
            );
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    }
    c.emulator
        .register(App::new("mail").secret("s").role("Mail.ReadWrite"));
    c.token = c.fetch_token("mail", "s").await;
    for path in ["calendars", "events", "calendarGroups"] {
        c.get(&format!("{me}/{path}")).await.expect(403);
    }
}
