//! Rows of a list over HTTP: listed, told by delta, made, changed, deleted; fields only when they are asked for.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::pages;
use crate::clock;
use crate::graph::odata::{self, Select};
use crate::graph::{Call, folders, token};
use crate::http::path;
use crate::http::reply::{GraphError, Reply};
use crate::site::Site;
use crate::site::list::{List, Row};

type Answer = Result<Reply, GraphError>;

/// Rows on one page.
const PAGE: usize = 200;

/// The numbers of the rows of each list, as [`Site::row_numbers`] has them; none if nothing points to any.
pub(super) type Numbers = HashMap<String, BTreeSet<u32>>;

fn invalid(why: &str) -> GraphError {
    GraphError::new(400, "invalidRequest", why.to_owned())
}

fn missing() -> GraphError {
    GraphError::new(404, "itemNotFound", "The specified item was not found")
}

/// Answers a call: what follows `/lists/{l}/items`.
pub(crate) fn answer(
    call: &Call<'_>,
    site: &Site,
    list: &mut List,
    words: &[&str],
    action: &[String],
    numbers: &Numbers,
) -> Answer {
    match (call.request.method.as_str(), words) {
        ("GET", []) => {
            let size = odata::number(call.request, "$top")?
                .unwrap_or(PAGE)
                .clamp(1, 5000);
            let value = list
                .living()
                .map(|row| shape(call, site, list, row, numbers).into())
                .collect();
            pages::sized(
                call,
                "Collection(listItem)",
                value,
                size.min(call.world.settings().max_delta_page),
            )
        }
        ("POST", []) => create(call, site, list, numbers),
        ("GET", ["delta"]) => delta(call, site, list, None, numbers),
        ("GET", ["delta", _]) => delta(call, site, list, action.get(1).map(String::as_str), numbers),
        ("GET", [_]) => {
            let row = list.row(&action[0]).ok_or_else(missing)?;
            Ok(Reply::json(
                200,
                Value::Object(shape(call, site, list, row, numbers)),
            ))
        }
        ("GET", [_, "fields"]) => {
            let row = list.row(&action[0]).ok_or_else(missing)?;
            let select = Select::parse(call.request.option("$select"));
            let map = fields(list, row, row.fields(), row.modified(), &select, numbers);
            Ok(Reply::json(200, Value::Object(map)))
        }
        ("PATCH", [_, "fields"]) => update(call, list, &action[0], numbers),
        ("DELETE", [_]) => match list.delete_row(&action[0]) {
            true => Ok(Reply::empty(204)),
            false => Err(missing()),
        },
        ("GET", [_, "versions"]) => {
            let all = versions(call, list, &action[0], numbers)?;
            pages::answer(call, "Collection(listItemVersion)", all)
        }
        ("GET", [_, "versions", _]) => {
            let wanted = action.get(2).map(String::as_str).unwrap_or_default();
            let all = versions(call, list, &action[0], numbers)?;
            let found = all.into_iter().find(|version| version["id"] == wanted);
            found.map(|version| Reply::json(200, version)).ok_or_else(missing)
        }
        _ => Err(invalid("Resource not found for the segment.")),
    }
}

fn etag(list: &List, row: &Row) -> String {
    let id = crate::random::guid(&[list.key, u64::from(row.id), 145]);
    format!("\"{id},{}\"", row.etag)
}

/// Names in `fields($select=...)`, and whether fields are asked for at all.
fn wanted(expand: Option<&str>) -> Option<Select> {
    let expand = expand?;
    let at = expand.to_lowercase().find("fields")?;
    let inner = expand[at..]
        .split_once("elect=")
        .map(|(_, names)| names.trim_end_matches(')'));
    Some(Select::parse(inner))
}

