//! Attachments: list, get, content, add, delete.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::graph::folders::{self, with};
use crate::graph::json::{Shape, Snapshot};
use crate::graph::odata::Select;
use crate::graph::{Call, compose, json as shape, messages};
use crate::http::path;
use crate::http::reply::{Body, GraphError, Reply};
use crate::ids;
use crate::mail::data::Data;
use crate::mail::mailbox::Mailbox;
use crate::mail::message::{Content, Msg};
use crate::mail::parse;
use crate::mail::view::{Part, PartKind};
use crate::world::User;

type Answer = Result<Reply, GraphError>;

/// Content of this size and more must go through an upload session.
pub(crate) const SESSION_FROM: u64 = 3_000_000;

fn denied(call: &Call<'_>) -> Result<(), GraphError> {
    if call.basic_only() {
        return Err(GraphError::access_denied());
    }
    Ok(())
}

fn open(call: &Call<'_>, user: &User, id: &str) -> Result<(Snapshot, Vec<Part>), GraphError> {
    denied(call)?;
    let serial = with(user, |m| messages::find(m, id))?;
    let snapshot = messages::snapshot(user, serial)?;
    let parts = snapshot.view(true).parts.clone();
    Ok((snapshot, parts))
}

fn render(
    call: &Call<'_>,
    snapshot: &Snapshot,
    part: &Part,
    expand: bool,
    select: &Select,
) -> Map<String, Value> {
    let immutable = call.request.immutable();
    let id = ids::attachment(
        snapshot.mailbox,
        snapshot.serial,
        snapshot.msg.place,
        part.number,
        immutable,
    );
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        if select.wants(name) {
            out.insert(name.to_owned(), value);
        }
    };
    let kind = match part.kind {
        PartKind::File(_) => "fileAttachment",
        PartKind::Message(_) | PartKind::Item { .. } => "itemAttachment",
        PartKind::Reference => "referenceAttachment",
    };
    put("lastModifiedDateTime", json!(clock::iso(snapshot.msg.modified)));
    put("name", json!(part.name));
    put("contentType", json!(part.content_type));
    // Larger than the content, as the real one.
    put("size", json!(part.len() + 300 + part.name.len() as u64));
    put("isInline", json!(part.inline));
    if let PartKind::File(data) = &part.kind {
        put("contentId", json!(part.content_id));
        put("contentLocation", json!(part.content_location));
        if select.wants("contentBytes") {
            put("contentBytes", json!(STANDARD.encode(data.bytes())));
        }
    }
    if expand {
        let item = match &part.kind {
            PartKind::Message(data) => Some(nested(call, snapshot, data)),
            PartKind::Item { json, .. } => Some(json.clone()),
            _ => None,
        };
        if let Some(item) = item {
            out.insert("item".into(), item);
        }
    }
    out.insert("id".into(), json!(id));
    out.insert("@odata.type".into(), json!(format!("#microsoft.graph.{kind}")));
    out.insert(
        "@odata.mediaContentType".into(),
        part.content_type.as_ref().map_or(Value::Null, |c| json!(c)),
    );
    if !matches!(part.kind, PartKind::File(_)) {
        out.remove("@odata.mediaContentType");
    }
    out
}

/// JSON of a message inside of an attachment: its id is empty and it has no place.
fn nested(call: &Call<'_>, outer: &Snapshot, data: &Data) -> Value {
    let raw = data.bytes();
    let view = parse::view(&raw);
    let received = view.received.or(view.sent).unwrap_or(outer.msg.received);
    let inner = Snapshot {
        serial: 0,
        msg: Msg {
            content: Content::Composed(std::sync::Arc::new(view)),
            folder: 0,
            place: 0,
            entered: 0,
            version: 0,
            received,
            created: received,
            modified: outer.msg.modified,
            read: true,
            draft: false,
            over: None,
        },
        ..outer.clone()
    };
    let wanted = Shape {
        body_type: call
            .request
            .preference("outlook.body-content-type")
            .map(str::to_lowercase),
        ..Shape::default()
    };
    let mut map = shape::message(&inner, &wanted);
    for name in [
        "@odata.etag",
        "changeKey",
        "parentFolderId",
        "categories",
        "inferenceClassification",
    ] {
        map.remove(name);
    }
    map.insert("id".into(), json!(""));
    map.insert("internetMessageHeaders".into(), json!([]));
    map.entry("@odata.type")
        .or_insert_with(|| json!("#microsoft.graph.message"));
    Value::Object(map)
}

