//! The repositories that a director knows: under which name, where, how to open them, and whether they are attached.
//!
//! A repository needs none of this: whoever has its place and its passphrase imports it anew, with every backup. Secrets are
//! not kept here, only where they are.
//!
//! One process at a time should change the registry: two that do at the same moment may lose one of both changes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nakivo_repo_format::{Compression, RepositoryId};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::repository::Repository;
use crate::seams::{Clock, Environment};
use crate::state::{StateStore, read_record, write_record};
use crate::store::StoreLocation;

mod name;

pub use name::RepositoryName;

/// Where the state store keeps it.
const KEY: &str = "repositories";
/// Version of the record.
const VERSION: u32 = 1;
/// Longest description in characters.
const MAX_DESCRIPTION_CHARS: usize = 1_000;

/// One repository as the director knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Registration {
    /// What people and jobs call it.
    pub name: RepositoryName,
    /// Its id: another repository at the same place is not taken for it.
    pub id: RepositoryId,
    /// Where it is, as [`StoreLocation::parse`] takes it.
    pub url: String,
    /// The file that holds its passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// The file that holds a recovery key of it. It goes before the passphrase, because it opens faster.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The file with endpoint and credential of its store.
    pub store_config: Option<PathBuf>,
    /// What people note about it.
    pub description: Option<String>,
    /// Whether jobs may use it.
    pub attached: bool,
    /// When which maintenance runs, as the scheduler writes it. Kept here, carried out by the director.
    #[serde(default)]
    pub schedules: Schedules,
    /// Its figures when it was last looked at.
    pub figures: Option<Figures>,
}

/// When maintenance of a repository runs; `None`: by hand only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Schedules {
    /// Verification.
    pub verify: Option<String>,
    /// Self-healing.
    pub heal: Option<String>,
    /// Reclaiming space.
    pub reclaim: Option<String>,
    /// Detaching and attaching again.
    pub detach: Option<String>,
}

/// Figures of a repository at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Figures {
    /// When, milliseconds since 1970 UTC.
    pub taken_ms: i64,
    /// Whether a passphrase protects it.
    pub encrypted: bool,
    /// How hard new data is compressed.
    pub compression: Compression,
    /// Backups: objects with recovery points.
    pub objects: usize,
    /// Recovery points.
    pub points: usize,
    /// Bytes it takes.
    pub used_bytes: u64,
    /// Bytes that its store has left, where that is known.
    pub free_bytes: Option<u64>,
    /// Bytes that reclaim would free, where somebody asked.
    pub reclaimable_bytes: Option<u64>,
    /// Sum of the sizes of all items in all points.
    pub logical_bytes: u64,
    /// Plain bytes after deduplication, before compression.
    pub unique_bytes: u64,
}

impl Figures {
    /// Logical bytes for one byte used: what deduplication and compression save together. 0 for an empty repository.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn ratio(&self) -> f64 {
        if self.used_bytes == 0 {
            0.0
        } else {
            self.logical_bytes as f64 / self.used_bytes as f64
        }
    }

    /// Asks an open repository.
    async fn of(repository: &Repository, clock: &dyn Clock) -> Result<Self> {
        repository.refresh().await?;
        let info = repository.info().await?;
        Ok(Self {
            taken_ms: clock.now().timestamp_millis(),
            encrypted: info.encrypted,
            compression: info.compression,
            objects: info.objects,
            points: info.points,
            used_bytes: info.stored_bytes,
            free_bytes: None,
            reclaimable_bytes: None,
            logical_bytes: info.logical_bytes,
            unique_bytes: info.unique_bytes,
        })
    }
}

/// How a repository is to be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Where it is.
    pub url: String,
    /// The file that holds its passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// The file that holds a recovery key of it. It goes before the passphrase, because it opens faster.
    pub key_file: Option<PathBuf>,
    /// The file with endpoint and credential of its store.
    pub store_config: Option<PathBuf>,
}

/// What the state store holds.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    repositories: Vec<Registration>,
}

/// The registry of one director. Clones share it.
#[derive(Debug, Clone)]
pub struct Registry {
    state: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    /// How many runs of this process use each repository.
    uses: Arc<Mutex<HashMap<RepositoryId, usize>>>,
    changing: Arc<tokio::sync::Mutex<()>>,
}

/// Somebody works on a repository; dropping it ends that.
#[derive(Debug)]
pub struct Use {
    id: RepositoryId,
    uses: Arc<Mutex<HashMap<RepositoryId, usize>>>,
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = uses.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                uses.remove(&self.id);
            }
        }
    }
}

impl Registry {
    /// The registry in this environment's state.
    #[must_use]
    pub fn new(env: &Environment) -> Self {
        Self {
            state: Arc::clone(&env.state),
            clock: Arc::clone(&env.clock),
            uses: Arc::default(),
            changing: Arc::default(),
        }
    }

