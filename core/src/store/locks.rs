//! Locks on stored objects: what a repository asks of a store that nobody, not even its owner, may delete from for a time.
//!
//! [`object_store`] knows no locks. A new object is locked by the put that makes it, so that there is no moment at which it
//! lies there unlocked: [`RetainUntil`] travels in the put's extensions. Everything else is [`ObjectLocks`].

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::{ObjectStore, Result};

/// In the extensions of a put: the object must not be deleted or changed before this time, in compliance mode. A store without
/// locks does not see it, so nobody sets it before the store has proven that it keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainUntil(pub DateTime<Utc>);

/// One version of an object, or the mark that hides those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Path of the object in the repository's folder.
    pub path: String,
    /// The version's name.
    pub id: String,
    /// Whether it is what a plain read of the object meets.
    pub newest: bool,
    /// Whether it only marks the object as deleted.
    pub marker: bool,
    /// Bytes; 0 for a marker.
    pub size: u64,
}

/// What a store that locks objects does besides what every store does. Paths are those in the repository's folder.
///
/// Locks are in compliance mode: they can be made longer and never shorter, and nobody is exempt.
#[async_trait]
pub trait ObjectLocks: Send + Sync + fmt::Debug {
    /// The store's clock, to the second.
    async fn now(&self) -> Result<DateTime<Utc>>;

    /// Whether objects can be locked here: the bucket keeps versions and has object lock.
    async fn is_enabled(&self) -> Result<bool>;

    /// Until when the object's newest version is locked in compliance mode; `None`: not at all. `NotFound` if there is none.
    async fn retention(&self, path: &str) -> Result<Option<DateTime<Utc>>>;

    /// Locks the newest version until then. `NotFound` if there is none; `PermissionDenied` if it is locked for longer.
    async fn retain(&self, path: &str, until: DateTime<Utc>) -> Result<()>;

    /// All versions of the objects whose path begins with `prefix`, of each the newest first.
    async fn versions(&self, prefix: &str) -> Result<Vec<ObjectVersion>>;

    /// Removes one version for good. `PermissionDenied` if it is locked, or if this credential may not.
    async fn remove_version(&self, path: &str, id: &str) -> Result<()>;
}

/// Where a repository's objects are: a store, and its locks where it has them.
///
/// Any [`ObjectStore`] turns into one without locks.
#[derive(Debug, Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    locks: Option<Arc<dyn ObjectLocks>>,
}

impl Store {
    /// A store without locks.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, locks: None }
    }

    /// The same store with these locks, which must be those of the same objects under the same paths.
    #[must_use]
    pub fn with_locks(mut self, locks: Arc<dyn ObjectLocks>) -> Self {
        self.locks = Some(locks);
        self
    }

    /// The locks, if there are any.
    #[must_use]
    pub fn locks(&self) -> Option<&Arc<dyn ObjectLocks>> {
        self.locks.as_ref()
    }
}

impl Deref for Store {
    type Target = Arc<dyn ObjectStore>;

    fn deref(&self) -> &Self::Target {
        &self.objects
    }
}

impl From<Arc<dyn ObjectStore>> for Store {
    fn from(objects: Arc<dyn ObjectStore>) -> Self {
        Self::new(objects)
    }
}

impl<T: ObjectStore> From<Arc<T>> for Store {
    fn from(objects: Arc<T>) -> Self {
        Self::new(objects)
    }
}

impl From<Store> for Arc<dyn ObjectStore> {
    fn from(store: Store) -> Self {
        store.objects
    }
}
