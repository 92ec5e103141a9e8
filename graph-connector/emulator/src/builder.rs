//! Starting and stopping an emulator.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::watch;

use crate::admin;
use crate::calendars;
use crate::clock::Clock;
use crate::contacts;
use crate::control::{Faults, Mailbox};
use crate::files::Drive;
use crate::generate::{Generator, people};
use crate::graph::serve::{self, Host};
use crate::http::server;
use crate::identity::{App, DEFAULT_CERTIFICATE, DEFAULT_KEY, DEFAULT_ROLES};
use crate::load;
use crate::log::Requests;
use crate::random::{guid, token};
use crate::sites::{self, Site};
use crate::world::{Settings, Urls, World};

/// Why an emulator did not start or an edit was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A listener could not be opened, or its address is not a loopback address.
    #[error("the emulator cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file or folder of mail or files could not be read.
    #[error("nothing can be read from {path}")]
    Load {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No such user, or the user has no mailbox.
    #[error("no mailbox has the address {0}")]
    NoMailbox(String),
    /// No such folder or message.
    #[error("{0} was not found")]
    NotFound(String),
    /// The edit was refused: name taken, folder protected, or similar.
    #[error("refused: {0}")]
    Refused(String),
}

/// What a client needs to connect, ready to be printed as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EmulatorInfo {
    /// Base of Graph calls, such as `http://127.0.0.1:4711/v1.0`.
    pub graph_url: String,
    /// Base of the token endpoint: `{login_url}/{directory_id}/oauth2/v2.0/token`.
    pub login_url: String,
    /// The whole token endpoint.
    pub token_url: String,
    /// Base of the admin port.
    pub admin_url: String,
    /// Host of pre-authenticated addresses: uploads, content of files.
    pub outlook_url: String,
    /// The directory id (a GUID).
    pub directory_id: String,
    /// The mail domain; the token endpoint takes it in place of the directory id.
    pub domain: String,
    /// Application id of the default application.
    pub app_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its certificate.
    pub certificate_pem: String,
    /// The private key of the certificate (PKCS#8).
    pub private_key_pem: String,
    /// Its permissions.
    pub roles: Vec<String>,
    /// Addresses of all users with a mailbox.
    pub mailboxes: Vec<String>,
    /// Addresses of all users with a drive.
    pub drives: Vec<String>,
    /// Where people see each site.
    pub sites: Vec<String>,
    /// The seed of everything.
    pub seed: u64,
}

type ClockSource = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Settings of an emulator before it starts. See [`crate::Emulator::builder`].
#[derive(Clone)]
pub struct EmulatorBuilder {
    seed: u64,
    users: usize,
    items_per_user: Option<u32>,
    items: Option<u64>,
    shared: usize,
    without_mailbox: usize,
    mail: Vec<(Option<String>, PathBuf)>,
    files_per_user: Option<u32>,
    files: Vec<(Option<String>, PathBuf)>,
    sites: sites::Made,
    pub(crate) contacts: contacts::Plan,
    pub(crate) events_per_user: u32,
    clock: Option<ClockSource>,
    listen: SocketAddr,
    outlook_listen: SocketAddr,
    admin_listen: SocketAddr,
    public_url: Option<String>,
    domain: String,
    settings: Settings,
    apps: Vec<App>,
    roles: Vec<String>,
    log_limit: usize,
}

impl std::fmt::Debug for EmulatorBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmulatorBuilder")
            .field("seed", &self.seed)
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}

impl Default for EmulatorBuilder {
    fn default() -> Self {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            seed: 1,
            users: 3,
            items_per_user: None,
            items: None,
            shared: 0,
            without_mailbox: 0,
            mail: vec![],
            files_per_user: None,
            files: vec![],
            sites: sites::Made::default(),
            contacts: contacts::Plan::default(),
            events_per_user: 0,
            clock: None,
            listen: loopback,
            outlook_listen: loopback,
            admin_listen: loopback,
            public_url: None,
            domain: "fabrika.example".into(),
            settings: Settings::default(),
            apps: vec![],
            roles: DEFAULT_ROLES.iter().map(|r| (*r).to_owned()).collect(),
            log_limit: 100_000,
        }
    }
}

