//! `nakivo job run`, `nakivo job history`, `nakivo director run`: runs of jobs, as they go on and afterwards.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use nakivo_core::Result;
use nakivo_core::access::Warnings;
use nakivo_core::director::scheduler::chain::Outcome;
use nakivo_core::director::scheduler::run::{Scope, TaskEnd};
use nakivo_core::director::{
    Cause, Director, DirectorEvent, DirectorSettings, HistoryEntry, ObjectResult, RepositoryProvider,
    RunRecord,
};
use nakivo_core::progress::Running;
use nakivo_core::registry::Registration;
use nakivo_core::repository::Repository;
use nakivo_graph_connector::Sources;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::account;
use super::backup::short;
use crate::exit::Exit;
use crate::grammar::{JobHistory, JobRun};
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// The director of this program's state: it gets at things by the files that jobs and repositories name.
pub(super) async fn director(session: &Arc<Session>) -> Result<Director> {
    let environment = session.environment.clone();
    let told = Arc::clone(session);
    let warnings = Warnings::to(move |warning| told.output.warning(warning));
    let sources = Sources::new(&environment, warnings, account::HINT);
    let repositories = Arc::new(Repositories {
        session: Arc::clone(session),
    });
    let settings = DirectorSettings::default();
    Director::open(environment, settings, Arc::new(sources), repositories).await
}

/// Repositories with what this program says about them.
#[derive(Debug)]
struct Repositories {
    session: Arc<Session>,
}

#[async_trait]
impl RepositoryProvider for Repositories {
    async fn open(&self, registration: &Registration) -> Result<Repository> {
        self.session.open_entry(registration).await
    }
}

/// Runs a job now.
pub(super) async fn job(session: &Session, director: &Director, arguments: &JobRun) -> Result<Exit> {
    let id = director.job(&arguments.named.job).await?.id;
    let scope = match (arguments.failed, arguments.objects.as_slice()) {
        (true, _) => Scope::Failed,
        (false, []) => Scope::All,
        (false, objects) => Scope::Selected(objects.to_vec()),
    };
    let events = director.watch();
    let record = attend(session, events, director.run_now(&id, scope)).await?;
    Ok(exit_of(session, &record, arguments.partial.partial_ok))
}

/// The worse of what happened decides; a run of which nothing came, its first cause.
fn exit_of(session: &Session, record: &RunRecord, partial_ok: bool) -> Exit {
    match record.outcome {
        Outcome::Complete => Exit::Ok,
        Outcome::Partial => Exit::partial(partial_ok),
        Outcome::Stopped if session.cancellation().is_cancelled() => Exit::Interrupted,
        Outcome::Stopped => Exit::Partial,
        Outcome::Failed => {
            let cause = record.objects.iter().find_map(|object| object.problem.as_ref());
            cause.map_or(Exit::Failed, |cause| Exit::of_code(&cause.code))
        }
    }
}

/// Runs every job as its schedules say, until the user asks to stop.
pub(super) async fn serve(session: &Session, director: &Director) -> Result<Exit> {
    let events = director.watch();
    let running = director.start();
    session.output.note("Jobs run as they are due. Ctrl-C stops.");
    attend(session, events, running).await?;
    Ok(Exit::Ok)
}

/// Shows what happens until `running` ends, and cancels it when the user asks to stop.
async fn attend<T: Send + 'static>(
    session: &Session,
    mut events: Receiver<DirectorEvent>,
    running: Running<T>,
) -> Result<T> {
    let cancel = running.cancellation();
    let mut wait = pin!(running.wait());
    let mut cancelled = false;
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => show(session, &event),
                Err(RecvError::Lagged(count)) => session.output.warning(&format!(
                    "{} could not be shown; see: nakivo job history",
                    text::counted(count, "event")
                )),
                // The director that sends them lives as long as the run.
                Err(RecvError::Closed) => return wait.await,
            },
            result = &mut wait => {
                while let Ok(event) = events.try_recv() {
                    show(session, &event);
                }
                return result;
            }
            () = session.cancellation().cancelled(), if !cancelled => {
                cancelled = true;
                cancel.cancel();
            }
        }
    }
}

