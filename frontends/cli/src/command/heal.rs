//! `nakivo repo heal`: rebuild, store again, list the rest.

use std::sync::Arc;

use nakivo_core::connector::Connector;
use nakivo_core::folder::FolderConnector;
use nakivo_core::repository::{ConnectorSource, HealOptions, HealReport, HealSource, RepositorySource};
use nakivo_core::{Error, Result};
use serde_json::json;

use super::account;
use super::backup::short;
use super::repo::damage_lines;
use crate::exit::Exit;
use crate::grammar::{PassphraseArgs, RepoHeal};
use crate::session::Session;
use crate::text;

/// Heals a repository. What cannot be healed is listed, and the exit code says so.
pub(super) async fn run(session: &Session, arguments: &RepoHeal) -> Result<Exit> {
    let repository = session.open_place(&arguments.place).await?;
    let mut options = HealOptions::default().with_preview(arguments.preview);
    for source in sources(session, arguments).await? {
        options = options.with_source(source);
    }
    let report = session.follow("heal", repository.heal(options)).await?;
    render(session, &report)
}

async fn sources(session: &Session, arguments: &RepoHeal) -> Result<Vec<Arc<dyn HealSource>>> {
    let mut sources: Vec<Arc<dyn HealSource>> = Vec::new();
    if let Some(url) = &arguments.from {
        let other = PassphraseArgs {
            file: arguments.from_passphrase_file.clone(),
            key_file: arguments.from_key_file.clone(),
        };
        let secret = if other.is_given() {
            &other
        } else {
            &arguments.place.passphrase
        };
        let other = session.open_url(url, &arguments.place.store, secret).await?;
        sources.push(Arc::new(RepositorySource::new(other)));
    }
    if let (Some(path), Some(name)) = (&arguments.folder, &arguments.object) {
        let connector: Arc<dyn Connector> = Arc::new(FolderConnector::new(path.clone(), name)?);
        let object = session.unless_cancelled(connector.find_object(name)).await?;
        sources.push(Arc::new(ConnectorSource::for_object(connector, object.id)));
    }
    if let Some(file) = &arguments.account {
        sources.push(Arc::new(ConnectorSource::new(account::connect(session, file)?)));
    }
    Ok(sources)
}

fn render(session: &Session, report: &HealReport) -> Result<Exit> {
    let output = &session.output;
    for damage in &report.lost_history {
        output.record("lost_history", damage);
        output.line(format!(
            "lost history: {}: {}",
            text::escape(&damage.object),
            text::escape(&damage.what)
        ));
    }
    for damage in &report.quarantined {
        output.record("damage", damage);
        damage_lines(output, damage);
    }
    let mut fields = serde_json::to_value(report)
        .map_err(|error| Error::internal(format!("a report cannot be written as JSON: {error}")))?;
    // They have records of their own.
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("lost_history");
        fields.remove("quarantined");
        fields.insert("whole".to_owned(), json!(report.is_whole()));
        fields.insert("quarantined".to_owned(), json!(report.quarantined.len()));
    }
    output.record("heal", &fields);
    if report.found_nothing() {
        output.line("Nothing to heal: every byte that the recovery points need is there and authentic.");
        return Ok(Exit::Ok);
    }
    for line in deeds(report) {
        output.line(line);
    }
    if report.preview {
        return Ok(Exit::Ok);
    }
    if report.is_whole() {
        output.line("Every recovery point can be read in full.");
        return Ok(Exit::Ok);
    }
    if report.history_continues_at.is_some() {
        output.line(
            "What the lost commits said cannot be told. Other machines that saw them will say that history was changed.",
        );
    }
    if !report.damaged_points.is_empty() {
        output.line(format!(
            "{} cannot be read in full and stay marked. What the source still has is stored again by the next backup.",
            text::counted(report.damaged_points.len() as u64, "recovery point")
        ));
        for point in &report.damaged_points {
            output.line(format!("  {}", short(&point.to_string())));
        }
    }
    Ok(Exit::Partial)
}

fn deeds(report: &HealReport) -> Vec<String> {
    let word = |done: &str, would: &str| if report.preview { would } else { done }.to_owned();
    let mut lines = Vec::new();
    if let Some(seq) = report.history_continues_at {
        lines.push(format!(
            "History {} behind commit {}.",
            word("goes on", "would go on"),
            text::count(seq)
        ));
    }
    let mut line = |count: u64, what: &str| {
        if count > 0 {
            lines.push(format!(
                "{} {} {what}.",
                text::count(count),
                word("were", "would be")
            ));
        }
    };
    line(
        report.replaced_segments,
        "lost or damaged index segments: rebuilt",
    );
    line(report.indexed_packs, "packs: listed in the index anew");
    line(report.replaced_checkpoints, "damaged checkpoints: replaced");
    line(
        report.restored_parts,
        &format!(
            "damaged parts of items ({}): stored again",
            text::size(report.restored_bytes)
        ),
    );
    line(
        report.healed_points.len() as u64,
        "recovery points: found whole again",
    );
    line(
        report.retired_packs,
        "damaged packs that nothing needs any more: left to reclaim",
    );
    lines
}
