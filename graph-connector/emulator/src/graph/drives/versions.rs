//! Versions of files: newest first; the current one cannot be read here.

use serde_json::{Value, json};

use super::address::Address;
use super::{Answer, Found, content, item_of, json as shape, not_found, refused};
use crate::clock;
use crate::drive::node::{FileVersion, Kind};
use crate::drive::tree::Drive;
use crate::graph::Call;
use crate::http::reply::{GraphError, Reply};

fn versions_of<'d>(drive: &'d Drive, address: &Address) -> Result<(u32, &'d [FileVersion]), GraphError> {
    let serial = item_of(drive, address)?;
    match drive.node(serial).map(|node| &node.kind) {
        Some(Kind::File(versions)) => Ok((serial, versions)),
        _ => Err(GraphError::new(
            400,
            "invalidRequest",
            "The item has no versions.",
        )),
    }
}

fn number_of(address: &Address) -> Result<u32, GraphError> {
    let text = address.action.get(1).map(String::as_str).unwrap_or_default();
    text.strip_suffix(".0")
        .and_then(|number| number.parse().ok())
        .ok_or_else(not_found)
}

/// `GET .../versions`.
pub(crate) fn list(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let drive = found.lock()?;
    let (_, versions) = versions_of(&drive, address)?;
    let value: Vec<Value> = versions
        .iter()
        .rev()
        .map(|version| {
            json!({
                "id": format!("{}.0", version.number),
                "lastModifiedBy": shape::owner(&drive),
                "lastModifiedDateTime": clock::iso(version.modified),
                "size": version.data.len(),
            })
        })
        .collect();
    let context = format!(
        "{}/$metadata#Collection(driveItemVersion)",
        call.world.graph_url()
    );
    Ok(Reply::json(
        200,
        json!({"@odata.context": context, "value": value}),
    ))
}

/// `GET .../versions/{version}/content`.
pub(crate) fn content(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let drive = found.lock()?;
    let number = number_of(address)?;
    let (serial, versions) = versions_of(&drive, address)?;
    if versions.last().is_some_and(|version| version.number == number) {
        return Err(GraphError::new(
            400,
            "invalidRequest",
            "You cannot get the content of the current version.",
        ));
    }
    if !versions.iter().any(|version| version.number == number) {
        return Err(not_found());
    }
    Ok(Reply::empty(302).with("Location", content::url(call.world, &drive, serial, Some(number))))
}

/// `POST .../versions/{version}/restoreVersion`.
pub(crate) fn restore(_: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let mut drive = found.lock()?;
    let number = number_of(address)?;
    let serial = item_of(&drive, address)?;
    drive.restore_version(serial, number).map_err(refused)?;
    Ok(Reply::empty(204))
}
