//! Everything the emulator knows, shared by the listeners and the typed API.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::drive::tree::Drive;
use crate::faults::FaultTable;
use crate::generate::Generator;
use crate::generate::people::Person;
use crate::graph::drives::upload::Session;
use crate::identity::Identity;
use crate::log::Requests;
use crate::mail::mailbox::Mailbox;
use crate::random::{guid, mix};
use crate::site::Site;

/// Behaviour that can be switched while the emulator runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Refuse a fifth request in progress for one mailbox and application with 429 `ApplicationThrottled`.
    /// Default off.
    pub mailbox_concurrency_limit: bool,
    /// Refuse more than 10,000 requests in 10 minutes (of the emulator's clock) for one mailbox and
    /// application. Default off.
    pub mailbox_rate_limit: bool,
    /// Delta rounds contain empty pages with a next link, repeated items and removals of items never shown.
    /// Default on: the contract says they happen.
    pub delta_variety: bool,
    /// Links use other letter case and parenthesised keys now and then. Default on.
    pub link_variety: bool,
    /// An item that leaves a folder and comes back is reported as removed and not again until it changes
    /// (microsoft-graph-docs #21752). Default off.
    pub lose_round_trips: bool,
    /// `$value` of a loaded message is rebuilt from the parsed message, as the real service does, instead of
    /// the bytes that were loaded. Default off.
    pub rebuild_mime: bool,
    /// `userPurpose` as `{"value":"user"}` in `mailboxSettings`, as the page shows it, instead of a string.
    /// Default on.
    pub user_purpose_object: bool,
    /// Any call that would change the state is refused with 403 and logged as a write. Default off.
    pub read_only_guard: bool,
    /// `expires_in` of tokens in seconds. Default 3599.
    pub token_seconds: i64,
    /// Largest page of a delta, whatever the client asks. Default 1000.
    pub max_delta_page: usize,
    /// Seconds for which an address that serves the content of a file is good. Default 3600.
    pub download_url_seconds: i64,
    /// `Range` is not understood: the whole content comes with 200. Default off.
    pub ignore_ranges: bool,
    /// Refuse calls about drives beyond so many resource units per minute and application with 429
    /// `activityLimitReached`. Default none: no limit.
    pub resource_units_per_minute: Option<u32>,
    /// Links for everybody may be made. Default on.
    pub anonymous_links: bool,
    /// Office files that are uploaded to document libraries are rewritten: another size, another hash. Default on.
    pub rewrite_office_files: bool,
    /// Elements on a page of sites, lists, columns and content types. Default 20.
    pub site_page: usize,
    /// `/contactFolders` lists the standard folder, too. Default off: as the text of the documentation says; its example shows
    /// the folder.
    pub list_standard_contact_folder: bool,
    /// `/calendars` lists the calendars of every group, not only of the first. Default off.
    pub list_calendars_of_all_groups: bool,
    /// Series can be asked for their `exceptionOccurrences`. Default on: as the metadata of 2026 has it.
    pub exceptions_are_told: bool,
    /// Contacts show `primaryEmailAddress` and its like beside `emailAddresses`. Default on.
    pub named_email_addresses: bool,
    /// The metadata of a photo that does not exist is that of a photo of one dot. Default off: an error.
    pub missing_photo_is_a_dot: bool,
    /// A deleted contact can still be read by its id, and says that it is in Deleted Items. Default off: it is gone.
    pub deleted_contacts_stay: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mailbox_concurrency_limit: false,
            mailbox_rate_limit: false,
            delta_variety: true,
            link_variety: true,
            lose_round_trips: false,
            rebuild_mime: false,
            user_purpose_object: true,
            read_only_guard: false,
            token_seconds: 3599,
            max_delta_page: 1000,
            download_url_seconds: 3600,
            ignore_ranges: false,
            resource_units_per_minute: None,
            anonymous_links: true,
            rewrite_office_files: true,
            site_page: 20,
            list_standard_contact_folder: false,
            list_calendars_of_all_groups: false,
            exceptions_are_told: true,
            named_email_addresses: true,
            missing_photo_is_a_dot: false,
            deleted_contacts_stay: false,
        }
    }
}

/// A drive, with what must be known of it without waiting.
#[derive(Debug)]
pub(crate) struct DriveSlot {
    pub key: u64,
    pub id: String,
    /// Id of the user or the site it belongs to.
    pub owner: String,
    /// The user's address, or where people see the library.
    pub address: String,
    /// Nothing of it may be used (423), as of a site that is locked.
    pub locked: AtomicBool,
    pub drive: Mutex<Drive>,
}

