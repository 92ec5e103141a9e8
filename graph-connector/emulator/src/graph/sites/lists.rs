//! Lists of a site over HTTP: the lists, their columns and content types. What is in them: [`super::rows`].

use serde_json::{Map, Value, json};

use super::{pages, rows, selected};
use crate::clock;
use crate::drive::tree::{Drive, Home};
use crate::graph::odata::Select;
use crate::graph::{Call, folders};
use crate::http::reply::{GraphError, Reply};
use crate::site::Site;
use crate::site::list::List;

type Answer = Result<Reply, GraphError>;

const FACETS: [&str; 14] = [
    "boolean",
    "calculated",
    "choice",
    "contentApprovalStatus",
    "currency",
    "dateTime",
    "geolocation",
    "hyperlinkOrPicture",
    "lookup",
    "number",
    "personOrGroup",
    "term",
    "text",
    "thumbnail",
];

fn invalid(why: &str) -> GraphError {
    GraphError::new(400, "invalidRequest", why.to_owned())
}

pub(crate) fn not_found() -> GraphError {
    GraphError::new(404, "itemNotFound", "The specified list was not found")
}

/// Answers a call about lists: what follows `/sites/{s}/lists`.
pub(crate) fn answer(call: &Call<'_>, site: &Site, words: &[&str], action: &[String]) -> Answer {
    let method = call.request.method.as_str();
    match (method, words) {
        ("GET", []) => list(call, site),
        ("POST", []) => create(call, site),
        ("GET", [_]) => match site.with_list(&action[0], |list| expanded(call, site, list)) {
            Some(json) => Ok(Reply::json(200, Value::Object(json))),
            None => match site.library(Some(&action[0])) {
                Some(slot) => Ok(Reply::json(
                    200,
                    Value::Object(selected(call, library(&slot.lock()))),
                )),
                None => Err(not_found()),
            },
        },
        (_, [_, rest @ ..]) => {
            // What values point to is looked at when they are written, and shown only while it is there.
            let numbers = match method == "GET" && !site.has_lookups() {
                true => rows::Numbers::new(),
                false => site.row_numbers(),
            };
            site.with_list(&action[0], |list| match (method, rest) {
                ("GET", ["columns"]) => {
                    pages::answer(call, "Collection(columnDefinition)", list.columns.clone())
                }
                ("POST", ["columns"]) => add_column(call, list),
                ("PATCH", ["columns", id]) => {
                    let changes = folders::body(call)?;
                    check_column(&Value::Object(changes.clone()))?;
                    list.update_column(id, &changes)
                        .map(|column| Reply::json(200, column))
                        .ok_or_else(not_found)
                }
                ("GET", ["contenttypes"]) => {
                    pages::answer(call, "Collection(contentType)", list.content_types.clone())
                }
                ("POST", ["contenttypes", "addcopy"]) => add_type(call, list),
                (_, ["items", rest @ ..]) => rows::answer(call, site, list, rest, &action[2..], &numbers),
                _ => Err(invalid("Resource not found for the segment.")),
            })
            .unwrap_or_else(|| Err(not_found()))
        }
        _ => Err(invalid("The method is not allowed.")),
    }
}

/// `GET .../lists`: those with the `system` facet only if it is selected.
fn list(call: &Call<'_>, site: &Site) -> Answer {
    let mut value: Vec<Value> = site
        .libraries()
        .iter()
        .map(|slot| selected(call, library(&slot.lock())).into())
        .collect();
    let system = Select::parse(call.request.option("$select")).names("system");
    let told =
        |list: &List| (system || !list.system).then(|| Value::Object(selected(call, list.json(&site.url()))));
    value.extend(site.all_lists(told).into_iter().flatten());
    pages::answer(call, "lists", value)
}

/// One list, with what `$expand` asks for: columns and rows.
fn expanded(call: &Call<'_>, site: &Site, list: &List) -> Map<String, Value> {
    let mut map = selected(call, list.json(&site.url()));
    let expand = call.request.option("$expand").unwrap_or_default().to_lowercase();
    if expand.contains("columns") {
        map.insert("columns".into(), json!(list.columns));
    }
    if expand.contains("contenttypes") {
        map.insert("contentTypes".into(), json!(list.content_types));
    }
    if expand.contains("items") {
        let numbers = rows::Numbers::new();
        let rows = list
            .living()
            .map(|row| rows::shape(call, site, list, row, &numbers));
        map.insert("items".into(), rows.map(Value::Object).collect());
    }
    map
}

