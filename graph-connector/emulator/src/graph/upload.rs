//! Upload sessions of attachments: created on Graph, fed on another host that wants no token.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};

use crate::clock;
use crate::graph::attachments::{self, SESSION_FROM};
use crate::graph::folders::{self, with};
use crate::graph::{Call, calendars, messages};
use crate::http::path;
use crate::http::reply::{GraphError, Reply};
use crate::http::request::Request;
use crate::ids;
use crate::mail::data::Data;
use crate::mail::view::{Part, PartKind};
use crate::outlook::store::Attachment;
use crate::random::token;
use crate::world::{Owner, Upload, User, World};

type Answer = Result<Reply, GraphError>;

/// Largest attachment of a session.
const MAX_SIZE: u64 = 150_000_000;
/// Largest range of one PUT.
const MAX_RANGE: u64 = 4 * 1024 * 1024;
/// A session lives this long: five hours.
const LIFE_MS: i64 = 5 * 3_600_000;

fn text(item: &Value, name: &str) -> Option<String> {
    item.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// `POST .../messages/{id}/attachments/createUploadSession`.
pub(crate) fn create(call: &Call<'_>, user_id: &str, message: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let (serial, key) = with(&user, |m| Ok((messages::find(m, message)?, m.key)))?;
    open(
        call,
        user,
        key,
        Owner::Message(serial),
        &format!("Messages('{}')", quoted(message)),
    )
}

/// `POST .../events/{id}/attachments/createUploadSession`.
pub(crate) fn create_for_event(call: &Call<'_>, user_id: &str, event: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let (serial, key) = with(&user, |m| {
        let (item, _) = calendars::find(&m.calendars, event)?;
        Ok((item.serial, m.key))
    })?;
    open(
        call,
        user,
        key,
        Owner::Event(serial),
        &format!("Events('{}')", quoted(event)),
    )
}

/// An id as upload addresses have it.
fn quoted(id: &str) -> String {
    path::encode(id).replace("%3D", "=")
}

fn open(call: &Call<'_>, user: Arc<User>, key: u64, owner: Owner, place: &str) -> Answer {
    let map = folders::body(call)?;
    let item = map
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case("AttachmentItem"))
        .map(|(_, v)| v.clone())
        .ok_or_else(|| GraphError::new(400, "ErrorInvalidRequest", "AttachmentItem is missing."))?;
    if text(&item, "attachmentType").as_deref() != Some("file") {
        return Err(GraphError::new(
            400,
            "ErrorInvalidRequest",
            "attachmentType must be file.",
        ));
    }
    let name = text(&item, "name").filter(|n| !n.is_empty()).ok_or_else(|| {
        GraphError::new(
            400,
            "ErrorRequiredPropertyMissing",
            "Required property is missing: name.",
        )
    })?;
    let size = item.get("size").and_then(Value::as_u64).ok_or_else(|| {
        GraphError::new(
            400,
            "ErrorRequiredPropertyMissing",
            "Required property is missing: size.",
        )
    })?;
    if size < SESSION_FROM {
        return Err(GraphError::new(
            400,
            "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
            "Attachment size must be greater than the minimum size.",
        ));
    }
    if size > MAX_SIZE {
        return Err(GraphError::new(
            413,
            "ErrorAttachmentSizeLimitExceeded",
            "Attachment size exceeds the limit.",
        ));
    }
    let world = call.world;
    let now = world.clock.now();
    let mut uploads = world.uploads.lock().unwrap_or_else(PoisonError::into_inner);
    let number = uploads.len() as u64 + 1;
    let secret = token(&[world.seed, key, number, now as u64, 91], 60);
    let (Owner::Message(serial) | Owner::Event(serial)) = owner;
    let session = ids::attachment(key, serial, 0, 1_000_000 + number as u32, false);
    let url = format!(
        "{}/api/v2.0/Users('{}@{}')/{place}/AttachmentSessions('{session}')?authtoken={secret}",
        world.outlook_url(),
        user.person.id,
        world.directory_id,
    );
    let expires = now + LIFE_MS;
    uploads.insert(
        secret,
        Upload {
            user,
            owner,
            content_type: text(&item, "contentType").or_else(|| Some(attachments::guess(&name).to_owned())),
            name,
            inline: item.get("isInline").and_then(Value::as_bool).unwrap_or(false),
            content_id: text(&item, "contentId"),
            size,
            pieces: vec![],
            have: 0,
            expires,
        },
    );
    Ok(Reply::json(
        201,
        json!({
            "@odata.context": format!("{}/$metadata#microsoft.graph.uploadSession", world.graph_url()),
            "uploadUrl": url,
            "expirationDateTime": clock::iso_ticks(expires),
            "nextExpectedRanges": ["0-"],
        }),
    ))
}

