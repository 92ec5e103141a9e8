//! Lists of a site.

use serde_json::{Value, json};

use crate::clock;
use crate::drive::tree::Home;
use crate::graph::{Call, folders};
use crate::http::reply::{GraphError, Reply};
use crate::site::Site;

type Answer = Result<Reply, GraphError>;

/// `POST /sites/{s}/lists`.
pub(crate) fn create(call: &Call<'_>, site: &Site) -> Answer {
    let invalid = |why: &str| GraphError::new(400, "invalidRequest", why.to_owned());
    let body = Value::Object(folders::body(call)?);
    let name = body["displayName"].as_str().unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        return Err(invalid("The list needs a displayName."));
    }
    if body["list"]["template"] != "documentLibrary" {
        return Err(invalid("The template is not supported."));
    }
    if site.library(Some(&name)).is_some() {
        return Err(GraphError::new(
            409,
            "nameAlreadyExists",
            "A list, survey, discussion board, or document library with the specified title already exists.",
        ));
    }
    let slot = site.add_library(call.world, &name);
    let drive = slot.lock();
    let Home::Library { list, url, .. } = &drive.home else {
        return Err(invalid("The library was not made."));
    };
    let now = clock::iso(call.world.clock.now());
    Ok(Reply::json(
        201,
        json!({
            "@odata.context": format!("{}/$metadata#sites('{}')/lists/$entity", call.world.graph_url(), site.id),
            "id": list,
            "createdDateTime": now,
            "lastModifiedDateTime": now,
            "name": name,
            "displayName": name,
            "webUrl": url,
            "list": {"contentTypesEnabled": false, "hidden": false, "template": "documentLibrary"},
        }),
    ))
}
