//! What is sent to Graph to make a stored contact again, and what makes two contacts the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use nakivo_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use super::map::emails;
use crate::exchange::access::{MARKER_ID, STATE_ID, UNFINISHED, property};
use crate::exchange::mail::attachments::hash;
use crate::json::Fields;

/// Taken over from the stored JSON as they are (contract 4.6).
const AS_STORED: [&str; 31] = [
    "assistantName",
    "birthday",
    "businessAddress",
    "businessHomePage",
    "businessPhones",
    "categories",
    "children",
    "companyName",
    "department",
    "displayName",
    "fileAs",
    "generation",
    "givenName",
    "homeAddress",
    "homePhones",
    "imAddresses",
    "initials",
    "jobTitle",
    "manager",
    "middleName",
    "mobilePhone",
    "nickName",
    "officeLocation",
    "otherAddress",
    "personalNotes",
    "profession",
    "spouseName",
    "surname",
    "title",
    "yomiCompanyName",
    "yomiGivenName",
];
const AS_STORED_TOO: [&str; 1] = ["yomiSurname"];
/// Decided by the service, or sent in another form.
const NOT_SENT: [&str; 10] = [
    "id",
    "parentFolderId",
    "changeKey",
    "createdDateTime",
    "lastModifiedDateTime",
    "emailAddresses",
    "primaryEmailAddress",
    "secondaryEmailAddress",
    "tertiaryEmailAddress",
    "photo",
];
/// Filled in by the service where nothing was said.
const COMPLETED: [&str; 2] = ["displayName", "fileAs"];

/// A contact to be created.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    json: Map<String, Value>,
    pub(crate) photo: Option<Bytes>,
    /// What should be there afterwards.
    expected: Projection,
    pub(crate) not_carried: Vec<String>,
}

impl Draft {
    /// From the stored parts.
    ///
    /// # Errors
    /// `Corrupt` if the stored JSON is not a contact.
    pub(crate) fn new(stored_json: &str, photo: Option<Bytes>) -> Result<Self> {
        let bad = || {
            Error::new(
                ErrorKind::Corrupt,
                "the stored JSON of the contact cannot be read",
            )
        };
        let fields = Fields::parse(stored_json).ok_or_else(bad)?;
        let all: Map<String, Value> = serde_json::from_str(stored_json).unwrap_or_default();
        let mut json = Map::new();
        let mut not_carried = Vec::new();
        for key in AS_STORED.into_iter().chain(AS_STORED_TOO) {
            let Some(raw) = fields.raw(key) else { continue };
            let value = serde_json::from_str::<Value>(raw)
                .ok()
                .or_else(|| fields.text(key).map(Value::String));
            match value.filter(|value| !is_empty(value)) {
                Some(Value::Object(address)) => {
                    let known: Map<String, Value> = address
                        .into_iter()
                        .filter(|(_, value)| !value.is_null())
                        .collect();
                    json.insert(key.to_owned(), Value::Object(known));
                }
                Some(value) => {
                    json.insert(key.to_owned(), value);
                }
                None => {}
            }
        }
        let addresses: Vec<Value> = emails(&fields)
            .into_iter()
            .map(|(name, address)| json!({ "name": name.unwrap_or_else(|| address.clone()), "address": address }))
            .collect();
        if !addresses.is_empty() {
            json.insert("emailAddresses".to_owned(), Value::Array(addresses));
        }
        for (key, value) in &all {
            let known = AS_STORED.contains(&key.as_str()) || AS_STORED_TOO.contains(&key.as_str());
            if !known && !NOT_SENT.contains(&key.as_str()) && !key.contains('@') && !is_empty(value) {
                not_carried.push(format!("{key}: Graph does not take it"));
            }
        }
        let expected = Projection::of(stored_json, photo.as_ref()).ok_or_else(bad)?;
        Ok(Self {
            json,
            photo,
            expected,
            not_carried,
        })
    }

    /// The name that people see.
    pub(crate) fn display_name(&self) -> Option<&str> {
        self.json.get("displayName")?.as_str()
    }

    /// Under another name.
    pub(crate) fn rename(&mut self, suffix: &str) {
        for key in COMPLETED {
            if let Some(name) = self.json.get(key).and_then(Value::as_str) {
                let name = format!("{}{suffix}", name.trim_end());
                self.expected.values.insert(key.to_owned(), normal(&json!(name)));
                self.json.insert(key.to_owned(), json!(name));
            }
        }
        if self.display_name().is_none() {
            let name = suffix.trim();
            self.expected
                .values
                .insert("displayName".to_owned(), normal(&json!(name)));
            self.json.insert("displayName".to_owned(), json!(name));
        }
    }

