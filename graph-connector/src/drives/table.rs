//! What is known of the tree of a drive between rounds: every folder, and in which folder each item is.
//!
//! The feed names an item that moved only where it is now, and a deleted one often by its id alone. To tell the engine where
//! it vanished from, the place of each item is remembered: eight bytes of a hash of its id and the number of its folder,
//! about 9 bytes in the cursor for each item.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use nakivo_core::connector::Cursor;
use nakivo_core::{Error, Result};
use ring::digest;
use serde::{Deserialize, Serialize};

const CURSOR_VERSION: u32 = 1;
/// Deepest chain of folders that is followed. OneDrive's paths have at most 400 characters.
const MAX_DEPTH: usize = 1000;

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Empty for the root.
    pub(crate) parent: String,
    pub(crate) name: String,
}

/// See the module. Ids of the root are empty here, as the engine has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Table {
    /// The service's id of the root.
    root: String,
    folders: BTreeMap<String, Folder>,
    /// Folders that items are in, by number; number 0 is the root.
    numbered: Vec<String>,
    numbers: HashMap<String, u32>,
    items: HashMap<u64, u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    drive: String,
    link: String,
    root: String,
    /// Id, parent, name.
    folders: Vec<(String, String, String)>,
    /// Folders that items are in; the first is the root.
    numbered: Vec<String>,
    /// Differences of sorted hashes and numbers of folders, as varints in base64.
    items: String,
}

fn hash_of(id: &str) -> u64 {
    let digest = digest::digest(&digest::SHA256, id.as_bytes());
    let mut short = [0; 8];
    short.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_le_bytes(short)
}