fn wants_item(call: &Call<'_>) -> bool {
    call.request
        .option("$expand")
        .is_some_and(|e| e.to_lowercase().contains("itemattachment/item"))
}

fn context(call: &Call<'_>, user: &User, message: &str, tail: &str) -> Value {
    json!(format!(
        "{}/$metadata#users('{}')/messages('{}')/attachments{tail}",
        call.world.graph_url(),
        user.person.id,
        path::encode(message)
    ))
}

pub(crate) fn list(call: &Call<'_>, user_id: &str, message: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let (snapshot, parts) = open(call, &user, message)?;
    let select = Select::parse(call.request.option("$select"));
    let expand = wants_item(call);
    let value: Vec<Value> = parts
        .iter()
        .map(|p| Value::Object(render(call, &snapshot, p, expand, &select)))
        .collect();
    let context = context(call, &user, message, &select.context(call.request));
    Ok(Reply::json(
        200,
        json!({"@odata.context": context, "value": value}),
    ))
}

fn find<'p>(snapshot: &Snapshot, parts: &'p [Part], id: &str) -> Result<&'p Part, GraphError> {
    let number =
        ids::parse_attachment(snapshot.mailbox, snapshot.serial, id).ok_or_else(GraphError::malformed_id)?;
    parts.iter().find(|p| p.number == number).ok_or_else(|| {
        GraphError::new(404, "ErrorItemNotFound", "The specified object was not found in the store., The process failed to get the correct properties.")
    })
}

pub(crate) fn get(call: &Call<'_>, user_id: &str, message: &str, id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let (snapshot, parts) = open(call, &user, message)?;
    let part = find(&snapshot, &parts, id)?;
    let select = Select::parse(call.request.option("$select"));
    let mut map = Map::new();
    map.insert("@odata.context".into(), context(call, &user, message, "/$entity"));
    map.extend(render(call, &snapshot, part, wants_item(call), &select));
    Ok(Reply::json(200, Value::Object(map)))
}

/// `$value`: the bytes of a file, the MIME or text form of an item; a reference has none.
pub(crate) fn value(call: &Call<'_>, user_id: &str, message: &str, id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let (snapshot, parts) = open(call, &user, message)?;
    let part = find(&snapshot, &parts, id)?;
    let (kind, data) = match &part.kind {
        PartKind::File(data) => (
            part.content_type.as_deref().unwrap_or("application/octet-stream"),
            data,
        ),
        PartKind::Message(data) | PartKind::Item { text: data, .. } => ("text/plain", data),
        PartKind::Reference => {
            return Err(GraphError::new(
                405,
                "ErrorInvalidRequest",
                "$value is not supported for reference attachments.",
            ));
        }
    };
    Ok(Reply::empty(200)
        .with("Content-Type", kind)
        .body(Body::Stream(data.pieces())))
}

pub(crate) fn delete(call: &Call<'_>, user_id: &str, message: &str, id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    with(&user, |m| {
        let serial = messages::find(m, message)?;
        let snapshot = Snapshot::of(m, serial).ok_or_else(GraphError::item_not_found)?;
        let view = snapshot.view(true);
        let number = find(&snapshot, &view.parts, id)?.number;
        compose::edit_view(m, serial, |view| view.parts.retain(|p| p.number != number))?;
        Ok(Reply::empty(204))
    })
}

/// Puts a part into a message and gives it a number.
pub(crate) fn add(m: &mut Mailbox, serial: u32, mut part: Part) -> Result<u32, GraphError> {
    let made = m
        .message(serial)
        .and_then(|x| x.over.as_ref())
        .map_or(0, |o| o.parts_made);
    let mut number = 0;
    compose::edit_view(m, serial, |view| {
        number = view.parts.iter().map(|p| p.number).max().unwrap_or(0).max(made) + 1;
        part.number = number;
        view.parts.push(part);
    })?;
    if let Some(message) = m.messages.get_mut(serial as usize).and_then(Option::as_mut) {
        message.over().parts_made = number;
    }
    Ok(number)
}

