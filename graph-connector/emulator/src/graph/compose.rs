//! Creating and changing messages: what Graph takes from a client, what it ignores, what it refuses.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::graph::folders::{self, with};
use crate::graph::{Call, attachments, messages, refused};
use crate::http::reply::{GraphError, Reply};
use crate::mail::build;
use crate::mail::data::Data;
use crate::mail::mailbox::Mailbox;
use crate::mail::message::{Content, property_key};
use crate::mail::parse;
use crate::mail::text;
use crate::mail::view::{Address, PartKind, View};
use crate::random::{guid, key};
use crate::world::World;

type Answer = Result<Reply, GraphError>;
type Object = Map<String, Value>;

/// Properties that a client may send and that have no effect: the server decides them.
const IGNORED: [&str; 15] = [
    "receiveddatetime",
    "sentdatetime",
    "isdraft",
    "createddatetime",
    "lastmodifieddatetime",
    "conversationid",
    "conversationindex",
    "parentfolderid",
    "id",
    "weblink",
    "changekey",
    "hasattachments",
    "bodypreview",
    "uniquebody",
    "mentionspreview",
];

/// Properties that are taken.
const TAKEN: [&str; 21] = [
    "subject",
    "body",
    "from",
    "sender",
    "torecipients",
    "ccrecipients",
    "bccrecipients",
    "replyto",
    "importance",
    "isread",
    "flag",
    "categories",
    "inferenceclassification",
    "internetmessageid",
    "internetmessageheaders",
    "isdeliveryreceiptrequested",
    "isreadreceiptrequested",
    "singlevalueextendedproperties",
    "multivalueextendedproperties",
    "attachments",
    "extensions",
];

/// Properties that a message keeps for ever once it is no draft.
const DRAFT_ONLY: [&str; 9] = [
    "subject",
    "body",
    "from",
    "sender",
    "torecipients",
    "ccrecipients",
    "bccrecipients",
    "replyto",
    "internetmessageid",
];

fn kind_error(name: &str) -> GraphError {
    GraphError::new(
        400,
        "RequestBodyRead",
        format!("The value of property '{name}' has a type that does not fit microsoft.graph.message."),
    )
}

fn check_names(map: &Object) -> Result<(), GraphError> {
    for name in map.keys() {
        let lower = name.to_lowercase();
        // Annotations are skipped, whatever they annotate.
        if !lower.contains('@') && !IGNORED.contains(&lower.as_str()) && !TAKEN.contains(&lower.as_str()) {
            return Err(GraphError::new(
                400,
                "RequestBodyRead",
                format!(
                    "The property '{name}' does not exist on type 'microsoft.graph.message'. Make sure to only use property names that are defined by the type."
                ),
            ));
        }
    }
    if let Some(kind) = map.get("@odata.type").and_then(Value::as_str) {
        let kind = kind.trim_start_matches('#');
        if kind != "microsoft.graph.message" {
            return Err(GraphError::new(
                400,
                "ErrorInvalidRequest",
                format!("A message of type {kind} cannot be created."),
            ));
        }
    }
    Ok(())
}

fn get<'m>(map: &'m Object, name: &str) -> Option<&'m Value> {
    map.iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v)
        .filter(|v| !v.is_null())
}

fn string(map: &Object, name: &str) -> Result<Option<String>, GraphError> {
    get(map, name)
        .map(|v| v.as_str().map(str::to_owned).ok_or_else(|| kind_error(name)))
        .transpose()
}

fn boolean(map: &Object, name: &str) -> Result<Option<bool>, GraphError> {
    get(map, name)
        .map(|v| v.as_bool().ok_or_else(|| kind_error(name)))
        .transpose()
}

/// One of a list of words, any case, in lower camel case as given.
fn word(map: &Object, name: &str, allowed: &[&str]) -> Result<Option<String>, GraphError> {
    let Some(value) = string(map, name)? else {
        return Ok(None);
    };
    allowed
        .iter()
        .find(|a| a.eq_ignore_ascii_case(&value))
        .map(|a| Some((*a).to_owned()))
        .ok_or_else(|| kind_error(name))
}

fn address(world: Option<&World>, value: &Value, name: &str) -> Result<Address, GraphError> {
    let inner = value
        .get("emailAddress")
        .and_then(Value::as_object)
        .ok_or_else(|| kind_error(name))?;
    let text = |n: &str| match inner.get(n) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(s)) => Ok(s.clone()),
        Some(_) => Err(kind_error(name)),
    };
    let (mut shown, address) = (text("name")?, text("address")?);
    if shown.is_empty() {
        shown = world
            .and_then(|w| w.user(&address))
            .map_or_else(|| address.clone(), |u| u.person.display.clone());
    }
    Ok(Address { name: shown, address })
}