impl Table {
    /// A table that knows the root only.
    pub(crate) fn new(root: &str) -> Self {
        let mut table = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        table.number("");
        table
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The engine's id of a folder.
    pub(crate) fn container(&self, id: &str) -> String {
        if id == self.root {
            String::new()
        } else {
            id.to_owned()
        }
    }

    fn number(&mut self, container: &str) -> u32 {
        if let Some(number) = self.numbers.get(container) {
            return *number;
        }
        let number = u32::try_from(self.numbered.len()).unwrap_or(u32::MAX);
        self.numbered.push(container.to_owned());
        self.numbers.insert(container.to_owned(), number);
        number
    }

    pub(crate) fn put_folder(&mut self, id: &str, parent: &str, name: &str) {
        let folder = Folder {
            parent: parent.to_owned(),
            name: name.to_owned(),
        };
        self.folders.insert(id.to_owned(), folder);
    }

    /// Whether there was such a folder.
    pub(crate) fn remove_folder(&mut self, id: &str) -> bool {
        self.folders.remove(id).is_some()
    }

    /// Puts an item into a folder; says in which other folder it was before.
    pub(crate) fn put_item(&mut self, id: &str, container: &str) -> Option<String> {
        let number = self.number(container);
        let before = self.items.insert(hash_of(id), number)?;
        (before != number)
            .then(|| self.numbered.get(before as usize).cloned())
            .flatten()
    }

    /// Takes an item out; says in which folder it was.
    pub(crate) fn remove_item(&mut self, id: &str) -> Option<String> {
        let number = self.items.remove(&hash_of(id))?;
        self.numbered.get(number as usize).cloned()
    }

    /// Folders that are named as a place and are not known.
    pub(crate) fn unknown(&self) -> HashSet<String> {
        let used: HashSet<u32> = self.items.values().copied().collect();
        let places = used
            .iter()
            .filter_map(|number| self.numbered.get(*number as usize));
        let parents = self.folders.values().map(|folder| &folder.parent);
        places
            .chain(parents)
            .filter(|id| !id.is_empty() && !self.folders.contains_key(*id))
            .cloned()
            .collect()
    }

    /// Whether the chain of parents of a folder ends at the root.
    pub(crate) fn is_whole(&self, id: &str) -> bool {
        let mut at = id;
        for _ in 0..MAX_DEPTH {
            if at.is_empty() {
                return true;
            }
            match self.folders.get(at) {
                Some(folder) => at = &folder.parent,
                None => return false,
            }
        }
        false
    }

    /// Forgets folders that do not hang at the root, with what is in them; returns their ids.
    pub(crate) fn prune(&mut self) -> Vec<String> {
        let lost: Vec<String> = self
            .folders
            .keys()
            .filter(|id| !self.is_whole(id))
            .cloned()
            .collect();
        for id in &lost {
            self.folders.remove(id);
        }
        let kept: Vec<bool> = self
            .numbered
            .iter()
            .map(|id| id.is_empty() || self.folders.contains_key(id))
            .collect();
        self.items
            .retain(|_, number| kept.get(*number as usize).copied().unwrap_or(false));
        lost
    }

    pub(crate) fn folders(&self) -> impl Iterator<Item = (&String, &Folder)> {
        self.folders.iter()
    }

    /// Whether items may be in this container.
    pub(crate) fn holds(&self, container: &str) -> bool {
        container.is_empty() || self.folders.contains_key(container)
    }

    /// Path for people.
    pub(crate) fn path(&self, container: &str) -> String {
        let mut names = Vec::new();
        let mut at = container;
        while let Some(folder) = self.folders.get(at) {
            names.push(folder.name.as_str());
            at = &folder.parent;
            if names.len() > MAX_DEPTH {
                break;
            }
        }
        names.reverse();
        names.join("/")
    }

    /// The cursor: this table and where the next round of `drive` starts.
    pub(crate) fn write(&self, drive: &str, link: &str) -> Result<Cursor> {
        let mut items: Vec<(u64, u32)> = self.items.iter().map(|(hash, number)| (*hash, *number)).collect();
        items.sort_unstable();
        let mut bytes = Vec::with_capacity(items.len() * 9);
        let mut before = 0;
        for (hash, number) in items {
            push_varint(&mut bytes, hash - before);
            push_varint(&mut bytes, u64::from(number));
            before = hash;
        }
        let stored = Stored {
            version: CURSOR_VERSION,
            drive: drive.to_owned(),
            link: link.to_owned(),
            root: self.root.clone(),
            folders: self
                .folders
                .iter()
                .map(|(id, folder)| (id.clone(), folder.parent.clone(), folder.name.clone()))
                .collect(),
            numbered: self.numbered.clone(),
            items: STANDARD.encode(bytes),
        };
        serde_json::to_vec(&stored)
            .map(|bytes| Cursor(Bytes::from(bytes)))
            .map_err(|error| Error::internal(format!("the cursor cannot be written: {error}")))
    }

    /// The table and the link of a cursor; none if it cannot be used for this drive.
    pub(crate) fn read(cursor: &Cursor, drive: &str) -> Option<(Self, String)> {
        let stored: Stored = serde_json::from_slice(&cursor.0).ok()?;
        if stored.version != CURSOR_VERSION
            || stored.drive != drive
            || stored.root.is_empty()
            || stored.numbered.first().is_none_or(|first| !first.is_empty())
        {
            return None;
        }
        let mut table = Self::new(&stored.root);
        for (id, parent, name) in &stored.folders {
            table.put_folder(id, parent, name);
        }
        for id in &stored.numbered {
            table.number(id);
        }
        let bytes = STANDARD.decode(&stored.items).ok()?;
        let mut rest = bytes.as_slice();
        let mut hash = 0u64;
        while !rest.is_empty() {
            hash = hash.checked_add(take_varint(&mut rest)?)?;
            let number = u32::try_from(take_varint(&mut rest)?).ok()?;
            table.numbered.get(number as usize)?;
            table.items.insert(hash, number);
        }
        Some((table, stored.link))
    }
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7F).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new("R");
        table.put_folder("A", "", "a");
        table.put_folder("B", "A", "b");
        for n in 0..1000 {
            table.put_item(&format!("item {n}"), ["", "A", "B"][n % 3]);
        }
        table
    }

    #[test]
    fn a_cursor_gives_back_what_was_written() {
        let table = sample();
        let cursor = table.write("D", "https://x/delta?token=1").unwrap();
        assert!(cursor.0.len() < 1000 * 14, "{}", cursor.0.len());
        let (read, link) = Table::read(&cursor, "D").unwrap();
        assert_eq!((read, link.as_str()), (table, "https://x/delta?token=1"));
        assert!(Table::read(&cursor, "other").is_none());
        for cut in [0, 1, cursor.0.len() / 2, cursor.0.len() - 1] {
            assert!(Table::read(&Cursor(cursor.0.slice(..cut)), "D").is_none());
        }
        let text = String::from_utf8(cursor.0.to_vec()).unwrap();
        let odd = text.replace("\"numbered\":[\"\",\"A\"", "\"numbered\":[\"\"");
        assert!(Table::read(&Cursor(Bytes::from(odd)), "D").is_none());
    }

    #[test]
    fn places_moves_and_lost_branches() {
        let mut table = sample();
        assert_eq!(table.put_item("item 1", "A"), None);
        assert_eq!(table.put_item("item 1", "B").as_deref(), Some("A"));
        assert_eq!(table.remove_item("item 1").as_deref(), Some("B"));
        assert_eq!(table.remove_item("item 1"), None);
        assert_eq!(table.path("B"), "a/b");
        table.put_folder("X", "Y", "x");
        table.put_item("late", "Z");
        assert_eq!(table.unknown(), HashSet::from(["Y".to_owned(), "Z".to_owned()]));
        assert!(table.remove_folder("A"));
        let mut lost = table.prune();
        lost.sort();
        assert_eq!(
            lost,
            ["B", "X"],
            "what hangs at a folder that is gone goes with it"
        );
        assert_eq!(table.remove_item("item 2"), None);
        assert_eq!(table.remove_item("item 0").as_deref(), Some(""));
        // A cycle among parents ends nowhere.
        table.put_folder("C", "E", "c");
        table.put_folder("E", "C", "e");
        assert!(!table.is_whole("C"));
    }
}
