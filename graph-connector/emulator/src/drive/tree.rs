//! The state of one drive. Every change gets the next version of the drive; delta walks up these versions.

use std::collections::{BTreeMap, HashMap};

use super::names;
use super::node::{FileVersion, Kind, Lies, Node};
use crate::clock::Clock;
use crate::mail::data::Data;
use crate::random::{guid, key};

/// The root folder.
pub(crate) const ROOT: u32 = 0;
/// Versions of a file that are kept.
const MAX_VERSIONS: usize = 100;

/// Why a change was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NotFound,
    NameTaken,
    BadName(&'static str),
    PathTooLong,
    NotAFolder,
    NotAFile,
    Cycle,
    Root,
    Quota,
    Locked,
}

/// What to do when a name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    Fail,
    Replace,
    Rename,
}

/// What a drive is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Home {
    /// A user's OneDrive.
    User,
    /// A site: this is one of its document libraries.
    Library {
        /// Id of the site, and of the list that the library is.
        site: String,
        list: String,
        name: String,
        /// Where people see it.
        url: String,
    },
}

/// One drive.
#[derive(Debug)]
pub(crate) struct Drive {
    pub home: Home,
    pub key: u64,
    /// `b!...`
    pub id: String,
    /// Object id, name and address of the owner.
    pub owner: (String, String, String),
    pub version: u64,
    pub epoch: u32,
    pub quota: u64,
    nodes: Vec<Node>,
    by_version: BTreeMap<u64, u32>,
    children: HashMap<u32, BTreeMap<String, u32>>,
    ids: HashMap<String, u32>,
    clock: Clock,
}

fn id_of(drive: u64, serial: u32) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::from("01");
    for part in 0..4u64 {
        // The first letters are the drive's, as in the real service.
        let mut bits = if part == 0 {
            key(&[drive, 101])
        } else {
            key(&[drive, u64::from(serial), part, 102])
        };
        for _ in 0..8 {
            out.push(char::from(ALPHABET[(bits & 31) as usize]));
            bits >>= 5;
        }
    }
    out
}

/// The precision of `fileSystemInfo`.
fn whole_second(ms: i64) -> i64 {
    ms / 1000 * 1000
}

impl Drive {
    pub(crate) fn new(drive_key: u64, home: Home, owner: (String, String, String), clock: Clock) -> Self {
        let now = clock.now();
        let id = format!("b!{}", crate::random::token(&[drive_key, 100], 64));
        let mut drive = Self {
            home,
            key: drive_key,
            id,
            owner,
            version: 1,
            epoch: 0,
            quota: 1 << 40,
            nodes: Vec::new(),
            by_version: BTreeMap::new(),
            children: HashMap::new(),
            ids: HashMap::new(),
            clock,
        };
        drive.add_node(ROOT, "root", Kind::Folder, now);
        drive
    }

    fn add_node(&mut self, parent: u32, name: &str, kind: Kind, now: i64) -> u32 {
        let serial = self.nodes.len() as u32;
        self.version += 1;
        self.nodes.push(Node {
            serial,
            parent,
            name: name.to_owned(),
            kind,
            created: now,
            modified: now,
            fs_created: whole_second(now),
            fs_modified: whole_second(now),
            version: self.version,
            etag: 1,
            ctag: 1,
            deleted: false,
            malware: false,
            unreadable: false,
            locked: false,
            lies: Lies::default(),
            permissions: Vec::new(),
            next_permission: 0,
        });
        self.by_version.insert(self.version, serial);
        self.ids.insert(id_of(self.key, serial), serial);
        if serial != ROOT {
            self.children
                .entry(parent)
                .or_default()
                .insert(name.to_lowercase(), serial);
        }
        serial
    }

    // ----- reading

    pub(crate) fn id(&self, serial: u32) -> String {
        id_of(self.key, serial)
    }

    pub(crate) fn guid(&self, serial: u32) -> String {
        guid(&[self.key, u64::from(serial), 103]).to_uppercase()
    }

    /// A living item.
    pub(crate) fn node(&self, serial: u32) -> Option<&Node> {
        self.nodes.get(serial as usize).filter(|node| !node.deleted)
    }

    /// Also one that was deleted.
    pub(crate) fn any_node(&self, serial: u32) -> Option<&Node> {
        self.nodes.get(serial as usize)
    }

    pub(crate) fn edit(&mut self, serial: u32) -> Option<&mut Node> {
        self.nodes.get_mut(serial as usize).filter(|node| !node.deleted)
    }

