//! Files attached to events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::json::find;
use super::{Answer, store};
use crate::clock;
use crate::graph::attachments::{SESSION_FROM, too_large};
use crate::graph::folders::body;
use crate::graph::{Call, collection, refused};
use crate::http::reply::{GraphError, Reply};
use crate::ids;
use crate::outlook::store::{Attachment, Item, Store};
use crate::world::User;

fn shape(store: &Store, item: &Item, one: &Attachment, content: bool, immutable: bool) -> Map<String, Value> {
    let mut out = json!({
        "@odata.type": "#microsoft.graph.fileAttachment",
        "@odata.mediaContentType": one.kind,
        "id": ids::attachment(store.key, item.serial, item.place, one.number, immutable),
        "lastModifiedDateTime": clock::iso(item.modified),
        "name": one.name,
        "contentType": one.kind,
        "size": one.bytes.len() + 120,
        "isInline": one.inline,
        "contentId": one.content_id,
        "contentLocation": null,
    });
    if let (true, Some(map)) = (content, out.as_object_mut()) {
        map.insert("contentBytes".to_owned(), json!(STANDARD.encode(&one.bytes)));
    }
    out.as_object().cloned().unwrap_or_default()
}

pub(super) fn list(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let immutable = call.request.immutable();
    let all = store(user, |store| {
        let (item, _) = find(store, id)?;
        let shaped = item
            .attachments
            .iter()
            .map(|one| shape(store, item, one, true, immutable));
        Ok(shaped.collect::<Vec<_>>())
    })?;
    let user_id = user.person.id.as_str();
    let segments = ["users", user_id, "events", id, "attachments"];
    collection::page(
        call,
        &segments,
        &format!("users('{user_id}')/events/attachments"),
        all,
    )
}

fn number(store: &Store, item: &Item, id: &str) -> Result<u32, GraphError> {
    ids::parse_attachment(store.key, item.serial, id).ok_or_else(GraphError::malformed_id)
}

fn one<R>(
    user: &User,
    id: &str,
    attachment: &str,
    f: impl FnOnce(&Store, &Item, &Attachment) -> R,
) -> Result<R, GraphError> {
    store(user, |store| {
        let (item, _) = find(store, id)?;
        let wanted = number(store, item, attachment)?;
        let found = item.attachments.iter().find(|one| one.number == wanted);
        let found = found.ok_or_else(GraphError::item_not_found)?;
        Ok(f(store, item, found))
    })
}

pub(super) fn get(call: &Call<'_>, user: &User, id: &str, attachment: &str) -> Answer {
    let immutable = call.request.immutable();
    let object = one(user, id, attachment, |store, item, one| {
        shape(store, item, one, true, immutable)
    })?;
    Ok(collection::entity(call, 200, "attachments", object))
}

pub(super) fn value(user: &User, id: &str, attachment: &str) -> Answer {
    one(user, id, attachment, |_, _, one| {
        Reply::bytes(200, &one.kind, one.bytes.clone())
    })
}

pub(super) fn create(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let map = body(call)?;
    let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
    if text("@odata.type").as_deref() != Some("#microsoft.graph.fileAttachment") {
        return Err(GraphError::new(
            400,
            "ErrorInvalidRequest",
            "Only files can be attached to events here.",
        ));
    }
    let name = text("name").ok_or_else(|| {
        GraphError::new(
            400,
            "ErrorRequiredPropertyMissing",
            "Required property is missing: name",
        )
    })?;
    let bytes = text("contentBytes").and_then(|text| STANDARD.decode(text).ok());
    let bytes = bytes.ok_or_else(|| GraphError::new(400, "RequestBodyRead", "contentBytes is no base64."))?;
    let immutable = call.request.immutable();
    if bytes.len() as u64 >= SESSION_FROM {
        return Err(too_large());
    }
    let object = store(user, |store| {
        let serial = find(store, id)?.0.serial;
        let made = Attachment {
            number: 0,
            name,
            kind: text("contentType").unwrap_or_else(|| "application/octet-stream".to_owned()),
            inline: map.get("isInline") == Some(&Value::Bool(true)),
            content_id: text("contentId"),
            bytes: Bytes::from(bytes),
        };
        add(store, serial, made)?;
        let item = store.item(serial).ok_or_else(GraphError::item_not_found)?;
        let one = item.attachments.last().ok_or_else(GraphError::item_not_found)?;
        Ok(shape(store, item, one, false, immutable))
    })?;
    Ok(collection::entity(call, 201, "attachments", object))
}

/// Attaches a file to an event; returns its number.
fn add(store: &mut Store, serial: u32, made: Attachment) -> Result<u32, GraphError> {
    let item = store.item(serial).ok_or_else(GraphError::item_not_found)?;
    let number = item.attachments.last().map_or(1, |last| last.number + 1);
    store
        .edit(serial, |item| {
            item.attachments.push(Attachment { number, ..made });
        })
        .map_err(refused)?;
    Ok(number)
}

/// Attaches a file that was uploaded; returns its id.
pub(crate) fn attach(store: &mut Store, serial: u32, made: Attachment) -> Result<String, GraphError> {
    let number = add(store, serial, made)?;
    let place = store.item(serial).map_or(0, |item| item.place);
    Ok(ids::attachment(store.key, serial, place, number, false))
}