    /// The body of the POST.
    pub(crate) fn body(&self, marker: &str) -> Value {
        let mut json = self.json.clone();
        let mut properties = vec![property(MARKER_ID, marker)];
        if self.photo.is_some() {
            properties.push(property(STATE_ID, UNFINISHED));
        }
        json.insert(
            "singleValueExtendedProperties".to_owned(),
            Value::Array(properties),
        );
        Value::Object(json)
    }

    /// What differs from the contact that is there, for people.
    pub(crate) fn differences(&self, raw: &str, photo: Option<&Bytes>) -> Option<Vec<String>> {
        let found = Projection::of(raw, photo)?;
        Some(self.expected.differences(&found))
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        _ => false,
    }
}

/// A contact without what depends on where and when it was filed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Projection {
    values: BTreeMap<String, String>,
    photo: Option<String>,
}

impl Projection {
    fn of(raw: &str, photo: Option<&Bytes>) -> Option<Self> {
        let fields = Fields::parse(raw)?;
        let mut values = BTreeMap::new();
        for key in AS_STORED.into_iter().chain(AS_STORED_TOO) {
            let Some(raw) = fields.raw(key) else { continue };
            let value = serde_json::from_str::<Value>(raw)
                .ok()
                .or_else(|| fields.text(key).map(Value::String))
                .filter(|value| !is_empty(value));
            let Some(value) = value else { continue };
            let text = match (key, value.as_str()) {
                // A day, whatever time of it the service tells.
                ("birthday", Some(text)) => text.chars().take(10).collect(),
                _ => normal(&value),
            };
            values.insert(key.to_owned(), text);
        }
        let addresses: Vec<String> = emails(&fields)
            .into_iter()
            .map(|(name, address)| {
                let name = name
                    .filter(|name| !name.eq_ignore_ascii_case(&address))
                    .unwrap_or_default();
                format!("{name} <{}>", address.to_lowercase())
            })
            .collect();
        if !addresses.is_empty() {
            values.insert("emailAddresses".to_owned(), addresses.join(", "));
        }
        Some(Self {
            values,
            photo: photo.map(|bytes| hash(bytes)),
        })
    }

    fn differences(&self, found: &Self) -> Vec<String> {
        let keys = self.values.keys().chain(found.values.keys());
        let mut out: Vec<String> = keys
            .filter(|key| {
                let expected = self.values.get(*key);
                let completed = expected.is_none() && COMPLETED.contains(&key.as_str());
                !completed && expected != found.values.get(*key)
            })
            .cloned()
            .collect();
        out.sort();
        out.dedup();
        if self.photo != found.photo {
            out.push("photo".to_owned());
        }
        out
    }
}

/// A value as text: no empty members, line ends alike.
fn normal(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace("\r\n", "\n").trim().to_owned(),
        Value::Object(map) => {
            let members: Vec<String> = map
                .iter()
                .filter(|(key, value)| !is_empty(value) && !key.contains('@'))
                .map(|(key, value)| format!("{key}: {}", normal(value)))
                .collect();
            members.join("\u{1}")
        }
        Value::Array(list) => list.iter().map(normal).collect::<Vec<_>>().join("\u{1}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_graph_does_not_take_is_said_and_empty_values_are_the_same() {
        let stored = r#"{"@odata.etag":"x","id":"1","displayName":"A","givenName":null,"birthday":"1974-07-22T00:00:00Z",
            "homeAddress":{"city":"C","street":null},"emailAddresses":[],"primaryEmailAddress":{"address":"A@x.org"},"shoeSize":43,
            "children":[],"personalNotes":"a\r\nb"}"#;
        let draft = Draft::new(stored, None).unwrap();
        assert_eq!(draft.not_carried, ["shoeSize: Graph does not take it"]);
        let body = draft.body("m");
        assert_eq!(body["emailAddresses"][0]["address"], "A@x.org");
        assert!(
            body.get("primaryEmailAddress").is_none(),
            "either the list or the named ones"
        );
        assert!(body.get("id").is_none() && body.get("givenName").is_none());
        let found = r#"{"id":"2","displayName":"A","fileAs":"A","birthday":"1974-07-22T11:59:00Z","homeAddress":{"city":"C"},
            "emailAddresses":[{"name":"A@x.org","address":"a@x.org"}],"personalNotes":"a\nb"}"#;
        assert_eq!(draft.differences(found, None).unwrap(), Vec::<String>::new());
        let other = found.replace("\"C\"", "\"D\"");
        assert_eq!(
            draft
                .differences(&other, Some(&Bytes::from_static(b"p")))
                .unwrap(),
            ["homeAddress", "photo"]
        );
    }
}