impl EmulatorBuilder {
    /// The seed of everything that is made up. Default 1.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Number of generated users with a mailbox. Default 3.
    #[must_use]
    pub fn users(mut self, n: usize) -> Self {
        self.users = n;
        self
    }

    /// Generated messages in each mailbox. Default 0 when neither this nor [`Self::items`] is given.
    #[must_use]
    pub fn items_per_user(mut self, n: u32) -> Self {
        self.items_per_user = Some(n);
        self
    }

    /// Generated messages in all mailboxes together, spread evenly.
    #[must_use]
    pub fn items(mut self, n: u64) -> Self {
        self.items = Some(n);
        self
    }

    /// Additional shared mailboxes, empty but for their folders. Default 0.
    #[must_use]
    pub fn shared_mailboxes(mut self, n: usize) -> Self {
        self.shared = n;
        self
    }

    /// Additional users without a mailbox. Default 0.
    #[must_use]
    pub fn users_without_mailbox(mut self, n: usize) -> Self {
        self.without_mailbox = n;
        self
    }

    /// Loads `.eml` files: subfolders become mail folders, files at the top go to Inbox. When the subfolders of
    /// `path` are named like addresses (`anna@fabrika.example`), each is loaded into that mailbox (users are
    /// added as needed); else everything goes to the first user.
    #[must_use]
    pub fn mail_from(mut self, path: impl AsRef<Path>) -> Self {
        self.mail.push((None, path.as_ref().to_owned()));
        self
    }

    /// Loads `.eml` files into the mailbox of `address`, which is added when there is no such user.
    #[must_use]
    pub fn mail_into(mut self, address: &str, path: impl AsRef<Path>) -> Self {
        self.mail
            .push((Some(address.to_owned()), path.as_ref().to_owned()));
        self
    }

    /// Gives each generated user a drive with so many generated files. Without it nobody has one.
    #[must_use]
    pub fn files_per_user(mut self, n: u32) -> Self {
        self.files_per_user = Some(n);
        self
    }

    /// Loads a tree of files into the drive of `address`; user and drive are added when they are not there.
    #[must_use]
    pub fn files_into(mut self, address: &str, path: impl AsRef<Path>) -> Self {
        self.files
            .push((Some(address.to_owned()), path.as_ref().to_owned()));
        self
    }

    /// As [`Self::files_into`] for the first user.
    #[must_use]
    pub fn files_from(mut self, path: impl AsRef<Path>) -> Self {
        self.files.push((None, path.as_ref().to_owned()));
        self
    }

    /// Generated sites, each with a library of so many generated files and a subsite. Default none.
    #[must_use]
    pub fn sites(mut self, sites: u32, files: u32) -> Self {
        self.sites = sites::Made {
            sites,
            files,
            ..self.sites
        };
        self
    }

    /// Rows in a list of each generated site; half as many in another one point to them. Default none.
    #[must_use]
    pub fn rows_per_site(mut self, rows: u32) -> Self {
        self.sites.rows = rows;
        self
    }

    /// The emulator's time. Without it: 2026-01-05T08:00:00Z and one millisecond more at each reading, and
    /// validity windows of client assertions are not compared with it.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }

    /// Address of the listener for login and Graph. Loopback only. Default `127.0.0.1:0`.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Address of the admin listener. Loopback only. Default `127.0.0.1:0`.
    #[must_use]
    pub fn admin_listen(mut self, address: SocketAddr) -> Self {
        self.admin_listen = address;
        self
    }

    /// Address of the listener for pre-authenticated uploads. Loopback only. Default `127.0.0.1:0`.
    #[must_use]
    pub fn outlook_listen(mut self, address: SocketAddr) -> Self {
        self.outlook_listen = address;
        self
    }

