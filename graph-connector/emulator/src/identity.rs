//! Applications and their tokens.

pub(crate) mod assertion;
pub(crate) mod certificate;
pub(crate) mod endpoint;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::identity::certificate::Certificate;
use crate::random::token;

/// The private key that goes with [`DEFAULT_CERTIFICATE`]. Published on purpose: it opens nothing but emulators.
pub(crate) const DEFAULT_KEY: &str = include_str!("../keys/app.key.pem");
/// Certificate of the default application.
pub(crate) const DEFAULT_CERTIFICATE: &str = include_str!("../keys/app.cert.pem");

/// Application permissions of the default application: what backup and recovery need, nothing more.
pub const DEFAULT_ROLES: [&str; 14] = [
    "Calendars.ReadWrite",
    "Calendars.Read",
    "Contacts.ReadWrite",
    "Contacts.Read",
    "Files.ReadWrite.All",
    "Files.Read.All",
    "Mail.ReadWrite",
    "Mail.Read",
    "User.Read.All",
    "MailboxSettings.Read",
    "Organization.Read.All",
    "Sites.Read.All",
    "Sites.ReadWrite.All",
    "Sites.Manage.All",
];

/// An application registration in the emulated directory.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) id: String,
    pub(crate) secrets: Vec<(String, Option<i64>)>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) roles: BTreeSet<String>,
    pub(crate) disabled: bool,
    /// Mailboxes (addresses in lower case) that an access policy allows; `None`: all.
    pub(crate) mailboxes: Option<BTreeSet<String>>,
}

impl App {
    /// An application with this id, no credentials and no permissions.
    pub fn new(app_id: &str) -> Self {
        Self {
            id: app_id.to_owned(),
            secrets: vec![],
            certificates: vec![],
            roles: BTreeSet::new(),
            disabled: false,
            mailboxes: None,
        }
    }

    /// Adds a client secret.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.secrets.push((secret.to_owned(), None));
        self
    }

    /// Adds a client secret that is expired already (AADSTS7000222).
    #[must_use]
    pub fn expired_secret(mut self, secret: &str) -> Self {
        self.secrets.push((secret.to_owned(), Some(i64::MIN)));
        self
    }

    /// Adds a certificate in PEM with an RSA key of 2048 bits or more. Ignored when it cannot be read.
    #[must_use]
    pub fn certificate_pem(mut self, pem: &str) -> Self {
        self.certificates.extend(Certificate::from_pem(pem));
        self
    }

    /// Grants an application permission such as `Mail.Read`.
    #[must_use]
    pub fn role(mut self, role: &str) -> Self {
        self.roles.insert(role.to_owned());
        self
    }

    /// Grants several.
    #[must_use]
    pub fn roles<'a>(mut self, roles: impl IntoIterator<Item = &'a str>) -> Self {
        self.roles.extend(roles.into_iter().map(str::to_owned));
        self
    }

    /// The application is disabled (AADSTS7000112).
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// An access policy lets the application into these mailboxes only; others answer 403 `ErrorAccessDenied`.
    #[must_use]
    pub fn only_mailboxes<'a>(mut self, addresses: impl IntoIterator<Item = &'a str>) -> Self {
        self.mailboxes = Some(addresses.into_iter().map(str::to_lowercase).collect());
        self
    }
}

/// What a token says. The roles are those at the time of issue: a later grant needs a new token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub app: String,
    pub roles: BTreeSet<String>,
    pub expires: i64,
}

#[derive(Debug, Default)]
struct State {
    apps: HashMap<String, App>,
    tokens: HashMap<String, Token>,
    issued: u64,
}

/// All applications and tokens.
#[derive(Debug, Default)]
pub(crate) struct Identity(Mutex<State>);

impl Identity {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, app: App) {
        self.lock().apps.insert(app.id.to_lowercase(), app);
    }

    pub(crate) fn app(&self, id: &str) -> Option<App> {
        self.lock().apps.get(&id.to_lowercase()).cloned()
    }

    pub(crate) fn edit(&self, id: &str, edit: impl FnOnce(&mut App)) {
        if let Some(app) = self.lock().apps.get_mut(&id.to_lowercase()) {
            edit(app);
        }
    }

    /// A new token, valid from `now` for `seconds`.
    pub(crate) fn issue(&self, app: &App, seed: u64, now: i64, seconds: i64) -> String {
        let mut state = self.lock();
        state.issued += 1;
        let text = format!(
            "eyJ0eXAiOiJKV1QiLCJub25jZSI6Ij{}",
            token(&[seed, state.issued, 51], 180)
        );
        let token = Token {
            app: app.id.clone(),
            roles: app.roles.clone(),
            expires: now + seconds * 1000,
        };
        state.tokens.insert(text.clone(), token);
        text
    }

    /// The token, if it was issued here and has not expired.
    pub(crate) fn check(&self, token: &str, now: i64) -> Option<Token> {
        self.lock().tokens.get(token).filter(|t| t.expires > now).cloned()
    }

    /// Makes every token issued so far invalid.
    pub(crate) fn expire_all(&self) {
        self.lock().tokens.clear();
    }

    pub(crate) fn issued(&self) -> u64 {
        self.lock().issued
    }
}
