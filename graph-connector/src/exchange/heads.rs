//! What the heads of every service of a mailbox have in common.

use bytes::Bytes;
use nakivo_core::connector::{ItemHead, ItemRef};
use nakivo_core::format::record::{ItemKind, Value};

use super::round::Element;
use crate::json::Fields;

/// The fields of something with an id, and the id.
pub(crate) fn with_id(raw: &str) -> Option<(Fields<'_>, String)> {
    let fields = Fields::parse(raw)?;
    let id = fields.text("id").filter(|id| !id.is_empty())?;
    Some((fields, id))
}

/// Reads one element of a page of `container`; `head` reads an item.
pub(crate) fn element(
    raw: &str,
    container: &str,
    head: impl FnOnce(&Fields<'_>, ItemRef) -> ItemHead,
) -> Element {
    let Some((fields, id)) = with_id(raw) else {
        return Element::Unusable;
    };
    if fields.has("@removed") {
        return Element::Removed(id);
    }
    let container = container.to_owned();
    Element::Item(Box::new(head(&fields, ItemRef { container, id })))
}

/// The head of an item with what every kind of them says in the same words. `type_name`: of items whose JSON names none.
pub(crate) fn item(
    kind: ItemKind,
    type_name: &str,
    fields: &Fields<'_>,
    item: ItemRef,
    name: String,
) -> ItemHead {
    ItemHead {
        change_key: fields.text("changeKey").or_else(|| fields.text("@odata.etag")),
        created: fields.time("createdDateTime"),
        modified: fields.time("lastModifiedDateTime"),
        item_type: fields.text("@odata.type").or_else(|| Some(type_name.to_owned())),
        ..ItemHead::new(kind, item, name)
    }
}

/// The head of a container, with its JSON.
pub(crate) fn container(type_name: &str, raw: &str, item: ItemRef, name: String) -> ItemHead {
    ItemHead {
        item_type: Some(type_name.to_owned()),
        raw: Some(Bytes::copy_from_slice(raw.as_bytes())),
        ..ItemHead::new(ItemKind::Container, item, name)
    }
}

/// Says by which name that does not depend on the mailbox's language a container can be asked for.
pub(crate) fn well_known(mut head: ItemHead, name: &str) -> ItemHead {
    let name = Value::Text(name.to_owned());
    head.properties.insert("well_known_name".to_owned(), name);
    head
}
