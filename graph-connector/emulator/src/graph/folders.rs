//! Mail folders: list, get, create, change, move, copy, delete.

use serde_json::{Map, Value, json};

use crate::graph::odata::{self, Select};
use crate::graph::{Call, json as shape, links, refused};
use crate::http::reply::{GraphError, Reply};
use crate::mail::mailbox::{Mailbox, TOP};
use crate::mail::message::property_key;
use crate::world::User;

type Answer = Result<Reply, GraphError>;

fn no_mailbox() -> GraphError {
    GraphError::new(
        404,
        "MailboxNotEnabledForRESTAPI",
        "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    )
}

/// Runs `f` on the locked mailbox of a user.
pub(crate) fn with<R>(
    user: &User,
    f: impl FnOnce(&mut Mailbox) -> Result<R, GraphError>,
) -> Result<R, GraphError> {
    let mut mailbox = user.lock().ok_or_else(no_mailbox)?;
    f(&mut mailbox)
}

/// A folder by id or well-known name; a malformed id is told from a missing folder.
pub(crate) fn find(mailbox: &Mailbox, id: &str) -> Result<u32, GraphError> {
    mailbox.find_folder(id).ok_or_else(|| {
        let well_known = id.bytes().all(|b| b.is_ascii_alphabetic());
        GraphError::no_such(well_known || crate::ids::parse_folder(mailbox.key, id).is_some())
    })
}

/// Children of `parent` (`None`: of `msgfolderroot`): default page 10, at most 1000.
pub(crate) fn list(call: &Call<'_>, user_id: &str, parent: Option<&str>) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let request = call.request;
    let select = Select::parse(request.option("$select"));
    let properties = if call.basic_only() {
        vec![]
    } else {
        odata::expanded_properties(request.option("$expand"))?
    };
    let hidden = request
        .option("includehiddenfolders")
        .is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let top = odata::number(request, "$top")?.unwrap_or(10).clamp(1, 1000);
    let skip = odata::number(request, "$skip")?.unwrap_or(0);
    let (page, more, total) = with(&user, |m| {
        let serial = match parent {
            Some(id) => find(m, id)?,
            None => TOP,
        };
        let mut all: Vec<_> = m.children(serial).filter(|f| hidden || !f.hidden).collect();
        all.sort_by(|a, b| (a.name.as_str(), a.serial).cmp(&(b.name.as_str(), b.serial)));
        let page: Vec<Value> = all
            .iter()
            .skip(skip)
            .take(top)
            .map(|f| Value::Object(shape::folder(m, f, &select, &properties)))
            .collect();
        Ok((page, skip + top < all.len(), all.len()))
    })?;
    let what = match parent {
        Some(id) => format!("/mailFolders('{id}')/childFolders"),
        None => "/mailFolders".to_owned(),
    };
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#users('{}'){what}{}",
            call.world.graph_url(),
            user.person.id,
            select.context(request)
        )),
    );
    if request
        .option("$count")
        .is_some_and(|v| v.eq_ignore_ascii_case("true"))
    {
        body.insert("@odata.count".into(), json!(total));
    }
    if more {
        let next = (skip + top).to_string();
        let mut options: Vec<(&str, &str)> = Vec::new();
        for name in ["$select", "$expand", "$top", "includehiddenfolders"] {
            if let Some(value) = request.option(name) {
                options.push((
                    if name.starts_with('i') {
                        "includeHiddenFolders"
                    } else {
                        name
                    },
                    value,
                ));
            }
        }
        options.push(("$skip", &next));
        let mut segments = vec!["users", user.person.id.as_str(), "mailFolders"];
        segments.extend(parent);
        segments.extend(parent.map(|_| "childFolders"));
        body.insert(
            "@odata.nextLink".into(),
            json!(links::link(call.world, &segments, &options, skip as u64)),
        );
    }
    body.insert("value".into(), Value::Array(page));
    Ok(Reply::json(200, Value::Object(body)))
}

fn entity(call: &Call<'_>, user: &User, m: &Mailbox, serial: u32, status: u16) -> Answer {
    let folder = m.folder(serial).ok_or_else(GraphError::item_not_found)?;
    let select = Select::parse(call.request.option("$select"));
    let properties = if call.basic_only() {
        vec![]
    } else {
        odata::expanded_properties(call.request.option("$expand"))?
    };
    let mut map = Map::new();
    map.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#users('{}')/mailFolders{}/$entity",
            call.world.graph_url(),
            user.person.id,
            select.context(call.request)
        )),
    );
    map.extend(shape::folder(m, folder, &select, &properties));
    Ok(Reply::json(status, Value::Object(map)))
}

pub(crate) fn get(call: &Call<'_>, user_id: &str, id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    with(&user, |m| {
        let serial = find(m, id)?;
        entity(call, &user, m, serial, 200)
    })
}

/// The JSON body of a request.
pub(crate) fn body(call: &Call<'_>) -> Result<Map<String, Value>, GraphError> {
    let kind = call.request.content_type();
    if !kind.is_empty() && kind != "application/json" {
        return Err(GraphError::new(
            415,
            "RequestBodyRead",
            "The content type of the request is not supported.",
        ));
    }
    match serde_json::from_slice(&call.request.body) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(GraphError::new(
            400,
            "BadRequest",
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.",
        )),
    }
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .and_then(|(_, v)| v.as_str())
}

