//! Settings of one Microsoft 365 account: where its services are, and the credential of the app that reads it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::exchange::service::MailboxService;
use nakivo_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Microsoft Graph of the global cloud, version 1.0.
pub const DEFAULT_GRAPH_URL: &str = "https://graph.microsoft.com/v1.0";
/// The global cloud's token service.
pub const DEFAULT_LOGIN_URL: &str = "https://login.microsoftonline.com";

/// Hosts of Microsoft Graph in its clouds. A bearer token is sent to these, to loopback, and nowhere else.
const GRAPH_HOSTS: [&str; 6] = [
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "graph.microsoft.de",
    "microsoftgraph.chinacloudapi.cn",
    "canary.graph.microsoft.com",
];

/// A secret: prints `[redacted]`, serialises as itself, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Settings of one account. Unknown keys are refused by name.
///
/// Exactly one credential must be given: `client_secret`, `client_secret_file`, or `certificate_file` together with
/// `private_key_file`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// Name for people. Default: the directory id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Root of Microsoft Graph including the version. Default: [`DEFAULT_GRAPH_URL`]. `http` only for loopback.
    #[serde(default = "default_graph_url")]
    pub graph_url: String,
    /// Root of the token service. Default: [`DEFAULT_LOGIN_URL`]. `http` only for loopback.
    #[serde(default = "default_login_url")]
    pub login_url: String,
    /// Id of the Microsoft directory (a GUID), or one of its verified domains.
    pub directory_id: String,
    /// Application (client) id of the app registration.
    pub app_id: String,
    /// The client secret's value (not its id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// A file that holds the client secret's value; white space around it is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// The certificate (PEM) registered with the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// The certificate's private key (PEM, RSA, PKCS#8 or PKCS#1, not encrypted).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key_file: Option<PathBuf>,
    /// Resource units that calls about OneDrive may cost in a minute; 0 for no limit but the service's. Default:
    /// [`DEFAULT_UNITS_PER_MINUTE`], what the service allows an app in an organisation of up to 1,000 licences. A limit that
    /// the service names in its answers takes its place.
    #[serde(default = "default_units")]
    pub onedrive_units_per_minute: u32,
    /// What is read of mailboxes; at least one. Default: all. What is left out stays in recovery points as it was.
    #[serde(default = "all_services")]
    pub mailbox_services: Vec<MailboxService>,
}

fn all_services() -> Vec<MailboxService> {
    MailboxService::ALL.to_vec()
}

/// Resource units per minute and app that OneDrive and SharePoint allow in the smallest organisations.
pub const DEFAULT_UNITS_PER_MINUTE: u32 = 1250;

fn default_units() -> u32 {
    DEFAULT_UNITS_PER_MINUTE
}

fn default_graph_url() -> String {
    DEFAULT_GRAPH_URL.to_owned()
}

fn default_login_url() -> String {
    DEFAULT_LOGIN_URL.to_owned()
}

/// The credential, read and ready.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    Secret(Secret),
    Certificate {
        certificate_pem: String,
        private_key_pem: Secret,
    },
}

/// A configuration that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// With the version in its path and without a slash at the end.
    pub(crate) graph_url: Url,
    pub(crate) token_url: Url,
    pub(crate) scope: String,
    pub(crate) directory_id: String,
    pub(crate) app_id: String,
    pub(crate) credential: Credential,
}

impl AccountConfig {
    /// Settings with a client secret and Microsoft's addresses.
    #[must_use]
    pub fn with_secret(directory_id: impl Into<String>, app_id: impl Into<String>, secret: Secret) -> Self {
        Self {
            display_name: None,
            graph_url: default_graph_url(),
            login_url: default_login_url(),
            directory_id: directory_id.into(),
            app_id: app_id.into(),
            client_secret: Some(secret),
            client_secret_file: None,
            certificate_file: None,
            private_key_file: None,
            onedrive_units_per_minute: DEFAULT_UNITS_PER_MINUTE,
            mailbox_services: all_services(),
        }
    }

