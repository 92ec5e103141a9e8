//! What is kept outside repositories: small records behind [`StateStore`].
//!
//! Losing this state loses no backup. It holds what a repository cannot say about itself, above all the newest commit
//! seen, so that a store that hides or replays history is noticed.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

mod file;

pub use file::FileState;

/// A small durable map. A write that returned is durable.
#[async_trait]
pub trait StateStore: Send + Sync + fmt::Debug {
    /// The value under `key`, if any.
    ///
    /// # Errors
    /// `Corrupt` if what is stored there fails its check; `Unavailable` if the medium fails.
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Stores `value` under `key`, durably before it returns. Keys are 1 to 200 characters of `a-z 0-9 - . _ /`.
    ///
    /// # Errors
    /// `InvalidInput` for another key; `StorageFull` or `Unavailable` if the medium fails.
    async fn put(&self, key: &str, value: Bytes) -> Result<()>;

    /// Removes `key`; removing what is not there succeeds.
    ///
    /// # Errors
    /// As [`StateStore::put`].
    async fn delete(&self, key: &str) -> Result<()>;

    /// Makes the caller the only one who does what `name` stands for, until the claim is dropped or the process ends, however
    /// it ends. `name` is as a key is.
    ///
    /// # Errors
    /// `Busy` while somebody else has it; else as [`StateStore::put`].
    async fn claim(&self, name: &str) -> Result<Claim>;
}

/// Held by the only one who does something; see [`StateStore::claim`]. Dropping it gives it back.
pub struct Claim(#[allow(dead_code, reason = "held, never looked at")] Box<dyn Any + Send + Sync>);

impl Claim {
    /// A claim that is given back by dropping `held`.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim")
    }
}

pub(crate) fn claimed(name: &str) -> Error {
    Error::new(ErrorKind::Busy, format!("'{name}' is claimed by somebody else"))
        .with_hint("Wait until they are done, or stop them.")
}

/// Reads a JSON record that has a `version`.
///
/// # Errors
/// `UnsupportedFormat` if it is newer than `version`; `Corrupt`, with the hint, if it is not understood; those of the store.
pub(crate) async fn read_record<T: DeserializeOwned>(
    state: &dyn StateStore,
    key: &str,
    version: u32,
    hint: &str,
) -> Result<Option<T>> {
    match state.get(key).await? {
        Some(bytes) => parse_record(&bytes, key, version, hint).map(Some),
        None => Ok(None),
    }
}

/// As [`read_record`], of bytes that were read.
///
/// # Errors
/// `UnsupportedFormat`, `Corrupt`.
pub(crate) fn parse_record<T: DeserializeOwned>(
    bytes: &[u8],
    key: &str,
    version: u32,
    hint: &str,
) -> Result<T> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u64,
    }
    if serde_json::from_slice::<Versioned>(bytes).is_ok_and(|found| found.version > u64::from(version)) {
        return Err(Error::new(
            ErrorKind::UnsupportedFormat,
            format!("state '{key}' was written by a newer version"),
        ));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Error::new(ErrorKind::Corrupt, format!("state '{key}': {error}")).with_hint(hint))
}

/// Stores a JSON record, durably before it returns.
///
/// # Errors
/// Those of the store.
pub(crate) async fn write_record(state: &dyn StateStore, key: &str, record: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(record)
        .map_err(|error| Error::internal(format!("state '{key}' cannot be written: {error}")))?;
    state.put(key, bytes.into()).await
}

/// State that ends with the process: for tests and for embedding programs that keep none.
#[derive(Debug, Default)]
pub struct MemoryState {
    entries: Mutex<BTreeMap<String, Bytes>>,
    claims: Arc<Mutex<BTreeSet<String>>>,
}

/// A claim on a [`MemoryState`].
struct Held {
    name: String,
    claims: Arc<Mutex<BTreeSet<String>>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.remove(&self.name);
    }
}

#[async_trait]
impl StateStore for MemoryState {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned())
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<()> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        Ok(())
    }

    async fn claim(&self, name: &str) -> Result<Claim> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if !claims.insert(name.to_owned()) {
            return Err(claimed(name));
        }
        Ok(Claim::new(Held {
            name: name.to_owned(),
            claims: Arc::clone(&self.claims),
        }))
    }
}