fn addresses(world: Option<&World>, map: &Object, name: &str) -> Result<Option<Vec<Address>>, GraphError> {
    let Some(value) = get(map, name) else {
        return Ok(None);
    };
    let list = value.as_array().ok_or_else(|| kind_error(name))?;
    list.iter()
        .map(|v| address(world, v, name))
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

/// An SMTP address or an Exchange DN.
fn valid_address(address: &str) -> bool {
    if address.starts_with("/o=") || address.starts_with("/O=") {
        return true;
    }
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.starts_with('.')
                && !domain.ends_with('.')
                && address
                    .chars()
                    .all(|c| !c.is_whitespace() && !c.is_control() && !"<>,;".contains(c))
        }
        None => false,
    }
}

fn body_of(map: &Object) -> Result<Option<(bool, String)>, GraphError> {
    let Some(value) = get(map, "body") else {
        return Ok(None);
    };
    let body = value.as_object().ok_or_else(|| kind_error("body"))?;
    let html = match string(body, "contentType")?
        .unwrap_or_default()
        .to_lowercase()
        .as_str()
    {
        "html" => true,
        "text" | "" => false,
        _ => return Err(kind_error("body")),
    };
    let content = string(body, "content")?.unwrap_or_default();
    Ok(Some((
        html,
        if html { text::document(&content) } else { content },
    )))
}

/// Takes over what a body says about the content of a message.
fn fill(world: Option<&World>, map: &Object, view: &mut View) -> Result<(), GraphError> {
    if let Some(subject) = string(map, "subject")? {
        view.subject = Some(subject);
    }
    if let Some((html, body)) = body_of(map)? {
        view.html = html;
        view.body = body;
    }
    for (name, field) in [("from", 0), ("sender", 1)] {
        if let Some(value) = get(map, name) {
            let a = Some(address(world, value, name)?);
            if field == 0 {
                view.from = a
            } else {
                view.sender = a
            }
        }
    }
    if view.sender.is_none() {
        view.sender = view.from.clone();
    }
    if let Some(list) = addresses(world, map, "toRecipients")? {
        view.to = list;
    }
    if let Some(list) = addresses(world, map, "ccRecipients")? {
        view.cc = list;
    }
    if let Some(list) = addresses(world, map, "bccRecipients")? {
        view.bcc = list;
    }
    if let Some(list) = addresses(world, map, "replyTo")? {
        if list.iter().any(|a| !valid_address(&a.address)) {
            return Err(GraphError::new(
                400,
                "ErrorInvalidRecipients",
                "At least one recipient isn't valid., A message can't be sent because it contains no valid recipients.",
            ));
        }
        view.reply_to = list;
    }
    if let Some(id) = string(map, "internetMessageId")? {
        view.message_id = Some(id);
    }
    if let Some(word) = word(map, "importance", &["low", "normal", "high"])? {
        view.importance = word;
    }
    if let Some(flag) = boolean(map, "isReadReceiptRequested")? {
        view.read_receipt = flag;
    }
    if let Some(flag) = boolean(map, "isDeliveryReceiptRequested")? {
        view.delivery_receipt = flag;
    }
    Ok(())
}

