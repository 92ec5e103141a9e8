//! Upload sessions of files: made on Graph, fed on another host that wants no token, in multiples of 320 KiB.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

use super::address::Address;
use super::items::{set_times, times};
use super::json::{self as shape, Place};
use super::{Answer, Found, check_match, conflict, item_of, name_of, not_found, office, place_of, refused};
use crate::clock;
use crate::drive::tree::{Conflict, Drive};
use crate::graph::{Call, folders};
use crate::http::reply::{GraphError, Reply};
use crate::http::request::Request;
use crate::mail::data::Data;
use crate::random::token;
use crate::world::{DriveSlot, World};

/// Start of the paths of sessions.
pub(crate) const PATH: &str = "/drive-upload/";
/// Every fragment but the last is a multiple of this.
const GRAIN: u64 = 327_680;
/// Fragments stay below this.
const MAX_FRAGMENT: usize = 60 * 1024 * 1024;
/// A session lives this long.
const LIFE_MS: i64 = 24 * 3_600_000;

/// Where a session puts its file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Goal {
    New { parent: u32, name: String },
    Version(u32),
}

/// A session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    slot: Arc<DriveSlot>,
    goal: Goal,
    conflict: Conflict,
    created: Option<i64>,
    modified: Option<i64>,
    announced: Option<u64>,
    deferred: bool,
    total: Option<u64>,
    pieces: Vec<Bytes>,
    have: u64,
    expires: i64,
}

/// `POST .../createUploadSession`.
pub(crate) fn create(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let body = match call.request.body.is_empty() {
        true => json!({}),
        false => Value::Object(folders::body(call)?),
    };
    let empty = json!({});
    let item = body.get("item").unwrap_or(&empty);
    let conflict = conflict(call, Some(item), Conflict::Fail)?;
    let announced = item.get("fileSize").and_then(Value::as_u64);
    let (created, modified) = times(item)?.unwrap_or_default();
    let world = call.world;
    let drive = found.lock()?;
    let goal = if address.path.is_empty() {
        let serial = item_of(&drive, address)?;
        check_match(call, &drive, serial)?;
        let node = drive.node(serial).ok_or_else(not_found)?;
        if node.current().is_none() {
            return Err(GraphError::new(400, "invalidRequest", "The item is not a file."));
        }
        if node.locked {
            return Err(refused(crate::drive::tree::Refused::Locked));
        }
        Goal::Version(serial)
    } else {
        let (parent, name) = place_of(&drive, address)?;
        if let Some(why) = crate::drive::names::refused(&name) {
            return Err(refused(crate::drive::tree::Refused::BadName(why)));
        }
        if let Some(existing) = drive.child(parent, &name) {
            check_match(call, &drive, existing)?;
            // Some conflicts show at once, some at the last fragment.
            if conflict == Conflict::Fail && drive.version.is_multiple_of(2) {
                return Err(refused(crate::drive::tree::Refused::NameTaken));
            }
        }
        Goal::New { parent, name }
    };
    if let Some(size) = announced {
        drive.check_quota(size).map_err(refused)?;
    }
    let drive_key = drive.key;
    // Whoever ends an upload takes the sessions first and then the drive.
    drop(drive);
    let now = world.clock.now();
    let mut sessions = world.drive_uploads.lock().unwrap_or_else(PoisonError::into_inner);
    sessions.retain(|_, session| session.expires >= now);
    let (number, _) = world.next_request();
    let secret = token(&[world.seed, drive_key, number, 115], 60);
    let expires = now + LIFE_MS;
    sessions.insert(
        secret.clone(),
        Session {
            slot: Arc::clone(&found.slot),
            goal,
            conflict,
            created,
            modified,
            announced,
            deferred: body.get("deferCommit").and_then(Value::as_bool).unwrap_or(false),
            total: None,
            pieces: vec![],
            have: 0,
            expires,
        },
    );
    Ok(Reply::json(
        200,
        json!({
            "@odata.context": format!("{}/$metadata#microsoft.graph.uploadSession", world.graph_url()),
            "uploadUrl": format!("{}{PATH}session?tempauth={secret}", world.outlook_url()),
            "expirationDateTime": clock::iso_ticks(expires),
            "nextExpectedRanges": ["0-"],
        }),
    ))
}

fn progress(session: &Session) -> Value {
    json!({
        "expirationDateTime": clock::iso_ticks(session.expires),
        "nextExpectedRanges": [format!("{}-", session.have)],
    })
}

