//! The typed API of drives: edits while the emulator runs, questions about the truth.

use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::builder::Error;
use crate::drive::generate;
use crate::drive::node::{Kind, Node};
use crate::drive::tree::{self, Conflict, ROOT, Refused};
use crate::graph::drives::json::{self as shape, Place};
use crate::graph::drives::sharing;
use crate::load;
use crate::mail::data::{Data, Look, Made};
use crate::random::key;
use crate::world::{DriveSlot, World};

/// What a file or folder is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileTruth {
    /// Its id; constant.
    pub id: String,
    /// Id of the folder it is in.
    pub parent_id: String,
    /// Its name.
    pub name: String,
    /// Names from below the root, joined with `/`.
    pub path: String,
    /// True for folders and notebooks.
    pub folder: bool,
    /// Length of its content; 0 for folders.
    pub size: u64,
    /// quickXorHash of its content in base64; empty for folders.
    pub hash: String,
    /// Its eTag.
    pub etag: String,
    /// Number of its versions; 0 for folders.
    pub versions: usize,
    /// `fileSystemInfo` creation in Unix milliseconds.
    pub created_ms: i64,
    /// `fileSystemInfo` modification in Unix milliseconds.
    pub modified_ms: i64,
}

/// How the metadata of a file may differ from its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Announces so many bytes more than there are, and no hash.
    Size(u64),
    /// Announces the hash of something else.
    Hash,
    /// Has no hash.
    NoHash,
}

/// The drive of a user, or a document library of a site. Cheap to clone. Items are named by id or by path such as `Projects/plan.docx`; the empty path is
/// the root.
#[derive(Debug, Clone)]
pub struct Drive {
    world: Arc<World>,
    slot: Arc<DriveSlot>,
}

fn refuse(refused: Refused) -> Error {
    match refused {
        Refused::NotFound => Error::NotFound("the item".into()),
        other => Error::Refused(format!("{other:?}")),
    }
}

impl Drive {
    pub(crate) fn open(world: &Arc<World>, user: &str) -> Result<Self, Error> {
        let slot = world
            .user(user)
            .and_then(|user| user.drive.get().cloned())
            .ok_or_else(|| Error::NotFound(format!("a drive of {user}")))?;
        Ok(Self::of(world, slot))
    }

    pub(crate) fn of(world: &Arc<World>, slot: Arc<DriveSlot>) -> Self {
        Self {
            world: Arc::clone(world),
            slot,
        }
    }

    /// The drive of a user, made if there is none.
    pub(crate) fn provision(world: &Arc<World>, user: &str) -> Result<Self, Error> {
        let found = world
            .user(user)
            .ok_or_else(|| Error::NotFound(format!("the user {user}")))?;
        load::provision_drive(world, &found);
        Self::open(world, user)
    }

