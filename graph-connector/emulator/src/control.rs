//! The typed API: edits of mailboxes while the emulator runs, questions about the truth, faults.

use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::builder::Error;
use crate::faults::{Action, Fault, FaultBody};
use crate::graph::compose;
use crate::graph::json::{self as shape, Shape, Snapshot};
use crate::graph::odata::Select;
use crate::load;
use crate::mail::mailbox::{self, Refused, TOP};
use crate::mail::message::{Content, Recipe};
use crate::world::{User, World};

/// What a message is, by its immutable id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageTruth {
    /// Immutable id.
    pub id: String,
    /// The default id of this moment.
    pub mutable_id: String,
    /// Id of its folder.
    pub folder_id: String,
    /// `changeKey` of this moment.
    pub change_key: String,
    /// Subject, empty when there is none.
    pub subject: String,
    /// `internetMessageId` with brackets, if it has one.
    pub internet_message_id: Option<String>,
    /// Unix milliseconds.
    pub received_ms: i64,
    /// Read state.
    pub is_read: bool,
    /// Draft or not.
    pub is_draft: bool,
    /// Number of attachments of any kind, inline ones included.
    pub attachments: usize,
}

/// What a folder is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FolderTruth {
    /// Id; constant.
    pub id: String,
    /// Id of the parent.
    pub parent_id: String,
    /// Name shown.
    pub name: String,
    /// Names from below the top to the folder, joined with `/` (a `/` in a name stays as it is).
    pub path: String,
    /// `inbox`, `sentitems`, ... for well-known folders.
    pub well_known: Option<String>,
    /// Hidden or not.
    pub hidden: bool,
    /// True for a search folder.
    pub search: bool,
    /// Number of messages in it.
    pub messages: usize,
}

/// A change of a message in place. Several can be given at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Read state.
    Read(bool),
    /// `notFlagged`, `flagged` or `complete`.
    Flag(String),
    /// The categories, replacing what there was.
    Categories(Vec<String>),
    /// The subject. From then on the MIME of the message is rebuilt.
    Subject(String),
    /// A text body. From then on the MIME of the message is rebuilt.
    Body(String),
    /// A MAPI property such as `String {guid} Name X`.
    Property(String, String),
}

/// A mailbox by user. Cheap to clone. Folders are named by id, well-known name or path of display names such as
/// `Projects/Nordlicht`; messages by id of either form.
#[derive(Debug, Clone)]
pub struct Mailbox {
    world: Arc<World>,
    user: Arc<User>,
}

fn refuse(refused: Refused) -> Error {
    match refused {
        Refused::NotFound => Error::NotFound("the message".into()),
        Refused::FolderNotFound => Error::NotFound("the folder".into()),
        other => Error::Refused(format!("{other:?}")),
    }
}

impl Mailbox {
    pub(crate) fn open(world: &Arc<World>, user: &str) -> Result<Self, Error> {
        let found = world.user(user).filter(|u| u.mailbox.is_some());
        let user = found.ok_or_else(|| Error::NoMailbox(user.to_owned()))?;
        Ok(Self {
            world: Arc::clone(world),
            user,
        })
    }

