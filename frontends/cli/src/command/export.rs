//! `nakivo export`: items of a recovery point become files.

use nakivo_core::Result;
use nakivo_core::recovery::{self, Destination, ExportFormat, ExportOptions, Outcome, PointView};
use serde_json::json;

use super::point;
use crate::exit::Exit;
use crate::grammar::{Export, FormatChoice};
use crate::session::Session;
use crate::text;

/// Exports to a folder or a zip file.
pub(super) async fn run(session: &Session, arguments: &Export) -> Result<Exit> {
    let (repository, manifest) = point::select(session, &arguments.point).await?;
    let maybe_older = point::maybe_older(&repository, &arguments.point)?;
    let view = PointView::open(&repository, manifest.clone());
    let selection = point::selection(session, &view, &arguments.selection).await?;
    let is_zip = arguments
        .to
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
    let destination = if is_zip {
        Destination::Zip(arguments.to.clone())
    } else {
        Destination::Directory(arguments.to.clone())
    };
    let mut options = ExportOptions::new(destination);
    if let Some(format) = arguments.format {
        options = options.with_format(match format {
            FormatChoice::Eml => ExportFormat::Files,
            FormatChoice::Mbox => ExportFormat::Mbox,
        });
    }
    let report = session
        .follow(
            "export",
            recovery::export(&repository, &manifest, selection, options),
        )
        .await?;
    let output = &session.output;
    for failure in &report.failed {
        output.record("failed", failure);
        output.line(format!(
            "FAILED  {}  {} ({})",
            text::escape(&failure.path),
            text::escape(&failure.message),
            failure.code
        ));
    }
    let shown = arguments.to.display().to_string();
    let outcome = report.outcome;
    output.record(
        "summary",
        &json!({
            "outcome": outcome,
            "to": shown,
            "point": manifest.id.to_string(),
            "items": report.items,
            "listed_only": report.listed_only,
            "bytes": report.bytes,
            "failed": report.failed.len(),
            "maybe_older": maybe_older,
        }),
    );
    output.line(format!(
        "Exported {} ({}) to {}; {} failed.",
        text::counted(report.items, "item"),
        text::size(report.bytes),
        text::escape(&shown),
        text::count(report.failed.len() as u64),
    ));
    let exit = if outcome == Outcome::Complete {
        Exit::Ok
    } else {
        Exit::partial(arguments.partial.partial_ok)
    };
    Ok(point::end(session, exit, maybe_older))
}
