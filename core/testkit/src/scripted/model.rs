//! The state of the source and how edits change it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::content::{Content, Digest};
use crate::logical::{LogicalContainer, LogicalContent, LogicalItem};

/// An item of the source as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id, which no edit changes.
    pub id: String,
    /// The container that holds it.
    pub container: String,
    /// Its name or subject.
    pub name: String,
    /// Counts its changes; moves do not count.
    pub version: u64,
    /// Content parts by name.
    pub parts: BTreeMap<String, Content>,
    /// Small facts.
    pub properties: BTreeMap<String, String>,
}

/// A container of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) parent: String,
    pub(super) name: String,
}

/// A change to the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// A new container.
    AddContainer {
        /// Its id, never used before.
        id: String,
        /// Where; empty for the root.
        parent: String,
        /// Its name.
        name: String,
    },
    /// Another name for a container.
    RenameContainer {
        /// Which.
        id: String,
        /// Its new name.
        name: String,
    },
    /// A container goes into another one, with everything in it.
    MoveContainer {
        /// Which.
        id: String,
        /// Where to; refused if that would make a cycle.
        parent: String,
    },
    /// A container goes away with everything in it, and no word is said about what it held.
    RemoveContainer {
        /// Which.
        id: String,
    },
    /// A new item, or new content for one that is there.
    Put {
        /// Where, if new; an existing item stays where it is.
        container: String,
        /// Which.
        id: String,
        /// Its name.
        name: String,
        /// Its parts.
        parts: BTreeMap<String, Content>,
    },
    /// Same content, another property and change key: as when a mail is marked read.
    Touch {
        /// Which.
        id: String,
    },
    /// Another name.
    Rename {
        /// Which.
        id: String,
        /// Its new name.
        name: String,
    },
    /// An item goes into another container. Its id and change key stay.
    Move {
        /// Which.
        id: String,
        /// Where to.
        to: String,
    },
    /// An item goes into another container and comes back; its own container afterwards reports only that it went.
    LostMove {
        /// Which.
        id: String,
        /// The other container.
        via: String,
    },
    /// An item goes away.
    Remove {
        /// Which.
        id: String,
    },
    /// The source forgets the cursor of this container: its next round is a full one.
    Expire {
        /// Which container.
        container: String,
    },
    /// The source forgets all cursors.
    ExpireAll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Here,
    Gone,
}

#[derive(Debug)]
struct Event {
    sequence: u64,
    container: String,
    item: String,
    seen: Seen,
}

/// What a round of changes says about one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Here(String),
    Gone(String),
}

/// Everything the source is and remembers.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) containers: BTreeMap<String, Container>,
    pub(super) items: BTreeMap<String, Item>,
    pub(super) sequence: u64,
    events: Vec<Event>,
    expired: BTreeMap<String, u64>,
    expired_all: u64,
    /// Every state an item ever had, with the sequence number from which on it had it.
    pub(super) history: BTreeMap<String, Vec<(u64, Item)>>,
    /// Sequence number at which an item went away.
    pub(super) removed: BTreeMap<String, u64>,
    /// Sequence number of the last edit of a container.
    pub(super) container_changed: BTreeMap<String, u64>,
    keyless: bool,
}

impl Source {
    pub(super) fn new(keyless: bool) -> Self {
        Self {
            keyless,
            ..Self::default()
        }
    }

