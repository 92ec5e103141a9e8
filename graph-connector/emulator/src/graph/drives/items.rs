//! Drives, items, children: read, made, changed, deleted; small files in one request.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::address::Address;
use super::json::{self as shape, Place};
use super::{Answer, Found, check_match, conflict, item_of, name_of, not_found, office, place_of, refused};
use crate::clock;
use crate::drive::tree::{Conflict, Drive};
use crate::graph::odata::{self, Select};
use crate::graph::sites::pages;
use crate::graph::{Call, folders};
use crate::http::path;
use crate::http::reply::{GraphError, Reply};
use crate::mail::data::Data;
use crate::world::DriveSlot;

/// Items on one page of children.
const PAGE: usize = 200;
/// Largest file of one PUT.
const MAX_PUT: usize = 4 * 1024 * 1024;

/// An item with its context, as the answer to a call.
pub(crate) fn entity(call: &Call<'_>, drive: &Drive, serial: u32, status: u16) -> Answer {
    let node = drive.node(serial).ok_or_else(not_found)?;
    let select = Select::parse(call.request.option("$select"));
    let mut map = Map::new();
    map.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#drives('{}')/items/$entity",
            call.world.graph_url(),
            path::encode(&drive.id)
        )),
    );
    map.extend(selected(
        shape::item(call.world, drive, node, Place::Direct),
        &select,
    ));
    Ok(Reply::json(status, Value::Object(map)))
}

fn selected(item: Map<String, Value>, select: &Select) -> Map<String, Value> {
    item.into_iter()
        .filter(|(name, _)| {
            name == "id"
                || select.wants(name)
                || name == "@microsoft.graph.downloadUrl" && select.names("content.downloadUrl")
        })
        .collect()
}

/// `GET /users/{u}/drives`, `GET /sites/{s}/drives`.
pub(crate) fn drives(call: &Call<'_>, slots: &[Arc<DriveSlot>]) -> Answer {
    let select = Select::parse(call.request.option("$select"));
    let value = slots
        .iter()
        .map(|slot| Value::Object(selected(shape::drive(call.world, &slot.lock()), &select)))
        .collect();
    pages::answer(call, "drives", value)
}

/// `GET /drives/{d}` and `GET /users/{u}/drive`.
pub(crate) fn drive(call: &Call<'_>, found: &Found) -> Answer {
    let drive = found.lock()?;
    let select = Select::parse(call.request.option("$select"));
    let mut map = Map::new();
    map.insert(
        "@odata.context".into(),
        json!(format!("{}/$metadata#drives/$entity", call.world.graph_url())),
    );
    map.extend(selected(shape::drive(call.world, &drive), &select));
    Ok(Reply::json(200, Value::Object(map)))
}

pub(crate) fn get(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    entity(call, &drive, serial, 200)
}

/// `GET .../children`.
pub(crate) fn children(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    let node = drive.node(serial).ok_or_else(not_found)?;
    if !node.holds_children() {
        return Err(GraphError::new(
            400,
            "invalidRequest",
            "The item is not a folder.",
        ));
    }
    let size = odata::number(call.request, "$top")?.unwrap_or(PAGE).clamp(1, 999);
    let skip: usize = match call.request.option("$skiptoken") {
        None => 0,
        Some(text) => text
            .parse()
            .map_err(|_| GraphError::new(400, "invalidRequest", "The skip token is malformed."))?,
    };
    let select = Select::parse(call.request.option("$select"));
    let value: Vec<Value> = drive
        .children(serial)
        .skip(skip)
        .take(size)
        .map(|child| {
            Value::Object(selected(
                shape::item(call.world, &drive, child, Place::Direct),
                &select,
            ))
        })
        .collect();
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#Collection(driveItem)",
            call.world.graph_url()
        )),
    );
    if skip + value.len() < drive.child_count(serial) {
        let next = format!(
            "{}/drives/{}/items/{}/children?$top={size}&$skiptoken={}",
            call.world.graph_url(),
            path::encode(&drive.id),
            drive.id(serial),
            skip + value.len()
        );
        body.insert("@odata.nextLink".into(), json!(next));
    }
    body.insert("value".into(), Value::Array(value));
    Ok(Reply::json(200, Value::Object(body)))
}

