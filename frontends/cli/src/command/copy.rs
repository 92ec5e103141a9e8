//! `nakivo repo copy`: recovery points into another repository.

use nakivo_core::backup::Outcome;
use nakivo_core::copy::{self, CopiedPoint, CopyOptions, CopyState};
use nakivo_core::repository::Repository;
use nakivo_core::{Error, Result};
use serde_json::json;

use super::backup::{label, short};
use crate::exit::Exit;
use crate::grammar::{PassphraseArgs, RepoCopy, StoreArgs};
use crate::session::Session;
use crate::{passphrase, store, text};

/// Names the passphrase file of the target where `--to-passphrase-file` does not.
const PASSPHRASE_VARIABLE: &str = "NAKIVO_TO_PASSPHRASE_FILE";
/// Names the store settings of the target where `--to-store-config` does not.
const STORE_VARIABLE: &str = "NAKIVO_TO_STORE_CONFIG";
/// Issues of one point shown to people; programs get all.
const MAX_SHOWN: usize = 20;

/// Copies recovery points.
pub(super) async fn run(session: &Session, arguments: &RepoCopy) -> Result<Exit> {
    let source = session
        .open_url(&arguments.from, &arguments.store, &arguments.passphrase)
        .await?;
    let options = options(&source, arguments)?;
    let target = open_target(session, arguments).await?;
    if arguments.preview {
        let plan = session
            .unless_cancelled(copy::plan(&source, &target, &options))
            .await?;
        plan.iter().for_each(|point| render(session, point));
        let (planned, bytes) = sum(&plan, CopyState::Planned);
        session.output.record(
            "summary",
            &json!({ "preview": true, "planned": planned, "bytes": bytes, "points": plan.len() }),
        );
        session.output.line(format!(
            "{} would be copied, {} before deduplication.",
            text::counted(planned, "recovery point"),
            text::size(bytes)
        ));
        return Ok(Exit::Ok);
    }
    let report = session
        .follow("copy", copy::start(&source, &target, options))
        .await?;
    report.points.iter().for_each(|point| render(session, point));
    let (copied, bytes) = sum(&report.points, CopyState::Copied);
    let lacking = report
        .points
        .iter()
        .filter(|point| point.state.is_lacking())
        .count();
    session.output.record(
        "summary",
        &json!({
            "preview": false,
            "outcome": report.outcome,
            "points": report.points.len(),
            "copied": copied,
            "lacking": lacking,
            "bytes": bytes,
            "bytes_read": report.written.bytes_read,
            "bytes_stored": report.written.bytes_stored,
            "duration_ms": u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX),
        }),
    );
    session.output.line(format!(
        "{} copied: read {}, stored {}.",
        text::counted(copied, "recovery point"),
        text::size(report.written.bytes_read),
        text::size(report.written.bytes_stored)
    ));
    if !report.log_damage.is_empty() {
        session
            .output
            .warning("the newest recovery points may be missing, because the log of the source is damaged");
    }
    if lacking > 0 {
        session.output.line(format!(
            "{} not copied, or not whole. See above.",
            text::plural(
                lacking as u64,
                "1 recovery point is",
                &format!("{} recovery points are", text::count(lacking as u64))
            )
        ));
    }
    Ok(match report.outcome {
        Outcome::Complete => Exit::Ok,
        Outcome::Partial => Exit::partial(arguments.partial.partial_ok),
    })
}

fn options(source: &Repository, arguments: &RepoCopy) -> Result<CopyOptions> {
    let objects = arguments
        .objects
        .iter()
        .map(|name| Ok(source.find_object(name)?.id));
    let points = arguments
        .points
        .iter()
        .map(|digits| Ok(source.point_by_id(digits)?.id));
    Ok(CopyOptions::default()
        .with_objects(objects.collect::<Result<_>>()?)
        .with_points(points.collect::<Result<_>>()?)
        .with_late(arguments.late))
}

async fn open_target(session: &Session, arguments: &RepoCopy) -> Result<Repository> {
    let file = arguments
        .to_passphrase_file
        .clone()
        .or_else(|| passphrase::named_in(PASSPHRASE_VARIABLE))
        .or_else(|| arguments.passphrase.file.clone())
        .or_else(|| passphrase::named_in(passphrase::VARIABLE));
    let config = arguments
        .to_store_config
        .clone()
        .or_else(|| passphrase::named_in(STORE_VARIABLE))
        .or_else(|| arguments.store.store_config.clone())
        .or_else(|| passphrase::named_in(store::VARIABLE));
    let store = StoreArgs { store_config: config };
    let opened = if arguments.to_unencrypted {
        session.open_with(&arguments.to, &store, None).await
    } else {
        let key_file = arguments.to_key_file.clone();
        let passphrase = PassphraseArgs { file, key_file };
        session.open_url(&arguments.to, &store, &passphrase).await
    };
    opened.map_err(|error: Error| error.context("target of the copy"))
}

fn sum(points: &[CopiedPoint], state: CopyState) -> (u64, u64) {
    points
        .iter()
        .filter(|point| point.state == state)
        .fold((0, 0), |(count, bytes), point| (count + 1, bytes + point.bytes))
}

fn render(session: &Session, point: &CopiedPoint) {
    let output = &session.output;
    output.record(
        "copy",
        &json!({
            "point": point.point.to_string(),
            "object": label(&point.object),
            "object_id": point.object.id.to_string(),
            "time": text::rfc3339_ms(point.started_ms),
            "items": point.items,
            "bytes": point.bytes,
            "state": point.state,
            "issues": point.issues.iter().map(|issue| json!({
                "path": issue.path,
                "code": issue.cause.code,
                "message": issue.cause.message,
            })).collect::<Vec<_>>(),
        }),
    );
    output.line(format!(
        "{:<8} {}  {}: {}",
        short(&point.point.to_string()),
        text::moment_ms(point.started_ms),
        text::escape(&label(&point.object)),
        words(point.state)
    ));
    for issue in point.issues.iter().take(MAX_SHOWN) {
        output.line(format!(
            "  not copied: {}: {}",
            text::escape(&issue.path),
            text::escape(&issue.cause.message)
        ));
    }
    let more = point.issues.len().saturating_sub(MAX_SHOWN);
    if more > 0 {
        output.line(format!("  and {} more", text::count(more as u64)));
    }
}

fn words(state: CopyState) -> &'static str {
    match state {
        CopyState::Planned => "would be copied",
        CopyState::Copied => "copied",
        CopyState::CopiedPartly => "copied without what is damaged",
        CopyState::Present => "is there already",
        CopyState::PresentPartly => "is there without what was damaged when it was copied",
        CopyState::Removed => "was removed there and stays so",
        CopyState::Late => "not copied: there is a later one; see --late",
        CopyState::Different => "not copied: another point there bears its id",
        CopyState::Gone => "was removed meanwhile",
        _ => "cannot be read",
    }
}
