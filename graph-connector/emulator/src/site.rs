//! The state of sites: where they are, their document libraries and lists.

pub(crate) mod list;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use list::{List, USERS_TEMPLATE};

use crate::drive::tree::{Drive, Home};
use crate::http::path;
use crate::random::{guid, key, text_key};
use crate::world::{DriveSlot, World};

/// Name of the list of users that every site has.
pub(crate) const USERS_LIST: &str = "User Information List";
/// Name of the library that every site has.
pub(crate) const DEFAULT_LIBRARY: &str = "Documents";

/// One site (a web): the root of a collection, or a subsite.
#[derive(Debug)]
pub(crate) struct Site {
    pub key: u64,
    /// `host,collection,web`
    pub id: String,
    pub host: String,
    /// Last segment of the address; empty for the root site.
    pub name: String,
    pub display: String,
    /// Server-relative: `/sites/name`, `/sites/name/sub`; empty for the root site.
    pub path: String,
    /// Id of the site above; none for the root of a collection.
    pub parent: Option<String>,
    /// Holds a user's OneDrive.
    pub personal: bool,
    pub created: i64,
    locked: AtomicBool,
    libraries: RwLock<Vec<Arc<DriveSlot>>>,
    lists: Mutex<Vec<List>>,
}

/// `fabrika.sharepoint.example`
pub(crate) fn host(world: &World) -> String {
    let domain = &world.generator().domain;
    format!("{}.sharepoint.example", domain.split('.').next().unwrap_or("org"))
}

impl Site {
    /// A site at a path, with its default library.
    pub(crate) fn new(
        world: &World,
        path: &str,
        display: &str,
        parent: Option<&Self>,
        personal: bool,
    ) -> Self {
        let host = if personal {
            host(world).replacen('.', "-my.", 1)
        } else {
            host(world)
        };
        let web = guid(&[world.seed, text_key(path), 131]);
        let collection = match parent {
            Some(parent) => parent.id.split(',').nth(1).unwrap_or_default().to_owned(),
            None => guid(&[world.seed, text_key(path), 130]),
        };
        let site = Self {
            key: key(&[world.seed, text_key(path), 132]),
            id: format!("{host},{collection},{web}"),
            host,
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            display: display.to_owned(),
            path: path.to_owned(),
            parent: parent.map(|parent| parent.id.clone()),
            personal,
            created: world.clock.now(),
            locked: AtomicBool::new(false),
            libraries: RwLock::default(),
            lists: Mutex::default(),
        };
        site.add_library(world, DEFAULT_LIBRARY);
        site.add_list(world, USERS_LIST, USERS_TEMPLATE);
        // Everywhere other numbers.
        for n in 0..2 + site.key % 5 {
            site.add_user("", &format!("c:0t.c|tenant|{n}"), "System Account");
        }
        for user in world.all_users().iter().take(50) {
            let account = format!("i:0#.f|membership|{}", user.person.address);
            site.add_user(&user.person.address, &account, &user.person.display);
        }
        site
    }

    /// Where people see it.
    pub(crate) fn url(&self) -> String {
        format!("https://{}{}", self.host, self.path)
    }

    /// Its libraries; the first one is the default one.
    pub(crate) fn libraries(&self) -> Vec<Arc<DriveSlot>> {
        self.libraries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The library of a list, or the default one.
    pub(crate) fn library(&self, list: Option<&str>) -> Option<Arc<DriveSlot>> {
        let all = self.libraries();
        match list {
            None => all.into_iter().next(),
            Some(wanted) => all.into_iter().find(|slot| match &slot.lock().home {
                Home::Library { list, name, .. } => {
                    list.eq_ignore_ascii_case(wanted) || name.eq_ignore_ascii_case(wanted)
                }
                Home::User => false,
            }),
        }
    }

    /// Adds a library; the one that has the name if there is one.
    pub(crate) fn add_library(&self, world: &World, name: &str) -> Arc<DriveSlot> {
        if let Some(known) = self.library(Some(name)) {
            return known;
        }
        let mut libraries = self.libraries.write().unwrap_or_else(PoisonError::into_inner);
        let number = libraries.len() as u64;
        let drive_key = key(&[self.key, text_key(name), world.next_request().0, 133]);
        let place = if number == 0 { "Shared Documents" } else { name };
        let home = Home::Library {
            site: self.id.clone(),
            list: guid(&[drive_key, 134]),
            name: name.to_owned(),
            url: format!("{}/{}", self.url(), path::encode(place)),
        };
        let owner = (self.id.clone(), self.display.clone(), self.url());
        let slot = Arc::new(DriveSlot::new(Drive::new(
            drive_key,
            home,
            owner,
            world.clock.clone(),
        )));
        libraries.push(Arc::clone(&slot));
        slot
    }

    fn lists(&self) -> MutexGuard<'_, Vec<List>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the list of this id or name, if there is one.
    pub(crate) fn with_list<T>(&self, wanted: &str, act: impl FnOnce(&mut List) -> T) -> Option<T> {
        let mut lists = self.lists();
        let found = lists
            .iter_mut()
            .find(|list| list.id.eq_ignore_ascii_case(wanted) || list.name.eq_ignore_ascii_case(wanted));
        found.map(act)
    }

    pub(crate) fn all_lists<T>(&self, act: impl Fn(&List) -> T) -> Vec<T> {
        self.lists().iter().map(act).collect()
    }

    /// Adds a list. Libraries are added with [`Site::add_library`].
    pub(crate) fn add_list(&self, world: &World, name: &str, template: &str) {
        let (salt, _) = world.next_request();
        let list = List::new(self.key, salt, name, template, world.clock.clone());
        self.lists().push(list);
    }

    /// Adds somebody to the users of the site.
    pub(crate) fn add_user(&self, email: &str, account: &str, name: &str) -> u32 {
        let fields = serde_json::json!({"Title": name, "Name": account, "EMail": email});
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.with_list(USERS_LIST, |list| list.add_row(fields))
            .unwrap_or_default()
    }

    /// Whether any list has a column that looks into one.
    pub(crate) fn has_lookups(&self) -> bool {
        let looks = |list: &List| list.columns.iter().any(|column| column["lookup"].is_object());
        self.all_lists(looks).contains(&true)
    }

    /// The numbers of the living rows of each list, by its id in lower case; users are under an empty one.
    pub(crate) fn row_numbers(&self) -> HashMap<String, BTreeSet<u32>> {
        let numbers = |list: &List| {
            let key = if list.system {
                String::new()
            } else {
                list.id.to_lowercase()
            };
            (key, list.living().map(|row| row.id).collect())
        };
        self.all_lists(numbers).into_iter().collect()
    }

    pub(crate) fn remove_list(&self, name: &str) {
        self.lists().retain(|list| !list.name.eq_ignore_ascii_case(name));
    }

    /// Takes a library away; says whether there was one.
    pub(crate) fn remove_library(&self, name: &str) -> bool {
        let Some(slot) = self.library(Some(name)) else {
            return false;
        };
        let mut libraries = self.libraries.write().unwrap_or_else(PoisonError::into_inner);
        libraries.retain(|known| known.id != slot.id);
        true
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }

    pub(crate) fn set_locked(&self, locked: bool) {
        self.locked.store(locked, Ordering::Relaxed);
        for library in self.libraries() {
            library.locked.store(locked, Ordering::Relaxed);
        }
    }
}
