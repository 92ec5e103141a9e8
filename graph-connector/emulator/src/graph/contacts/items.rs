//! Contacts and their photos.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Answer, find_folder, store};
use crate::clock;
use crate::graph::collection;
use crate::graph::folders::{body, properties};
use crate::graph::odata;
use crate::graph::{Call, refused};
use crate::http::reply::{GraphError, Reply};
use crate::ids;
use crate::outlook::contact;
use crate::outlook::store::{Item, STANDARD, Store};
use crate::random::text_key;
use crate::world::User;

/// What a request wants to see of contacts.
pub(super) struct Shape {
    immutable: bool,
    /// Ids of MAPI properties asked for.
    properties: Vec<String>,
    named_emails: bool,
    deleted_items: String,
}

impl Shape {
    pub(super) fn of(call: &Call<'_>, user: &User, expand: Option<&str>) -> Result<Self, GraphError> {
        let deleted_items = crate::graph::folders::with(user, |mailbox| {
            Ok(mailbox
                .find_folder("deleteditems")
                .map(|serial| mailbox.folder_id(serial))
                .unwrap_or_default())
        })?;
        Ok(Self {
            immutable: call.request.immutable(),
            properties: odata::expanded_properties(expand)?,
            named_emails: call.world.settings().named_email_addresses,
            deleted_items,
        })
    }

    pub(super) fn is_immutable(&self) -> bool {
        self.immutable
    }
}

fn etag(store: &Store, item: &Item) -> String {
    format!("W/\"{}\"", ids::change_key(store.key, item.version))
}

/// The JSON of a contact.
pub(super) fn shape(store: &Store, item: &Item, shape: &Shape) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("@odata.etag".into(), json!(etag(store, item)));
    out.insert("id".into(), json!(store.item_id(item, shape.immutable)));
    out.insert("createdDateTime".into(), json!(clock::iso(item.created)));
    out.insert("lastModifiedDateTime".into(), json!(clock::iso(item.modified)));
    out.insert(
        "changeKey".into(),
        json!(ids::change_key(store.key, item.version)),
    );
    let folder = if item.deleted {
        shape.deleted_items.clone()
    } else {
        store.container_id(item.container)
    };
    out.insert("parentFolderId".into(), json!(folder));
    out.extend(contact::whole(&item.fields, shape.named_emails));
    if let Some(values) = item.expanded(&shape.properties) {
        out.insert("singleValueExtendedProperties".to_owned(), values);
    }
    out
}

/// A condition of a list.
enum Filter {
    Property(String, String),
    Email(String),
    DisplayName(String),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, GraphError> {
        let invalid = || {
            GraphError::new(
                400,
                "ErrorInvalidUrlQueryFilter",
                format!("The query filter is invalid or not supported: {text}"),
            )
        };
        let lower = text.trim().to_lowercase();
        let quoted = odata::quoted(text);
        match quoted.as_slice() {
            [id, value] if lower.starts_with("singlevalueextendedproperties/any(") => {
                Ok(Self::Property(id.clone(), value.clone()))
            }
            [address] if lower.starts_with("emailaddresses/any(") => Ok(Self::Email(address.clone())),
            [name] if lower.starts_with("displayname eq ") => Ok(Self::DisplayName(name.clone())),
            _ => Err(invalid()),
        }
    }

    fn passes(&self, item: &Item) -> bool {
        match self {
            Self::Property(id, value) => item.property(id).and_then(Value::as_str) == Some(value),
            Self::Email(address) => item
                .fields
                .get("emailAddresses")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|email| email.get("address")?.as_str())
                .any(|known| known.eq_ignore_ascii_case(address)),
            Self::DisplayName(name) => item
                .fields
                .get("displayName")
                .and_then(Value::as_str)
                .is_some_and(|known| known.eq_ignore_ascii_case(name)),
        }
    }
}

pub(super) fn list(call: &Call<'_>, user: &User, folder: Option<&str>) -> Answer {
    let view = Shape::of(call, user, call.request.option("$expand"))?;
    let filter = call.request.option("$filter").map(Filter::parse).transpose()?;
    let all = store(user, |store| {
        let serial = match folder {
            Some(id) => find_folder(store, id)?,
            None => STANDARD,
        };
        Ok(store
            .in_container(serial)
            .filter(|item| filter.as_ref().is_none_or(|filter| filter.passes(item)))
            .map(|item| shape(store, item, &view))
            .collect::<Vec<_>>())
    })?;
    let id = user.person.id.as_str();
    let mut segments = vec!["users", id];
    segments.extend(folder.map(|_| "contactFolders"));
    segments.extend(folder);
    segments.push("contacts");
    collection::page(call, &segments, &format!("users('{id}')/contacts"), all)
}