    /// Base that links are built with (no `/v1.0`), when clients come through a proxy such as
    /// `https://graph.microsoft.com`.
    #[must_use]
    pub fn public_url(mut self, base: &str) -> Self {
        self.public_url = Some(base.trim_end_matches('/').to_owned());
        self
    }

    /// The mail domain. Default `fabrika.example`.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = domain.to_lowercase();
        self
    }

    /// Changes the behaviour switches; they can be changed later too.
    #[must_use]
    pub fn settings(mut self, edit: impl FnOnce(&mut Settings)) -> Self {
        edit(&mut self.settings);
        self
    }

    /// Registers another application.
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.apps.push(app);
        self
    }

    /// Permissions of the default application instead of [`DEFAULT_ROLES`].
    #[must_use]
    pub fn roles<'a>(mut self, roles: impl IntoIterator<Item = &'a str>) -> Self {
        self.roles = roles.into_iter().map(str::to_owned).collect();
        self
    }

    /// How many records the request log keeps (counters are always complete). Default 100,000; 0 keeps none.
    #[must_use]
    pub fn request_log_limit(mut self, n: usize) -> Self {
        self.log_limit = n;
        self
    }

    /// Makes the organisation, loads mail, opens the listeners. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Listen`] and [`Error::Load`].
    pub async fn start(self) -> Result<Emulator, Error> {
        let clock = Clock::new(self.clock.clone());
        let per_user = match (self.items_per_user, self.items) {
            (Some(n), _) => n,
            (None, Some(total)) => total.div_ceil(self.users.max(1) as u64) as u32,
            (None, None) => 0,
        };
        let domain = self.domain.clone();
        let people: Vec<_> = (0..self.users as u64)
            .map(|i| people::person(self.seed, i, &domain))
            .collect();
        let generator = Generator {
            seed: self.seed,
            domain: domain.clone(),
            people,
            items: per_user,
        };
        let log = Requests::new(self.log_limit);
        let world = Arc::new(World::new(
            self.seed,
            clock,
            generator,
            log,
            self.settings.clone(),
        ));
        let mut left = self.items.unwrap_or(u64::MAX);
        for n in 0..self.users as u32 {
            let count = u64::from(per_user).min(left) as u32;
            left = left.saturating_sub(u64::from(count));
            load::generated_user(&world, n, count);
        }
        for n in 0..self.shared {
            load::extra_user(
                &world,
                &format!("shared{:02}@{domain}", n + 1),
                &format!("Shared mailbox {}", n + 1),
                Some(people::Purpose::Shared),
            );
        }
        for n in 0..self.without_mailbox {
            load::extra_user(
                &world,
                &format!("service{:02}@{domain}", n + 1),
                &format!("Service account {}", n + 1),
                None,
            );
        }
        for (address, path) in &self.mail {
            load::folder_of_mail(&world, address.as_deref(), path)?;
        }
        self.contacts.fill(&world, self.users)?;
        calendars::fill(&world, self.users, self.events_per_user)?;
        if let Some(files) = self.files_per_user {
            let users = world.all_users();
            for user in users.iter().take(self.users) {
                Drive::provision(&world, &user.person.id)?.add_generated(files);
            }
        }
        for (address, path) in &self.files {
            let user = match address {
                Some(address) => world.user(address),
                None => world.all_users().first().cloned(),
            };
            let user = match user {
                Some(user) => user,
                None => {
                    let address = address.clone().unwrap_or_else(|| format!("user@{domain}"));
                    load::extra_user(&world, &address, &address, None)
                }
            };
            load::tree_of_files(&world, &user, path)?;
        }
        self.sites.make(&world);
        let app_id = guid(&[self.seed, 62]);
        let client_secret = format!("nkv~{}", token(&[self.seed, 63], 36));
        world.identity.put(
            App::new(&app_id)
                .secret(&client_secret)
                .certificate_pem(DEFAULT_CERTIFICATE)
                .roles(self.roles.iter().map(String::as_str)),
        );
        for app in self.apps {
            world.identity.put(app);
        }
        let (stop, stopped) = watch::channel(false);
        let listen = |address| async move {
            server::bind(address)
                .await
                .map_err(|source| Error::Listen { address, source })
        };
        let (main, main_at) = listen(self.listen).await?;
        let (outlook, outlook_at) = listen(self.outlook_listen).await?;
        let (admin_socket, admin_at) = listen(self.admin_listen).await?;
        let _ = world.urls.set(Urls {
            main: self.public_url.unwrap_or_else(|| format!("http://{main_at}")),
            outlook: format!("http://{outlook_at}"),
            admin: format!("http://{admin_at}"),
        });
        for (socket, host) in [(main, Host::Main), (outlook, Host::Outlook)] {
            let world = Arc::clone(&world);
            server::serve(socket, stopped.clone(), move |incoming| {
                serve::serve(Arc::clone(&world), host, incoming)
            });
        }
        let info = {
            let mut info = describe(&world, &app_id, &client_secret);
            info.roles = self.roles;
            info
        };
        let for_admin = Arc::clone(&world);
        let described = info.clone();
        server::serve(admin_socket, stopped, move |incoming| {
            let reply = admin::handle(&for_admin, &described, &incoming);
            async move {
                Ok(server::Outgoing {
                    reply,
                    damage: None,
                    guard: None,
                })
            }
        });
        Ok(Emulator {
            world,
            info,
            address: main_at,
            stop,
        })
    }
}