fn progress(world: &World, upload: &Upload, url: &str) -> Value {
    json!({
        "@odata.context": format!("{}/api/v2.0/$metadata#{}/AttachmentSessions/$entity", world.outlook_url(), url),
        "ExpirationDateTime": clock::iso_ticks(upload.expires),
        "NextExpectedRanges": [upload.have.to_string()],
    })
}

/// `PUT`, `GET` and `DELETE` on an upload URL.
pub(crate) fn handle(world: &World, request: &Request) -> Answer {
    if request.header("authorization").is_some() {
        return Err(GraphError::new(
            401,
            "InvalidAuthenticationToken",
            "The upload URL is pre-authenticated; no Authorization header is accepted.",
        ));
    }
    let secret = request.option("authtoken").unwrap_or("").to_owned();
    let gone = || GraphError::new(404, "ErrorItemNotFound", "The upload session was not found.");
    let mut uploads = world.uploads.lock().unwrap_or_else(PoisonError::into_inner);
    let upload = uploads.get_mut(&secret).ok_or_else(gone)?;
    if upload.expires < world.clock.now() {
        uploads.remove(&secret);
        return Err(gone());
    }
    let place = request
        .path()
        .trim_start_matches("/api/v2.0/")
        .split("/AttachmentSessions")
        .next()
        .unwrap_or("")
        .to_owned();
    match request.method.as_str() {
        "GET" => return Ok(Reply::json(200, progress(world, upload, &place))),
        "DELETE" => {
            uploads.remove(&secret);
            return Ok(Reply::empty(204));
        }
        "PUT" => {}
        _ => {
            return Err(GraphError::new(
                405,
                "ErrorInvalidRequest",
                "The method is not allowed.",
            ));
        }
    }
    let invalid = |why: &str| GraphError::new(400, "ErrorInvalidRange", why.to_owned());
    let range = request
        .header("content-range")
        .ok_or_else(|| invalid("Content-Range is missing."))?;
    let (first, last, total) = parse_range(range).ok_or_else(|| invalid("Content-Range is malformed."))?;
    if request.content_type() != "application/octet-stream" {
        return Err(GraphError::new(
            415,
            "ErrorInvalidContentType",
            "The content type must be application/octet-stream.",
        ));
    }
    if total != upload.size {
        return Err(invalid(
            "The total of Content-Range differs from the size of the session.",
        ));
    }
    if last < first || last >= total || last - first + 1 != request.body.len() as u64 {
        return Err(invalid("Content-Range does not fit the body."));
    }
    if request.body.len() as u64 > MAX_RANGE {
        return Err(GraphError::new(
            413,
            "RequestEntityTooLarge",
            "A range must not exceed 4 MB.",
        ));
    }
    if first != upload.have {
        return Err(GraphError::new(
            416,
            "invalidRange",
            format!("Ranges must be in order: {} is expected.", upload.have),
        ));
    }
    upload.pieces.push(request.body.clone());
    upload.have = last + 1;
    if upload.have < upload.size {
        return Ok(Reply::json(200, progress(world, upload, &place)));
    }
    let done = uploads.remove(&secret).ok_or_else(gone)?;
    drop(uploads);
    let serial = match done.owner {
        Owner::Message(serial) => serial,
        Owner::Event(serial) => {
            let made = Attachment {
                number: 0,
                name: done.name,
                kind: done.content_type.unwrap_or_default(),
                inline: done.inline,
                content_id: done.content_id,
                bytes: done.pieces.concat().into(),
            };
            let id = with(&done.user, |m| calendars::attach(&mut m.calendars, serial, made))?;
            return Ok(made_at(world, &place, &id));
        }
    };
    let part = Part {
        number: 0,
        name: done.name,
        content_type: done.content_type,
        content_id: done.content_id,
        content_location: None,
        inline: done.inline,
        kind: PartKind::File(Data::Pieces(done.pieces)),
    };
    let id = with(&done.user, |m| {
        m.message(serial).ok_or_else(GraphError::item_not_found)?;
        let number = attachments::add(m, serial, part)?;
        let place = m.message(serial).map_or(0, |x| x.place);
        Ok(ids::attachment(m.key, serial, place, number, false))
    })?;
    Ok(made_at(world, &place, &id))
}

fn made_at(world: &World, place: &str, id: &str) -> Reply {
    Reply::empty(201).with(
        "Location",
        format!("{}/api/v2.0/{place}/Attachments('{id}')", world.outlook_url()),
    )
}

/// `bytes a-b/total`.
fn parse_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((
        first.trim().parse().ok()?,
        last.trim().parse().ok()?,
        total.trim().parse().ok()?,
    ))
}
