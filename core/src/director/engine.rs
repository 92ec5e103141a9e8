//! What runs jobs: one task that owns everything that goes on, takes commands, and acts when something is due.
//!
//! It wakes when a task has ended, a command has come, or the next moment has passed at which something may be due, and then
//! looks at every job anew. What it decides is stored before it acts on it. An error of the state store ends it: a director
//! that cannot remember must not act.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use nakivo_scheduler::admission::{Queue, TaskKind, admit};
use nakivo_scheduler::run::{RunError, Scope, StopCause, TaskEnd, TaskState};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::event::DirectorEvent;
use super::history::{Cause, RunRecord};
use super::ids::JobId;
use super::records::{JobEntry, JobState, Target};
use super::running::{gone, refused};
use super::task::{Attempt, RunContext};
use crate::error::{Error, Result};
use crate::state::Claim;

mod due;
mod journal;
mod runs;

use journal::Journalling;

/// Who waits for the end of a run.
type Reply = oneshot::Sender<Result<RunRecord>>;

/// What is asked of the engine.
#[derive(Debug)]
pub(super) enum Command {
    /// Runs a job now.
    Run {
        job: JobId,
        scope: Scope<String>,
        reply: Reply,
    },
    /// Stops a run, or some of its tasks.
    Stop {
        job: JobId,
        objects: Option<Vec<String>>,
        reply: oneshot::Sender<Result<()>>,
    },
    /// Runs every job as its schedules say, until closed.
    Serve { reply: oneshot::Sender<Result<()>> },
    /// Ends everything; what runs goes on at the next start.
    Close,
}

/// Work that has ended.
enum Done {
    /// The objects of a run are found.
    Found {
        job: JobId,
        targets: Vec<(String, Target)>,
    },
    /// One try at a task.
    Tried {
        job: JobId,
        key: String,
        attempt: Attempt,
    },
    /// A try to bring the journal up to date; whether it is still behind.
    Journalled(Result<bool>),
}

/// A job while the engine lives.
struct Live {
    /// As it is configured; `None` once it was removed.
    entry: Option<JobEntry>,
    state: JobState,
    /// Whether anything is done about it: a run that was asked for does not set others going.
    driven: bool,
    /// What the tasks of its run share.
    context: Option<Arc<RunContext>>,
    /// Set while the objects of its run are being found.
    finding: bool,
    /// The tasks that run, by key.
    under_way: BTreeMap<String, CancellationToken>,
    /// When its schedules are to be decided about next, as far as that was computed.
    next_due: Option<Option<DateTime<Utc>>>,
    waiting: Vec<Reply>,
}

pub(super) struct Engine {
    shared: Arc<Shared>,
    _claim: Claim,
    commands: mpsc::UnboundedReceiver<Command>,
    jobs: BTreeMap<JobId, Live>,
    /// The record of jobs that was read last.
    known: Option<Bytes>,
    journalling: Journalling,
    work: JoinSet<Done>,
    /// Who waits for the end of schedules; `None` while only what was asked for is run.
    serving: Option<oneshot::Sender<Result<()>>>,
    /// Cancelled when everything is to end.
    closing: CancellationToken,
    /// Set once no more commands are taken.
    draining: bool,
}

/// Why the engine woke.
enum Woken {
    Done(Done),
    Command(Option<Command>),
    Time,
    Broken(Error),
}

impl Engine {
    pub(super) fn new(shared: Arc<Shared>, claim: Claim, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        Self {
            shared,
            _claim: claim,
            commands,
            jobs: BTreeMap::new(),
            known: None,
            journalling: Journalling::default(),
            work: JoinSet::new(),
            serving: None,
            closing: CancellationToken::new(),
            draining: false,
        }
    }

    /// Works until there is nothing to do, or it is closed.
    pub(super) async fn run(mut self) {
        let result = self.drive().await;
        self.closing.cancel();
        // Tasks save their progress.
        while self.work.join_next().await.is_some() {}
        let error = || result.as_ref().err().cloned();
        if let Some(reply) = self.serving.take() {
            // Who asked may be gone.
            let _ = reply.send(error().map_or(Ok(()), Err));
        }
        for live in self.jobs.values_mut() {
            for reply in live.waiting.drain(..) {
                let _ = reply.send(Err(error().unwrap_or_else(gone)));
            }
        }
    }