    /// Settings with a certificate and Microsoft's addresses.
    #[must_use]
    pub fn with_certificate(
        directory_id: impl Into<String>,
        app_id: impl Into<String>,
        certificate_file: impl Into<PathBuf>,
        private_key_file: impl Into<PathBuf>,
    ) -> Self {
        Self {
            client_secret: None,
            certificate_file: Some(certificate_file.into()),
            private_key_file: Some(private_key_file.into()),
            ..Self::with_secret(directory_id, app_id, Secret::new(""))
        }
    }

    /// Sets the addresses of the services.
    #[must_use]
    pub fn with_urls(mut self, graph_url: impl Into<String>, login_url: impl Into<String>) -> Self {
        self.graph_url = graph_url.into();
        self.login_url = login_url.into();
        self
    }

    /// Sets what calls about OneDrive may cost in a minute; 0 for no limit but the service's.
    #[must_use]
    pub fn with_units_per_minute(mut self, units: u32) -> Self {
        self.onedrive_units_per_minute = units;
        self
    }

    /// Sets what is read of mailboxes.
    #[must_use]
    pub fn with_mailbox_services(mut self, services: impl IntoIterator<Item = MailboxService>) -> Self {
        self.mailbox_services = services.into_iter().collect();
        self
    }

    /// Reads settings from TOML text.
    ///
    /// # Errors
    /// `InvalidInput`, naming the key and what is allowed. The text itself, which may hold a secret, is never quoted.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| {
            // `message` names keys only; the Display form would quote the line, which may hold the secret.
            Error::new(
                ErrorKind::InvalidInput,
                format!("account settings: {}", error.message()),
            )
            .with_hint(
                "Use the keys display_name, graph_url, login_url, directory_id, app_id, onedrive_units_per_minute, \
                 mailbox_services and one credential.",
            )
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks everything that can be checked without reading files or asking a service.
    ///
    /// # Errors
    /// `InvalidInput`, naming field, value and what is allowed.
    pub fn check(&self) -> Result<()> {
        check_name("directory_id", &self.directory_id)?;
        if ["common", "organizations", "consumers"].contains(&self.directory_id.to_ascii_lowercase().as_str())
        {
            return Err(Error::invalid(
                "directory_id",
                &self.directory_id,
                "the GUID of the directory or one of its verified domains",
            ));
        }
        check_name("app_id", &self.app_id)?;
        self.graph_root()?;
        self.login_root()?;
        if self.mailbox_services.is_empty() {
            return Err(Error::invalid(
                "mailbox_services",
                "[]",
                "one or several of mail, contacts, calendar",
            ));
        }
        let certificate = self.certificate_file.is_some() || self.private_key_file.is_some();
        let given = usize::from(self.client_secret.is_some())
            + usize::from(self.client_secret_file.is_some())
            + usize::from(certificate);
        if given != 1 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("credential: {given} are given; allowed: exactly one"),
            )
            .with_hint(
                "Give client_secret, client_secret_file, or certificate_file with private_key_file.",
            ));
        }
        if certificate && (self.certificate_file.is_none() || self.private_key_file.is_none()) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "certificate_file and private_key_file must be given together",
            ));
        }
        if self
            .client_secret
            .as_ref()
            .is_some_and(|secret| secret.expose().trim().is_empty())
        {
            return Err(Error::new(ErrorKind::InvalidInput, "client_secret: is empty"));
        }
        Ok(())
    }

    /// Name for people.
    #[must_use]
    pub fn label(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.directory_id)
    }

    /// Checks the settings and reads the credential's files.
    pub(crate) fn resolve(&self) -> Result<Account> {
        self.check()?;
        let graph_url = self.graph_root()?;
        let mut token_url = self.login_root()?;
        if let Ok(mut segments) = token_url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend([self.directory_id.as_str(), "oauth2", "v2.0", "token"]);
        }
        let scope = if is_loopback(&graph_url) {
            "https://graph.microsoft.com/.default".to_owned()
        } else {
            format!("https://{}/.default", graph_url.host_str().unwrap_or_default())
        };
        let credential = match (&self.client_secret, &self.client_secret_file) {
            (Some(secret), _) => Credential::Secret(secret.clone()),
            (None, Some(path)) => Credential::Secret(read_secret("client_secret_file", path)?),
            (None, None) => {
                let (Some(certificate), Some(key)) = (&self.certificate_file, &self.private_key_file) else {
                    return Err(Error::internal("a credential was checked and is missing"));
                };
                Credential::Certificate {
                    certificate_pem: read_text("certificate_file", certificate)?,
                    private_key_pem: Secret::new(read_text("private_key_file", key)?),
                }
            }
        };
        Ok(Account {
            graph_url,
            token_url,
            scope,
            directory_id: self.directory_id.clone(),
            app_id: self.app_id.clone(),
            credential,
        })
    }

    fn graph_root(&self) -> Result<Url> {
        let mut url = service_url("graph_url", &self.graph_url)?;
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        if !is_loopback(&url) && !GRAPH_HOSTS.contains(&host.as_str()) {
            return Err(Error::invalid(
                "graph_url",
                &self.graph_url,
                "a host of Microsoft Graph, or loopback",
            ));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(if path.is_empty() { "/v1.0" } else { &path });
        Ok(url)
    }

    fn login_root(&self) -> Result<Url> {
        service_url("login_url", &self.login_url)
    }
}

