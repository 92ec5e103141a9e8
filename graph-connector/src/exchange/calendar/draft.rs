//! An event as it is created anew: what Graph takes of the stored JSON, the days of a series that differ, and the files.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use nakivo_core::connector::ContentSource;
use nakivo_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use crate::exchange::access::{MARKER_ID, STATE_ID, UNFINISHED, property, read_part};
use crate::exchange::mail::attachments::{Attachment, hash};
use crate::exchange::mail::compare::same_body;
use crate::json::{Fields, parse_time};

/// What is sent as it was stored.
const SENT: [&str; 16] = [
    "subject",
    "body",
    "start",
    "end",
    "location",
    "locations",
    "categories",
    "isAllDay",
    "isReminderOn",
    "reminderMinutesBeforeStart",
    "responseRequested",
    "hideAttendees",
    "allowNewTimeProposals",
    "importance",
    "sensitivity",
    "showAs",
];
/// Belongs to the service, or comes back in another way.
const NOT_SENT: [&str; 26] = [
    "id",
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "transactionId",
    "originalStartTimeZone",
    "originalEndTimeZone",
    "iCalUId",
    "uid",
    "hasAttachments",
    "bodyPreview",
    "isCancelled",
    "isOrganizer",
    "isDraft",
    "seriesMasterId",
    "type",
    "webLink",
    "onlineMeetingUrl",
    "isOnlineMeeting",
    "onlineMeetingProvider",
    "onlineMeeting",
    "recurrence",
    "responseStatus",
    "attendees",
    "organizer",
    "cancelledOccurrences",
];
/// Keeps who took part. Nobody is invited again (contract 4.7).
const ATTENDEES_ID: &str = "String {7b1e6c2e-3d0f-4a53-9c55-6f0b1d1f8e21} Name NakivoAttendees";
/// Bytes of that list; a longer one is in the repository only.
const MAX_ATTENDEES_BYTES: usize = 30_000;
/// Differences that make a copy worthless; others are reported.
const ESSENTIAL: [&str; 8] = [
    "subject",
    "body",
    "start",
    "end",
    "isAllDay",
    "recurrence",
    "changed days",
    "cancelled days",
];

/// A file of an event, not read yet.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// The stored part.
    part: String,
    pub(crate) name: String,
    media_type: String,
    inline: bool,
    content_id: Option<String>,
}

impl File {
    /// The file with its content.
    pub(crate) async fn read(&self, content: &dyn ContentSource, limit: usize) -> Result<Attachment> {
        Ok(Attachment {
            name: self.name.clone(),
            named: true,
            media_type: self.media_type.clone(),
            content_id: self.content_id.clone(),
            inline: self.inline,
            bytes: read_part(content, &self.part, limit).await?,
            message: None,
        })
    }
}

/// A day of a series that is not as the others.
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    /// When it was to begin.
    pub(crate) original: DateTime<Utc>,
    pub(crate) json: Map<String, Value>,
    pub(crate) files: Vec<File>,
}

/// An event to be created.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    json: Map<String, Value>,
    /// The zone that its times are told in, unless it is UTC.
    pub(crate) zone: Option<String>,
    pub(crate) is_series: bool,
    pub(crate) exceptions: Vec<Exception>,
    /// Days that do not take place, as the zone of the event has them.
    pub(crate) cancelled: Vec<NaiveDate>,
    pub(crate) files: Vec<File>,
    attendees: Option<String>,
    expected: Projection,
    pub(crate) not_carried: Vec<String>,
}