pub(crate) fn create(call: &Call<'_>, user_id: &str, message: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let map = folders::body(call)?;
    let part = part_of(&map, 1)?;
    let (snapshot, part) = with(&user, |m| {
        let serial = messages::find(m, message)?;
        let number = add(m, serial, part)?;
        let snapshot = Snapshot::of(m, serial).ok_or_else(GraphError::item_not_found)?;
        let part = snapshot
            .view(true)
            .parts
            .iter()
            .find(|p| p.number == number)
            .cloned();
        Ok((snapshot, part.ok_or_else(GraphError::item_not_found)?))
    })?;
    let mut map = Map::new();
    map.insert("@odata.context".into(), context(call, &user, message, "/$entity"));
    map.extend(render(call, &snapshot, &part, false, &Select::default()));
    Ok(Reply::json(201, Value::Object(map)))
}

/// The JSON of an attachment as a part. `depth` 1: directly on a message.
pub(crate) fn part_of(map: &Map<String, Value>, number: u32) -> Result<Part, GraphError> {
    let get = |name: &str| {
        map.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    };
    let text = |name: &str| get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = text("@odata.type").unwrap_or_default();
    let name = text("name").filter(|n| !n.is_empty());
    let required = || {
        GraphError::new(
            400,
            "ErrorRequiredPropertyMissing",
            "Required property is missing: name.",
        )
    };
    let inline = get("isInline").and_then(Value::as_bool).unwrap_or(false);
    let base = |name: String, content_type: Option<String>, kind: PartKind| Part {
        number,
        name,
        content_type,
        content_id: text("contentId"),
        content_location: text("contentLocation"),
        inline,
        kind,
    };
    match kind.trim_start_matches('#') {
        "microsoft.graph.fileAttachment" | "Microsoft.OutlookServices.FileAttachment" => {
            let name = name.ok_or_else(required)?;
            let encoded = text("contentBytes").ok_or_else(|| {
                GraphError::new(
                    400,
                    "ErrorRequiredPropertyMissing",
                    "Required property is missing: contentBytes.",
                )
            })?;
            let bytes = STANDARD.decode(encoded.trim()).map_err(|_| {
                GraphError::new(
                    400,
                    "RequestBodyRead",
                    "Cannot convert the literal of 'contentBytes' to the expected type 'Edm.Binary'.",
                )
            })?;
            if bytes.len() as u64 > SESSION_FROM {
                return Err(too_large());
            }
            let content_type = text("contentType").or_else(|| Some(guess(&name).to_owned()));
            Ok(base(
                name,
                content_type,
                PartKind::File(Data::Bytes(bytes.into())),
            ))
        }
        "microsoft.graph.itemAttachment" => {
            let name = name.ok_or_else(required)?;
            let item = get("item").and_then(Value::as_object).ok_or_else(|| {
                GraphError::new(
                    400,
                    "ErrorRequiredPropertyMissing",
                    "Required property is missing: item.",
                )
            })?;
            Ok(base(name, None, compose::nested_item(item)?))
        }
        "microsoft.graph.referenceAttachment" => Ok(base(
            name.ok_or_else(required)?,
            text("contentType"),
            PartKind::Reference,
        )),
        _ => Err(GraphError::new(
            400,
            "BadRequest",
            "An attachment needs an @odata.type of fileAttachment, itemAttachment or referenceAttachment.",
        )),
    }
}

pub(crate) fn too_large() -> GraphError {
    GraphError::new(
        413,
        "RequestEntityTooLarge",
        "The size of the attachment exceeds the maximum; use an upload session.",
    )
}

/// A content type from the ending of a name.
pub(crate) fn guess(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or("").to_lowercase().as_str() {
        "txt" => "text/plain",
        "csv" => "text/csv",
        "htm" | "html" => "text/html",
        "png" => "image/png",
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "zip" => "application/x-zip-compressed",
        "eml" => "message/rfc822",
        _ => "application/octet-stream",
    }
}
