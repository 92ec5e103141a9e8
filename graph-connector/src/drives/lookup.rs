//! Where items are that the feed does not show any more.

use nakivo_core::connector::{ItemRef, Presence};
use nakivo_core::{Error, ErrorKind, Result};

use super::map::{self, Element};
use super::{Memory, READ_PERMISSION, list};
use crate::batch;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::request::Operation;

/// Items looked up before their answers are handed on: bounds the memory of a call.
pub(crate) const CHUNK: usize = 200;

/// Looks up items by id, twenty to a request.
///
/// # Errors
/// What fails every look-up: no token, no permission, a pause that is too long.
pub(crate) async fn look_up(
    graph: &Graph,
    memory: &Memory,
    drive: &str,
    items: &[ItemRef],
) -> Result<Vec<Presence>> {
    let what = "looking up files";
    let root = list::root(graph, memory, drive)
        .await
        .map_err(|fault| fault.into_error(what, Some(READ_PERMISSION)))?;
    let targets = items.iter().map(|item| {
        graph
            .requests
            .target(Operation::DriveItem, &[drive, &item.id], &[])
    });
    let results = batch::get_each(graph, &Scope::Files, targets)
        .await
        .map_err(|fault| fault.into_error(what, Some(READ_PERMISSION)))?;
    let answers = items.iter().zip(results).map(|(item, result)| match result {
        Ok(body) => presence(&body, item, &root),
        Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Presence::Gone,
        Err(fault) => Presence::Unknown(fault.into_error(what, Some(READ_PERMISSION))),
    });
    Ok(answers.collect())
}

fn presence(body: &str, item: &ItemRef, root: &str) -> Presence {
    match map::element(body) {
        Element::Item(mut head) if head.item.id == item.id => {
            if head.item.container == root {
                head.item.container.clear();
            }
            Presence::Present(head)
        }
        Element::Deleted { id } if id == item.id => Presence::Gone,
        _ => Presence::Unknown(Error::new(
            ErrorKind::Protocol,
            "looking up files: the answer is not the item that was asked for (wrong_item)",
        )),
    }
}
