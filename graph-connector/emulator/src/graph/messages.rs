//! Messages: list, get, MIME, delete, move, copy.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::graph::folders::{self, with};
use crate::graph::json::{Shape, Snapshot};
use crate::graph::odata::{self, Filter, Select};
use crate::graph::{Call, json as shape, links, refused};
use crate::http::reply::{Body, GraphError, Reply};
use crate::mail::mailbox::Mailbox;
use crate::mail::message::Content;
use crate::world::User;

type Answer = Result<Reply, GraphError>;

/// Bodies from this size on are sent in pieces while they are made.
const STREAM_FROM: u64 = 1024 * 1024;

/// What the request wants to see of messages.
pub(crate) fn shape_of(call: &Call<'_>) -> Result<Shape, GraphError> {
    let request = call.request;
    let basic = call.basic_only();
    let properties = odata::expanded_properties(request.option("$expand"))?;
    if basic && !properties.is_empty() {
        return Err(GraphError::access_denied());
    }
    let body_type = match request
        .preference("outlook.body-content-type")
        .map(str::to_lowercase)
    {
        Some(t) if t == "text" || t == "html" => Some(t),
        Some(_) => {
            return Err(GraphError::new(
                400,
                "ErrorInvalidRequest",
                "The preference outlook.body-content-type is invalid.",
            ));
        }
        None => None,
    };
    Ok(Shape {
        select: Select::parse(request.option("$select")),
        properties,
        immutable: request.immutable(),
        body_type,
        basic,
    })
}

/// A message id of either form.
pub(crate) fn find(mailbox: &Mailbox, id: &str) -> Result<u32, GraphError> {
    let serial = mailbox
        .find_message(id)
        .map_err(|malformed| GraphError::no_such(!malformed))?;
    if mailbox.corrupt.contains(&serial) {
        return Err(GraphError::new(500, "ErrorCorruptData", "Data is corrupt."));
    }
    Ok(serial)
}

/// In a folder given in the path the message must lie in it.
fn find_in(mailbox: &Mailbox, folder: Option<&str>, id: &str) -> Result<u32, GraphError> {
    let serial = find(mailbox, id)?;
    if let Some(folder) = folder {
        let folder = folders::find(mailbox, folder)?;
        if mailbox.message(serial).is_none_or(|m| m.folder != folder) {
            return Err(GraphError::item_not_found());
        }
    }
    Ok(serial)
}

fn applied(reply: Reply, shape: &Shape) -> Reply {
    match &shape.body_type {
        Some(kind) => reply.with(
            "Preference-Applied",
            format!("outlook.body-content-type=\"{kind}\""),
        ),
        None => reply,
    }
}

/// The answer with one message.
pub(crate) fn entity(call: &Call<'_>, user: &User, snapshot: &Snapshot, status: u16) -> Answer {
    let shape = shape_of(call)?;
    let mut map = Map::new();
    map.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#users('{}')/messages{}/$entity",
            call.world.graph_url(),
            user.person.id,
            shape.select.context(call.request)
        )),
    );
    map.extend(shape::message(snapshot, &shape));
    Ok(applied(Reply::json(status, Value::Object(map)), &shape))
}

pub(crate) fn snapshot(user: &User, serial: u32) -> Result<Snapshot, GraphError> {
    with(user, |m| {
        Snapshot::of(m, serial).ok_or_else(GraphError::item_not_found)
    })
}

pub(crate) fn get(call: &Call<'_>, user_id: &str, folder: Option<&str>, id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let serial = with(&user, |m| find_in(m, folder, id))?;
    let snapshot = snapshot(&user, serial)?;
    entity(call, &user, &snapshot, 200)
}

/// `$value`: the MIME of the message.
pub(crate) fn value(call: &Call<'_>, user_id: &str, folder: Option<&str>, id: &str) -> Answer {
    if call.basic_only() {
        return Err(GraphError::access_denied());
    }
    let user = call.mailbox_user(user_id)?;
    let mime = with(&user, |m| {
        let serial = find_in(m, folder, id)?;
        m.mime(serial).ok_or_else(GraphError::item_not_found)
    })?;
    let reply = Reply::empty(200).with("Content-Type", "text/plain");
    Ok(if mime.len() >= STREAM_FROM {
        reply.body(Body::Stream(mime.pieces()))
    } else {
        reply.body(Body::Bytes(mime.bytes()))
    })
}

