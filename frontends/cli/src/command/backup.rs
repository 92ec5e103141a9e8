//! `nakivo backup`: one recovery point of a folder, or of each mailbox, drive and site.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum as _;
use futures::StreamExt as _;
use nakivo_core::backup::{self, BackupOptions, BackupReport, Outcome};
use nakivo_core::connector::Connector;
use nakivo_core::folder::FolderConnector;
use nakivo_core::format::ObjectRecord;
use nakivo_core::repository::Repository;
use nakivo_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::{account, locks};
use crate::exit::Exit;
use crate::grammar::{BackupFolder, BackupM365, Service};
use crate::session::Session;
use crate::text;

/// Backs up a folder.
pub(super) async fn folder(session: &Session, arguments: &BackupFolder) -> Result<Exit> {
    let connector: Arc<dyn Connector> =
        Arc::new(FolderConnector::new(arguments.path.clone(), &arguments.name)?);
    let object = session
        .unless_cancelled(connector.find_object(&arguments.name))
        .await?;
    let repository = session.open(&arguments.repository).await?;
    all(
        session,
        &repository,
        &connector,
        vec![object],
        arguments.partial.partial_ok,
    )
    .await
}

/// Backs up mailboxes, drives and sites.
pub(super) async fn m365(session: &Session, arguments: &BackupM365) -> Result<Exit> {
    let connector = account::connect_for(session, &arguments.account, &arguments.services)?;
    let repository = session.open(&arguments.repository).await?;
    let found = session.unless_cancelled(objects(&connector, arguments)).await?;
    for error in &found.left_out {
        session.output.error(error);
    }
    let exit = all(
        session,
        &repository,
        &connector,
        found.objects,
        arguments.partial.partial_ok,
    )
    .await?;
    match exit {
        // What was not looked at may not pass for protected.
        Exit::Ok if !found.left_out.is_empty() => Ok(Exit::partial(arguments.partial.partial_ok)),
        exit => Ok(exit),
    }
}

/// What is to be backed up.
#[derive(Debug, Default)]
struct Found {
    objects: Vec<ObjectRecord>,
    /// Services that the account may not read.
    left_out: Vec<Error>,
}

/// The named objects, or all of the services.
async fn objects(connector: &Arc<dyn Connector>, arguments: &BackupM365) -> Result<Found> {
    let mut found = Found::default();
    for name in &arguments.objects {
        let object = connector.find_object(name).await?;
        if !found.objects.iter().any(|known| known.id == object.id) {
            found.objects.push(object);
        }
    }
    if !arguments.objects.is_empty() {
        return Ok(found);
    }
    let mut all = connector.discover();
    while let Some(object) = all.next().await {
        match object {
            Ok(object) => found.objects.push(object),
            // It comes after everything that was found, and is about what was asked for.
            Err(error) if error.kind() == ErrorKind::PermissionMissing && !found.objects.is_empty() => {
                found.left_out.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    if found.objects.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            "the organisation has nothing that this account can read",
        ));
    }
    Ok(found)
}

impl Service {
    /// The word for it on the command line, by which jobs remember it.
    pub(super) fn word(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// It, to the connector.
    pub(super) fn known(self) -> Result<nakivo_graph_connector::Service> {
        self.word().parse()
    }
}

/// What the runs did, summed up.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) complete: u64,
    pub(crate) partial: u64,
    pub(crate) failed: u64,
    pub(crate) items: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_stored: u64,
    pub(crate) requests: u64,
    pub(crate) first_error: Option<Error>,
    /// Points of which not everything is locked as promised.
    pub(crate) unlocked: u64,
}

impl Totals {
    fn add(&mut self, report: &BackupReport) {
        match report.outcome {
            Outcome::Complete => self.complete += 1,
            Outcome::Partial => self.partial += 1,
        }
        self.items += report.items;
        self.bytes += report.bytes;
        self.bytes_read += report.written.bytes_read;
        self.bytes_stored += report.written.bytes_stored;
        self.requests += report.usage.requests;
    }
}