/// The fields of one state. Lookups and persons show their ids only, unless they are named (contract 6.4).
fn fields(
    list: &List,
    row: &Row,
    fields: &Map<String, Value>,
    modified: i64,
    select: &Select,
    numbers: &Numbers,
) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("@odata.etag".into(), json!(etag(list, row)));
    let mut put = |name: &str, value: Value| {
        if select.wants(name) {
            out.insert(name.to_owned(), value);
        }
    };
    put("id", json!(row.id.to_string()));
    put("ContentType", json!("Item"));
    put("Created", json!(clock::iso(row.created)));
    put("Modified", json!(clock::iso(modified)));
    put("AuthorLookupId", json!("6"));
    put("EditorLookupId", json!("6"));
    put("Attachments", json!(false));
    put("Edit", json!(""));
    put("_UIVersionString", json!(format!("{}.0", row.versions.len())));
    put("LinkTitle", fields.get("Title").cloned().unwrap_or(Value::Null));
    for (name, value) in fields {
        if let Some(value) = shown(list, name, value, numbers) {
            put(name, value);
        }
    }
    out
}

/// A value as it is shown: of a lookup only what is still there.
fn shown(list: &List, name: &str, value: &Value, numbers: &Numbers) -> Option<Value> {
    let bare = name.strip_suffix("LookupId").unwrap_or(name);
    let into = list
        .column(bare)
        .and_then(|column| column["lookup"]["listId"].as_str())
        .map(str::to_lowercase);
    let Some(into) = into.filter(|_| !numbers.is_empty()) else {
        return Some(value.clone());
    };
    let there = |id: &Value| {
        let number = id.as_u64().or_else(|| id.as_str()?.parse().ok());
        let known = numbers.get(&into);
        number.is_some_and(|number| known.is_some_and(|known| known.contains(&(number as u32))))
    };
    match value {
        Value::Array(all) => Some(
            all.iter()
                .filter(|one| there(&one["LookupId"]))
                .cloned()
                .collect(),
        ),
        value => there(value).then(|| value.clone()),
    }
}

/// A row as JSON.
pub(super) fn shape(
    call: &Call<'_>,
    site: &Site,
    list: &List,
    row: &Row,
    numbers: &Numbers,
) -> Map<String, Value> {
    let mut map = told(site, list, row);
    if let Some(select) = wanted(call.request.option("$expand")) {
        map.insert(
            "fields".into(),
            fields(list, row, row.fields(), row.modified(), &select, numbers).into(),
        );
    }
    map
}

