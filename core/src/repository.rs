//! A backup repository: create or open it, see what it holds, read from it, write to it, verify it.
//!
//! The engine behind `nakivo-repo-format`, which says what the bytes mean. The rules it keeps:
//!
//! * Packs are stored before the index segment that lists them, and that before the commit that refers to it. A recovery
//!   point exists if and only if its commit exists; whatever a run left behind without one is invisible.
//! * Every object is created only if absent. Several writers need no locks: commits have numbers, and one wins each.
//! * Dropping any future leaves the repository valid: at worst with objects that nothing refers to.
//! * A read returns the original bytes or an error that names the object.

use std::fmt;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use nakivo_repo_format::log::Operation;
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{
    Compression, FormatError, KdfParams, KeyRing, KeySet, KeySlot, MasterKey, Passphrase, RecoveryKey,
    RepositoryConfig, RepositoryId, RunId, Secret, SlotKey, WriterId, paths,
};

use crate::error::{Error, ErrorKind, Result};
use crate::seams::{Environment, random_bytes};
use crate::store::Store;

mod cache;
mod content;
mod criteria;
mod destroy;
mod digest;
mod epoch;
mod heal;
mod history;
mod hot;
mod index;
mod keys;
mod load;
mod lock;
mod log;
mod nodes;
mod objects;
mod points;
mod probe;
mod reach;
mod read;
mod reclaim;
mod retain;
mod shared;
mod tree;
mod unhide;
mod unlock;
mod verify;
mod view;
mod write;

pub use criteria::{PointCriterion, PointFilter};
pub use destroy::{DestroyReport, destroy, identify};
pub use epoch::EpochUsage;
pub use heal::{ConnectorSource, HealOptions, HealReport, HealSource, RepositorySource, Wanted};
pub use keys::{KeySlotKind, KeySlotSummary, KeySlots, RotateOptions, RotateReport, SlotOptions};
pub use lock::{Immutability, LockReport, PointLock, RenewReport, ShortLock};
pub(crate) use log::removed_meanwhile;
pub use points::DeletedPoints;
pub use reclaim::{ReclaimOptions, ReclaimReport};
pub use tree::{ItemChange, ScanRange};
pub(crate) use tree::{RawChange, Spoiled, decode_each};
pub use unhide::{UnhideOptions, UnhideReport, unhide};
pub use verify::{AffectedItem, Damage, VerifyOptions, VerifyReport};
pub use view::{KnownDamage, LogDamage, ObjectSummary, PointSelector, PointSummary, RepositoryInfo};
pub use write::{PartMode, WriteStats, Writer};

use cache::{BlockCache, DEFAULT_CACHE_BYTES};
use hot::HotChunks;
use nodes::NodeCache;
use objects::{Objects, Put, format_error};
use retain::Promise;
use shared::{CodecPool, Shared, View};
use unlock::{Unlocked, unlock};

/// Largest `format.json` or key slot that is read.
const MAX_JSON_BYTES: u64 = 64 << 10;
/// Ranged reads under way at once.
const PARALLEL_READS: usize = 4;

/// How a new repository is made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CreateOptions {
    /// Protects the repository's keys. `None`: whoever can read the store can read the backups; changes are noticed all the
    /// same.
    pub secret: Option<Secret>,
    /// How hard new data is compressed. Default: medium.
    pub compression: Compression,
    /// Cost of trying a passphrase. Default: 64 MiB of memory, 3 passes.
    pub kdf: KdfParams,
    /// What the first key slot is for, in words. Default: empty.
    pub description: String,
    /// Days after it was made during which nobody can remove a recovery point or what it needs, 1 to 3650; the store must be
    /// an S3 bucket with object lock. `None`: nothing is locked. Default: `None`.
    pub immutable_days: Option<u32>,
}

impl CreateOptions {
    /// A repository protected by this passphrase or key.
    #[must_use]
    pub fn encrypted(secret: impl Into<Secret>) -> Self {
        Self {
            secret: Some(secret.into()),
            ..Self::default()
        }
    }

    /// A repository that anybody who reaches the store can read.
    #[must_use]
    pub fn unencrypted() -> Self {
        Self::default()
    }

    /// Sets the compression of new data.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets the cost of trying a passphrase.
    #[must_use]
    pub fn with_kdf(mut self, kdf: KdfParams) -> Self {
        self.kdf = kdf;
        self
    }

    /// Sets for how many days points cannot be removed by anybody.
    #[must_use]
    pub fn with_immutable_days(mut self, days: Option<u32>) -> Self {
        self.immutable_days = days;
        self
    }

    /// Sets what the first key slot is for.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }
}

