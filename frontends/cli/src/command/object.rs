//! `nakivo object`: what the repository holds recovery points of.

use nakivo_core::Result;
use serde_json::json;

use crate::exit::Exit;
use crate::grammar::ObjectList;
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Lists the protected objects.
pub(super) async fn list(session: &Session, arguments: &ObjectList) -> Result<Exit> {
    let repository = session.open(&arguments.repository).await?;
    let mut table = Table::new(&["NAME", "ADDRESS", "KIND", ">POINTS", ">ITEMS", ">SIZE", "LATEST"]);
    for summary in repository.objects() {
        let object = &summary.object;
        let latest = summary.latest.as_ref();
        session.output.record(
            "object",
            &json!({
                "id": object.id.to_string(),
                "name": object.name,
                "address": object.address,
                "kind": object.kind,
                "source": object.source,
                "points": summary.points,
                "latest": latest.map(|point| json!({
                    "id": point.id.to_string(),
                    "time": text::rfc3339_ms(point.started_ms),
                    "outcome": point.outcome,
                    "items": point.items,
                    "bytes": point.bytes,
                })),
            }),
        );
        table.row([
            object.name.clone(),
            object.address.clone().unwrap_or_default(),
            object.kind.to_string(),
            text::count(summary.points as u64),
            latest.map_or_else(String::new, |point| text::count(point.items)),
            latest.map_or_else(String::new, |point| text::size(point.bytes)),
            latest.map_or_else(String::new, |point| text::moment_ms(point.started_ms)),
        ]);
    }
    if table.len() == 0 {
        session.output.line("The repository holds no recovery point yet.");
    } else {
        table.print(&session.output);
    }
    Ok(Exit::Ok)
}
