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
    Compression, KdfParams, KeySet, KeySlot, MasterKey, Passphrase, RepositoryConfig, RepositoryId, RunId,
    WriterId, paths,
};
use object_store::ObjectStore;

use crate::error::{Error, ErrorKind, Result};
use crate::seams::{Environment, random_bytes};

mod cache;
mod content;
mod criteria;
mod destroy;
mod history;
mod index;
mod load;
mod log;
mod objects;
mod points;
mod probe;
mod reach;
mod read;
mod reclaim;
mod shared;
mod tree;
mod verify;
mod view;
mod write;

pub use criteria::{PointCriterion, PointFilter};
pub use destroy::{DestroyReport, destroy, identify};
pub use points::DeletedPoints;
pub use reclaim::{ReclaimOptions, ReclaimReport};
pub use tree::{ItemChange, ScanRange};
pub(crate) use tree::{RawChange, Spoiled, decode_each};
pub use verify::{AffectedItem, Damage, VerifyOptions, VerifyReport};
pub use view::{LogDamage, ObjectSummary, PointSelector, PointSummary, RepositoryInfo};
pub use write::{PartMode, WriteStats, Writer};

use cache::{BlockCache, DEFAULT_CACHE_BYTES};
use objects::{Objects, Put, corrupt, format_error};
use shared::{CodecPool, Shared, View, blocking};

/// Largest `format.json` or key slot that is read.
const MAX_JSON_BYTES: u64 = 64 << 10;
/// Ranged reads under way at once.
const PARALLEL_READS: usize = 4;

/// How a new repository is made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CreateOptions {
    /// Protects the repository's key. `None`: whoever can read the store can read the backups; changes are noticed all the
    /// same.
    pub passphrase: Option<Passphrase>,
    /// How hard new data is compressed. Default: medium.
    pub compression: Compression,
    /// Cost of trying a passphrase. Default: 64 MiB of memory, 3 passes.
    pub kdf: KdfParams,
    /// What the first key slot is for, in words. Default: empty.
    pub description: String,
}