    fn lock(&self) -> Result<MutexGuard<'_, mailbox::Mailbox>, Error> {
        self.user
            .lock()
            .ok_or_else(|| Error::NoMailbox(self.user.person.address.clone()))
    }

    /// Address and userPrincipalName.
    pub fn address(&self) -> &str {
        &self.user.person.address
    }

    /// Object id of the user.
    pub fn user_id(&self) -> &str {
        &self.user.person.id
    }

    /// Name shown.
    pub fn display_name(&self) -> &str {
        &self.user.person.display
    }

    fn folder_serial(m: &mailbox::Mailbox, folder: &str) -> Result<u32, Error> {
        if let Some(serial) = m.find_folder(folder) {
            return Ok(serial);
        }
        let mut at = TOP;
        let mut rest = folder;
        // Names may contain slashes: the longest child that fits wins.
        while !rest.is_empty() {
            let child = m
                .children(at)
                .filter(|f| {
                    rest.strip_prefix(f.name.as_str())
                        .is_some_and(|r| r.is_empty() || r.starts_with('/'))
                })
                .max_by_key(|f| f.name.len())
                .ok_or_else(|| Error::NotFound(format!("the folder {folder}")))?;
            at = child.serial;
            rest = rest[child.name.len()..].trim_start_matches('/');
        }
        if at == TOP {
            Err(Error::NotFound(format!("the folder {folder}")))
        } else {
            Ok(at)
        }
    }

    fn message_serial(m: &mailbox::Mailbox, id: &str) -> Result<u32, Error> {
        m.find_message(id)
            .map_err(|_| Error::NotFound(format!("the message {id}")))
    }

    // ----- edits

    /// Puts a message into a folder as if it had been delivered; returns its immutable id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder.
    pub fn add_message(&self, folder: &str, mime: impl AsRef<[u8]>) -> Result<String, Error> {
        let mut m = self.lock()?;
        let folder = Self::folder_serial(&m, folder)?;
        let serial = load::add_mime(&mut m, folder, Bytes::copy_from_slice(mime.as_ref()));
        Ok(m.message_id(serial, true))
    }

    /// Puts the generated message `index` (any number, the same index gives the same content) into a folder.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder.
    pub fn add_generated(&self, folder: &str, index: u32) -> Result<String, Error> {
        self.add_recipe(folder, index, 0)
    }

    /// Puts a generated message with one attachment of `bytes` bytes into a folder. Nothing is held in memory.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder.
    pub fn add_big_message(&self, folder: &str, bytes: u64) -> Result<String, Error> {
        self.add_recipe(folder, 0xB160_0000 ^ (bytes as u32), bytes)
    }

    fn add_recipe(&self, folder: &str, index: u32, big: u64) -> Result<String, Error> {
        let mut m = self.lock()?;
        let folder = Self::folder_serial(&m, folder)?;
        let generator = Arc::clone(&m.generator);
        let user = generator
            .people
            .iter()
            .position(|p| p.id == self.user.person.id)
            .unwrap_or(0xFFFF) as u32;
        let received = if big > 0 {
            crate::clock::BASE_MS
        } else {
            generator.received(user, index)
        };
        let content = Content::Generated(Recipe { user, index, big });
        let serial = m.insert(folder, content, received, generator.read(user, index), false);
        Ok(m.message_id(serial, true))
    }

    /// Changes a message in place.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn change(&self, id: &str, changes: impl IntoIterator<Item = Change>) -> Result<(), Error> {
        let mut m = self.lock()?;
        let serial = Self::message_serial(&m, id)?;
        for change in changes {
            match change {
                Change::Subject(text) => {
                    compose::edit_view(&mut m, serial, |v| v.subject = Some(text))
                        .map_err(|e| Error::Refused(e.message))?;
                }
                Change::Body(text) => {
                    compose::edit_view(&mut m, serial, |v| {
                        v.html = false;
                        v.body = text;
                    })
                    .map_err(|e| Error::Refused(e.message))?;
                }
                other => m
                    .change(serial, |message| match other {
                        Change::Read(read) => message.read = read,
                        Change::Flag(status) => message.over().flag = Some(json!({"flagStatus": status})),
                        Change::Categories(list) => message.over().categories = Some(list),
                        Change::Property(id, value) => {
                            let over = message.over();
                            over.properties.retain(|(n, _)| *n != id);
                            over.properties.push((id, Value::String(value)));
                        }
                        Change::Subject(_) | Change::Body(_) => {}
                    })
                    .map_err(refuse)?,
            }
        }
        m.index_message(serial);
        Ok(())
    }

    /// Moves a message; its immutable id stays, its default id changes.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn move_message(&self, id: &str, folder: &str) -> Result<(), Error> {
        let mut m = self.lock()?;
        let serial = Self::message_serial(&m, id)?;
        let folder = Self::folder_serial(&m, folder)?;
        m.move_message(serial, folder).map_err(refuse)
    }

    /// Deletes a message as a user does: to Deleted Items, from there to Recoverable Items, from there for good.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn delete_message(&self, id: &str) -> Result<(), Error> {
        let mut m = self.lock()?;
        let serial = Self::message_serial(&m, id)?;
        m.delete_message(serial).map_err(refuse)
    }

    /// Deletes a message for good.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn purge_message(&self, id: &str) -> Result<(), Error> {
        let mut m = self.lock()?;
        let serial = Self::message_serial(&m, id)?;
        m.purge_message(serial).map_err(refuse)
    }

    /// Makes every read of a message fail with 500 `ErrorCorruptData`, or stops that.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn corrupt_message(&self, id: &str, corrupt: bool) -> Result<(), Error> {
        let mut m = self.lock()?;
        let serial = Self::message_serial(&m, id)?;
        if corrupt {
            m.corrupt.insert(serial);
        } else {
            m.corrupt.remove(&serial);
        }
        Ok(())
    }

    /// Makes a folder below `parent` (`msgfolderroot` for the top); returns its id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the parent, [`Error::Refused`] when the name is taken.
    pub fn create_folder(&self, parent: &str, name: &str) -> Result<String, Error> {
        let mut m = self.lock()?;
        let parent = Self::folder_serial(&m, parent)?;
        let serial = m.create_folder(parent, name, false).map_err(refuse)?;
        Ok(m.folder_id(serial))
    }

    /// Makes a hidden folder.
    ///
    /// # Errors
    /// As [`Self::create_folder`].
    pub fn create_hidden_folder(&self, parent: &str, name: &str) -> Result<String, Error> {
        let mut m = self.lock()?;
        let parent = Self::folder_serial(&m, parent)?;
        let serial = m.create_folder(parent, name, true).map_err(refuse)?;
        Ok(m.folder_id(serial))
    }

    /// Makes a search folder over other folders.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a source.
    pub fn create_search_folder(&self, name: &str, sources: &[&str], query: &str) -> Result<String, Error> {
        let mut m = self.lock()?;
        let sources: Result<Vec<u32>, Error> = sources.iter().map(|s| Self::folder_serial(&m, s)).collect();
        let serial = m.create_search(name, sources?, query);
        Ok(m.folder_id(serial))
    }

    /// Renames a folder.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] for well-known folders and taken names.
    pub fn rename_folder(&self, folder: &str, name: &str) -> Result<(), Error> {
        let mut m = self.lock()?;
        let serial = Self::folder_serial(&m, folder)?;
        m.rename_folder(serial, name).map_err(refuse)
    }

    /// Moves a folder with all that is in it.
    ///
    /// # Errors
    /// As [`Self::rename_folder`].
    pub fn move_folder(&self, folder: &str, parent: &str) -> Result<(), Error> {
        let mut m = self.lock()?;
        let serial = Self::folder_serial(&m, folder)?;
        let parent = Self::folder_serial(&m, parent)?;
        m.move_folder(serial, parent).map_err(refuse)
    }

    /// Deletes a folder as a user does: to Deleted Items, from there for good.
    ///
    /// # Errors
    /// As [`Self::rename_folder`].
    pub fn delete_folder(&self, folder: &str) -> Result<(), Error> {
        let mut m = self.lock()?;
        let serial = Self::folder_serial(&m, folder)?;
        m.delete_folder(serial).map_err(refuse)
    }

    /// Deletes a folder and all that is in it for good.
    ///
    /// # Errors
    /// As [`Self::rename_folder`].
    pub fn purge_folder(&self, folder: &str) -> Result<(), Error> {
        let mut m = self.lock()?;
        let serial = Self::folder_serial(&m, folder)?;
        m.purge_folder(serial).map_err(refuse)
    }

    // ----- truth

    fn truth(m: &mailbox::Mailbox, serial: u32) -> Option<MessageTruth> {
        let snapshot = Snapshot::of(m, serial)?;
        let view = snapshot.view(false);
        Some(MessageTruth {
            id: snapshot.id(true),
            mutable_id: snapshot.id(false),
            folder_id: m.folder_id(snapshot.msg.folder),
            change_key: crate::ids::change_key(m.key, snapshot.msg.version),
            subject: view.subject.clone().unwrap_or_default(),
            internet_message_id: view.message_id.clone(),
            received_ms: snapshot.msg.received,
            is_read: snapshot.msg.read,
            is_draft: snapshot.msg.draft,
            attachments: view.parts.len(),
        })
    }

    /// All messages below `msgfolderroot` (Recoverable Items left out), in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn messages(&self) -> Result<Vec<MessageTruth>, Error> {
        let m = self.lock()?;
        let visible: Vec<u32> = m
            .folders
            .iter()
            .flatten()
            .map(|f| f.serial)
            .filter(|s| m.visible_tree(*s))
            .collect();
        Ok((0..m.messages.len() as u32)
            .filter(|s| m.message(*s).is_some_and(|x| visible.contains(&x.folder)))
            .filter_map(|s| Self::truth(&m, s))
            .collect())
    }

    /// Messages of one folder, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn messages_in(&self, folder: &str) -> Result<Vec<MessageTruth>, Error> {
        let m = self.lock()?;
        let serial = Self::folder_serial(&m, folder)?;
        let serials: Vec<u32> = m
            .folder(serial)
            .map(|f| f.by_received.iter().map(|x| x.1).collect())
            .unwrap_or_default();
        Ok(serials.into_iter().filter_map(|s| Self::truth(&m, s)).collect())
    }

    /// Number of messages below `msgfolderroot`, without looking at each.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn message_count(&self) -> Result<usize, Error> {
        let m = self.lock()?;
        Ok(m.folders
            .iter()
            .flatten()
            .filter(|f| m.visible_tree(f.serial))
            .map(|f| f.by_received.len())
            .sum())
    }

    /// One message.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn message(&self, id: &str) -> Result<MessageTruth, Error> {
        let m = self.lock()?;
        let serial = Self::message_serial(&m, id)?;
        Self::truth(&m, serial).ok_or_else(|| Error::NotFound(format!("the message {id}")))
    }

    /// All folders below `msgfolderroot`, hidden and search folders included, parents before children.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn folders(&self) -> Result<Vec<FolderTruth>, Error> {
        let m = self.lock()?;
        let mut out = Vec::new();
        let mut open: Vec<(u32, String)> = vec![(TOP, String::new())];
        while let Some((parent, path)) = open.pop() {
            for f in m.children(parent) {
                let path = if path.is_empty() {
                    f.name.clone()
                } else {
                    format!("{path}/{}", f.name)
                };
                out.push(FolderTruth {
                    id: m.folder_id(f.serial),
                    parent_id: m.folder_id(parent),
                    name: f.name.clone(),
                    path: path.clone(),
                    well_known: f.well_known.map(str::to_owned),
                    hidden: f.hidden,
                    search: f.search.is_some(),
                    messages: f.by_received.len(),
                });
                open.push((f.serial, path));
            }
        }
        Ok(out)
    }

    /// The id of a folder given by well-known name or path.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn folder_id(&self, folder: &str) -> Result<String, Error> {
        let m = self.lock()?;
        Self::folder_serial(&m, folder).map(|s| m.folder_id(s))
    }

    /// The MIME that `$value` serves. Whole, in memory.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn mime(&self, id: &str) -> Result<Bytes, Error> {
        let mime = {
            let m = self.lock()?;
            let serial = Self::message_serial(&m, id)?;
            m.mime(serial)
                .ok_or_else(|| Error::NotFound(format!("the message {id}")))?
        };
        Ok(mime.bytes())
    }

    /// The JSON that a GET of the message answers with immutable ids and default properties.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn message_json(&self, id: &str) -> Result<Value, Error> {
        self.message_json_with(id, "", &[])
    }

    /// The same with a `$select` and MAPI properties.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn message_json_with(&self, id: &str, select: &str, properties: &[&str]) -> Result<Value, Error> {
        let snapshot = {
            let m = self.lock()?;
            let serial = Self::message_serial(&m, id)?;
            Snapshot::of(&m, serial).ok_or_else(|| Error::NotFound(format!("the message {id}")))?
        };
        let shape = Shape {
            select: Select::parse(Some(select)),
            properties: properties.iter().map(|p| (*p).to_owned()).collect(),
            immutable: true,
            body_type: None,
            basic: false,
        };
        Ok(Value::Object(shape::message(&snapshot, &shape)))
    }

    /// Expires delta tokens of this mailbox: see [`Faults::expire_delta`].
    pub fn expire_delta(&self) {
        Faults::new(&self.world).expire_delta(&DeltaScope::Mailbox(self.address().to_owned()));
    }
}