/// `POST .../children`: a folder.
pub(crate) fn create(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let body = Value::Object(folders::body(call)?);
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    if body.get("folder").is_none_or(|folder| !folder.is_object()) {
        return Err(GraphError::new(
            400,
            "invalidRequest",
            "Only folders can be made like this.",
        ));
    }
    let conflict = conflict(call, Some(&body), Conflict::Fail)?;
    let mut drive = found.lock()?;
    let parent = item_of(&drive, address)?;
    let (serial, _) = drive.create_folder(parent, name, conflict).map_err(refused)?;
    if let Some((created, modified)) = times(&body)? {
        set_times(&mut drive, serial, created, modified);
    }
    entity(call, &drive, serial, 201)
}

/// Creation and modification, as far as they are given.
type Times = (Option<i64>, Option<i64>);

/// `fileSystemInfo` of a body: creation and modification, in Unix milliseconds.
pub(crate) fn times(body: &Value) -> Result<Option<Times>, GraphError> {
    let Some(info) = body.get("fileSystemInfo").filter(|info| !info.is_null()) else {
        return Ok(None);
    };
    let read = |name: &str| match info.get(name).and_then(Value::as_str) {
        None => Ok(None),
        Some(text) => clock::parse_iso(text)
            .map(|ms| Some(ms / 1000 * 1000))
            .ok_or_else(|| {
                GraphError::new(400, "invalidRequest", format!("The value of {name} is no time."))
            }),
    };
    Ok(Some((read("createdDateTime")?, read("lastModifiedDateTime")?)))
}

pub(crate) fn set_times(drive: &mut Drive, serial: u32, created: Option<i64>, modified: Option<i64>) {
    if let Some(node) = drive.edit(serial) {
        node.fs_created = created.unwrap_or(node.fs_created);
        node.fs_modified = modified.unwrap_or(node.fs_modified);
    }
}

/// `PATCH`: name, parent, times.
pub(crate) fn update(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let body = Value::Object(folders::body(call)?);
    let conflict = conflict(call, Some(&body), Conflict::Fail)?;
    let times = times(&body)?;
    let mut drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    check_match(call, &drive, serial)?;
    let node = drive.node(serial).ok_or_else(not_found)?;
    let parent = match body.get("parentReference").and_then(|parent| parent.get("id")) {
        Some(Value::String(id)) => drive
            .find(id)
            .ok_or_else(|| GraphError::new(404, "itemNotFound", "The parent could not be found."))?,
        _ => node.parent,
    };
    let name = body
        .get("name")
        .and_then(Value::as_str)
        .map_or_else(|| node.name.clone(), str::to_owned);
    if parent != node.parent || name != node.name {
        drive.relocate(serial, parent, &name, conflict).map_err(refused)?;
    } else {
        drive.touch(serial, false);
    }
    if let Some((created, modified)) = times {
        set_times(&mut drive, serial, created, modified);
    }
    entity(call, &drive, serial, 200)
}

/// `DELETE`: to the recycle bin.
pub(crate) fn delete(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let mut drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    check_match(call, &drive, serial)?;
    drive.delete(serial).map_err(refused)?;
    Ok(Reply::empty(204))
}

/// `PUT .../content`: a whole file. What is there gets a new version unless the call asks otherwise.
pub(crate) fn put(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    if call.request.body.len() > MAX_PUT {
        return Err(GraphError::new(
            413,
            "requestTooLarge",
            "The file is too large for one request; use an upload session.",
        ));
    }
    let conflict = conflict(call, None, Conflict::Replace)?;
    let data = Data::Bytes(call.request.body.clone());
    let mut drive = found.lock()?;
    if address.path.is_empty() {
        let serial = item_of(&drive, address)?;
        check_match(call, &drive, serial)?;
        let data = office::stored(call.world, &drive, &name_of(&drive, serial), data);
        drive.write(serial, data).map_err(refused)?;
        return entity(call, &drive, serial, 200);
    }
    let (parent, name) = place_of(&drive, address)?;
    if let Some(existing) = drive.child(parent, &name) {
        check_match(call, &drive, existing)?;
    }
    let data = office::stored(call.world, &drive, &name, data);
    let (serial, new) = drive.put_file(parent, &name, data, conflict).map_err(refused)?;
    entity(call, &drive, serial, if new { 201 } else { 200 })
}
