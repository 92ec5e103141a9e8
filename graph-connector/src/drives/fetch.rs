//! Reads one file: its content as a stream, compared with size and hash that the service tells.
//!
//! Content that does not match is not believed at once: it may have been cut, or the file may have changed since it was
//! listed, or while it was read. The metadata is read again, and then the content. Only what comes twice alike from the same
//! state of the item is what the service has (contract 6.1: some files are listed with a size or hash they do not have); it is
//! stored with a note.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nakivo_core::connector::{Fetched, ItemHead, PartContent};
use nakivo_core::format::record::{ItemKind, Value};
use nakivo_core::{Error, ErrorKind, Result};

use super::download::Download;
use super::hash::QuickXorHash;
use super::map::{self, Element, Facts};
use super::{Doubt, Memory, READ_PERMISSION, sharing};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::request::Operation;

/// Up to this length a file is read whole before it is handed out: what does not match is read again unnoticed.
const READ_AHEAD_BYTES: u64 = 4 << 20;
/// Reads of one file that does not match.
const MAX_READS: u32 = 5;
/// Folders between a file and its notebook that are looked at.
const MAX_NOTEBOOK_DEPTH: usize = 5;
const WHAT: &str = "reading a file";
/// Property of an item whose stored content was not what its metadata said.
const MISMATCH: &str = "source_mismatch";

/// Opens the content of `head`.
pub(crate) async fn fetch(
    graph: &Arc<Graph>,
    memory: &Arc<Memory>,
    drive: &str,
    head: &ItemHead,
) -> Result<Fetched> {
    let reader = Reader {
        graph,
        memory,
        drive,
        id: &head.item.id,
    };
    match reader.fetch(head).await {
        Ok(fetched) => Ok(fetched),
        Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Ok(Fetched::Gone),
        Err(fault) if fault.refused_as(|refusal| refusal.malware()) => Ok(malware()),
        Err(fault) => Err(fault.into_error(WHAT, Some(READ_PERMISSION))),
    }
}

fn malware() -> Fetched {
    Fetched::Skipped {
        code: "malware".to_owned(),
        message: "the service found malware in the file and does not hand it out".to_owned(),
    }
}

struct Reader<'a> {
    graph: &'a Arc<Graph>,
    memory: &'a Arc<Memory>,
    drive: &'a str,
    id: &'a str,
}

/// What became of comparing content that is in memory.
enum Verdict {
    Stored(Box<ItemHead>),
    /// Read again, with this head.
    Again(Box<ItemHead>),
    Gone,
}

