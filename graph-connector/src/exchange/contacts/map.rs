//! Graph's contact JSON to the engine's heads.

use bytes::Bytes;
use nakivo_core::connector::{ItemHead, ItemRef};
use nakivo_core::format::record::{ItemKind, PropertyBag, Value};

use crate::exchange::heads;
use crate::exchange::mail::map::{short, texts};
use crate::exchange::round::Element;
use crate::exchange::service::MailboxService;
use crate::json::Fields;

const CONTACT_TYPE: &str = "#microsoft.graph.contact";
/// Values of a list that are kept for search.
const MAX_VALUES: usize = 100;

/// Reads one element of the delta of `container`.
pub(crate) fn element(raw: &str, container: &str) -> Element {
    heads::element(raw, container, |fields, item| head(raw, fields, item))
}

/// Reads a contact that was asked for by id; it is where it says it is.
pub(crate) fn contact(raw: &str) -> Option<ItemHead> {
    let (fields, id) = heads::with_id(raw)?;
    let folder = fields.text("parentFolderId").unwrap_or_default();
    let container = MailboxService::Contacts.container(&folder);
    Some(head(raw, &fields, ItemRef { container, id }))
}

fn head(raw: &str, fields: &Fields<'_>, item: ItemRef) -> ItemHead {
    let mut properties = PropertyBag::new();
    let mut set = |name: &str, list: Vec<String>| {
        let list: Vec<String> = list.into_iter().take(MAX_VALUES).map(short).collect();
        if !list.is_empty() {
            properties.insert(name.to_owned(), Value::List(list));
        }
    };
    set(
        "emails",
        emails(fields).into_iter().map(|(_, address)| address).collect(),
    );
    set("categories", texts(fields, "categories"));
    let mut phones = texts(fields, "businessPhones");
    phones.extend(texts(fields, "homePhones"));
    phones.extend(fields.text("mobilePhone"));
    set("phones", phones);
    for (name, key) in [("company", "companyName"), ("job_title", "jobTitle")] {
        if let Some(text) = fields.text(key).filter(|text| !text.is_empty()) {
            properties.insert(name.to_owned(), Value::Text(short(text)));
        }
    }
    let name = short(name_of(fields));
    ItemHead {
        properties,
        raw: is_whole(fields).then(|| Bytes::copy_from_slice(raw.as_bytes())),
        ..heads::item(ItemKind::Contact, CONTACT_TYPE, fields, item, name)
    }
}

/// What people call the contact.
fn name_of(fields: &Fields<'_>) -> String {
    ["displayName", "fileAs", "companyName"]
        .into_iter()
        .filter_map(|key| fields.text(key))
        .find(|text| !text.trim().is_empty())
        .or_else(|| emails(fields).into_iter().next().map(|(_, address)| address))
        .unwrap_or_default()
}

/// Names and addresses, from the collection or from the named properties (contract 4.6).
pub(crate) fn emails(fields: &Fields<'_>) -> Vec<(Option<String>, String)> {
    let read = |fields: Fields<'_>| {
        let address = fields.text("address").filter(|address| !address.is_empty())?;
        Some((fields.text("name").filter(|name| !name.is_empty()), address))
    };
    let list: Vec<_> = fields
        .list("emailAddresses")
        .unwrap_or_default()
        .into_iter()
        .filter_map(|raw| read(Fields::parse(raw.get())?))
        .collect();
    if !list.is_empty() {
        return list;
    }
    [
        "primaryEmailAddress",
        "secondaryEmailAddress",
        "tertiaryEmailAddress",
    ]
    .into_iter()
    .filter_map(|key| read(fields.object(key)?))
    .collect()
}

/// An update may carry the changed properties only (contract 2.3). These are never null on a whole contact.
fn is_whole(fields: &Fields<'_>) -> bool {
    [
        "changeKey",
        "createdDateTime",
        "lastModifiedDateTime",
        "parentFolderId",
        "emailAddresses",
        "children",
    ]
    .iter()
    .all(|key| fields.has(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_what_there_is() {
        let name = |raw: &str| contact(raw).unwrap().name;
        assert_eq!(
            name(r#"{"id":"1","displayName":" ","fileAs":"Fort, Garth"}"#),
            "Fort, Garth"
        );
        assert_eq!(
            name(r#"{"id":"1","displayName":null,"primaryEmailAddress":{"address":"a@b.org"}}"#),
            "a@b.org"
        );
        let head = contact(r#"{"id":"1","parentFolderId":"F","mobilePhone":"+1","children":[]}"#).unwrap();
        assert_eq!(head.item.container, "contacts:F");
        assert!(head.raw.is_none(), "some properties only");
        assert!(matches!(
            element(r#"{"id":"x","@removed":{"reason":"deleted"}}"#, "contacts:F"),
            Element::Removed(_)
        ));
    }
}
