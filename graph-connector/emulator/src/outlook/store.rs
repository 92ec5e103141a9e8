//! Containers and the items in them, every change with a version of its own.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::http::reply::GraphError;
use crate::ids;
use crate::mail::mailbox::{Entry, Refused};
use crate::mail::message::property_key;
use crate::random::key;

/// Serial of the standard container, which cannot be deleted.
pub(crate) const STANDARD: u32 = 1;

/// Properties of an item or a container as they were set.
pub(crate) type Object = Map<String, Value>;

/// A contact folder or something of its rank.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub serial: u32,
    /// 0: what is above the standard container.
    pub parent: u32,
    pub name: String,
    /// What else is known of it, such as the group and the owner of a calendar.
    pub fields: Object,
    /// Present items by the version of their last change.
    pub by_version: BTreeMap<u64, u32>,
    /// Items that left, by the version at which they did: item and the place it had.
    pub left: BTreeMap<u64, (u32, u32)>,
    /// Delta tokens of another epoch are refused.
    pub epoch: u32,
}

/// A file that is attached to an event.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub number: u32,
    pub name: String,
    pub kind: String,
    pub inline: bool,
    pub content_id: Option<String>,
    pub bytes: Bytes,
}

/// A day of a series that is not as the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exception {
    pub fields: Object,
    pub version: u64,
}

/// What differs on single days of a series, by the local day on which each occurrence was to begin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    pub exceptions: BTreeMap<NaiveDate, Exception>,
    pub cancelled: BTreeSet<NaiveDate>,
}

/// One item.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub serial: u32,
    pub container: u32,
    /// Changes at every move: part of the default id.
    pub place: u32,
    pub version: u64,
    /// Unix milliseconds.
    pub created: i64,
    pub modified: i64,
    /// What a client set, or an edit put there.
    pub fields: Object,
    /// MAPI properties by id.
    pub properties: Vec<(String, Value)>,
    pub photo: Option<Bytes>,
    /// What differs on single days of a series.
    pub series: Series,
    pub attachments: Vec<Attachment>,
    /// It lies in Deleted Items: no container shows it, its id still finds it.
    pub deleted: bool,
}

impl Item {
    /// A MAPI property that was set.
    pub(crate) fn property(&self, id: &str) -> Option<&Value> {
        let wanted = property_key(id);
        let found = self
            .properties
            .iter()
            .find(|(name, _)| property_key(name) == wanted);
        found.map(|(_, value)| value)
    }

    /// Sets fields of the item, or with a day those of one occurrence of a series.
    pub(crate) fn extend(&mut self, day: Option<NaiveDate>, fields: Object, version: u64) {
        let Some(day) = day else {
            self.fields.extend(fields);
            return;
        };
        let exception = self.series.exceptions.entry(day).or_default();
        exception.fields.extend(fields);
        exception.version = version;
    }

    /// Those of the MAPI properties `wanted` that were set, as Graph tells them; none if none was.
    pub(crate) fn expanded(&self, wanted: &[String]) -> Option<Value> {
        let values: Vec<Value> = self
            .properties
            .iter()
            .filter(|(id, _)| wanted.iter().any(|one| property_key(one) == property_key(id)))
            .map(|(id, value)| json!({"id": id, "value": value}))
            .collect();
        (!values.is_empty()).then_some(Value::Array(values))
    }

    pub(crate) fn set_properties(&mut self, properties: Vec<(String, Value)>) {
        for (id, value) in properties {
            self.properties
                .retain(|(name, _)| property_key(name) != property_key(&id));
            self.properties.push((id, value));
        }
    }
}

/// All containers and items of one kind of a mailbox.
#[derive(Debug)]
pub(crate) struct Store {
    pub key: u64,
    clock: Clock,
    pub version: u64,
    place: u32,
    containers: BTreeMap<u32, Container>,
    items: BTreeMap<u32, Item>,
    made: (u32, u32),
    /// Deleted items stay readable by their id.
    pub keep_deleted: bool,
    /// Messages that a real service would have sent to attendees.
    pub invitations: u64,
}

