//! Reads one contact: its JSON where delta did not bring it whole, its photo where it has one, and a card of both.

use bytes::Bytes;
use nakivo_core::Result;
use nakivo_core::connector::{Fetched, ItemHead, PartContent};
use nakivo_core::format::manifest::ObjectRecord;

use super::{map, photo, vcard};
use crate::exchange::access::whole_bytes;
use crate::exchange::scope_of;
use crate::exchange::service::MailboxService;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::request::Operation;

/// Largest photo that is read. Exchange takes 4 MB.
const MAX_PHOTO_BYTES: u64 = 32 << 20;
const WHAT: &str = "reading a contact";

/// Opens the content of `head`.
pub(crate) async fn fetch(graph: &Graph, object: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
    let scope = scope_of(object);
    match read(graph, &scope, &object.native_id, head).await {
        Ok(fetched) => Ok(fetched),
        Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Ok(Fetched::Gone),
        Err(fault) => Err(fault.into_error(WHAT, Some(MailboxService::Contacts.read_permission()))),
    }
}

async fn read(graph: &Graph, scope: &Scope, user: &str, listed: &ItemHead) -> Result<Fetched, Fault> {
    let mut head = listed.clone();
    let mut raw = listed.raw.clone();
    if raw.is_none() {
        let call = graph.outlook(scope, Operation::Contact, &[user, &listed.item.id], &[])?;
        let text = graph.executor.json(&call).await?;
        let wrong = Fault::Protocol {
            code: "wrong_item",
            message: "the answer is not the contact that was asked for".to_owned(),
        };
        head = map::contact(&text)
            .filter(|found| found.item.id == listed.item.id)
            .ok_or(wrong)?;
        // It stays in the container it was listed in; a move shows up in the rounds.
        head.item = listed.item.clone();
        photo::set(&mut head, photo::of(listed));
        raw = Some(Bytes::from(text));
    }
    let image = match photo::of(&head) {
        Some(_) => photo_bytes(graph, scope, user, &head.item.id).await?,
        None => None,
    };
    if image.is_none() {
        photo::set(&mut head, None);
    }
    let text = raw.as_ref().map(|raw| String::from_utf8_lossy(raw).into_owned());
    let card = vcard::write(&text.unwrap_or_default(), image.as_deref());
    head.raw = raw;
    let mut parts = vec![PartContent::whole("vcard", "text/vcard", Bytes::from(card))];
    parts.extend(image.map(|image| PartContent::whole("photo", image_type(&image), image)));
    Ok(Fetched::Content {
        head: Box::new(head),
        parts,
    })
}

/// The photo; none if the contact has none (any more).
pub(crate) async fn photo_bytes(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    id: &str,
) -> Result<Option<Bytes>, Fault> {
    let call = graph
        .outlook(scope, Operation::ContactPhotoValue, &[user, id], &[])?
        .bytes();
    match whole_bytes(graph, &call, MAX_PHOTO_BYTES).await {
        Err(fault) if fault.refused_as(|refusal| refusal.status == 404 && refusal.envelope) => Ok(None),
        other => other,
    }
}

fn image_type(image: &[u8]) -> &'static str {
    match image {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        _ => "image/jpeg",
    }
}
