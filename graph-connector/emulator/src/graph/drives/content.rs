//! Content of files: a redirect to a pre-authenticated address on another host that expires and knows ranges.

use bytes::Bytes;

use super::address::Address;
use super::{Answer, Found, item_of, not_found};
use crate::drive::node::{FileVersion, Kind};
use crate::drive::tree::Drive;
use crate::graph::Call;
use crate::graph::drives::json;
use crate::http::reply::{Body, GraphError, Reply};
use crate::http::request::Request;
use crate::random::key;
use crate::world::World;

/// Start of the paths that serve content.
pub(crate) const PATH: &str = "/personal/";

fn seal(world: &World, drive: u64, serial: u32, version: u32, expires: i64) -> u64 {
    key(&[
        world.seed,
        drive,
        u64::from(serial),
        u64::from(version),
        expires as u64,
        105,
    ])
}

/// An address that serves the content of a file, or of one of its versions, for a while.
pub(crate) fn url(world: &World, drive: &Drive, serial: u32, version: Option<u32>) -> String {
    let expires = world.clock.now() + world.settings().download_url_seconds * 1000;
    let version = version.unwrap_or(0);
    let seal = seal(world, drive.key, serial, version, expires);
    format!(
        "{}{PATH}{}/_layouts/15/download.aspx?UniqueId={}&Translate=false&tempauth=v1.{serial:x}.{version:x}.{expires:x}.{seal:016x}.{:x}",
        world.outlook_url(),
        drive.owner.2.replace(['@', '.', '/', ':', ' '], "_"),
        drive.guid(serial).to_lowercase(),
        drive.key,
    )
}

/// `GET .../content`.
pub(crate) fn redirect(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    let node = drive.node(serial).ok_or_else(not_found)?;
    if node.current().is_none() {
        return Err(GraphError::new(
            400,
            "invalidRequest",
            "You cannot get content for a folder",
        ));
    }
    refuse_unreadable(node.unreadable)?;
    // Half of them show only when the content is asked for.
    if node.malware && serial % 4 < 2 {
        return Err(malware());
    }
    if let Some(known) = call.request.header("if-none-match")
        && [json::etag(&drive, node), json::ctag(&drive, node)].contains(&known.to_owned())
    {
        return Ok(Reply::empty(304));
    }
    Ok(Reply::empty(302).with("Location", url(call.world, &drive, serial, None)))
}

pub(crate) fn refuse_unreadable(unreadable: bool) -> Result<(), GraphError> {
    if unreadable {
        return Err(GraphError::new(
            503,
            "serviceNotAvailable",
            "The service is not available.",
        ));
    }
    Ok(())
}

fn malware() -> GraphError {
    GraphError::new(
        403,
        "malwareDetected",
        "Malware was detected in the requested resource.",
    )
}

/// Serves content on the host of pre-authenticated addresses.
pub(crate) fn serve(world: &World, request: &Request) -> Answer {
    if request.header("authorization").is_some() {
        return Err(GraphError::new(
            401,
            "unauthenticated",
            "The address is pre-authenticated; no Authorization header is accepted.",
        ));
    }
    let expired = || GraphError::new(401, "unauthenticated", "The address has expired.");
    let text = request.option("tempauth").unwrap_or_default();
    let parts: Vec<&str> = text.split('.').collect();
    let ["v1", serial, version, expires, seal_text, drive] = parts.as_slice() else {
        return Err(expired());
    };
    let number = |text: &str| u64::from_str_radix(text, 16).map_err(|_| expired());
    let (serial, version, expires) = (
        number(serial)? as u32,
        number(version)? as u32,
        number(expires)? as i64,
    );
    let drive_key = number(drive)?;
    if number(seal_text)? != seal(world, drive_key, serial, version, expires) || expires < world.clock.now() {
        return Err(expired());
    }
    let slot = world.drive(|slot| slot.key == drive_key).ok_or_else(not_found)?;
    let drive = slot.lock();
    let node = drive.node(serial).ok_or_else(not_found)?;
    if node.malware {
        return Err(malware().with("X-Virus-Infected", "EICAR"));
    }
    let Kind::File(versions) = &node.kind else {
        return Err(not_found());
    };
    let found = match version {
        0 => versions.last(),
        n => versions.iter().find(|known| known.number == n),
    };
    let found = found.ok_or_else(not_found)?;
    let reply = ranged(world, request, found)?;
    Ok(reply
        .with("ETag", json::etag(&drive, node))
        .with("Accept-Ranges", "bytes"))
}

/// The whole content, or the range that was asked for.
fn ranged(world: &World, request: &Request, version: &FileVersion) -> Answer {
    let total = version.data.len();
    let octets = "application/octet-stream";
    let whole = |from: u64, to: u64| Body::Stream(cut(version.data.pieces(), from, to));
    let Some(range) = request
        .header("range")
        .filter(|_| !world.settings().ignore_ranges)
    else {
        return Ok(Reply::empty(200)
            .with("Content-Type", octets)
            .with("Content-Length", total.to_string())
            .body(whole(0, total)));
    };
    let invalid = || {
        GraphError::new(416, "invalidRange", "The range is not satisfiable.")
            .with("Content-Range", format!("bytes */{total}"))
    };
    if request.header("accept").is_none() {
        return Err(invalid());
    }
    let (from, to) = range
        .trim()
        .strip_prefix("bytes=")
        .and_then(|text| text.split_once('-'))
        .ok_or_else(invalid)?;
    let from: u64 = from.trim().parse().map_err(|_| invalid())?;
    let to = match to.trim() {
        "" => total,
        text => text
            .parse::<u64>()
            .map_err(|_| invalid())?
            .saturating_add(1)
            .min(total),
    };
    if from >= to {
        return Err(invalid());
    }
    Ok(Reply::empty(206)
        .with("Content-Type", octets)
        .with("Content-Length", (to - from).to_string())
        .with("Content-Range", format!("bytes {from}-{}/{total}", to - 1))
        .body(whole(from, to)))
}

/// The bytes from `from` to before `to` of some pieces.
fn cut(
    pieces: Box<dyn Iterator<Item = Bytes> + Send>,
    from: u64,
    to: u64,
) -> Box<dyn Iterator<Item = Bytes> + Send> {
    let mut at = 0u64;
    Box::new(
        pieces
            .map(move |piece| {
                let (start, end) = (at, at + piece.len() as u64);
                at = end;
                let low = from.clamp(start, end) - start;
                let high = to.clamp(start, end) - start;
                piece.slice(low as usize..high.max(low) as usize)
            })
            .filter(|piece| !piece.is_empty()),
    )
}
