//! Reads one event: its JSON in its own time zone, with the exceptions of a series, and its files.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nakivo_core::connector::{Fetched, ItemHead, PartContent};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::Value;
use nakivo_core::{Error, ErrorKind, Result};

use super::map::ZONE;
use super::{icalendar, map, series};
use crate::exchange::access::whole_bytes;
use crate::exchange::scope_of;
use crate::exchange::service::MailboxService;
use crate::executor::Call;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::{Graph, PREFER};
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

/// Files up to this size, as Graph tells it, are read before they are handed out, so that one that breaks off is read again.
const READ_AHEAD_BYTES: u64 = 4 << 20;
const WHAT: &str = "reading an event";

/// Opens the content of `head`.
pub(crate) async fn fetch(graph: &Arc<Graph>, object: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
    let scope = scope_of(object);
    let reader = Reader {
        graph,
        scope: &scope,
        user: &object.native_id,
    };
    match reader.read(head).await {
        Ok(fetched) => Ok(fetched),
        Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Ok(Fetched::Gone),
        Err(fault) => Err(fault.into_error(WHAT, Some(MailboxService::Calendar.read_permission()))),
    }
}

struct Reader<'a> {
    graph: &'a Arc<Graph>,
    scope: &'a Scope,
    user: &'a str,
}

impl Reader<'_> {
    async fn read(&self, listed: &ItemHead) -> Result<Fetched, Fault> {
        let text = self.event(listed).await?;
        let mut head = map::whole(&text, &listed.item).ok_or_else(|| Fault::Protocol {
            code: "wrong_item",
            message: "the answer is not the event that was asked for".to_owned(),
        })?;
        if series::is_series(&head) {
            head.change_key = series::key(&text);
            if head.change_key.is_none() {
                // Not silent, and read again in the next run.
                let unknown = Value::Bool(true);
                head.properties.insert("exceptions_unknown".to_owned(), unknown);
            }
        }
        // In the zone of the event its times say nothing about UTC; the list was in UTC.
        for name in ["start_ms", "end_ms"] {
            if let Some(value) = listed.properties.get(name) {
                head.properties.insert(name.to_owned(), value.clone());
            }
        }
        let calendar = icalendar::write(&text, &head);
        let mut parts = vec![PartContent::whole(
            "icalendar",
            "text/calendar",
            Bytes::from(calendar),
        )];
        self.files(&text, "attachment", &mut parts).await?;
        let fields = Fields::parse(&text);
        let exceptions = fields
            .and_then(|fields| fields.list("exceptionOccurrences"))
            .unwrap_or_default();
        for (number, exception) in exceptions.into_iter().enumerate() {
            self.files(
                exception.get(),
                &format!("exception-{number}-attachment"),
                &mut parts,
            )
            .await?;
        }
        head.raw = Some(Bytes::from(text));
        Ok(Fetched::Content {
            head: Box::new(head),
            parts,
        })
    }

    /// The JSON, its times in the zone in which the event was made where the service knows that zone.
    async fn event(&self, listed: &ItemHead) -> Result<String, Fault> {
        let zone = listed.properties.get(ZONE).and_then(|zone| zone.as_text());
        let zone = zone.filter(|zone| !zone.contains([':', '"']) && zone.is_ascii() && *zone != "UTC");
        let refused = |fault: &Fault| fault.refused_as(|refusal| refusal.status == 400 && refusal.envelope);
        let series = series::is_series(listed);
        let mut answer = self.call(listed, zone, series).await;
        if zone.is_some() && answer.as_ref().is_err_and(refused) {
            answer = self.call(listed, None, series).await;
        }
        if series && answer.as_ref().is_err_and(refused) {
            // A service that does not tell exceptions.
            answer = self.call(listed, None, false).await;
        }
        answer
    }

    async fn call(&self, listed: &ItemHead, zone: Option<&str>, series: bool) -> Result<String, Fault> {
        let expand = series.then_some("exceptionOccurrences");
        let call = event_call(self.graph, self.scope, self.user, &listed.item.id, zone, expand)?;
        self.graph.executor.json(&call).await
    }

    /// Adds the files of an event or exception: their list without content, and each that has content.
    async fn files(&self, raw: &str, prefix: &str, parts: &mut Vec<PartContent>) -> Result<(), Fault> {
        let Some(fields) = Fields::parse(raw) else {
            return Ok(());
        };
        let Some(id) = fields.text("id") else {
            return Ok(());
        };
        // Inline files do not count as attachments.
        let inline = raw.contains("cid:");
        if fields.flag("hasAttachments") != Some(true) && !inline {
            return Ok(());
        }
        let query = [(
            "$select",
            "id,name,contentType,size,isInline,lastModifiedDateTime",
        )];
        let ids = [self.user, id.as_str()];
        let call = self
            .graph
            .call(self.scope, Operation::EventAttachments, &ids, &query)?;
        let list = pages::all(self.graph, self.scope, call, 10_000).await?;
        if list.is_empty() {
            return Ok(());
        }
        let text = Bytes::from(format!("[{}]", list.join(",")));
        parts.push(PartContent::whole(
            &format!("{prefix}s"),
            "application/json",
            text,
        ));
        for (number, raw) in list.iter().enumerate() {
            let Some(file) = Fields::parse(raw) else { continue };
            let kind = file.text("@odata.type").unwrap_or_default().to_ascii_lowercase();
            let Some(file_id) = file.text("id").filter(|_| !kind.ends_with("referenceattachment")) else {
                continue;
            };
            let ids = [self.user, id.as_str(), file_id.as_str()];
            let call = self
                .graph
                .outlook(self.scope, Operation::EventAttachmentContent, &ids, &[])?
                .bytes();
            let media_type = file
                .text("contentType")
                .filter(|kind| kind.is_ascii() && kind.len() < 200);
            let name = format!("{prefix}-{number}");
            let small = file.number("size").is_some_and(|size| size <= READ_AHEAD_BYTES);
            let content = if small {
                let bytes = whole_bytes(self.graph, &call, READ_AHEAD_BYTES * 2).await?;
                let bytes = bytes.unwrap_or_default();
                PartContent {
                    length: Some(bytes.len() as u64),
                    body: stream::iter([Ok(bytes)]).boxed(),
                    name,
                    media_type,
                }
            } else {
                PartContent {
                    length: None,
                    body: later(Arc::clone(self.graph), call),
                    name,
                    media_type,
                }
            };
            parts.push(content);
        }
        Ok(())
    }
}