/// Whose delta tokens expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeltaScope {
    /// All of them.
    All,
    /// Message and folder tokens of one mailbox (address or object id).
    Mailbox(String),
    /// Message tokens of one folder: mailbox, then folder (id, well-known name or path).
    Folder(String, String),
    /// Only the token of the folder list of a mailbox.
    FolderList(String),
}

/// Faults of a running emulator. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Faults {
    world: Arc<World>,
}

impl Faults {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
        }
    }

    /// Puts a rule into force; returns its number. Rules are asked in the order in which they were added; the
    /// first that strikes decides, delays add up.
    pub fn add(&self, fault: Fault) -> u64 {
        self.world.faults.add(fault)
    }

    /// Takes a rule back.
    pub fn remove(&self, id: u64) {
        self.world.faults.remove(id);
    }

    /// Takes all rules back. Expired tokens and corrupt items stay as they are.
    pub fn clear(&self) {
        self.world.faults.clear();
    }

    /// How often rules have struck so far.
    pub fn struck(&self) -> u64 {
        self.world.faults.struck()
    }

    /// Answers the next `n` Graph calls with 429 and `Retry-After` in seconds.
    pub fn throttle_next(&self, n: u64, retry_after_seconds: u64) -> u64 {
        self.add(
            Fault::new(Action::Status {
                status: 429,
                body: FaultBody::Code("ApplicationThrottled".into()),
                retry_after: Some(retry_after_seconds.to_string()),
            })
            .path("/v1.0/")
            .times(n),
        )
    }

    /// Fails the `n`-th Graph call from now (counted from 1) with `status`.
    pub fn fail_at(&self, n: u64, status: u16) -> u64 {
        self.add(Fault::status(status).path("/v1.0/").at_request(n))
    }

    /// Runs `edit` when the `n`-th request (counted from 1, from now) with `path` in its path arrives, before it is
    /// executed: for changes between a listing and a download. `path` as in [`Fault::path`].
    pub fn on_request(&self, path: &str, n: u64, edit: impl FnOnce() + Send + 'static) {
        self.world.faults.hook(path, n, Box::new(edit));
    }

    /// Makes delta tokens unknown: their next use answers 410, `SyncStateNotFound` for mail and `resyncRequired` for drives.
    pub fn expire_delta(&self, scope: &DeltaScope) {
        for user in self.world.all_users() {
            if let (DeltaScope::All, Some(slot)) = (scope, user.drive.get()) {
                slot.lock().epoch += 1;
            }
            let of = |who: &str| {
                user.person.address.eq_ignore_ascii_case(who) || user.person.id.eq_ignore_ascii_case(who)
            };
            let Some(mut m) = user.lock() else { continue };
            match scope {
                DeltaScope::All => {}
                DeltaScope::Mailbox(who) | DeltaScope::FolderList(who) | DeltaScope::Folder(who, _)
                    if !of(who) =>
                {
                    continue;
                }
                _ => {}
            }
            if let DeltaScope::Folder(_, folder) = scope {
                if let Ok(serial) = Mailbox::folder_serial(&m, folder)
                    && let Some(folder) = m.folder_mut(serial)
                {
                    folder.epoch += 1;
                }
                continue;
            }
            m.folder_epoch += 1;
            if !matches!(scope, DeltaScope::FolderList(_)) {
                m.folders.iter_mut().flatten().for_each(|f| f.epoch += 1);
            }
        }
    }

    /// Makes all access tokens invalid: 401 `InvalidAuthenticationToken` until a client fetches a new one.
    pub fn expire_tokens(&self) {
        self.world.identity.expire_all();
    }

    /// The rules in force with how often each has struck.
    pub fn list(&self) -> Vec<(u64, Fault, u64)> {
        self.world.faults.list()
    }
}
