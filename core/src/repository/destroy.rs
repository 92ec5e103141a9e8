//! Removing a repository with all its data.
//!
//! Key slots go first: from then on nobody opens what is left, not even a part of it. `format.json` goes last: as long as it
//! is there, a second call knows which repository it is to finish off, and nobody creates another one among the remains.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use nakivo_repo_format::{RepositoryConfig, RepositoryId, paths};
use object_store::ObjectStore;
use serde::Serialize;

use super::MAX_JSON_BYTES;
use super::objects::{Objects, format_error};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Reporter, Running};
use crate::seams::Environment;

/// Objects deleted at once.
const PARALLEL: usize = 8;

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
pub async fn identify(store: Arc<dyn ObjectStore>, env: Environment) -> Result<RepositoryId> {
    read_id(&Objects::new(store, env)).await
}

async fn read_id(objects: &Objects) -> Result<RepositoryId> {
    let bytes = objects.get(paths::FORMAT, MAX_JSON_BYTES).await?.ok_or_else(|| {
        Error::new(
            ErrorKind::RepositoryMissing,
            "there is no repository at this place",
        )
    })?;
    let config = RepositoryConfig::parse(&bytes).map_err(|error| format_error(paths::FORMAT, error))?;
    Ok(config.id)
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
pub fn destroy(store: Arc<dyn ObjectStore>, id: RepositoryId, env: Environment) -> Running<DestroyReport> {
    Running::start(move |reporter| async move { run(&Objects::new(store, env), id, &reporter).await })
}

async fn run(objects: &Objects, id: RepositoryId, reporter: &Reporter) -> Result<DestroyReport> {
    let found = read_id(objects).await?;
    if found != id {
        let message = format!("the repository there is {found}, not {id}");
        return Err(Error::new(ErrorKind::Conflict, message).with_hint("Nothing was removed."));
    }
    reporter.phase("remove");
    let mut report = DestroyReport::default();
    for folder in [
        paths::KEYS,
        paths::CHECKPOINT,
        paths::LOG,
        paths::INDEX,
        paths::PACKS,
    ] {
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
    objects.delete(paths::FORMAT).await?;
    report.objects += 1;
    Ok(report)
}

async fn delete(objects: &Objects, listed: Vec<(String, u64)>, reporter: &Reporter) -> Result<DestroyReport> {
    stream::iter(listed)
        .map(|(path, size)| async move {
            reporter.check()?;
            if objects.size(&path).await?.is_none() {
                return Ok(DestroyReport::default());
            }
            objects.delete(&path).await?;
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
