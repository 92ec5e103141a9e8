//! Writes the content of one file: in an upload session, in fragments, original times set with it.
//!
//! A session makes nothing visible before its last byte is there, so a file is whole or not there at all, and what it
//! replaces stays the current version until then.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::connector::ContentSource;
use nakivo_core::{Error, ErrorKind};
use reqwest::Method;
use reqwest::header::CONTENT_RANGE;
use serde_json::{Value, json};

use super::hash::QuickXorHash;
use super::map::Facts;
use crate::executor::Backoff;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::request::Operation;

/// Every fragment but the last is a multiple of this (contract 6.2).
const GRAIN_BYTES: usize = 327_680;
/// Bytes of a fragment: what the contract advises, and 4 of them at once are 20 MiB.
const FRAGMENT_BYTES: usize = 16 * GRAIN_BYTES;
/// Sessions begun for one file before it is given up.
const MAX_SESSIONS: u32 = 4;

/// Where a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goal<'a> {
    /// A new file in this folder; nothing that exists is touched.
    New { parent: &'a str, name: &'a str },
    /// A new version of this file.
    Version { id: &'a str },
}

/// What is written.
pub(crate) struct Upload<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) drive: &'a str,
    pub(crate) content: &'a dyn ContentSource,
    pub(crate) length: u64,
    /// `fileSystemInfo`.
    pub(crate) times: Value,
    /// What is stored may differ from what is sent.
    pub(crate) rewritten: bool,
}

/// What was written: the service's record, and what the content is.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) raw: String,
    pub(crate) hash: String,
    /// The service said that it was made by this call; else it was found, and may be somebody else's.
    pub(crate) made: bool,
}

/// How one session ended.
enum End {
    Done(Written),
    /// The session is gone or out of step; nothing is visible of it, or all.
    Lost {
        hash: Option<String>,
        fault: Fault,
    },
}

/// Reads a stored part in fragments.
struct Fragments {
    body: BoxStream<'static, nakivo_core::Result<Bytes>>,
    buffer: BytesMut,
    hash: QuickXorHash,
}

impl Fragments {
    async fn next(&mut self) -> Result<Bytes, Fault> {
        while self.buffer.len() < FRAGMENT_BYTES {
            match self.body.next().await {
                Some(piece) => {
                    let piece = piece.map_err(Fault::Ready)?;
                    self.hash.update(&piece);
                    self.buffer.extend_from_slice(&piece);
                }
                None => break,
            }
        }
        let length = self.buffer.len().min(FRAGMENT_BYTES);
        Ok(self.buffer.split_to(length).freeze())
    }
}

