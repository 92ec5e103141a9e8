//! Sites over HTTP: all of them, one, those below it; its libraries are drives.

pub(crate) mod address;
pub(crate) mod lists;
pub(crate) mod pages;
pub(crate) mod rows;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use address::{SiteAddress, SiteRef};

use crate::clock;
use crate::drive::tree::Refused;
use crate::graph::Call;
use crate::graph::drives::{refused, units};
use crate::graph::odata::Select;
use crate::graph::token;
use crate::http::reply::{GraphError, Reply};
use crate::site::Site;

type Answer = Result<Reply, GraphError>;

/// The site that a call names.
pub(crate) fn found(call: &Call<'_>, site: &SiteRef) -> Result<Arc<Site>, GraphError> {
    let world = call.world;
    let wanted = |known: &Site| match site {
        SiteRef::Id(id) if id.eq_ignore_ascii_case("root") => known.path.is_empty(),
        // A host alone is its root site; ids are compared without case, as GUIDs are.
        SiteRef::Id(id) if !id.contains(',') => known.path.is_empty() && known.host.eq_ignore_ascii_case(id),
        SiteRef::Id(id) => known.id.eq_ignore_ascii_case(id),
        SiteRef::Path(host, path) => {
            known.host.eq_ignore_ascii_case(host) && known.path.eq_ignore_ascii_case(path)
        }
    };
    let found = world
        .all_sites()
        .into_iter()
        .find(|known| wanted(known))
        .ok_or_else(|| GraphError::new(404, "itemNotFound", "Requested site could not be found"))?;
    if found.is_locked() {
        return Err(refused(Refused::Locked));
    }
    Ok(found)
}