impl Draft {
    /// Reads the stored parts; files are read when they are needed.
    ///
    /// # Errors
    /// `Corrupt` if the stored JSON is not an event; those of reading.
    pub(crate) async fn load(content: &dyn ContentSource) -> Result<Self> {
        let bytes = read_part(content, "json", 64 << 20).await?;
        let text = String::from_utf8_lossy(&bytes);
        let bad = || Error::new(ErrorKind::Corrupt, "the stored JSON of the event cannot be read");
        let all: Map<String, Value> = serde_json::from_str(&text).map_err(|_| bad())?;
        let mut not_carried = Vec::new();
        let mut json = taken(&all);
        if let Some(recurrence) = all.get("recurrence").filter(|value| value.is_object()) {
            let recurrence = recurrence_of(recurrence, &all, &mut not_carried);
            json.insert("recurrence".to_owned(), recurrence);
        }
        let is_series = json.contains_key("recurrence");
        for (key, value) in &all {
            let known = SENT.contains(&key.as_str())
                || NOT_SENT.contains(&key.as_str())
                || matches!(key.as_str(), "exceptionOccurrences" | "calendar" | "occurrenceId");
            if !known && !key.contains('@') && !value.is_null() {
                not_carried.push(format!("{key}: Graph does not take it"));
            }
        }
        let files = files_of(content, "attachment", &mut not_carried).await?;
        let mut exceptions = Vec::new();
        let stored = all.get("exceptionOccurrences").and_then(Value::as_array);
        for (number, one) in stored.into_iter().flatten().enumerate() {
            let original = one["originalStart"]
                .as_str()
                .and_then(parse_time)
                .ok_or_else(bad)?;
            exceptions.push(Exception {
                original,
                json: taken(one.as_object().ok_or_else(bad)?),
                files: files_of(
                    content,
                    &format!("exception-{number}-attachment"),
                    &mut not_carried,
                )
                .await?,
            });
        }
        if is_series && stored.is_none() {
            not_carried
                .push("changed days: the service did not tell them when they were backed up".to_owned());
        }
        let zone = all["start"]["timeZone"].as_str().filter(|zone| *zone != "UTC");
        Ok(Self {
            zone: zone.map(str::to_owned),
            is_series,
            exceptions,
            cancelled: cancelled(&all),
            files,
            attendees: attendees(&all, &mut not_carried),
            expected: Projection::of(&text).ok_or_else(bad)?.without_missing(&json),
            json,
            not_carried,
        })
    }

    pub(crate) fn subject(&self) -> Option<&str> {
        self.json.get("subject")?.as_str().filter(|text| !text.is_empty())
    }

    /// Under another subject.
    pub(crate) fn rename(&mut self, suffix: &str) {
        let name = format!("{}{suffix}", self.subject().unwrap_or_default().trim_end());
        let name = json!(name.trim_start());
        self.expected.values.insert("subject".to_owned(), name.clone());
        self.json.insert("subject".to_owned(), name);
    }

    /// Whether something has to be added after the event was made.
    pub(crate) fn has_more(&self) -> bool {
        !(self.files.is_empty() && self.exceptions.is_empty() && self.cancelled.is_empty())
    }

    /// The body of the POST. `transaction` names this one attempt: a repeated POST makes no second event.
    pub(crate) fn body(&self, marker: &str, transaction: &str) -> Value {
        let mut json = self.json.clone();
        let mut properties = vec![property(MARKER_ID, marker)];
        if self.has_more() {
            properties.push(property(STATE_ID, UNFINISHED));
        }
        if let Some(attendees) = &self.attendees {
            properties.push(property(ATTENDEES_ID, attendees));
        }
        let properties = Value::Array(properties);
        json.insert("singleValueExtendedProperties".to_owned(), properties);
        json.insert("transactionId".to_owned(), json!(transaction));
        Value::Object(json)
    }

    /// What differs from the event that is there, for people; none if that is no event. Files are compared elsewhere.
    pub(crate) fn differences(&self, raw: &str) -> Option<Vec<String>> {
        let found = Projection::of(raw)?;
        Some(self.expected.differences(&found))
    }
}

/// Whether a copy with this difference is no copy.
pub(crate) fn is_essential(difference: &str) -> bool {
    ESSENTIAL.contains(&difference) || difference.contains("attachments")
}

/// What Graph takes of an event or of one day of a series.
fn taken(all: &Map<String, Value>) -> Map<String, Value> {
    let sent = SENT
        .iter()
        .filter_map(|key| Some((*key, all.get(*key)?)))
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.to_owned(), without_empty(value)));
    sent.collect()
}

/// A value without members that say nothing, and without the ids of places, which belong to the service.
fn without_empty(value: &Value) -> Value {
    let Value::Object(map) = value else {
        return match value {
            Value::Array(list) => Value::Array(list.iter().map(without_empty).collect()),
            other => other.clone(),
        };
    };
    let kept = map.iter().filter(|(key, value)| {
        let empty = match value {
            Value::Null => true,
            Value::Object(inner) => inner.is_empty(),
            _ => false,
        };
        !empty && !key.contains('@') && !key.starts_with("uniqueId")
    });
    kept.map(|(key, value)| (key.clone(), without_empty(value)))
        .collect()
}

