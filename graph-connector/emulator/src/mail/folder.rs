//! A mail folder and its two indexes: by time of reception for lists, by version for delta.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A saved search shown as a folder; the messages live elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    pub sources: Vec<u32>,
    pub query: String,
}

/// One folder. Serial 1 is the root of the mailbox, which Graph does not show.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub serial: u32,
    pub parent: u32,
    pub name: String,
    pub hidden: bool,
    /// `inbox`, `sentitems`, ...
    pub well_known: Option<&'static str>,
    pub search: Option<Search>,
    /// MAPI properties, `String 0x3613` (the class) among them.
    pub properties: Vec<(String, Value)>,
    /// Version of the last change of the folder itself.
    pub version: u64,
    pub unread: u32,
    /// Present messages by the version of their last change.
    pub by_version: BTreeMap<u64, u32>,
    /// Messages that left, by the version at which they did: item and the place it had.
    pub left: BTreeMap<u64, (u32, u32)>,
    /// Present messages by negated time of reception: newest first.
    pub by_received: BTreeSet<(i64, u32)>,
    /// Delta tokens of another epoch are refused.
    pub epoch: u32,
}

impl Folder {
    pub(crate) fn new(serial: u32, parent: u32, name: &str) -> Self {
        Self {
            serial,
            parent,
            name: name.to_owned(),
            hidden: false,
            well_known: None,
            search: None,
            properties: vec![("String 0x3613".into(), Value::String("IPF.Note".into()))],
            version: 0,
            unread: 0,
            by_version: BTreeMap::new(),
            left: BTreeMap::new(),
            by_received: BTreeSet::new(),
            epoch: 0,
        }
    }
}
