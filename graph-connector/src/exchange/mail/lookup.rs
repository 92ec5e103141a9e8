//! Where messages are that their folders no longer show.

use nakivo_core::connector::{ItemRef, Presence};
use nakivo_core::{Error, ErrorKind, Result};

use super::{READ_PERMISSION, map};
use crate::batch;
use crate::fault::Fault;
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
    scope: &Scope,
    user: &str,
    items: &[ItemRef],
) -> Result<Vec<Presence>> {
    let what = "looking up messages";
    let mut targets = Vec::new();
    let mut addressable = Vec::new();
    let mut answers: Vec<Presence> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match graph.requests.target(Operation::Message, &[user, &item.id], &[]) {
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
    let results = batch::get_all(graph, scope, &targets)
        .await
        .map_err(|fault| fault.into_error(what, Some(READ_PERMISSION)))?;
    for (index, result) in addressable.into_iter().zip(results) {
        answers[index] = match result {
            Ok(body) => presence(&body, &items[index]),
            Err(fault) if is_gone(&fault) => Presence::Gone,
            Err(fault) => Presence::Unknown(fault.into_error(what, Some(READ_PERMISSION))),
        };
    }
    Ok(answers)
}

fn presence(body: &str, item: &ItemRef) -> Presence {
    match map::message(body) {
        // The id in the answer is the same one: both are immutable ids. Anything else would be another item.
        Some(head) if head.item.id == item.id && !head.item.container.is_empty() => {
            Presence::Present(Box::new(head))
        }
        _ => Presence::Unknown(Error::new(
            ErrorKind::Protocol,
            "looking up messages: the answer is not the message that was asked for (wrong_item)",
        )),
    }
}

fn is_gone(fault: &Fault) -> bool {
    fault.refused_as(|refusal| refusal.item_gone())
}