fn told(site: &Site, list: &List, row: &Row) -> Map<String, Value> {
    let kind = list
        .content_types
        .first()
        .map(|kind| kind["id"].clone())
        .unwrap_or_default();
    let mut value = json!({
        "id": row.id.to_string(),
        "contentType": {"id": kind, "name": "Item"},
        "parentReference": {"siteId": site.id.split(',').nth(1), "id": list.id, "path": list.name},
    });
    if row.deleted {
        value["deleted"] = json!({"state": "deleted"});
    } else {
        value["createdDateTime"] = json!(clock::iso(row.created));
        value["lastModifiedDateTime"] = json!(clock::iso(row.modified()));
        value["eTag"] = json!(etag(list, row));
        value["createdBy"] = json!({"user": {"displayName": "System Account"}});
        value["lastModifiedBy"] = json!({"user": {"displayName": "System Account"}});
        value["webUrl"] = json!(format!("{}/{}_.000", list.url(&site.url()), row.id));
    }
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Checks what is to be written: names that exist, no read-only ones, hints where values are several.
fn check(
    list: &List,
    fields: &Map<String, Value>,
    numbers: &Numbers,
) -> Result<Map<String, Value>, GraphError> {
    const FORBIDDEN: [&str; 9] = [
        "Attachments",
        "AuthorLookupId",
        "ContentType",
        "Created",
        "Edit",
        "EditorLookupId",
        "LinkTitle",
        "Modified",
        "id",
    ];
    let mut out = Map::new();
    for (name, value) in fields {
        if name.contains('@') {
            continue;
        }
        let bare = name.strip_suffix("LookupId").unwrap_or(name);
        let column = list.column(name).or_else(|| list.column(bare));
        let column = column.ok_or_else(|| invalid(&format!("Field '{name}' is not recognized")))?;
        if FORBIDDEN.contains(&name.as_str()) || column["readOnly"] == true || !column["calculated"].is_null()
        {
            return Err(invalid(&format!("Field '{name}' is read-only")));
        }
        let lookup = !column["lookup"].is_null() || !column["personOrGroup"].is_null();
        if lookup && bare == name {
            return Err(invalid(&format!("Field '{name}' is written by its LookupId")));
        }
        let hinted = fields.contains_key(&format!("{name}@odata.type"));
        if value.is_array() && !hinted {
            return Err(invalid(&format!("The value of '{name}' needs a type")));
        }
        if value.is_object() {
            return Err(invalid(&format!("The value of '{name}' cannot be an object")));
        }
        if !fits(column, value) {
            return Err(invalid(&format!("The value of '{name}' does not fit the column")));
        }
        if lookup {
            point_to_what_is_there(column, value, numbers)?;
        }
        match value {
            // Several are read as objects under the column's own name.
            Value::Array(ids) if lookup => {
                let all = ids
                    .iter()
                    .map(|id| json!({"LookupId": id, "LookupValue": format!("Value {id}")}));
                out.insert(bare.to_owned(), all.collect());
            }
            Value::Number(id) if lookup => drop(out.insert(name.clone(), json!(id.to_string()))),
            value => drop(out.insert(name.clone(), wrapped(list, column, value))),
        }
    }
    Ok(out)
}

/// Whether a value is of the type that its column has.
fn fits(column: &Value, value: &Value) -> bool {
    let is = |facet: &str| !column[facet].is_null();
    match value {
        Value::Null => true,
        Value::Number(_) if is("number") || is("currency") => true,
        Value::Bool(_) => is("boolean"),
        _ if is("number") || is("currency") || is("boolean") => false,
        Value::Array(_) => is("choice") || is("lookup") || is("personOrGroup"),
        Value::Number(_) => is("lookup") || is("personOrGroup"),
        _ => true,
    }
}

/// A lookup names a row of the list that it looks into, a person one of the users of the site.
fn point_to_what_is_there(column: &Value, value: &Value, numbers: &Numbers) -> Result<(), GraphError> {
    let list = column["lookup"]["listId"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase();
    let several = ["lookup", "personOrGroup"].iter().any(|facet| {
        column[*facet]["allowMultipleValues"] == true || column[*facet]["allowMultipleSelection"] == true
    });
    let ids: Vec<&Value> = match value {
        Value::Null => Vec::new(),
        Value::Array(all) if several => all.iter().collect(),
        value if !several && !value.is_array() => vec![value],
        _ => return Err(invalid("The number of values does not fit the column")),
    };
    let known = numbers.get(&list);
    let there = |id: &&Value| {
        let number = id.as_u64().or_else(|| id.as_str()?.parse().ok());
        number.is_some_and(|number| known.is_some_and(|known| known.contains(&(number as u32))))
    };
    match ids.iter().all(there) {
        true => Ok(()),
        false => Err(invalid("A value points to something that is not there")),
    }
}

/// Formatted text gets an element around it.
fn wrapped(list: &List, column: &Value, value: &Value) -> Value {
    match value {
        Value::String(text)
            if column["text"]["textType"] == "richText"
                && !text.is_empty()
                && !text.starts_with("<div class=\"ExternalClass") =>
        {
            json!(format!(
                "<div class=\"ExternalClass{:08X}\">{text}</div>",
                list.key as u32
            ))
        }
        value => value.clone(),
    }
}

fn create(call: &Call<'_>, site: &Site, list: &mut List, numbers: &Numbers) -> Answer {
    let body = Value::Object(folders::body(call)?);
    let empty = Map::new();
    let fields = check(list, body["fields"].as_object().unwrap_or(&empty), numbers)?;
    let id = list.add_row(fields);
    let row = list.row(&id.to_string()).ok_or_else(missing)?;
    let mut map = told(site, list, row);
    let all = Select::parse(None);
    map.insert(
        "fields".into(),
        self::fields(list, row, row.fields(), row.modified(), &all, numbers).into(),
    );
    Ok(Reply::json(201, Value::Object(map)))
}

/// `PATCH .../fields`: 200, as live answers are said to be, and 201, as the page says.
fn update(call: &Call<'_>, list: &mut List, id: &str, numbers: &Numbers) -> Answer {
    let body = folders::body(call)?;
    let changes = check(list, &body, numbers)?;
    let row = list.row(id).ok_or_else(missing)?;
    if call
        .request
        .header("if-match")
        .is_some_and(|wanted| wanted != "*" && wanted != etag(list, row))
    {
        return Err(GraphError::new(
            412,
            "resourceModified",
            "The resource has changed.",
        ));
    }
    list.update_row(id, &changes);
    let row = list.row(id).ok_or_else(missing)?;
    let status = if row.id.is_multiple_of(2) { 200 } else { 201 };
    let all = Select::parse(None);
    Ok(Reply::json(
        status,
        self::fields(list, row, row.fields(), row.modified(), &all, numbers).into(),
    ))
}

fn versions(call: &Call<'_>, list: &List, id: &str, numbers: &Numbers) -> Result<Vec<Value>, GraphError> {
    let row = list.row(id).ok_or_else(missing)?;
    let select = wanted(call.request.option("$expand"));
    let value: Vec<Value> = row
        .versions
        .iter()
        .enumerate()
        .rev()
        .map(|(n, version)| {
            let mut map = json!({
                "id": format!("{}.0", n + 1),
                "lastModifiedDateTime": clock::iso(version.modified),
                "lastModifiedBy": {"user": {"displayName": "System Account"}},
            });
            if let Some(select) = &select {
                map["fields"] = fields(list, row, &version.fields, version.modified, select, numbers).into();
            }
            map
        })
        .collect();
    Ok(value)
}

/// `GET .../items/delta`. Fields of the token: starts a round, epoch, told up to, everything, expand.
fn delta(call: &Call<'_>, site: &Site, list: &List, keyed: Option<&str>, numbers: &Numbers) -> Answer {
    let world = call.world;
    let settings = world.settings();
    let keyed = keyed
        .and_then(|text| text.strip_prefix("token="))
        .map(|text| text.trim_matches('\''));
    let given = keyed
        .or(call.request.option("token"))
        .filter(|text| !text.is_empty());
    let (mut after, mut full) = (0, true);
    let mut expand = call
        .request
        .option("$expand")
        .map(str::to_owned)
        .unwrap_or_default();
    match given {
        None => {}
        Some(text) if text.eq_ignore_ascii_case("latest") => (after, full) = (list.version, false),
        Some(text) => {
            let fields =
                token::open(list.key, 146, text).ok_or_else(|| invalid("The token is malformed."))?;
            let [epoch, told, everything, options] = fields.as_slice() else {
                return Err(invalid("The token is malformed."));
            };
            if *epoch != list.epoch.to_string() {
                let fresh = format!("{}?$expand=fields", base(call, site, list));
                return Err(
                    GraphError::new(410, "resyncRequired", "Resync required.").with("Location", fresh)
                );
            }
            (after, full, expand) = (told.parse().unwrap_or(0), everything == "1", options.clone());
        }
    }
    let size = PAGE.min(settings.max_delta_page.max(1));
    let changed = list.changes(after);
    let more = changed.len() > size;
    let page: Vec<&Row> = changed.into_iter().take(size).collect();
    after = if more {
        page.last().map_or(after, |row| row.version)
    } else {
        list.version
    };
    let select = wanted(Some(expand.as_str()));
    let value: Vec<Value> = page
        .iter()
        .filter(|row| !(row.deleted && full && row.id % 3 != 0))
        .map(|row| {
            let mut map = told(site, list, row);
            if let Some(select) = select.as_ref().filter(|_| !row.deleted) {
                map.insert(
                    "fields".into(),
                    fields(list, row, row.fields(), row.modified(), select, numbers).into(),
                );
            }
            Value::Object(map)
        })
        .collect();
    let everything = u8::from(full && more).to_string();
    let sealed = token::seal(
        list.key,
        146,
        &[list.epoch.to_string(), after.to_string(), everything, expand],
    );
    let link = match settings.link_variety && world.coin(after, 2) {
        true => format!("{}(token='{sealed}')", base(call, site, list)),
        false => format!("{}?token={sealed}", base(call, site, list)),
    };
    let name = if more {
        "@odata.nextLink"
    } else {
        "@odata.deltaLink"
    };
    Ok(Reply::json(200, json!({name: link, "value": value})))
}

fn base(call: &Call<'_>, site: &Site, list: &List) -> String {
    let site = path::encode(&site.id);
    format!(
        "{}/sites/{site}/lists/{}/items/delta",
        call.world.graph_url(),
        list.id
    )
}
