//! What is kept outside repositories: small records behind [`StateStore`].
//!
//! Losing this state loses no backup. It holds what a repository cannot say about itself, above all the newest commit
//! seen, so that a store that hides or replays history is noticed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;

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
}

/// State that ends with the process: for tests and for embedding programs that keep none.
#[derive(Debug, Default)]
pub struct MemoryState {
    entries: Mutex<BTreeMap<String, Bytes>>,
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
}
