//! Contact folders: list, get, create, rename, delete.

use serde_json::{Map, Value, json};

use super::{Answer, find_folder, store};
use crate::graph::folders::body;
use crate::graph::{Call, collection, refused};
use crate::http::reply::{GraphError, Reply};
use crate::outlook::store::{STANDARD, Store};
use crate::world::User;

fn shape(store: &Store, serial: u32) -> Option<Map<String, Value>> {
    let folder = store.container(serial)?;
    let mut out = Map::new();
    out.insert("id".into(), json!(store.container_id(serial)));
    out.insert("parentFolderId".into(), json!(store.container_id(folder.parent)));
    out.insert("displayName".into(), json!(folder.name));
    Some(out)
}

/// Folders below `parent`. Without one: those below the standard folder and, where the settings say so, that folder itself.
pub(super) fn list(call: &Call<'_>, user: &User, parent: Option<&str>) -> Answer {
    let with_standard = parent.is_none() && call.world.settings().list_standard_contact_folder;
    let all = store(user, |store| {
        let above = match parent {
            Some(id) => find_folder(store, id)?,
            None => STANDARD,
        };
        let children = store
            .containers()
            .filter(|one| one.parent == above)
            .map(|one| one.serial);
        let standard = with_standard.then_some(STANDARD);
        Ok(standard
            .into_iter()
            .chain(children)
            .filter_map(|serial| shape(store, serial))
            .collect::<Vec<_>>())
    })?;
    let id = user.person.id.as_str();
    let mut segments = vec!["users", id, "contactFolders"];
    segments.extend(parent);
    segments.extend(parent.map(|_| "childFolders"));
    collection::page(call, &segments, &format!("users('{id}')/contactFolders"), all)
}

fn entity(call: &Call<'_>, user: &User, store: &Store, serial: u32, status: u16) -> Answer {
    let object = shape(store, serial).ok_or_else(GraphError::item_not_found)?;
    let what = format!("users('{}')/contactFolders", user.person.id);
    Ok(collection::entity(call, status, &what, object))
}

pub(super) fn get(call: &Call<'_>, user: &User, id: &str) -> Answer {
    store(user, |store| {
        let serial = find_folder(store, id)?;
        entity(call, user, store, serial, 200)
    })
}

fn name_of(call: &Call<'_>) -> Result<String, GraphError> {
    let map = body(call)?;
    let strange = map
        .keys()
        .find(|key| !key.contains('@') && !matches!(key.as_str(), "displayName" | "parentFolderId" | "id"));
    if let Some(key) = strange {
        return Err(GraphError::new(
            400,
            "RequestBodyRead",
            format!("The property '{key}' does not exist on type 'microsoft.graph.contactFolder'."),
        ));
    }
    map.get("displayName")
        .and_then(Value::as_str)
        .filter(|name| !name.trim().is_empty())
        .map(str::to_owned)
        .ok_or_else(|| GraphError::new(400, "ErrorInvalidRequest", "The folder needs a displayName."))
}

pub(super) fn create(call: &Call<'_>, user: &User, parent: Option<&str>) -> Answer {
    let name = name_of(call)?;
    store(user, |store| {
        let above = match parent {
            Some(id) => find_folder(store, id)?,
            None => STANDARD,
        };
        let serial = store.create_container(above, &name).map_err(refused)?;
        entity(call, user, store, serial, 201)
    })
}

pub(super) fn update(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let name = name_of(call)?;
    store(user, |store| {
        let serial = find_folder(store, id)?;
        store.rename_container(serial, &name).map_err(refused)?;
        entity(call, user, store, serial, 200)
    })
}

pub(super) fn delete(user: &User, id: &str) -> Answer {
    store(user, |store| {
        let serial = find_folder(store, id)?;
        store.delete_container(serial).map_err(refused)?;
        Ok(Reply::empty(204))
    })
}