/// Messages of a folder or of the mailbox, newest first: default page 10, at most 1000.
pub(crate) fn list(call: &Call<'_>, user_id: &str, folder: Option<&str>) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let request = call.request;
    let shape = shape_of(call)?;
    let filters = odata::filters(request.option("$filter"))?;
    if shape.basic && filters.iter().any(|f| matches!(f, Filter::Property(..))) {
        return Err(GraphError::access_denied());
    }
    let top = odata::number(request, "$top")?.unwrap_or(10);
    let top = request
        .preference("odata.maxpagesize")
        .and_then(|p| p.parse().ok())
        .unwrap_or(top)
        .clamp(1, 1000);
    let skip = odata::number(request, "$skip")?.unwrap_or(0);
    let oldest_first = match request.option("$orderby").map(|o| o.trim().to_lowercase()) {
        None => false,
        Some(o) if o == "receiveddatetime desc" => false,
        Some(o) if o == "receiveddatetime" || o == "receiveddatetime asc" => true,
        Some(o) => {
            return Err(GraphError::new(
                400,
                "ErrorInvalidUrlQuery",
                format!("Sorting by '{o}' is not supported."),
            ));
        }
    };
    let wanted = request
        .option("$count")
        .is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let (page, more, total) = with(&user, |m| {
        let serial = folder.map(|id| folders::find(m, id)).transpose()?;
        let serials = select(m, serial, &filters, skip, top + 1, oldest_first);
        let more = serials.len() > top;
        let page: Vec<Snapshot> = serials
            .iter()
            .take(top)
            .filter_map(|s| Snapshot::of(m, *s))
            .collect();
        let total = if wanted {
            select(m, serial, &filters, 0, usize::MAX, false).len()
        } else {
            0
        };
        Ok((page, more, total))
    })?;
    let value: Vec<Value> = page
        .iter()
        .map(|s| Value::Object(shape::message(s, &shape)))
        .collect();
    let mut segments = vec!["users", user.person.id.as_str()];
    if let Some(folder) = folder {
        segments.extend(["mailFolders", folder]);
    }
    segments.push("messages");
    let place = folder.map_or(String::new(), |f| format!("/mailFolders('{f}')"));
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#users('{}'){place}/messages{}",
            call.world.graph_url(),
            user.person.id,
            shape.select.context(request)
        )),
    );
    if wanted {
        body.insert("@odata.count".into(), json!(total));
    }
    if more {
        let next = (skip + top).to_string();
        let mut options: Vec<(&str, &str)> = Vec::new();
        for name in ["$select", "$expand", "$filter", "$orderby", "$top", "$count"] {
            if let Some(value) = request.option(name) {
                options.push((name, value));
            }
        }
        options.push(("$skip", &next));
        body.insert(
            "@odata.nextLink".into(),
            json!(links::link(call.world, &segments, &options, skip as u64)),
        );
    }
    body.insert("value".into(), Value::Array(value));
    Ok(applied(Reply::json(200, Value::Object(body)), &shape))
}