    /// Applies an edit; says whether it made sense and did anything.
    pub(super) fn apply(&mut self, edit: &Edit) -> bool {
        self.sequence += 1;
        let sequence = self.sequence;
        match edit {
            Edit::AddContainer { id, parent, name } => {
                if id.is_empty() || self.containers.contains_key(id) || !self.holds_container(parent) {
                    return false;
                }
                self.containers.insert(
                    id.clone(),
                    Container {
                        parent: parent.clone(),
                        name: name.clone(),
                    },
                );
                self.container_changed.insert(id.clone(), sequence);
            }
            Edit::RenameContainer { id, name } => {
                let Some(container) = self.containers.get_mut(id) else {
                    return false;
                };
                name.clone_into(&mut container.name);
                self.container_changed.insert(id.clone(), sequence);
            }
            Edit::MoveContainer { id, parent } => {
                if !self.containers.contains_key(id)
                    || !self.holds_container(parent)
                    || self.below(id).contains(parent.as_str())
                {
                    return false;
                }
                if let Some(container) = self.containers.get_mut(id) {
                    parent.clone_into(&mut container.parent);
                }
                self.container_changed.insert(id.clone(), sequence);
            }
            Edit::RemoveContainer { id } => {
                if !self.containers.contains_key(id) {
                    return false;
                }
                let doomed: BTreeSet<String> = self.below(id).into_iter().map(str::to_owned).collect();
                let items: Vec<String> = self
                    .items
                    .values()
                    .filter(|item| doomed.contains(&item.container))
                    .map(|item| item.id.clone())
                    .collect();
                for item in items {
                    self.items.remove(&item);
                    self.removed.insert(item, sequence);
                }
                for container in doomed {
                    self.containers.remove(&container);
                    self.container_changed.insert(container, sequence);
                }
            }
            Edit::Put {
                container,
                id,
                name,
                parts,
            } => {
                if let Some(item) = self.items.get_mut(id) {
                    item.version += 1;
                    name.clone_into(&mut item.name);
                    item.parts.clone_from(parts);
                } else {
                    if !self.holds_container(container) || self.removed.contains_key(id) {
                        return false;
                    }
                    let item = Item {
                        id: id.clone(),
                        container: container.clone(),
                        name: name.clone(),
                        version: 1,
                        parts: parts.clone(),
                        properties: BTreeMap::new(),
                    };
                    self.items.insert(id.clone(), item);
                }
                self.changed(id);
            }
            Edit::Touch { id } => {
                let Some(item) = self.items.get_mut(id) else {
                    return false;
                };
                item.version += 1;
                item.properties
                    .insert("read".to_owned(), format!("{}", item.version));
                self.changed(id);
            }
            Edit::Rename { id, name } => {
                let Some(item) = self.items.get_mut(id) else {
                    return false;
                };
                item.version += 1;
                name.clone_into(&mut item.name);
                self.changed(id);
            }
            Edit::Move { id, to } => {
                if !self.holds_container(to) {
                    return false;
                }
                let Some(item) = self.items.get_mut(id) else {
                    return false;
                };
                if item.container == *to {
                    return false;
                }
                let from = std::mem::replace(&mut item.container, to.clone());
                self.event(&from, id, Seen::Gone);
                self.changed(id);
            }
            Edit::LostMove { id, via } => {
                let Some(item) = self.items.get(id) else {
                    return false;
                };
                let home = item.container.clone();
                if home == *via || !self.holds_container(via) {
                    return false;
                }
                self.event(&home, id, Seen::Gone);
                self.event(via, id, Seen::Here);
                self.event(via, id, Seen::Gone);
                self.remember(id);
            }
            Edit::Remove { id } => {
                let Some(item) = self.items.remove(id) else {
                    return false;
                };
                self.event(&item.container, id, Seen::Gone);
                self.removed.insert(id.clone(), sequence);
            }
            Edit::Expire { container } => {
                self.expired.insert(container.clone(), sequence);
            }
            Edit::ExpireAll => self.expired_all = sequence,
        }
        true
    }

    fn holds_container(&self, id: &str) -> bool {
        id.is_empty() || self.containers.contains_key(id)
    }