/// `PUT`, `GET`, `POST` and `DELETE` on an upload address.
pub(crate) fn handle(world: &World, request: &Request) -> Answer {
    if request.header("authorization").is_some() {
        return Err(GraphError::new(
            401,
            "unauthenticated",
            "The address is pre-authenticated; no Authorization header is accepted.",
        ));
    }
    let gone = || GraphError::new(404, "itemNotFound", "The upload session was not found.");
    let secret = request.option("tempauth").unwrap_or_default().to_owned();
    let mut sessions = world.drive_uploads.lock().unwrap_or_else(PoisonError::into_inner);
    let session = sessions.get_mut(&secret).ok_or_else(gone)?;
    if session.expires < world.clock.now() {
        sessions.remove(&secret);
        return Err(gone());
    }
    match request.method.as_str() {
        "GET" => return Ok(Reply::json(200, progress(session))),
        "DELETE" => {
            sessions.remove(&secret);
            return Ok(Reply::empty(204));
        }
        "PUT" => {
            take(session, request)?;
            if session.total != Some(session.have) || session.deferred {
                return Ok(Reply::json(202, progress(session)));
            }
        }
        "POST" if session.deferred && session.total == Some(session.have) => {}
        _ => {
            return Err(GraphError::new(
                405,
                "notAllowed",
                "The method is not allowed on this resource.",
            ));
        }
    }
    let done = session.clone();
    let mut drive = done.slot.lock();
    // A conflict leaves the session as it is: its bytes stay until it expires.
    let (serial, new) = commit(world, &mut drive, &done)?;
    sessions.remove(&secret);
    let node = drive.node(serial).ok_or_else(not_found)?;
    let item = shape::item(world, &drive, node, Place::Direct);
    Ok(Reply::json(if new { 201 } else { 200 }, Value::Object(item)))
}

/// Takes one fragment.
fn take(session: &mut Session, request: &Request) -> Result<(), GraphError> {
    let bad = |why: &str| GraphError::new(400, "invalidRequest", why.to_owned());
    let range = |inner: &str, why: String| {
        let mut error = GraphError::new(416, "invalidRange", why);
        error.inner = Some(inner.to_owned());
        error
    };
    let text = request
        .header("content-range")
        .ok_or_else(|| bad("Content-Range is missing."))?;
    let parsed = text.trim().strip_prefix("bytes ").and_then(|text| {
        let (span, total) = text.split_once('/')?;
        let (first, last) = span.split_once('-')?;
        Some((
            first.trim().parse::<u64>().ok()?,
            last.trim().parse::<u64>().ok()?,
            total.trim().parse::<u64>().ok()?,
        ))
    });
    let (first, last, total) = parsed.ok_or_else(|| bad("Content-Range is malformed."))?;
    if last < first || last >= total || last - first + 1 != request.body.len() as u64 {
        return Err(bad("Content-Range does not fit the body."));
    }
    if session
        .total
        .or(session.announced)
        .is_some_and(|known| known != total)
    {
        return Err(bad("The total size differs from the one announced."));
    }
    if request.body.len() >= MAX_FRAGMENT {
        return Err(GraphError::new(
            413,
            "requestTooLarge",
            "A fragment must be smaller than 60 MiB.",
        ));
    }
    if last + 1 != total && !(last - first + 1).is_multiple_of(GRAIN) {
        return Err(bad("A fragment but the last must be a multiple of 320 KiB."));
    }
    if first < session.have {
        return Err(range(
            "fragmentOverlap",
            "The fragment was received already.".into(),
        ));
    }
    if first > session.have {
        return Err(range(
            "fragmentOutOfOrder",
            format!("Byte {} is expected next.", session.have),
        ));
    }
    session.total = Some(total);
    session.pieces.push(request.body.clone());
    session.have = last + 1;
    Ok(())
}

/// Makes the file of a finished session; says whether it is new.
fn commit(world: &World, drive: &mut Drive, session: &Session) -> Result<(u32, bool), GraphError> {
    let data = Data::Pieces(session.pieces.clone());
    let (serial, new) = match &session.goal {
        Goal::Version(serial) => {
            let data = office::stored(world, drive, &name_of(drive, *serial), data);
            drive.write(*serial, data).map_err(refused)?;
            (*serial, false)
        }
        Goal::New { parent, name } => {
            let data = office::stored(world, drive, name, data);
            drive
                .put_file(*parent, name, data, session.conflict)
                .map_err(refused)?
        }
    };
    set_times(drive, serial, session.created, session.modified);
    Ok((serial, new))
}