/// Answers a call about sites.
pub(crate) fn answer(call: &Call<'_>, address: &SiteAddress) -> Answer {
    let words: Vec<String> = address
        .action
        .iter()
        .map(|word| {
            let lower = word.to_lowercase();
            lower.rsplit('.').next().unwrap_or_default().to_owned()
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let write = !matches!(call.request.method.as_str(), "GET" | "HEAD");
    permitted(call, &words, write)?;
    let charged = units::charge_units(call, cost(call, address, &words))?;
    charged.finish(dispatch(call, address, &words))
}

/// Units of a call (contract 5.3): a single element or a delta with a token 1, permissions 5, everything else 2.
fn cost(call: &Call<'_>, address: &SiteAddress, words: &[&str]) -> u32 {
    let with_token = call.request.option("token").is_some();
    match (call.request.method.as_str(), words) {
        (_, ["permissions", ..]) => 5,
        ("GET", []) if address.site.is_some() => 1,
        ("GET", ["lists", _] | ["lists", _, "items", _, ..]) if !words.ends_with(&["delta"]) => 1,
        ("GET", [.., "delta"]) if with_token => 1,
        _ => 2,
    }
}

/// Refuses without one of the permissions that the call needs (permission data of August 2026).
fn permitted(call: &Call<'_>, words: &[&str], write: bool) -> Result<(), GraphError> {
    const READ: [&str; 4] = [
        "Sites.Read.All",
        "Sites.ReadWrite.All",
        "Sites.Manage.All",
        "Sites.FullControl.All",
    ];
    let needed: &[&str] = match words {
        ["permissions", ..] => &READ[3..],
        ["lists", _, "columns" | "contenttypes", ..] if write => &READ[2..],
        ["lists"] if write => &READ[1..3],
        _ if write => &READ[1..2],
        _ => &READ,
    };
    match needed.iter().any(|role| call.has(role)) {
        true => Ok(()),
        false => Err(GraphError::new(403, "accessDenied", "Access denied")),
    }
}

fn dispatch(call: &Call<'_>, address: &SiteAddress, words: &[&str]) -> Answer {
    match (call.request.method.as_str(), &address.site, words) {
        ("GET", None, []) => list(call, call.request.option("search")),
        ("GET", None, ["getallsites"]) => list(call, None),
        ("GET", Some(site), []) => {
            let site = found(call, site)?;
            let mut map = Map::new();
            map.insert(
                "@odata.context".into(),
                json!(format!("{}/$metadata#sites/$entity", call.world.graph_url())),
            );
            map.extend(selected(call, json(&site, false)));
            Ok(Reply::json(200, Value::Object(map)))
        }
        ("GET", Some(site), ["sites"]) => {
            let above = found(call, site)?;
            let below = call.world.all_sites();
            let below = below
                .iter()
                .filter(|site| site.parent.as_deref() == Some(above.id.as_str()));
            let value = below
                .map(|site| selected(call, json(site, false)).into())
                .collect();
            pages::answer(call, "sites", value)
        }
        (_, Some(site), ["lists", rest @ ..]) => {
            let site = found(call, site)?;
            lists::answer(call, &site, rest, address.action.get(1..).unwrap_or_default())
        }
        ("GET", None, ["delta"]) => delta(call, call.request.option("token")),
        ("GET", None, ["delta", keyed]) => {
            let keyed = keyed.strip_prefix("token=").map(|text| text.trim_matches('\''));
            delta(call, keyed)
        }
        ("GET", Some(site), ["columns"]) => {
            let site = found(call, site)?;
            let columns = site.all_lists(|list| list.columns.first().cloned());
            pages::answer(
                call,
                "Collection(columnDefinition)",
                columns.into_iter().flatten().take(1).collect(),
            )
        }
        ("GET", Some(site), ["contenttypes"]) => {
            found(call, site)?;
            pages::answer(call, "Collection(contentType)", crate::site::list::base_types())
        }
        ("GET", Some(site), ["permissions"]) => {
            found(call, site)?;
            pages::answer(call, "Collection(permission)", vec![])
        }
        _ => Err(GraphError::new(
            400,
            "invalidRequest",
            format!(
                "Resource not found for the segment '{}'.",
                address.action.last().map_or("sites", String::as_str)
            ),
        )),
    }
}

/// `GET /sites/delta`: all sites, then those that came since. Sites are never deleted here.
fn delta(call: &Call<'_>, given: Option<&str>) -> Answer {
    const OWNER: u64 = 0x5173;
    let sites = call.world.all_sites();
    let told = match given.filter(|text| !text.is_empty()) {
        None => 0,
        Some("latest") => sites.len(),
        Some(text) => token::open(OWNER, 148, text)
            .and_then(|fields| fields.first()?.parse().ok())
            .ok_or_else(|| GraphError::new(400, "invalidRequest", "The token is malformed."))?,
    };
    let value: Vec<Value> = sites
        .iter()
        .skip(told)
        .map(|site| selected(call, json(site, true)).into())
        .collect();
    let sealed = token::seal(OWNER, 148, &[sites.len().to_string()]);
    let link = format!("{}/sites/delta?token={sealed}", call.world.graph_url());
    Ok(Reply::json(
        200,
        json!({"value": value, "@odata.deltaLink": link}),
    ))
}

/// Sites of the organisation: roots of collections, personal ones among them; subsites are asked for from above.
fn list(call: &Call<'_>, search: Option<&str>) -> Answer {
    let search = search.unwrap_or("*").trim_matches('"').to_lowercase();
    let wanted = |site: &Site| {
        search == "*"
            || site.display.to_lowercase().contains(&search)
            || site.path.to_lowercase().contains(&search)
    };
    let sites = call.world.all_sites();
    let value = sites
        .iter()
        .filter(|site| site.parent.is_none() && wanted(site))
        .map(|site| selected(call, json(site, true)).into())
        .collect();
    pages::answer(call, "sites", value)
}

fn selected(call: &Call<'_>, all: Map<String, Value>) -> Map<String, Value> {
    let select = Select::parse(call.request.option("$select"));
    all.into_iter()
        .filter(|(name, _)| name == "id" || select.wants(name))
        .collect()
}

/// A site. `listed`: in a list of all sites `name` is the display name (contract 3).
fn json(site: &Site, listed: bool) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    put("id", json!(site.id));
    put("createdDateTime", json!(clock::iso(site.created)));
    put("lastModifiedDateTime", json!(clock::iso(site.created)));
    put("description", json!(""));
    put("displayName", json!(site.display));
    put("name", json!(if listed { &site.display } else { &site.name }));
    put("webUrl", json!(site.url()));
    if site.parent.is_none() {
        put("root", json!({}));
        put(
            "siteCollection",
            json!({"hostname": site.host, "dataLocationCode": "EUR", "root": {}}),
        );
    }
    // Half of the personal sites say so; the address tells the others.
    if site.personal && site.key.is_multiple_of(2) {
        put("isPersonalSite", json!(true));
    }
    map
}
