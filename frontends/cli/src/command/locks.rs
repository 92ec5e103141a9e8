//! `nakivo repo lock` and `nakivo repo unhide`, and what other commands say about locks.

use nakivo_core::repository::{
    Immutability, PointLock, ReclaimReport, RenewReport, Repository, UnhideOptions, UnhideReport,
    unhide as lift,
};
use nakivo_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::grammar::{RepoLock, RepoUnhide};
use crate::session::Session;
use crate::{store, text};

/// Objects shown to people at most; programs get all that the report lists.
const MAX_SHOWN: usize = 20;

/// Renews locks.
pub(super) async fn lock(session: &Session, arguments: &RepoLock) -> Result<Exit> {
    let repository = session.open_place(&arguments.place).await?;
    let report = session
        .follow("renew locks", repository.renew_locks(arguments.force))
        .await?;
    render_renewal(session, &report)
}

/// Says what a renewal did, and how the command ends.
///
/// # Errors
/// None that a report can cause.
pub(super) fn render_renewal(session: &Session, report: &RenewReport) -> Result<Exit> {
    let output = &session.output;
    output.record("locks", &fields(report)?);
    let until = report
        .locked_ms
        .map_or_else(|| "a time that is not known".to_owned(), text::moment_ms);
    output.line(if report.due {
        format!(
            "Renewed the locks of {}; everything is locked until {until}.",
            text::counted(report.renewed, "object")
        )
    } else {
        format!("Nothing to renew; everything is locked until {until}.")
    });
    if report.missing > 0 {
        output.line(format!(
            "{} not there when they were to be locked; verify the repository.",
            text::plural(report.missing, "object was", "objects were")
        ));
        return Ok(Exit::Partial);
    }
    Ok(Exit::Ok)
}

/// Brings back hidden objects: first what opening takes, then the rest.
pub(super) async fn unhide(session: &Session, arguments: &RepoUnhide) -> Result<Exit> {
    let (url, store_args) = session.whereabouts(&arguments.place).await?;
    let (location, settings) = store::locate(&url, &store_args, &session.output)?;
    let store = session.unless_cancelled(location.open_with(&settings)).await?;
    let options = UnhideOptions::default()
        .with_keys(arguments.keys)
        .with_preview(arguments.preview);
    let first = lift(store, options, session.environment.clone());
    let mut report = session.follow("unhide", first).await?;
    let mut unopened = None;
    match session.open_place(&arguments.place).await {
        Ok(repository) => report.add(session.follow("unhide", repository.unhide(options)).await?),
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        // By preview it cannot be, where what opening takes is hidden.
        Err(error) => unopened = Some(error),
    }
    render_unhidden(session, &report, arguments.preview, unopened.as_ref())
}

fn render_unhidden(
    session: &Session,
    report: &UnhideReport,
    preview: bool,
    unopened: Option<&Error>,
) -> Result<Exit> {
    let output = &session.output;
    let mut record = fields(report)?;
    record["preview"] = json!(preview);
    record["opened"] = json!(unopened.is_none());
    output.record("unhide", &record);
    names(session, if preview { "hidden" } else { "back" }, &report.lifted);
    names(session, "still hidden", &report.refused);
    names(session, "written over", &report.overwritten);
    let count = text::counted(report.lifted.len() as u64, "object");
    output.line(if preview {
        format!("{count} would come back.")
    } else {
        format!("{count} came back.")
    });
    if !report.refused.is_empty() {
        output.line("What is still hidden needs a credential with the right to delete versions.");
    }
    if report.hidden_keys > 0 {
        output.line(format!(
            "{} hidden; if they were not removed on purpose, run this with --keys.",
            text::plural(report.hidden_keys, "key slot is", "key slots are")
        ));
    }
    if let Some(error) = unopened {
        output.line(format!(
            "The repository cannot be opened{}, so packs and index were not looked at: {error}",
            if preview { " as it is" } else { "" }
        ));
    }
    let whole = report.refused.is_empty() && report.overwritten.is_empty();
    Ok(if whole && (preview || unopened.is_none()) {
        Exit::Ok
    } else {
        Exit::Partial
    })
}

fn names(session: &Session, label: &str, paths: &[String]) {
    for path in paths.iter().take(MAX_SHOWN) {
        session.output.line(format!("{label:<14} {}", text::escape(path)));
    }
    let more = paths.len().saturating_sub(MAX_SHOWN);
    if more > 0 {
        session
            .output
            .line(format!("{label:<14} and {} more", text::count(more as u64)));
    }
}

/// Looks at all locks of an immutable repository and says what is too short.
pub(super) async fn check(session: &Session, repository: &Repository) -> Result<Exit> {
    let report = session.follow("look at locks", repository.check_locks()).await?;
    let output = &session.output;
    output.record("locks_checked", &fields(&report)?);
    let Some(promised) = report.promised_ms else {
        output.line("No recovery point is so new that anything must be locked.");
        return Ok(Exit::Ok);
    };
    let promised = text::moment_ms(promised);
    for lock in report.short_locks.iter().take(MAX_SHOWN) {
        let until = lock.locked_ms.map_or_else(
            || "not locked".to_owned(),
            |until| format!("locked until {}", text::moment_ms(until)),
        );
        output.line(format!("short lock: {}: {until}", text::escape(&lock.object)));
    }
    if report.short == 0 {
        output.line(format!(
            "Locked until {promised} or longer: {}.",
            text::counted(report.objects, "object")
        ));
        return Ok(Exit::Ok);
    }
    output.line(format!(
        "{} of {} not locked until {promised}, as was promised. Renew locks with: nakivo repo lock",
        text::count(report.short),
        text::plural(report.objects, "object is", "objects are"),
    ));
    Ok(Exit::Partial)
}

/// What `repo info` says about immutability.
pub(super) fn info_words(immutable: &Immutability) -> String {
    let days = text::counted(immutable.days.into(), "day");
    match immutable.locked_ms {
        Some(until) => format!("{days}; everything is locked until {}", text::moment_ms(until)),
        None => format!("{days}; until when everything is locked is not known, see: nakivo repo lock"),
    }
}

/// Says until when a new point is locked. `false`: not as promised.
pub(super) fn render_point(session: &Session, object: &str, lock: Option<&PointLock>) -> bool {
    let Some(lock) = lock else { return true };
    let Some(problem) = &lock.problem else {
        let until = text::moment_ms(lock.until_ms);
        session.output.line(format!("  Immutable until {until}."));
        return true;
    };
    session.output.warning_about(
        object,
        &format!(
            "{object}: the point is stored, and the locks of what it shares with older ones were not renewed: {problem}"
        ),
    );
    false
}

/// The same for programs.
pub(super) fn point_fields(lock: Option<&PointLock>) -> Value {
    lock.map_or(Value::Null, |lock| {
        json!({
            "until_ms": lock.until_ms,
            "renewed": lock.renewed,
            "problem": lock.problem.as_ref().map(ToString::to_string),
        })
    })
}

/// A line about what reclaim had to leave.
pub(super) fn reclaim_line(report: &ReclaimReport) -> Option<String> {
    (report.locked_objects > 0).then(|| {
        let until = report.locked_until_ms.map_or_else(
            || "a time that the store does not say".to_owned(),
            text::moment_ms,
        );
        format!(
            "{:<14} {} in {}, the last until {until}",
            "locked",
            text::size(report.locked_bytes),
            text::counted(report.locked_objects, "object"),
        )
    })
}

fn fields(report: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(report)
        .map_err(|error| Error::internal(format!("a report cannot be written as JSON: {error}")))
}
