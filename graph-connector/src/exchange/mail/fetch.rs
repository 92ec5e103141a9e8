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

use super::{READ_PERMISSION, map};
use crate::exchange::scope_of;
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
    let reader = Reader {
        graph,
        scope,
        user: &object.native_id,
        id: &head.item.id,
    };
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
            && head
                .raw
                .as_ref()
                .and_then(etag_of)
                .is_some_and(|known| known != *etag)
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
        let announced = head
            .properties
            .get("has_attachments")
            .and_then(|value| value.as_bool())
            .unwrap_or(false);
        if announced && mime.whole.is_some_and(|whole| !shows_attachments(&whole)) {
            parts.extend(self.attachment_list().await?);
        }
        Ok(Fetched::Content {
            head: Box::new(head),
            parts,
        })
    }

    /// The JSON of the message as it is now.
    async fn whole_head(&self, listed: &ItemHead) -> Result<ItemHead, Fault> {
        let ids = [self.user, self.id];
        let call = self.graph.outlook(&self.scope, Operation::Message, &ids, &[])?;
        let text = self.graph.executor.json(&call).await?;
        let wrong = |message: &str| Fault::Protocol {
            code: "wrong_item",
            message: message.to_owned(),
        };
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
        let call = self
            .graph
            .outlook(&self.scope, Operation::MessageMime, &ids, &[])?
            .bytes();
        let mut backoff = Backoff::new();
        let mut doubtful: Option<Bytes> = None;
        loop {
            let answer = self.graph.executor.stream(&call).await?;
            match read_ahead(answer).await {
                // Whole as far as HTTP knows, and without its end. Some mail is like that: then it comes twice alike.
                Ok(mime)
                    if mime
                        .whole
                        .as_ref()
                        .is_some_and(|whole| !has_end(whole) && doubtful.as_ref() != Some(whole)) =>
                {
                    if backoff.tries() + 1 >= MAX_BODY_TRIES {
                        let error = HttpError::Broken("the message comes without its end".to_owned());
                        return Err(Fault::Transport {
                            error,
                            ambiguous: true,
                        });
                    }
                    doubtful = mime.whole;
                    self.graph.executor.pause(&mut backoff, None).await?;
                }
                Ok(mime) => return Ok(mime),
                Err(error) => {
                    if backoff.tries() + 1 >= MAX_BODY_TRIES {
                        return Err(Fault::Transport {
                            error,
                            ambiguous: true,
                        });
                    }
                    self.graph.executor.pause(&mut backoff, None).await?;
                }
            }
        }
    }

    /// Metadata of the attachments, without their content.
    async fn attachment_list(&self) -> Result<Option<PartContent>, Fault> {
        let query = [(
            "$select",
            "id,name,contentType,size,isInline,lastModifiedDateTime",
        )];
        let ids = [self.user, self.id];
        let call = self
            .graph
            .call(&self.scope, Operation::Attachments, &ids, &query)?
            .header(PREFER, IMMUTABLE_IDS);
        let list = pages::all(self.graph, &self.scope, call, 10_000).await?;
        if list.is_empty() {
            return Ok(None);
        }
        let text = Bytes::from(format!("[{}]", list.join(",")));
        Ok(Some(PartContent::whole("attachments", "application/json", text)))
    }
}

struct Mime {
    length: Option<u64>,
    etag: Option<String>,
    /// The message, if it was read ahead to its end.
    whole: Option<Bytes>,
    body: BoxStream<'static, Result<Bytes>>,
}

async fn read_ahead(answer: Answer) -> Result<Mime, HttpError> {
    let announced = answer.length();
    let etag = answer
        .headers
        .get("etag")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
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
                    whole: Some(start.clone()),
                    body: stream::iter([Ok(start)]).boxed(),
                });
            }
        }
    }
    let rest = body.map(|piece| {
        piece.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("{WHAT}: the content broke off: {error}"),
            )
        })
    });
    let body = stream::iter([Ok(start.freeze())]).chain(rest).boxed();
    Ok(Mime {
        length: announced,
        etag,
        whole: None,
        body,
    })
}

/// Whether a message ends where its structure says: a multipart message with its closing boundary, any other after its
/// header.
fn has_end(mime: &[u8]) -> bool {
    let Some(header_end) =
        find_ignoring_case(mime, b"\r\n\r\n").or_else(|| find_ignoring_case(mime, b"\n\n"))
    else {
        return false;
    };
    let header = String::from_utf8_lossy(&mime[..header_end])
        .replace("\r\n", "\n")
        .replace("\n\t", " ")
        .replace("\n ", " ");
    let content_type = header.lines().find(|line| {
        line.get(..13)
            .is_some_and(|name| name.eq_ignore_ascii_case("content-type:"))
    });
    let Some(boundary) = content_type
        .filter(|line| line.to_ascii_lowercase().contains("multipart/"))
        .and_then(boundary)
    else {
        return true;
    };
    let closing = format!("--{boundary}--");
    let Some(at) = mime
        .windows(closing.len())
        .rposition(|window| window == closing.as_bytes())
    else {
        return false;
    };
    // Anything but white space after the end was not there when the message was made.
    mime[at + closing.len()..].iter().all(u8::is_ascii_whitespace)
}

fn boundary(content_type: &str) -> Option<String> {
    let lower = content_type.to_ascii_lowercase();
    let rest = content_type.get(lower.find("boundary=")? + 9..)?;
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split([';', ' ', '\t']).next()?,
    };
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether some part says that it is an attachment or has a file name. Cheap, and errs towards yes.
fn shows_attachments(mime: &[u8]) -> bool {
    ["attachment", "name=", "name*", "message/rfc822", "content-id:"]
        .iter()
        .any(|needle| find_ignoring_case(mime, needle.as_bytes()).is_some())
}

fn find_ignoring_case(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window.eq_ignore_ascii_case(needle))
}

fn etag_of(raw: &Bytes) -> Option<String> {
    Fields::parse(std::str::from_utf8(raw).ok()?)?.text("@odata.etag")
}