    async fn drive(&mut self) -> Result<()> {
        let mut first = true;
        loop {
            // The first command says what this engine is for.
            if !first {
                self.look().await?;
                if self.is_idle() {
                    // Nobody sends any more; what was sent before is done all the same.
                    self.commands.close();
                    self.draining = true;
                    match self.commands.try_recv() {
                        Ok(command) => self.command(command).await?,
                        Err(_) => return Ok(()),
                    }
                    continue;
                }
            }
            first = false;
            let woken = self.next().await;
            match woken {
                Woken::Done(done) => self.done(done).await?,
                Woken::Command(Some(command)) => self.command(command).await?,
                Woken::Command(None) => self.closing.cancel(),
                Woken::Time => {}
                Woken::Broken(error) => return Err(error),
            }
            if self.closing.is_cancelled() {
                return self.finish().await;
            }
        }
    }

    async fn next(&mut self) -> Woken {
        let clock = Arc::clone(&self.shared.env.clock);
        let wait = self.until_next();
        tokio::select! {
            biased;
            Some(done) = self.work.join_next(), if !self.work.is_empty() => match done {
                Ok(done) => Woken::Done(done),
                // Everything ends; what ran is tried again at the next start.
                Err(error) => Woken::Broken(Error::internal(format!("a task ended abnormally: {error}"))),
            },
            command = self.commands.recv(), if !self.draining => Woken::Command(command),
            () = clock.sleep(wait) => Woken::Time,
        }
    }

    /// Takes the ends of tasks that are told to save their progress.
    async fn finish(&mut self) -> Result<()> {
        while let Some(done) = self.work.join_next().await {
            if let Ok(done) = done {
                self.done(done).await?;
            }
        }
        Ok(())
    }

    /// How long nothing will be due.
    fn until_next(&mut self) -> Duration {
        let now = self.shared.now();
        let longest = Duration::from_secs(self.shared.settings.look_every_seconds);
        let serving = self.serving.is_some();
        let driven = self.jobs.values_mut().filter(|live| live.driven);
        // What is past and still to be done waits for something else.
        let moments = driven
            .flat_map(|live| live.moments(serving))
            .filter(|moment| *moment > now);
        let first = moments.min().and_then(|moment| (moment - now).to_std().ok());
        first.map_or(longest, |wait| wait.min(longest))
    }

    /// Nothing was asked for that is not done.
    fn is_idle(&self) -> bool {
        let goes_on = |live: &Live| live.driven && live.state.current.is_some();
        self.serving.is_none() && self.work.is_empty() && !self.jobs.values().any(goes_on)
    }

    /// Looks at everything: what was changed, what has ended, what is due, what may start.
    async fn look(&mut self) -> Result<()> {
        self.read_jobs().await?;
        let driven: Vec<JobId> = self.driven().map(|(id, _)| id.clone()).collect();
        // First what has ended: what follows it may be on record already, and must not begin before that is noticed.
        for id in &driven {
            self.tick(id).await?;
            self.settle(id).await?;
        }
        for id in &driven {
            self.look_at(id).await?;
        }
        self.admit();
        self.journal().await
    }

    fn driven(&self) -> impl Iterator<Item = (&JobId, &Live)> {
        self.jobs.iter().filter(|(_, live)| live.driven)
    }

    async fn look_at(&mut self, id: &JobId) -> Result<()> {
        if self.forget_if_removed(id).await? {
            return Ok(());
        }
        self.apply_edit(id).await?;
        if self.serving.is_some() {
            self.decide(id).await?;
        }
        self.find_objects(id);
        Ok(())
    }

    /// Reads the jobs if they were changed, and what there is of those that are new here.
    async fn read_jobs(&mut self) -> Result<()> {
        let Some(entries) = self.shared.records.changed_jobs(&mut self.known).await? else {
            return Ok(());
        };
        let listed: BTreeSet<JobId> = entries.iter().map(|entry| entry.id.clone()).collect();
        for entry in entries {
            if let Some(live) = self.jobs.get_mut(&entry.id) {
                live.entry = Some(entry);
                continue;
            }
            let stored = self.shared.records.state_of(&entry.id).await?;
            let id = entry.id.clone();
            let live = Live {
                state: stored.unwrap_or_else(|| JobState::new(&entry)),
                entry: Some(entry),
                driven: false,
                context: None,
                finding: false,
                under_way: BTreeMap::new(),
                next_due: None,
                waiting: Vec::new(),
            };
            self.jobs.insert(id.clone(), live);
            if self.serving.is_some() {
                self.take_up(&id).await?;
            }
        }
        for (id, live) in &mut self.jobs {
            if !listed.contains(id) {
                live.entry = None;
            }
        }
        Ok(())
    }

    async fn forget_if_removed(&mut self, id: &JobId) -> Result<bool> {
        let removed = |live: &&Live| live.entry.is_none() && live.state.current.is_none();
        if self.jobs.get(id).filter(removed).is_none() {
            return Ok(false);
        }
        self.jobs.remove(id);
        self.shared.records.forget(id).await?;
        Ok(true)
    }

