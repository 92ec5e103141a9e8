//! The life of a run: begun, its objects found, its tasks tried, ended, and on record.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nakivo_repo_format::ids::RunId;
use nakivo_scheduler::chain::{Outcome, chained_starts};
use nakivo_scheduler::run::RunState;
use nakivo_scheduler::schedule::Timetable;

use super::super::history::{HistoryEntry, ObjectResult};
use super::super::records::{CurrentRun, Pages};
use super::{
    Attempt, Cause, DirectorEvent, Done, Engine, Error, JobId, Live, Reply, Result, RunContext, RunError,
    RunRecord, Scope, StopCause, Target, TaskEnd, refused,
};
use crate::seams::random_bytes;

impl Engine {
    /// Takes care of a job from now on. A run that was interrupted goes on.
    pub(super) async fn take_up(&mut self, id: &JobId) -> Result<()> {
        let now = self.shared.now();
        let Some(live) = self.jobs.get_mut(id).filter(|live| !live.driven) else {
            return Ok(());
        };
        live.driven = true;
        let name = live.name();
        let Some(current) = &mut live.state.current else {
            return Ok(());
        };
        current.interruptions = current.interruptions.saturating_add(1);
        let run = current.id;
        if let Some(run) = live.state.job.run_mut() {
            run.resume(now);
        }
        live.context = Some(context(&self.shared, &live.state.job));
        self.put_state(id).await?;
        let job = id.clone();
        self.tell(DirectorEvent::RunResumed { job, name, run });
        Ok(())
    }

    pub(super) async fn run_now(&mut self, id: &JobId, scope: Scope<String>, reply: Reply) -> Result<()> {
        let listed = self.jobs.get(id).filter(|live| live.entry.is_some());
        let Some(live) = listed else {
            let _ = reply.send(Err(Error::not_found("job", id)));
            return Ok(());
        };
        let taken_up = live.driven;
        self.take_up(id).await?;
        self.apply_edit(id).await?;
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        if live.state.current.is_none() && !live.state.job.is_enabled() {
            let _ = reply.send(Err(refused(&RunError::Disabled)));
        } else if live.state.current.is_none() {
            live.waiting.push(reply);
            self.begin(id, Cause::Asked, scope, None).await?;
        } else if taken_up {
            let error = RunError::Running { command: "start it" };
            let _ = reply.send(Err(refused(&error)));
        } else {
            live.waiting.push(reply);
        }
        Ok(())
    }

    /// Stores that a run begins, with everything that was decided before.
    pub(super) async fn begin(
        &mut self,
        id: &JobId,
        cause: Cause,
        scope: Scope<String>,
        window_end: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let run = RunId::from_random_bytes(random_bytes(&*self.shared.env.rng)?);
        let started = self.shared.now();
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        live.state.current = Some(CurrentRun {
            id: run,
            cause,
            scope,
            started,
            window_end,
            interruptions: 0,
            stop_asked: false,
            targets: BTreeMap::new(),
            results: BTreeMap::new(),
        });
        live.context = Some(context(&self.shared, &live.state.job));
        self.put_state(id).await
    }

    /// Looks for the objects of a run that has begun.
    pub(super) fn find_objects(&mut self, id: &JobId) {
        let Some(live) = self.jobs.get_mut(id) else { return };
        let wanted = live.state.current.is_some() && live.state.job.run().is_none() && !live.finding;
        let Some(context) = live.context.clone().filter(|_| wanted) else {
            return;
        };
        live.finding = true;
        let (job, closing) = (id.clone(), self.closing.clone());
        self.work.spawn(async move {
            let targets = tokio::select! {
                biased;
                () = closing.cancelled() => Vec::new(),
                targets = Box::pin(context.targets()) => targets,
            };
            Done::Found { job, targets }
        });
    }

    /// The objects of a run are found: its tasks are made.
    pub(super) async fn found(&mut self, id: &JobId, targets: Vec<(String, Target)>) -> Result<()> {
        let now = self.shared.now();
        let closing = self.closing.is_cancelled();
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        live.finding = false;
        let Some(current) = live.state.current.as_mut().filter(|_| !closing) else {
            return Ok(());
        };
        let scope = scope_in_keys(&current.scope, &targets);
        let keys: Vec<String> = targets.iter().map(|(key, _)| key.clone()).collect();
        let retry = live.state.job.config().form().retry;
        let run = match live.state.job.start(&scope, &keys, current.window_end, retry) {
            Ok(run) => run,
            Err(error) => return self.refuse(id, &refused(&error)).await,
        };
        if current.stop_asked {
            // A run that was just made has not ended.
            let _ = run.stop_all(StopCause::Asked, now);
        }
        let mut targets: BTreeMap<String, Target> = targets.into_iter().collect();
        let tasks = run.tasks().iter();
        current.targets = tasks
            .filter_map(|task| targets.remove_entry(task.object()))
            .collect();
        let (run, cause, objects) = (current.id, current.cause.clone(), current.targets.len());
        let (job, name) = (id.clone(), live.name());
        self.put_state(id).await?;
        self.tell(DirectorEvent::RunStarted {
            job,
            name,
            run,
            cause,
            objects,
        });
        Ok(())
    }

