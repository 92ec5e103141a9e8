//! The sources that jobs name: folders, and organisations by the files of their accounts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use nakivo_core::access::{self, Read, Warnings};
use nakivo_core::connector::Connector;
use nakivo_core::director::{FOLDER, FolderSources, Source, SourceProvider};
use nakivo_core::format::ObjectKind;
use nakivo_core::seams::Environment;
use nakivo_core::{Error, Result};

use crate::{AccountConfig, CONNECTOR_NAME, M365Connector, MailboxService, ReqwestHttp};

/// A service of Microsoft 365, in the words that jobs remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Messages of mailboxes: `mail`.
    Mail,
    /// Contacts of mailboxes: `contacts`.
    Contacts,
    /// Events of mailboxes: `calendar`.
    Calendar,
    /// The users' drives: `onedrive`.
    OneDrive,
    /// Sites with their document libraries and lists: `sharepoint`.
    SharePoint,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 5] = [
        Self::Mail,
        Self::Contacts,
        Self::Calendar,
        Self::OneDrive,
        Self::SharePoint,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Contacts => "contacts",
            Self::Calendar => "calendar",
            Self::OneDrive => "onedrive",
            Self::SharePoint => "sharepoint",
        }
    }

    /// What it is of a mailbox; none for what has objects of its own.
    #[must_use]
    pub const fn of_mailbox(self) -> Option<MailboxService> {
        match self {
            Self::Mail => Some(MailboxService::Mail),
            Self::Contacts => Some(MailboxService::Contacts),
            Self::Calendar => Some(MailboxService::Calendar),
            Self::OneDrive | Self::SharePoint => None,
        }
    }

    /// The kind of the objects that it is read from.
    #[must_use]
    pub const fn kind(self) -> ObjectKind {
        match self {
            Self::Mail | Self::Contacts | Self::Calendar => ObjectKind::Mailbox,
            Self::OneDrive => ObjectKind::Drive,
            Self::SharePoint => ObjectKind::Site,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Service {
    type Err = Error;

    /// A word that is not known (a later version made the job, say) is an error: without it less would be protected than was
    /// asked for.
    fn from_str(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|service| service.word() == word)
            .ok_or_else(|| Error::invalid("services", word, &Self::ALL.map(Self::word).join(", ")))
    }
}

impl AccountConfig {
    /// Reads an account file. Files that it names are looked for beside it. A warning only where the file itself holds a secret.
    ///
    /// # Errors
    /// Those of [`access::settings`]; `InvalidInput` for what is not understood in it.
    pub fn read(path: &Path, hint: &str) -> Result<Read<Self>> {
        let text = access::settings(path, "account file", hint)?;
        let mut config = Self::from_toml(&text.value)
            .map_err(|error| error.context(format!("account file '{}'", path.display())))?;
        let warning = text.warning.filter(|_| config.client_secret.is_some());
        let beside = path.parent().unwrap_or_else(|| Path::new(""));
        let resolve = |file: &mut Option<PathBuf>| {
            if let Some(file) = file {
                *file = beside.join(&*file);
            }
        };
        resolve(&mut config.client_secret_file);
        resolve(&mut config.certificate_file);
        resolve(&mut config.private_key_file);
        Ok(Read {
            value: config,
            warning,
        })
    }
}

impl M365Connector {
    /// A connector that looks for and reads nothing but these services; none: all that the account says.
    ///
    /// # Errors
    /// As [`M365Connector::new`].
    pub fn for_services(mut config: AccountConfig, services: &[Service], env: &Environment) -> Result<Self> {
        let of_mailboxes: Vec<_> = services.iter().filter_map(|one| one.of_mailbox()).collect();
        if !of_mailboxes.is_empty() {
            config.mailbox_services = of_mailboxes;
        }
        let connector = Self::new(&config, Arc::new(ReqwestHttp::new()?), env)?;
        Ok(if services.is_empty() {
            connector
        } else {
            connector.looking_for(services.iter().map(|service| service.kind()))
        })
    }
}

/// Folders of this machine, and organisations by the files of their accounts.
#[derive(Debug, Clone)]
pub struct Sources {
    env: Environment,
    warnings: Warnings,
    hint: &'static str,
}

impl Sources {
    /// Sources that are read with these seams. `warnings` is told of files that others can read; `hint` says where what an
    /// account file holds is described.
    #[must_use]
    pub fn new(env: &Environment, warnings: Warnings, hint: &'static str) -> Self {
        Self {
            env: env.clone(),
            warnings,
            hint,
        }
    }

    /// A connector to the organisation that an account file names.
    ///
    /// # Errors
    /// Those of [`AccountConfig::read`] and [`M365Connector::new`].
    pub fn organisation(&self, path: &Path, services: &[Service]) -> Result<M365Connector> {
        let config = self.warnings.pass(AccountConfig::read(path, self.hint)?);
        M365Connector::for_services(config, services, &self.env)
    }
}

#[async_trait]
impl SourceProvider for Sources {
    async fn connect(&self, source: &Source) -> Result<Arc<dyn Connector>> {
        match source.connector.as_str() {
            FOLDER => FolderSources.connect(source).await,
            CONNECTOR_NAME => {
                let services: Result<Vec<Service>> =
                    source.services.iter().map(|word| word.parse()).collect();
                Ok(Arc::new(self.organisation(source.location.as_ref(), &services?)?))
            }
            other => Err(Error::invalid("connector", other, "folder or m365")),
        }
    }
}

#[cfg(test)]
mod tests {
    use nakivo_core::ErrorKind;

    use super::*;

    #[test]
    fn a_job_may_not_name_a_service_that_is_not_known() {
        for service in Service::ALL {
            assert_eq!(service.word().parse::<Service>().unwrap(), service);
        }
        let error = "planner".parse::<Service>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("services: 'planner'"), "{error}");
        assert!(error.to_string().contains("calendar"), "{error}");
    }
}
