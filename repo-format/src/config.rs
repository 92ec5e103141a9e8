//! `format.json`: what a repository is, readable without any key.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::FORMAT_VERSION;
use crate::codec::Compression;
use crate::error::{FormatError, Result};
use crate::ids::RepositoryId;
use crate::json;

const WHAT: &str = "format.json";
const MARK: &str = "repository";

/// How writers of one repository keep out of each other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Concurrency {
    /// The store creates an object only if it is absent; any number of writers.
    ConditionalCreate,
    /// The store cannot do that; the operator promises one writer at a time.
    SingleWriter,
}

/// The repository's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepositoryConfig {
    /// The repository's id.
    pub id: RepositoryId,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Whether a passphrase protects the master key. Data is sealed and authenticated either way.
    pub encrypted: bool,
    /// What new data is compressed with unless the writer decides otherwise.
    pub compression: Compression,
    /// Features that a reader or writer may ignore.
    pub compatible_features: Vec<String>,
    /// Features that must be known before anything else is read.
    pub incompatible_features: Vec<String>,
    /// How writers keep out of each other's way.
    pub concurrency: Concurrency,
    /// For how many days after it was made nobody may remove a recovery point or what it needs, by the store's own locks.
    /// `None`: nothing is locked.
    pub immutable_days: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    nakivo: String,
    version: u32,
    id: RepositoryId,
    created: String,
    encrypted: bool,
    compression: Compression,
    compatible_features: Vec<String>,
    incompatible_features: Vec<String>,
    concurrency: Concurrency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    immutable_days: Option<u32>,
    #[serde(default)]
    check: String,
}

impl RepositoryConfig {
    /// A configuration with the defaults: encrypted, medium compression, conditional create, no features.
    #[must_use]
    pub fn new(id: RepositoryId, created: impl Into<String>) -> Self {
        Self {
            id,
            created: created.into(),
            encrypted: true,
            compression: Compression::default(),
            compatible_features: Vec::new(),
            incompatible_features: Vec::new(),
            concurrency: Concurrency::ConditionalCreate,
            immutable_days: None,
        }
    }

    /// Sets whether a passphrase protects the master key.
    #[must_use]
    pub fn with_encrypted(mut self, encrypted: bool) -> Self {
        self.encrypted = encrypted;
        self
    }

    /// Sets the compression of new data.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets how writers keep out of each other's way.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets for how many days points are locked in the store; `None`: not at all.
    #[must_use]
    pub fn with_immutable_days(mut self, days: Option<u32>) -> Self {
        self.immutable_days = days;
        self
    }

    /// Reads and checks the file.
    ///
    /// # Errors
    /// `BadMagic` for another file, `UnsupportedVersion` and `UnsupportedFeature` for a newer repository,
    /// `Authentication` when the check value does not match, `Truncated`, `Corrupt`, `LimitExceeded`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let map = json::parse(WHAT, bytes)?;
        if map.get("nakivo").and_then(Value::as_str) != Some(MARK) {
            return Err(FormatError::BadMagic { what: WHAT });
        }
        // The check comes first: a flipped digit of the version must read as damage, not as a new version.
        let canonical = json::canonical(WHAT, &map, &["check"])?;
        let check = map.get("check").and_then(Value::as_str);
        if check != Some(json::check_value(&canonical).as_str()) {
            return Err(FormatError::Authentication { what: WHAT });
        }
        json::check_version(WHAT, &map, FORMAT_VERSION)?;
        if let Some(Value::Array(features)) = map.get("incompatible_features")
            && let Some(unknown) = features.first()
        {
            return Err(FormatError::UnsupportedFeature {
                what: WHAT,
                feature: unknown.as_str().unwrap_or("(not text)").to_owned(),
            });
        }
        known::<Compression>(&map, "compression")?;
        known::<Concurrency>(&map, "concurrency")?;
        let stored: Stored = serde_json::from_value(Value::Object(map))
            .map_err(|e| FormatError::corrupt(WHAT, e.to_string()))?;
        Ok(Self {
            id: stored.id,
            created: stored.created,
            encrypted: stored.encrypted,
            compression: stored.compression,
            compatible_features: stored.compatible_features,
            incompatible_features: stored.incompatible_features,
            concurrency: stored.concurrency,
            immutable_days: stored.immutable_days,
        })
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be expressed as JSON; does not happen for values of this type.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let stored = Stored {
            nakivo: MARK.into(),
            version: FORMAT_VERSION,
            id: self.id,
            created: self.created.clone(),
            encrypted: self.encrypted,
            compression: self.compression,
            compatible_features: self.compatible_features.clone(),
            incompatible_features: self.incompatible_features.clone(),
            concurrency: self.concurrency,
            immutable_days: self.immutable_days,
            check: String::new(),
        };
        json::with_check(WHAT, &stored)
    }
}

/// Refuses a word that this version does not know as something newer: the file is undamaged, so somebody wrote it.
fn known<T: DeserializeOwned>(map: &serde_json::Map<String, Value>, member: &str) -> Result<()> {
    match map.get(member) {
        Some(Value::String(word)) if T::deserialize(Value::String(word.clone())).is_err() => {
            Err(FormatError::UnsupportedFeature {
                what: WHAT,
                feature: format!("{member} {word:?}"),
            })
        }
        // What is missing or no text is told by whoever reads it.
        _ => Ok(()),
    }
}