    fn lock(&self) -> MutexGuard<'_, tree::Drive> {
        self.slot.lock()
    }

    /// Its id, `b!...`.
    pub fn id(&self) -> String {
        self.slot.id.clone()
    }

    /// Address of its owner; of a library, where people see its site.
    pub fn address(&self) -> &str {
        &self.slot.address
    }

    /// Object id of its owner; of a library, the id of its site.
    pub fn user_id(&self) -> &str {
        &self.slot.owner
    }

    fn serial(drive: &tree::Drive, item: &str) -> Result<u32, Error> {
        let path: Vec<String> = item
            .split('/')
            .filter(|n| !n.is_empty())
            .map(str::to_owned)
            .collect();
        drive
            .find(item)
            .or_else(|| drive.walk(ROOT, &path))
            .ok_or_else(|| Error::NotFound(format!("the item {item}")))
    }

    /// The folder a path leads to, made where needed, and the last name.
    fn place(drive: &mut tree::Drive, path: &str) -> Result<(u32, String), Error> {
        let mut names: Vec<&str> = path.split('/').filter(|n| !n.is_empty()).collect();
        let last = names.pop().ok_or_else(|| Error::Refused("no name".into()))?;
        let mut at = ROOT;
        for name in names {
            at = drive
                .create_folder(at, name, Conflict::Replace)
                .map_err(refuse)?
                .0;
        }
        Ok((at, last.to_owned()))
    }

    // ----- edits

    fn put(&self, path: &str, data: Data) -> Result<String, Error> {
        let mut drive = self.lock();
        let (parent, name) = Self::place(&mut drive, path)?;
        let (serial, _) = drive
            .put_file(parent, &name, data, Conflict::Replace)
            .map_err(refuse)?;
        Ok(drive.id(serial))
    }

    /// Puts a file there, with the folders of its path; a file that is there gets a new version. Returns its id.
    ///
    /// # Errors
    /// [`Error::Refused`] for names that OneDrive refuses and full drives.
    pub fn add_file(&self, path: &str, content: impl AsRef<[u8]>) -> Result<String, Error> {
        self.put(path, Data::Bytes(Bytes::copy_from_slice(content.as_ref())))
    }

    /// As [`Self::add_file`], with content that is made when it is read: nothing is held in memory.
    ///
    /// # Errors
    /// As [`Self::add_file`].
    pub fn add_made_file(&self, path: &str, bytes: u64) -> Result<String, Error> {
        let made = Made {
            look: Look::Docx,
            key: key(&[self.world.seed, bytes, 118]),
            len: bytes,
        };
        self.put(path, Data::Made(made))
    }

    /// Makes a folder, with the folders of its path. Returns its id.
    ///
    /// # Errors
    /// As [`Self::add_file`].
    pub fn add_folder(&self, path: &str) -> Result<String, Error> {
        let mut drive = self.lock();
        let (parent, name) = Self::place(&mut drive, path)?;
        let (serial, _) = drive
            .create_folder(parent, &name, Conflict::Replace)
            .map_err(refuse)?;
        Ok(drive.id(serial))
    }

    /// Adds so many generated files and their folders.
    pub fn add_generated(&self, files: u32) {
        let generator = self.world.generator();
        let people = &generator.people;
        let number = people.iter().position(|person| person.id == self.slot.owner);
        generate::fill(
            &mut self.lock(),
            self.world.seed,
            number.map_or((self.slot.key as u32) | 0xFFFF, |number| number as u32),
            people.len() as u64,
            files,
        );
    }

    /// Adds a notebook whose section can never be read, a shortcut into another drive, and a file with malware.
    pub fn add_oddities(&self) {
        generate::oddities(&mut self.lock());
    }

    /// Gives a file new content, as a new version.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub fn write(&self, item: &str, content: impl AsRef<[u8]>) -> Result<(), Error> {
        let mut drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        let data = Data::Bytes(Bytes::copy_from_slice(content.as_ref()));
        drive.write(serial, data).map_err(refuse)
    }

    /// Renames an item.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub fn rename(&self, item: &str, name: &str) -> Result<(), Error> {
        let mut drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        let parent = drive.node(serial).map_or(ROOT, |node| node.parent);
        drive
            .relocate(serial, parent, name, Conflict::Fail)
            .map_err(refuse)
    }

    /// Moves an item into a folder, under another name if its own is taken there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub fn move_into(&self, item: &str, folder: &str) -> Result<(), Error> {
        let mut drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        let folder = Self::serial(&drive, folder)?;
        let name = drive
            .node(serial)
            .map(|node| node.name.clone())
            .unwrap_or_default();
        drive
            .relocate(serial, folder, &name, Conflict::Rename)
            .map_err(refuse)
    }

    /// Deletes an item and all that is below it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub fn delete(&self, item: &str) -> Result<(), Error> {
        let mut drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        drive.delete(serial).map_err(refuse)
    }

    fn edit(&self, item: &str, edit: impl FnOnce(&mut Node)) -> Result<(), Error> {
        let mut drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        if let Some(node) = drive.edit(serial) {
            edit(node);
        }
        drive.touch(serial, false);
        Ok(())
    }

    /// Marks a file as one with malware, or takes the mark away.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_malware(&self, item: &str, malware: bool) -> Result<(), Error> {
        self.edit(item, |node| node.malware = malware)
    }

    /// Makes every read of a file's content fail with 503, or stops that.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_unreadable(&self, item: &str, unreadable: bool) -> Result<(), Error> {
        self.edit(item, |node| node.unreadable = unreadable)
    }

    /// Locks an item: it is read, and not written (423).
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_locked(&self, item: &str, locked: bool) -> Result<(), Error> {
        self.edit(item, |node| node.locked = locked)
    }

    /// Makes the metadata of a file differ from its content.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn lie(&self, item: &str, lie: Lie) -> Result<(), Error> {
        self.edit(item, |node| match lie {
            Lie::Size(more) => (node.lies.size, node.lies.no_hash) = (more, true),
            Lie::Hash => node.lies.hash = true,
            Lie::NoHash => node.lies.no_hash = true,
        })
    }

    /// Sets `fileSystemInfo`, in Unix milliseconds.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_times(&self, item: &str, created_ms: i64, modified_ms: i64) -> Result<(), Error> {
        self.edit(item, |node| {
            (node.fs_created, node.fs_modified) = (created_ms, modified_ms)
        })
    }

    /// Shares an item with a user of the directory, with `read` or `write`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn share(&self, item: &str, with: &str, role: &str) -> Result<(), Error> {
        let user = self
            .world
            .user(with)
            .ok_or_else(|| Error::NotFound(format!("the user {with}")))?;
        let person = &user.person;
        self.grant(
            item,
            json!({
                "roles": [role],
                "grantedToV2": {"user": {"id": person.id, "displayName": person.display, "email": person.address}},
            }),
        )
    }

    /// Gives an item a permission as JSON (its id is made): links, groups, whatever Graph may show.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn grant(&self, item: &str, permission: Value) -> Result<(), Error> {
        let mut drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        sharing::grant(&mut drive, serial, permission)
            .map(|_| ())
            .map_err(|error| Error::Refused(error.message))
    }

    /// Sets how many bytes the drive takes.
    pub fn set_quota(&self, bytes: u64) {
        self.lock().quota = bytes;
    }

    /// Makes delta tokens unknown: their next use answers 410 `resyncRequired`.
    pub fn expire_delta(&self) {
        self.lock().epoch += 1;
    }

    // ----- truth

    fn truth(drive: &tree::Drive, node: &Node) -> FileTruth {
        FileTruth {
            id: drive.id(node.serial),
            parent_id: drive.id(node.parent),
            name: node.name.clone(),
            path: drive.path(node.serial),
            folder: node.holds_children(),
            size: node.current().map_or(0, |version| version.data.len()),
            hash: node
                .current()
                .map(|version| version.hash().to_owned())
                .unwrap_or_default(),
            etag: shape::etag(drive, node),
            versions: match &node.kind {
                Kind::File(versions) => versions.len(),
                _ => 0,
            },
            created_ms: node.fs_created,
            modified_ms: node.fs_modified,
        }
    }

    /// Everything but the root, in the order in which it was made.
    pub fn items(&self) -> Vec<FileTruth> {
        let drive = self.lock();
        drive.living().map(|node| Self::truth(&drive, node)).collect()
    }

    /// One item.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn item(&self, item: &str) -> Result<FileTruth, Error> {
        let drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        drive
            .node(serial)
            .map(|node| Self::truth(&drive, node))
            .ok_or_else(|| Error::NotFound(format!("the item {item}")))
    }

    /// The content of a file, whole, in memory.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn content(&self, item: &str) -> Result<Bytes, Error> {
        let drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        drive
            .node(serial)
            .and_then(Node::current)
            .map(|version| version.data.bytes())
            .ok_or_else(|| Error::NotFound(format!("the content of {item}")))
    }

    /// The content of all versions of a file, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn versions(&self, item: &str) -> Result<Vec<Bytes>, Error> {
        let drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        match drive.node(serial).map(|node| &node.kind) {
            Some(Kind::File(versions)) => Ok(versions.iter().map(|version| version.data.bytes()).collect()),
            _ => Err(Error::NotFound(format!("the content of {item}"))),
        }
    }

    /// Permissions of an item itself, as JSON.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn permissions(&self, item: &str) -> Result<Vec<Value>, Error> {
        let drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        Ok(drive
            .node(serial)
            .map(|node| node.permissions.clone())
            .unwrap_or_default())
    }

    /// The JSON that a GET of the item answers.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn item_json(&self, item: &str) -> Result<Value, Error> {
        let drive = self.lock();
        let serial = Self::serial(&drive, item)?;
        drive
            .node(serial)
            .map(|node| Value::Object(shape::item(&self.world, &drive, node, Place::Direct)))
            .ok_or_else(|| Error::NotFound(format!("the item {item}")))
    }
}
