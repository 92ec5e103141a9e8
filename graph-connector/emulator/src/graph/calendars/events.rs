//! Events: list, view, get, create, change, delete; the occurrences of series.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};

use super::json::{Shape, etag, find, shape};
use super::{Answer, find_calendar, folders, store};
use crate::graph::folders::{body, properties};
use crate::graph::{Call, collection, odata, refused};
use crate::http::reply::{GraphError, Reply};
use crate::outlook::event;
use crate::outlook::store::{Item, Object, Store};
use crate::outlook::zone;
use crate::world::User;

/// A condition of a list.
enum Filter {
    Property(String, String),
    Subject(String),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, GraphError> {
        let lower = text.trim().to_lowercase();
        match odata::quoted(text).as_slice() {
            [id, value] if lower.starts_with("singlevalueextendedproperties/any(") => {
                Ok(Self::Property(id.clone(), value.clone()))
            }
            [subject] if lower.starts_with("subject eq ") => Ok(Self::Subject(subject.clone())),
            _ => Err(GraphError::new(
                400,
                "ErrorInvalidUrlQueryFilter",
                format!("The query filter is invalid or not supported: {text}"),
            )),
        }
    }

    fn passes(&self, item: &Item) -> bool {
        match self {
            Self::Property(id, value) => item.property(id).and_then(Value::as_str) == Some(value),
            Self::Subject(subject) => item.fields.get("subject").and_then(Value::as_str) == Some(subject),
        }
    }
}

fn what(user: &User) -> String {
    format!("users('{}')/events", user.person.id)
}

/// Single events and series, no occurrences.
pub(super) fn list(call: &Call<'_>, user: &User, calendar: Option<&str>) -> Answer {
    let view = Shape::of(call, user)?;
    let filter = call.request.option("$filter").map(Filter::parse).transpose()?;
    let all = store(user, |store| {
        let serial = find_calendar(store, calendar)?;
        Ok(store
            .in_container(serial)
            .filter(|item| filter.as_ref().is_none_or(|filter| filter.passes(item)))
            .map(|item| shape(store, item, None, &view))
            .collect::<Vec<_>>())
    })?;
    let id = user.person.id.as_str();
    let mut segments = vec!["users", id];
    segments.extend(calendar.map(|_| "calendars"));
    segments.extend(calendar);
    segments.push("events");
    collection::page(call, &segments, &what(user), all)
}

/// The window that a view asks for: both ends are required.
fn window(call: &Call<'_>) -> Result<(DateTime<Utc>, DateTime<Utc>), GraphError> {
    let end = |name: &str| {
        let text = call
            .request
            .query
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str());
        let time = text.and_then(|text| {
            DateTime::parse_from_rfc3339(text)
                .map(|time| time.with_timezone(&Utc))
                .ok()
                .or_else(|| zone::parse_local(text).map(|local| local.and_utc()))
        });
        time.ok_or_else(|| {
            GraphError::new(400, "ErrorInvalidParameter", "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.")
        })
    };
    let (from, to) = (end("startdatetime")?, end("enddatetime")?);
    if to - from > chrono::TimeDelta::days(1825) {
        return Err(GraphError::new(
            400,
            "ErrorCalendarViewRangeTooBig",
            "Your request can't be completed. The range between the start and end dates is greater than the allowed range. Maximum number of days: 1825",
        ));
    }
    Ok((from, to))
}

pub(super) fn view(call: &Call<'_>, user: &User, calendar: Option<&str>) -> Answer {
    let (from, to) = window(call)?;
    let view = Shape::of(call, user)?;
    let all = store(user, |store| {
        let serial = find_calendar(store, calendar)?;
        Ok(store
            .in_container(serial)
            .flat_map(|item| {
                event::occurrences(item, from, to)
                    .into_iter()
                    .map(move |one| (item, one))
            })
            .map(|(item, one)| shape(store, item, Some(&one), &view))
            .collect::<Vec<_>>())
    })?;
    windowed(call, user, all)
}

pub(super) fn instances(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let (from, to) = window(call)?;
    let view = Shape::of(call, user)?;
    let all = store(user, |store| {
        let (item, day) = find(store, id)?;
        if day.is_some() || !event::is_series(item) {
            return Err(GraphError::new(
                400,
                "ErrorInvalidRequest",
                "Only a series has instances.",
            ));
        }
        let all = event::occurrences(item, from, to);
        Ok(all
            .iter()
            .map(|one| shape(store, item, Some(one), &view))
            .collect::<Vec<_>>())
    })?;
    windowed(call, user, all)
}

