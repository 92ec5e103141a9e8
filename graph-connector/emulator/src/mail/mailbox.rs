//! The state of one mailbox and every change of it. No HTTP and no JSON of Graph here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Clock;
use crate::generate::Generator;
use crate::ids;
use crate::mail::build::{self, Mime};
use crate::mail::folder::{Folder, Search};
use crate::mail::message::{Content, Msg, property_key};
use crate::mail::parse;
use crate::mail::view::View;
use crate::outlook::store::Store;
use crate::random::{key, text_key};

/// Serial of the root that Graph does not show.
pub(crate) const ROOT: u32 = 1;
/// Serial of `msgfolderroot`.
pub(crate) const TOP: u32 = 2;

/// Why a change was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NotFound,
    FolderNotFound,
    NameTaken,
    WellKnown,
    Cycle,
}

/// One entry of a delta page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub version: u64,
    pub serial: u32,
    /// `Some(place)`: it left.
    pub left: Option<u32>,
}

/// One mailbox.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub key: u64,
    pub generator: Arc<Generator>,
    pub clock: Clock,
    pub folders: Vec<Option<Folder>>,
    pub messages: Vec<Option<Msg>>,
    /// Version counter: one for each change.
    pub version: u64,
    place: u32,
    /// Folders by version of their last change, and removed ones.
    pub folders_by_version: BTreeMap<u64, u32>,
    pub folders_left: BTreeMap<u64, u32>,
    pub folder_epoch: u32,
    pub by_received: BTreeSet<(i64, u32)>,
    /// Hash of internetMessageId to items, for messages that are not generated.
    message_ids: HashMap<u64, Vec<u32>>,
    /// Hash of (property, value) to items.
    marks: HashMap<u64, Vec<u32>>,
    /// Items that answer every read with `ErrorCorruptData`.
    pub corrupt: BTreeSet<u32>,
    /// Answers `$value` with MIME rebuilt from the parsed message even when it was loaded.
    pub rebuild_mime: bool,
    /// Reproduces the loss of an item that left a folder and came back between two rounds.
    pub lose_round_trips: bool,
    /// Contacts, beside the mail.
    pub contacts: Store,
    /// Calendars and events, beside the mail.
    pub calendars: Store,
}

impl Mailbox {
    pub(crate) fn new(key: u64, generator: Arc<Generator>, clock: Clock) -> Self {
        let mut mailbox = Self {
            contacts: Store::new(key, 1, "Contacts", clock.clone()),
            calendars: Store::new(key, 2, "Calendar", clock.clone()),
            key,
            generator,
            clock,
            folders: vec![None],
            messages: vec![None],
            version: 0,
            place: 0,
            folders_by_version: BTreeMap::new(),
            folders_left: BTreeMap::new(),
            folder_epoch: 0,
            by_received: BTreeSet::new(),
            message_ids: HashMap::new(),
            marks: HashMap::new(),
            corrupt: BTreeSet::new(),
            rebuild_mime: false,
            lose_round_trips: false,
        };
        const WELL_KNOWN: [(&str, u32, &str); 13] = [
            ("root", 0, "root"),
            ("msgfolderroot", ROOT, "Top of Information Store"),
            ("inbox", TOP, "Inbox"),
            ("drafts", TOP, "Drafts"),
            ("sentitems", TOP, "Sent Items"),
            ("deleteditems", TOP, "Deleted Items"),
            ("junkemail", TOP, "Junk Email"),
            ("outbox", TOP, "Outbox"),
            ("archive", TOP, "Archive"),
            ("conversationhistory", TOP, "Conversation History"),
            ("searchfolders", ROOT, "Finder"),
            ("recoverableitemsroot", ROOT, "Recoverable Items"),
            ("recoverableitemsdeletions", 12, "Deletions"),
        ];
        for (name, parent, shown) in WELL_KNOWN {
            let serial = mailbox.insert_folder(parent, shown, false);
            if let Some(folder) = mailbox.folder_mut(serial) {
                folder.well_known = Some(name);
            }
        }
        mailbox
    }

