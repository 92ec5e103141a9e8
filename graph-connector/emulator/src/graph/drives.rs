//! Drives over HTTP: addresses by id and by path, permissions, and which handler answers.

pub(crate) mod address;
pub(crate) mod content;
pub(crate) mod delta;
pub(crate) mod items;
pub(crate) mod json;
pub(crate) mod office;
pub(crate) mod sharing;
pub(crate) mod units;
pub(crate) mod upload;
pub(crate) mod versions;

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use address::{Address, Which};

use crate::drive::tree::{Conflict, Drive, ROOT, Refused};
use crate::graph::{Call, sites};
use crate::http::reply::{GraphError, Reply};
use crate::world::DriveSlot;

type Answer = Result<Reply, GraphError>;

/// A drive, found and not yet locked.
pub(crate) struct Found {
    pub slot: Arc<DriveSlot>,
}

impl Found {
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, Drive>, GraphError> {
        if self.slot.locked.load(Ordering::Relaxed) {
            return Err(refused(Refused::Locked));
        }
        Ok(self.slot.lock())
    }
}

/// The name of a living item.
pub(crate) fn name_of(drive: &Drive, serial: u32) -> String {
    drive
        .node(serial)
        .map(|node| node.name.clone())
        .unwrap_or_default()
}

pub(crate) fn not_found() -> GraphError {
    GraphError::new(404, "itemNotFound", "The resource could not be found.")
}

/// A refused change as OneDrive words it.
pub(crate) fn refused(refused: Refused) -> GraphError {
    let invalid = |message: &str| GraphError::new(400, "invalidRequest", message.to_owned());
    match refused {
        Refused::NotFound => not_found(),
        Refused::NameTaken => GraphError::new(
            409,
            "nameAlreadyExists",
            "The specified item name already exists.",
        ),
        Refused::BadName(why) => invalid(why),
        Refused::PathTooLong => {
            let mut error = invalid("The path is too long.");
            error.inner = Some("pathIsTooLong".into());
            error
        }
        Refused::NotAFolder => invalid("The parent is not a folder."),
        Refused::NotAFile => invalid("The item is not a file."),
        Refused::Cycle => invalid("A folder cannot be moved below itself."),
        Refused::Root => GraphError::new(403, "accessDenied", "The root folder cannot be changed."),
        Refused::Quota => GraphError::new(507, "quotaLimitReached", "The drive is full."),
        Refused::Locked => GraphError::new(423, "resourceLocked", "The resource is locked."),
    }
}

/// Finds the drive of an address.
pub(crate) fn found(call: &Call<'_>, which: &Which) -> Result<Found, GraphError> {
    match which {
        Which::Id(id) => {
            let slot = call.world.drive(|slot| slot.id == *id).ok_or_else(not_found)?;
            Ok(Found { slot })
        }
        Which::User(id) => {
            let user = call.user(id)?;
            let slot = user
                .drive
                .get()
                .cloned()
                .ok_or_else(|| GraphError::new(404, "ResourceNotFound", "User's mysite not found."))?;
            Ok(Found { slot })
        }
        Which::Site(site, list) => {
            let site = sites::found(call, site)?;
            let slot = site.library(list.as_deref()).ok_or_else(not_found)?;
            Ok(Found { slot })
        }
    }
}

/// The item of an address.
pub(crate) fn item_of(drive: &Drive, address: &Address) -> Result<u32, GraphError> {
    let start = match &address.item {
        None => ROOT,
        Some(id) => drive.find(id).ok_or_else(not_found)?,
    };
    drive.walk(start, &address.path).ok_or_else(not_found)
}

/// The folder and the name that a path leads to, whether or not something is there.
pub(crate) fn place_of(drive: &Drive, address: &Address) -> Result<(u32, String), GraphError> {
    let start = match &address.item {
        None => ROOT,
        Some(id) => drive.find(id).ok_or_else(not_found)?,
    };
    let (name, folders) = address.path.split_last().ok_or_else(not_found)?;
    let parent = drive.walk(start, folders).ok_or_else(not_found)?;
    Ok((parent, name.clone()))
}

