//! Items of a drive as Graph tells them, and as the engine wants them.

use std::fmt;

use bytes::Bytes;
use nakivo_core::connector::{ItemHead, ItemRef};
use nakivo_core::format::record::{ItemKind, PropertyBag, Value};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::Fields;

/// Longest text kept as a property.
const MAX_TEXT_CHARS: usize = 500;

/// One element of the feed, or one item that was asked for. The containers of heads are the service's ids, also that of
/// the root.
#[derive(Debug)]
pub(crate) enum Element {
    /// The root folder, which is no container of its own.
    Root,
    Folder(Box<ItemHead>),
    /// A file, a shortcut, or something of a kind that is not known.
    Item(Box<ItemHead>),
    Deleted {
        id: String,
    },
    /// Neither id nor place: cannot be used.
    Unusable,
}

/// What the metadata of a file says about its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) etag: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) hash: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) malware: bool,
}

impl Facts {
    pub(crate) fn of(raw: &str) -> Option<Self> {
        let fields = Fields::parse(raw)?;
        let file = fields.object("file");
        let hash = file
            .as_ref()
            .and_then(|file| file.object("hashes"))
            .and_then(|hashes| hashes.text("quickXorHash"))
            .filter(|hash| !hash.is_empty());
        Some(Self {
            etag: etag_of(&fields),
            size: fields.number("size"),
            hash,
            media_type: file.and_then(|file| file.text("mimeType")),
            malware: fields.has("malware"),
        })
    }

    /// Whether content of this length and hash is what the metadata says; none if the metadata does not say enough.
    pub(crate) fn agree(&self, length: u64, hash: &str) -> Option<bool> {
        let sized = self.size.map(|size| size == length);
        match &self.hash {
            Some(known) => Some(known == hash && sized != Some(false)),
            None if sized == Some(false) => Some(false),
            None => None,
        }
    }
}

fn etag_of(fields: &Fields<'_>) -> Option<String> {
    fields.text("eTag").or_else(|| fields.text("@odata.etag"))
}

/// Reads one item.
pub(crate) fn element(raw: &str) -> Element {
    let Some(fields) = Fields::parse(raw) else {
        return Element::Unusable;
    };
    let Some(id) = fields.text("id").filter(|id| !id.is_empty()) else {
        return Element::Unusable;
    };
    if fields.has("deleted") {
        return Element::Deleted { id };
    }
    if fields.has("root") {
        return Element::Root;
    }
    let parent = fields
        .object("parentReference")
        .and_then(|parent| parent.text("id"))
        .filter(|parent| !parent.is_empty());
    let Some(container) = parent else {
        return Element::Unusable;
    };
    let head = |kind: ItemKind, type_name: &str| {
        let item = ItemRef {
            container: container.clone(),
            id: id.clone(),
        };
        let name = fields.text("name").unwrap_or_default();
        Box::new(ItemHead {
            change_key: change_key(&fields),
            size: fields.number("size").filter(|_| kind == ItemKind::File),
            created: time(&fields, "createdDateTime"),
            modified: time(&fields, "lastModifiedDateTime"),
            item_type: Some(type_name.to_owned()),
            properties: properties(&fields),
            raw: Some(without_addresses(raw)),
            ..ItemHead::new(kind, item, name)
        })
    };
    // A shortcut looks like a folder, and what it shows is elsewhere.
    if fields.has("remoteItem") {
        return Element::Item(head(ItemKind::Other, "shortcut"));
    }
    if fields.has("package") {
        return Element::Folder(head(ItemKind::Container, "package"));
    }
    if fields.has("folder") {
        return Element::Folder(head(ItemKind::Container, "folder"));
    }
    if fields.has("file") {
        return Element::Item(head(ItemKind::File, "file"));
    }
    Element::Item(head(ItemKind::Other, "unknown"))
}

/// The eTag changes with content and metadata. Without one: everything that tells versions apart.
fn change_key(fields: &Fields<'_>) -> Option<String> {
    etag_of(fields).or_else(|| {
        let facts =
            ["lastModifiedDateTime", "size", "name", "file"].map(|key| fields.raw(key).unwrap_or_default());
        fields.has("lastModifiedDateTime").then(|| facts.join(" "))
    })
}

/// The time that people see: the file system's, else the service's.
fn time(fields: &Fields<'_>, key: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    fields
        .object("fileSystemInfo")
        .and_then(|info| info.time(key))
        .or_else(|| fields.time(key))
}