fn library(drive: &Drive) -> Map<String, Value> {
    let Home::Library { list, name, url, .. } = &drive.home else {
        return Map::new();
    };
    let value = json!({
        "id": list,
        "createdDateTime": clock::iso(clock::BASE_MS),
        "lastModifiedDateTime": clock::iso(clock::BASE_MS),
        "name": name,
        "displayName": name,
        "webUrl": url,
        "list": {"contentTypesEnabled": false, "hidden": false, "template": "documentLibrary"},
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// `POST /sites/{s}/lists`.
fn create(call: &Call<'_>, site: &Site) -> Answer {
    let body = Value::Object(folders::body(call)?);
    let name = body["displayName"].as_str().unwrap_or_default().trim().to_owned();
    let template = body["list"]["template"].as_str().unwrap_or("genericList");
    if name.is_empty() {
        return Err(invalid("The list needs a displayName."));
    }
    if ["webTemplateExtensionsList", "sharingLinks", "accessRequest"].contains(&template) {
        return Err(invalid("The template cannot be used."));
    }
    if site.library(Some(&name)).is_some() || site.with_list(&name, |_| ()).is_some() {
        return Err(GraphError::new(
            409,
            "nameAlreadyExists",
            "A list, survey, discussion board, or document library with the specified title already exists.",
        ));
    }
    let mut map = if template == "documentLibrary" {
        library(&site.add_library(call.world, &name).lock())
    } else {
        let columns = body["columns"].as_array().cloned().unwrap_or_default();
        columns.iter().try_for_each(check_column)?;
        site.add_list(call.world, &name, template);
        site.with_list(&name, |list| {
            for column in &columns {
                list.add_column(column);
            }
            list.json(&site.url())
        })
        .ok_or_else(not_found)?
    };
    let context = format!(
        "{}/$metadata#sites('{}')/lists/$entity",
        call.world.graph_url(),
        site.id
    );
    map.insert("@odata.context".into(), json!(context));
    Ok(Reply::json(201, Value::Object(map)))
}

/// A definition that can be made: one facet, no nulls where the service stumbles over them.
fn check_column(column: &Value) -> Result<(), GraphError> {
    let general = || GraphError::new(400, "generalException", "General exception while processing");
    let map = column.as_object().ok_or_else(general)?;
    if ["defaultValue", "validation"]
        .iter()
        .any(|key| map.get(*key).is_some_and(Value::is_null))
    {
        return Err(general());
    }
    let facets = FACETS
        .iter()
        .filter(|facet| map.get(**facet).is_some_and(|value| !value.is_null()));
    match facets.count() {
        0 | 1 => {}
        _ => return Err(invalid("A column has exactly one type.")),
    }
    match map.contains_key("calculated") && map["calculated"]["formula"].is_null() {
        true => Err(invalid("A calculated column needs a formula.")),
        false => Ok(()),
    }
}

fn add_column(call: &Call<'_>, list: &mut List) -> Answer {
    let body = Value::Object(folders::body(call)?);
    check_column(&body)?;
    let made = list
        .add_column(&body)
        .ok_or_else(|| GraphError::new(409, "nameAlreadyExists", "A column of this name exists already."))?;
    Ok(Reply::json(201, made))
}

fn add_type(call: &Call<'_>, list: &mut List) -> Answer {
    let body = Value::Object(folders::body(call)?);
    let address = body["contentType"].as_str().unwrap_or_default();
    let id = address.rsplit('/').next().unwrap_or_default();
    if !id.starts_with("0x01") {
        return Err(invalid("The content type was not found."));
    }
    let made =
        json!({"id": id, "name": id, "description": "", "group": "Custom Content Types", "hidden": false});
    list.content_types.push(made.clone());
    Ok(Reply::json(201, made))
}