fn show(session: &Session, event: &DirectorEvent) {
    let output = &session.output;
    output.record("director", event);
    let line = match event {
        DirectorEvent::RunStarted {
            name, objects, cause, ..
        } => format!(
            "{}: run of {} begins, {}.",
            text::escape(name),
            text::counted(*objects as u64, "object"),
            cause_words(cause)
        ),
        DirectorEvent::RunResumed { name, .. } => {
            format!("{}: a run that was interrupted goes on.", text::escape(name))
        }
        DirectorEvent::ObjectDone { name, result, .. } => {
            format!("{}: {}", text::escape(name), object_words(result))
        }
        DirectorEvent::RunEnded { record } => run_words(record),
        DirectorEvent::Missed { name, missed, .. } => {
            format!(
                "{}: {} missed.",
                text::escape(name),
                text::counted(missed.count, "time")
            )
        }
        DirectorEvent::ClockSetBack { name, .. } => {
            format!(
                "{}: the clock was set back; times may come twice.",
                text::escape(name)
            )
        }
        event => return super::director::show(session, event),
    };
    output.line(line);
}

fn cause_words(cause: &Cause) -> String {
    match cause {
        Cause::Asked => "asked for".to_owned(),
        Cause::Schedule { due, late: false } => format!("due at {}", text::moment(*due)),
        Cause::Schedule { due, late: true } => format!("late for {}", text::moment(*due)),
        Cause::Chain { .. } => "after another job".to_owned(),
    }
}

fn end_word(end: TaskEnd) -> &'static str {
    match end {
        TaskEnd::Complete => "complete",
        TaskEnd::Partial => "partial",
        TaskEnd::Failed { .. } => "failed",
        TaskEnd::Stopped => "stopped",
    }
}

fn object_words(result: &ObjectResult) -> String {
    let mut words = format!("{} {}", text::escape(&result.name), end_word(result.end));
    if let Some(point) = result.point {
        words += &format!(
            ": point {}, {} ({} new, {} changed, {} removed), read {}, stored {}",
            short(&point.to_string()),
            text::counted(result.items, "item"),
            text::count(result.added),
            text::count(result.changed),
            text::count(result.removed),
            text::size(result.bytes_read),
            text::size(result.bytes_stored),
        );
    }
    if result.failed > 0 {
        words += &format!(", {} could not be read", text::counted(result.failed, "item"));
    }
    if result.points_removed > 0 {
        let points = text::counted(result.points_removed, "older point");
        words += &format!(", {points} removed");
    }
    if let Some(problem) = &result.problem {
        words += &format!(": {} ({})", text::escape(&problem.message), problem.code);
    }
    words
}

fn run_words(record: &RunRecord) -> String {
    let count = |wanted: fn(&TaskEnd) -> bool| {
        let objects = record.objects.iter().filter(|object| wanted(&object.end));
        text::count(objects.count() as u64)
    };
    let took = (record.ended - record.started).to_std().unwrap_or_default();
    format!(
        "{}: run {} is {}: {} complete, {} partial, {} failed, {} stopped, {}.",
        text::escape(&record.job_name),
        short(&record.run.to_string()),
        record.outcome,
        count(|end| *end == TaskEnd::Complete),
        count(|end| *end == TaskEnd::Partial),
        count(|end| matches!(end, TaskEnd::Failed { .. })),
        count(|end| *end == TaskEnd::Stopped),
        text::duration(took),
    )
}

/// Lists what is on record of a job, newest first.
pub(super) async fn history(session: &Session, director: &Director, arguments: &JobHistory) -> Result<Exit> {
    let id = director.job(&arguments.named.job).await?.id;
    let mut table = Table::new(&["STARTED", "ENDED", "OUTCOME", ">OBJECTS", ">STORED", "WHY"]);
    for entry in director.history(&id, arguments.limit).await? {
        match entry {
            HistoryEntry::Run(run) => {
                session.output.record("run", &run);
                let stored = run.objects.iter().map(|object| object.bytes_stored).sum();
                table.row([
                    text::moment(run.started),
                    text::moment(run.ended),
                    run.outcome.to_string(),
                    text::count(run.objects.len() as u64),
                    text::size(stored),
                    cause_words(&run.cause),
                ]);
            }
            HistoryEntry::Missed(missed) => {
                let fields = json!({ "count": missed.count, "after": missed.after, "until": missed.until });
                session.output.record("missed", &fields);
                table.row([
                    text::moment(missed.after),
                    text::moment(missed.until),
                    "missed".to_owned(),
                    String::new(),
                    String::new(),
                    text::counted(missed.count, "time"),
                ]);
            }
        }
    }
    table.print(&session.output);
    Ok(Exit::Ok)
}
