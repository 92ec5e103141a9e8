//! The delta round of one contact folder.

use serde_json::{Map, Value, json};

use super::items::{self, Shape};
use super::{Answer, find_folder, store};
use crate::graph::delta::{Token, page_size, token_of};
use crate::graph::odata::Select;
use crate::graph::{Call, collection, links};
use crate::http::reply::{GraphError, Reply};
use crate::ids;
use crate::mail::mailbox::Entry;
use crate::outlook::store::Store;
use crate::random::key;
use crate::world::User;

/// `GET /users/{u}/contactFolders/{f}/contacts/delta`. Of the options only `$select` is taken.
pub(super) fn contacts(call: &Call<'_>, user: &User, folder: &str) -> Answer {
    let option = ["$filter", "$expand", "$orderby", "$top"]
        .into_iter()
        .find(|name| call.request.option(name).is_some());
    if let Some(name) = option {
        return Err(GraphError::new(
            400,
            "ErrorInvalidUrlQuery",
            format!("{name} is not supported with delta of contacts."),
        ));
    }
    let settings = call.world.settings();
    let size = page_size(call, &settings);
    let view = Shape::of(call, user, None)?;
    let (value, link_name, option, text, salt, folder) = store(user, |store| {
        let serial = find_folder(store, folder)?;
        let container = store.container(serial).ok_or_else(GraphError::item_not_found)?;
        let mut token = token_of(call, store.key, store.version, serial, container.epoch)?;
        let draw = key(&[store.key, token.after, token.since, u64::from(token.page), 23]);
        let pause = settings.delta_variety && !token.pause && draw.is_multiple_of(5);
        let (mut entries, more) = if pause {
            (vec![], true)
        } else {
            store.delta(container, token.after, token.begun, size)
        };
        token.pause = pause;
        token.page += 1;
        if let Some(last) = entries.last() {
            token.after = last.version;
        }
        if !more {
            token.after = token.after.max(store.version);
        }
        repeat(&mut entries, settings.delta_variety, draw);
        let select = Select::parse(Some(&token.select));
        let value: Vec<Value> = entries
            .iter()
            .filter_map(|entry| element(store, entry, &view, &select))
            .collect();
        let salt = token.after ^ u64::from(token.page);
        let text = Token {
            starts: !more,
            ..token
        }
        .encode(store.key);
        let (name, option) = if more {
            ("@odata.nextLink", "$skiptoken")
        } else {
            ("@odata.deltaLink", "$deltatoken")
        };
        Ok((value, name, option, text, salt, store.container_id(serial)))
    })?;
    let id = user.person.id.as_str();
    let segments = [
        "users",
        id,
        "contactFolders",
        folder.as_str(),
        "contacts",
        "delta",
    ];
    let link = links::link(call.world, &segments, &[(option, &text)], salt);
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!(
            "{}/$metadata#Collection(contact)",
            call.world.graph_url()
        )),
    );
    body.insert(link_name.into(), json!(link));
    body.insert("value".into(), Value::Array(value));
    Ok(Reply::json(200, Value::Object(body)))
}

/// Now and then the same item comes twice on one page.
fn repeat(entries: &mut Vec<Entry>, variety: bool, draw: u64) {
    if variety && entries.len() > 1 && draw % 5 == 1 {
        let again = entries[(draw >> 8) as usize % entries.len()];
        if again.left.is_none() {
            entries.insert(0, again);
        }
    }
}

fn element(store: &Store, entry: &Entry, view: &Shape, select: &Select) -> Option<Value> {
    if let Some(place) = entry.left {
        return Some(json!({
            "@odata.type": "#microsoft.graph.contact",
            "id": ids::message(store.key, entry.serial, place, view.is_immutable()),
            "@removed": {"reason": "deleted"},
        }));
    }
    let mut object = items::shape(store, store.item(entry.serial)?, view);
    object.insert("@odata.type".into(), json!("#microsoft.graph.contact"));
    Some(Value::Object(collection::select(object, select)))
}