/// A page of a view: the window goes into the next link.
fn windowed(call: &Call<'_>, user: &User, all: Vec<Map<String, Value>>) -> Answer {
    let (top, skip) = collection::window(call)?;
    let more = skip + top < all.len();
    let reply = collection::page(
        call,
        &["users", user.person.id.as_str(), "events"],
        &what(user),
        all,
    )?;
    let crate::http::reply::Body::Json(Value::Object(mut body)) = reply.body else {
        return Err(GraphError::bad("no page"));
    };
    if more {
        let next = (skip + top).to_string();
        let path = call.request.path().to_owned();
        let mut query: Vec<String> = call
            .request
            .query
            .iter()
            .filter(|(name, _)| !name.trim_start_matches('$').eq_ignore_ascii_case("skip"))
            .map(|(name, value)| format!("{name}={}", crate::http::path::encode(value)))
            .collect();
        query.push(format!("$skip={next}"));
        let base = call.world.graph_url();
        let base = base.trim_end_matches("/v1.0");
        let link = format!("{base}{path}?{}", query.join("&"));
        body.insert("@odata.nextLink".into(), Value::String(link));
    }
    Ok(Reply::json(200, Value::Object(body)))
}

fn answer(call: &Call<'_>, user: &User, serial: u32, day: Option<NaiveDate>, status: u16) -> Answer {
    let view = Shape::of(call, user)?;
    store(user, |store| {
        let item = store.item(serial).ok_or_else(GraphError::item_not_found)?;
        let one = day.and_then(|day| event::occurrence(item, day));
        Ok(collection::entity(
            call,
            status,
            &what(user),
            shape(store, item, one.as_ref(), &view),
        ))
    })
}

pub(super) fn get(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let (serial, day) = store(user, |store| {
        find(store, id).map(|(item, day)| (item.serial, day))
    })?;
    answer(call, user, serial, day, 200)
}

pub(super) fn calendar(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let serial = store(user, |store| find(store, id).map(|(item, _)| item.container))?;
    folders::entity(call, user, serial, 200)
}

/// What a real service would send to attendees is counted.
fn invite(store: &mut Store, fields: &Object) {
    if fields
        .get("attendees")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
    {
        store.invitations += 1;
    }
}

pub(super) fn create(call: &Call<'_>, user: &User, calendar: Option<&str>) -> Answer {
    let map = body(call)?;
    let fields = event::read(&map)?;
    event::check(&fields)?;
    let extended = properties(&map)?;
    let serial = store(user, |store| {
        let container = find_calendar(store, calendar)?;
        if store
            .container(container)
            .is_some_and(|one| one.fields.get("canEdit") == Some(&Value::Bool(false)))
        {
            return Err(GraphError::new(
                403,
                "ErrorAccessDenied",
                "The calendar cannot be changed.",
            ));
        }
        let transaction = fields.get("transactionId").filter(|id| id.is_string());
        let twin = store
            .items()
            .find(|item| transaction.is_some() && item.fields.get("transactionId") == transaction);
        if let Some(twin) = twin {
            return Ok(twin.serial);
        }
        invite(store, &fields);
        store.create(container, fields, extended).map_err(refused)
    })?;
    answer(call, user, serial, None, 201)
}

pub(super) fn update(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let map = body(call)?;
    let fields = event::read(&map)?;
    let extended = properties(&map)?;
    let (serial, day) = store(user, |store| {
        let (item, day) = find(store, id)?;
        collection::if_match(call, &etag(store, item))?;
        let serial = item.serial;
        let mut whole = event::on(item, day);
        whole.extend(fields.clone());
        event::check(&whole)?;
        invite(store, &whole);
        let version = store.version + 1;
        store
            .edit(serial, |item| {
                item.extend(day, fields, version);
                item.set_properties(extended);
            })
            .map_err(refused)?;
        Ok((serial, day))
    })?;
    answer(call, user, serial, day, 200)
}

pub(super) fn delete(call: &Call<'_>, user: &User, id: &str) -> Answer {
    store(user, |store| {
        let (item, day) = find(store, id)?;
        collection::if_match(call, &etag(store, item))?;
        let (serial, fields) = (item.serial, item.fields.clone());
        invite(store, &fields);
        match day {
            Some(day) => store.edit(serial, |item| {
                item.series.cancelled.insert(day);
                item.series.exceptions.remove(&day);
            }),
            None => store.delete(serial),
        }
        .map_err(refused)?;
        Ok(Reply::empty(204))
    })
}