/// Serials that match, in order, without the first `skip`, at most `take`.
fn select(
    m: &Mailbox,
    folder: Option<u32>,
    filters: &[Filter],
    skip: usize,
    take: usize,
    oldest: bool,
) -> Vec<u32> {
    let sources = folder
        .and_then(|f| m.folder(f))
        .and_then(|f| f.search.as_ref())
        .map(|s| s.sources.clone());
    let fits = |serial: u32| {
        let Some(msg) = m.message(serial) else {
            return false;
        };
        let in_place = match (&sources, folder) {
            (Some(sources), _) => sources.contains(&msg.folder),
            (None, Some(folder)) => msg.folder == folder,
            (None, None) => true,
        };
        in_place
            && filters.iter().all(|f| match f {
                Filter::Read(read) => msg.read == *read,
                Filter::Draft(draft) => msg.draft == *draft,
                Filter::Received(from, to) => (*from..=*to).contains(&msg.received),
                Filter::Subject(subject) => {
                    let view = Snapshot::of(m, serial).map(|s| s.view(false));
                    view.is_some_and(|v| v.subject.as_deref() == Some(subject))
                }
                // Answered from the indexes below.
                Filter::MessageId(_) | Filter::Property(..) => true,
            })
    };
    let indexed = filters.iter().find_map(|f| match f {
        Filter::MessageId(id) => Some(m.by_message_id(id)),
        Filter::Property(id, value) => Some(m.by_property(id, value)),
        _ => None,
    });
    if let Some(found) = indexed {
        return found
            .into_iter()
            .filter(|s| fits(*s))
            .skip(skip)
            .take(take)
            .collect();
    }
    let whole;
    let set: &BTreeSet<(i64, u32)> = match (folder.and_then(|f| m.folder(f)), &sources) {
        (Some(folder), None) => &folder.by_received,
        _ => {
            whole = &m.by_received;
            whole
        }
    };
    let serials: Box<dyn Iterator<Item = u32>> = if oldest {
        Box::new(set.iter().rev().map(|x| x.1))
    } else {
        Box::new(set.iter().map(|x| x.1))
    };
    if filters.is_empty() && sources.is_none() {
        return serials.skip(skip).take(take).collect();
    }
    serials.filter(|s| fits(*s)).skip(skip).take(take).collect()
}

pub(crate) fn delete(call: &Call<'_>, user_id: &str, folder: Option<&str>, id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    with(&user, |m| {
        let serial = find_in(m, folder, id)?;
        if let Some(wanted) = call.request.header("if-match").filter(|w| *w != "*") {
            let now = Snapshot::of(m, serial).map(|s| s.etag()).unwrap_or_default();
            if now != wanted {
                return Err(conflict());
            }
        }
        m.delete_message(serial).map_err(refused)?;
        Ok(Reply::empty(204))
    })
}

pub(crate) fn conflict() -> GraphError {
    GraphError::new(
        412,
        "ErrorIrresolvableConflict",
        "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.",
    )
}

pub(crate) fn relocate(call: &Call<'_>, user_id: &str, folder: Option<&str>, id: &str, copy: bool) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let serial = with(&user, |m| {
        let serial = find_in(m, folder, id)?;
        let to = folders::destination(call, m)?;
        if copy {
            m.copy_message(serial, to).map_err(refused)
        } else {
            m.move_message(serial, to).map_err(refused)?;
            Ok(serial)
        }
    })?;
    let snapshot = snapshot(&user, serial)?;
    entity(call, &user, &snapshot, 201)
}

/// `translateExchangeIds` between the two forms.
pub(crate) fn translate(call: &Call<'_>, user_id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let map = folders::body(call)?;
    let ids: Vec<String> = map
        .get("inputIds")
        .and_then(Value::as_array)
        .map(|a| a.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    if ids.len() > 1000 {
        return Err(GraphError::new(
            400,
            "ErrorInvalidRequest",
            "At most 1000 ids can be translated in one request.",
        ));
    }
    let immutable = match map.get("targetIdType").and_then(Value::as_str) {
        Some("restImmutableEntryId") => true,
        Some("restId") => false,
        _ => {
            return Err(GraphError::new(
                400,
                "ErrorInvalidRequest",
                "targetIdType is not supported.",
            ));
        }
    };
    let value = with(&user, |m| {
        Ok(ids
            .iter()
            .map(|id| match m.find_message(id) {
                Ok(serial) => json!({"sourceId": id, "targetId": m.message_id(serial, immutable)}),
                Err(_) => json!({"sourceId": id, "errorDetails": {"code": "ErrorInvalidIdMalformed", "message": "Id is malformed."}}),
            })
            .collect::<Vec<_>>())
    })?;
    let context = format!(
        "{}/$metadata#Collection(microsoft.graph.convertIdResult)",
        call.world.graph_url()
    );
    Ok(Reply::json(
        200,
        json!({"@odata.context": context, "value": value}),
    ))
}

/// True for a message whose content is in the composed form.
pub(crate) fn composed(content: &Content) -> bool {
    matches!(content, Content::Composed(_))
}