    /// A living item by its id.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        if id.eq_ignore_ascii_case("root") {
            return Some(ROOT);
        }
        let serial = *self.ids.get(id)?;
        self.node(serial).map(|_| serial)
    }

    pub(crate) fn child(&self, parent: u32, name: &str) -> Option<u32> {
        self.children.get(&parent)?.get(&name.to_lowercase()).copied()
    }

    /// Children in the order of their names.
    pub(crate) fn children(&self, parent: u32) -> impl Iterator<Item = &Node> {
        self.children
            .get(&parent)
            .into_iter()
            .flat_map(|map| map.values())
            .filter_map(|serial| self.node(*serial))
    }

    pub(crate) fn child_count(&self, parent: u32) -> usize {
        self.children.get(&parent).map_or(0, BTreeMap::len)
    }

    /// The item at a path below `from`.
    pub(crate) fn walk(&self, from: u32, path: &[String]) -> Option<u32> {
        path.iter().try_fold(from, |at, name| self.child(at, name))
    }

    /// Names from below the root.
    pub(crate) fn path(&self, serial: u32) -> String {
        let mut names = Vec::new();
        let mut at = serial;
        while at != ROOT {
            let Some(node) = self.any_node(at) else { break };
            names.push(node.name.as_str());
            at = node.parent;
        }
        names.reverse();
        names.join("/")
    }

    /// Size of a file, or of all files below.
    pub(crate) fn size(&self, serial: u32) -> u64 {
        match self.node(serial) {
            Some(node) => match node.current() {
                Some(version) => version.data.len() + node.lies.size,
                None => self.children(serial).map(|child| self.size(child.serial)).sum(),
            },
            None => 0,
        }
    }

    /// Living items but the root, by number.
    pub(crate) fn living(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().skip(1).filter(|node| !node.deleted)
    }

    /// Changes after a version, oldest first: version, item.
    pub(crate) fn changes(&self, after: u64) -> impl Iterator<Item = (u64, &Node)> {
        self.by_version
            .range(after + 1..)
            .filter_map(|(version, serial)| Some((*version, self.any_node(*serial)?)))
    }

    /// The version that the drive had at this time.
    pub(crate) fn version_at(&self, ms: i64) -> u64 {
        self.by_version
            .iter()
            .filter(|(_, serial)| self.any_node(**serial).is_some_and(|node| node.modified <= ms))
            .map(|(version, _)| *version)
            .max()
            .unwrap_or(0)
    }

    // ----- changes

    /// Gives an item the next version. `content`: its content changed, and not only what is known about it.
    pub(crate) fn touch(&mut self, serial: u32, content: bool) {
        let now = self.clock.now();
        self.version += 1;
        let version = self.version;
        if let Some(node) = self.nodes.get_mut(serial as usize) {
            self.by_version.remove(&node.version);
            node.version = version;
            node.etag += 1;
            node.ctag += u32::from(content);
            node.modified = now;
            self.by_version.insert(version, serial);
        }
    }

    fn check_name(&self, parent: u32, name: &str) -> Result<(), Refused> {
        if let Some(why) = names::refused(name) {
            return Err(Refused::BadName(why));
        }
        if names::too_long(&format!("{}/{name}", self.path(parent))) {
            return Err(Refused::PathTooLong);
        }
        match self.node(parent) {
            None => Err(Refused::NotFound),
            Some(node) if !node.holds_children() => Err(Refused::NotAFolder),
            Some(_) => Ok(()),
        }
    }

    /// The first free name of `name`, `name 1`, ...
    fn free_name(&self, parent: u32, name: &str) -> String {
        (1..)
            .map(|n| names::numbered(name, n))
            .find(|candidate| self.child(parent, candidate).is_none())
            .unwrap_or_default()
    }

    /// Makes a folder; says whether it is new.
    pub(crate) fn create_folder(
        &mut self,
        parent: u32,
        name: &str,
        conflict: Conflict,
    ) -> Result<(u32, bool), Refused> {
        self.check_name(parent, name)?;
        let mut name = name.to_owned();
        if let Some(existing) = self.child(parent, &name) {
            let is_folder = self.node(existing).is_some_and(Node::holds_children);
            match conflict {
                Conflict::Replace if is_folder => return Ok((existing, false)),
                Conflict::Rename => name = self.free_name(parent, &name),
                _ => return Err(Refused::NameTaken),
            }
        }
        let now = self.clock.now();
        Ok((self.add_node(parent, &name, Kind::Folder, now), true))
    }

    /// Puts an item of another kind there.
    pub(crate) fn create_other(&mut self, parent: u32, name: &str, kind: Kind) -> Result<u32, Refused> {
        self.check_name(parent, name)?;
        if self.child(parent, name).is_some() {
            return Err(Refused::NameTaken);
        }
        let now = self.clock.now();
        Ok(self.add_node(parent, name, kind, now))
    }

    /// Puts a file there; says whether it is new. A file of that name that is replaced gets a new version.
    pub(crate) fn put_file(
        &mut self,
        parent: u32,
        name: &str,
        data: Data,
        conflict: Conflict,
    ) -> Result<(u32, bool), Refused> {
        self.check_name(parent, name)?;
        let mut name = name.to_owned();
        if let Some(existing) = self.child(parent, &name) {
            match conflict {
                Conflict::Fail => return Err(Refused::NameTaken),
                Conflict::Replace => return self.write(existing, data).map(|()| (existing, false)),
                Conflict::Rename => name = self.free_name(parent, &name),
            }
        }
        self.check_quota(data.len())?;
        let now = self.clock.now();
        let kind = Kind::File(vec![FileVersion::new(1, data, now)]);
        Ok((self.add_node(parent, &name, kind, now), true))
    }

    pub(crate) fn check_quota(&self, more: u64) -> Result<(), Refused> {
        if self.size(ROOT).saturating_add(more) > self.quota {
            return Err(Refused::Quota);
        }
        Ok(())
    }

    /// Gives a file new content.
    pub(crate) fn write(&mut self, serial: u32, data: Data) -> Result<(), Refused> {
        self.check_quota(data.len())?;
        let now = self.clock.now();
        let node = self.edit(serial).ok_or(Refused::NotFound)?;
        if node.locked {
            return Err(Refused::Locked);
        }
        let Kind::File(versions) = &mut node.kind else {
            return Err(Refused::NotAFile);
        };
        let number = versions.last().map_or(1, |version| version.number + 1);
        versions.push(FileVersion::new(number, data, now));
        if versions.len() > MAX_VERSIONS {
            versions.remove(0);
        }
        (node.fs_modified, node.lies) = (whole_second(now), Lies::default());
        self.touch(serial, true);
        Ok(())
    }

    /// Makes an older version the newest.
    pub(crate) fn restore_version(&mut self, serial: u32, number: u32) -> Result<(), Refused> {
        let node = self.node(serial).ok_or(Refused::NotFound)?;
        let Kind::File(versions) = &node.kind else {
            return Err(Refused::NotAFile);
        };
        let data = versions
            .iter()
            .find(|version| version.number == number)
            .map(|version| version.data.clone())
            .ok_or(Refused::NotFound)?;
        self.write(serial, data)
    }

    fn unlink(&mut self, serial: u32) {
        if let Some((parent, name)) = self
            .nodes
            .get(serial as usize)
            .map(|n| (n.parent, n.name.to_lowercase()))
            && let Some(map) = self.children.get_mut(&parent)
        {
            map.remove(&name);
        }
    }

    /// Renames or moves an item.
    pub(crate) fn relocate(
        &mut self,
        serial: u32,
        parent: u32,
        name: &str,
        conflict: Conflict,
    ) -> Result<(), Refused> {
        if serial == ROOT {
            return Err(Refused::Root);
        }
        let node = self.node(serial).ok_or(Refused::NotFound)?;
        if node.locked {
            return Err(Refused::Locked);
        }
        self.check_name(parent, name)?;
        let mut at = parent;
        while at != ROOT {
            if at == serial {
                return Err(Refused::Cycle);
            }
            at = self.any_node(at).map_or(ROOT, |node| node.parent);
        }
        let mut name = name.to_owned();
        if self.child(parent, &name).is_some_and(|other| other != serial) {
            match conflict {
                Conflict::Rename => name = self.free_name(parent, &name),
                _ => return Err(Refused::NameTaken),
            }
        }
        self.unlink(serial);
        self.children
            .entry(parent)
            .or_default()
            .insert(name.to_lowercase(), serial);
        if let Some(node) = self.edit(serial) {
            node.parent = parent;
            node.name = name;
        }
        self.touch(serial, false);
        Ok(())
    }

    /// Moves an item with all that is below to the recycle bin.
    pub(crate) fn delete(&mut self, serial: u32) -> Result<(), Refused> {
        if serial == ROOT {
            return Err(Refused::Root);
        }
        if self.node(serial).ok_or(Refused::NotFound)?.locked {
            return Err(Refused::Locked);
        }
        let below: Vec<u32> = self.children(serial).map(|child| child.serial).collect();
        for child in below {
            self.delete(child)?;
        }
        self.unlink(serial);
        self.touch(serial, false);
        if let Some(node) = self.nodes.get_mut(serial as usize) {
            node.deleted = true;
        }
        Ok(())
    }
}
