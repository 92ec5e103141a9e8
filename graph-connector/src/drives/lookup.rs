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
    let mut targets = Vec::new();
    let mut addressable = Vec::new();
    let mut answers: Vec<Presence> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match graph
            .requests
            .target(Operation::DriveItem, &[drive, &item.id], &[])
        {
            Ok(target) => {
                targets.push(target);
                addressable.push(index);
                answers.push(Presence::Unknown(Error::new(
                    ErrorKind::Unavailable,
                    "not looked up",
                )));
            }
            Err(error) => answers.push(Presence::Unknown(error)),
        }
    }
    let results = batch::get_all(graph, &Scope::Files, &targets)
        .await
        .map_err(|fault| fault.into_error(what, Some(READ_PERMISSION)))?;
    for (index, result) in addressable.into_iter().zip(results) {
        answers[index] = match result {
            Ok(body) => presence(&body, &items[index], &root),
            Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Presence::Gone,
            Err(fault) => Presence::Unknown(fault.into_error(what, Some(READ_PERMISSION))),
        };
    }
    Ok(answers)
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