fn find<'s>(store: &'s Store, id: &str) -> Result<&'s Item, GraphError> {
    store
        .find_item(id)
        .map_err(|_| GraphError::no_such(ids::parse_message(store.key, id).is_some()))
}

fn entity(call: &Call<'_>, user: &User, serial: u32, status: u16) -> Answer {
    let view = Shape::of(call, user, call.request.option("$expand"))?;
    store(user, |store| {
        let item = store.item(serial).ok_or_else(GraphError::item_not_found)?;
        let what = format!("users('{}')/contacts", user.person.id);
        Ok(collection::entity(call, status, &what, shape(store, item, &view)))
    })
}

pub(super) fn get(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let serial = store(user, |store| find(store, id).map(|item| item.serial))?;
    entity(call, user, serial, 200)
}

pub(super) fn create(call: &Call<'_>, user: &User, folder: Option<&str>) -> Answer {
    let map = body(call)?;
    let mut fields = contact::read(&map)?;
    contact::complete(&mut fields);
    let extended = properties(&map)?;
    let serial = store(user, |store| {
        let container = match folder {
            Some(id) => find_folder(store, id)?,
            None => STANDARD,
        };
        store.create(container, fields, extended).map_err(refused)
    })?;
    entity(call, user, serial, 201)
}

pub(super) fn update(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let map = body(call)?;
    let fields = contact::read(&map)?;
    let extended = properties(&map)?;
    let serial = store(user, |store| {
        let item = find(store, id)?;
        collection::if_match(call, &etag(store, item))?;
        let serial = item.serial;
        store
            .edit(serial, |item| {
                item.fields.extend(fields);
                item.set_properties(extended);
            })
            .map_err(refused)?;
        Ok(serial)
    })?;
    entity(call, user, serial, 200)
}

pub(super) fn delete(call: &Call<'_>, user: &User, id: &str) -> Answer {
    store(user, |store| {
        let item = find(store, id)?;
        collection::if_match(call, &etag(store, item))?;
        let serial = item.serial;
        store.delete(serial).map_err(refused)?;
        Ok(Reply::empty(204))
    })
}

fn no_photo() -> GraphError {
    GraphError::new(
        404,
        "ImageNotFound",
        "Exception of type 'Microsoft.Fast.Profile.Core.Exception.ImageNotFoundException' was thrown.",
    )
}

/// Metadata of the photo. Without one: an error or, where the settings say so, a photo of one dot.
pub(super) fn photo(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let photo = store(user, |store| find(store, id).map(|item| item.photo.clone()))?;
    let (side, etag, kind) = match photo {
        Some(bytes) => (240, text_key(&format!("{bytes:?}")), "image/jpeg"),
        None if call.world.settings().missing_photo_is_a_dot => (1, 0, "image/gif"),
        None => return Err(no_photo()),
    };
    let mut out = Map::new();
    out.insert("@odata.mediaContentType".into(), json!(kind));
    out.insert("@odata.mediaEtag".into(), json!(format!("\"{etag:016X}\"")));
    out.insert("id".into(), json!(format!("{side}x{side}")));
    out.insert("width".into(), json!(side));
    out.insert("height".into(), json!(side));
    let what = format!("users('{}')/contacts('{id}')/photo", user.person.id);
    Ok(collection::entity(call, 200, &what, out))
}

pub(super) fn photo_value(user: &User, id: &str) -> Answer {
    let photo = store(user, |store| find(store, id).map(|item| item.photo.clone()))?;
    let bytes = photo.ok_or_else(no_photo)?;
    Ok(Reply::bytes(200, "image/jpeg", bytes))
}

pub(super) fn set_photo(call: &Call<'_>, user: &User, id: &str) -> Answer {
    let kind = call.request.content_type();
    if !matches!(
        kind.as_str(),
        "image/jpeg" | "image/pjpeg" | "image/png" | "image/gif"
    ) {
        return Err(GraphError::new(
            400,
            "ErrorInvalidImage",
            "The photo has to be an image.",
        ));
    }
    if call.request.body.is_empty() {
        return Err(GraphError::new(400, "ErrorInvalidImage", "The photo is empty."));
    }
    change_photo(user, id, Some(call.request.body.clone()))
}

pub(super) fn remove_photo(user: &User, id: &str) -> Answer {
    change_photo(user, id, None)
}

/// A change of the photo makes no new version of the contact.
fn change_photo(user: &User, id: &str, photo: Option<Bytes>) -> Answer {
    store(user, |store| {
        let serial = find(store, id)?.serial;
        store
            .edit_silently(serial, |item| item.photo = photo)
            .map_err(refused)?;
        Ok(Reply::empty(200))
    })
}
