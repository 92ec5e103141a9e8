//! A store in memory that keeps versions and locks them as S3 does in compliance mode, on a clock that a test owns.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use nakivo_core::seams::Clock;
use nakivo_core::store::{ObjectLocks, ObjectVersion, RetainUntil, Store};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// How a store with locks can fail to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flaw {
    /// It does what it should.
    #[default]
    None,
    /// The bucket was made without object lock.
    Disabled,
    /// It takes locks with a put, and forgets them.
    ForgetsLocks,
    /// A lock can be made shorter.
    Shortens,
    /// A locked version can be removed.
    Removes,
}

/// What somebody who reaches the store may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rights {
    /// Everything that the locks allow.
    #[default]
    All,
    /// Neither delete nor replace; create, read, list, read and lengthen locks.
    AppendOnly,
    /// As append-only, and no locks of what is there.
    NoRetention,
}

#[derive(Debug)]
struct Version {
    id: String,
    /// `None`: a mark that hides what is before it.
    bytes: Option<Bytes>,
    until: Option<DateTime<Utc>>,
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first.
    versions: BTreeMap<String, Vec<Version>>,
    next: u64,
    flaw: Flaw,
    rights: Rights,
    operations: u64,
    retains: u64,
    /// From this operation on nothing works any more.
    ends_at: Option<u64>,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct LockStore {
    /// What a plain read sees.
    shown: Arc<InMemory>,
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for LockStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockStore").finish_non_exhaustive()
    }
}

impl fmt::Display for LockStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockStore")
    }
}

impl LockStore {
    /// An empty store whose time is that of this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            shown: Arc::new(InMemory::new()),
            state: Arc::default(),
            clock,
        }
    }

    /// This store as the SDK takes it.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::from(Arc::new(self.clone())).with_locks(Arc::new(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the store a flaw.
    pub fn set_flaw(&self, flaw: Flaw) {
        self.state().flaw = flaw;
    }

    /// Sets what may be done from now on.
    pub fn set_rights(&self, rights: Rights) {
        self.state().rights = rights;
    }

    /// How many operations there were, those of locks included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many requests for a longer lock there were.
    #[must_use]
    pub fn retains(&self) -> u64 {
        self.state().retains
    }

    /// After so many further operations nothing works any more, as for a process that was killed; `None`: it does again.
    pub fn end_after(&self, operations: Option<u64>) {
        let mut state = self.state();
        state.ends_at = operations.map(|count| state.operations + count);
    }

    /// Until when the object's newest version with data is locked, whether or not it is hidden.
    #[must_use]
    pub fn locked_until(&self, path: &str) -> Option<DateTime<Utc>> {
        let state = self.state();
        let versions = state.versions.get(path)?;
        versions.iter().rev().find(|one| one.bytes.is_some())?.until
    }

    /// Bytes of all versions, hidden ones too: what is paid for.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        let state = self.state();
        let all = state.versions.values().flatten();
        all.filter_map(|one| one.bytes.as_ref())
            .map(|bytes| bytes.len() as u64)
            .sum()
    }

    fn begin(&self, path: &str) -> Result<()> {
        let mut state = self.state();
        if state.ends_at.is_some_and(|end| state.operations >= end) {
            // Waiting does not help: the process that asks is dead.
            return Err(denied(path, "the end"));
        }
        state.operations += 1;
        Ok(())
    }

    fn add(&self, path: &str, bytes: Option<Bytes>, until: Option<DateTime<Utc>>) {
        let mut state = self.state();
        state.next += 1;
        let version = Version {
            id: format!("v{}", state.next),
            until: until.filter(|_| state.flaw != Flaw::ForgetsLocks),
            bytes,
        };
        state.versions.entry(path.to_owned()).or_default().push(version);
    }

    async fn hide(&self, path: &Path) -> Result<()> {
        self.begin(path.as_ref())?;
        if self.state().rights != Rights::All {
            return Err(denied(path.as_ref(), "no right to delete"));
        }
        self.shown.delete(path).await?;
        self.add(path.as_ref(), None, None);
        Ok(())
    }

    /// Makes a plain read see the newest version again.
    async fn show(&self, path: &str) -> Result<()> {
        let newest = {
            let state = self.state();
            let newest = state.versions.get(path).and_then(|versions| versions.last());
            newest.and_then(|one| one.bytes.clone())
        };
        let location = Path::from(path);
        match newest {
            Some(bytes) => self.shown.put(&location, bytes.into()).await.map(drop),
            None => match self.shown.delete(&location).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            },
        }
    }
}