    // ----- folders

    pub(crate) fn folder(&self, serial: u32) -> Option<&Folder> {
        self.folders.get(serial as usize)?.as_ref()
    }

    pub(crate) fn folder_mut(&mut self, serial: u32) -> Option<&mut Folder> {
        self.folders.get_mut(serial as usize)?.as_mut()
    }

    /// A folder by id or well-known name (any case).
    pub(crate) fn find_folder(&self, id: &str) -> Option<u32> {
        let lower = id.to_ascii_lowercase();
        if let Some(folder) = self
            .folders
            .iter()
            .flatten()
            .find(|f| f.well_known == Some(lower.as_str()))
        {
            return Some(folder.serial);
        }
        let serial = ids::parse_folder(self.key, id)?;
        self.folder(serial).map(|f| f.serial)
    }

    pub(crate) fn folder_id(&self, serial: u32) -> String {
        ids::folder(self.key, serial)
    }

    /// Children in the order in which they were made.
    pub(crate) fn children(&self, parent: u32) -> impl Iterator<Item = &Folder> {
        self.folders.iter().flatten().filter(move |f| f.parent == parent)
    }

    /// True below `msgfolderroot`: what the folder delta covers.
    pub(crate) fn visible_tree(&self, serial: u32) -> bool {
        let mut at = serial;
        for _ in 0..1000 {
            match self.folder(at) {
                Some(f) if f.parent == TOP => return true,
                Some(f) if f.parent != 0 => at = f.parent,
                _ => return false,
            }
        }
        false
    }

    fn insert_folder(&mut self, parent: u32, name: &str, hidden: bool) -> u32 {
        let serial = self.folders.len() as u32;
        let mut folder = Folder::new(serial, parent, name);
        folder.hidden = hidden;
        self.version += 1;
        folder.version = self.version;
        self.folders_by_version.insert(self.version, serial);
        self.folders.push(Some(folder));
        serial
    }

    fn name_taken(&self, parent: u32, name: &str, except: u32) -> bool {
        let name = name.to_lowercase();
        self.children(parent)
            .any(|f| f.serial != except && f.name.to_lowercase() == name)
    }

    pub(crate) fn create_folder(&mut self, parent: u32, name: &str, hidden: bool) -> Result<u32, Refused> {
        self.folder(parent).ok_or(Refused::FolderNotFound)?;
        if self.name_taken(parent, name, 0) {
            return Err(Refused::NameTaken);
        }
        Ok(self.insert_folder(parent, name, hidden))
    }

    /// Adds a search folder over `sources`.
    pub(crate) fn create_search(&mut self, name: &str, sources: Vec<u32>, query: &str) -> u32 {
        let serial = self.insert_folder(TOP, name, false);
        if let Some(folder) = self.folder_mut(serial) {
            folder.search = Some(Search {
                sources,
                query: query.to_owned(),
            });
        }
        serial
    }

    fn touch_folder(&mut self, serial: u32) {
        self.version += 1;
        let version = self.version;
        if let Some(folder) = self.folder_mut(serial) {
            let old = std::mem::replace(&mut folder.version, version);
            self.folders_by_version.remove(&old);
            self.folders_by_version.insert(version, serial);
        }
    }

    pub(crate) fn rename_folder(&mut self, serial: u32, name: &str) -> Result<(), Refused> {
        let folder = self.folder(serial).ok_or(Refused::FolderNotFound)?;
        if folder.well_known.is_some() {
            return Err(Refused::WellKnown);
        }
        if self.name_taken(folder.parent, name, serial) {
            return Err(Refused::NameTaken);
        }
        if let Some(folder) = self.folder_mut(serial) {
            folder.name = name.to_owned();
        }
        self.touch_folder(serial);
        Ok(())
    }

