//! What an event may be made of, and on which days a series takes place.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use crate::http::reply::GraphError;
use crate::outlook::recurrence::Recurrence;
use crate::outlook::store::{Item, Object};
use crate::outlook::zone;

/// JSON kinds of properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Texts,
    Flag,
    Number,
    Object,
    Objects,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// What a client may set.
const TAKEN: [(&str, Kind); 22] = [
    ("subject", Kind::Text),
    ("body", Kind::Object),
    ("start", Kind::Object),
    ("end", Kind::Object),
    ("location", Kind::Object),
    ("locations", Kind::Objects),
    ("attendees", Kind::Objects),
    ("recurrence", Kind::Object),
    ("categories", Kind::Texts),
    ("isAllDay", Kind::Flag),
    ("isReminderOn", Kind::Flag),
    ("reminderMinutesBeforeStart", Kind::Number),
    ("responseRequested", Kind::Flag),
    ("hideAttendees", Kind::Flag),
    ("allowNewTimeProposals", Kind::Flag),
    ("isOnlineMeeting", Kind::Flag),
    ("onlineMeetingProvider", Kind::Text),
    ("transactionId", Kind::Text),
    ("importance", Kind::Word(&["low", "normal", "high"])),
    (
        "sensitivity",
        Kind::Word(&["normal", "personal", "private", "confidential"]),
    ),
    (
        "showAs",
        Kind::Word(&["free", "tentative", "busy", "oof", "workingElsewhere", "unknown"]),
    ),
    ("onlineMeetingUrl", Kind::Text),
];

/// Sent by clients and decided by the server, or taken elsewhere.
const IGNORED: [&str; 12] = [
    "id",
    "changekey",
    "createddatetime",
    "lastmodifieddatetime",
    "icaluid",
    "weblink",
    "bodypreview",
    "originalstarttimezone",
    "originalendtimezone",
    "hasattachments",
    "singlevalueextendedproperties",
    "multivalueextendedproperties",
];
/// Refused: they belong to the server.
const REFUSED: [&str; 3] = ["isorganizer", "isdraft", "seriesmasterid"];

fn bad(message: impl Into<String>) -> GraphError {
    GraphError::new(400, "ErrorInvalidArgument", message)
}

/// Reads the body of a POST or PATCH.
pub(crate) fn read(body: &Map<String, Value>) -> Result<Object, GraphError> {
    let mut fields = Object::new();
    for (name, value) in body {
        let lower = name.to_lowercase();
        if lower.contains('@') || IGNORED.contains(&lower.as_str()) {
            continue;
        }
        if REFUSED.contains(&lower.as_str()) {
            return Err(GraphError::new(
                400,
                "ErrorInvalidPropertySet",
                format!("{name} is read-only."),
            ));
        }
        let (known, kind) = TAKEN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).ok_or_else(|| {
            GraphError::new(400, "RequestBodyRead", format!("The property '{name}' does not exist on type 'microsoft.graph.event'. Make sure to only use property names that are defined by the type."))
        })?;
        let fits = match kind {
            Kind::Text => value.is_string() || value.is_null(),
            Kind::Texts => value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string)),
            Kind::Flag => value.is_boolean(),
            Kind::Number => value.is_i64() || value.is_u64(),
            Kind::Object => value.is_object() || value.is_null(),
            Kind::Objects => value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_object)),
            Kind::Word(words) => value
                .as_str()
                .is_some_and(|text| words.iter().any(|word| word.eq_ignore_ascii_case(text))),
        };
        if !fits {
            return Err(GraphError::new(
                400,
                "RequestBodyRead",
                format!("The value of property '{name}' has a type that does not fit microsoft.graph.event."),
            ));
        }
        fields.insert((*known).to_owned(), value.clone());
    }
    Ok(fields)
}

/// A local time and its zone.
fn moment(fields: &Object, name: &str) -> Result<(NaiveDateTime, Tz, String), GraphError> {
    let text = |key: &str| fields.get(name).and_then(|value| value[key].as_str());
    let local = text("dateTime")
        .and_then(zone::parse_local)
        .ok_or_else(|| bad(format!("{name}.dateTime is missing or no time.")))?;
    let name_of_zone = text("timeZone").unwrap_or("UTC");
    let zone = zone::parse(name_of_zone)
        .ok_or_else(|| GraphError::new(400, "TimeZoneNotSupportedException", format!("A valid TimeZone value must be specified. The following TimeZone value is not supported: '{name_of_zone}'.")))?;
    Ok((local, zone, name_of_zone.to_owned()))
}

