//! The seams: time and randomness come in from outside, so that a test can own them.
//!
//! This is the one module that may read the wall clock, ask the system for randomness or sleep; a clippy rule bans it
//! everywhere else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::scratch::Scratch;
use crate::state::{MemoryState, StateStore};

/// Time as the SDK sees it.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall-clock time; may jump in either direction.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some fixed moment; never goes back. Durations are measured with this, never with [`Clock::now`].
    fn monotonic(&self) -> Duration;

    /// Returns after `duration` has passed on this clock. Cancel-safe.
    async fn sleep(&self, duration: Duration);
}

/// Randomness as the SDK sees it: keys, ids, salts and jitter.
pub trait Rng: Send + Sync + fmt::Debug {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// `Internal` if the source of randomness fails; nothing may be written with bytes it did not fill.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// `N` random bytes.
///
/// # Errors
/// As [`Rng::fill`].
pub fn random_bytes<const N: usize>(rng: &dyn Rng) -> Result<[u8; N]> {
    let mut bytes = [0u8; N];
    rng.fill(&mut bytes)?;
    Ok(bytes)
}

/// The clock of the machine.
#[derive(Debug, Clone)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// Starts its monotonic part at zero.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        DateTime::<Utc>::from(std::time::SystemTime::now())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that sleeps")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The randomness of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that asks the system for randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes)
            .map_err(|error| Error::internal(format!("the system's random source failed: {error}")))
    }
}

/// Where hashing, compressing and sealing take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Computing {
    /// On threads that may block, as many at once as the machine has cores, while the task that asked waits.
    #[default]
    Threads,
    /// In the task that asks. On a runtime of one thread, everything then happens in the same order each time, however fast
    /// the machine is: for tests that repeat an order. Nothing else of that thread goes on meanwhile.
    InPlace,
}

impl Computing {
    /// Runs `work`, which may block.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match self {
            Self::Threads => tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
                Err(Error::internal(format!(
                    "a computation ended abnormally: {error}"
                )))
            }),
            Self::InPlace => work(),
        }
    }
}

/// What every component is given besides its own settings: clock, randomness, the state kept outside repositories, where
/// computations take place, and where scratch files are.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// What is remembered outside the repository, such as the newest commit seen.
    pub state: Arc<dyn StateStore>,
    /// Where computations take place.
    pub computing: Computing,
    /// Room on the machine's disk for what a process looks up while it runs.
    pub scratch: Scratch,
}

impl Environment {
    /// The machine's clock and randomness, with this state store.
    #[must_use]
    pub fn system(state: Arc<dyn StateStore>) -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            rng: Arc::new(SystemRng),
            state,
            computing: Computing::default(),
            scratch: Scratch::default(),
        }
    }

    /// Sets where what is large and short-lived is put instead of into memory. Default: it stays in memory.
    #[must_use]
    pub fn with_scratch(mut self, scratch: Scratch) -> Self {
        self.scratch = scratch;
        self
    }
}

impl Default for Environment {
    /// The machine's clock and randomness; nothing is remembered between processes, so a store that rewinds the
    /// history of a repository is noticed only within one process.
    fn default() -> Self {
        Self::system(Arc::new(MemoryState::default()))
    }
}
