//! Reads one message: its MIME as a stream, and its JSON where delta did not bring it whole.
//!
//! One request for a message that delta delivered whole. Links to files elsewhere (reference attachments) are the one
//! kind of attachment that MIME does not carry; their metadata is asked for when the message says that it has
//! attachments and its MIME shows none.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nakivo_core::connector::{Fetched, ItemHead, PartContent};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::{Error, ErrorKind, Result};

use super::{READ_PERMISSION, map, scope_of};
use crate::executor::{Answer, Backoff};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::{Graph, IMMUTABLE_IDS, PREFER};
use crate::http::HttpError;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

/// Up to this much of the MIME is read before it is handed out: a body that breaks off until then is asked for again,
/// and most messages free their slot at once.
const READ_AHEAD_BYTES: usize = 4 << 20;
/// Tries of a body that breaks off within the read-ahead.
const MAX_BODY_TRIES: u32 = 4;
const WHAT: &str = "reading a message";

/// Opens the content of `head`.
pub(crate) async fn fetch(graph: &Graph, object: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
    let scope = scope_of(object);
    let reader = Reader { graph, scope, user: &object.native_id, id: &head.item.id };
    match reader.fetch(head).await {
        Ok(fetched) => Ok(fetched),
        Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Ok(Fetched::Gone),
        Err(fault) => Err(fault.into_error(WHAT, Some(READ_PERMISSION))),
    }
}

struct Reader<'a> {
    graph: &'a Graph,
    scope: Scope,
    user: &'a str,
    id: &'a str,
}

impl Reader<'_> {
    async fn fetch(&self, head: &ItemHead) -> Result<Fetched, Fault> {
        let mut head = match &head.raw {
            Some(_) => head.clone(),
            None => self.whole_head(head).await?,
        };
        let mime = self.mime().await?;
        if let Some(etag) = &mime.etag
            && head.raw.as_ref().and_then(|raw| etag_of(raw)).is_some_and(|known| known != *etag)
        {
            // Changed between listing and reading: JSON and MIME are to be of one version.
            head = self.whole_head(&head).await?;
        }
        let mut parts = vec![PartContent {
            name: "mime".to_owned(),
            media_type: Some("message/rfc822".to_owned()),
            length: mime.length,
            body: mime.body,
        }];
        let announced = head.properties.get("has_attachments").and_then(|value| value.as_bool()).unwrap_or(false);
        if announced && mime.shows_attachments == Some(false) {
            parts.extend(self.attachment_list().await?);
        }
        Ok(Fetched::Content { head: Box::new(head), parts })
    }

    /// The JSON of the message as it is now.
    async fn whole_head(&self, listed: &ItemHead) -> Result<ItemHead, Fault> {
        let ids = [self.user, self.id];
        let call = self.graph.outlook(&self.scope, Operation::Message, &ids, &[])?;
        let text = self.graph.executor.json(&call).await?;
        let wrong = |message: &str| Fault::Protocol { code: "wrong_item", message: message.to_owned() };
        let mut head = map::message(&text).ok_or_else(|| wrong("the answer is not a message"))?;
        if head.item.id != self.id {
            return Err(wrong("the answer is another message"));
        }
        // It stays in the container it was listed in; a move shows up in the rounds.
        head.item = listed.item.clone();
        head.raw = Some(Bytes::from(text));
        Ok(head)
    }

    async fn mime(&self) -> Result<Mime, Fault> {
        let ids = [self.user, self.id];
        let call = self.graph.outlook(&self.scope, Operation::MessageMime, &ids, &[])?.bytes();
        let mut backoff = Backoff::new();
        loop {
            let answer = self.graph.executor.stream(&call).await?;
            match read_ahead(answer).await {
                Ok(mime) => return Ok(mime),
                Err(error) => {
                    if backoff.tries() + 1 >= MAX_BODY_TRIES {
                        return Err(Fault::Transport { error, ambiguous: true });
                    }
                    self.graph.executor.pause(&mut backoff, None).await.map_err(Fault::Ready)?;
                }
            }
        }
    }

    /// Metadata of the attachments, without their content.
    async fn attachment_list(&self) -> Result<Option<PartContent>, Fault> {
        let query = [("$select", "id,name,contentType,size,isInline,lastModifiedDateTime")];
        let ids = [self.user, self.id];
        let call = self.graph.call(&self.scope, Operation::Attachments, &ids, &query)?.header(PREFER, IMMUTABLE_IDS);
        let list = pages::all(self.graph, &self.scope, call, 10_000).await?;
        if list.is_empty() {
            return Ok(None);
        }
        let text = Bytes::from(format!("[{}]", list.join(",")));
        Ok(Some(PartContent {
            name: "attachments".to_owned(),
            media_type: Some("application/json".to_owned()),
            length: Some(text.len() as u64),
            body: stream::iter([Ok(text)]).boxed(),
        }))
    }
}

struct Mime {
    length: Option<u64>,
    etag: Option<String>,
    /// Known only if the whole message was read ahead.
    shows_attachments: Option<bool>,
    body: BoxStream<'static, Result<Bytes>>,
}

async fn read_ahead(answer: Answer) -> Result<Mime, HttpError> {
    let announced = answer.length();
    let etag = answer.headers.get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = answer.body;
    let mut start = BytesMut::new();
    while start.len() <= READ_AHEAD_BYTES {
        match body.next().await {
            Some(piece) => start.extend_from_slice(&piece?),
            None => {
                let start = start.freeze();
                let read = start.len() as u64;
                if announced.is_some_and(|announced| announced != read) {
                    return Err(HttpError::Broken(format!("the body ended after {read} bytes")));
                }
                if start.is_empty() {
                    // A message always has a header; an empty body was cut before its first byte.
                    return Err(HttpError::Broken("the body is empty".to_owned()));
                }
                return Ok(Mime {
                    length: Some(read),
                    etag,
                    shows_attachments: Some(shows_attachments(&start)),
                    body: stream::iter([Ok(start)]).boxed(),
                });
            }
        }
    }
    let rest = body.map(|piece| {
        piece.map_err(|error| Error::new(ErrorKind::Unavailable, format!("{WHAT}: the content broke off: {error}")))
    });
    let body = stream::iter([Ok(start.freeze())]).chain(rest).boxed();
    Ok(Mime { length: announced, etag, shows_attachments: None, body })
}

/// Whether some part says that it is an attachment or has a file name. Cheap, and errs towards yes.
fn shows_attachments(mime: &[u8]) -> bool {
    ["attachment", "name=", "name*", "message/rfc822", "content-id:"]
        .iter()
        .any(|needle| find_ignoring_case(mime, needle.as_bytes()))
}

fn find_ignoring_case(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

fn etag_of(raw: &Bytes) -> Option<String> {
    Fields::parse(std::str::from_utf8(raw).ok()?)?.text("@odata.etag")
}
