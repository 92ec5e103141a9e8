//! Exchange Online: a mailbox is one protected object, and mail, contacts and what else it holds are its services.
//!
//! Each service has containers and items of its own and is read in rounds of its own; listing, cursor, look-ups, finding
//! containers at a target and creating without doubles are common.

pub(crate) mod access;
pub(crate) mod calendar;
pub(crate) mod contacts;
pub(crate) mod content_line;
pub(crate) mod cursor;
pub(crate) mod files;
pub(crate) mod heads;
pub(crate) mod list;
pub(crate) mod lookup;
pub(crate) mod mail;
pub(crate) mod marks;
pub(crate) mod places;
pub(crate) mod round;
pub(crate) mod service;
pub(crate) mod target;

use std::sync::Arc;

use nakivo_core::Result;
use nakivo_core::connector::{Fetched, ItemHead};
use nakivo_core::format::manifest::ObjectRecord;

use crate::governor::Scope;
use crate::graph::Graph;
use service::MailboxService;

/// The budget of the mailbox behind `object`.
pub(crate) fn scope_of(object: &ObjectRecord) -> Scope {
    Scope::Mailbox(Arc::from(object.native_id.as_str()))
}

/// Opens the content of one item of a mailbox.
pub(crate) async fn fetch(graph: &Arc<Graph>, object: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
    match MailboxService::of(&head.item.container).0 {
        MailboxService::Mail => mail::fetch::fetch(graph, object, head).await,
        MailboxService::Contacts => contacts::fetch::fetch(graph, object, head).await,
        MailboxService::Calendar => calendar::fetch::fetch(graph, object, head).await,
    }
}
