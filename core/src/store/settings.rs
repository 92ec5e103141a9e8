//! Settings of object stores: where a service is and the credential for it, read from TOML.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::{Error, ErrorKind, Result};

/// A secret: prints `[redacted]`, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that uses it.
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

/// Settings of the object stores that a program uses, one section for each service. Unknown keys are refused by name.
///
/// ```toml
/// [s3]
/// endpoint = "https://s3.example.com"   # absent: Amazon
/// region = "eu-central-1"
/// access_key_id = "..."
/// secret_access_key_file = "s3.secret"  # or secret_access_key
///
/// [azure]
/// account = "..."
/// access_key_file = "azure.key"         # or access_key, or sas_token, or sas_token_file
///
/// [gcs]
/// service_account_file = "key.json"
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct StoreSettings {
    /// S3 and what is compatible with it.
    pub s3: Option<S3Settings>,
    /// Azure Blob Storage.
    pub azure: Option<AzureSettings>,
    /// Google Cloud Storage.
    pub gcs: Option<GcsSettings>,
}

/// Where an S3 service is and who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct S3Settings {
    /// Root of the service. Default: Amazon's, in `region`. `http` only for loopback or with `allow_http`.
    pub endpoint: Option<String>,
    /// Region. Needed without an endpoint; default with one: `us-east-1`.
    pub region: Option<String>,
    /// Id of the access key.
    pub access_key_id: Option<String>,
    /// The access key's secret.
    pub secret_access_key: Option<Secret>,
    /// A file that holds the secret; white space around it is ignored.
    pub secret_access_key_file: Option<PathBuf>,
    /// Token of temporary credentials.
    pub session_token: Option<Secret>,
    /// Whether the bucket is part of the host name that `endpoint` gives. Default: it is part of the path.
    pub virtual_hosted: bool,
    /// Lets `endpoint` be `http` beyond loopback. Data are sealed; names, sizes and requests are not.
    pub allow_http: bool,
    /// Certificates (PEM) of authorities that are trusted besides the public ones.
    pub ca_file: Option<PathBuf>,
}

/// Where an Azure Blob service is and who asks. Exactly one credential must be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AzureSettings {
    /// The storage account.
    pub account: Option<String>,
    /// Root of the service. Default: that of the account in the global cloud. `http` only for loopback or with
    /// `allow_http`.
    pub endpoint: Option<String>,
    /// The account's key, base64.
    pub access_key: Option<Secret>,
    /// A file that holds the account's key; white space around it is ignored.
    pub access_key_file: Option<PathBuf>,
    /// A shared access signature.
    pub sas_token: Option<Secret>,
    /// A file that holds a shared access signature; white space around it is ignored.
    pub sas_token_file: Option<PathBuf>,
    /// Lets `endpoint` be `http` beyond loopback. A shared access signature is then readable on the way.
    pub allow_http: bool,
    /// Certificates (PEM) of authorities that are trusted besides the public ones.
    pub ca_file: Option<PathBuf>,
}

/// Where Google Cloud Storage is and who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct GcsSettings {
    /// Root of the service. Default: Google's. `http` only for loopback or with `allow_http`.
    pub endpoint: Option<String>,
    /// The service account's key file, JSON, as Google hands it out.
    pub service_account_file: Option<PathBuf>,
    /// Lets `endpoint` be `http` beyond loopback. The access token is then readable on the way.
    pub allow_http: bool,
    /// Certificates (PEM) of authorities that are trusted besides the public ones.
    pub ca_file: Option<PathBuf>,
}

impl StoreSettings {
    /// Reads settings from TOML text.
    ///
    /// # Errors
    /// `InvalidInput`, naming the key and what is allowed. The text itself, which may hold a secret, is never quoted.
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            // `message` names keys only; the Display form would quote the line, which may hold the secret.
            Error::new(
                ErrorKind::InvalidInput,
                format!("store settings: {}", error.message()),
            )
            .with_hint("Use the sections [s3], [azure] and [gcs] with the keys that the manual lists.")
        })
    }

    /// The same settings; files that they name by a relative path are looked for in `folder`.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let s3 = self
            .s3
            .iter_mut()
            .flat_map(|s3| [&mut s3.secret_access_key_file, &mut s3.ca_file]);
        let azure = self.azure.iter_mut().flat_map(|azure| {
            [
                &mut azure.access_key_file,
                &mut azure.sas_token_file,
                &mut azure.ca_file,
            ]
        });
        let gcs = self
            .gcs
            .iter_mut()
            .flat_map(|gcs| [&mut gcs.service_account_file, &mut gcs.ca_file]);
        for path in s3.chain(azure).chain(gcs).flatten() {
            *path = folder.join(&*path);
        }
        self
    }

    /// Whether a secret itself, and not only the file that holds it, is among them.
    #[must_use]
    pub fn holds_secret(&self) -> bool {
        self.s3
            .as_ref()
            .is_some_and(|s3| s3.secret_access_key.is_some() || s3.session_token.is_some())
            || self
                .azure
                .as_ref()
                .is_some_and(|azure| azure.access_key.is_some() || azure.sas_token.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sections_and_finds_files_beside_them() {
        let settings = StoreSettings::from_toml(
            "[s3]\naccess_key_id = 'id'\nsecret_access_key_file = 's'\nca_file = '/ca.pem'\n[gcs]\nservice_account_file = 'g'\n",
        )
        .unwrap()
        .relative_to(Path::new("/etc/nakivo"));
        let s3 = settings.s3.as_ref().unwrap();
        assert_eq!(
            s3.secret_access_key_file.as_deref(),
            Some(Path::new("/etc/nakivo/s"))
        );
        assert_eq!(s3.ca_file.as_deref(), Some(Path::new("/ca.pem")));
        assert_eq!(
            settings.gcs.as_ref().unwrap().service_account_file.as_deref(),
            Some(Path::new("/etc/nakivo/g"))
        );
        assert!(!settings.holds_secret());
        assert!(
            StoreSettings::from_toml("[azure]\naccess_key = 'a2V5'\n")
                .unwrap()
                .holds_secret()
        );
    }

    #[test]
    fn no_error_and_no_debug_output_holds_the_secret() {
        for text in [
            "[s3]\nsecret_access_key = 'hunter2",
            "[s3]\nsecret_access_key = 'hunter2'\nregoin = 'x'\n",
            "[s4]\nsecret_access_key = 'hunter2'\n",
            "[s3]\nsecret_access_key = ['hunter2']\n",
        ] {
            let error = StoreSettings::from_toml(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        let settings = StoreSettings::from_toml("[s3]\nsecret_access_key = 'hunter2'\n").unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
