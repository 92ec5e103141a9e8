//! `nakivo find`: search the newest recovery points.

use futures::StreamExt as _;
use nakivo_core::recovery::{PointView, Query};
use nakivo_core::{ErrorKind, Result};
use serde_json::json;

use super::backup::label;
use super::browse;
use crate::exit::Exit;
use crate::grammar::Find;
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Rows laid out at once.
const PAGE: usize = 500;

/// Searches the newest point of one object or of all.
pub(super) async fn run(session: &Session, arguments: &Find) -> Result<Exit> {
    let query = Query::parse(&arguments.query)?;
    let repository = session.open(&arguments.repository).await?;
    let mut points = Vec::new();
    match &arguments.object {
        Some(name) => {
            let object = repository.find_object(name)?;
            points.push(repository.point(&object.id, &"latest".parse()?)?);
        }
        None => points.extend(
            repository
                .objects()
                .iter()
                .filter_map(|summary| repository.points(&summary.object.id).pop()),
        ),
    }
    let searched = points.len();
    let (mut found, mut spoiled) = (0u64, false);
    let mut table = Table::new(&["OBJECT", "DATE", "FROM", ">SIZE", "PATH"]);
    'points: for point in points {
        let object = label(&point.object);
        let id = point.id.to_string();
        let view = PointView::open(&repository, point);
        let mut entries = view.find(&query);
        while let Some(entry) = session
            .unless_cancelled(async { Ok(entries.next().await) })
            .await?
        {
            let entry = match entry {
                // One entry, or the rest of this point: what else there is, is found.
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat) => {
                    spoiled = true;
                    session.output.warning(&format!("{object}, point {id}: {error}"));
                    continue;
                }
                entry => entry?,
            };
            found += 1;
            let mut record = browse::record(&entry);
            record["object"] = json!(object);
            record["point"] = json!(id);
            session.output.record("entry", &record);
            if !session.output.json() {
                table.row([
                    object.clone(),
                    browse::time(&entry),
                    browse::sender(&entry),
                    text::size(entry.record.size),
                    entry.path.clone(),
                ]);
            }
            if table.len() >= PAGE {
                table.print(&session.output);
            }
            if session.output.closed() {
                break 'points;
            }
        }
    }
    if table.len() > 0 {
        table.print(&session.output);
    }
    session.output.note(format!(
        "{} found in {}.",
        text::counted(found, "item"),
        text::counted(searched as u64, "recovery point")
    ));
    Ok(if spoiled { Exit::Partial } else { Exit::Ok })
}