/// `internetMessageHeaders` of a new message: only `x-` names, five at most.
fn headers(map: &Object) -> Result<Vec<(String, String)>, GraphError> {
    let Some(value) = get(map, "internetMessageHeaders") else {
        return Ok(vec![]);
    };
    let list = value
        .as_array()
        .ok_or_else(|| kind_error("internetMessageHeaders"))?;
    if list.len() > 5 {
        return Err(GraphError::new(
            400,
            "InvalidInternetMessageHeaderCollection",
            "Maximum number of headers in one message should be less than or equal to 5.",
        ));
    }
    list.iter()
        .map(|h| {
            let name = h.get("name").and_then(Value::as_str).unwrap_or_default();
            let value = h.get("value").and_then(Value::as_str).unwrap_or_default();
            if name.len() < 3 || !name[..2].eq_ignore_ascii_case("x-") {
                return Err(GraphError::new(
                    400,
                    "InvalidInternetMessageHeader",
                    format!("The internet message header name '{name}' should start with 'x-' or 'X-'."),
                ));
            }
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Read state, flag, categories and the like: what can be set on any message.
struct Marks {
    read: Option<bool>,
    flag: Option<Value>,
    categories: Option<Vec<String>>,
    inference: Option<String>,
}

fn marks(map: &Object) -> Result<Marks, GraphError> {
    let categories = match get(map, "categories") {
        None => None,
        Some(value) => {
            let list = value.as_array().ok_or_else(|| kind_error("categories"))?;
            let list: Option<Vec<String>> = list.iter().map(|v| v.as_str().map(str::to_owned)).collect();
            Some(list.ok_or_else(|| kind_error("categories"))?)
        }
    };
    let flag = match get(map, "flag") {
        None => None,
        Some(value) => {
            let flag = value.as_object().ok_or_else(|| kind_error("flag"))?;
            let status = word(flag, "flagStatus", &["notFlagged", "complete", "flagged"])?;
            let mut out = Map::new();
            out.insert(
                "flagStatus".into(),
                json!(status.as_deref().unwrap_or("notFlagged")),
            );
            for name in ["dueDateTime", "startDateTime", "completedDateTime"] {
                if let Some(value) = flag.get(name).filter(|v| v.is_object()) {
                    out.insert(name.into(), value.clone());
                }
            }
            let (due, start) = (out.contains_key("dueDateTime"), out.contains_key("startDateTime"));
            if due != start && due {
                return Err(GraphError::new(
                    400,
                    "ErrorInvalidArgument",
                    "A due date of a flag needs a start date.",
                ));
            }
            Some(Value::Object(out))
        }
    };
    Ok(Marks {
        read: boolean(map, "isRead")?,
        flag,
        categories,
        inference: word(map, "inferenceClassification", &["focused", "other"])?,
    })
}

/// The MAPI properties that decide what a new message is.
struct Overrides {
    /// `Integer 0x0E07`.
    flags: Option<i64>,
    /// `SystemTime 0x0E06`, `SystemTime 0x0039` in Unix milliseconds.
    received: Option<i64>,
    sent: Option<i64>,
    in_reply_to: Option<String>,
    references: Vec<String>,
}

fn overrides(properties: &[(String, Value)]) -> Result<Overrides, GraphError> {
    let find = |id: &str| {
        properties
            .iter()
            .find(|(n, _)| property_key(n) == id)
            .and_then(|(_, v)| v.as_str())
    };
    let invalid = |what: &str| {
        GraphError::new(
            400,
            "ErrorInvalidPropertyValue",
            format!("The value of the extended property {what} is not valid."),
        )
    };
    let time = |id: &str| {
        find(id)
            .map(|t| clock::parse_iso(t).ok_or_else(|| invalid(id)))
            .transpose()
    };
    Ok(Overrides {
        flags: find("integer 0xe07")
            .map(|v| v.parse().map_err(|_| invalid("Integer 0x0E07")))
            .transpose()?,
        received: time("systemtime 0xe06")?,
        sent: time("systemtime 0x39")?,
        in_reply_to: find("string 0x1042").map(str::to_owned),
        references: find("string 0x1039")
            .map(|r| r.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default(),
    })
}

/// `POST .../messages`, JSON or MIME. Without a folder: Drafts.
pub(crate) fn create(call: &Call<'_>, user_id: &str, folder: Option<&str>) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let mime = call.request.content_type() == "text/plain";
    let world = call.world;
    let serial = if mime {
        let text: String = String::from_utf8_lossy(&call.request.body)
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect();
        let raw = STANDARD
            .decode(text)
            .ok()
            .filter(|r| !r.is_empty())
            .ok_or_else(|| {
                GraphError::new(
                    400,
                    "ErrorMimeContentInvalidBase64String",
                    "Invalid base64 string for MIME content.",
                )
            })?;
        with(&user, |m| {
            let folder = place(m, folder)?;
            let now = world.clock.now();
            Ok(m.insert(
                folder,
                Content::Loaded(Arc::new(Bytes::from(raw))),
                now,
                true,
                true,
            ))
        })?
    } else {
        let map = folders::body(call)?;
        check_names(&map)?;
        let mut view = View {
            importance: "normal".into(),
            ..View::default()
        };
        fill(Some(world), &map, &mut view)?;
        view.headers = headers(&map)?;
        let marks = marks(&map)?;
        let properties = folders::properties(&map)?;
        let overrides = overrides(&properties)?;
        if let Some(list) = get(&map, "attachments") {
            for (n, value) in list
                .as_array()
                .ok_or_else(|| kind_error("attachments"))?
                .iter()
                .enumerate()
            {
                let value = value.as_object().ok_or_else(|| kind_error("attachments"))?;
                view.parts.push(attachments::part_of(value, n as u32 + 1)?);
            }
        }
        with(&user, |m| {
            let folder = place(m, folder)?;
            let now = world.clock.now();
            let draft = overrides.flags.is_none_or(|f| f & 8 != 0);
            let read = marks.read.unwrap_or(overrides.flags.is_none_or(|f| f & 1 != 0));
            view.sent = Some(overrides.sent.unwrap_or(now));
            view.received = Some(overrides.received.unwrap_or(now));
            view.in_reply_to = overrides.in_reply_to;
            view.references = overrides.references;
            if view.message_id.is_none() {
                let id = guid(&[m.key, m.version, 24]);
                view.message_id = Some(format!("<{id}@mail.{}>", m.generator.domain));
            }
            let received = view.received.unwrap_or(now);
            let parts = view.parts.len() as u32;
            let serial = m.insert(folder, Content::Composed(Arc::new(view)), received, read, draft);
            if let Some(message) = m.messages.get_mut(serial as usize).and_then(Option::as_mut) {
                let over = message.over();
                over.parts_made = parts;
                over.properties = properties;
                over.flag = marks.flag;
                over.categories = marks.categories;
                over.inference = marks.inference;
            }
            m.index_message(serial);
            Ok(serial)
        })?
    };
    let snapshot = messages::snapshot(&user, serial)?;
    messages::entity(call, &user, &snapshot, 201)
}

fn place(m: &Mailbox, folder: Option<&str>) -> Result<u32, GraphError> {
    let folder = folders::find(m, folder.unwrap_or("drafts"))?;
    if m.folder(folder).is_some_and(|f| f.search.is_some()) {
        return Err(GraphError::new(
            400,
            "ErrorInvalidOperation",
            "A message cannot be created in a search folder.",
        ));
    }
    Ok(folder)
}

/// `PATCH .../messages/{id}`.
pub(crate) fn update(call: &Call<'_>, user_id: &str, id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let map = folders::body(call)?;
    check_names(&map)?;
    if get(&map, "internetMessageHeaders").is_some() {
        return Err(GraphError::new(
            400,
            "ErrorInvalidPropertySet",
            "internetMessageHeaders can be set only when a message is created.",
        ));
    }
    let marks = marks(&map)?;
    let importance = word(&map, "importance", &["low", "normal", "high"])?;
    let (read_receipt, delivery_receipt) = (
        boolean(&map, "isReadReceiptRequested")?,
        boolean(&map, "isDeliveryReceiptRequested")?,
    );
    let mut properties = folders::properties(&map)?;
    // Message flags and times take effect at creation only.
    properties.retain(|(n, _)| {
        !matches!(
            property_key(n).as_str(),
            "integer 0xe07" | "systemtime 0xe06" | "systemtime 0x39"
        )
    });
    let content = map
        .keys()
        .any(|k| DRAFT_ONLY.contains(&k.to_lowercase().as_str()));
    let serial = with(&user, |m| {
        let serial = messages::find(m, id)?;
        let draft = m.message(serial).is_some_and(|x| x.draft);
        if let Some(wanted) = call.request.header("if-match").filter(|w| *w != "*") {
            let now = crate::graph::json::Snapshot::of(m, serial)
                .map(|s| s.etag())
                .unwrap_or_default();
            if now != wanted {
                return Err(messages::conflict());
            }
        }
        if content && !draft {
            return Err(GraphError::new(
                400,
                "ErrorInvalidPropertySet",
                "The property can be changed only while the message is a draft.",
            ));
        }
        if content {
            let mut view = m.view(serial).map(|v| View::clone(&v)).unwrap_or_default();
            fill(Some(call.world), &map, &mut view)?;
            edit_view(m, serial, |v| *v = view)?;
        }
        let had_properties = !properties.is_empty();
        m.change(serial, |message| {
            if let Some(read) = marks.read {
                message.read = read;
            }
            let over = message.over();
            over.flag = marks.flag.or(over.flag.take());
            over.categories = marks.categories.or(over.categories.take());
            over.inference = marks.inference.or(over.inference.take());
            over.importance = importance.or(over.importance.take());
            over.read_receipt = read_receipt.or(over.read_receipt);
            over.delivery_receipt = delivery_receipt.or(over.delivery_receipt);
            for (id, value) in properties {
                over.properties
                    .retain(|(n, _)| property_key(n) != property_key(&id));
                over.properties.push((id, value));
            }
        })
        .map_err(refused)?;
        if content || had_properties {
            m.index_message(serial);
        }
        Ok(serial)
    })?;
    let snapshot = messages::snapshot(&user, serial)?;
    messages::entity(call, &user, &snapshot, 200)
}

/// Changes what a message says. It is composed from then on: its MIME is rebuilt.
pub(crate) fn edit_view(
    m: &mut Mailbox,
    serial: u32,
    edit: impl FnOnce(&mut View),
) -> Result<(), GraphError> {
    let mut view = View::clone(&*m.view(serial).ok_or_else(GraphError::item_not_found)?);
    edit(&mut view);
    let was = m.message(serial).is_some_and(|x| messages::composed(&x.content));
    let generated = m.message(serial).and_then(|x| match x.content {
        Content::Generated(r) => Some((m.generator.categories(r), m.generator.flag(r))),
        _ => None,
    });
    m.change(serial, |message| {
        message.content = Content::Composed(Arc::new(view));
        if let Some((categories, flag)) = generated {
            let over = message.over();
            over.categories.get_or_insert(categories);
            over.flag.get_or_insert(json!({"flagStatus": flag}));
        }
    })
    .map_err(refused)?;
    if !was {
        m.index_message(serial);
    }
    Ok(())
}

/// The `item` of an item attachment.
pub(crate) fn nested_item(item: &Object) -> Result<PartKind, GraphError> {
    const FORBIDDEN: [&str; 7] = [
        "id",
        "parentFolderId",
        "hasAttachments",
        "isDraft",
        "internetMessageHeaders",
        "isOrganizer",
        "attachments",
    ];
    if let Some(name) = item
        .keys()
        .find(|k| FORBIDDEN.iter().any(|f| f.eq_ignore_ascii_case(k)))
    {
        return Err(GraphError::new(
            400,
            "ErrorInvalidPropertySet",
            format!("The property '{name}' cannot be set on the item of an attachment."),
        ));
    }
    let kind = item
        .get("@odata.type")
        .and_then(Value::as_str)
        .unwrap_or("")
        .trim_start_matches('#');
    match kind {
        "microsoft.graph.message" => {
            let mut view = View {
                importance: "normal".into(),
                ..View::default()
            };
            fill(None, item, &mut view)?;
            let properties = folders::properties(item)?;
            let overrides = overrides(&properties)?;
            view.sent = overrides.sent.or_else(|| {
                get(item, "sentDateTime")
                    .and_then(Value::as_str)
                    .and_then(clock::parse_iso)
            });
            let headers = build::header_fields(&view);
            let seed = key(&[crate::random::text_key(&view.body), 25]);
            let raw = build::message(&view, &headers, seed).bytes();
            debug_assert!(parse::view(&raw).subject == view.subject || view.subject.as_deref() == Some(""));
            Ok(PartKind::Message(Data::Bytes(raw)))
        }
        "microsoft.graph.event" => {
            let text = |n: &str| item.get(n).and_then(Value::as_str).unwrap_or("").to_owned();
            let time = |n: &str| {
                item.get(n)
                    .and_then(|v| v.get("dateTime"))
                    .and_then(Value::as_str)
                    .unwrap_or("")
                    .replace(['-', ':'], "")
            };
            let body = format!(
                "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nSUMMARY:{}\r\nDTSTART:{}\r\nDTEND:{}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
                text("subject"),
                time("start"),
                time("end")
            );
            Ok(PartKind::Item {
                json: Value::Object(item.clone()),
                text: Data::Bytes(body.into()),
            })
        }
        "microsoft.graph.contact" => {
            let text = |n: &str| item.get(n).and_then(Value::as_str).unwrap_or("").to_owned();
            let card = format!(
                "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{}\r\nN:{};{};;;\r\nEND:VCARD\r\n",
                text("displayName"),
                text("surname"),
                text("givenName")
            );
            Ok(PartKind::Item {
                json: Value::Object(item.clone()),
                text: Data::Bytes(card.into()),
            })
        }
        _ => Err(GraphError::new(
            400,
            "ErrorInvalidRequest",
            "The item of an attachment must be a message, an event or a contact.",
        )),
    }
}