    pub(crate) fn move_folder(&mut self, serial: u32, parent: u32) -> Result<(), Refused> {
        let folder = self.folder(serial).ok_or(Refused::FolderNotFound)?;
        if folder.well_known.is_some() {
            return Err(Refused::WellKnown);
        }
        self.folder(parent).ok_or(Refused::FolderNotFound)?;
        if self.within(parent, serial) {
            return Err(Refused::Cycle);
        }
        if self.name_taken(
            parent,
            &self.folder(serial).map(|f| f.name.clone()).unwrap_or_default(),
            serial,
        ) {
            return Err(Refused::NameTaken);
        }
        if let Some(folder) = self.folder_mut(serial) {
            folder.parent = parent;
        }
        self.touch_folder(serial);
        Ok(())
    }

    /// True when `inner` is `outer` or lies below it.
    fn within(&self, inner: u32, outer: u32) -> bool {
        let mut at = inner;
        while at != 0 && at != outer {
            at = self.folder(at).map_or(0, |f| f.parent);
        }
        at == outer
    }

    /// Copies a folder with its messages and subfolders.
    pub(crate) fn copy_folder(&mut self, serial: u32, parent: u32) -> Result<u32, Refused> {
        let source = self.folder(serial).ok_or(Refused::FolderNotFound)?.clone();
        if self.within(parent, serial) {
            return Err(Refused::Cycle);
        }
        let copy = self.create_folder(parent, &source.name, source.hidden)?;
        let items: Vec<u32> = source.by_received.iter().map(|x| x.1).collect();
        for item in items {
            self.copy_message(item, copy)?;
        }
        let children: Vec<u32> = self
            .children(serial)
            .map(|f| f.serial)
            .filter(|child| *child != copy)
            .collect();
        for child in children {
            self.copy_folder(child, copy)?;
        }
        Ok(copy)
    }

    /// Deletes as Graph does: first into Deleted Items, from there for good.
    pub(crate) fn delete_folder(&mut self, serial: u32) -> Result<(), Refused> {
        let folder = self.folder(serial).ok_or(Refused::FolderNotFound)?;
        if folder.well_known.is_some() {
            return Err(Refused::WellKnown);
        }
        let bin = self.find_folder("deleteditems").ok_or(Refused::FolderNotFound)?;
        if self.within(folder.parent, bin) {
            return self.purge_folder(serial);
        }
        // A name that is taken there gets a number.
        let name = folder.name.clone();
        let free = (1..).map(|n| {
            if n == 1 {
                name.clone()
            } else {
                format!("{name}{n}")
            }
        });
        let free = free
            .into_iter()
            .find(|n| !self.name_taken(bin, n, serial))
            .unwrap_or(name);
        if let Some(folder) = self.folder_mut(serial) {
            folder.name = free;
            folder.parent = bin;
        }
        self.touch_folder(serial);
        Ok(())
    }

    /// Removes a folder, its subfolders and their messages for good.
    pub(crate) fn purge_folder(&mut self, serial: u32) -> Result<(), Refused> {
        let folder = self.folder(serial).ok_or(Refused::FolderNotFound)?;
        if folder.well_known.is_some() {
            return Err(Refused::WellKnown);
        }
        let items: Vec<u32> = folder.by_received.iter().map(|x| x.1).collect();
        let children: Vec<u32> = self.children(serial).map(|f| f.serial).collect();
        for child in children {
            self.purge_folder(child)?;
        }
        for item in items {
            self.purge_message(item)?;
        }
        if let Some(folder) = self.folders.get_mut(serial as usize).and_then(Option::take) {
            self.version += 1;
            self.folders_by_version.remove(&folder.version);
            self.folders_left.insert(self.version, serial);
        }
        Ok(())
    }

    // ----- messages

    pub(crate) fn message(&self, serial: u32) -> Option<&Msg> {
        self.messages.get(serial as usize)?.as_ref()
    }

