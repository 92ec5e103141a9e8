//! The JSON of events and of their occurrences, and the ids of both.

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::graph::{Call, odata};
use crate::http::reply::GraphError;
use crate::ids;
use crate::outlook::event::{self, Occurrence};
use crate::outlook::store::{Item, Store};
use crate::outlook::zone;
use crate::world::User;

/// What a request wants to see of events.
pub(super) struct Shape {
    pub(super) immutable: bool,
    properties: Vec<String>,
    zone: Option<(String, Tz)>,
    exceptions: bool,
    calendar: bool,
    organizer: Value,
}

impl Shape {
    pub(super) fn of(call: &Call<'_>, user: &User) -> Result<Self, GraphError> {
        let expand = call.request.option("$expand");
        let exceptions = expand.is_some_and(|expand| expand.to_lowercase().contains("exceptionoccurrences"));
        if exceptions && !call.world.settings().exceptions_are_told {
            let message = "Could not find a property named 'exceptionOccurrences' on type 'Microsoft.OutlookServices.Event'.";
            return Err(GraphError::new(400, "RequestBroker--ParseUri", message));
        }
        let zone = match call.request.preference("outlook.timezone") {
            None => None,
            Some(name) => {
                let zone = zone::parse(name).ok_or_else(|| {
                    GraphError::new(
                        400,
                        "ErrorInvalidTimeZone",
                        format!("The time zone '{name}' is not supported."),
                    )
                })?;
                Some((name.to_owned(), zone))
            }
        };
        Ok(Self {
            immutable: call.request.immutable(),
            properties: odata::expanded_properties(expand)?,
            zone,
            exceptions,
            calendar: expand.is_some_and(|expand| {
                expand.to_lowercase().contains("calendar(") || expand.eq_ignore_ascii_case("calendar")
            }),
            organizer: json!({"emailAddress": {"name": user.person.display, "address": user.person.address}}),
        })
    }
}

pub(super) fn etag(store: &Store, item: &Item) -> String {
    format!("W/\"{}\"", ids::change_key(store.key, item.version))
}

/// Id of an occurrence: that of its series with the day.
pub(super) fn occurrence_id(store: &Store, item: &Item, day: NaiveDate, immutable: bool) -> String {
    let master = store.item_id(item, immutable);
    format!("{}-{}", master.trim_end_matches('='), day.format("%Y%m%d"))
}

/// An event or an occurrence by its id.
pub(crate) fn find<'s>(store: &'s Store, id: &str) -> Result<(&'s Item, Option<NaiveDate>), GraphError> {
    let not_found = |id: &str| GraphError::no_such(ids::parse_message(store.key, id).is_some());
    let day = id
        .rsplit_once('-')
        .filter(|(_, day)| day.len() == 8)
        .and_then(|(master, day)| Some((master, NaiveDate::parse_from_str(day, "%Y%m%d").ok()?)));
    let Some((master, day)) = day else {
        let item = store.find_item(id).map_err(|_| not_found(id))?;
        return Ok((item, None));
    };
    let master = format!("{master}=");
    let item = store.find_item(&master).map_err(|_| not_found(&master))?;
    if item.series.cancelled.contains(&day) || !event::has_day(item, day) {
        return Err(GraphError::item_not_found());
    }
    Ok((item, Some(day)))
}

/// The JSON of an event; with `occurrence` of one day of a series.
pub(super) fn shape(
    store: &Store,
    item: &Item,
    occurrence: Option<&Occurrence>,
    shape: &Shape,
) -> Map<String, Value> {
    let day = occurrence.and_then(|one| one.day);
    let fields = event::on(item, day);
    let exception = day.and_then(|day| item.series.exceptions.get(&day));
    let version = exception.map_or(item.version, |exception| exception.version);
    let key = ids::change_key(store.key, version);
    let series = event::is_series(item);
    let master = store.item_id(item, shape.immutable);
    let id = day.map_or_else(
        || master.clone(),
        |day| occurrence_id(store, item, day, shape.immutable),
    );
    let kind = match (day, exception) {
        (Some(_), Some(_)) => "exception",
        (Some(_), None) => "occurrence",
        _ if series => "seriesMaster",
        _ => "singleInstance",
    };
    let zone = shape.zone.as_ref().map(|(name, zone)| (name.as_str(), *zone));
    let online = fields.get("isOnlineMeeting") == Some(&json!(true));
    let mut out = json!({
        "@odata.etag": format!("W/\"{key}\""),
        "id": id,
        "createdDateTime": clock::iso(item.created),
        "lastModifiedDateTime": clock::iso(item.modified),
        "changeKey": key,
        "categories": [],
        "transactionId": null,
        "originalStartTimeZone": event::zone_of(&fields, "start"),
        "originalEndTimeZone": event::zone_of(&fields, "end"),
        "iCalUId": format!("040000008200E00074C5B7101A82E008{:016X}", crate::random::text_key(&master)),
        "reminderMinutesBeforeStart": 15,
        "isReminderOn": true,
        "hasAttachments": !item.attachments.is_empty(),
        "subject": "",
        "bodyPreview": "",
        "importance": "normal",
        "sensitivity": "normal",
        "isAllDay": false,
        "isCancelled": false,
        "isOrganizer": true,
        "isDraft": false,
        "responseRequested": true,
        "seriesMasterId": day.map(|_| master.clone()),
        "showAs": "busy",
        "type": kind,
        "webLink": "https://outlook.office365.com/owa/?path=/calendar/item",
        "onlineMeetingUrl": null,
        "isOnlineMeeting": false,
        "onlineMeetingProvider": "unknown",
        "allowNewTimeProposals": true,
        "hideAttendees": false,
        "recurrence": null,
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "body": {"contentType": "html", "content": ""},
        "location": {"displayName": "", "locationType": "default", "uniqueIdType": "unknown", "address": {}, "coordinates": {}},
        "locations": [],
        "attendees": [],
        "organizer": shape.organizer,
        "onlineMeeting": online.then(|| json!({"joinUrl": format!("https://teams.example/l/{key}")})),
    });
    if let Some(map) = out.as_object_mut() {
        for (name, value) in &fields {
            map.insert(name.clone(), value.clone());
        }
        for name in ["start", "end"] {
            map.insert(name.to_owned(), event::shown(&fields, name, zone));
        }
        if let (Some(one), Some(_)) = (occurrence, day) {
            map.insert(
                "originalStart".to_owned(),
                json!(clock::iso(one.original.timestamp_millis())),
            );
        }
        if shape.calendar {
            let id = store.container_id(item.container);
            map.insert("calendar".to_owned(), json!({"id": id}));
        }
        if series && day.is_none() {
            let cancelled: Vec<String> = item
                .series
                .cancelled
                .iter()
                .map(|day| format!("OID.{master}.{day}"))
                .collect();
            map.insert("cancelledOccurrences".to_owned(), json!(cancelled));
            if shape.exceptions {
                map.insert(
                    "exceptionOccurrences".to_owned(),
                    Value::Array(exceptions(store, item, shape)),
                );
            }
        }
        if let Some(values) = item.expanded(&shape.properties) {
            map.insert("singleValueExtendedProperties".to_owned(), values);
        }
        return map.clone();
    }
    Map::new()
}

fn exceptions(store: &Store, item: &Item, view: &Shape) -> Vec<Value> {
    item.series
        .exceptions
        .keys()
        .filter(|day| !item.series.cancelled.contains(*day))
        .filter_map(|day| event::occurrence(item, *day))
        .map(|one| Value::Object(shape(store, item, Some(&one), view)))
        .collect()
}