    /// The container and everything below it.
    fn below<'a>(&'a self, id: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::from([id]);
        loop {
            let before = found.len();
            for (id, container) in &self.containers {
                if found.contains(container.parent.as_str()) {
                    found.insert(id);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    fn event(&mut self, container: &str, item: &str, seen: Seen) {
        let event = Event {
            sequence: self.sequence,
            container: container.to_owned(),
            item: item.to_owned(),
            seen,
        };
        self.events.push(event);
    }

    fn changed(&mut self, id: &str) {
        if let Some(container) = self.items.get(id).map(|item| item.container.clone()) {
            self.event(&container, id, Seen::Here);
        }
        self.remember(id);
    }

    fn remember(&mut self, id: &str) {
        if let Some(item) = self.items.get(id) {
            self.history
                .entry(id.to_owned())
                .or_default()
                .push((self.sequence, item.clone()));
        }
    }

    /// Whether a cursor of this container, taken at `position`, has expired.
    pub(super) fn has_expired(&self, container: &str, position: u64) -> bool {
        position < self.expired_all
            || self
                .expired
                .get(container)
                .is_some_and(|expired| position < *expired)
    }

    /// What happened in `container` after `position`: each item once, the last event counts.
    pub(super) fn delta(&self, container: &str, position: u64) -> Vec<Told> {
        let mut last = BTreeMap::new();
        for (order, event) in self.events.iter().enumerate() {
            if event.container == container && event.sequence > position {
                last.insert(event.item.as_str(), (order, event.seen));
            }
        }
        let mut told: Vec<_> = last.into_iter().collect();
        told.sort_by_key(|(_, (order, _))| *order);
        told.into_iter()
            .map(|(id, (_, seen))| match seen {
                Seen::Here => Told::Here(id.to_owned()),
                Seen::Gone => Told::Gone(id.to_owned()),
            })
            .collect()
    }

    /// Everything that happened to an item or to its containers' cursors, for a person who looks into a failure.
    pub(super) fn biography(&self, id: &str) -> Vec<(u64, String)> {
        let mut lines: Vec<(u64, String)> = Vec::new();
        let mut containers = BTreeSet::new();
        for event in self.events.iter().filter(|event| event.item == id) {
            lines.push((event.sequence, format!("{:?} {}", event.seen, event.container)));
            containers.insert(&event.container);
        }
        for (at, item) in self.history.get(id).into_iter().flatten() {
            lines.push((
                *at,
                format!("in {} '{}' v{}", item.container, item.name, item.version),
            ));
        }
        if let Some(at) = self.removed.get(id) {
            lines.push((*at, "removed".to_owned()));
        }
        for container in containers {
            if let Some(at) = self.container_changed.get(container) {
                lines.push((*at, format!("container {container} changed last")));
            }
            if let Some(at) = self.expired.get(container) {
                lines.push((*at, format!("cursor of {container} expired last")));
            }
        }
        lines.push((self.expired_all, "all cursors expired last".to_owned()));
        lines.sort();
        lines
    }

    /// Ids of the items in `container` that come after `after` in the order of a full round.
    pub(super) fn next_in(&self, container: &str, after: Option<&str>) -> Option<String> {
        self.items
            .values()
            .find(|item| item.container == container && after.is_none_or(|after| item.id.as_str() > after))
            .map(|item| item.id.clone())
    }

    /// The head's change key: absent where the source has none.
    pub(super) fn change_key(&self, item: &Item) -> Option<String> {
        (!self.keyless).then(|| format!("v{}", item.version))
    }

    /// The source's own record of an item.
    pub(super) fn raw(item: &Item) -> Bytes {
        let json = serde_json::json!({
            "id": item.id,
            "subject": item.name,
            "changeKey": item.version,
            "properties": item.properties,
        });
        json.to_string().into_bytes().into()
    }

    pub(super) fn logical_item(&self, item: &Item) -> LogicalItem {
        let mut parts: BTreeMap<String, Digest> = item
            .parts
            .iter()
            .map(|(name, content)| (name.clone(), content.digest()))
            .collect();
        parts.insert("json".to_owned(), Digest::of(&Self::raw(item)));
        LogicalItem {
            name: item.name.clone(),
            change_key: self.change_key(item),
            properties: item.properties.clone(),
            parts,
        }
    }

    /// All of it, as a recovery point must hold it.
    pub(super) fn truth(&self) -> LogicalContent {
        let containers = self.containers.iter().map(|(id, container)| {
            let place = (container.parent.clone(), id.clone());
            (
                place,
                LogicalContainer {
                    name: container.name.clone(),
                },
            )
        });
        let items = self
            .items
            .values()
            .map(|item| ((item.container.clone(), item.id.clone()), self.logical_item(item)));
        LogicalContent {
            containers: containers.collect(),
            items: items.collect(),
        }
    }
}