/// Checks what belongs together in a whole event.
pub(crate) fn check(fields: &Object) -> Result<(), GraphError> {
    let (start, start_zone, _) = moment(fields, "start")?;
    let (end, end_zone, _) = moment(fields, "end")?;
    if zone::to_utc(end, end_zone) < zone::to_utc(start, start_zone) {
        return Err(GraphError::new(
            400,
            "ErrorPropertyValidationFailure",
            "The end of the event is before its start.",
        ));
    }
    let midnight = |time: NaiveDateTime| time.time() == NaiveTime::MIN;
    if fields.get("isAllDay") == Some(&json!(true))
        && !(midnight(start) && midnight(end) && start_zone == end_zone && end > start)
    {
        return Err(bad(
            "An event that lasts all day begins and ends at midnight in the same time zone.",
        ));
    }
    if let Some(recurrence) = fields.get("recurrence").filter(|value| !value.is_null()) {
        let recurrence = Recurrence::parse(recurrence).map_err(bad)?;
        if recurrence.start != start.date() {
            return Err(GraphError::new(
                400,
                "ErrorPropertyValidationFailure",
                "recurrence.range.startDate is not the day of start.",
            ));
        }
    }
    Ok(())
}

/// One occurrence of an event; a single event has one.
#[derive(Debug, Clone)]
pub(crate) struct Occurrence {
    /// The local day on which it was to begin, of a series.
    pub day: Option<NaiveDate>,
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    pub original: DateTime<Utc>,
}

/// The properties of an event on one day: what the series says with what differs.
pub(crate) fn on(item: &Item, day: Option<NaiveDate>) -> Object {
    let mut fields = item.fields.clone();
    let Some(day) = day else { return fields };
    if let Some(occurrence) = regular(item, day) {
        for (name, time) in [("start", occurrence.start), ("end", occurrence.end)] {
            if let Ok((_, zone, zone_name)) = moment(&item.fields, name) {
                let local = zone::write_local(zone::to_local(time, zone));
                fields.insert(name.to_owned(), json!({"dateTime": local, "timeZone": zone_name}));
            }
        }
    }
    if let Some(exception) = item.series.exceptions.get(&day) {
        fields.extend(exception.fields.clone());
    }
    fields.remove("recurrence");
    fields
}

/// The occurrence of a day as the pattern has it.
fn regular(item: &Item, day: NaiveDate) -> Option<Occurrence> {
    let (start, start_zone, _) = moment(&item.fields, "start").ok()?;
    let (end, _, _) = moment(&item.fields, "end").ok()?;
    let local = day.and_time(start.time());
    let begins = zone::to_utc(local, start_zone);
    Some(Occurrence {
        day: Some(day),
        start: begins,
        end: zone::to_utc(local + (end - start), start_zone),
        original: begins,
    })
}

pub(crate) fn is_series(item: &Item) -> bool {
    item.fields
        .get("recurrence")
        .is_some_and(|value| !value.is_null())
}

/// Whether a series takes place on a day, cancelled or not.
pub(crate) fn has_day(item: &Item, day: NaiveDate) -> bool {
    item.fields
        .get("recurrence")
        .and_then(|value| Recurrence::parse(value).ok())
        .is_some_and(|recurrence| recurrence.days(day).last() == Some(&day))
}

fn span(fields: &Object) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (start, start_zone, _) = moment(fields, "start").ok()?;
    let (end, end_zone, _) = moment(fields, "end").ok()?;
    Some((zone::to_utc(start, start_zone), zone::to_utc(end, end_zone)))
}

/// The occurrence of a day as it is now.
pub(crate) fn occurrence(item: &Item, day: NaiveDate) -> Option<Occurrence> {
    let regular = regular(item, day)?;
    let (start, end) = span(&on(item, Some(day))).unwrap_or((regular.start, regular.end));
    Some(Occurrence {
        start,
        end,
        ..regular
    })
}

/// Occurrences that touch a window, cancelled ones left out.
pub(crate) fn occurrences(item: &Item, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Occurrence> {
    let mut out = Vec::new();
    if is_series(item) {
        let recurrence = item
            .fields
            .get("recurrence")
            .and_then(|value| Recurrence::parse(value).ok());
        let until = to
            .date_naive()
            .checked_add_days(Days::new(2))
            .unwrap_or(NaiveDate::MAX);
        // An exception may have moved far away from its day.
        let last = item.series.exceptions.keys().next_back().copied();
        let days = recurrence.map(|recurrence| recurrence.days(last.map_or(until, |last| last.max(until))));
        for day in days.unwrap_or_default() {
            if item.series.cancelled.contains(&day) {
                continue;
            }
            out.extend(occurrence(item, day));
        }
    } else if let Some((start, end)) = span(&item.fields) {
        out.push(Occurrence {
            day: None,
            start,
            end,
            original: start,
        });
    }
    out.retain(|one| one.start < to && (one.end > from || one.start >= from));
    out
}

/// A time of an event in the zone that the client asked for; without one in UTC.
pub(crate) fn shown(fields: &Object, name: &str, wanted: Option<(&str, Tz)>) -> Value {
    match moment(fields, name) {
        Ok((local, zone, _)) => {
            let (name, to) = wanted.unwrap_or(("UTC", Tz::UTC));
            let time = zone::to_local(zone::to_utc(local, zone), to);
            json!({"dateTime": zone::write_local(time), "timeZone": name})
        }
        Err(_) => fields.get(name).cloned().unwrap_or(Value::Null),
    }
}

/// The name of the zone in which a time was given.
pub(crate) fn zone_of(fields: &Object, name: &str) -> Value {
    fields
        .get(name)
        .map_or(Value::Null, |value| value["timeZone"].clone())
}
