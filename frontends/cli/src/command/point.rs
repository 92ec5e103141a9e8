//! `nakivo point`: the recovery points of one object.

use nakivo_core::format::Manifest;
use nakivo_core::format::manifest::Protection;
use nakivo_core::recovery::{PointView, Selection};
use nakivo_core::repository::{KnownDamage, PointSelector, Repository};
use nakivo_core::{ErrorKind, Result};
use serde_json::json;

use super::backup::{label, short};
use crate::exit::Exit;
use crate::grammar::{PointArgs, PointList};
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Lists the recovery points of one object, oldest first.
pub(super) async fn list(session: &Session, arguments: &PointList) -> Result<Exit> {
    let repository = session.open(&arguments.repository).await?;
    let object = repository.find_object(&arguments.object)?;
    print(session, &repository, &repository.points(&object.id));
    Ok(Exit::Ok)
}

/// Renders recovery points.
pub(crate) fn print(session: &Session, repository: &Repository, points: &[Manifest]) {
    let mut table = Table::new(&[
        "POINT", "TIME", "OUTCOME", ">ITEMS", ">SIZE", ">NEW", ">CHANGED", ">REMOVED", ">STORED",
    ]);
    for point in points {
        let damage = repository.point_damage(&point.id);
        session.output.record("point", &fields(point, damage.as_ref()));
        table.row([
            short(&point.id.to_string()).to_owned(),
            text::moment_ms(point.started_ms),
            match &damage {
                Some(_) => format!("{}, damaged", point.outcome),
                None => point.outcome.to_string(),
            },
            text::count(point.counts.items),
            text::size(point.counts.bytes),
            text::count(point.counts.added),
            text::count(point.counts.changed),
            text::count(point.counts.removed),
            text::size(point.bytes_stored),
        ]);
    }
    table.print(&session.output);
}

/// What is damaged of a point, for programs.
pub(crate) fn damage_json(damage: &KnownDamage) -> serde_json::Value {
    json!({ "lost": damage.lost, "what": damage.what, "found": text::rfc3339_ms(damage.found_ms) })
}

/// What is damaged of a point, for people.
pub(crate) fn damage_words(damage: Option<&KnownDamage>) -> String {
    damage.map_or_else(
        || "nothing known".to_owned(),
        |damage| {
            format!(
                "{} cannot be read ({}; found {})",
                text::plural(damage.lost, "entry", "entries"),
                damage.what,
                text::moment_ms(damage.found_ms)
            )
        },
    )
}

/// What programs are told of a recovery point.
pub(crate) fn fields(point: &Manifest, damage: Option<&KnownDamage>) -> serde_json::Value {
    json!({
        "id": point.id.to_string(),
        "object": label(&point.object),
        "object_id": point.object.id.to_string(),
        "time": text::rfc3339_ms(point.started_ms),
        "finished": text::rfc3339_ms(point.finished_ms),
        "outcome": point.outcome,
        "damage": damage.map(damage_json),
        "base": point.base.map(|base| base.to_string()),
        "counts": point.counts,
        "bytes_read": point.bytes_read,
        "bytes_stored": point.bytes_stored,
        "requests": point.requests,
        "job": point.job,
        "software": point.software,
        "protection": protection(point.protection),
        "description": point.description,
    })
}

/// How long a point is kept, for programs.
pub(crate) fn protection(protection: Protection) -> serde_json::Value {
    match protection {
        Protection::JobRetention => json!({ "kind": "job_retention" }),
        Protection::Until(time) => json!({ "kind": "until", "until": text::rfc3339_ms(time) }),
        _ => json!({ "kind": "forever" }),
    }
}

/// Opens the repository and finds the point that the command line names.
pub(crate) async fn select(session: &Session, arguments: &PointArgs) -> Result<(Repository, Manifest)> {
    let repository = session.open(&arguments.repository).await?;
    let object = repository.find_object(&arguments.object)?;
    let point = repository.point(&object.id, &arguments.point.parse()?)?;
    Ok((repository, point))
}

/// Whether the point that was selected as the newest may be older than one that cannot be read. Who names a point by its id
/// gets that one or none.
pub(crate) fn maybe_older(repository: &Repository, arguments: &PointArgs) -> Result<bool> {
    let selector: PointSelector = arguments.point.parse()?;
    Ok(selector == PointSelector::Latest && !repository.log_damage().is_empty())
}

/// Ends a command whose point may be an older one.
pub(crate) fn end(session: &Session, exit: Exit, maybe_older: bool) -> Exit {
    if !maybe_older {
        return exit;
    }
    session.output.warning(
        "this may not be the newest recovery point, because the log is damaged; to accept one, name its id with --point",
    );
    if exit == Exit::Ok { Exit::Partial } else { exit }
}

/// What the paths and ids of the command line mean in this point; none: everything.
pub(crate) async fn selection(session: &Session, view: &PointView, names: &[String]) -> Result<Selection> {
    if names.is_empty() {
        return Ok(Selection::All);
    }
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let by_path = session.unless_cancelled(view.resolve_path(name)).await;
        let entry = match by_path {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let by_id = session.unless_cancelled(view.entry_by_id(name)).await;
                // Whoever named neither most likely meant a path.
                by_id.map_err(|other| {
                    if other.kind() == ErrorKind::NotFound {
                        error
                    } else {
                        other
                    }
                })?
            }
            other => other?,
        };
        ids.push(entry.record.id);
    }
    Ok(Selection::Ids(ids))
}