impl Upload<'_> {
    async fn fragments(&self) -> Result<Fragments, Fault> {
        Ok(Fragments {
            body: self.content.open("content").await.map_err(Fault::Ready)?,
            buffer: BytesMut::new(),
            hash: QuickXorHash::new(),
        })
    }

    /// Length and hash of the stored content.
    pub(crate) async fn hash(&self) -> Result<String, Fault> {
        let mut fragments = self.fragments().await?;
        while !fragments.next().await?.is_empty() {}
        Ok(fragments.hash.finish())
    }

    /// Writes the file. A file of that name that is there already and has this content counts as written: an answer was lost.
    ///
    /// # Errors
    /// `AlreadyExists` if something else has the name.
    pub(crate) async fn write(&self, goal: &Goal<'_>) -> Result<Written, Fault> {
        if self.length == 0 {
            return self.write_empty(goal).await;
        }
        let mut backoff = Backoff::new();
        let mut sessions = 0;
        loop {
            sessions += 1;
            let (hash, fault) = match self.session(goal).await? {
                End::Done(written) => return Ok(written),
                End::Lost { hash, fault } => (hash, fault),
            };
            // The last answer may have been lost: then it is there.
            if let Some(hash) = hash
                && let Some(written) = self.find(goal, hash).await?
            {
                return Ok(written);
            }
            if sessions >= MAX_SESSIONS || fault.refused_as(|refusal| refusal.status == 409) {
                return Err(fault);
            }
            self.graph.executor.pause(&mut backoff, None).await?;
        }
    }

    /// The file of the goal, if it has this content by now.
    async fn find(&self, goal: &Goal<'_>, hash: String) -> Result<Option<Written>, Fault> {
        let raw = match goal {
            Goal::New { parent, name } => child(self.graph, self.drive, parent, name).await?,
            Goal::Version { id } => by_id(self.graph, self.drive, id).await?,
        };
        let same = |raw: &String| {
            Facts::of(raw).and_then(|facts| facts.agree(self.length, &hash)) == Some(true)
                || self.is_rewriting_of(raw)
        };
        Ok(raw.filter(same).map(|raw| Written {
            raw,
            hash,
            made: false,
        }))
    }

    /// A session cannot hold nothing (contract 6.2): an empty file goes in one request, its times in another.
    async fn write_empty(&self, goal: &Goal<'_>) -> Result<Written, Fault> {
        let hash = QuickXorHash::new().finish();
        let scope = &Scope::Files;
        let call = match goal {
            Goal::New { parent, name } => {
                let ids = [self.drive, parent, name];
                let query = [("@microsoft.graph.conflictBehavior", "fail")];
                self.graph.call(scope, Operation::PutDriveChild, &ids, &query)?
            }
            Goal::Version { id } => {
                self.graph
                    .call(scope, Operation::PutDriveContent, &[self.drive, id], &[])?
            }
        };
        let mut call = call.repeatable();
        call.body = Some(("application/octet-stream", Bytes::new()));
        let written = match self.graph.executor.json(&call).await {
            Ok(raw) => Written {
                raw,
                hash,
                made: true,
            },
            Err(fault) => match self.find(goal, hash).await? {
                Some(written) => written,
                None => return Err(fault),
            },
        };
        let id = id_of(&written.raw)?;
        let call = self
            .graph
            .call(scope, Operation::UpdateDriveItem, &[self.drive, &id], &[])?
            .json_body(&json!({ "fileSystemInfo": self.times }))
            .repeatable();
        let raw = self.graph.executor.json(&call).await?;
        Ok(Written { raw, ..written })
    }

    /// One session from beginning to end.
    async fn session(&self, goal: &Goal<'_>) -> Result<End, Fault> {
        let mut fragments = self.fragments().await?;
        let address = match self.begin(goal).await {
            Ok(address) => address,
            // The name may be ours already.
            Err(fault) if fault.refused_as(|refusal| refusal.status == 409) => {
                while !fragments.next().await?.is_empty() {}
                return Ok(End::Lost {
                    hash: Some(fragments.hash.finish()),
                    fault,
                });
            }
            Err(fault) => return Err(fault),
        };
        match self.feed(&address, &mut fragments).await {
            Ok(end) => Ok(end),
            Err(fault) => {
                self.cancel(&address).await;
                Err(fault)
            }
        }
    }

    /// Begins a session; returns its pre-authenticated address.
    async fn begin(&self, goal: &Goal<'_>) -> Result<String, Fault> {
        let mut item = json!({
            "fileSize": self.length,
            "fileSystemInfo": self.times,
        });
        let scope = &Scope::Files;
        let call = match goal {
            Goal::New { parent, name } => {
                item["@microsoft.graph.conflictBehavior"] = json!("fail");
                item["name"] = json!(name);
                let ids = [self.drive, parent, name];
                self.graph.call(scope, Operation::UploadDriveChild, &ids, &[])?
            }
            Goal::Version { id } => {
                item["@microsoft.graph.conflictBehavior"] = json!("replace");
                let ids = [self.drive, id];
                self.graph.call(scope, Operation::UploadDriveVersion, &ids, &[])?
            }
        };
        // A session that nobody feeds ends by itself.
        let call = call.json_body(&json!({ "item": item })).repeatable();
        let text = self.graph.executor.json(&call).await?;
        Fields::parse(&text)
            .and_then(|fields| fields.text("uploadUrl"))
            .ok_or(Fault::Protocol {
                code: "no_upload_url",
                message: "the upload session has no address".into(),
            })
    }

    /// Sends the content to a session.
    async fn feed(&self, address: &str, fragments: &mut Fragments) -> Result<End, Fault> {
        let mut from = 0u64;
        let mut fragment = Bytes::new();
        loop {
            if fragment.is_empty() {
                fragment = fragments.next().await?;
            }
            let to = from + fragment.len() as u64;
            if fragment.is_empty() || to > self.length {
                return Err(Fault::Ready(Error::new(
                    ErrorKind::Corrupt,
                    "the stored content has another length than its record says",
                )));
            }
            let mut call = self
                .graph
                .storage(&Scope::Files, Method::PUT, address)?
                .repeatable();
            call.body = Some(("application/octet-stream", fragment.clone()));
            let call = call.header(CONTENT_RANGE, &format!("bytes {from}-{}/{}", to - 1, self.length));
            let last = to == self.length;
            let hash = || last.then(|| fragments.hash.finish());
            let next = match self.graph.executor.json(&call).await {
                Ok(raw) if last && id_of(&raw).is_ok() => {
                    let hash = fragments.hash.finish();
                    return Ok(End::Done(Written {
                        raw,
                        hash,
                        made: true,
                    }));
                }
                Ok(text) => next_range(&text).unwrap_or(to),
                Err(fault) if fault.refused_as(|refusal| matches!(refusal.status, 404 | 409 | 410)) => {
                    return Ok(End::Lost { hash: hash(), fault });
                }
                // It came twice, or not: the session knows.
                Err(fault) if fault.refused_as(|refusal| refusal.status == 416) => {
                    match self.expected(address).await? {
                        Some(next) => next,
                        None => return Ok(End::Lost { hash: hash(), fault }),
                    }
                }
                Err(fault) => return Err(fault),
            };
            if next < from || next > to || (last && next == to) {
                let fault = Fault::Protocol {
                    code: "session_out_of_step",
                    message: "the upload session expects other bytes than those that follow".into(),
                };
                return Ok(End::Lost { hash: hash(), fault });
            }
            let done = usize::try_from(next - from).unwrap_or(fragment.len());
            fragment = fragment.slice(done..);
            from = next;
        }
    }

    /// The byte that a session expects next; none if it is gone.
    async fn expected(&self, address: &str) -> Result<Option<u64>, Fault> {
        let call = self.graph.storage(&Scope::Files, Method::GET, address)?;
        match self.graph.executor.json(&call).await {
            Ok(text) => Ok(next_range(&text)),
            Err(fault) if fault.refused_as(|refusal| matches!(refusal.status, 404 | 410)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn cancel(&self, address: &str) {
        let Ok(call) = self.graph.storage(&Scope::Files, Method::DELETE, address) else {
            return;
        };
        if let Err(fault) = self.graph.executor.json(&call).await {
            tracing::debug!(error = %fault, "an upload session could not be cancelled; it expires");
        }
    }
}

/// The item of a path below a folder; none if nothing is there.
pub(crate) async fn child(
    graph: &Graph,
    drive: &str,
    parent: &str,
    name: &str,
) -> Result<Option<String>, Fault> {
    let call = graph.call(&Scope::Files, Operation::DriveChild, &[drive, parent, name], &[])?;
    found(graph.executor.json(&call).await)
}

/// An item by its id; none if it is not there.
pub(crate) async fn by_id(graph: &Graph, drive: &str, id: &str) -> Result<Option<String>, Fault> {
    let call = graph.call(&Scope::Files, Operation::DriveItem, &[drive, id], &[])?;
    found(graph.executor.json(&call).await)
}

fn found(answer: Result<String, Fault>) -> Result<Option<String>, Fault> {
    match answer {
        Ok(text) => Ok(Some(text)),
        Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Ok(None),
        Err(fault) => Err(fault),
    }
}

pub(crate) fn id_of(raw: &str) -> Result<String, Fault> {
    Fields::parse(raw)
        .and_then(|fields| fields.text("id"))
        .filter(|id| !id.is_empty())
        .ok_or(Fault::Protocol {
            code: "no_id",
            message: "the answer is no item of a drive".into(),
        })
}

/// `["26-"]`: the first byte that is missing.
fn next_range(text: &str) -> Option<u64> {
    let list = Fields::parse(text)?.list("nextExpectedRanges")?;
    let first = crate::json::lenient_string(list.first()?.get())?;
    first.split('-').next()?.trim().parse().ok()
}
