//! The director: jobs, the runs that their schedules call for, and what is on record of them.
//!
//! A [`Director`] stands on a state store and on seams that its owner hands in; several live side by side in one process. It
//! knows no source and no passphrase: [`SourceProvider`] makes connectors, [`RepositoryProvider`] opens repositories. When
//! jobs are due, what is caught up, which tasks may start and how runs end is decided by `nakivo-scheduler`; the director
//! brings the time, does the work, and stores every decision before it acts on it.
//!
//! Anybody may add, edit, remove and look at jobs at any time, also from another process. Only one director at a time runs
//! those of a state store.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nakivo_repo_format::RepositoryId;
use nakivo_scheduler::chain::{ChainError, check_chains};
use nakivo_scheduler::run::{RunError, Scope};
use nakivo_scheduler::schedule::{Occurrence, Timetable};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::progress::Running;
use crate::registry::{Registration, Registry, RepositoryName};
use crate::seams::Environment;

mod engine;
mod event;
mod history;
mod job;
mod records;
mod settings;
mod source;
mod task;

pub use event::DirectorEvent;
pub use history::{Cause, HistoryEntry, ObjectResult, Problem, RunRecord};
pub use job::{Job, JobForm, JobId, Keep, MAX_SOURCES};
pub use nakivo_scheduler as scheduler;
pub use records::JobEntry;
pub use settings::DirectorSettings;
pub use source::{FOLDER, FolderSources, RepositoryProvider, Source, SourceProvider};

use engine::{Command, Engine};
use records::Records;