/// The wish for a name that is taken, from the query or from this value of the body.
pub(crate) fn conflict(
    call: &Call<'_>,
    body: Option<&serde_json::Value>,
    default: Conflict,
) -> Result<Conflict, GraphError> {
    const NAME: &str = "@microsoft.graph.conflictBehavior";
    let asked = call
        .request
        .option(&NAME.to_lowercase())
        .map(str::to_owned)
        .or_else(|| {
            body.and_then(|body| body.get(NAME))
                .and_then(|value| value.as_str().map(str::to_owned))
        });
    match asked.as_deref().map(str::to_lowercase).as_deref() {
        None => Ok(default),
        Some("fail") => Ok(Conflict::Fail),
        Some("replace") => Ok(Conflict::Replace),
        Some("rename") => Ok(Conflict::Rename),
        Some(other) => Err(GraphError::new(
            400,
            "invalidRequest",
            format!("The conflict behavior '{other}' is not supported."),
        )),
    }
}

/// Refuses when `If-Match` names another state.
pub(crate) fn check_match(call: &Call<'_>, drive: &Drive, serial: u32) -> Result<(), GraphError> {
    let Some(wanted) = call.request.header("if-match") else {
        return Ok(());
    };
    let (etag, ctag) = drive
        .node(serial)
        .map(|node| (json::etag(drive, node), json::ctag(drive, node)))
        .unwrap_or_default();
    let bare = |text: &str| text.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    if wanted.trim() == "*" || [etag, ctag].iter().any(|known| bare(known) == bare(wanted)) {
        return Ok(());
    }
    Err(GraphError::new(
        412,
        "resourceModified",
        "The resource has changed since the caller last read it; usually an eTag mismatch.",
    ))
}

/// Answers a call about a drive.
pub(crate) fn answer(call: &Call<'_>, address: &Address) -> Answer {
    let write = !matches!(call.request.method.as_str(), "GET" | "HEAD");
    let needed: &[&str] = if write {
        &["Files.ReadWrite.All", "Sites.ReadWrite.All"]
    } else {
        &[
            "Files.Read.All",
            "Files.ReadWrite.All",
            "Sites.Read.All",
            "Sites.ReadWrite.All",
        ]
    };
    if !needed.iter().any(|role| call.has(role)) {
        return Err(GraphError::new(403, "accessDenied", "Access denied"));
    }
    let words: Vec<String> = address.action.iter().map(|word| word.to_lowercase()).collect();
    let words: Vec<&str> = words
        .iter()
        .map(|word| word.trim_start_matches("microsoft.graph."))
        .collect();
    let found = found(call, &address.which)?;
    let units = units::charge(call, &words)?;
    let reply = match (call.request.method.as_str(), words.as_slice()) {
        ("GET", ["drives"]) => match &address.which {
            Which::Site(site, _) => items::drives(call, &sites::found(call, site)?.libraries()),
            _ => items::drives(call, &[Arc::clone(&found.slot)]),
        },
        ("GET", ["drive"]) => items::drive(call, &found),
        ("GET", []) => items::get(call, &found, address),
        ("PATCH", []) => items::update(call, &found, address),
        ("DELETE", []) => items::delete(call, &found, address),
        ("GET", ["children"]) => items::children(call, &found, address),
        ("POST", ["children"]) => items::create(call, &found, address),
        ("GET", ["delta"]) => delta::delta(call, &found, None),
        ("GET", ["delta", _]) => delta::delta(call, &found, address.action.get(1).map(String::as_str)),
        ("GET", ["content"]) => content::redirect(call, &found, address),
        ("PUT", ["content"]) => items::put(call, &found, address),
        ("POST", ["createuploadsession"]) => upload::create(call, &found, address),
        ("GET", ["versions"]) => versions::list(call, &found, address),
        ("GET", ["versions", _, "content"]) => versions::content(call, &found, address),
        ("POST", ["versions", _, "restoreversion"]) => versions::restore(call, &found, address),
        ("GET", ["permissions"]) => sharing::list(call, &found, address),
        ("PATCH", ["permissions", _]) => sharing::update(call, &found, address),
        ("DELETE", ["permissions", _]) => sharing::delete(call, &found, address),
        ("POST", ["invite"]) => sharing::invite(call, &found, address),
        ("POST", ["createlink"]) => sharing::link(call, &found, address),
        (
            _,
            [
                "drives" | "drive" | "delta" | "content" | "children" | "versions" | "permissions",
                ..,
            ]
            | [],
        ) => Err(GraphError::new(
            405,
            "notAllowed",
            "The method is not allowed on this resource.",
        )),
        _ => Err(GraphError::new(
            400,
            "invalidRequest",
            format!(
                "Resource not found for the segment '{}'.",
                address.action.last().cloned().unwrap_or_default()
            ),
        )),
    };
    units.finish(reply)
}
