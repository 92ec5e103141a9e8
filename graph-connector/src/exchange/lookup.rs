//! Where items are that their containers no longer show.

use std::collections::HashMap;

use nakivo_core::connector::{ItemHead, ItemRef, Presence};
use nakivo_core::{Error, ErrorKind, Result};

use super::service::MailboxService;
use super::{calendar, contacts, mail, marks};
use crate::batch;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::request::Operation;

/// Items looked up before their answers are handed on: bounds the memory of a call.
pub(crate) const CHUNK: usize = 200;
/// Deepest folder chain that is walked.
const MAX_DEPTH: usize = 300;

/// How an item of a service is asked for by its id.
struct Way {
    operation: Operation,
    query: &'static [(&'static str, &'static str)],
    read: fn(&str) -> Option<ItemHead>,
}

const fn way(service: MailboxService) -> Way {
    match service {
        MailboxService::Mail => Way {
            operation: Operation::Message,
            query: &[],
            read: mail::map::message,
        },
        MailboxService::Contacts => Way {
            operation: Operation::Contact,
            query: &[],
            read: contacts::map::contact,
        },
        MailboxService::Calendar => Way {
            operation: Operation::Event,
            // An event does not say by itself in which calendar it is.
            query: &[("$expand", "calendar($select=id)")],
            read: calendar::map::event,
        },
    }
}

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
    let what = "looking up items";
    let targets = items.iter().map(|item| {
        let way = way(MailboxService::of(&item.container).0);
        graph.requests.target(way.operation, &[user, &item.id], way.query)
    });
    let results = batch::get_each(graph, scope, targets)
        .await
        .map_err(|fault| fault.into_error(what, None))?;
    let answered = items.iter().zip(results).map(|(item, result)| {
        let service = MailboxService::of(&item.container).0;
        match result {
            Ok(body) => presence(&body, item, service),
            Err(fault) if is_gone(&fault) => Presence::Gone,
            Err(fault) => Presence::Unknown(fault.into_error(what, Some(service.read_permission()))),
        }
    });
    let mut answers: Vec<Presence> = answered.collect();
    // Deleted for good means moved to the recoverable items, which lie outside the folder tree that is protected; deleted
    // contacts lie in a mail folder.
    let mut outside = HashMap::new();
    for (item, answer) in items.iter().zip(&mut answers) {
        let Presence::Present(head) = answer else { continue };
        let folder = head.item.container.clone();
        if folder == item.container {
            continue;
        }
        let gone = match outside.get(&folder) {
            Some(known) => *known,
            None => match is_outside(graph, scope, user, &folder).await {
                Ok(found) => *outside.entry(folder).or_insert(found),
                Err(fault) => {
                    *answer = Presence::Unknown(fault.into_error(what, None));
                    continue;
                }
            },
        };
        if gone {
            *answer = Presence::Gone;
        }
    }
    let unanswered = |fault: Fault| fault.into_error(what, None);
    marks::mark(graph, scope, user, marks::present(&mut answers))
        .await
        .map_err(unanswered)?;
    Ok(answers)
}

/// Whether a container is not among those that its service protects.
async fn is_outside(graph: &Graph, scope: &Scope, user: &str, container: &str) -> Result<bool, Fault> {
    match MailboxService::of(container) {
        (MailboxService::Mail, folder) => is_outside_mail(graph, scope, user, folder).await,
        // Events of calendars that others share are not asked about; every other calendar is protected.
        (MailboxService::Calendar, _) => Ok(false),
        (MailboxService::Contacts, folder) => {
            let query = [("$select", "id")];
            let call = graph.outlook(scope, Operation::ContactFolder, &[user, folder], &query)?;
            match graph.executor.json(&call).await {
                Ok(_) => Ok(false),
                // The id of a mail folder is none of a contact folder, or not a well-formed one.
                Err(fault)
                    if is_gone(&fault)
                        || fault.refused_as(|refusal| refusal.status == 400 && refusal.envelope) =>
                {
                    Ok(true)
                }
                Err(fault) => Err(fault),
            }
        }
    }
}

/// Whether the chain of parents of `folder` ends anywhere but at the root of the folder tree.
async fn is_outside_mail(graph: &Graph, scope: &Scope, user: &str, folder: &str) -> Result<bool, Fault> {
    let Some((root, _)) = folder_and_parent(graph, scope, user, "msgfolderroot").await? else {
        return Ok(true);
    };
    let mut current = folder.to_owned();
    for _ in 0..MAX_DEPTH {
        if current == root {
            return Ok(false);
        }
        match folder_and_parent(graph, scope, user, &current).await? {
            Some((_, Some(parent))) if parent != current => current = parent,
            _ => return Ok(true),
        }
    }
    Ok(true)
}

async fn folder_and_parent(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    folder: &str,
) -> Result<Option<(String, Option<String>)>, Fault> {
    let query = [("$select", "id,parentFolderId")];
    let call = graph.outlook(scope, Operation::MailFolder, &[user, folder], &query)?;
    match graph.executor.json(&call).await {
        Ok(text) => Ok(Fields::parse(&text)
            .and_then(|fields| fields.text("id").map(|id| (id, fields.text("parentFolderId"))))),
        Err(fault) if is_gone(&fault) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn presence(body: &str, item: &ItemRef, service: MailboxService) -> Presence {
    match (way(service).read)(body) {
        // The id in the answer is the same one: both are immutable ids. Anything else would be another item.
        Some(head) if head.item.id == item.id && !head.item.container.is_empty() => {
            Presence::Present(Box::new(head))
        }
        _ => Presence::Unknown(Error::new(
            ErrorKind::Protocol,
            "looking up items: the answer is not the item that was asked for (wrong_item)",
        )),
    }
}

fn is_gone(fault: &Fault) -> bool {
    fault.refused_as(|refusal| refusal.item_gone())
}
