//! Drives, users' and libraries of sites: what a drive holds, how it is read, and the way back.
//!
//! A drive has one feed of changes for everything in it. The content of a file is its part `content`; the JSON that the
//! feed delivered is kept beside it, verbatim but for addresses that would let anybody read the file.

pub(crate) mod download;
pub(crate) mod fetch;
pub(crate) mod hash;
pub(crate) mod list;
pub(crate) mod lookup;
pub(crate) mod map;
pub(crate) mod office;
pub(crate) mod recover;
pub(crate) mod round;
pub(crate) mod sharing;
pub(crate) mod table;
pub(crate) mod target;
pub(crate) mod upload;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What a drive needs to be read.
pub(crate) const READ_PERMISSION: &str = "Files.Read.All";
/// What it needs to be written to.
pub(crate) const WRITE_PERMISSION: &str = "Files.ReadWrite.All";

/// What a connector remembers about drives as long as it lives.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Ids of root folders, by drive.
    roots: Mutex<HashMap<String, String>>,
    /// Content that did not match its metadata, by drive and item.
    doubtful: Mutex<HashMap<(String, String), Doubt>>,
}

/// Content that was read and did not match its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// The state of the item that it was read from.
    pub(crate) etag: Option<String>,
    pub(crate) length: u64,
    pub(crate) hash: String,
}

impl Memory {
    fn root(&self, drive: &str) -> Option<String> {
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        roots.get(drive).cloned()
    }

    fn remember_root(&self, drive: &str, root: &str) {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        roots.insert(drive.to_owned(), root.to_owned());
    }

    fn doubt(&self, drive: &str, item: &str) -> Option<Doubt> {
        let doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        doubtful.get(&(drive.to_owned(), item.to_owned())).cloned()
    }

    fn set_doubt(&self, drive: &str, item: &str, doubt: Option<Doubt>) {
        let key = (drive.to_owned(), item.to_owned());
        let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        match doubt {
            Some(doubt) => doubtful.insert(key, doubt),
            None => doubtful.remove(&key),
        };
    }
}