fn denied(path: &str, why: &str) -> Error {
    Error::PermissionDenied {
        path: path.to_owned(),
        source: why.to_owned().into(),
    }
}

fn missing(path: &str) -> Error {
    Error::NotFound {
        path: path.to_owned(),
        source: "no such object".into(),
    }
}

#[async_trait]
impl ObjectLocks for LockStore {
    async fn now(&self) -> Result<DateTime<Utc>> {
        self.begin("clock")?;
        Ok(self.clock.now())
    }

    async fn is_enabled(&self) -> Result<bool> {
        self.begin("bucket")?;
        Ok(self.state().flaw != Flaw::Disabled)
    }

    async fn retention(&self, path: &str) -> Result<Option<DateTime<Utc>>> {
        self.begin(path)?;
        let state = self.state();
        let newest = state.versions.get(path).and_then(|versions| versions.last());
        let newest = newest.filter(|one| one.bytes.is_some());
        newest.map(|one| one.until).ok_or_else(|| missing(path))
    }

    async fn retain(&self, path: &str, until: DateTime<Utc>) -> Result<()> {
        self.begin(path)?;
        let now = self.clock.now();
        let mut state = self.state();
        state.retains += 1;
        if state.rights == Rights::NoRetention {
            return Err(denied(path, "no right to set retention"));
        }
        let shortens = state.flaw == Flaw::Shortens;
        let versions = state.versions.get_mut(path);
        let newest = versions.and_then(|versions| versions.last_mut());
        let newest = newest
            .filter(|one| one.bytes.is_some())
            .ok_or_else(|| missing(path))?;
        if !shortens && newest.until.is_some_and(|locked| locked > now && locked > until) {
            return Err(denied(path, "a lock cannot be made shorter"));
        }
        newest.until = Some(until);
        Ok(())
    }

    async fn versions(&self, prefix: &str) -> Result<Vec<ObjectVersion>> {
        self.begin(prefix)?;
        let state = self.state();
        let below = state.versions.iter().filter(|(path, _)| path.starts_with(prefix));
        Ok(below
            .flat_map(|(path, versions)| {
                let newest = versions.len().saturating_sub(1);
                let one = move |(at, version): (usize, &Version)| ObjectVersion {
                    path: path.clone(),
                    id: version.id.clone(),
                    newest: at == newest,
                    marker: version.bytes.is_none(),
                    size: version.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
                };
                versions.iter().enumerate().map(one).rev().collect::<Vec<_>>()
            })
            .collect())
    }

    async fn remove_version(&self, path: &str, id: &str) -> Result<()> {
        self.begin(path)?;
        let now = self.clock.now();
        {
            let mut state = self.state();
            if state.rights != Rights::All {
                return Err(denied(path, "no right to delete versions"));
            }
            let removes = state.flaw == Flaw::Removes;
            let Some(versions) = state.versions.get_mut(path) else {
                return Ok(());
            };
            let Some(at) = versions.iter().position(|one| one.id == id) else {
                return Ok(());
            };
            if !removes && versions[at].until.is_some_and(|until| until > now) {
                return Err(denied(path, "locked"));
            }
            versions.remove(at);
            if versions.is_empty() {
                state.versions.remove(path);
            }
        }
        self.show(path).await
    }
}

#[async_trait]
impl ObjectStore for LockStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.begin(location.as_ref())?;
        let until = options.extensions.get::<RetainUntil>().map(|until| until.0);
        if until.is_some_and(|until| until <= self.clock.now()) {
            return Err(Error::Generic {
                store: "test",
                source: "the retain until date must be in the future".into(),
            });
        }
        let replaces = self.shown.head(location).await.is_ok();
        if replaces && self.state().rights != Rights::All && options.mode != object_store::PutMode::Create {
            return Err(denied(location.as_ref(), "no right to replace"));
        }
        let bytes = Bytes::from(payload.clone());
        let result = self.shown.put_opts(location, payload, options).await?;
        self.add(location.as_ref(), Some(bytes), until);
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotSupported {
            source: "not used by repositories".into(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.begin(location.as_ref())?;
        self.shown.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    store.hide(&location).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.begin("list") {
            Ok(()) => self.shown.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.begin("list")?;
        self.shown.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(Error::NotSupported {
            source: "not used by repositories".into(),
        })
    }
}
