//! The list of an export: one JSON object a line, `manifest.jsonl` at its root.
//!
//! | field | meaning |
//! |---|---|
//! | `kind` | `container`, `message`, `event`, `contact`, `task`, `file`, `list-item`, `other` |
//! | `id`, `container` | the item's id and its container's, in the recovery point |
//! | `name`, `path` | the original name and path, exactly |
//! | `file` | where it is in the export, `/` between names, relative to the root; a directory for a container |
//! | `part`, `media_type` | which part of the item the file is |
//! | `size`, `hash` | length in bytes and BLAKE3 (hex) of the content, before any mbox quoting |
//! | `offset`, `length` | in an mbox file: where the message's `From ` line begins, and how long the entry is |
//! | `created`, `modified`, `received`, `sent` | RFC 3339, UTC, in milliseconds |
//! | `item_type`, `properties` | as recorded |
//! | `error` | instead of `file`: `code` and `message` of why it is not in the export |

use chrono::{DateTime, SecondsFormat};
use nakivo_repo_format::record::{ContentPart, ItemRecord};
use serde_json::{Map, Value, json};

use crate::error::Error;

/// One line, without what is known only after the content was written.
pub(super) fn line(record: &ItemRecord, path: &str) -> Map<String, Value> {
    let mut line = Map::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            line.insert(name.to_owned(), value);
        }
    };
    set("kind", json!(record.kind));
    set("id", json!(record.id));
    set("container", json!(record.container));
    set("name", json!(record.name));
    set("path", json!(path));
    for (name, ms) in [
        ("created", record.created_ms),
        ("modified", record.modified_ms),
        ("received", record.received_ms),
        ("sent", record.sent_ms),
    ] {
        let time = ms.and_then(DateTime::from_timestamp_millis);
        set(
            name,
            json!(time.map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))),
        );
    }
    set("item_type", json!(record.item_type));
    if !record.properties.is_empty() {
        set("properties", json!(record.properties));
    }
    line
}

pub(super) fn add_file(line: &mut Map<String, Value>, file: &str, part: &ContentPart) {
    line.insert("file".to_owned(), json!(file));
    line.insert("part".to_owned(), json!(part.name));
    if let Some(media_type) = &part.media_type {
        line.insert("media_type".to_owned(), json!(media_type));
    }
}

pub(super) fn add_content(line: &mut Map<String, Value>, size: u64, hash: blake3::Hash) {
    line.insert("size".to_owned(), json!(size));
    line.insert("hash".to_owned(), json!(hash.to_hex().as_str()));
}

pub(super) fn add_error(line: &mut Map<String, Value>, error: &Error) {
    line.insert(
        "error".to_owned(),
        json!({ "code": error.code(), "message": error.message() }),
    );
}

/// The line's bytes, its end included. JSON escapes line feeds, so a line is a line.
pub(super) fn encode(line: Map<String, Value>) -> Vec<u8> {
    let mut bytes = Value::Object(line).to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}
