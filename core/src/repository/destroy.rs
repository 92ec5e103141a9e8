//! Removing a repository with all its data.
//!
//! Key slots go first: from then on nobody opens what is left, not even a part of it. `format.json` goes last: as long as it
//! is there, a second call knows which repository it is to finish off, and nobody creates another one among the remains.

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use nakivo_repo_format::{RepositoryConfig, RepositoryId, paths};
use serde::Serialize;

use super::MAX_JSON_BYTES;
use super::lock::promise_of;
use super::objects::{Objects, format_error};
use super::retain::Removal;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Reporter, Running};
use crate::seams::Environment;
use crate::store::Store;

/// Objects deleted at once.
const PARALLEL: usize = 8;
/// In the order in which they are emptied.
const FOLDERS: [&str; 5] = [
    paths::KEYS,
    paths::CHECKPOINT,
    paths::LOG,
    paths::INDEX,
    paths::PACKS,
];

/// What removing a repository did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DestroyReport {
    /// Objects deleted by this call.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The id of the repository in a store, without opening it: what [`destroy`] has to be told.
///
/// # Errors
/// `RepositoryMissing`; `Corrupt` if its `format.json` is damaged; those of the store.
pub async fn identify(store: impl Into<Store>, env: Environment) -> Result<RepositoryId> {
    Ok(read_config(&Objects::new(store, env)).await?.id)
}

async fn read_config(objects: &Objects) -> Result<RepositoryConfig> {
    let bytes = objects.get(paths::FORMAT, MAX_JSON_BYTES).await?.ok_or_else(|| {
        Error::new(
            ErrorKind::RepositoryMissing,
            "there is no repository at this place",
        )
    })?;
    RepositoryConfig::parse(&bytes).map_err(|error| format_error(paths::FORMAT, error))
}

/// Removes a repository and everything in it, for ever. No passphrase is asked for: whoever can delete objects can do this.
///
/// Nobody may write to it meanwhile. A call that was interrupted is repeated to finish; until then the place counts as
/// taken and what is left cannot be opened.
///
/// # Errors
/// Through the handle: `RepositoryMissing`; `Conflict` if the repository there is not the one that is to be removed;
/// `Immutable` or `PermissionMissing` if the store refuses; `Cancelled`; those of the store.
///
/// # Cancellation
/// Between objects. What is deleted is gone.
pub fn destroy(store: impl Into<Store>, id: RepositoryId, env: Environment) -> Running<DestroyReport> {
    let objects = Objects::new(store, env);
    Running::start(move |reporter| async move { run(&objects, id, &reporter).await })
}

async fn run(objects: &Objects, id: RepositoryId, reporter: &Reporter) -> Result<DestroyReport> {
    let config = read_config(objects).await?;
    let found = config.id;
    if found != id {
        let message = format!("the repository there is {found}, not {id}");
        return Err(Error::new(ErrorKind::Conflict, message).with_hint("Nothing was removed."));
    }
    objects.retention.set_promise(promise_of(&config));
    refuse_while_locked(objects, reporter).await?;
    reporter.phase("remove");
    let mut report = DestroyReport::default();
    for folder in FOLDERS {
        // Again until nothing is left: a list may lag behind.
        loop {
            reporter.check()?;
            let listed = objects.list(folder, None).await?;
            if listed.is_empty() {
                break;
            }
            let gone = delete(objects, listed, reporter).await?;
            if gone.objects == 0 {
                break;
            }
            report.objects += gone.objects;
            report.bytes += gone.bytes;
        }
    }
    remove_hidden(objects, reporter).await?;
    remove(objects, paths::FORMAT).await?;
    report.objects += 1;
    Ok(report)
}

/// Fails while anything is locked: a repository of which only a part can go is better left whole.
async fn refuse_while_locked(objects: &Objects, reporter: &Reporter) -> Result<()> {
    if objects.retention.promise().is_none() || objects.store.locks().is_none() {
        return Ok(());
    }
    reporter.phase("look at locks");
    let mut listed = vec![(paths::FORMAT.to_owned(), 0)];
    for folder in FOLDERS {
        listed.extend(objects.list(folder, None).await?);
    }
    let all = listed.len();
    let locked: Vec<Option<DateTime<Utc>>> = stream::iter(listed)
        .map(|(path, _)| async move {
            reporter.check()?;
            Ok::<_, Error>(match objects.is_locked(&path).await? {
                Removal::Locked(until) => until,
                Removal::Gone => None,
            })
        })
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await?;
    let count = locked.iter().flatten().count();
    match locked.into_iter().flatten().max() {
        None => Ok(()),
        Some(until) => Err(Error::new(
            ErrorKind::Immutable,
            format!(
                "{count} of {all} objects of this repository are locked, the last until {}",
                until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
            ),
        )
        .with_hint("Nothing was removed. Run again after that time.")),
    }
}

/// Removes what lies hidden where versions are kept: removed key slots, probes. What is still locked stays; nobody can open it.
async fn remove_hidden(objects: &Objects, reporter: &Reporter) -> Result<()> {
    if objects.retention.promise().is_none() || objects.store.locks().is_none() {
        return Ok(());
    }
    for version in objects.versions("").await? {
        reporter.check()?;
        if version.path != paths::FORMAT && !objects.remove_version(&version.path, &version.id).await? {
            tracing::info!(path = version.path, "a hidden version stays: it is locked");
        }
    }
    Ok(())
}

/// Removes an object with all its versions.
async fn remove(objects: &Objects, path: &str) -> Result<()> {
    if objects.store.locks().is_none() {
        return objects.delete(path).await;
    }
    match objects.remove(path).await? {
        Removal::Gone => Ok(()),
        Removal::Locked(_) => Err(Error::new(
            ErrorKind::Immutable,
            format!("{path}: the store does not let it go"),
        )
        .with_hint("Run again with a credential that may remove versions of objects.")),
    }
}

async fn delete(objects: &Objects, listed: Vec<(String, u64)>, reporter: &Reporter) -> Result<DestroyReport> {
    stream::iter(listed)
        .map(|(path, size)| async move {
            reporter.check()?;
            if objects.size(&path).await?.is_none() {
                return Ok(DestroyReport::default());
            }
            remove(objects, &path).await?;
            reporter.update(|progress| progress.items_done += 1);
            Ok::<_, Error>(DestroyReport {
                objects: 1,
                bytes: size,
            })
        })
        .buffer_unordered(PARALLEL)
        .try_fold(DestroyReport::default(), |sum, one| async move {
            Ok(DestroyReport {
                objects: sum.objects + one.objects,
                bytes: sum.bytes + one.bytes,
            })
        })
        .await
}
