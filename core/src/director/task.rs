//! The work of a run: finding its objects, and backing each of them up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use nakivo_repo_format::manifest::ObjectRecord;
use nakivo_scheduler::run::TaskEnd;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::history::{ObjectResult, Problem};
use super::job::Job;
use super::records::Target;
use super::source::Source;
use crate::backup::{self, BackupOptions, BackupReport, Outcome};
use crate::connector::Connector;
use crate::error::{Error, ErrorKind, Result};
use crate::registry::Use;
use crate::repository::Repository;

/// What the tasks of one run share.
#[derive(Debug)]
pub(super) struct RunContext {
    shared: Arc<Shared>,
    job: Job,
    /// Opened by the first task that needs it; kept from being detached until the run has ended.
    repository: tokio::sync::Mutex<Option<(Repository, Use)>>,
    /// By the number of the source.
    connectors: tokio::sync::Mutex<BTreeMap<usize, Arc<dyn Connector>>>,
}

/// One try at a task.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) end: TaskEnd,
    pub(super) results: Vec<ObjectResult>,
}

/// What a source holds, as far as it can be listed.
#[derive(Debug, Default)]
struct Listing {
    objects: Vec<ObjectRecord>,
    /// Why there may be more.
    error: Option<Error>,
}

impl RunContext {
    pub(super) fn new(shared: Arc<Shared>, job: Job) -> Self {
        Self {
            shared,
            job,
            repository: tokio::sync::Mutex::default(),
            connectors: tokio::sync::Mutex::default(),
        }
    }

    /// Finds the objects of the job, by the key of their task, in the job's order. What cannot be found now gets a task of its
    /// own, which looks again.
    pub(super) async fn targets(&self) -> Vec<(String, Target)> {
        let mut targets = Vec::new();
        let mut seen = BTreeSet::new();
        for (number, source) in self.job.form().sources.iter().enumerate() {
            for (key, target) in self.targets_of(number, source).await {
                if seen.insert(key.clone()) {
                    targets.push((key, target));
                }
            }
        }
        targets
    }

    async fn targets_of(&self, number: usize, source: &Source) -> Vec<(String, Target)> {
        let unfound = |name: &str, rest: bool| {
            let what = if rest { "" } else { name };
            let key = format!("{}:{}#{what}", source.connector, source.place());
            let target = Target {
                source: number,
                name: name.to_owned(),
                object: None,
                rest,
            };
            (key, target)
        };
        let found = |object: ObjectRecord| {
            let target = Target {
                source: number,
                name: object.address.clone().unwrap_or_else(|| object.name.clone()),
                object: Some(object.clone()),
                rest: false,
            };
            (object.id.to_string(), target)
        };
        let mut targets = Vec::new();
        if source.objects.is_empty() {
            let listing = self.list(number, source).await;
            let incomplete = listing.error.is_some();
            targets.extend(listing.objects.into_iter().map(found));
            if incomplete {
                targets.push(unfound(&self.shared.place_of(source).await, true));
            }
            return targets;
        }
        for name in &source.objects {
            targets.push(match self.find(number, name).await {
                Ok(object) => found(object),
                Err(_) => unfound(name, false),
            });
        }
        targets
    }

    /// Every object of a source that names none.
    async fn list(&self, number: usize, source: &Source) -> Listing {
        let mut listing = Listing::default();
        let connector = match self.connector(number).await {
            Ok(connector) => connector,
            Err(error) => {
                listing.error = Some(error);
                return listing;
            }
        };
        let mut all = connector.discover();
        while let Some(object) = all.next().await {
            match object {
                Ok(object) => listing.objects.push(object),
                Err(error) => {
                    listing.error = Some(error);
                    return listing;
                }
            }
        }
        if listing.objects.is_empty() {
            let place = self.shared.place_of(source).await;
            let message = format!("{place}: there is nothing that can be read");
            listing.error = Some(Error::new(ErrorKind::NotFound, message));
        }
        listing
    }

    async fn find(&self, number: usize, name: &str) -> Result<ObjectRecord> {
        self.connector(number).await?.find_object(name).await
    }

    async fn connector(&self, number: usize) -> Result<Arc<dyn Connector>> {
        let mut connectors = self.connectors.lock().await;
        if let Some(connector) = connectors.get(&number) {
            return Ok(Arc::clone(connector));
        }
        let source = self.job.form().sources.get(number);
        let source = source.ok_or_else(|| Error::internal(format!("the job has no source {number}")))?;
        let located = self.shared.located(source).await?;
        let connector = self.shared.sources.connect(&located).await?;
        connectors.insert(number, Arc::clone(&connector));
        Ok(connector)
    }

