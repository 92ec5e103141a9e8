//! The director: jobs, the runs that their schedules call for, and what is on record of them.
//!
//! A [`Director`] stands on a state store and on seams that its owner hands in; several live side by side in one process. It
//! knows no source and no passphrase: [`SourceProvider`] makes connectors, [`RepositoryProvider`] opens repositories. When
//! jobs are due, what is caught up, which tasks may start and how runs end is decided by `nakivo-scheduler`; the director
//! brings the time, does the work, and stores every decision before it acts on it.
//!
//! Anybody may add, edit, remove and look at jobs at any time, also from another process. Only one director at a time runs
//! those of a state store.
//!
//! What is configured is also written, sealed, into every repository that jobs use: the journal. [`Director::restore`] brings a
//! director whose state was lost back from one of them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use nakivo_scheduler::schedule::Occurrence;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::registry::Registry;
use crate::seams::Environment;

mod account;
mod changes;
mod engine;
mod event;
mod history;
mod ids;
mod job;
mod journal;
mod records;
mod restore;
mod running;
mod settings;
mod source;
mod task;

pub use account::{AccountEntry, AccountForm};
pub use event::DirectorEvent;
pub use history::{Cause, HistoryEntry, ObjectResult, Problem, RunRecord};
pub use ids::{AccountId, JobId};
pub use job::{Job, JobForm, Keep, MAX_SOURCES};
pub use journal::{DirectorId, JournalHead, JournalStanding, JournalStatus, Origin, OriginKind};
pub use nakivo_scheduler as scheduler;
pub use records::JobEntry;
pub use restore::Restored;
pub use settings::DirectorSettings;
pub use source::{FOLDER, FolderSources, RepositoryProvider, Source, SourceProvider};

use engine::Command;
use records::Records;

/// Events that a slow watcher may be behind by.
const EVENTS: usize = 4_096;

/// What every part of a director has.
#[derive(Debug)]
struct Shared {
    env: Environment,
    settings: DirectorSettings,
    sources: Arc<dyn SourceProvider>,
    repositories: Arc<dyn RepositoryProvider>,
    registry: Registry,
    records: Records,
    events: broadcast::Sender<DirectorEvent>,
}

impl Shared {
    fn now(&self) -> DateTime<Utc> {
        self.env.clock.now()
    }

    fn tell(&self, event: DirectorEvent) {
        // Nobody may be watching.
        let _ = self.events.send(event);
    }
}

/// Runs jobs while somebody wants it to.
#[derive(Debug)]
struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    ended: CancellationToken,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    engine: tokio::sync::Mutex<Option<Handle>>,
    changing: tokio::sync::Mutex<()>,
}

/// Jobs and their runs, on one state store. Clones share it. Dropping the last one ends what it runs, as a crash would: at its
/// next start it goes on.
#[derive(Debug, Clone)]
pub struct Director {
    inner: Arc<Inner>,
}

/// A job as it stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobStatus {
    /// The job as it is configured.
    pub entry: JobEntry,
    /// Whether a run of it has begun and not ended. It may be waiting for a director that goes on with it.
    pub running: bool,
    /// How its last run ended, and when.
    pub last: Option<(nakivo_scheduler::chain::Outcome, DateTime<Utc>)>,
    /// When it is due next.
    pub next: Option<Occurrence>,
}

impl Director {
    /// Opens the director on this environment's state. Starts nothing.
    ///
    /// # Errors
    /// `InvalidInput` for settings out of range; `Corrupt` or `UnsupportedFormat` if the jobs cannot be read; those of the state
    /// store.
    pub async fn open(
        env: Environment,
        settings: DirectorSettings,
        sources: Arc<dyn SourceProvider>,
        repositories: Arc<dyn RepositoryProvider>,
    ) -> Result<Self> {
        settings.validate()?;
        let (events, _) = broadcast::channel(EVENTS);
        let shared = Shared {
            registry: Registry::new(&env),
            records: Records::new(Arc::clone(&env.state)),
            env,
            settings,
            sources,
            repositories,
            events,
        };
        shared.records.jobs().await?;
        let inner = Inner {
            shared: Arc::new(shared),
            engine: tokio::sync::Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The repositories that jobs may use. Remove them with [`Director::remove_repository`], which asks the jobs.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.inner.shared.registry
    }

    /// What happens from now on. Who is more than some thousand events behind misses the oldest.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<DirectorEvent> {
        self.inner.shared.events.subscribe()
    }

    /// Every job, in the order in which they were added.
    ///
    /// # Errors
    /// `Corrupt` or `UnsupportedFormat` if the jobs cannot be read; those of the state store.
    pub async fn jobs(&self) -> Result<Vec<JobEntry>> {
        self.inner.shared.records.jobs().await
    }

    /// The job of this name or id.
    ///
    /// # Errors
    /// `NotFound`, with what there is; those of [`Director::jobs`].
    pub async fn job(&self, name: &str) -> Result<JobEntry> {
        let jobs = self.jobs().await?;
        let named = |entry: &&JobEntry| entry.job.name() == name || entry.id.as_str() == name;
        jobs.iter()
            .find(named)
            .cloned()
            .ok_or_else(|| unknown(name, &jobs))
    }

    /// A job as it stands.
    ///
    /// # Errors
    /// `NotFound`; those of [`Director::jobs`].
    pub async fn status(&self, id: &JobId) -> Result<JobStatus> {
        let entry = self.job(id.as_str()).await?;
        let state = self.inner.shared.records.state_of(id).await?;
        let state = state.as_ref();
        let table = &entry.job.form().schedules;
        let enabled = entry.job.form().enabled;
        Ok(JobStatus {
            running: state.is_some_and(|state| state.current.is_some()),
            last: state
                .and_then(|state| state.job.last())
                .map(|last| (last.outcome, last.ended)),
            next: table.next_after(self.inner.shared.now()).filter(|_| enabled),
            entry,
        })
    }

    /// The newest `most` entries of a job's history, newest first.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` or `UnsupportedFormat` if it cannot be read; those of the state store.
    pub async fn history(&self, id: &JobId, most: usize) -> Result<Vec<HistoryEntry>> {
        let records = &self.inner.shared.records;
        self.job(id.as_str()).await?;
        match records.state_of(id).await? {
            Some(state) => records.history(id, state.pages, most).await,
            None => Ok(Vec::new()),
        }
    }
}

fn unknown(name: &str, jobs: &[JobEntry]) -> Error {
    let names: Vec<&str> = jobs.iter().map(|entry| entry.job.name()).collect();
    Error::not_found("job", name).with_hint(if names.is_empty() {
        "There is no job yet: add one.".to_owned()
    } else {
        format!("There are: {}.", names.join(", "))
    })
}
