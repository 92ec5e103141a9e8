//! Groups and calendars.

use serde_json::{Map, Value, json};

use super::{Answer, find_calendar, store};
use crate::graph::folders::body;
use crate::graph::{Call, collection, refused};
use crate::http::reply::{GraphError, Reply};
use crate::ids;
use crate::outlook::store::{STANDARD, Store};
use crate::random::text_key;
use crate::world::User;

/// Group of calendars that are in no other.
const OWN_GROUP: &str = "My Calendars";

fn group_id(store: &Store, name: &str) -> String {
    ids::folder(store.key ^ 0x47, (text_key(name) >> 33) as u32)
}

fn group_of(store: &Store, serial: u32) -> String {
    let group = store
        .container(serial)
        .and_then(|one| one.fields.get("group")?.as_str());
    group.unwrap_or(OWN_GROUP).to_owned()
}

fn group_names(store: &Store) -> Vec<String> {
    let mut names = vec![OWN_GROUP.to_owned()];
    for calendar in store.containers() {
        let name = group_of(store, calendar.serial);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

pub(super) fn shape(store: &Store, user: &User, serial: u32) -> Option<Map<String, Value>> {
    let calendar = store.container(serial)?;
    let field = |name: &str, default: Value| calendar.fields.get(name).cloned().unwrap_or(default);
    let value = json!({
        "id": store.container_id(serial),
        "name": calendar.name,
        "color": field("color", json!("auto")),
        "hexColor": field("hexColor", json!("")),
        "isDefaultCalendar": serial == STANDARD,
        "changeKey": ids::change_key(store.key, u64::from(serial)),
        "canShare": true,
        "canViewPrivateItems": true,
        "canEdit": field("canEdit", json!(true)),
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "isTallyingResponses": true,
        "isRemovable": serial != STANDARD,
        "owner": field("owner", json!({"name": user.person.display, "address": user.person.address})),
    });
    value.as_object().cloned()
}

pub(super) fn groups(call: &Call<'_>, user: &User) -> Answer {
    let all = store(user, |store| {
        let group = |name: String| {
            let value = json!({
                "id": group_id(store, &name),
                "name": name,
                "classId": "0006f0b7-0000-0000-c000-000000000046",
                "changeKey": ids::change_key(store.key, text_key(&name) >> 8),
            });
            value.as_object().cloned()
        };
        Ok(group_names(store)
            .into_iter()
            .filter_map(group)
            .collect::<Vec<_>>())
    })?;
    let id = user.person.id.as_str();
    collection::page(
        call,
        &["users", id, "calendarGroups"],
        &format!("users('{id}')/calendarGroups"),
        all,
    )
}

/// The name of a group by its id.
fn find_group(store: &Store, id: &str) -> Result<String, GraphError> {
    let found = group_names(store)
        .into_iter()
        .find(|name| group_id(store, name) == id);
    found.ok_or_else(GraphError::item_not_found)
}

/// Calendars of a group. Without one: of the first group and, where the settings say so, of all.
pub(super) fn list(call: &Call<'_>, user: &User, group: Option<&str>) -> Answer {
    let everything = call.world.settings().list_calendars_of_all_groups;
    let all = store(user, |store| {
        let wanted = match group {
            Some(id) => Some(find_group(store, id)?),
            None if everything => None,
            None => Some(OWN_GROUP.to_owned()),
        };
        let serials: Vec<u32> = store.containers().map(|one| one.serial).collect();
        Ok(serials
            .into_iter()
            .filter(|serial| {
                wanted
                    .as_ref()
                    .is_none_or(|name| group_of(store, *serial) == *name)
            })
            .filter_map(|serial| shape(store, user, serial))
            .collect::<Vec<_>>())
    })?;
    let id = user.person.id.as_str();
    let mut segments = vec!["users", id];
    segments.extend(group.map(|_| "calendarGroups"));
    segments.extend(group);
    segments.push("calendars");
    collection::page(call, &segments, &format!("users('{id}')/calendars"), all)
}

pub(super) fn entity(call: &Call<'_>, user: &User, serial: u32, status: u16) -> Answer {
    let object = store(user, |store| {
        shape(store, user, serial).ok_or_else(GraphError::item_not_found)
    })?;
    let what = format!("users('{}')/calendars", user.person.id);
    Ok(collection::entity(call, status, &what, object))
}

pub(super) fn get(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let serial = store(user, |store| find_calendar(store, Some(id)))?;
    entity(call, user, serial, 200)
}

fn read(call: &Call<'_>) -> Result<Map<String, Value>, GraphError> {
    let map = body(call)?;
    let known = |key: &str| {
        key.contains('@') || matches!(key, "name" | "color" | "hexColor" | "isDefaultCalendar" | "id")
    };
    match map.keys().find(|key| !known(key)) {
        Some(key) => Err(GraphError::new(
            400,
            "RequestBodyRead",
            format!("The property '{key}' cannot be set on type 'microsoft.graph.calendar'."),
        )),
        None => Ok(map),
    }
}

fn set(store: &mut Store, serial: u32, map: &Map<String, Value>) {
    if let Some(calendar) = store.container_mut(serial) {
        for name in ["color", "hexColor"] {
            if let Some(value) = map.get(name) {
                calendar.fields.insert(name.to_owned(), value.clone());
            }
        }
    }
}

pub(super) fn create(call: &Call<'_>, user: &User, group: Option<&str>) -> Answer {
    let map = read(call)?;
    let name = map
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.trim().is_empty());
    let name =
        name.ok_or_else(|| GraphError::new(400, "ErrorInvalidRequest", "The calendar needs a name."))?;
    let serial = store(user, |store| {
        let group = group.map(|id| find_group(store, id)).transpose()?;
        let serial = store.create_container(STANDARD, name).map_err(refused)?;
        set(store, serial, &map);
        if let (Some(group), Some(calendar)) = (group, store.container_mut(serial)) {
            calendar.fields.insert("group".to_owned(), json!(group));
        }
        Ok(serial)
    })?;
    entity(call, user, serial, 201)
}

pub(super) fn update(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let map = read(call)?;
    let serial = store(user, |store| {
        let serial = find_calendar(store, Some(id))?;
        if let Some(name) = map.get("name").and_then(Value::as_str) {
            store.rename_container(serial, name).map_err(refused)?;
        }
        set(store, serial, &map);
        Ok(serial)
    })?;
    entity(call, user, serial, 200)
}

pub(super) fn delete(user: &User, id: &str) -> Answer {
    store(user, |store| {
        let serial = find_calendar(store, Some(id))?;
        store.delete_container(serial).map_err(refused)?;
        Ok(Reply::empty(204))
    })
}