/// Asks for an event, its times in `zone` (none: UTC).
pub(crate) fn event_call(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    id: &str,
    zone: Option<&str>,
    expand: Option<&str>,
) -> Result<Call, Fault> {
    let query: Vec<(&str, &str)> = expand.into_iter().map(|what| ("$expand", what)).collect();
    let call = graph.outlook(scope, Operation::Event, &[user, id], &query)?;
    Ok(match zone {
        Some(zone) => call.header(PREFER, &format!("outlook.timezone=\"{zone}\"")),
        None => call,
    })
}

/// A file that is asked for when it is read.
fn later(graph: Arc<Graph>, call: Call) -> BoxStream<'static, Result<Bytes>> {
    async_stream::try_stream! {
        let answer = graph
            .executor
            .stream(&call)
            .await
            .map_err(|fault| fault.into_error("reading a file of an event", None))?;
        let announced = answer.length();
        let mut body = answer.body;
        let mut read = 0;
        let broken = |why: String| Error::new(ErrorKind::Unavailable, format!("a file of an event broke off: {why}"));
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| broken(error.to_string()))?;
            read += piece.len() as u64;
            yield piece;
        }
        if announced.is_some_and(|announced| announced != read) {
            Err(broken(format!("after {read} bytes")))?;
        }
    }
    .boxed()
}