    /// A message by an id of either form. `Err(true)`: the id is malformed.
    pub(crate) fn find_message(&self, id: &str) -> Result<u32, bool> {
        let found = match ids::parse_message(self.key, id).ok_or(true)? {
            ids::ItemRef::Immutable { serial } => self.message(serial).map(|_| serial),
            ids::ItemRef::Mutable { serial, place } => {
                self.message(serial).filter(|m| m.place == place).map(|_| serial)
            }
        };
        found.ok_or(false)
    }

    pub(crate) fn message_id(&self, serial: u32, immutable: bool) -> String {
        let place = self.message(serial).map_or(0, |m| m.place);
        ids::message(self.key, serial, place, immutable)
    }

    /// Puts a new message into `folder`. Times in Unix milliseconds.
    pub(crate) fn insert(
        &mut self,
        folder: u32,
        content: Content,
        received: i64,
        read: bool,
        draft: bool,
    ) -> u32 {
        let serial = self.messages.len() as u32;
        let created = match content {
            Content::Generated(_) => received,
            _ => self.clock.now(),
        };
        self.messages.push(Some(Msg {
            content,
            folder,
            place: 0,
            entered: 0,
            version: 0,
            received,
            created,
            modified: created,
            read,
            draft,
            over: None,
        }));
        self.place_in(serial, folder);
        if !matches!(
            self.message(serial).map(|m| &m.content),
            Some(Content::Generated(_))
        ) {
            self.index_message(serial);
        }
        serial
    }

    /// Makes a message findable by its Message-ID and its MAPI properties.
    pub(crate) fn index_message(&mut self, serial: u32) {
        let Some(message) = self.message(serial) else {
            return;
        };
        let mut marks: Vec<u64> = Vec::new();
        for (id, value) in message.over.iter().flat_map(|o| &o.properties) {
            if let Some(value) = value.as_str() {
                marks.push(mark_key(id, value));
            }
        }
        let id = match &message.content {
            Content::Generated(_) => None,
            _ => self
                .view(serial)
                .and_then(|v| v.message_id.as_deref().map(text_key)),
        };
        for mark in marks {
            self.marks.entry(mark).or_default().push(serial);
        }
        if let Some(id) = id {
            self.message_ids.entry(id).or_default().push(serial);
        }
    }

    fn place_in(&mut self, serial: u32, folder: u32) {
        self.version += 1;
        self.place += 1;
        let (version, place) = (self.version, self.place);
        let Some(message) = self.messages.get_mut(serial as usize).and_then(Option::as_mut) else {
            return;
        };
        message.folder = folder;
        message.place = place;
        message.entered = version;
        message.version = version;
        let (received, unread) = (message.received, !message.read);
        self.by_received.insert((-received, serial));
        let lose = self.lose_round_trips;
        if let Some(folder) = self.folder_mut(folder) {
            folder.by_received.insert((-received, serial));
            let came_back = lose && folder.left.values().any(|(s, _)| *s == serial);
            if !came_back {
                folder.by_version.insert(version, serial);
            }
            folder.unread += u32::from(unread);
        }
    }

    fn take_out(&mut self, serial: u32) {
        self.version += 1;
        let version = self.version;
        let Some(message) = self.message(serial) else {
            return;
        };
        let (old, place, received, unread, folder) = (
            message.version,
            message.place,
            message.received,
            !message.read,
            message.folder,
        );
        self.by_received.remove(&(-received, serial));
        if let Some(folder) = self.folder_mut(folder) {
            folder.by_version.remove(&old);
            folder.by_received.remove(&(-received, serial));
            folder.left.insert(version, (serial, place));
            folder.unread = folder.unread.saturating_sub(u32::from(unread));
        }
    }