fn describe(world: &World, app_id: &str, secret: &str) -> EmulatorInfo {
    let urls = world.urls.get().cloned().unwrap_or_default();
    EmulatorInfo {
        graph_url: world.graph_url(),
        login_url: world.login_url(),
        token_url: format!("{}/{}/oauth2/v2.0/token", world.login_url(), world.directory_id),
        admin_url: format!("{}/admin", urls.admin),
        outlook_url: urls.outlook,
        directory_id: world.directory_id.clone(),
        domain: world.generator().domain.clone(),
        app_id: app_id.to_owned(),
        client_secret: secret.to_owned(),
        certificate_pem: DEFAULT_CERTIFICATE.to_owned(),
        private_key_pem: DEFAULT_KEY.to_owned(),
        roles: vec![],
        mailboxes: world
            .all_users()
            .iter()
            .filter(|u| u.mailbox.is_some())
            .map(|u| u.person.address.clone())
            .collect(),
        drives: world
            .all_users()
            .iter()
            .filter(|u| u.drive.get().is_some())
            .map(|u| u.person.address.clone())
            .collect(),
        sites: world
            .all_sites()
            .iter()
            .filter(|site| !site.personal)
            .map(|site| site.url())
            .collect(),
        seed: world.seed,
    }
}

/// A running emulator. It stops when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    world: Arc<World>,
    info: EmulatorInfo,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Emulator {
    /// An emulator with three users, empty mailboxes and seed 1; change what you need, then `start`.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    /// Base of Graph calls: `http://127.0.0.1:PORT/v1.0`.
    pub fn graph_url(&self) -> &str {
        &self.info.graph_url
    }

    /// Base of the token endpoint: `http://127.0.0.1:PORT`.
    pub fn login_url(&self) -> &str {
        &self.info.login_url
    }

    /// Base of the admin port: `http://127.0.0.1:PORT/admin`.
    pub fn admin_url(&self) -> &str {
        &self.info.admin_url
    }

    /// Origin of pre-authenticated upload URLs, another one than Graph's.
    pub fn outlook_url(&self) -> &str {
        &self.info.outlook_url
    }

    /// Address of the Graph listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory id.
    pub fn directory_id(&self) -> &str {
        &self.info.directory_id
    }

    /// Id of the default application.
    pub fn app_id(&self) -> &str {
        &self.info.app_id
    }

    /// Secret of the default application.
    pub fn client_secret(&self) -> &str {
        &self.info.client_secret
    }

    /// Certificate of the default application.
    pub fn certificate_pem(&self) -> &str {
        &self.info.certificate_pem
    }

    /// Private key (PKCS#8, RSA 2048) of the certificate. The same in every emulator: a secret of nothing.
    pub fn private_key_pem(&self) -> &str {
        &self.info.private_key_pem
    }

    /// Everything a client needs, with the mailboxes that exist now.
    pub fn describe(&self) -> EmulatorInfo {
        let mut info = describe(&self.world, &self.info.app_id, &self.info.client_secret);
        info.roles.clone_from(&self.info.roles);
        info
    }

    /// The mailbox of a user by address or object id.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn mailbox(&self, user: &str) -> Result<Mailbox, Error> {
        Mailbox::open(&self.world, user)
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// All mailboxes in the order of the directory.
    pub fn mailboxes(&self) -> Vec<Mailbox> {
        self.world
            .all_users()
            .iter()
            .filter_map(|u| Mailbox::open(&self.world, &u.person.id).ok())
            .collect()
    }

    /// The drive of a user by address or object id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn drive(&self, user: &str) -> Result<Drive, Error> {
        Drive::open(&self.world, user)
    }

    /// The drive of a user, made if there is none.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the user.
    pub fn add_drive(&self, user: &str) -> Result<Drive, Error> {
        Drive::provision(&self.world, user)
    }

    /// All drives in the order of the directory.
    pub fn drives(&self) -> Vec<Drive> {
        self.world
            .all_users()
            .iter()
            .filter_map(|user| Drive::open(&self.world, &user.person.id).ok())
            .collect()
    }

    /// Adds a site at `/sites/{name}`, or the root site of the organisation if the name is empty.
    #[must_use]
    pub fn add_site(&self, name: &str, display: &str) -> Site {
        sites::add(&self.world, name, display)
    }

    /// Adds a personal site, which holds a OneDrive: it is listed and is none to protect.
    #[must_use]
    pub fn add_personal_site(&self, name: &str) -> Site {
        sites::add_personal(&self.world, name)
    }

    /// All sites and subsites but personal ones.
    #[must_use]
    pub fn sites(&self) -> Vec<Site> {
        sites::all(&self.world)
    }

    /// Adds a user with an empty mailbox (or returns the existing mailbox).
    pub fn add_user(&self, address: &str, display_name: &str) -> Result<Mailbox, Error> {
        if self.world.user(address).is_none() {
            load::extra_user(&self.world, address, display_name, Some(people::Purpose::User));
        }
        self.mailbox(address)
    }

    /// Removes a user and his mailbox from the directory.
    pub fn remove_user(&self, user: &str) {
        load::remove_user(&self.world, user);
    }

    /// Faults to inject.
    pub fn faults(&self) -> Faults {
        Faults::new(&self.world)
    }

    /// The request log.
    pub fn requests(&self) -> Requests {
        self.world.log.clone()
    }

    /// The switches as they are.
    pub fn settings(&self) -> Settings {
        self.world.settings()
    }

    /// Changes switches.
    pub fn set(&self, edit: impl FnOnce(&mut Settings)) {
        self.world.set(edit);
    }

    /// Registers an application, or replaces the one with the same id.
    pub fn register(&self, app: App) {
        self.world.identity.put(app);
    }

    /// Sets the permissions of an application. As in the real directory they take effect with its next token.
    pub fn grant<'a>(&self, app_id: &str, roles: impl IntoIterator<Item = &'a str>) {
        let roles = roles.into_iter().map(str::to_owned).collect();
        self.world.identity.edit(app_id, |app| app.roles = roles);
    }

    /// Number of tokens issued so far.
    pub fn tokens_issued(&self) -> u64 {
        self.world.identity.issued()
    }

    /// Moves the emulator's time forward, whichever clock it has.
    pub fn advance(&self, by: Duration) {
        self.world.clock.advance(by);
    }

    /// Closes the listeners and all connections.
    pub fn stop(self) {
        let _ = self.stop.send(true);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}
