//! Where each item of an export lies.

use std::collections::HashMap;
use std::sync::Arc;

use nakivo_repo_format::record::{ContentPart, ItemKind, ItemRecord};

use super::containers::Containers;
use super::export::MANIFEST_NAME;
use super::files::TEMPORARY_NAMES;
use super::names::{NameAllocator, split_extension};
use super::sink::TEMPORARY_MANIFEST;

/// Name of an mbox file in the directory of its folder.
const MBOX_NAME: &str = "messages.mbox";
/// Directory of items whose folder is not in the point.
const STRAYS: &str = "without folder";
/// Directory of folders whose own path would be too long.
const DEEP: &str = "deep folders";
/// Longest path of a directory, in bytes; what lies deeper moves to [`DEEP`].
const MAX_DIRECTORY_BYTES: usize = 1_500;

/// Hands out paths: directories for all folders beforehand, files as they come, folder by folder.
#[derive(Debug)]
pub(super) struct Places {
    containers: Arc<Containers>,
    /// Directory of each folder, relative to the export; empty for the root.
    directories: HashMap<String, String>,
    /// Names in the directory of the folder whose items are being exported.
    current: Option<(String, NameAllocator)>,
}

impl Places {
    /// Names every folder's directory. That depends on the point only, not on what is selected of it.
    pub(super) fn new(containers: Arc<Containers>) -> Self {
        let mut directories = HashMap::from([(String::new(), String::new())]);
        for parent in containers.subtree("") {
            let path = directories.get(&parent).cloned().unwrap_or_default();
            let mut names = new_directory(&path);
            for child in containers.children(&parent) {
                let name = containers.get(child).map_or("", |record| record.name.as_str());
                let name = names.allocate(name, "", child);
                let mut directory = join(&path, &name);
                if directory.len() > MAX_DIRECTORY_BYTES {
                    let hash = blake3::hash(child.as_bytes()).to_hex();
                    directory = join(DEEP, &hash[..32]);
                }
                directories.insert(child.clone(), directory);
            }
        }
        Self {
            containers,
            directories,
            current: None,
        }
    }

    /// The directory of a folder.
    pub(super) fn directory(&self, container: &str) -> String {
        self.directories
            .get(container)
            .cloned()
            .unwrap_or_else(|| STRAYS.to_owned())
    }

    fn names(&mut self, container: &str) -> &mut NameAllocator {
        let known = self.directories.contains_key(container);
        // All strays share one directory.
        let key = if known { container } else { "\0" };
        let current = self.current.take().filter(|(current, _)| current == key);
        let (_, names) = self.current.insert(current.unwrap_or_else(|| {
            let directory = self.directories.get(container).map_or(STRAYS, String::as_str);
            let mut names = new_directory(directory);
            for child in self.containers.children(container) {
                if let Some((_, name)) = self
                    .directories
                    .get(child)
                    .map(|path| path.rsplit_once('/').unwrap_or(("", path)))
                {
                    names.reserve(name);
                }
            }
            (key.to_owned(), names)
        }));
        names
    }

    /// A path for an item.
    pub(super) fn file(&mut self, record: &ItemRecord, part: &ContentPart) -> String {
        let (stem, extension) = match part.name.as_str() {
            "mime" => (record.name.as_str(), ".eml"),
            "vcard" => (record.name.as_str(), ".vcf"),
            "icalendar" => (record.name.as_str(), ".ics"),
            "json" => (record.name.as_str(), ".json"),
            _ => split_extension(&record.name),
        };
        let stem = if stem.trim().is_empty() && record.kind == ItemKind::Message {
            "no subject"
        } else {
            stem
        };
        let name = self
            .names(&record.container)
            .allocate(stem, extension, &record.id);
        join(&self.directory(&record.container), &name)
    }

    /// A path for the messages of a folder.
    pub(super) fn mbox(&mut self, container: &str) -> String {
        let name = self.names(container).allocate("messages", ".mbox", MBOX_NAME);
        join(&self.directory(container), &name)
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

/// The names of a directory in which nothing is yet but what the export itself puts there.
fn new_directory(path: &str) -> NameAllocator {
    let mut names = NameAllocator::for_directory(path.len());
    for own in TEMPORARY_NAMES {
        names.reserve(own);
    }
    if path.is_empty() {
        for own in [MANIFEST_NAME, TEMPORARY_MANIFEST, STRAYS, DEEP] {
            names.reserve(own);
        }
    }
    names
}
