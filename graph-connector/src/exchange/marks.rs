//! What a listing does not tell of an item and what becomes a part of its change key: asked for, twenty items to a request.

use nakivo_core::connector::{Change, ItemHead, Presence};
use nakivo_core::format::record::ItemKind;

use super::calendar::series;
use super::contacts::photo;
use crate::batch::{self, MemberResult};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::request::Operation;

/// The items among changes.
pub(crate) fn changed(changes: &mut [Change]) -> impl Iterator<Item = &mut ItemHead> {
    changes.iter_mut().filter_map(|change| match change {
        Change::Item(head) => Some(head),
        _ => None,
    })
}

/// The items among the answers of a look-up.
pub(crate) fn present(answers: &mut [Presence]) -> impl Iterator<Item = &mut ItemHead> {
    answers.iter_mut().filter_map(|answer| match answer {
        Presence::Present(head) => Some(&mut **head),
        _ => None,
    })
}

/// Marks contacts with their photos and series with what differs on single days.
pub(crate) async fn mark<'h>(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    heads: impl Iterator<Item = &'h mut ItemHead>,
) -> Result<(), Fault> {
    let (mut contacts, mut all_series) = (Vec::new(), Vec::new());
    for head in heads {
        match head.kind {
            ItemKind::Contact => contacts.push(head),
            ItemKind::Event if series::is_series(head) => all_series.push(head),
            _ => {}
        }
    }
    let asked = ask(graph, scope, user, Operation::ContactPhoto, &[], contacts).await?;
    asked.for_each(|(head, answer)| photo::mark(head, answer));
    let asked = ask(graph, scope, user, Operation::Event, &series::QUERY, all_series).await?;
    asked.for_each(|(head, answer)| series::mark(head, answer));
    Ok(())
}

/// Each item with the answer about it.
async fn ask<'h>(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    operation: Operation,
    query: &[(&str, &str)],
    heads: Vec<&'h mut ItemHead>,
) -> Result<impl Iterator<Item = (&'h mut ItemHead, MemberResult)>, Fault> {
    let targets = heads
        .iter()
        .map(|head| graph.requests.target(operation, &[user, &head.item.id], query));
    let answers = batch::get_each(graph, scope, targets).await?;
    Ok(heads.into_iter().zip(answers))
}
