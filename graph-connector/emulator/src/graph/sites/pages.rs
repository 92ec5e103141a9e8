//! Pages of collections.

use serde_json::{Map, Value, json};

use crate::graph::Call;
use crate::http::path;
use crate::http::reply::{GraphError, Reply};
use crate::random::text_key;

type Answer = Result<Reply, GraphError>;

/// Start of every skip token.
const TOKEN: &str = "U1BHZW9";

/// One page of `value`: where it begins is in the skip token of the request.
pub(crate) fn answer(call: &Call<'_>, context: &str, value: Vec<Value>) -> Answer {
    let size = call.world.settings().site_page;
    sized(call, context, value, size)
}

/// As [`answer`], with pages of this size.
pub(crate) fn sized(call: &Call<'_>, context: &str, value: Vec<Value>, size: usize) -> Answer {
    let world = call.world;
    let text = call.request.option("$skiptoken").unwrap_or(TOKEN);
    // An `e` says that an empty page was told at this place.
    let place = text
        .strip_prefix(TOKEN)
        .ok_or_else(|| GraphError::new(400, "invalidRequest", "The skip token is malformed."))?;
    let skip: usize = place.trim_end_matches('e').parse().unwrap_or(0);
    let pause = skip > 0
        && !place.ends_with('e')
        && world.settings().delta_variety
        && world.coin(text_key(context) ^ skip as u64, 3);
    let next = skip + if pause { 0 } else { size.max(1) };
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!("{}/$metadata#{context}", world.graph_url())),
    );
    if next < value.len() {
        let mark = if pause { "e" } else { "" };
        body.insert(
            "@odata.nextLink".into(),
            json!(link(call, &format!("{TOKEN}{next}{mark}"))),
        );
    }
    let page: Vec<Value> = value.into_iter().take(next).skip(skip).collect();
    body.insert("value".into(), json!(page));
    Ok(Reply::json(200, Value::Object(body)))
}

/// The request's own address, with this token.
fn link(call: &Call<'_>, token: &str) -> String {
    let place = call
        .request
        .path()
        .trim_start_matches("/v1.0")
        .replace("/sites/getAllSites", "/sites/oneDrive.getAllSites");
    let mut link = format!("{}{place}?$skiptoken={token}", call.world.graph_url());
    for (name, value) in &call.request.query {
        if !name.trim_start_matches('$').eq_ignore_ascii_case("skiptoken") {
            link.push_str(&format!("&{name}={}", path::encode(value)));
        }
    }
    link
}