    /// Changes a message in place and gives it a new version.
    pub(crate) fn change<R>(&mut self, serial: u32, edit: impl FnOnce(&mut Msg) -> R) -> Result<R, Refused> {
        self.version += 1;
        let version = self.version;
        let now = self.clock.now();
        let message = self
            .messages
            .get_mut(serial as usize)
            .and_then(Option::as_mut)
            .ok_or(Refused::NotFound)?;
        let (old, was_read, was_received, folder) =
            (message.version, message.read, message.received, message.folder);
        let result = edit(message);
        message.version = version;
        message.modified = now;
        let (read, received) = (message.read, message.received);
        if received != was_received {
            self.by_received.remove(&(-was_received, serial));
            self.by_received.insert((-received, serial));
        }
        if let Some(folder) = self.folder_mut(folder) {
            folder.by_version.remove(&old);
            folder.by_version.insert(version, serial);
            if received != was_received {
                folder.by_received.remove(&(-was_received, serial));
                folder.by_received.insert((-received, serial));
            }
            match (was_read, read) {
                (true, false) => folder.unread += 1,
                (false, true) => folder.unread = folder.unread.saturating_sub(1),
                _ => {}
            }
        }
        Ok(result)
    }

    pub(crate) fn move_message(&mut self, serial: u32, folder: u32) -> Result<(), Refused> {
        self.message(serial).ok_or(Refused::NotFound)?;
        self.folder(folder)
            .filter(|f| f.search.is_none())
            .ok_or(Refused::FolderNotFound)?;
        self.take_out(serial);
        self.place_in(serial, folder);
        let now = self.clock.now();
        if let Some(message) = self.messages.get_mut(serial as usize).and_then(Option::as_mut) {
            message.modified = now;
        }
        Ok(())
    }

    pub(crate) fn copy_message(&mut self, serial: u32, folder: u32) -> Result<u32, Refused> {
        let source = self.message(serial).ok_or(Refused::NotFound)?.clone();
        self.folder(folder)
            .filter(|f| f.search.is_none())
            .ok_or(Refused::FolderNotFound)?;
        let copy = self.insert(folder, source.content, source.received, source.read, source.draft);
        let now = self.clock.now();
        if let Some(message) = self.messages.get_mut(copy as usize).and_then(Option::as_mut) {
            message.over = source.over;
            message.created = now;
            message.modified = now;
        }
        self.index_message(copy);
        Ok(copy)
    }

    /// Deletes as Graph does: into Deleted Items, from there into Recoverable Items, from there for good.
    pub(crate) fn delete_message(&mut self, serial: u32) -> Result<(), Refused> {
        let folder = self.message(serial).ok_or(Refused::NotFound)?.folder;
        let bin = self.find_folder("deleteditems").ok_or(Refused::FolderNotFound)?;
        let dumpster = self
            .find_folder("recoverableitemsdeletions")
            .ok_or(Refused::FolderNotFound)?;
        if folder == dumpster {
            return self.purge_message(serial);
        }
        self.move_message(serial, if folder == bin { dumpster } else { bin })
    }

    /// Removes a message for good.
    pub(crate) fn purge_message(&mut self, serial: u32) -> Result<(), Refused> {
        self.message(serial).ok_or(Refused::NotFound)?;
        self.take_out(serial);
        if let Some(slot) = self.messages.get_mut(serial as usize) {
            *slot = None;
        }
        Ok(())
    }

    // ----- content

    /// What a message says.
    pub(crate) fn view(&self, serial: u32) -> Option<Arc<View>> {
        Some(view_of(&self.message(serial)?.content, &self.generator))
    }

    /// The MIME of a message.
    pub(crate) fn mime(&self, serial: u32) -> Option<Mime> {
        let message = self.message(serial)?;
        Some(mime_of(
            message,
            &self.generator,
            key(&[self.key, u64::from(serial)]),
            self.rebuild_mime,
        ))
    }