/// How a repository is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The passphrase or a key of an encrypted repository.
    pub secret: Option<Secret>,
    /// Open although the store shows an older or another history than the one seen before, and go on from it. Default:
    /// `false`.
    pub accept_history: bool,
    /// Plain bytes of blocks kept in memory. Default: 20 MiB.
    pub cache_bytes: Option<usize>,
}

impl OpenOptions {
    /// Opens with this passphrase.
    #[must_use]
    pub fn with_passphrase(mut self, passphrase: Option<Passphrase>) -> Self {
        self.secret = passphrase.map(Secret::Passphrase);
        self
    }

    /// Opens with this recovery key or key file.
    #[must_use]
    pub fn with_key(mut self, key: RecoveryKey) -> Self {
        self.secret = Some(Secret::Key(key));
        self
    }

    /// Opens with this passphrase or key; `None`: the repository is not encrypted.
    #[must_use]
    pub fn with_secret(mut self, secret: Option<Secret>) -> Self {
        self.secret = secret;
        self
    }

    /// Goes on from whatever history the store shows.
    #[must_use]
    pub fn with_accept_history(mut self, accept: bool) -> Self {
        self.accept_history = accept;
        self
    }

    /// Sets how many plain bytes of blocks are kept in memory.
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = Some(bytes);
        self
    }
}