/// Claimed by whoever changes the jobs.
const CHANGING: &str = "director/jobs";
/// Claimed by whoever runs them.
const RUNNING: &str = "director/running";
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

    /// Adds a job. Only times that come from now on are due.
    ///
    /// # Errors
    /// `InvalidInput` for a field out of range, or jobs that run after each other in a circle; `AlreadyExists` for a name that is
    /// taken; `NotFound` for a repository, or a job to run after, that does not exist; `Busy` while another process changes the
    /// jobs; those of [`Director::jobs`].
    pub async fn add(&self, form: JobForm) -> Result<JobEntry> {
        let job = form.check()?;
        let id = JobId::random(&*self.inner.shared.env.rng)?;
        let now = self.inner.shared.now();
        let entry = JobEntry {
            id,
            job,
            added: now,
            due_since: now,
        };
        self.change(|jobs| {
            jobs.push(entry.clone());
            Ok(entry)
        })
        .await
    }

    /// Changes a job. While it runs, that takes effect when the run has ended. If its schedules change, or it is enabled, only
    /// times that come from now on are due.
    ///
    /// # Errors
    /// `NotFound`; those of [`Director::add`].
    pub async fn edit(&self, id: &JobId, edit: impl FnOnce(&mut JobForm) + Send) -> Result<JobEntry> {
        let now = self.inner.shared.now();
        self.change(|jobs| {
            let at = position(jobs, id)?;
            let before = jobs[at].job.form();
            let mut form = before.clone();
            edit(&mut form);
            let job = form.check()?;
            let after = job.form();
            if before.schedules != after.schedules || before.enabled != after.enabled {
                jobs[at].due_since = now;
            }
            jobs[at].job = job;
            Ok(jobs[at].clone())
        })
        .await
    }

    /// Removes a job with its history. Its recovery points stay.
    ///
    /// # Errors
    /// `Busy` while it runs; `NotFound` for a job that does not exist, or one that others run after, naming them; those of
    /// [`Director::jobs`].
    pub async fn remove(&self, id: &JobId) -> Result<JobEntry> {
        let records = &self.inner.shared.records;
        // While nobody runs jobs, a run that was interrupted is none that goes on.
        let nobody_runs = self.inner.shared.env.state.claim(RUNNING).await;
        if nobody_runs.is_err() && self.status(id).await?.running {
            return Err(refused(&RunError::Running { command: "remove it" }));
        }
        let entry = self
            .change(|jobs| {
                let at = position(jobs, id)?;
                Ok(jobs.remove(at))
            })
            .await?;
        if nobody_runs.is_ok() {
            records.forget(id).await?;
        }
        Ok(entry)
    }

    /// Names of the jobs that use a repository.
    ///
    /// # Errors
    /// Those of [`Director::jobs`].
    pub async fn jobs_using(&self, repository: RepositoryId) -> Result<Vec<String>> {
        let jobs = self.jobs().await?.into_iter();
        let using = jobs.filter(|entry| entry.job.form().repository == repository);
        Ok(using.map(|entry| entry.job.name().to_owned()).collect())
    }

    /// Forgets a repository that no job uses; its data stays.
    ///
    /// # Errors
    /// `Conflict` that names the jobs that use it; those of [`Registry::remove`] and [`Director::jobs`].
    pub async fn remove_repository(&self, name: &RepositoryName) -> Result<Registration> {
        // So that no job comes to use it meanwhile.
        let _one_at_a_time = self.inner.changing.lock().await;
        let _claim = self.claim_changes().await?;
        let id = self.registry().get(name).await?.id;
        let jobs = self.jobs_using(id).await?;
        self.registry().remove(name, &jobs).await
    }

    /// Runs a job now, or goes on with a run of it that was interrupted, and then this is all that is done. Chained jobs and
    /// schedules wait for [`Director::start`].
    ///
    /// # Errors
    /// From [`Running::wait`]: `NotFound` for a job or a selected object that does not exist, or when nothing is left to do;
    /// `Conflict` if it is disabled; `Busy` while it runs, or while another process runs jobs; those of the state store. That an
    /// object failed is no error but part of the record.
    ///
    /// # Cancellation
    /// Stops the run as [`Director::stop`] does; its record is returned.
    #[must_use]
    pub fn run_now(&self, id: &JobId, scope: Scope<String>) -> Running<RunRecord> {
        let (director, job) = (self.clone(), id.clone());
        Running::start(move |reporter| async move {
            let (reply, mut ended) = oneshot::channel();
            let command = Command::Run {
                job: job.clone(),
                scope,
                reply,
            };
            director.send(command).await?;
            tokio::select! {
                biased;
                record = &mut ended => return record.unwrap_or_else(|_| Err(gone())),
                () = reporter.cancellation().cancelled() => {}
            }
            // What has ended meanwhile needs no stopping.
            let _ = director.stop(&job, None).await;
            ended.await.unwrap_or_else(|_| Err(gone()))
        })
    }

    /// Runs every job as its schedules say, until cancelled, beginning with runs that were interrupted.
    ///
    /// # Errors
    /// From [`Running::wait`]: `Busy` if this state's jobs are run already; those of the state store, because a director that
    /// cannot remember must not act.
    ///
    /// # Cancellation
    /// Tasks save their progress and end; their runs go on at the next start. Returns `Ok`.
    #[must_use]
    pub fn start(&self) -> Running<()> {
        let director = self.clone();
        Running::start(move |reporter| async move {
            let (reply, mut ended) = oneshot::channel();
            director.send(Command::Serve { reply }).await?;
            tokio::select! {
                biased;
                result = &mut ended => return result.unwrap_or_else(|_| Err(gone())),
                () = reporter.cancellation().cancelled() => {}
            }
            director.send_if_running(Command::Close).await;
            ended.await.unwrap_or_else(|_| Err(gone()))
        })
    }

    /// Stops the run of a job, or the tasks of these objects in it. Returns when that is on record; [`Director::run_now`] and
    /// [`Director::watch`] say when it has ended.
    ///
    /// # Errors
    /// `NotFound` if no run of the job goes on in this director, or for an object that is not part of it; those of the state store.
    pub async fn stop(&self, id: &JobId, objects: Option<Vec<String>>) -> Result<()> {
        let (reply, stopped) = oneshot::channel();
        let job = id.clone();
        let sent = self.send_if_running(Command::Stop { job, objects, reply }).await;
        if !sent {
            return Err(Error::not_found("a run of job", id));
        }
        stopped.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn send_if_running(&self, command: Command) -> bool {
        let engine = self.inner.engine.lock().await;
        engine
            .as_ref()
            .is_some_and(|handle| handle.commands.send(command).is_ok())
    }

    /// Gives the command to the engine that runs, or starts one.
    async fn send(&self, mut command: Command) -> Result<()> {
        let mut engine = self.inner.engine.lock().await;
        if let Some(handle) = &*engine {
            match handle.commands.send(command) {
                Ok(()) => return Ok(()),
                Err(unsent) => command = unsent.0,
            }
            handle.ended.cancelled().await;
        }
        let claim = self.inner.shared.env.state.claim(RUNNING).await;
        let claim = claim.map_err(|error| match error.kind() {
            ErrorKind::Busy => Error::new(ErrorKind::Busy, "the jobs of this state are run by somebody else")
                .with_hint("Stop the director that runs, or leave it to its schedules."),
            _ => error,
        })?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let ended = CancellationToken::new();
        // A receiver that was just made takes it.
        let _ = commands.send(command);
        let work = Engine::new(Arc::clone(&self.inner.shared), claim, receiver);
        let guard = ended.clone().drop_guard();
        tokio::spawn(async move {
            Box::pin(work.run()).await;
            drop(guard);
        });
        *engine = Some(Handle { commands, ended });
        Ok(())
    }

    async fn claim_changes(&self) -> Result<crate::state::Claim> {
        let claim = self.inner.shared.env.state.claim(CHANGING).await;
        claim.map_err(|error| match error.kind() {
            ErrorKind::Busy => Error::new(ErrorKind::Busy, "somebody else changes the jobs at this moment")
                .with_hint("Try again."),
            _ => error,
        })
    }

    /// Changes the jobs as a whole; an error changes nothing.
    async fn change<T>(&self, change: impl FnOnce(&mut Vec<JobEntry>) -> Result<T> + Send) -> Result<T> {
        let _one_at_a_time = self.inner.changing.lock().await;
        let _claim = self.claim_changes().await?;
        let mut jobs = self.jobs().await?;
        let before = jobs.clone();
        let result = change(&mut jobs)?;
        self.check(&before, &jobs).await?;
        self.inner.shared.records.put_jobs(jobs).await?;
        Ok(result)
    }

    /// What must hold of all jobs together.
    async fn check(&self, before: &[JobEntry], jobs: &[JobEntry]) -> Result<()> {
        let mut names = BTreeMap::new();
        for entry in jobs {
            if names.insert(entry.job.name(), &entry.id).is_some() {
                let message = format!("there is a job of the name '{}' already", entry.job.name());
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
        }
        let known = self.registry().list().await?;
        // What was there before is no reason to refuse a change of something else.
        for entry in jobs.iter().filter(|entry| !before.contains(entry)) {
            let repository = entry.job.form().repository;
            if !known.iter().any(|one| one.id == repository) {
                let what = format!("the repository of job '{}',", entry.job.name());
                return Err(Error::not_found(&what, repository)
                    .with_hint("Import it first: jobs use repositories that are known by a name."));
            }
        }
        let tables: BTreeMap<String, Timetable> = jobs
            .iter()
            .map(|entry| (entry.id.to_string(), entry.job.form().schedules.clone()))
            .collect();
        check_chains(&tables).map_err(|error| chain_refused(&error, before.iter().chain(jobs)))
    }
}

fn position(jobs: &[JobEntry], id: &JobId) -> Result<usize> {
    let found = jobs.iter().position(|entry| entry.id == *id);
    found.ok_or_else(|| unknown(id.as_str(), jobs))
}

fn unknown(name: &str, jobs: &[JobEntry]) -> Error {
    let names: Vec<&str> = jobs.iter().map(|entry| entry.job.name()).collect();
    Error::not_found("job", name).with_hint(if names.is_empty() {
        "There is no job yet: add one.".to_owned()
    } else {
        format!("There are: {}.", names.join(", "))
    })
}

/// In names, where the scheduler has ids.
fn chain_refused<'a>(error: &ChainError, jobs: impl Iterator<Item = &'a JobEntry>) -> Error {
    let mut message = error.to_string();
    for entry in jobs {
        message = message.replace(entry.id.as_str(), &format!("'{}'", entry.job.name()));
    }
    let kind = match error {
        ChainError::Missing { .. } => ErrorKind::NotFound,
        _ => ErrorKind::InvalidInput,
    };
    Error::new(kind, message).with_source(error.clone())
}

/// A command that the scheduler refuses, as an error that says what to do next.
fn refused(error: &RunError) -> Error {
    let kind = match error {
        RunError::NotAnObject { .. } | RunError::Nothing { .. } => ErrorKind::NotFound,
        RunError::Running { .. } => ErrorKind::Busy,
        RunError::Twice { .. } => ErrorKind::InvalidInput,
        _ => ErrorKind::Conflict,
    };
    Error::new(kind, error.to_string()).with_source(error.clone())
}

fn gone() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "the director ended; the run goes on when it starts again",
    )
}