impl CreateOptions {
    /// A repository protected by this passphrase.
    #[must_use]
    pub fn encrypted(passphrase: Passphrase) -> Self {
        Self {
            passphrase: Some(passphrase),
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
    /// The passphrase of an encrypted repository.
    pub passphrase: Option<Passphrase>,
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
        self.passphrase = passphrase;
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
    shared: Arc<Shared>,
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
    /// store cannot create an object only if it is absent, which two writers that race for one name must prove; those of
    /// the store.
    pub async fn create(
        store: Arc<dyn ObjectStore>,
        options: CreateOptions,
        env: Environment,
    ) -> Result<Repository> {
        let objects = Objects::new(store, env.clone());
        if objects.size(paths::FORMAT).await?.is_some() {
            return Err(exists());
        }
        probe::prove_create(&objects, &env).await?;
        let id = RepositoryId::from_random_bytes(random_bytes(&*env.rng)?);
        let master = MasterKey::from_random(random_bytes(&*env.rng)?);
        let salt = random_bytes(&*env.rng)?;
        let created = env.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let config = RepositoryConfig::new(id, created.clone())
            .with_encrypted(options.passphrase.is_some())
            .with_compression(options.compression);
        let (slot, master) = blocking(move || {
            let slot = match &options.passphrase {
                Some(passphrase) => KeySlot::wrap(
                    &master,
                    0,
                    passphrase,
                    options.kdf,
                    salt,
                    &id,
                    &created,
                    &options.description,
                ),
                None => KeySlot::plain(&master, 0, &id, &created, &options.description),
            };
            let slot = slot
                .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error))?;
            Ok((slot, master))
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
        let keys = KeySet::derive(&master, 0, &id);
        let repository = Self::assemble(objects, env, config, keys, None)?;
        repository.shared.load(false).await?;
        Ok(repository)
    }

    /// Opens the repository in a store.
    ///
    /// # Errors
    /// `RepositoryMissing`; `WrongPassphrase`, also when one is needed and none is given or the other way round;
    /// `UnsupportedFormat` for a newer format; `Corrupt`, naming the object, where damage cannot be worked around;
    /// `HistoryRewound` if the store shows another history than the one seen before; those of the store.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        options: OpenOptions,
        env: Environment,
    ) -> Result<Repository> {
        let objects = Objects::new(store, env.clone());
        let Some(bytes) = objects.get(paths::FORMAT, MAX_JSON_BYTES).await? else {
            return Err(Error::new(
                ErrorKind::RepositoryMissing,
                "there is no repository at this place",
            )
            .with_hint("Check the location, or create a repository there."));
        };
        let config = RepositoryConfig::parse(&bytes).map_err(|error| match error {
            nakivo_repo_format::FormatError::BadMagic { .. } => Error::new(
                ErrorKind::RepositoryMissing,
                "format.json at this place belongs to something else",
            )
            .with_hint("Check the location."),
            error => format_error(paths::FORMAT, error),
        })?;
        let (master, epoch) = unlock(&objects, &config, options.passphrase).await?;
        let keys = KeySet::derive(&master, epoch, &config.id);
        let repository = Self::assemble(objects, env, config, keys, options.cache_bytes)?;
        repository.shared.load(options.accept_history).await?;
        Ok(repository)
    }

    fn assemble(
        objects: Objects,
        env: Environment,
        config: RepositoryConfig,
        keys: KeySet,
        cache_bytes: Option<usize>,
    ) -> Result<Self> {
        let token = WriterId::from_random_bytes(random_bytes(&*env.rng)?);
        Ok(Self {
            shared: Arc::new(Shared {
                token,
                objects,
                env,
                codecs: CodecPool::new(config.compression),
                config,
                keys,
                index: RwLock::default(),
                view: RwLock::new(Arc::new(View {
                    state: RepositoryState::default(),
                    ranks: shared::Ranks::default(),
                    read_only: None,
                    last_removal: 0,
                })),
                cache: BlockCache::new(cache_bytes.unwrap_or(DEFAULT_CACHE_BYTES)),
                reads: Arc::new(tokio::sync::Semaphore::new(PARALLEL_READS)),
                computing: tokio::sync::Semaphore::new(shared::parallelism()),
                log: tokio::sync::Mutex::default(),
                writers: std::sync::Mutex::default(),
                notes: std::sync::Mutex::default(),
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

/// Finds the key slot that opens the repository.
async fn unlock(
    objects: &Objects,
    config: &RepositoryConfig,
    passphrase: Option<Passphrase>,
) -> Result<(MasterKey, u32)> {
    if config.encrypted && passphrase.is_none() {
        return Err(Error::new(
            ErrorKind::WrongPassphrase,
            "this repository is encrypted and no passphrase was given",
        )
        .with_hint("Give its passphrase."));
    }
    let mut failure = None;
    let mut wrong = false;
    for (path, _) in objects.list(paths::KEYS, None).await? {
        let Some(bytes) = objects.get(&path, MAX_JSON_BYTES).await? else {
            continue;
        };
        let slot = match KeySlot::parse(&bytes) {
            // Left behind by a creation that did not come to its end.
            Ok(slot) if *slot.repository() != config.id => continue,
            Ok(slot) => slot,
            Err(error) => {
                failure = Some(format_error(&path, error));
                continue;
            }
        };
        if slot.needs_passphrase() != passphrase.is_some() {
            // Who gives a passphrase must not be led to a key that somebody else put there in clear.
            wrong = true;
            continue;
        }
        let (passphrase, id) = (passphrase.clone(), config.id);
        let opened = tokio::task::spawn_blocking(move || slot.unwrap(passphrase.as_ref(), &id))
            .await
            .map_err(|error| Error::internal(format!("the key derivation ended abnormally: {error}")))?;
        match opened {
            Ok(found) => return Ok(found),
            Err(nakivo_repo_format::FormatError::WrongPassphrase) => wrong = true,
            Err(error) => failure = Some(format_error(&path, error)),
        }
    }
    if wrong {
        let error = if config.encrypted || passphrase.is_none() {
            Error::new(
                ErrorKind::WrongPassphrase,
                "the passphrase opens none of the repository's key slots",
            )
        } else {
            Error::new(
                ErrorKind::WrongPassphrase,
                "a passphrase was given, and this repository is not encrypted",
            )
            .with_hint("Open it without a passphrase.")
        };
        return Err(match failure {
            Some(damage) => error.with_hint(format!("One key slot is damaged: {damage}")),
            None => error,
        });
    }
    Err(failure.unwrap_or_else(|| corrupt(paths::KEYS, "there is no key slot of this repository")))
}