/// An open repository. A clone is the same one: it shares cache, index and view.
#[derive(Clone)]
pub struct Repository {
    pub(crate) shared: Arc<Shared>,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Makes a new repository in an empty store and opens it.
    ///
    /// `format.json` comes last: until it is there, nothing is, and a later call succeeds over the leftovers.
    ///
    /// # Errors
    /// `AlreadyExists` if there is a repository; `InvalidInput` for a key derivation cost out of range; `Protocol` if the
    /// store cannot create an object only if it is absent, which two writers that race for one name must prove, or if points
    /// are to be immutable and it does not keep a lock that one tries to break; those of the store.
    pub async fn create(
        store: impl Into<Store>,
        options: CreateOptions,
        env: Environment,
    ) -> Result<Repository> {
        let objects = Objects::new(store, env.clone());
        if objects.size(paths::FORMAT).await?.is_some() {
            return Err(exists());
        }
        let promise = options.immutable_days.map(Promise::new).transpose()?;
        if promise.is_some() {
            objects.need_locks()?;
        }
        probe::prove_create(&objects, &env).await?;
        if promise.is_some() {
            lock::prove(&objects, &env).await?;
        }
        objects.retention.set_promise(promise);
        let id = RepositoryId::from_random_bytes(random_bytes(&*env.rng)?);
        let master = MasterKey::from_random(random_bytes(&*env.rng)?);
        let salt = random_bytes(&*env.rng)?;
        let created = env.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let config = RepositoryConfig::new(id, created.clone())
            .with_encrypted(options.secret.is_some())
            .with_compression(options.compression)
            .with_immutable_days(options.immutable_days);
        let (slot, unlocked) = env
            .computing
            .run(move || {
                let ring = KeyRing::new(master, 0);
                let refused = |error: FormatError| {
                    Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error)
                };
                let key = match &options.secret {
                    Some(secret) => Some(SlotKey::new(secret, options.kdf, salt).map_err(refused)?),
                    None => None,
                };
                let slot = match &key {
                    Some(key) => KeySlot::wrap(&ring, key, &id, &created, &options.description),
                    None => KeySlot::plain(&ring, &id, &created, &options.description),
                };
                let slot = slot.map_err(refused)?;
                let opened = vec![(slot.clone(), ring.clone())];
                Ok((slot, Unlocked { ring, key, opened }))
            })
            .await?;
        let slot_path = paths::key_slot(&slot.id());
        let slot_bytes = Bytes::from(slot.to_bytes().to_vec());
        objects.create_kept(&slot_path, &slot_bytes).await?;
        // The slot's name is new. A store that creates it a second time would let two commits take one number.
        if objects.create(&slot_path, slot_bytes.clone()).await? != Put::Exists {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the store replaces objects where it was asked to create them",
            )
            .with_hint("Use a store that can create an object only if it is absent."));
        }
        if objects.get(&slot_path, MAX_JSON_BYTES).await?.as_ref() != Some(&slot_bytes) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("{slot_path}: the store did not keep what it took"),
            ));
        }
        let format = config
            .to_bytes()
            .map(Bytes::from)
            .map_err(|error| format_error(paths::FORMAT, error))?;
        if objects.create_kept(paths::FORMAT, &format).await? == Put::Exists
            && objects.get(paths::FORMAT, MAX_JSON_BYTES).await?.as_ref() != Some(&format)
        {
            return Err(exists());
        }
        let repository = Self::assemble(objects, env, config, unlocked, None)?;
        repository.shared.load(false).await?;
        Ok(repository)
    }

    /// Opens the repository in a store.
    ///
    /// # Errors
    /// `RepositoryMissing`; `WrongPassphrase`, also when a secret is needed and none is given or the other way round;
    /// `UnsupportedFormat` for a newer format; `Corrupt`, naming the object, where damage cannot be worked around;
    /// `HistoryRewound` if the store shows another history than the one seen before; those of the store.
    pub async fn open(store: impl Into<Store>, options: OpenOptions, env: Environment) -> Result<Repository> {
        let objects = Objects::new(store, env.clone());
        let Some(bytes) = objects.get(paths::FORMAT, MAX_JSON_BYTES).await? else {
            if unhide::is_format_hidden(&objects).await {
                return Err(objects::corrupt(
                    paths::FORMAT,
                    "somebody deleted it; the store keeps versions, so it is only hidden",
                )
                .with_hint("Bring hidden objects back, then open."));
            }
            return Err(Error::new(
                ErrorKind::RepositoryMissing,
                "there is no repository at this place",
            )
            .with_hint("Check the location, or create a repository there."));
        };
        let config = RepositoryConfig::parse(&bytes).map_err(|error| match error {
            FormatError::BadMagic { .. } => Error::new(
                ErrorKind::RepositoryMissing,
                "format.json at this place belongs to something else",
            )
            .with_hint("Check the location."),
            error => format_error(paths::FORMAT, error),
        })?;
        let unlocked = unlock(&objects, &config, options.secret, env.computing).await?;
        let repository = Self::assemble(objects, env, config, unlocked, options.cache_bytes)?;
        repository.shared.load(options.accept_history).await?;
        Ok(repository)
    }

    fn assemble(
        objects: Objects,
        env: Environment,
        config: RepositoryConfig,
        unlocked: Unlocked,
        cache_bytes: Option<usize>,
    ) -> Result<Self> {
        objects.retention.set_promise(lock::promise_of(&config));
        let token = WriterId::from_random_bytes(random_bytes(&*env.rng)?);
        Ok(Self {
            shared: Arc::new(Shared {
                token,
                objects,
                codecs: CodecPool::new(config.compression),
                keys: RwLock::new(KeySet::of_ring(unlocked.ring, &config.id)),
                slot_key: RwLock::new(unlocked.key),
                config,
                index: RwLock::new(index::Index::new(env.scratch.clone())),
                env,
                view: RwLock::new(Arc::new(View {
                    state: RepositoryState::default(),
                    ranks: shared::Ranks::default(),
                    log_damage: Vec::new(),
                    last_removal: 0,
                })),
                cache: BlockCache::new(cache_bytes.unwrap_or(DEFAULT_CACHE_BYTES)),
                hot: HotChunks::new(cache_bytes.unwrap_or(DEFAULT_CACHE_BYTES) / 2),
                nodes: NodeCache::default(),
                reads: Arc::new(tokio::sync::Semaphore::new(PARALLEL_READS)),
                computing: tokio::sync::Semaphore::new(shared::parallelism()),
                log: tokio::sync::Mutex::default(),
                writers: std::sync::Mutex::default(),
                notes: std::sync::Mutex::default(),
                segment_epochs: std::sync::Mutex::default(),
                index_incomplete: std::sync::atomic::AtomicBool::default(),
            }),
        })
    }

    /// The repository's id.
    #[must_use]
    pub fn id(&self) -> RepositoryId {
        self.shared.config.id
    }

    /// What `format.json` says.
    #[must_use]
    pub fn config(&self) -> &RepositoryConfig {
        &self.shared.config
    }

    /// What it was opened with: clock, randomness, state outside the repository.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.shared.env
    }

    /// Reads what other writers committed since this view was read.
    ///
    /// # Errors
    /// `Corrupt` if a newer commit is damaged; the view stays. Those of the store.
    pub async fn refresh(&self) -> Result<()> {
        self.shared.refresh().await
    }

    /// A writer for one run.
    #[must_use]
    pub fn writer(&self, run: RunId) -> Writer {
        Writer::new(&self.shared, run)
    }

    /// Commits the operations that `build` makes of the newest state, and returns the commit's number.
    ///
    /// `build` may be called several times: when another writer commits first, it is asked again with the state after
    /// that. It must refer to flushed segments only.
    ///
    /// # Errors
    /// Those of `build`; `Conflict` if the operations do not fit the state; `Busy`; `Corrupt` if the repository can only
    /// be read; those of the store (then the commit may or may not have taken place: the next call finds out).
    pub async fn commit(
        &self,
        build: impl Fn(&RepositoryState) -> Result<Vec<Operation>> + Send + Sync,
    ) -> Result<u64> {
        self.shared.commit(build).await
    }
}

fn exists() -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        "there is a repository at this place already",
    )
    .with_hint("Open it, or choose another place.")
}
