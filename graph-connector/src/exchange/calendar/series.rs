//! What differs on single days of a series. Whether that changes the change key of the series is not documented (contract 4.7),
//! so it is asked for, twenty series to a request, and becomes a part of the change key.

use nakivo_core::connector::{Change, ItemHead, Presence};
use nakivo_core::format::record::ItemKind;

use super::map::SERIES;
use crate::batch;
use crate::exchange::mail::attachments::hash;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::{Fields, lenient_string};
use crate::request::Operation;

/// What tells the days apart.
const QUERY: [(&str, &str); 2] = [
    ("$select", "id,changeKey,cancelledOccurrences"),
    ("$expand", "exceptionOccurrences($select=id,changeKey)"),
];

/// Whether an item is a series.
pub(crate) fn is_series(head: &ItemHead) -> bool {
    head.properties.get(SERIES).and_then(|value| value.as_bool()) == Some(true)
}

/// Marks the series among `changes`.
pub(crate) async fn mark(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    changes: &mut [Change],
) -> Result<(), Fault> {
    let heads = changes.iter_mut().filter_map(|change| match change {
        Change::Item(head) if is_series(head) => Some(head),
        _ => None,
    });
    mark_heads(graph, scope, user, heads.collect()).await
}

/// Marks the series among the answers of a look-up.
pub(crate) async fn mark_present(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    answers: &mut [Presence],
) -> Result<(), Fault> {
    let heads = answers.iter_mut().filter_map(|answer| match answer {
        Presence::Present(head) if head.kind == ItemKind::Event && is_series(head) => Some(&mut **head),
        _ => None,
    });
    mark_heads(graph, scope, user, heads.collect()).await
}

async fn mark_heads(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    heads: Vec<&mut ItemHead>,
) -> Result<(), Fault> {
    let mut targets = Vec::with_capacity(heads.len());
    let mut addressable = Vec::with_capacity(heads.len());
    for head in heads {
        if let Ok(target) = graph
            .requests
            .target(Operation::Event, &[user, &head.item.id], &QUERY)
        {
            targets.push(target);
            addressable.push(head);
        }
    }
    let answers = batch::get_all(graph, scope, &targets).await?;
    for (head, answer) in addressable.into_iter().zip(answers) {
        // What could not be found out is read again: no key is equal to none.
        head.change_key = match answer {
            Ok(body) => key(&body),
            Err(_) => None,
        };
    }
    Ok(())
}

/// The change key of a series with those of its exceptions, and the days that are cancelled.
pub(crate) fn key(body: &str) -> Option<String> {
    let fields = Fields::parse(body)?;
    let own = fields.text("changeKey")?;
    // Without the list nothing is known of the days, and no key is equal to none.
    let mut days: Vec<String> = fields
        .list("exceptionOccurrences")?
        .into_iter()
        .filter_map(|raw| {
            let fields = Fields::parse(raw.get())?;
            Some(format!(
                "{} {}",
                fields.text("id")?,
                fields.text("changeKey").unwrap_or_default()
            ))
        })
        .collect();
    days.extend(
        fields
            .list("cancelledOccurrences")
            .unwrap_or_default()
            .into_iter()
            .filter_map(|raw| lenient_string(raw.get())),
    );
    days.sort();
    Some(if days.is_empty() {
        own
    } else {
        format!("{own} {}", &hash(days.join("\n").as_bytes())[..16])
    })
}