fn service_url(field: &str, value: &str) -> Result<Url> {
    let allowed = "an https URL without user, query and fragment (http only for loopback)";
    let url = Url::parse(value).map_err(|_| Error::invalid(field, value, allowed))?;
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        // The value may hold a password.
        return Err(Error::invalid(field, "(not shown)", allowed));
    }
    if !scheme || url.host_str().is_none() {
        return Err(Error::invalid(field, value, allowed));
    }
    Ok(url)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

fn check_name(field: &str, value: &str) -> Result<()> {
    let good = !value.is_empty()
        && value.len() <= 253
        && !value.starts_with('.')
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    if good {
        Ok(())
    } else {
        Err(Error::invalid(
            field,
            value,
            "a GUID or a domain name: letters, digits, '-' and '.'",
        ))
    }
}

fn read_text(field: &str, path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("{field}: '{}' cannot be read: {error}", path.display()),
        )
    })
}

fn read_secret(field: &str, path: &Path) -> Result<Secret> {
    let mut text = read_text(field, path)?;
    let secret = Secret::new(text.trim());
    text.zeroize();
    if secret.expose().is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{field}: '{}' is empty", path.display()),
        ));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "directory_id = 'contoso.com'\napp_id = '11111111-2222-3333-4444-555555555555'\n";

    fn refused(text: &str) -> String {
        format!(
            "{:?}",
            AccountConfig::from_toml(&format!("{BASE}{text}")).unwrap_err()
        )
    }

    #[test]
    fn settings_are_checked_and_secrets_never_shown() {
        let good = AccountConfig::from_toml(&format!("{BASE}client_secret = 'CANARY'")).unwrap();
        assert!(!format!("{good:?}").contains("CANARY"));
        assert_eq!(
            good.resolve().unwrap().token_url.as_str(),
            "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token"
        );
        assert!(refused("").contains("0 are given"));
        assert!(refused("client_secret='CANARY'\nclient_secret_file='b'").contains("2 are given"));
        assert!(refused("certificate_file='b'").contains("together"));
        assert!(refused("client_secret='CANARY'\nsecrets='CANARY'").contains("secrets"));
        for text in [
            "client_secret=\"CANARY",
            "client_secret=CANARY",
            "client_secret='CANARY'\ngraph_url='http://graph.microsoft.com'",
            "client_secret='CANARY'\ngraph_url='https://evil.example/v1.0'",
            "client_secret='CANARY'\ngraph_url='https://u:CANARY@graph.microsoft.com'",
            "client_secret='CANARY'\nlogin_url='http://login.example'",
            "client_secret='CANARY'\nsecrets='CANARY'",
        ] {
            assert!(!refused(text).contains("CANARY"), "{}", refused(text));
        }
    }

    #[test]
    fn loopback_may_be_plain_http() {
        let config = AccountConfig::with_secret("d", "a", Secret::new("s"))
            .with_urls("http://127.0.0.1:9/", "http://[::1]:9");
        let account = config.resolve().unwrap();
        assert_eq!(account.graph_url.as_str(), "http://127.0.0.1:9/v1.0");
        assert_eq!(account.scope, "https://graph.microsoft.com/.default");
    }
}
