//! One item of a drive: a folder, a file with its versions, a package, a shortcut.

use std::sync::OnceLock;

use serde_json::Value;

use super::hash::QuickXor;
use crate::mail::data::Data;

/// Content of a file at one time.
#[derive(Debug)]
pub(crate) struct FileVersion {
    /// `1` for version `1.0`.
    pub number: u32,
    pub data: Data,
    pub modified: i64,
    hash: OnceLock<String>,
}

impl FileVersion {
    pub(crate) fn new(number: u32, data: Data, modified: i64) -> Self {
        Self {
            number,
            data,
            modified,
            hash: OnceLock::new(),
        }
    }

    pub(crate) fn hash(&self) -> &str {
        self.hash.get_or_init(|| {
            let mut hash = QuickXor::default();
            self.data.pieces().for_each(|piece| hash.update(&piece));
            hash.text()
        })
    }
}

/// What an item is.
#[derive(Debug)]
pub(crate) enum Kind {
    Folder,
    /// A notebook: holds children, is no folder.
    Package(&'static str),
    /// Oldest version first; never empty.
    File(Vec<FileVersion>),
    /// A shortcut into another drive.
    Remote {
        drive: String,
        item: String,
    },
}

/// How the metadata of a file lies about its content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lies {
    /// Bytes by which the announced size is too large.
    pub size: u64,
    /// The hash is not that of the content.
    pub hash: bool,
    /// There is no hash at all.
    pub no_hash: bool,
}

/// One item.
#[derive(Debug)]
pub(crate) struct Node {
    pub serial: u32,
    pub parent: u32,
    pub name: String,
    pub kind: Kind,
    /// Read-only times of the service.
    pub created: i64,
    pub modified: i64,
    /// `fileSystemInfo`.
    pub fs_created: i64,
    pub fs_modified: i64,
    /// The drive's version at the last change.
    pub version: u64,
    pub etag: u32,
    pub ctag: u32,
    pub deleted: bool,
    pub malware: bool,
    /// The content can never be read (503), as of notebooks' files.
    pub unreadable: bool,
    pub locked: bool,
    pub lies: Lies,
    /// Permissions of its own, as JSON.
    pub permissions: Vec<Value>,
    pub next_permission: u32,
}

impl Node {
    pub(crate) fn holds_children(&self) -> bool {
        matches!(self.kind, Kind::Folder | Kind::Package(_))
    }

    /// The content of now.
    pub(crate) fn current(&self) -> Option<&FileVersion> {
        match &self.kind {
            Kind::File(versions) => versions.last(),
            _ => None,
        }
    }
}
