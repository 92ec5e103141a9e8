//! Graph's mail JSON to the engine's heads.

use bytes::Bytes;
use nakivo_core::connector::{ItemHead, ItemRef};
use nakivo_core::format::record::{ItemKind, PropertyBag, Value};

use crate::exchange::heads;
use crate::exchange::round::Element;
use crate::json::Fields;

/// Type of a message whose JSON names none.
const MESSAGE_TYPE: &str = "#microsoft.graph.message";
/// Recipients that are kept for search; the rest is in the content.
const MAX_RECIPIENTS: usize = 100;
/// Characters of one text property.
const MAX_TEXT_CHARS: usize = 1000;

/// Reads one element of the delta of folder `container`.
pub(crate) fn element(raw: &str, container: &str) -> Element {
    heads::element(raw, container, |fields, item| head(raw, fields, item))
}

/// Reads a message that was asked for by id; it is where it says it is.
pub(crate) fn message(raw: &str) -> Option<ItemHead> {
    let (fields, id) = heads::with_id(raw)?;
    let container = fields.text("parentFolderId").unwrap_or_default();
    Some(head(raw, &fields, ItemRef { container, id }))
}

fn head(raw: &str, fields: &Fields<'_>, item: ItemRef) -> ItemHead {
    let mut properties = PropertyBag::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            properties.insert(name.to_owned(), value);
        }
    };
    set(
        "from",
        address_of(fields, "from")
            .or_else(|| address_of(fields, "sender"))
            .map(Value::Text),
    );
    for (name, key) in [
        ("to", "toRecipients"),
        ("cc", "ccRecipients"),
        ("bcc", "bccRecipients"),
    ] {
        let list = recipients(fields, key);
        set(name, (!list.is_empty()).then_some(Value::List(list)));
    }
    set(
        "internet_message_id",
        fields.text("internetMessageId").map(short).map(Value::Text),
    );
    set("has_attachments", fields.flag("hasAttachments").map(Value::Bool));
    set("is_read", fields.flag("isRead").map(Value::Bool));
    set("is_draft", fields.flag("isDraft").map(Value::Bool));
    set(
        "importance",
        fields
            .text("importance")
            .filter(|value| value != "normal")
            .map(Value::Text),
    );
    let flag = fields.object("flag").and_then(|flag| flag.text("flagStatus"));
    set(
        "flag",
        flag.filter(|value| value != "notFlagged").map(Value::Text),
    );
    let categories: Vec<String> = texts(fields, "categories")
        .into_iter()
        .take(MAX_RECIPIENTS)
        .collect();
    set(
        "categories",
        (!categories.is_empty()).then_some(Value::List(categories)),
    );
    let name = fields.text("subject").map(short).unwrap_or_default();
    ItemHead {
        received: fields.time("receivedDateTime"),
        sent: fields.time("sentDateTime"),
        properties,
        raw: is_whole(fields).then(|| Bytes::copy_from_slice(raw.as_bytes())),
        ..heads::item(ItemKind::Message, MESSAGE_TYPE, fields, item, name)
    }
}

/// An update may carry the changed properties only (contract 2.3). These are never null on a whole message.
fn is_whole(fields: &Fields<'_>) -> bool {
    [
        "changeKey",
        "createdDateTime",
        "lastModifiedDateTime",
        "parentFolderId",
        "body",
        "isRead",
    ]
    .iter()
    .all(|key| fields.has(key))
}

pub(crate) fn short(text: String) -> String {
    if text.chars().count() <= MAX_TEXT_CHARS {
        text
    } else {
        text.chars().take(MAX_TEXT_CHARS).collect()
    }
}

fn address_of(fields: &Fields<'_>, key: &str) -> Option<String> {
    format_address(&fields.object(key)?)
}

fn recipients(fields: &Fields<'_>, key: &str) -> Vec<String> {
    let list = fields.list(key).unwrap_or_default();
    list.into_iter()
        .take(MAX_RECIPIENTS)
        .filter_map(|raw| format_address(&Fields::parse(raw.get())?))
        .collect()
}

fn format_address(recipient: &Fields<'_>) -> Option<String> {
    let email = recipient.object("emailAddress")?;
    let name = email.text("name").filter(|name| !name.is_empty());
    let address = email.text("address").filter(|address| !address.is_empty());
    Some(short(match (name, address) {
        (Some(name), Some(address)) if name != address => format!("{name} <{address}>"),
        (_, Some(address)) => address,
        (Some(name), None) => name,
        (None, None) => return None,
    }))
}

/// A list of texts; entries of other types are left out.
pub(crate) fn texts(fields: &Fields<'_>, key: &str) -> Vec<String> {
    let list = fields.list(key).unwrap_or_default();
    list.into_iter()
        .filter_map(|raw| crate::json::lenient_string(raw.get()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_data_is_read() {
        let raw = r##"{"@odata.type":"#microsoft.graph.message","@odata.etag":"W/\"CQ\"","id":"AAM=","subject":"S",
            "isRead":"true","from":{"emailAddress":{"name":"A","address":"a@x.org"}},"toRecipients":[{"emailAddress":
            {"address":"b@x.org"}},{}],"receivedDateTime":"2024-01-31T10:00:00Z"}"##;
        let Element::Item(head) = element(raw, "F") else {
            panic!("no message")
        };
        assert_eq!(head.change_key.as_deref(), Some("W/\"CQ\""));
        assert_eq!(head.properties["from"].as_text(), Some("A <a@x.org>"));
        assert_eq!(head.properties["to"].as_list().unwrap(), ["b@x.org"]);
        assert_eq!(head.properties["is_read"].as_bool(), Some(true));
        assert!(
            head.raw.is_none(),
            "an update with some properties only is not the whole message"
        );
        assert!(matches!(
            element(r#"{"id":"x","@removed":{"reason":"deleted"}}"#, "F"),
            Element::Removed(_)
        ));
        assert!(matches!(element(r#"{"subject":"x"}"#, "F"), Element::Unusable));
    }
}
