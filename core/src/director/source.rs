//! Where the objects of a job come from, and how the director gets at them: through factories that its owner hands in.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ids::AccountId;
use crate::connector::Connector;
use crate::error::{Error, Result};
use crate::folder::FolderConnector;
use crate::registry::Registration;
use crate::repository::Repository;

/// Longest text in a source, in bytes.
const MAX_TEXT_BYTES: usize = 4_096;
/// Most objects that one source names.
const MAX_OBJECTS: usize = 100_000;
/// [`Source::connector`] of folders.
pub const FOLDER: &str = "folder";

/// One place that objects come from. Holds no secrets: only where its owner finds them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Which connector reads it, as [`Connector::name`] says: `folder`, `m365`.
    pub connector: String,
    /// What the [`SourceProvider`] finds it by: the path of a folder, or of the file with an account's credentials. Empty where
    /// an account is named.
    #[serde(default)]
    pub location: String,
    /// The account it is read with, which says where it is.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// Names or addresses of its objects, the most important first. Empty: every object that is found when a run starts.
    #[serde(default)]
    pub objects: Vec<String>,
    /// Which of its services are read, in words of the connector. Empty: all that the account may read.
    #[serde(default)]
    pub services: Vec<String>,
}

impl Source {
    /// A folder as one object of this name.
    #[must_use]
    pub fn folder(path: &str, name: &str) -> Self {
        Self {
            connector: FOLDER.to_owned(),
            location: path.to_owned(),
            account: None,
            objects: vec![name.to_owned()],
            services: Vec::new(),
        }
    }

    /// Where it is, as far as the source itself says.
    pub(super) fn place(&self) -> &str {
        self.account.as_ref().map_or(&self.location, AccountId::as_str)
    }

    pub(super) fn check(&self) -> Result<()> {
        text("connector", &self.connector)?;
        if self.account.is_none() {
            text("location", &self.location)?;
        } else if !self.location.is_empty() {
            let allowed = "empty where an account is named";
            return Err(Error::invalid(
                "location",
                self.location.escape_default(),
                allowed,
            ));
        }
        for object in &self.objects {
            text("objects", object)?;
        }
        for service in &self.services {
            text("services", service)?;
        }
        if self.objects.len() > MAX_OBJECTS {
            return Err(Error::invalid(
                "objects",
                self.objects.len(),
                "at most 100,000 names",
            ));
        }
        if self.connector == FOLDER && self.objects.len() != 1 {
            return Err(Error::invalid(
                "objects",
                self.objects.join(", "),
                "one name, under which the folder is kept",
            ));
        }
        Ok(())
    }
}

pub(super) fn text(field: &str, value: &str) -> Result<()> {
    if value.is_empty() || value.len() > MAX_TEXT_BYTES || value.chars().any(char::is_control) {
        let allowed = "1 to 4,096 bytes without control characters";
        return Err(Error::invalid(field, value.escape_default(), allowed));
    }
    Ok(())
}

/// Makes connectors. The director knows no source but through this.
#[async_trait]
pub trait SourceProvider: Send + Sync + fmt::Debug {
    /// A connector to this source, which has a location and no account, and which discovers what belongs to the source: where it names services, only what is of those.
    /// Called for each run that uses it; may hand out one that it has.
    ///
    /// # Errors
    /// `InvalidInput` for a connector that it does not know; those of reading credentials. The objects of the source then
    /// fail, the others of the run do not.
    async fn connect(&self, source: &Source) -> Result<Arc<dyn Connector>>;
}

/// Opens repositories that the registry knows.
#[async_trait]
pub trait RepositoryProvider: Send + Sync + fmt::Debug {
    /// Opens it. Called once for each run, or again after an error.
    ///
    /// # Errors
    /// Those of opening it. The objects that were to be backed up then fail.
    async fn open(&self, registration: &Registration) -> Result<Repository>;
}

/// Folders of this machine, and nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct FolderSources;

#[async_trait]
impl SourceProvider for FolderSources {
    async fn connect(&self, source: &Source) -> Result<Arc<dyn Connector>> {
        match source.objects.as_slice() {
            [name] if source.connector == FOLDER => {
                Ok(Arc::new(FolderConnector::new(&source.location, name)?))
            }
            _ => Err(Error::invalid("connector", &source.connector, FOLDER)),
        }
    }
}
