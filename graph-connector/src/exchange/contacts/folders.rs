//! Contact folders: the standard one by its name, the others below it level by level.

use std::collections::HashSet;

use nakivo_core::connector::ItemHead;

use crate::exchange::heads;
use crate::exchange::list::Listing;
use crate::exchange::service::MailboxService;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

/// Name of the standard folder that does not depend on the mailbox's language.
pub(crate) const STANDARD: &str = "contacts";
pub(crate) const FOLDER_TYPE: &str = "#microsoft.graph.contactFolder";
/// Folders read in one page.
const FOLDER_PAGE: &str = "250";
/// More folders than this are not a mailbox.
const MAX_FOLDERS: usize = 10_000;

fn head(raw: &str, parent: &str) -> Option<ItemHead> {
    let (fields, id) = heads::with_id(raw)?;
    let item = MailboxService::Contacts.place(parent, &id);
    let name = fields.text("displayName").unwrap_or_default();
    Some(heads::container(FOLDER_TYPE, raw, item, name))
}

/// Lists all contact folders. The list of the user may hold the standard folder or not (contract 4.6), so that one is asked
/// for by name; children are asked for at every folder.
///
/// # Errors
/// If one of them cannot be listed.
pub(crate) async fn list(graph: &Graph, scope: &Scope, user: &str) -> Result<Listing, Fault> {
    let call = graph.outlook(scope, Operation::ContactFolder, &[user, STANDARD], &[])?;
    let raw = graph.executor.json(&call).await?;
    let no_id = || Fault::Protocol {
        code: "no_id",
        message: "the contact folder has no id".to_owned(),
    };
    let standard = heads::well_known(head(&raw, "").ok_or_else(no_id)?, STANDARD);
    let standard_id = native(&standard).to_owned();
    let above = Fields::parse(&raw).and_then(|fields| fields.text("parentFolderId"));
    let mut seen = HashSet::from([standard_id.clone()]);
    let mut listing = Listing::default();
    listing.heads.push(standard);
    let query = [("$top", FOLDER_PAGE)];
    let top = graph.call(scope, Operation::ContactFolders, &[user], &query)?;
    take(graph, scope, top, &standard_id, &mut seen, &mut listing).await?;
    // A folder beside the standard one.
    for head in listing.heads.iter_mut().skip(1) {
        let raw = head.raw.as_ref().map(|raw| String::from_utf8_lossy(raw));
        let parent = raw.and_then(|raw| Fields::parse(&raw)?.text("parentFolderId"));
        if parent.is_some() && parent == above {
            head.item.container.clear();
        }
    }
    let mut next = 0;
    while let Some(parent) = listing.heads.get(next) {
        let parent = native(parent).to_owned();
        let call = graph.call(scope, Operation::ContactChildFolders, &[user, &parent], &query)?;
        match take(graph, scope, call, &parent, &mut seen, &mut listing).await {
            Ok(()) => {}
            // Deleted since its parent was listed: it has no children.
            Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => {}
            Err(fault) => return Err(fault),
        }
        next += 1;
        if listing.heads.len() > MAX_FOLDERS {
            return Err(Fault::Protocol {
                code: "too_many_folders",
                message: "the list of contact folders never ends".into(),
            });
        }
    }
    Ok(listing)
}

/// Adds the folders of a list that are new.
async fn take(
    graph: &Graph,
    scope: &Scope,
    call: crate::executor::Call,
    parent: &str,
    seen: &mut HashSet<String>,
    listing: &mut Listing,
) -> Result<(), Fault> {
    for raw in pages::all(graph, scope, call, MAX_FOLDERS).await? {
        let Some(head) = head(&raw, parent) else {
            continue;
        };
        if seen.insert(native(&head).to_owned()) {
            listing.heads.push(head);
        }
    }
    Ok(())
}

fn native(head: &ItemHead) -> &str {
    MailboxService::of(&head.item.id).1
}
