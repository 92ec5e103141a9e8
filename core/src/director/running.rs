//! Running jobs: by hand, by their schedules, and stopping them.

use std::sync::Arc;

use nakivo_scheduler::run::{RunError, Scope};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::engine::{Command, Engine};
use super::history::RunRecord;
use super::ids::JobId;
use super::{Director, Handle};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Running;

/// Claimed by whoever runs jobs.
pub(super) const RUNNING: &str = "director/running";

impl Director {
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
}

/// A command that the scheduler refuses, as an error that says what to do next.
pub(super) fn refused(error: &RunError) -> Error {
    let kind = match error {
        RunError::NotAnObject { .. } | RunError::Nothing { .. } => ErrorKind::NotFound,
        RunError::Running { .. } => ErrorKind::Busy,
        RunError::Twice { .. } => ErrorKind::InvalidInput,
        _ => ErrorKind::Conflict,
    };
    Error::new(kind, error.to_string()).with_source(error.clone())
}

pub(super) fn gone() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "the director ended; the run goes on when it starts again",
    )
}
