//! Accounts: what sources are read with, under a name that jobs use.
//!
//! The director knows of an account what it is called and where its connector finds it. What else there is to it (an
//! organisation, an application) is for people, and the credential stays in the file that the location names.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::AccountId;
use super::job::check_name;
use super::records::JobEntry;
use super::source::text;
use super::{Director, Shared, Source};
use crate::error::{Error, ErrorKind, Result};

/// Longest description, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1_000;
/// Most details, each with a name and a value.
const MAX_DETAILS: usize = 32;

/// An account as data, unchecked. [`Director::add_account`] checks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountForm {
    /// What people call it: as a job's name.
    pub name: String,
    /// Which connector reads it, as [`crate::connector::Connector::name`] says.
    pub connector: String,
    /// What the connector finds it by: the path of the file with its credential.
    pub location: String,
    /// What people note about it, up to 1,000 characters.
    #[serde(default)]
    pub description: String,
    /// What it is, for people: the organisation, the application. Never a secret. Up to 32.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
}

impl AccountForm {
    /// An account without a description.
    #[must_use]
    pub fn new(name: &str, connector: &str, location: &str) -> Self {
        Self {
            name: name.to_owned(),
            connector: connector.to_owned(),
            location: location.to_owned(),
            description: String::new(),
            details: BTreeMap::new(),
        }
    }

    fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        text("connector", &self.connector)?;
        text("location", &self.location)?;
        let length = self.description.chars().count();
        if length > MAX_DESCRIPTION_CHARS {
            let found = format!("{length} characters");
            return Err(Error::invalid("description", found, "up to 1,000 characters"));
        }
        if self.details.len() > MAX_DETAILS {
            return Err(Error::invalid("details", self.details.len(), "up to 32"));
        }
        for (name, value) in &self.details {
            text("name of a detail", name)?;
            text(name, value)?;
        }
        Ok(())
    }
}

/// An account of a director.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountEntry {
    /// Its id, which jobs use.
    pub id: AccountId,
    /// What it is.
    pub account: AccountForm,
    /// When it was added.
    pub added: DateTime<Utc>,
}

impl Director {
    /// Every account, in the order in which they were added.
    ///
    /// # Errors
    /// `Corrupt` or `UnsupportedFormat` if the accounts cannot be read; those of the state store.
    pub async fn accounts(&self) -> Result<Vec<AccountEntry>> {
        self.inner.shared.records.accounts().await
    }

    /// The account of this name or id.
    ///
    /// # Errors
    /// `NotFound`, with what there is; those of [`Director::accounts`].
    pub async fn account(&self, name: &str) -> Result<AccountEntry> {
        let accounts = self.accounts().await?;
        let named = |entry: &&AccountEntry| entry.account.name == name || entry.id.as_str() == name;
        accounts
            .iter()
            .find(named)
            .cloned()
            .ok_or_else(|| unknown(name, &accounts))
    }

    /// Adds an account. Whether it can be used is for whoever knows its connector to find out.
    ///
    /// # Errors
    /// `InvalidInput` for a field out of range; `AlreadyExists` for a name that is taken; `Busy` while another process changes the
    /// jobs; those of [`Director::accounts`].
    pub async fn add_account(&self, account: AccountForm) -> Result<AccountEntry> {
        let entry = AccountEntry {
            id: AccountId::random(&*self.inner.shared.env.rng)?,
            account,
            added: self.inner.shared.now(),
        };
        self.change_accounts(|accounts, _| {
            accounts.push(entry.clone());
            Ok(entry)
        })
        .await
    }

    /// Changes an account. Its jobs stay, and use it as it is then with their next runs. Its connector stays what it is.
    ///
    /// # Errors
    /// `NotFound`; those of [`Director::add_account`].
    pub async fn edit_account(
        &self,
        id: &AccountId,
        edit: impl FnOnce(&mut AccountForm) + Send,
    ) -> Result<AccountEntry> {
        self.change_accounts(|accounts, _| {
            let at = position(accounts, id)?;
            let connector = accounts[at].account.connector.clone();
            edit(&mut accounts[at].account);
            accounts[at].account.connector = connector;
            Ok(accounts[at].clone())
        })
        .await
    }

