//! Changing jobs: each change is checked against all of them, and stored as a whole.

use std::collections::BTreeMap;

use nakivo_repo_format::RepositoryId;
use nakivo_scheduler::chain::{ChainError, check_chains};
use nakivo_scheduler::run::RunError;
use nakivo_scheduler::schedule::Timetable;

use super::account::check_accounts;
use super::ids::JobId;
use super::job::JobForm;
use super::records::JobEntry;
use super::running::{RUNNING, refused};
use super::{Director, unknown};
use crate::error::{Error, ErrorKind, Result};
use crate::registry::{Registration, RepositoryName};
use crate::state::Claim;

/// Claimed by whoever changes the jobs.
const CHANGING: &str = "director/jobs";

impl Director {
    /// Adds a job. Only times that come from now on are due.
    ///
    /// # Errors
    /// `InvalidInput` for a field out of range, or jobs that run after each other in a circle; `AlreadyExists` for a name that is
    /// taken; `NotFound` for a repository, an account, or a job to run after, that does not exist; `Busy` while another process changes the
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
            .change_unjournalled(|jobs| {
                let at = position(jobs, id)?;
                Ok(jobs.remove(at))
            })
            .await?;
        if nobody_runs.is_ok() {
            records.forget(id).await?;
        }
        // Repositories may take their time.
        drop(nobody_runs);
        self.journal_change().await;
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
    /// `Conflict` that names the jobs that use it; those of [`Registry::remove`](crate::registry::Registry::remove) and [`Director::jobs`].
    pub async fn remove_repository(&self, name: &RepositoryName) -> Result<Registration> {
        // So that no job comes to use it meanwhile.
        let _one_at_a_time = self.inner.changing.lock().await;
        let _claim = self.claim_changes().await?;
        let id = self.registry().get(name).await?.id;
        let jobs = self.jobs_using(id).await?;
        self.registry().remove(name, &jobs).await
    }

    pub(super) async fn claim_changes(&self) -> Result<Claim> {
        let claim = self.inner.shared.env.state.claim(CHANGING).await;
        claim.map_err(|error| match error.kind() {
            ErrorKind::Busy => Error::new(ErrorKind::Busy, "somebody else changes the jobs at this moment")
                .with_hint("Try again."),
            _ => error,
        })
    }

    /// Changes the jobs as a whole; an error changes nothing. When it returns, every repository that can be reached has it.
    async fn change<T>(&self, change: impl FnOnce(&mut Vec<JobEntry>) -> Result<T> + Send) -> Result<T> {
        let result = self.change_unjournalled(change).await?;
        self.journal_change().await;
        Ok(result)
    }

    async fn change_unjournalled<T>(
        &self,
        change: impl FnOnce(&mut Vec<JobEntry>) -> Result<T> + Send,
    ) -> Result<T> {
        let _one_at_a_time = self.inner.changing.lock().await;
        let _claim = self.claim_changes().await?;
        let mut jobs = self.jobs().await?;
        let before = jobs.clone();
        let result = change(&mut jobs)?;
        self.check(&before, &jobs).await?;
        self.inner.shared.records.put_jobs(jobs).await?;
        Ok(result)
    }

    /// The change is made whatever comes of this; [`Director::journal_status`] says what did.
    pub(super) async fn journal_change(&self) {
        if let Err(error) = self.inner.shared.journal().await {
            tracing::warn!(%error, "the journal of the director is behind");
        }
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
        let accounts = self.accounts().await?;
        for entry in jobs.iter().filter(|entry| !before.contains(entry)) {
            check_accounts(entry, &accounts)?;
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