    /// One try at a task has ended.
    pub(super) async fn tried(&mut self, id: &JobId, key: String, attempt: Attempt) -> Result<()> {
        let now = self.shared.now();
        let closing = self.closing.is_cancelled();
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        live.under_way.remove(&key);
        let Some(run) = live.state.job.run_mut() else {
            return Ok(());
        };
        let told = run.to_stop().any(|object| *object == key);
        let mut end = attempt.end;
        if end == TaskEnd::Stopped && !told {
            if closing {
                // It was interrupted, and goes on at the next start.
                return Ok(());
            }
            end = TaskEnd::Failed { critical: false };
        }
        let tries = run
            .tasks()
            .iter()
            .find(|task| *task.object() == key)
            .map_or(0, |task| task.tries());
        run.finish(&key, end, now).map_err(|error| refused(&error))?;
        let mut results = attempt.results;
        for result in &mut results {
            result.tries = tries;
        }
        let (job, name) = (id.clone(), live.name());
        let Some(current) = &mut live.state.current else {
            return Ok(());
        };
        let run = current.id;
        current.results.insert(key, results.clone());
        self.put_state(id).await?;
        for result in results {
            self.tell(DirectorEvent::ObjectDone {
                job: job.clone(),
                name: name.clone(),
                run,
                result: Box::new(result),
            });
        }
        Ok(())
    }

    pub(super) async fn stop(&mut self, id: &JobId, objects: Option<Vec<String>>) -> Result<()> {
        let now = self.shared.now();
        let live = self.jobs.get_mut(id).filter(|live| live.driven);
        let live = live.ok_or_else(|| Error::not_found("a run of job", id))?;
        let Some(current) = &mut live.state.current else {
            return Err(Error::not_found("a run of job", id));
        };
        let Some(run) = live.state.job.run_mut() else {
            if objects.is_some() {
                let reason = "its objects are being found";
                return Err(refused(&RunError::Nothing { reason }));
            }
            current.stop_asked = true;
            return self.put_state(id).await;
        };
        match objects {
            None => run.stop_all(StopCause::Asked, now),
            Some(objects) => {
                let keys: Vec<String> = objects
                    .iter()
                    .map(|name| key_of(name, &current.targets))
                    .collect();
                run.stop(&keys, now)
            }
        }
        .map_err(|error| refused(&error))?;
        live.tell_tasks();
        self.put_state(id).await
    }

    /// Lets time pass for a run: its window may be over.
    pub(super) async fn tick(&mut self, id: &JobId) -> Result<()> {
        let now = self.shared.now();
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        let Some(run) = live.state.job.run_mut() else {
            return Ok(());
        };
        let before = run.state();
        run.tick(now);
        if run.state() == before {
            return Ok(());
        }
        live.tell_tasks();
        self.put_state(id).await
    }

    /// Puts a run that has ended on record, and sets going what follows it.
    pub(super) async fn settle(&mut self, id: &JobId) -> Result<()> {
        let Some(live) = self.jobs.get(id) else {
            return Ok(());
        };
        let (Some(run), Some(current)) = (live.state.job.run(), &live.state.current) else {
            return Ok(());
        };
        let RunState::Ended { outcome, at } = run.state() else {
            return Ok(());
        };
        let mut objects = Vec::new();
        for task in run.tasks() {
            let end = task.end().unwrap_or(TaskEnd::Stopped);
            match current.results.get(task.object()) {
                Some(results) if !(end == TaskEnd::Stopped && task.tries() == 0) => {
                    let mut results = results.clone();
                    if let [one] = results.as_mut_slice() {
                        // A later try may have been stopped.
                        one.end = end;
                    }
                    objects.extend(results);
                }
                _ => {
                    let name = current
                        .targets
                        .get(task.object())
                        .map(|target| target.name.as_str());
                    let name = name.unwrap_or(task.object());
                    objects.push(ObjectResult::new(task.object(), name, end));
                }
            }
        }
        let record = record(id, live, current, objects, outcome, at);
        self.conclude(id, record).await
    }