    async fn repository(&self) -> Result<Repository> {
        let mut open = self.repository.lock().await;
        if let Some((repository, _)) = &*open {
            return Ok(repository.clone());
        }
        let id = self.job.form().repository;
        let known = self.shared.registry.list().await?.into_iter();
        let name = known
            .into_iter()
            .find(|entry| entry.id == id)
            .map(|entry| entry.name);
        let name = name.ok_or_else(|| Error::not_found("repository", id))?;
        let (registration, using) = self.shared.registry.begin(&name).await?;
        let repository = self.shared.repositories.open(&registration).await?;
        if repository.id() != id {
            let message = format!("another repository is at the place of '{name}'");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        // An occasion for what could not be written before: the medium may be there for this run only.
        self.shared.journal_beside(&registration, &repository).await;
        *open = Some((repository.clone(), using));
        Ok(repository)
    }

    /// One try at a task. `apart` are the keys of the run's other tasks.
    pub(super) async fn process(
        &self,
        key: &str,
        target: &Target,
        apart: &BTreeSet<String>,
        cancel: &CancellationToken,
    ) -> Attempt {
        let listing = tokio::select! {
            biased;
            () = cancel.cancelled() => Listing { objects: Vec::new(), error: Some(Error::cancelled()) },
            listing = self.objects_of(target, apart) => listing,
        };
        let mut results = Vec::new();
        for object in listing.objects {
            let name = object.address.clone().unwrap_or_else(|| object.name.clone());
            let result = match self.back_up(target.source, object.clone(), cancel).await {
                Ok(result) => result,
                Err(error) => failure(object.id.as_str(), &name, &error, cancel),
            };
            results.push(result);
        }
        if let Some(error) = listing.error {
            results.push(failure(key, &target.name, &error, cancel));
        }
        Attempt {
            end: end_of(&results),
            results,
        }
    }

    /// What a task is about: the object, or everything in the source that has no task of its own.
    async fn objects_of(&self, target: &Target, apart: &BTreeSet<String>) -> Listing {
        if let Some(object) = &target.object {
            return Listing {
                objects: vec![object.clone()],
                error: None,
            };
        }
        let source = self.job.form().sources.get(target.source);
        if let Some(source) = source.filter(|_| target.rest) {
            let mut listing = self.list(target.source, source).await;
            listing
                .objects
                .retain(|object| !apart.contains(object.id.as_str()));
            return listing;
        }
        match self.find(target.source, &target.name).await {
            Ok(object) => Listing {
                objects: vec![object],
                error: None,
            },
            Err(error) => Listing {
                objects: Vec::new(),
                error: Some(error),
            },
        }
    }

    async fn back_up(
        &self,
        source: usize,
        object: ObjectRecord,
        cancel: &CancellationToken,
    ) -> Result<ObjectResult> {
        if cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        let connector = self.connector(source).await?;
        let repository = self.repository().await?;
        let running = backup::start(&repository, connector, object, BackupOptions::default());
        let stop = running.cancellation();
        // Whoever drops this future wants the run to end, too.
        let _guard = stop.clone().drop_guard();
        let mut wait = std::pin::pin!(running.wait());
        let report = tokio::select! {
            biased;
            report = &mut wait => report?,
            () = cancel.cancelled() => {
                stop.cancel();
                wait.await?
            }
        };
        let mut result = of_report(&report);
        if let Some(keep) = &self.job.form().retention {
            let policy = keep.policy();
            let applying = repository.apply_retention(&report.object.id, &policy, self.job.calendar());
            match applying.await {
                Ok(applied) if applied.commit.is_some() => {
                    result.points_removed = applied.plan.removed().count() as u64;
                }
                Ok(_) => {}
                Err(error) => {
                    let error = error.context("the point was made, but retention was not applied");
                    (result.end, result.problem) = (TaskEnd::Partial, Some((&error).into()));
                }
            }
        }
        Ok(result)
    }
}

fn of_report(report: &BackupReport) -> ObjectResult {
    let object = &report.object;
    let name = object.address.as_ref().unwrap_or(&object.name);
    let unlocked = report.lock.as_ref().and_then(|lock| lock.problem.as_ref());
    let end = match report.outcome {
        Outcome::Complete if unlocked.is_none() => TaskEnd::Complete,
        _ => TaskEnd::Partial,
    };
    ObjectResult {
        point: Some(report.point),
        items: report.items,
        bytes: report.bytes,
        added: report.counts.added,
        changed: report.counts.changed,
        removed: report.counts.removed,
        failed: report.counts.failed,
        bytes_read: report.written.bytes_read,
        bytes_stored: report.written.bytes_stored,
        problem: unlocked.map(Problem::from),
        ..ObjectResult::new(object.id.as_str(), name, end)
    }
}

fn failure(object: &str, name: &str, error: &Error, cancel: &CancellationToken) -> ObjectResult {
    if error.kind() == ErrorKind::Cancelled && cancel.is_cancelled() {
        return ObjectResult::new(object, name, TaskEnd::Stopped);
    }
    let critical = is_critical(error.kind());
    ObjectResult {
        problem: Some(Problem::from(error)),
        ..ObjectResult::new(object, name, TaskEnd::Failed { critical })
    }
}

/// Whether another try a little later does not cure it. A medium that is not there may be plugged in again.
fn is_critical(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidInput
            | ErrorKind::NotFound
            | ErrorKind::WrongPassphrase
            | ErrorKind::Unauthorized
            | ErrorKind::PermissionMissing
            | ErrorKind::Immutable
            | ErrorKind::Corrupt
            | ErrorKind::HistoryRewound
            | ErrorKind::UnsupportedFormat
    )
}

/// How a task ended whose objects ended like this.
fn end_of(results: &[ObjectResult]) -> TaskEnd {
    let is = |wanted: fn(&TaskEnd) -> bool| results.iter().any(|result| wanted(&result.end));
    let stored = is(|end| matches!(end, TaskEnd::Complete | TaskEnd::Partial));
    if results.iter().all(|result| result.end == TaskEnd::Complete) {
        TaskEnd::Complete
    } else if is(|end| *end == TaskEnd::Stopped) {
        TaskEnd::Stopped
    } else if stored {
        TaskEnd::Partial
    } else {
        let critical = !is(|end| matches!(end, TaskEnd::Failed { critical: false }));
        TaskEnd::Failed { critical }
    }
}