impl Store {
    /// An empty store; `name` is that of the standard container.
    pub(crate) fn new(mailbox: u64, kind: u64, name: &str, clock: Clock) -> Self {
        let mut store = Self {
            key: key(&[mailbox, kind, 61]),
            clock,
            version: 0,
            place: 0,
            containers: BTreeMap::new(),
            items: BTreeMap::new(),
            made: (0, 0),
            keep_deleted: false,
            invitations: 0,
        };
        store.push_container(0, name);
        store
    }

    fn push_container(&mut self, parent: u32, name: &str) -> u32 {
        self.made.0 += 1;
        self.version += 1;
        let serial = self.made.0;
        self.containers.insert(
            serial,
            Container {
                serial,
                parent,
                name: name.to_owned(),
                fields: Object::new(),
                by_version: BTreeMap::new(),
                left: BTreeMap::new(),
                epoch: 0,
            },
        );
        serial
    }

    pub(crate) fn container(&self, serial: u32) -> Option<&Container> {
        self.containers.get(&serial)
    }

    pub(crate) fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.values()
    }

    pub(crate) fn container_mut(&mut self, serial: u32) -> Option<&mut Container> {
        self.containers.get_mut(&serial)
    }

    pub(crate) fn container_id(&self, serial: u32) -> String {
        ids::folder(self.key, serial)
    }

    /// A container by its id.
    pub(crate) fn find_container(&self, id: &str) -> Option<u32> {
        let serial = ids::parse_folder(self.key, id)?;
        self.containers.contains_key(&serial).then_some(serial)
    }

    /// A container by its id, as Exchange answers.
    pub(crate) fn container_of(&self, id: &str) -> Result<u32, GraphError> {
        let well_formed = ids::parse_folder(self.key, id).is_some();
        self.find_container(id)
            .ok_or_else(|| GraphError::no_such(well_formed))
    }

    pub(crate) fn create_container(&mut self, parent: u32, name: &str) -> Result<u32, Refused> {
        self.container(parent).ok_or(Refused::FolderNotFound)?;
        self.name_free(parent, name, 0)?;
        Ok(self.push_container(parent, name))
    }

    fn name_free(&self, parent: u32, name: &str, except: u32) -> Result<(), Refused> {
        let lower = name.to_lowercase();
        let taken = self
            .containers()
            .any(|one| one.parent == parent && one.serial != except && one.name.to_lowercase() == lower);
        if taken { Err(Refused::NameTaken) } else { Ok(()) }
    }

    pub(crate) fn rename_container(&mut self, serial: u32, name: &str) -> Result<(), Refused> {
        let parent = self.container(serial).ok_or(Refused::FolderNotFound)?.parent;
        self.name_free(parent, name, serial)?;
        self.version += 1;
        if let Some(container) = self.containers.get_mut(&serial) {
            name.clone_into(&mut container.name);
        }
        Ok(())
    }

    /// Deletes a container with what is below it.
    pub(crate) fn delete_container(&mut self, serial: u32) -> Result<(), Refused> {
        self.container(serial).ok_or(Refused::FolderNotFound)?;
        if serial == STANDARD {
            return Err(Refused::WellKnown);
        }
        let children: Vec<u32> = self
            .containers()
            .filter(|one| one.parent == serial)
            .map(|one| one.serial)
            .collect();
        for child in children {
            self.delete_container(child)?;
        }
        let items: Vec<u32> = self.in_container(serial).map(|item| item.serial).collect();
        for item in items {
            self.delete(item)?;
        }
        self.version += 1;
        self.containers.remove(&serial);
        Ok(())
    }

    /// Present items.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values().filter(|item| !item.deleted)
    }

    pub(crate) fn in_container(&self, serial: u32) -> impl Iterator<Item = &Item> {
        self.items().filter(move |item| item.container == serial)
    }

    /// An item, deleted ones too.
    pub(crate) fn item(&self, serial: u32) -> Option<&Item> {
        self.items.get(&serial)
    }

    pub(crate) fn item_id(&self, item: &Item, immutable: bool) -> String {
        ids::message(self.key, item.serial, item.place, immutable)
    }

    /// An item by either form of its id.
    pub(crate) fn find_item(&self, id: &str) -> Result<&Item, Refused> {
        let (serial, place) = match ids::parse_message(self.key, id).ok_or(Refused::NotFound)? {
            ids::ItemRef::Mutable { serial, place } => (serial, Some(place)),
            ids::ItemRef::Immutable { serial } => (serial, None),
        };
        self.items
            .get(&serial)
            .filter(|item| place.is_none_or(|place| place == item.place))
            .ok_or(Refused::NotFound)
    }

    pub(crate) fn create(
        &mut self,
        container: u32,
        fields: Object,
        properties: Vec<(String, Value)>,
    ) -> Result<u32, Refused> {
        self.container(container).ok_or(Refused::FolderNotFound)?;
        self.made.1 += 1;
        let serial = self.made.1;
        let now = self.clock.now();
        self.items.insert(
            serial,
            Item {
                serial,
                container,
                place: 0,
                version: 0,
                created: now,
                modified: now,
                fields,
                properties: Vec::new(),
                photo: None,
                series: Series::default(),
                attachments: Vec::new(),
                deleted: false,
            },
        );
        self.enter(serial, container);
        self.edit_silently(serial, |item| item.set_properties(properties))?;
        Ok(serial)
    }

    /// Puts an item into a container as of now.
    fn enter(&mut self, serial: u32, container: u32) {
        self.version += 1;
        self.place += 1;
        let (version, place) = (self.version, self.place);
        if let Some(item) = self.items.get_mut(&serial) {
            item.container = container;
            item.version = version;
            item.place = place;
        }
        if let Some(container) = self.containers.get_mut(&container) {
            container.by_version.insert(version, serial);
        }
    }

    fn leave(&mut self, serial: u32) -> Result<(), Refused> {
        let (from, place, version) = self
            .item(serial)
            .filter(|item| !item.deleted)
            .map(|item| (item.container, item.place, item.version))
            .ok_or(Refused::NotFound)?;
        self.version += 1;
        let now = self.version;
        if let Some(container) = self.containers.get_mut(&from) {
            container.by_version.remove(&version);
            container.left.insert(now, (serial, place));
        }
        Ok(())
    }

    /// Changes an item: a new version of it.
    pub(crate) fn edit(&mut self, serial: u32, edit: impl FnOnce(&mut Item)) -> Result<(), Refused> {
        let now = self.clock.now();
        self.version += 1;
        let version = self.version;
        let item = self
            .items
            .get_mut(&serial)
            .filter(|item| !item.deleted)
            .ok_or(Refused::NotFound)?;
        edit(item);
        item.modified = now;
        let (old, home) = (std::mem::replace(&mut item.version, version), item.container);
        if let Some(container) = self.containers.get_mut(&home) {
            container.by_version.remove(&old);
            container.by_version.insert(version, serial);
        }
        Ok(())
    }

    /// Changes what is no part of the item's versions, such as its photo.
    pub(crate) fn edit_silently(&mut self, serial: u32, edit: impl FnOnce(&mut Item)) -> Result<(), Refused> {
        edit(self.items.get_mut(&serial).ok_or(Refused::NotFound)?);
        Ok(())
    }

    pub(crate) fn relocate(&mut self, serial: u32, to: u32) -> Result<(), Refused> {
        self.container(to).ok_or(Refused::FolderNotFound)?;
        self.leave(serial)?;
        self.enter(serial, to);
        Ok(())
    }

    pub(crate) fn delete(&mut self, serial: u32) -> Result<(), Refused> {
        self.leave(serial)?;
        if self.keep_deleted {
            return self.edit_silently(serial, |item| item.deleted = true);
        }
        self.items.remove(&serial);
        Ok(())
    }

    /// Changes of a container after `after`; removals only after `begun`. And whether more follow.
    pub(crate) fn delta(
        &self,
        container: &Container,
        after: u64,
        begun: u64,
        size: usize,
    ) -> (Vec<Entry>, bool) {
        let present = container
            .by_version
            .range(after + 1..)
            .map(|(version, serial)| Entry {
                version: *version,
                serial: *serial,
                left: None,
            });
        let left = container
            .left
            .range(after.max(begun) + 1..)
            .map(|(version, (serial, place))| Entry {
                version: *version,
                serial: *serial,
                left: Some(*place),
            });
        let mut all: Vec<Entry> = present.chain(left).collect();
        all.sort_unstable_by_key(|entry| entry.version);
        let more = all.len() > size;
        all.truncate(size);
        (all, more)
    }

    /// All delta tokens of this store become unknown.
    pub(crate) fn expire_delta(&mut self) {
        for container in self.containers.values_mut() {
            container.epoch += 1;
        }
    }
}
