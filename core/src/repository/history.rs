//! The newest commit seen, remembered outside the repository.
//!
//! A store that shows an older state than the one seen before, whole and valid, cannot be told from an honest one by
//! looking at the store. So the head is remembered elsewhere, and a store that falls behind it is refused.

use bytes::Bytes;
use nakivo_repo_format::{CommitHash, RepositoryId};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::state::StateStore;

/// A commit's number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: CommitHash,
}

fn key(repository: &RepositoryId) -> String {
    format!("heads/{repository}")
}

/// The head remembered for this repository.
pub(crate) async fn recall(state: &dyn StateStore, repository: &RepositoryId) -> Result<Option<Head>> {
    let key = key(repository);
    let Some(bytes) = state.get(&key).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("state '{key}': {error}"))
            .with_hint("Remove this record to go on without what it remembered; no backup is lost.")
    })
}

/// Remembers a head, unless a newer one is remembered already (another process may have been faster).
pub(crate) async fn remember(state: &dyn StateStore, repository: &RepositoryId, head: Head) -> Result<()> {
    match recall(state, repository).await {
        Ok(Some(before)) if before.seq >= head.seq => Ok(()),
        _ => replace(state, repository, head).await,
    }
}

/// Remembers a head whatever was remembered before.
pub(crate) async fn replace(state: &dyn StateStore, repository: &RepositoryId, head: Head) -> Result<()> {
    let bytes = serde_json::to_vec(&head).map_err(|error| Error::internal(format!("head: {error}")))?;
    state.put(&key(repository), Bytes::from(bytes)).await
}

/// The error for a log that ends before the commit that began the epoch of the keys.
pub(crate) fn behind_its_keys(since: u64, newest: u64) -> Error {
    Error::new(
        ErrorKind::HistoryRewound,
        format!("the key slot knows of commit {since}, and the newest one now is {newest}"),
    )
    .with_hint(
        "The store shows an older history than the key slots: it was rolled back. Find out why before writing to it; opening \
         with `accept_history` makes what is there now the history to go on from.",
    )
}

/// The error for a store that fell behind.
pub(crate) fn rewound(remembered: Head, what: &str) -> Error {
    let message = format!("commit {} was seen before, and {what}", remembered.seq);
    Error::new(ErrorKind::HistoryRewound, message).with_hint(
        "The store shows an older or another history: it was rolled back, or this is a copy. Find out why before writing \
         to it; opening with `accept_history` makes what is there now the history to go on from.",
    )
}