    /// Forgets an account that no job uses. The file with its credential stays.
    ///
    /// # Errors
    /// `Conflict` that names the jobs that use it; `NotFound`; those of [`Director::add_account`].
    pub async fn remove_account(&self, id: &AccountId) -> Result<AccountEntry> {
        self.change_accounts(|accounts, jobs| {
            let at = position(accounts, id)?;
            let using = names_using(jobs, id);
            if using.is_empty() {
                return Ok(accounts.remove(at));
            }
            let name = &accounts[at].account.name;
            let message = format!("account '{name}' is used by jobs: {}", using.join(", "));
            Err(Error::new(ErrorKind::Conflict, message).with_hint("Change or remove these jobs first."))
        })
        .await
    }

    /// Names of the jobs that use an account.
    ///
    /// # Errors
    /// Those of [`Director::jobs`].
    pub async fn jobs_with(&self, id: &AccountId) -> Result<Vec<String>> {
        Ok(names_using(&self.jobs().await?, id))
    }

    /// Changes the accounts as a whole, while nobody changes the jobs; an error changes nothing.
    async fn change_accounts<T>(
        &self,
        change: impl FnOnce(&mut Vec<AccountEntry>, &[JobEntry]) -> Result<T> + Send,
    ) -> Result<T> {
        let one_at_a_time = self.inner.changing.lock().await;
        let claim = self.claim_changes().await?;
        let mut accounts = self.accounts().await?;
        let result = change(&mut accounts, &self.jobs().await?)?;
        let mut names = BTreeSet::new();
        for entry in &accounts {
            entry.account.check()?;
            if !names.insert(&entry.account.name) {
                let message = format!("there is an account of the name '{}' already", entry.account.name);
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
        }
        self.inner.shared.records.put_accounts(accounts).await?;
        drop((claim, one_at_a_time));
        self.journal_change().await;
        Ok(result)
    }
}

impl Shared {
    /// The source with the location that its account has now.
    pub(super) async fn located(&self, source: &Source) -> Result<Source> {
        let Some(id) = &source.account else {
            return Ok(source.clone());
        };
        let accounts = self.records.accounts().await?;
        let at = position(&accounts, id)?;
        Ok(Source {
            location: accounts[at].account.location.clone(),
            account: None,
            ..source.clone()
        })
    }

    /// What people call the place of a source.
    pub(super) async fn place_of(&self, source: &Source) -> String {
        let Some(id) = &source.account else {
            return source.location.clone();
        };
        let accounts = self.records.accounts().await.unwrap_or_default();
        let entry = accounts.into_iter().find(|entry| entry.id == *id);
        entry.map_or_else(|| id.to_string(), |entry| entry.account.name)
    }
}

/// Whether the accounts that a job names are there, and of the kind that it takes them for.
pub(super) fn check_accounts(job: &JobEntry, accounts: &[AccountEntry]) -> Result<()> {
    for source in &job.job.form().sources {
        let Some(id) = &source.account else { continue };
        let at = position(accounts, id)?;
        let connector = &accounts[at].account.connector;
        if *connector != source.connector {
            let allowed = format!("{connector}, as account '{}' is", accounts[at].account.name);
            return Err(Error::invalid("connector", &source.connector, &allowed));
        }
    }
    Ok(())
}

fn names_using(jobs: &[JobEntry], id: &AccountId) -> Vec<String> {
    let uses = |entry: &&JobEntry| {
        let sources = &entry.job.form().sources;
        sources.iter().any(|source| source.account.as_ref() == Some(id))
    };
    jobs.iter()
        .filter(uses)
        .map(|entry| entry.job.name().to_owned())
        .collect()
}

fn position(accounts: &[AccountEntry], id: &AccountId) -> Result<usize> {
    let found = accounts.iter().position(|entry| entry.id == *id);
    found.ok_or_else(|| unknown(id.as_str(), accounts))
}

fn unknown(name: &str, accounts: &[AccountEntry]) -> Error {
    let names: Vec<&str> = accounts.iter().map(|entry| entry.account.name.as_str()).collect();
    Error::not_found("account", name).with_hint(if names.is_empty() {
        "There is no account yet: add one.".to_owned()
    } else {
        format!("There are: {}.", names.join(", "))
    })
}
