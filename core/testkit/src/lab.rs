//! A repository with everything around it that a test owns.

use std::sync::Arc;

use nakivo_core::backup::{self, BackupOptions, BackupReport};
use nakivo_core::connector::Connector;
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::repository::{CreateOptions, OpenOptions, Repository};
use nakivo_core::scratch::Scratch;
use nakivo_core::seams::{Computing, Environment};
use nakivo_core::state::{MemoryState, StateStore};
use nakivo_core::{Error, Result};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::clock::TestClock;
use crate::random::{SeededRng, environment_number};
use crate::scripted::ScriptedConnector;

/// A store, a clock, randomness and state; clones share them.
#[derive(Debug, Clone)]
pub struct Lab {
    /// Where the repository's objects are.
    pub store: Arc<dyn ObjectStore>,
    /// The clock of [`Lab::env`].
    pub clock: TestClock,
    /// What the SDK is given.
    pub env: Environment,
}

impl Lab {
    /// A lab over an empty store in memory.
    #[must_use]
    pub fn memory(seed: u64) -> Self {
        Self::over(Arc::new(InMemory::new()), seed)
    }

    /// A lab over this store, with state that ends with the lab.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, seed: u64) -> Self {
        Self::with_state(store, seed, Arc::new(MemoryState::default()))
    }

    /// A lab over this store and state.
    #[must_use]
    pub fn with_state(store: Arc<dyn ObjectStore>, seed: u64, state: Arc<dyn StateStore>) -> Self {
        let clock = TestClock::new();
        let env = Environment {
            clock: Arc::new(clock.clone()),
            rng: Arc::new(SeededRng::new(seed)),
            state,
            computing: Computing::Threads,
            scratch: scratch(),
        };
        Self { store, clock, env }
    }

    /// Everything happens in the same order each time, if the runtime has one thread; see [`Computing::InPlace`].
    #[must_use]
    pub fn in_place(mut self) -> Self {
        self.env.computing = Computing::InPlace;
        self
    }

    /// The same store seen by another machine: own state, own randomness.
    #[must_use]
    pub fn elsewhere(&self, seed: u64) -> Self {
        Self::over(self.store.clone(), seed)
    }

    /// Creates an unencrypted repository: everything is sealed as in an encrypted one, but no passphrase is stretched.
    ///
    /// # Errors
    /// Those of [`Repository::create`].
    pub async fn create(&self) -> Result<Repository> {
        Repository::create(self.store.clone(), CreateOptions::default(), self.env.clone()).await
    }

    /// Opens the repository.
    ///
    /// # Errors
    /// Those of [`Repository::open`].
    pub async fn open(&self) -> Result<Repository> {
        Repository::open(self.store.clone(), OpenOptions::default(), self.env.clone()).await
    }
}

/// Everything in memory; with `NAKIVO_SCRATCH=1`, every index of every lab is put into scratch files from its first row on.
fn scratch() -> Scratch {
    if environment_number("NAKIVO_SCRATCH") == Some(1) {
        Scratch::directory(std::env::temp_dir().join("nakivo-testkit-scratch")).with_threshold(0)
    } else {
        Scratch::default()
    }
}

/// Runs one backup of the scripted source.
///
/// # Errors
/// Those of the run.
pub async fn back_up(repository: &Repository, source: &ScriptedConnector) -> Result<BackupReport> {
    back_up_object(repository, source.handle(), source.object()).await
}

/// Runs one backup.
///
/// # Errors
/// Those of the run.
pub async fn back_up_object(
    repository: &Repository,
    connector: Arc<dyn Connector>,
    object: ObjectRecord,
) -> Result<BackupReport> {
    backup::start(repository, connector, object, BackupOptions::default())
        .wait()
        .await
}

/// Whether the error is of a kind that tells the caller what to do, rather than a defect of the software.
#[must_use]
pub fn is_clear(error: &Error) -> bool {
    error.kind() != nakivo_core::ErrorKind::Internal && !error.message().is_empty()
}