impl Reader<'_> {
    async fn fetch(&self, listed: &ItemHead) -> Result<Fetched, Fault> {
        let mut head = self.with_sharing(listed.clone()).await?;
        if head.kind != ItemKind::File {
            return Ok(Fetched::Content {
                head: Box::new(head),
                parts: Vec::new(),
            });
        }
        let mut doubt = self.memory.doubt(self.drive, self.id);
        if doubt.is_some() {
            match self.current(&head).await? {
                Some(now) => head = now,
                None => return Ok(Fetched::Gone),
            }
        }
        for _ in 0..MAX_READS {
            let facts = facts_of(&head);
            if facts.malware {
                return Ok(malware());
            }
            doubt = doubt.filter(|doubt| doubt.etag == facts.etag);
            let mut download = Download::new(self.graph, self.drive, self.id);
            let opened = match download.open(0).await {
                Ok(opened) => opened,
                Err(fault) => return self.unreadable(&head, fault).await,
            };
            let length = opened.total.or(facts.size);
            let body = download.read(opened);
            if length.is_none_or(|length| length > READ_AHEAD_BYTES) {
                return Ok(self.streamed(head, facts, doubt, body));
            }
            let whole = gather(body).await?;
            match self.judge(head, &facts, &mut doubt, &whole).await? {
                Verdict::Stored(head) => {
                    self.memory.set_doubt(self.drive, self.id, None);
                    let part = PartContent {
                        name: "content".to_owned(),
                        media_type: facts_of(&head).media_type,
                        length: Some(whole.len() as u64),
                        body: stream::iter([Ok(whole)]).boxed(),
                    };
                    return Ok(Fetched::Content {
                        head,
                        parts: vec![part],
                    });
                }
                Verdict::Again(now) => head = *now,
                Verdict::Gone => return Ok(Fetched::Gone),
            }
        }
        Err(Fault::Ready(Error::new(
            ErrorKind::Unavailable,
            format!("{WHAT}: it does not stay the same while it is read"),
        )))
    }

    /// Compares content with what the service says of it.
    async fn judge(
        &self,
        mut head: ItemHead,
        facts: &Facts,
        doubt: &mut Option<Doubt>,
        whole: &Bytes,
    ) -> Result<Verdict, Fault> {
        let mut hash = QuickXorHash::new();
        hash.update(whole);
        let (length, hash) = (hash.length(), hash.finish());
        let verdict = facts.agree(length, &hash);
        if verdict == Some(true) {
            return Ok(Verdict::Stored(Box::new(head)));
        }
        let Some(now) = self.current(&head).await? else {
            return Ok(Verdict::Gone);
        };
        let new = facts_of(&now);
        let same = new.etag == facts.etag;
        if same && verdict.is_none() || new.agree(length, &hash) == Some(true) {
            return Ok(Verdict::Stored(Box::new(now)));
        }
        let found = Doubt {
            etag: new.etag,
            length,
            hash,
        };
        if same && doubt.as_ref() == Some(&found) {
            head.properties.insert(MISMATCH.to_owned(), Value::Bool(true));
            return Ok(Verdict::Stored(Box::new(head)));
        }
        *doubt = same.then_some(found);
        Ok(Verdict::Again(Box::new(now)))
    }

    /// A file that is too large for memory: what does not match shows at its end, and the engine asks once more.
    fn streamed(
        &self,
        mut head: ItemHead,
        facts: Facts,
        doubt: Option<Doubt>,
        mut body: BoxStream<'static, Result<Bytes, Fault>>,
    ) -> Fetched {
        if doubt.is_some() {
            head.properties.insert(MISMATCH.to_owned(), Value::Bool(true));
        }
        let (graph, memory) = (Arc::clone(self.graph), Arc::clone(self.memory));
        let (drive, id) = (self.drive.to_owned(), self.id.to_owned());
        let media_type = facts.media_type.clone();
        let failed = |fault: Fault| fault.into_error(WHAT, Some(READ_PERMISSION));
        let content = async_stream::try_stream! {
            let mut hash = QuickXorHash::new();
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(failed)?;
                hash.update(&piece);
                yield piece;
            }
            let (length, hash) = (hash.length(), hash.finish());
            let good = match facts.agree(length, &hash) {
                Some(good) => good,
                // No hash: it must not have changed meanwhile.
                None => etag_now(&graph, &drive, &id).await.map_err(failed)? == facts.etag,
            };
            let found = Doubt { etag: facts.etag, length, hash };
            let known = doubt.as_ref() == Some(&found);
            memory.set_doubt(&drive, &id, (!good && !known).then_some(found));
            if !good && !known {
                Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("{WHAT}: its content is not what the service says of it (changed, or cut)"),
                ))?;
            }
        };
        Fetched::Content {
            head: Box::new(head),
            parts: vec![PartContent {
                name: "content".to_owned(),
                media_type,
                length: None,
                body: content.boxed(),
            }],
        }
    }

    /// The head as it is now; none if the item is gone.
    async fn current(&self, listed: &ItemHead) -> Result<Option<ItemHead>, Fault> {
        let ids = [self.drive, self.id];
        let call = self.graph.call(&Scope::Files, Operation::DriveItem, &ids, &[])?;
        let text = match self.graph.executor.json(&call).await {
            Ok(text) => text,
            Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        match map::element(&text) {
            Element::Item(mut head) if head.item.id == self.id => {
                // It stays in the container it was listed in; a move shows up in the next round.
                head.item = listed.item.clone();
                self.with_sharing(*head).await.map(Some)
            }
            Element::Deleted { .. } => Ok(None),
            _ => Err(Fault::Protocol {
                code: "wrong_item",
                message: "the answer is another item".to_owned(),
            }),
        }
    }

    async fn with_sharing(&self, head: ItemHead) -> Result<ItemHead, Fault> {
        sharing::with_permissions(self.graph, self.drive, head).await
    }

    /// Files of notebooks often can never be read (contract 6.1): then the cause is named instead of a failure each time.
    async fn unreadable(&self, head: &ItemHead, fault: Fault) -> Result<Fetched, Fault> {
        if !fault.refused_as(|refusal| matches!(refusal.status, 500..=504)) {
            return Err(fault);
        }
        let mut at = head.item.container.clone();
        for _ in 0..MAX_NOTEBOOK_DEPTH {
            if at.is_empty() {
                break;
            }
            let call = self
                .graph
                .call(&Scope::Files, Operation::DriveItem, &[self.drive, &at], &[])?;
            let Ok(text) = self.graph.executor.json(&call).await else {
                break;
            };
            let Some(fields) = Fields::parse(&text) else { break };
            if fields.has("package") {
                return Ok(Fetched::Skipped {
                    code: "notebook".to_owned(),
                    message: "a file of a notebook, which the service does not hand out".to_owned(),
                });
            }
            let parent = fields
                .object("parentReference")
                .and_then(|parent| parent.text("id"));
            match parent.filter(|_| !fields.has("root")) {
                Some(parent) => at = parent,
                None => break,
            }
        }
        Err(fault)
    }
}

async fn etag_now(graph: &Graph, drive: &str, id: &str) -> Result<Option<String>, Fault> {
    let call = graph.call(&Scope::Files, Operation::DriveItem, &[drive, id], &[])?;
    let text = graph.executor.json(&call).await?;
    Ok(Facts::of(&text).and_then(|facts| facts.etag))
}

pub(crate) fn facts_of(head: &ItemHead) -> Facts {
    let raw = head.raw.as_ref().map(|raw| String::from_utf8_lossy(raw));
    raw.and_then(|raw| Facts::of(&raw)).unwrap_or(Facts {
        etag: head.change_key.clone(),
        size: head.size,
        hash: None,
        media_type: None,
        malware: false,
    })
}

/// The whole body; it is known to be small, or the service lied and it is too much.
async fn gather(mut body: BoxStream<'static, Result<Bytes, Fault>>) -> Result<Bytes, Fault> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await {
        whole.extend_from_slice(&piece?);
        if whole.len() as u64 > 2 * READ_AHEAD_BYTES {
            return Err(Fault::TooLarge {
                limit: 2 * READ_AHEAD_BYTES,
            });
        }
    }
    Ok(whole.freeze())
}