    async fn command(&mut self, command: Command) -> Result<()> {
        self.read_jobs().await?;
        match command {
            Command::Run { job, scope, reply } => self.run_now(&job, scope, reply).await?,
            Command::Stop { job, objects, reply } => {
                let stopped = self.stop(&job, objects).await;
                // Who asked may be gone.
                let _ = reply.send(stopped);
            }
            Command::Serve { reply } if self.serving.is_some() => {
                let error = Error::new(crate::ErrorKind::Busy, "this director runs its jobs already");
                let _ = reply.send(Err(error));
            }
            Command::Serve { reply } => {
                self.serving = Some(reply);
                let all: Vec<JobId> = self.jobs.keys().cloned().collect();
                for id in all {
                    self.take_up(&id).await?;
                }
            }
            Command::Close => self.closing.cancel(),
        }
        Ok(())
    }

    async fn done(&mut self, done: Done) -> Result<()> {
        match done {
            Done::Found { job, targets } => self.found(&job, targets).await,
            Done::Tried { job, key, attempt } => self.tried(&job, key, attempt).await,
            Done::Journalled(behind) => {
                self.journalled(behind);
                Ok(())
            }
        }
    }

    /// Starts the tasks that may start.
    fn admit(&mut self) {
        let now = self.shared.now();
        let ids: Vec<JobId> = self.driven().map(|(id, _)| id.clone()).collect();
        let queues: Vec<Queue<String>> = self.driven().map(|(_, live)| live.queue(now)).collect();
        for admitted in admit(&self.shared.settings.limits, &queues) {
            let started = ids.get(admitted.queue).and_then(|id| {
                let live = self.jobs.get_mut(id)?;
                // That it started need not be on record: an interrupted try does not count.
                live.state.job.run_mut()?.start(&admitted.object, now).ok()?;
                live.state.turn = admitted.turn;
                live.task(id, &admitted.object, &self.closing)
            });
            if let Some(task) = started {
                self.work.spawn(task);
            }
        }
    }

    async fn put_state(&self, id: &JobId) -> Result<()> {
        match self.jobs.get(id) {
            Some(live) => self.shared.records.put_state(id, &live.state).await,
            None => Ok(()),
        }
    }

    fn tell(&self, event: DirectorEvent) {
        self.shared.tell(event);
    }
}

impl Live {
    fn name(&self) -> String {
        self.state.job.config().name().to_owned()
    }

    /// When something may be due, as far as time alone makes it so.
    fn moments(&mut self, serving: bool) -> Vec<DateTime<Utc>> {
        if self.state.current.is_some() {
            return self
                .state
                .job
                .run()
                .and_then(|run| run.next_tick())
                .into_iter()
                .collect();
        }
        let mut moments = Vec::new();
        if serving && self.state.job.is_enabled() {
            moments.extend(self.next_due());
            moments.extend(self.state.chained.iter().map(|start| start.at));
        }
        moments
    }

    fn next_due(&mut self) -> Option<DateTime<Utc>> {
        let state = &self.state;
        let table = || state.job.config().form().schedules.next_decision(&state.schedule);
        *self.next_due.get_or_insert_with(table)
    }

    fn queue(&self, now: DateTime<Utc>) -> Queue<String> {
        let run = self.state.job.run();
        let tasks = run.map(|run| run.tasks()).unwrap_or_default().iter();
        let running = tasks.filter(|task| matches!(task.state(), TaskState::Running { .. }));
        Queue {
            kind: TaskKind::Backup,
            limit: self.state.job.config().form().tasks,
            turn: self.state.turn,
            running: running.map(|task| task.object().clone()).collect(),
            waiting: run
                .map(|run| run.startable(now).cloned().collect())
                .unwrap_or_default(),
        }
    }

    /// One try at the task of this key, as a future.
    fn task(
        &mut self,
        id: &JobId,
        key: &str,
        closing: &CancellationToken,
    ) -> Option<impl Future<Output = Done> + Send + use<>> {
        let current = self.state.current.as_ref()?;
        let target = current.targets.get(key)?.clone();
        let apart: BTreeSet<String> = if target.rest {
            current.targets.keys().cloned().collect()
        } else {
            BTreeSet::new()
        };
        let context = Arc::clone(self.context.as_ref()?);
        let cancel = closing.child_token();
        self.under_way.insert(key.to_owned(), cancel.clone());
        let (job, key) = (id.clone(), key.to_owned());
        Some(async move {
            let attempt = Box::pin(context.process(&key, &target, &apart, &cancel)).await;
            Done::Tried { job, key, attempt }
        })
    }
}
