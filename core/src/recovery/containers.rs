//! The containers of a recovery point, read once: who lies in whom, and what the path of each is.

use std::collections::{HashMap, HashSet, VecDeque};

use futures::stream::StreamExt;
use nakivo_repo_format::record::{ItemKind, ItemRecord};
use nakivo_repo_format::tree::{KeyKind, TreeRoot};

use crate::error::{Error, ErrorKind, Result};
use crate::repository::{Repository, ScanRange, Spoiled};

/// Deepest nesting that is followed; a chain of parents in a damaged point must not lead in circles.
const MAX_DEPTH: usize = 10_000;

/// All containers of one point.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    by_id: HashMap<String, ItemRecord>,
    children: HashMap<String, Vec<String>>,
    /// Containers whose list of containers is damaged.
    pub(super) damage: Vec<(String, Error)>,
}

impl Containers {
    /// Reads them, from the root down.
    pub(crate) async fn load(repository: &Repository, root: Option<TreeRoot>) -> Result<Self> {
        let mut all = Self::default();
        let mut queue = VecDeque::from([String::new()]);
        let mut visited = HashSet::from([String::new()]);
        while let Some(parent) = queue.pop_front() {
            let mut entries = repository.scan_each(root, &ScanRange::container(parent.as_str()));
            let mut children = Vec::new();
            while let Some(entry) = entries.next().await {
                let record = match entry {
                    Ok(Ok((_, record))) => record,
                    // Whoever walks through the container tells it.
                    Ok(Err(spoiled)) if spoiled.kind == Some(KeyKind::Item) => break,
                    Ok(Err(_)) => continue,
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        all.damage.push((parent.clone(), error));
                        break;
                    }
                    Err(error) => return Err(error),
                };
                if record.kind != ItemKind::Container {
                    // Containers come first.
                    break;
                }
                if visited.insert(record.id.clone()) {
                    queue.push_back(record.id.clone());
                    children.push(record.id.clone());
                    all.by_id.insert(record.id.clone(), record);
                }
            }
            if !children.is_empty() {
                all.children.insert(parent, children);
            }
        }
        Ok(all)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, id: &str) -> Option<&ItemRecord> {
        self.by_id.get(id)
    }

    /// Whether there is such a container; the root is one.
    pub(super) fn contains(&self, id: &str) -> bool {
        id.is_empty() || self.by_id.contains_key(id)
    }

    /// Ids of the containers directly in `id`.
    pub(super) fn children(&self, id: &str) -> &[String] {
        self.children.get(id).map_or(&[], Vec::as_slice)
    }

    /// `id` and everything below it, parents first.
    pub(super) fn subtree(&self, id: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut stack = vec![id.to_owned()];
        while let Some(id) = stack.pop() {
            stack.extend(self.children(&id).iter().rev().cloned());
            found.push(id);
        }
        found
    }

    /// The chain of containers down to `id`, outermost first; the root is not in it.
    pub(super) fn chain(&self, id: &str) -> Vec<&ItemRecord> {
        let mut chain = Vec::new();
        let mut next = self.get(id);
        while let Some(record) = next.filter(|_| chain.len() < MAX_DEPTH) {
            chain.push(record);
            next = self.get(&record.container);
        }
        chain.reverse();
        chain
    }

    /// The path of a container for people: names joined by `/`; empty for the root.
    pub(crate) fn path(&self, id: &str) -> String {
        if !self.contains(id) {
            return format!("(folder {id})");
        }
        self.chain(id)
            .iter()
            .map(|record| record.name.as_str())
            .collect::<Vec<_>>()
            .join("/")
    }

    /// The path of an entry whose name is not known.
    pub(crate) fn path_of_spoiled(&self, spoiled: &Spoiled) -> String {
        let what = match spoiled.kind {
            Some(KeyKind::Container) => "folder",
            _ => "item",
        };
        let name = format!("({what} {})", spoiled.id);
        let folder = self.path(&spoiled.container);
        if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        }
    }

    /// The path of an item or container.
    pub(crate) fn path_of(&self, record: &ItemRecord) -> String {
        let folder = self.path(&record.container);
        if folder.is_empty() {
            record.name.clone()
        } else {
            format!("{folder}/{}", record.name)
        }
    }
}