/// Backs up one object after the other; one that fails does not keep the others from being backed up.
async fn all(
    session: &Session,
    repository: &Repository,
    connector: &Arc<dyn Connector>,
    objects: Vec<ObjectRecord>,
    partial_ok: bool,
) -> Result<Exit> {
    let start = session.clock().monotonic();
    let several = objects.len() > 1;
    let totals = run(session, repository, connector, objects).await?;
    let output = &session.output;
    output.record(
        "summary",
        &json!({
            "objects": totals.complete + totals.partial + totals.failed,
            "complete": totals.complete,
            "partial": totals.partial,
            "failed": totals.failed,
            "items": totals.items,
            "bytes": totals.bytes,
            "bytes_read": totals.bytes_read,
            "bytes_stored": totals.bytes_stored,
            "requests": totals.requests,
            "duration_ms": milliseconds(session.since(start)),
        }),
    );
    if several {
        output.line(format!(
            "{}: {} complete, {} partial, {} failed. {} read, {} stored, {}.",
            text::counted(totals.complete + totals.partial + totals.failed, "object"),
            totals.complete,
            totals.partial,
            totals.failed,
            text::size(totals.bytes_read),
            text::size(totals.bytes_stored),
            text::duration(session.since(start)),
        ));
    }
    match totals.first_error {
        // Each failure was reported when it happened. If nothing at all was backed up, the first cause decides.
        Some(error) if totals.complete + totals.partial == 0 => Ok(Exit::of(&error)),
        Some(_) => Ok(Exit::partial(partial_ok)),
        None if totals.partial + totals.unlocked > 0 => Ok(Exit::partial(partial_ok)),
        None => Ok(Exit::Ok),
    }
}

/// The runs themselves, each reported as it ends.
///
/// # Errors
/// `Cancelled` when the user asked to stop; what concerns one object is in the totals.
pub(crate) async fn run(
    session: &Session,
    repository: &Repository,
    connector: &Arc<dyn Connector>,
    objects: Vec<ObjectRecord>,
) -> Result<Totals> {
    let mut totals = Totals::default();
    for object in objects {
        let title = label(&object);
        let running = backup::start(
            repository,
            Arc::clone(connector),
            object.clone(),
            BackupOptions::default(),
        );
        match session.follow(&title, running).await {
            Ok(report) => {
                totals.add(&report);
                if !render(session, &report) {
                    totals.unlocked += 1;
                }
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                return Err(error.with_hint("Run the same command again to resume."));
            }
            Err(error) => {
                totals.failed += 1;
                let error = error.context(&title);
                session.output.error(&error);
                totals.first_error.get_or_insert(error);
            }
        }
    }
    Ok(totals)
}

/// What people call the object.
pub(crate) fn label(object: &ObjectRecord) -> String {
    object.address.clone().unwrap_or_else(|| object.name.clone())
}

/// Says what a run did; `false` if its point is not locked as promised.
fn render(session: &Session, report: &BackupReport) -> bool {
    let output = &session.output;
    let counts = &report.counts;
    output.record(
        "backup",
        &json!({
            "object": label(&report.object),
            "object_id": report.object.id.to_string(),
            "point": report.point.to_string(),
            "run": report.run.to_string(),
            "outcome": report.outcome,
            "first": report.first,
            "items": report.items,
            "containers": report.containers,
            "bytes": report.bytes,
            "counts": counts,
            "bytes_read": report.written.bytes_read,
            "bytes_stored": report.written.bytes_stored,
            "usage": report.usage,
            "issues": report.issues.len(),
            "duration_ms": milliseconds(report.duration),
            "immutable": locks::point_fields(report.lock.as_ref()),
        }),
    );
    let outcome = match report.outcome {
        Outcome::Complete => "complete",
        Outcome::Partial => "partial",
    };
    output.line(format!(
        "{}: point {} is {outcome}: {} ({} new, {} changed, {} removed), {}; read {}, stored {}, {}.",
        text::escape(&label(&report.object)),
        short(&report.point.to_string()),
        text::counted(report.items, "item"),
        text::count(counts.added),
        text::count(counts.changed),
        text::count(counts.removed),
        text::size(report.bytes),
        text::size(report.written.bytes_read),
        text::size(report.written.bytes_stored),
        text::duration(report.duration),
    ));
    if counts.failed > 0 {
        output.line(format!(
            "  {} could not be read (listed above); the next run tries again.",
            text::counted(counts.failed, "item")
        ));
    }
    if counts.resumed > 0 {
        output.line(format!(
            "  {} taken over from an interrupted run.",
            text::counted(counts.resumed, "item")
        ));
    }
    locks::render_point(session, &label(&report.object), report.lock.as_ref())
}

/// The first digits of an id, enough to name it.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// For programs.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_of_the_command_line_is_known_to_the_connector() {
        for service in Service::value_variants() {
            assert_eq!(service.known().unwrap().word(), service.word());
        }
        assert_eq!(
            Service::value_variants().len(),
            nakivo_graph_connector::Service::ALL.len()
        );
    }
}