    /// Messages with this Message-ID.
    pub(crate) fn by_message_id(&self, id: &str) -> Vec<u32> {
        let mut found: Vec<u32> = self.message_ids.get(&text_key(id)).cloned().unwrap_or_default();
        found.retain(|s| self.view(*s).is_some_and(|v| v.message_id.as_deref() == Some(id)));
        if let Some((user, index)) = self.generator.index_of(id) {
            // Generated messages stand in the order of their index unless others came between.
            found.extend(self.messages.iter().enumerate().filter_map(
                |(serial, m)| match m.as_ref()?.content {
                    Content::Generated(r) if r.user == user && r.index == index => Some(serial as u32),
                    _ => None,
                },
            ));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Messages with this MAPI property at this value.
    pub(crate) fn by_property(&self, id: &str, value: &str) -> Vec<u32> {
        let mut found: Vec<u32> = self.marks.get(&mark_key(id, value)).cloned().unwrap_or_default();
        found.retain(|s| {
            self.message(*s)
                .and_then(|m| m.property(id))
                .and_then(|v| v.as_str())
                .is_some_and(|v| v == value)
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    // ----- delta

    /// Up to `max` entries of a folder after version `after`, oldest change first. Items that left before
    /// `left_after` are not told. The flag says whether more follow.
    pub(crate) fn delta(&self, folder: u32, after: u64, left_after: u64, max: usize) -> (Vec<Entry>, bool) {
        let Some(folder) = self.folder(folder) else {
            return (vec![], false);
        };
        let mut present = folder.by_version.range(after + 1..).peekable();
        let mut left = folder.left.range(after.max(left_after) + 1..).peekable();
        let mut out = Vec::new();
        loop {
            let next_present = present.peek().map(|(v, s)| (**v, **s));
            let next_left = left.peek().map(|(v, x)| (**v, **x));
            let entry = match (next_present, next_left) {
                (None, None) => return (out, false),
                (Some((v, _)), Some((l, (serial, place)))) if l < v => Entry {
                    version: l,
                    serial,
                    left: Some(place),
                },
                (None, Some((l, (serial, place)))) => Entry {
                    version: l,
                    serial,
                    left: Some(place),
                },
                (Some((version, serial)), _) => Entry {
                    version,
                    serial,
                    left: None,
                },
            };
            if out.len() >= max {
                return (out, true);
            }
            if entry.left.is_some() {
                left.next();
            } else {
                present.next();
            }
            out.push(entry);
        }
    }
}

fn mark_key(id: &str, value: &str) -> u64 {
    key(&[text_key(&property_key(id)), text_key(value)])
}

/// What content says.
pub(crate) fn view_of(content: &Content, generator: &Generator) -> Arc<View> {
    match content {
        Content::Generated(recipe) => Arc::new(generator.view(*recipe)),
        Content::Loaded(raw) => Arc::new(parse::view(raw)),
        Content::Composed(view) => Arc::clone(view),
    }
}

/// The MIME of a message: the bytes it was loaded from, or built from what it says.
pub(crate) fn mime_of(message: &Msg, generator: &Generator, seed: u64, rebuild: bool) -> Mime {
    match &message.content {
        Content::Loaded(raw) if !rebuild => Mime::of(Bytes::clone(raw)),
        Content::Generated(recipe) if !rebuild => generator.mime(*recipe),
        content => {
            let view = view_of(content, generator);
            let block = message
                .property("String 0x007D")
                .and_then(|v| v.as_str())
                .map(build::header_block)
                .filter(|b| !b.is_empty());
            let headers = block.unwrap_or_else(|| {
                let mut view = View::clone(&view);
                let text = |id: &str| message.property(id).and_then(|v| v.as_str()).map(str::to_owned);
                if let Some(id) = text("String 0x1042") {
                    view.in_reply_to = Some(id);
                }
                if let Some(ids) = text("String 0x1039") {
                    view.references = ids.split_whitespace().map(str::to_owned).collect();
                }
                build::header_fields(&view)
            });
            build::message(&view, &headers, seed)
        }
    }
}
