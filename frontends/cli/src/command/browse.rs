//! `nakivo browse`: one folder of a recovery point.

use nakivo_core::Result;
use nakivo_core::format::record::{ItemKind, Value as Property};
use nakivo_core::recovery::{Entry, PageRequest, PointView};
use serde_json::{Value, json};

use super::point;
use crate::exit::Exit;
use crate::grammar::Browse;
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Entries read and laid out at once.
const PAGE: usize = 500;

/// Lists a folder, or one item.
pub(super) async fn run(session: &Session, arguments: &Browse) -> Result<Exit> {
    let (repository, manifest) = point::select(session, &arguments.point).await?;
    let view = PointView::open(&repository, manifest);
    let path = arguments.path.as_deref().unwrap_or("/");
    let place = session.unless_cancelled(view.resolve_path(path)).await?;
    let mut table = Table::new(&["KIND", ">SIZE", "DATE", "FROM", "NAME", "ID"]);
    let (mut listed, mut spoiled) = (0u64, false);
    if place.is_container() {
        let mut after = None;
        loop {
            let request = PageRequest {
                after: after.take(),
                limit: PAGE,
            };
            let page = session.unless_cancelled(view.list(place.id(), request)).await?;
            for entry in &page.entries {
                listed += 1;
                row(session, &mut table, entry);
            }
            for error in &page.spoiled {
                spoiled = true;
                session.output.warning(&error.to_string());
            }
            if table.len() > 0 {
                table.print(&session.output);
            }
            after = page.next;
            if after.is_none() || session.output.closed() {
                break;
            }
        }
    } else {
        listed = 1;
        row(session, &mut table, &place);
        table.print(&session.output);
    }
    if listed == 0 && !spoiled {
        session.output.note("The folder is empty.");
    }
    Ok(if spoiled { Exit::Partial } else { Exit::Ok })
}

fn row(session: &Session, table: &mut Table, entry: &Entry) {
    session.output.record("entry", &record(entry));
    if session.output.json() {
        return;
    }
    let container = entry.record.kind == ItemKind::Container;
    table.row([
        entry.record.kind.to_string(),
        if container {
            String::new()
        } else {
            text::size(entry.record.size)
        },
        time(entry),
        sender(entry),
        entry.record.name.clone(),
        entry.record.id.clone(),
    ]);
}

/// An entry for programs: what a person may want to filter by; the parts are internal.
pub(crate) fn record(entry: &Entry) -> Value {
    let item = &entry.record;
    json!({
        "path": entry.path,
        "id": item.id,
        "container": item.container,
        "kind": item.kind,
        "name": item.name,
        "size": item.size,
        "created": item.created_ms.and_then(text::rfc3339_ms),
        "modified": item.modified_ms.and_then(text::rfc3339_ms),
        "received": item.received_ms.and_then(text::rfc3339_ms),
        "sent": item.sent_ms.and_then(text::rfc3339_ms),
        "item_type": item.item_type,
        "properties": item.properties,
    })
}

/// When it was received, sent or modified, whatever is known first.
pub(crate) fn time(entry: &Entry) -> String {
    let item = &entry.record;
    item.received_ms
        .or(item.sent_ms)
        .or(item.modified_ms)
        .map_or_else(String::new, text::moment_ms)
}

/// Who sent it.
pub(crate) fn sender(entry: &Entry) -> String {
    match entry.record.properties.get("from") {
        Some(Property::Text(from)) => from.clone(),
        Some(Property::List(from)) => from.join(", "),
        _ => String::new(),
    }
}