    /// Takes back a run that was asked for and that the job has nothing for.
    async fn refuse(&mut self, id: &JobId, error: &Error) -> Result<()> {
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        live.state.current = None;
        live.context = None;
        self.put_state(id).await?;
        self.reply(id, &Err(error.clone()));
        Ok(())
    }

    /// Tells those who wait for a run what came of it. What they are told is on record.
    fn reply(&mut self, id: &JobId, result: &Result<RunRecord>) {
        let waiting = self
            .jobs
            .get_mut(id)
            .map(|live| std::mem::take(&mut live.waiting));
        for reply in waiting.unwrap_or_default() {
            // Who waited may be gone.
            let _ = reply.send(result.clone());
        }
    }

    /// History first, then what follows, then that the run is over: should the process end in between, it is all done again,
    /// to the same effect.
    async fn conclude(&mut self, id: &JobId, record: RunRecord) -> Result<()> {
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        let entry = HistoryEntry::Run(Box::new(record.clone()));
        let records = &self.shared.records;
        records.append(id, &mut live.state.pages, entry).await?;
        self.chain(id, &record).await?;
        let days = TimeDelta::days(i64::from(self.shared.settings.history_days));
        let limit = self.shared.now() - days;
        let Some(live) = self.jobs.get_mut(id) else {
            return Ok(());
        };
        let expired: Pages = self.shared.records.expired(id, live.state.pages, limit).await?;
        live.state.pages.first = expired.next;
        live.state.job.settle();
        live.state.current = None;
        live.context = None;
        self.put_state(id).await?;
        self.shared.records.drop_pages(id, expired).await?;
        // Who is told that the run has ended has been told everything about it.
        self.tell(DirectorEvent::RunEnded {
            record: Box::new(record.clone()),
        });
        self.reply(id, &Ok(record));
        Ok(())
    }

    /// Notes the starts that the end of a run calls for.
    async fn chain(&mut self, id: &JobId, record: &RunRecord) -> Result<()> {
        let tables: BTreeMap<String, Timetable> = self
            .jobs
            .iter()
            .filter_map(|(id, live)| {
                let form = live.entry.as_ref()?.job.form();
                let chained =
                    form.enabled && form.schedules.schedules().iter().any(|one| one.link().is_some());
                chained.then(|| (id.to_string(), form.schedules.clone()))
            })
            .collect();
        for start in chained_starts(&tables, id.as_str(), record.outcome, record.ended) {
            let job: JobId = start.job.parse()?;
            let Some(live) = self.jobs.get_mut(&job) else {
                continue;
            };
            if !live.state.chained.contains(&start) {
                live.state.chained.push(start);
                self.put_state(&job).await?;
            }
        }
        Ok(())
    }
}

impl Live {
    /// Passes on to the tasks that they are to stop.
    fn tell_tasks(&self) {
        let Some(run) = self.state.job.run() else { return };
        for object in run.to_stop() {
            if let Some(cancel) = self.under_way.get(object) {
                cancel.cancel();
            }
        }
    }
}

fn context(
    shared: &Arc<super::Shared>,
    job: &nakivo_scheduler::run::Job<super::super::Job, String>,
) -> Arc<RunContext> {
    Arc::new(RunContext::new(Arc::clone(shared), job.config().clone()))
}

fn record(
    id: &JobId,
    live: &Live,
    current: &CurrentRun,
    objects: Vec<ObjectResult>,
    outcome: Outcome,
    ended: DateTime<Utc>,
) -> RunRecord {
    RunRecord {
        run: current.id,
        job: id.clone(),
        job_name: live.name(),
        cause: current.cause.clone(),
        started: current.started,
        ended,
        outcome,
        interruptions: current.interruptions,
        objects,
    }
}

/// The key of the object that somebody calls so, or the name itself, which the run then refuses.
fn key_of<'a>(name: &str, targets: impl IntoIterator<Item = (&'a String, &'a Target)>) -> String {
    let called = |(key, target): &(&String, &Target)| {
        let object = target.object.as_ref();
        *key == name
            || target.name.eq_ignore_ascii_case(name)
            || object.is_some_and(|object| object.name == name || object.native_id == name)
    };
    let found = targets.into_iter().find(called);
    found.map_or_else(|| name.to_owned(), |(key, _)| key.clone())
}

fn scope_in_keys(scope: &Scope<String>, targets: &[(String, Target)]) -> Scope<String> {
    match scope {
        Scope::Selected(names) => {
            let targets = || targets.iter().map(|(key, target)| (key, target));
            Scope::Selected(names.iter().map(|name| key_of(name, targets())).collect())
        }
        other => other.clone(),
    }
}