fn properties(fields: &Fields<'_>) -> PropertyBag {
    let mut properties = PropertyBag::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            properties.insert(name.to_owned(), value);
        }
    };
    let text = |text: String| Value::Text(text.chars().take(MAX_TEXT_CHARS).collect());
    let person = |key: &str| {
        let user = fields.object(key)?.object("user")?;
        user.text("displayName").or_else(|| user.text("email"))
    };
    set("created_by", person("createdBy").map(text));
    set("modified_by", person("lastModifiedBy").map(text));
    set(
        "media_type",
        fields
            .object("file")
            .and_then(|file| file.text("mimeType"))
            .map(text),
    );
    set(
        "package",
        fields
            .object("package")
            .map(|package| text(package.text("type").unwrap_or_default())),
    );
    set("shared", fields.has("shared").then_some(Value::Bool(true)));
    set("malware", fields.has("malware").then_some(Value::Bool(true)));
    set(
        "description",
        fields.text("description").filter(|d| !d.is_empty()).map(text),
    );
    properties
}

/// The members of an object in their order, unread.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Seen).map(Members)
    }
}

/// The JSON of an item without the addresses that open its content to whoever knows them; else as it is.
fn without_addresses(raw: &str) -> Bytes {
    let secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.ends_with(".downloadurl") || name.ends_with(".uploadurl")
    };
    let lower = raw.to_ascii_lowercase();
    if !lower.contains(".downloadurl") && !lower.contains(".uploadurl") {
        return Bytes::copy_from_slice(raw.as_bytes());
    }
    let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(raw) else {
        // It was parsed before, so this does not happen; then better no record than a secret in it.
        return Bytes::from_static(b"{}");
    };
    let kept: Vec<String> = members
        .into_iter()
        .filter(|(name, _)| !secret(name))
        .map(|(name, value)| {
            let value = match value.get() {
                // Expanded objects may carry addresses of their own.
                inner if inner.starts_with('{') => {
                    String::from_utf8_lossy(&without_addresses(inner)).into_owned()
                }
                other => other.to_owned(),
            };
            format!("{}:{value}", serde_json::Value::String(name))
        })
        .collect();
    Bytes::from(format!("{{{}}}", kept.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_item_is_told_apart() {
        let with = |facet: &str| format!(r#"{{"id":"I","name":"n","parentReference":{{"id":"P"}},{facet}}}"#);
        assert!(matches!(
            element(&with(r#""deleted":{}"#)),
            Element::Deleted { .. }
        ));
        assert!(matches!(
            element(&with(r#""root":{},"folder":{}"#)),
            Element::Root
        ));
        for (facet, kind) in [
            (r#""file":{}"#, ItemKind::File),
            (r#""remoteItem":{"folder":{}},"folder":{}"#, ItemKind::Other),
            (r#""bundle":{}"#, ItemKind::Other),
        ] {
            let Element::Item(head) = element(&with(facet)) else {
                panic!("{facet} is an item")
            };
            assert_eq!(head.kind, kind);
        }
        for facet in [r#""folder":{"childCount":1}"#, r#""package":{"type":"oneNote"}"#] {
            assert!(matches!(element(&with(facet)), Element::Folder(_)), "{facet}");
        }
        for bad in [
            r#"{"name":"n","file":{}}"#,
            r#"{"id":"I","file":{}}"#,
            "[]",
            r#"{"id":"","file":{}}"#,
        ] {
            assert!(matches!(element(bad), Element::Unusable), "{bad}");
        }
    }

    #[test]
    fn addresses_are_left_out_and_nothing_else_is_touched() {
        let raw = r#"{"@microsoft.graph.downloadUrl":"https://x/?tempauth=canary","id":"I","n":1.50,"odd":[ 1,2 ],"a\u00e9":"\u0041",
            "video":{"@content.downloadUrl":"https://canary","k":1e2},"file":{}}"#;
        let kept = without_addresses(raw);
        let kept = std::str::from_utf8(&kept).unwrap();
        assert!(!kept.contains("canary"), "{kept}");
        assert!(
            kept.contains(r#""n":1.50"#) && kept.contains("[ 1,2 ]") && kept.contains(r#""\u0041""#),
            "{kept}"
        );
        assert!(kept.contains(r#""k":1e2"#));
        let plain = r#"{ "id" : "I" }"#;
        assert_eq!(without_addresses(plain), plain.as_bytes());
    }

    #[test]
    fn facts_agree_or_not() {
        let raw = r#"{"size":3,"eTag":"e","file":{"hashes":{"quickXorHash":"H"}}}"#;
        let facts = Facts::of(raw).unwrap();
        assert_eq!(facts.agree(3, "H"), Some(true));
        assert_eq!(facts.agree(4, "H"), Some(false));
        assert_eq!(facts.agree(3, "G"), Some(false));
        let facts = Facts::of(r#"{"size":3,"file":{}}"#).unwrap();
        assert_eq!(facts.agree(3, "H"), None);
        assert_eq!(facts.agree(2, "H"), Some(false));
    }
}
