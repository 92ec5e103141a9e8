//! Photos: whether a contact has one, and which. Delta does not say it (contract 4.6), so their metadata is asked for, twenty
//! to a request, and becomes a part of the change key.

use nakivo_core::connector::{Change, ItemHead, Presence};
use nakivo_core::format::record::{ItemKind, Value};

use crate::batch;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::request::Operation;

/// The property that names the photo: its ETag.
pub(crate) const PROPERTY: &str = "photo";
/// In its place while nothing could be found out.
const UNKNOWN: &str = "?";

/// Marks the contacts among `changes`.
pub(crate) async fn mark(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    changes: &mut [Change],
) -> Result<(), Fault> {
    let heads = changes.iter_mut().filter_map(|change| match change {
        Change::Item(head) => Some(head),
        _ => None,
    });
    mark_heads(graph, scope, user, heads.collect()).await
}

/// Marks the contacts among the answers of a look-up.
pub(crate) async fn mark_present(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    answers: &mut [Presence],
) -> Result<(), Fault> {
    let heads = answers.iter_mut().filter_map(|answer| match answer {
        Presence::Present(head) if head.kind == ItemKind::Contact => Some(&mut **head),
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
            .target(Operation::ContactPhoto, &[user, &head.item.id], &[])
        {
            targets.push(target);
            addressable.push(head);
        }
    }
    let answers = batch::get_all(graph, scope, &targets).await?;
    for (head, answer) in addressable.into_iter().zip(answers) {
        let etag = match answer {
            Ok(body) => etag_of(&body),
            Err(fault) if fault.refused_as(|refusal| refusal.status == 404) => None,
            Err(_) => Some(UNKNOWN.to_owned()),
        };
        set(head, etag);
    }
    Ok(())
}

/// The photo's ETag; none for the dot that stands for no photo.
fn etag_of(body: &str) -> Option<String> {
    let fields = Fields::parse(body)?;
    if fields.number("width").is_some_and(|width| width <= 1) {
        return None;
    }
    let etag = fields.text("@odata.mediaEtag").or_else(|| fields.text("id"));
    Some(etag.unwrap_or_else(|| UNKNOWN.to_owned()))
}

/// Says which photo the contact has: another one is another version of it.
pub(crate) fn set(head: &mut ItemHead, etag: Option<String>) {
    let plain = head.change_key.take().map(|key| plain_key(&key).to_owned());
    head.change_key = match (&etag, plain) {
        (Some(etag), Some(key)) => Some(format!("{key} {etag}")),
        (_, plain) => plain,
    };
    match etag {
        Some(etag) => head.properties.insert(PROPERTY.to_owned(), Value::Text(etag)),
        None => head.properties.remove(PROPERTY),
    };
}

/// The change key without the photo; change keys are base64.
pub(crate) fn plain_key(key: &str) -> &str {
    key.split(' ').next().unwrap_or(key)
}

/// The photo's ETag as it was marked.
pub(crate) fn of(head: &ItemHead) -> Option<String> {
    head.properties.get(PROPERTY)?.as_text().map(str::to_owned)
}