impl DriveSlot {
    pub(crate) fn new(drive: Drive) -> Self {
        Self {
            key: drive.key,
            id: drive.id.clone(),
            owner: drive.owner.0.clone(),
            address: drive.owner.2.clone(),
            locked: AtomicBool::new(false),
            drive: Mutex::new(drive),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Drive> {
        self.drive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A user of the directory with his mailbox and his drive.
#[derive(Debug)]
pub(crate) struct User {
    pub person: Person,
    pub mailbox: Option<Mutex<Mailbox>>,
    /// Empty until the drive is provisioned.
    pub drive: OnceLock<Arc<DriveSlot>>,
}

impl User {
    /// The mailbox, locked.
    pub(crate) fn lock(&self) -> Option<MutexGuard<'_, Mailbox>> {
        Some(
            self.mailbox
                .as_ref()?
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

/// What a file is uploaded for, by its serial number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner {
    Message(u32),
    Event(u32),
}

/// An upload session of an attachment.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub user: Arc<User>,
    pub owner: Owner,
    pub name: String,
    pub content_type: Option<String>,
    pub inline: bool,
    pub content_id: Option<String>,
    pub size: u64,
    pub pieces: Vec<Bytes>,
    pub have: u64,
    pub expires: i64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Urls {
    /// `http://127.0.0.1:port`, or the public one.
    pub main: String,
    pub outlook: String,
    pub admin: String,
}

/// The shared state.
#[derive(Debug)]
pub(crate) struct World {
    pub seed: u64,
    pub directory_id: String,
    pub clock: Clock,
    generator: RwLock<Arc<Generator>>,
    pub users: RwLock<Vec<Arc<User>>>,
    pub sites: RwLock<Vec<Arc<Site>>>,
    pub identity: Identity,
    pub faults: FaultTable,
    pub log: Requests,
    settings: RwLock<Settings>,
    pub urls: OnceLock<Urls>,
    pub uploads: Mutex<HashMap<String, Upload>>,
    pub drive_uploads: Mutex<HashMap<String, Session>>,
    /// (application, mailbox): requests in progress.
    pub in_flight: Mutex<HashMap<(String, String), u32>>,
    /// (application, mailbox): start of the window and requests in it.
    pub windows: Mutex<HashMap<(String, String), (i64, u32)>>,
    counter: Mutex<u64>,
}

impl World {
    pub(crate) fn new(
        seed: u64,
        clock: Clock,
        generator: Generator,
        log: Requests,
        settings: Settings,
    ) -> Self {
        Self {
            seed,
            directory_id: crate::identity::endpoint::directory_id(seed),
            clock,
            generator: RwLock::new(Arc::new(generator)),
            users: RwLock::default(),
            sites: RwLock::default(),
            identity: Identity::default(),
            faults: FaultTable::default(),
            log,
            settings: RwLock::new(settings),
            urls: OnceLock::new(),
            uploads: Mutex::default(),
            drive_uploads: Mutex::default(),
            in_flight: Mutex::default(),
            windows: Mutex::default(),
            counter: Mutex::default(),
        }
    }

    pub(crate) fn generator(&self) -> Arc<Generator> {
        Arc::clone(&self.generator.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes the settings and passes on what mailboxes need to know.
    pub(crate) fn set(&self, edit: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        edit(&mut settings);
        let (rebuild, lose) = (settings.rebuild_mime, settings.lose_round_trips);
        let keep = settings.deleted_contacts_stay;
        drop(settings);
        for user in self.all_users() {
            if let Some(mut mailbox) = user.lock() {
                mailbox.rebuild_mime = rebuild;
                mailbox.lose_round_trips = lose;
                mailbox.contacts.keep_deleted = keep;
            }
        }
    }

    pub(crate) fn token_seconds(&self) -> i64 {
        self.settings().token_seconds
    }

    fn urls(&self) -> Urls {
        self.urls.get().cloned().unwrap_or_default()
    }

    pub(crate) fn graph_url(&self) -> String {
        format!("{}/v1.0", self.urls().main)
    }

    pub(crate) fn login_url(&self) -> String {
        self.urls().main
    }

    pub(crate) fn outlook_url(&self) -> String {
        self.urls().outlook
    }

    pub(crate) fn all_users(&self) -> Vec<Arc<User>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A user by object id or userPrincipalName, any case.
    pub(crate) fn user(&self, id: &str) -> Option<Arc<User>> {
        self.users
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|u| u.person.id.eq_ignore_ascii_case(id) || u.person.address.eq_ignore_ascii_case(id))
            .cloned()
    }

    /// The drive that this is true of: a user's, or a library of a site.
    pub(crate) fn drive(&self, wanted: impl Fn(&DriveSlot) -> bool) -> Option<Arc<DriveSlot>> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        let of_user = users
            .iter()
            .filter_map(|user| user.drive.get())
            .find(|slot| wanted(slot))
            .cloned();
        drop(users);
        of_user.or_else(|| {
            self.all_sites()
                .iter()
                .find_map(|site| site.libraries().into_iter().find(|slot| wanted(slot)))
        })
    }

    pub(crate) fn all_sites(&self) -> Vec<Arc<Site>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn push_user(&self, user: User) -> Arc<User> {
        let user = Arc::new(user);
        self.users
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&user));
        user
    }

    /// The number and the id of the next request.
    pub(crate) fn next_request(&self) -> (u64, String) {
        let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        *counter += 1;
        (*counter, guid(&[self.seed, *counter, 71]))
    }

    /// A deterministic coin with `n` sides: true for one of them.
    pub(crate) fn coin(&self, parts: u64, n: u64) -> bool {
        mix(self.seed ^ mix(parts)).is_multiple_of(n)
    }
}