/// The recurrence with what belongs to its kind of range, and beginning on the day of the event (contract 4.7).
fn recurrence_of(stored: &Value, event: &Map<String, Value>, not_carried: &mut Vec<String>) -> Value {
    let mut range = Map::new();
    let kind = stored["range"]["type"].as_str().unwrap_or("noEnd");
    let wanted: &[&str] = match kind {
        "endDate" => &["type", "startDate", "endDate", "recurrenceTimeZone"],
        "numbered" => &["type", "startDate", "numberOfOccurrences", "recurrenceTimeZone"],
        _ => &["type", "startDate", "recurrenceTimeZone"],
    };
    for key in wanted {
        let value = &stored["range"][*key];
        if !value.is_null() && value.as_str() != Some("") {
            range.insert((*key).to_owned(), value.clone());
        }
    }
    let begins = event["start"]["dateTime"]
        .as_str()
        .and_then(|time| time.get(..10));
    let first = range.get("startDate").and_then(Value::as_str);
    if let Some(begins) = begins.filter(|begins| Some(*begins) != first) {
        not_carried.push(format!(
            "time zone: its own one is unknown to the service, so the series is kept in {} and begins on {begins}",
            event["start"]["timeZone"].as_str().unwrap_or("UTC")
        ));
        range.insert("startDate".to_owned(), json!(begins));
    }
    json!({ "pattern": without_empty(&stored["pattern"]), "range": range })
}

/// Days of a series that are cancelled: `OID.{series}.{date}` (contract 4.7).
fn cancelled(all: &Map<String, Value>) -> Vec<NaiveDate> {
    let list = all.get("cancelledOccurrences").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|one| one.as_str()?.rsplit('.').next()?.parse().ok())
        .collect()
}

/// Who took part, as it is kept beside the event, and what is lost of it.
fn attendees(all: &Map<String, Value>, not_carried: &mut Vec<String>) -> Option<String> {
    if all.get("isOnlineMeeting") == Some(&json!(true)) {
        not_carried.push("online meeting: no new one is made".to_owned());
    }
    let list = all.get("attendees").and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty());
    if all.get("isOrganizer") == Some(&json!(false)) {
        let address = all.get("organizer").map(|one| &one["emailAddress"]["address"]);
        not_carried.push(format!(
            "organizer: {} is not invited to organise it again",
            address.and_then(Value::as_str).unwrap_or("somebody else")
        ));
    } else {
        list?;
    }
    if let Some(list) = list {
        not_carried.push(format!("attendees: {}, not invited again", list.len()));
    }
    let kept = json!({ "organizer": all.get("organizer"), "attendees": list }).to_string();
    (kept.len() <= MAX_ATTENDEES_BYTES).then_some(kept)
}

/// The stored files of an event or of one day of a series.
async fn files_of(
    content: &dyn ContentSource,
    prefix: &str,
    not_carried: &mut Vec<String>,
) -> Result<Vec<File>> {
    let bytes = match read_part(content, &format!("{prefix}s"), 16 << 20).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let list: Vec<Value> = serde_json::from_slice(&bytes).map_err(|_| {
        Error::new(
            ErrorKind::Corrupt,
            "the stored list of the event's files cannot be read",
        )
    })?;
    let mut files = Vec::new();
    for (number, one) in list.iter().enumerate() {
        let text = |key: &str| one[key].as_str().map(str::to_owned);
        let kind = text("@odata.type").unwrap_or_default().to_lowercase();
        let mut name = text("name").unwrap_or_default();
        if kind.ends_with("referenceattachment") {
            not_carried.push(format!("attached link '{name}'"));
            continue;
        }
        if kind.ends_with("itemattachment") {
            // Its content was stored as a file, and comes back as one.
            not_carried.push(format!("attached item '{name}': attached as a file"));
            name.push_str(".eml");
        }
        files.push(File {
            part: format!("{prefix}-{number}"),
            name,
            media_type: text("contentType").unwrap_or_else(|| "application/octet-stream".to_owned()),
            inline: one["isInline"] == json!(true),
            content_id: text("contentId"),
        });
    }
    Ok(files)
}

/// An event without what depends on where and when it was filed.
#[derive(Debug, Clone, PartialEq)]
struct Projection {
    values: BTreeMap<String, Value>,
    /// Days that differ, by when they were to begin; none if they are not told.
    exceptions: Option<BTreeMap<DateTime<Utc>, BTreeMap<String, Value>>>,
    cancelled: BTreeSet<NaiveDate>,
}