    /// Every repository, by name.
    ///
    /// # Errors
    /// `Corrupt` if the record is damaged; `UnsupportedFormat` if a newer version wrote it; those of the state store.
    pub async fn list(&self) -> Result<Vec<Registration>> {
        let hint = "Remove this record and import the repositories again; no backup is lost.";
        let record: Option<Record> = read_record(&*self.state, KEY, VERSION, hint).await?;
        Ok(record.map(|record| record.repositories).unwrap_or_default())
    }

    /// The repository of this name.
    ///
    /// # Errors
    /// `NotFound`; those of [`Registry::list`].
    pub async fn get(&self, name: &RepositoryName) -> Result<Registration> {
        let known = self.list().await?;
        let names: Vec<String> = known.iter().map(|one| one.name.to_string()).collect();
        known.into_iter().find(|one| one.name == *name).ok_or_else(|| {
            Error::not_found("repository", name).with_hint(if names.is_empty() {
                "No repository is known by a name yet: import one.".to_owned()
            } else {
                format!("Known are: {}.", names.join(", "))
            })
        })
    }

    /// Enters a repository that was created or exists already, attached, with its figures.
    ///
    /// # Errors
    /// `AlreadyExists` if the name or the repository is known; those of [`Registry::list`] and of reading it.
    pub async fn import(
        &self,
        name: RepositoryName,
        access: Access,
        repository: &Repository,
    ) -> Result<Registration> {
        let figures = Figures::of(repository, &*self.clock).await?;
        let id = repository.id();
        StoreLocation::parse(&access.url)?;
        let entry = Registration {
            name,
            id,
            url: access.url,
            passphrase_file: access.passphrase_file,
            key_file: access.key_file,
            store_config: access.store_config,
            description: None,
            attached: true,
            schedules: Schedules::default(),
            figures: Some(figures),
        };
        self.change(|known| {
            if known.iter().any(|one| one.name == entry.name) {
                return Err(taken(&entry.name));
            }
            if let Some(other) = known.iter().find(|one| one.id == id) {
                let message = format!("this repository is known already, as '{}'", other.name);
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
            known.push(entry.clone());
            Ok(entry.clone())
        })
        .await
    }

    /// Enters repositories as another director knew them. Those that are known stay as they are.
    ///
    /// # Errors
    /// `Conflict` if one of their names stands for another repository here; those of [`Registry::list`].
    pub(crate) async fn adopt(&self, entries: Vec<Registration>) -> Result<()> {
        self.change(|known| {
            for entry in entries {
                if known.iter().any(|one| one.id == entry.id) {
                    continue;
                }
                if known.iter().any(|one| one.name == entry.name) {
                    let message = format!("the name '{}' stands for another repository here", entry.name);
                    return Err(Error::new(ErrorKind::Conflict, message)
                        .with_hint("Give the other repository another name first."));
                }
                known.push(entry);
            }
            Ok(())
        })
        .await
    }

    /// The record as it is stored: another one says that something was changed.
    pub(crate) async fn stamp(&self) -> Result<Option<bytes::Bytes>> {
        self.state.get(KEY).await
    }

    /// Changes what is known of a repository. Its id, its attachment and its figures stay.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` if the new name is taken; `InvalidInput` for a location or a description that is not
    /// allowed; those of [`Registry::list`].
    pub async fn edit(
        &self,
        name: &RepositoryName,
        edit: impl FnOnce(&mut Registration) + Send,
    ) -> Result<Registration> {
        self.change(|known| {
            let at = position(known, name)?;
            let before = known[at].clone();
            let mut entry = before.clone();
            edit(&mut entry);
            (entry.id, entry.attached, entry.figures) = (before.id, before.attached, before.figures);
            StoreLocation::parse(&entry.url)?;
            let length = entry
                .description
                .as_deref()
                .map_or(0, |text| text.chars().count());
            if length > MAX_DESCRIPTION_CHARS {
                return Err(Error::invalid(
                    "description",
                    format!("{length} characters"),
                    "up to 1,000 characters",
                ));
            }
            if entry.name != *name && known.iter().any(|one| one.name == entry.name) {
                return Err(taken(&entry.name));
            }
            known[at] = entry.clone();
            Ok(entry)
        })
        .await
    }

    /// Lets jobs use it again. `repository` proves that it can be reached.
    ///
    /// # Errors
    /// `Conflict` if another repository is at its place; `NotFound`; those of [`Registry::list`] and of reading it.
    pub async fn attach(&self, name: &RepositoryName, repository: &Repository) -> Result<Registration> {
        self.look(name, repository, |entry| entry.attached = true).await
    }

    /// Keeps jobs from using it, so that its medium can be taken away. What is stored is whole at every moment.
    ///
    /// # Errors
    /// `Busy` while a run of this process uses it; `NotFound`; those of [`Registry::list`].
    pub async fn detach(&self, name: &RepositoryName) -> Result<Registration> {
        self.change(|known| {
            let at = position(known, name)?;
            self.refuse_in_use(&known[at])?;
            known[at].attached = false;
            Ok(known[at].clone())
        })
        .await
    }

    /// Forgets it. Its data stays where it is; see [`crate::repository::destroy`] for the data.
    ///
    /// # Errors
    /// `Conflict`, naming them, while jobs target it; `Busy` while a run of this process uses it; `NotFound`; those of
    /// [`Registry::list`].
    pub async fn remove(&self, name: &RepositoryName, jobs: &[String]) -> Result<Registration> {
        if !jobs.is_empty() {
            let message = format!("repository '{name}' is the target of jobs: {}", jobs.join(", "));
            return Err(
                Error::new(ErrorKind::Conflict, message).with_hint("Change or remove these jobs first.")
            );
        }
        self.change(|known| {
            let at = position(known, name)?;
            self.refuse_in_use(&known[at])?;
            Ok(known.remove(at))
        })
        .await
    }

    /// Reads its figures anew.
    ///
    /// # Errors
    /// As [`Registry::attach`].
    pub async fn refresh(&self, name: &RepositoryName, repository: &Repository) -> Result<Registration> {
        self.look(name, repository, |_| {}).await
    }

    /// Notes figures that the repository itself does not know.
    ///
    /// # Errors
    /// `NotFound`; those of [`Registry::list`].
    pub async fn note_space(
        &self,
        name: &RepositoryName,
        free_bytes: Option<u64>,
        reclaimable_bytes: Option<u64>,
    ) -> Result<Registration> {
        self.change(|known| {
            let at = position(known, name)?;
            if let Some(figures) = &mut known[at].figures {
                figures.free_bytes = free_bytes.or(figures.free_bytes);
                figures.reclaimable_bytes = reclaimable_bytes.or(figures.reclaimable_bytes);
            }
            Ok(known[at].clone())
        })
        .await
    }

    /// Says that a run begins to use it. Keep what is returned until the run has ended: it cannot be detached or removed
    /// meanwhile.
    ///
    /// # Errors
    /// `Unavailable` if it is detached; `NotFound`; those of [`Registry::list`].
    pub async fn begin(&self, name: &RepositoryName) -> Result<(Registration, Use)> {
        let _one_at_a_time = self.changing.lock().await;
        let entry = self.get(name).await?;
        if !entry.attached {
            return Err(detached(name));
        }
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        *uses.entry(entry.id).or_default() += 1;
        let using = Use {
            id: entry.id,
            uses: Arc::clone(&self.uses),
        };
        Ok((entry, using))
    }

    fn refuse_in_use(&self, entry: &Registration) -> Result<()> {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        match uses.get(&entry.id) {
            None => Ok(()),
            Some(count) => Err(Error::new(
                ErrorKind::Busy,
                format!("repository '{}' is in use by {count} running calls", entry.name),
            )
            .with_hint("Wait until they have ended, or stop them.")),
        }
    }

    async fn look(
        &self,
        name: &RepositoryName,
        repository: &Repository,
        change: impl FnOnce(&mut Registration) + Send,
    ) -> Result<Registration> {
        let figures = Figures::of(repository, &*self.clock).await?;
        self.change(|known| {
            let at = position(known, name)?;
            let entry = &mut known[at];
            if entry.id != repository.id() {
                let message = format!("another repository is at the place of '{name}'");
                return Err(Error::new(ErrorKind::Conflict, message)
                    .with_hint("Edit its location, or remove it and import what is there."));
            }
            let before = entry.figures.take();
            entry.figures = Some(Figures {
                free_bytes: before.as_ref().and_then(|before| before.free_bytes),
                reclaimable_bytes: before.as_ref().and_then(|before| before.reclaimable_bytes),
                ..figures
            });
            change(entry);
            Ok(entry.clone())
        })
        .await
    }

    /// Changes the record as a whole; an error changes nothing.
    async fn change<T>(&self, change: impl FnOnce(&mut Vec<Registration>) -> Result<T> + Send) -> Result<T> {
        let _one_at_a_time = self.changing.lock().await;
        let mut repositories = self.list().await?;
        let result = change(&mut repositories)?;
        repositories.sort_by(|a, b| a.name.cmp(&b.name));
        let record = Record {
            version: VERSION,
            repositories,
        };
        write_record(&*self.state, KEY, &record).await?;
        Ok(result)
    }
}

fn position(known: &[Registration], name: &RepositoryName) -> Result<usize> {
    known
        .iter()
        .position(|one| one.name == *name)
        .ok_or_else(|| Error::not_found("repository", name))
}

fn taken(name: &RepositoryName) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        format!("there is a repository of the name '{name}' already"),
    )
}

fn detached(name: &RepositoryName) -> Error {
    Error::new(ErrorKind::Unavailable, format!("repository '{name}' is detached"))
        .with_hint("Attach it, then try again.")
}
