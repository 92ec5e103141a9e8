//! Calendars of every group; those that other people share with the mailbox are theirs and left out.

use std::collections::HashSet;

use nakivo_core::connector::ItemHead;
use nakivo_core::format::record::Value;

use crate::exchange::heads;
use crate::exchange::list::Listing;
use crate::exchange::service::MailboxService;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

/// Name of the standard calendar that does not depend on the mailbox's language.
const STANDARD: &str = "calendar";
const CALENDAR_TYPE: &str = "#microsoft.graph.calendar";
/// More calendars than this are not a mailbox.
const MAX_CALENDARS: usize = 10_000;

/// Lists the calendars: the standard one, those of `/calendars`, and those of each group, which `/calendars` may leave out.
///
/// # Errors
/// If one of the lists cannot be read.
pub(crate) async fn list(graph: &Graph, scope: &Scope, user: &str) -> Result<Listing, Fault> {
    let call = graph.outlook(scope, Operation::DefaultCalendar, &[user], &[])?;
    let raw = graph.executor.json(&call).await?;
    let standard = head(&raw, "", None).ok_or(Fault::Protocol {
        code: "no_id",
        message: "the calendar has no id".to_owned(),
    })?;
    let owner = owner_of(&raw);
    let above = MailboxService::of(&standard.item.id).1.to_owned();
    let mut seen = HashSet::from([above.clone()]);
    let mut listing = Listing::default();
    listing.heads.push(heads::well_known(standard, STANDARD));
    let mut take = |raws: Vec<String>, group: Option<&str>| {
        for raw in raws {
            let Some(head) = head(&raw, &above, group) else {
                continue;
            };
            let theirs = owner.is_some() && owner_of(&raw).is_some_and(|other| Some(other) != owner);
            if !theirs && seen.insert(MailboxService::of(&head.item.id).1.to_owned()) {
                listing.heads.push(head);
            }
        }
    };
    let call = graph.outlook(scope, Operation::CalendarGroups, &[user], &[])?;
    for raw in pages::all(graph, scope, call, MAX_CALENDARS).await? {
        let Some(fields) = Fields::parse(&raw) else {
            continue;
        };
        let Some(id) = fields.text("id") else { continue };
        let call = graph.call(scope, Operation::GroupCalendars, &[user, &id], &[])?;
        match pages::all(graph, scope, call, MAX_CALENDARS).await {
            Ok(raws) => take(raws, fields.text("name").as_deref()),
            // Deleted since it was listed.
            Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => {}
            Err(fault) => return Err(fault),
        }
    }
    let call = graph.call(scope, Operation::Calendars, &[user], &[])?;
    take(pages::all(graph, scope, call, MAX_CALENDARS).await?, None);
    Ok(listing)
}

fn owner_of(raw: &str) -> Option<String> {
    let owner = Fields::parse(raw)?.object("owner")?;
    owner.text("address").map(|address| address.to_lowercase())
}

fn head(raw: &str, parent: &str, group: Option<&str>) -> Option<ItemHead> {
    let (fields, id) = heads::with_id(raw)?;
    let item = MailboxService::Calendar.place(parent, &id);
    let name = fields.text("name").unwrap_or_default();
    let mut head = heads::container(CALENDAR_TYPE, raw, item, name);
    if let Some(group) = group {
        let group = Value::Text(group.to_owned());
        head.properties.insert("calendar_group".to_owned(), group);
    }
    Some(head)
}
