//! Reads one item of a site.

use std::sync::Arc;

use nakivo_core::Result;
use nakivo_core::connector::{Fetched, ItemHead};

use super::ids;
use crate::drives::{self, Memory};
use crate::graph::Graph;

/// Opens the content of `head`.
pub(crate) async fn fetch(graph: &Arc<Graph>, memory: &Arc<Memory>, head: &ItemHead) -> Result<Fetched> {
    let (drive, item) = ids::inward(&head.item);
    if ids::list_of(&drive).is_some() {
        // The listing brought all there is of a row or a schema.
        return Ok(Fetched::Content {
            head: Box::new(head.clone()),
            parts: Vec::new(),
        });
    }
    let local = ItemHead { item, ..head.clone() };
    Ok(match drives::fetch::fetch(graph, memory, &drive, &local).await? {
        Fetched::Content { head, parts } => Fetched::Content {
            head: Box::new(ids::outward_head(&drive, *head)),
            parts,
        },
        other => other,
    })
}