impl Projection {
    fn of(raw: &str) -> Option<Self> {
        Fields::parse(raw)?;
        let all: Map<String, Value> = serde_json::from_str(raw).ok()?;
        let mut values = comparable(&all);
        if let Some(recurrence) = all.get("recurrence").filter(|value| value.is_object()) {
            let recurrence = recurrence_of(recurrence, &all, &mut Vec::new());
            values.insert("recurrence".to_owned(), plain(&recurrence));
        }
        let exceptions = all.get("exceptionOccurrences").and_then(Value::as_array);
        let exceptions = exceptions.map(|list| {
            list.iter()
                .filter_map(|one| Some((parse_time(one["originalStart"].as_str()?)?, one.as_object()?)))
                .map(|(original, one)| (original, comparable(one)))
                .collect()
        });
        Some(Self {
            values,
            exceptions,
            cancelled: cancelled(&all).into_iter().collect(),
        })
    }

    /// Only what is sent can be expected back.
    fn without_missing(mut self, json: &Map<String, Value>) -> Self {
        self.values.retain(|key, _| json.contains_key(key));
        self
    }

    fn differences(&self, found: &Self) -> Vec<String> {
        let mut out = differing(&self.values, &found.values);
        if self.values.contains_key("recurrence") != found.values.contains_key("recurrence") {
            out.push("recurrence".to_owned());
        }
        if self.cancelled != found.cancelled {
            out.push("cancelled days".to_owned());
        }
        if let (Some(expected), Some(there)) = (&self.exceptions, &found.exceptions) {
            let same = expected.len() == there.len()
                && expected.iter().all(|(original, values)| {
                    there
                        .get(original)
                        .is_some_and(|found| differing(values, found).is_empty())
                });
            if !same {
                out.push("changed days".to_owned());
            }
        }
        out.sort();
        out.dedup();
        out
    }
}

/// Names of the values of `expected` that are other ones in `found`.
fn differing(expected: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> Vec<String> {
    let same = |key: &str, value: &Value| {
        let Some(other) = found.get(key) else {
            return false;
        };
        if key != "body" {
            return value == other;
        }
        let text = |body: &Value| body["content"].as_str().unwrap_or_default().to_owned();
        let html = [value, other]
            .iter()
            .any(|body| body["contenttype"].as_str() == Some("html"));
        same_body(&text(value), &text(other), html)
    };
    let differ = expected.iter().filter(|(key, value)| !same(key, value));
    differ.map(|(key, _)| key.clone()).collect()
}

fn comparable(all: &Map<String, Value>) -> BTreeMap<String, Value> {
    taken(all)
        .into_iter()
        .map(|(key, value)| {
            let value = match key.as_str() {
                // Only what people read is compared: the service completes and reorders places.
                "location" => plain(&value["displayName"]),
                "locations" => {
                    let list = value.as_array().into_iter().flatten();
                    let names: BTreeSet<String> = list
                        .filter_map(|place| Some(place["displayName"].as_str()?.trim().to_lowercase()))
                        .filter(|name| !name.is_empty())
                        .collect();
                    json!(names)
                }
                "start" | "end" => json!({
                    "dateTime": value["dateTime"].as_str().map(|time| time.get(..19).unwrap_or(time)),
                    "timeZone": value["timeZone"],
                }),
                "body" => json!({
                    "content": value["content"],
                    "contenttype": value["contentType"].as_str().map(str::to_lowercase),
                }),
                _ => plain(&value),
            };
            (key, value)
        })
        // An empty place and none are the same.
        .filter(|(key, value)| {
            !key.starts_with("location")
                || !matches!(value.as_str(), Some("")) && *value != json!([]) && !value.is_null()
        })
        .collect()
}

/// A value with words in lower case and lists of words in order, as it is compared.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text.trim()),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(plain).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != "recurrenceTimeZone")
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect(),
        other => other.clone(),
    }
}

/// Names one attempt to create an event beside the copies that are `known`.
pub(crate) fn transaction(marker: &str, known: &[String], now: DateTime<Utc>) -> String {
    let text = format!("{marker}\0{}\0{}", known.join("\0"), now.timestamp_micros());
    hash(text.as_bytes())[..32].to_owned()
}