pub(crate) fn create(call: &Call<'_>, user_id: &str, parent: Option<&str>) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let map = body(call)?;
    let name = text(&map, "displayName")
        .filter(|n| !n.trim().is_empty())
        .ok_or_else(|| GraphError::new(400, "ErrorInvalidRequest", "The folder needs a displayName."))?
        .to_owned();
    let hidden = map.get("isHidden").and_then(Value::as_bool).unwrap_or(false);
    let properties = properties(&map)?;
    if map
        .get("@odata.type")
        .and_then(Value::as_str)
        .is_some_and(|t| t.ends_with("mailSearchFolder"))
    {
        return Err(GraphError::new(
            501,
            "NotImplemented",
            "Search folders cannot be created here.",
        ));
    }
    with(&user, |m| {
        let parent = match parent {
            Some(id) => find(m, id)?,
            None => TOP,
        };
        if m.folder(parent).is_some_and(|f| f.search.is_some()) {
            return Err(GraphError::new(
                400,
                "ErrorInvalidOperation",
                "A search folder cannot have children.",
            ));
        }
        let serial = m.create_folder(parent, &name, hidden).map_err(refused)?;
        if let Some(folder) = m.folder_mut(serial) {
            for (id, value) in properties {
                folder
                    .properties
                    .retain(|(n, _)| property_key(n) != property_key(&id));
                folder.properties.push((id, value));
            }
        }
        entity(call, &user, m, serial, 201)
    })
}

/// `singleValueExtendedProperties` of a body.
pub(crate) fn properties(map: &Map<String, Value>) -> Result<Vec<(String, Value)>, GraphError> {
    let mut out = Vec::new();
    for (name, list) in map {
        let multi = name.eq_ignore_ascii_case("multiValueExtendedProperties");
        if !multi && !name.eq_ignore_ascii_case("singleValueExtendedProperties") {
            continue;
        }
        for entry in list.as_array().into_iter().flatten() {
            let id = entry.get("id").and_then(Value::as_str).filter(|id| valid_property(id)).ok_or_else(|| {
                GraphError::new(400, "ErrorInvalidPropertyId", "PropertyId values may only be in one of the following formats: 'MapiPropertyType namespaceGuid Name propertyName', 'MapiPropertyType namespaceGuid Id propertyId' or 'MapiPropertyType propertyTag'.")
            })?;
            let value = entry.get("value").cloned().unwrap_or(Value::Null);
            // Single values are strings in JSON whatever their MAPI type.
            let fits = if multi {
                value.is_array()
            } else {
                value.is_string()
            };
            if !fits {
                return Err(GraphError::new(
                    400,
                    "RequestBodyRead",
                    "The value of an extended property has the wrong JSON type.",
                ));
            }
            out.push((id.to_owned(), value));
        }
    }
    Ok(out)
}

fn valid_property(id: &str) -> bool {
    let words: Vec<&str> = id.splitn(4, ' ').collect();
    let hex = |t: &str| {
        t.to_lowercase()
            .strip_prefix("0x")
            .is_some_and(|h| !h.is_empty() && h.len() <= 8 && h.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    match words.as_slice() {
        [_, tag] => hex(tag),
        [_, guid, kind, rest] => {
            guid.starts_with('{')
                && guid.ends_with('}')
                && guid.len() == 38
                && (kind.eq_ignore_ascii_case("Name") && !rest.is_empty()
                    || kind.eq_ignore_ascii_case("Id") && hex(rest))
        }
        _ => false,
    }
}

pub(crate) fn update(call: &Call<'_>, user_id: &str, id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let map = body(call)?;
    if map.keys().any(|k| k.eq_ignore_ascii_case("isHidden")) {
        return Err(GraphError::new(
            400,
            "ErrorInvalidPropertySet",
            "isHidden can be set only when a folder is created.",
        ));
    }
    with(&user, |m| {
        let serial = find(m, id)?;
        if let Some(name) = text(&map, "displayName") {
            m.rename_folder(serial, name).map_err(refused)?;
        }
        entity(call, &user, m, serial, 200)
    })
}

pub(crate) fn delete(call: &Call<'_>, user_id: &str, id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    with(&user, |m| {
        let serial = find(m, id)?;
        m.delete_folder(serial).map_err(|r| match r {
            crate::mail::mailbox::Refused::WellKnown => GraphError::new(
                403,
                "ErrorDeleteDistinguishedFolder",
                "Distinguished folders cannot be deleted.",
            ),
            other => refused(other),
        })?;
        Ok(Reply::empty(204))
    })
}

/// `destinationId` of a move or copy.
pub(crate) fn destination(call: &Call<'_>, m: &Mailbox) -> Result<u32, GraphError> {
    let map = body(call)?;
    let id = text(&map, "destinationId")
        .ok_or_else(|| GraphError::new(400, "ErrorInvalidRequest", "destinationId is missing."))?;
    find(m, id)
}

pub(crate) fn relocate(call: &Call<'_>, user_id: &str, id: &str, copy: bool) -> Answer {
    let user = call.mailbox_user(user_id)?;
    with(&user, |m| {
        let serial = find(m, id)?;
        let to = destination(call, m)?;
        let serial = if copy {
            m.copy_folder(serial, to).map_err(refused)?
        } else {
            m.move_folder(serial, to).map_err(refused)?;
            serial
        };
        entity(call, &user, m, serial, 201)
    })
}
