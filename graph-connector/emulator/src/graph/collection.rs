//! Lists that come in pages, as Outlook's collections of items do.

use serde_json::{Map, Value, json};

use crate::graph::odata::{self, Select};
use crate::graph::{Call, links};
use crate::http::reply::{GraphError, Reply};

/// Query options that a next link repeats.
const REPEATED: [&str; 5] = ["$select", "$expand", "$filter", "$orderby", "$top"];

/// Keeps what is selected; annotations, id and ETag always stay.
pub(crate) fn select(mut object: Map<String, Value>, select: &Select) -> Map<String, Value> {
    // What an expansion brought is there because it was asked for.
    const EXPANDED: [&str; 3] = [
        "singleValueExtendedProperties",
        "exceptionOccurrences",
        "calendar",
    ];
    object.retain(|name, _| {
        name.starts_with('@') || name == "id" || EXPANDED.contains(&name.as_str()) || select.wants(name)
    });
    object
}

/// `$top`, or the preferred page size, and `$skip`: default page 10, at most 1000.
pub(crate) fn window(call: &Call<'_>) -> Result<(usize, usize), GraphError> {
    let preferred = call
        .request
        .preference("odata.maxpagesize")
        .and_then(|size| size.parse().ok());
    let top = odata::number(call.request, "$top")?
        .or(preferred)
        .unwrap_or(10)
        .clamp(1, 1000);
    let skip = odata::number(call.request, "$skip")?.unwrap_or(0);
    Ok((top, skip))
}

/// The page of `all` that the request asks for. `segments`: the path, for the next link; `what`: the context.
pub(crate) fn page(
    call: &Call<'_>,
    segments: &[&str],
    what: &str,
    all: Vec<Map<String, Value>>,
) -> Result<Reply, GraphError> {
    let (top, skip) = window(call)?;
    let selected = Select::parse(call.request.option("$select"));
    let more = skip + top < all.len();
    let value: Vec<Value> = all
        .into_iter()
        .skip(skip)
        .take(top)
        .map(|object| Value::Object(select(object, &selected)))
        .collect();
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#{what}{}",
            call.world.graph_url(),
            selected.context(call.request)
        )),
    );
    if more {
        let next = (skip + top).to_string();
        let mut options: Vec<(&str, &str)> = REPEATED
            .into_iter()
            .filter_map(|name| Some((name, call.request.option(name)?)))
            .collect();
        options.push(("$skip", &next));
        let link = links::link(call.world, segments, &options, skip as u64);
        body.insert("@odata.nextLink".into(), json!(link));
    }
    body.insert("value".into(), Value::Array(value));
    Ok(Reply::json(200, Value::Object(body)))
}

/// One object as an answer.
pub(crate) fn entity(call: &Call<'_>, status: u16, what: &str, object: Map<String, Value>) -> Reply {
    let selected = Select::parse(call.request.option("$select"));
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#{what}{}/$entity",
            call.world.graph_url(),
            selected.context(call.request)
        )),
    );
    body.extend(select(object, &selected));
    Reply::json(status, Value::Object(body))
}

/// Refuses a write whose `If-Match` names another version.
pub(crate) fn if_match(call: &Call<'_>, etag: &str) -> Result<(), GraphError> {
    match call.request.header("if-match") {
        Some(wanted) if wanted != "*" && wanted != etag => Err(GraphError::new(
            412,
            "ErrorIrresolvableConflict",
            "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.",
        )),
        _ => Ok(()),
    }
}
