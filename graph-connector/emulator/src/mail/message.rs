//! A stored message: a few words each, whatever its size; the content is made or parsed when it is read.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::mail::view::View;

/// Recipe of a generated message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub user: u32,
    pub index: u32,
    /// When not 0: one attachment of this many bytes.
    pub big: u64,
}

/// Where the content of a message comes from.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Generated(Recipe),
    Loaded(Arc<Bytes>),
    Composed(Arc<View>),
}

/// Values set from outside; `None` means what the content says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Over {
    pub flag: Option<Value>,
    pub categories: Option<Vec<String>>,
    pub importance: Option<String>,
    pub inference: Option<String>,
    pub read_receipt: Option<bool>,
    pub delivery_receipt: Option<bool>,
    /// MAPI properties by id as they were set.
    pub properties: Vec<(String, Value)>,
    /// Numbers of attachments given so far to a composed message.
    pub parts_made: u32,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Msg {
    pub content: Content,
    pub folder: u32,
    /// Changes at every move: part of the default id.
    pub place: u32,
    /// Version at which it came into the folder.
    pub entered: u64,
    /// Version of its last change.
    pub version: u64,
    /// Unix milliseconds.
    pub received: i64,
    pub created: i64,
    pub modified: i64,
    pub read: bool,
    pub draft: bool,
    pub over: Option<Box<Over>>,
}

impl Msg {
    pub(crate) fn over(&mut self) -> &mut Over {
        self.over.get_or_insert_default()
    }

    /// A MAPI property that was set on the message.
    pub(crate) fn property(&self, id: &str) -> Option<&Value> {
        let wanted = property_key(id);
        self.over
            .as_ref()?
            .properties
            .iter()
            .find(|(n, _)| property_key(n) == wanted)
            .map(|(_, v)| v)
    }
}

/// Property ids compare without case; `0x007D`, `0x7d` name the same tag.
pub(crate) fn property_key(id: &str) -> String {
    id.split_whitespace()
        .map(|word| {
            let lower = word.to_lowercase();
            match lower.strip_prefix("0x") {
                Some(hex) => format!("0x{}", hex.trim_start_matches('0')),
                None => lower,
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
