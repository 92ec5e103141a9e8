//! The content of a file as a stream that survives breaks: the rest is asked for by range, at a new address if the old one
//! has expired.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, HeaderMap, LOCATION, RANGE};

use crate::executor::{Answer, Backoff};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::http::HttpError;
use crate::request::Operation;

/// Addresses that are asked for in turn before an answer that refuses them is believed.
const MAX_ADDRESSES: u32 = 3;
/// Breaks in a row, without a byte between them, before a download is given up.
const MAX_BREAKS: u32 = 6;

/// One file to be read.
pub(crate) struct Download {
    graph: Arc<Graph>,
    drive: String,
    id: String,
    /// Pre-authenticated and short-lived; kept in memory only.
    address: Option<String>,
}

/// Content from some byte on.
pub(crate) struct Opened {
    /// Length of the whole content, where the service said so.
    pub(crate) total: Option<u64>,
    body: BoxStream<'static, Result<Bytes, HttpError>>,
}

impl Download {
    pub(crate) fn new(graph: &Arc<Graph>, drive: &str, id: &str) -> Self {
        Self {
            graph: Arc::clone(graph),
            drive: drive.to_owned(),
            id: id.to_owned(),
            address: None,
        }
    }

    /// Opens the content from byte `at` on.
    ///
    /// # Errors
    /// A refusal of the item itself (gone, malware, locked); a refusal that new addresses do not help against.
    pub(crate) async fn open(&mut self, at: u64) -> Result<Opened, Fault> {
        let mut tries = 0;
        loop {
            let address = match &self.address {
                Some(address) => address.clone(),
                None => match self.resolve().await? {
                    Place::At(address) => self.address.insert(address).clone(),
                    Place::Here(answer) => return from(answer, at),
                },
            };
            let mut call = self.graph.storage(&Scope::Files, Method::GET, &address)?.bytes();
            if at > 0 {
                call = call.header(RANGE, &format!("bytes={at}-"));
            }
            match self.graph.executor.stream(&call).await {
                Ok(answer) => return from(answer, at),
                Err(fault) => {
                    tries += 1;
                    let expired = fault.refused_as(|refusal| {
                        matches!(refusal.status, 401 | 403 | 404 | 410) && !refusal.malware()
                    });
                    if !expired || tries >= MAX_ADDRESSES {
                        return Err(fault);
                    }
                    self.address = None;
                }
            }
        }
    }

    /// Asks Graph where the content is.
    async fn resolve(&self) -> Result<Place, Fault> {
        let ids = [self.drive.as_str(), self.id.as_str()];
        let mut call = self
            .graph
            .call(&Scope::Files, Operation::DriveContent, &ids, &[])?
            .bytes();
        call.redirects = true;
        let answer = self.graph.executor.stream(&call).await?;
        if answer.status < 300 {
            return Ok(Place::Here(answer));
        }
        let address = answer
            .headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        address.map(Place::At).ok_or(Fault::Protocol {
            code: "no_address",
            message: "a redirect to the content names no address".to_owned(),
        })
    }

    /// All bytes from `opened` on. Breaks are mended; what cannot be mended ends the stream with the fault.
    pub(crate) fn read(mut self, opened: Opened) -> BoxStream<'static, Result<Bytes, Fault>> {
        async_stream::try_stream! {
            let (mut at, mut breaks, mut backoff) = (0u64, 0, Backoff::new());
            let Opened { mut total, mut body } = opened;
            loop {
                let broken = match body.next().await {
                    Some(Ok(piece)) => {
                        at += piece.len() as u64;
                        breaks = 0;
                        yield piece;
                        continue;
                    }
                    Some(Err(error)) => error,
                    None if total.is_none_or(|total| at >= total) => break,
                    None => HttpError::Broken(format!("the content ended after {at} bytes")),
                };
                loop {
                    breaks += 1;
                    if breaks >= MAX_BREAKS {
                        Err(Fault::Transport { error: broken.clone(), ambiguous: true })?;
                    }
                    self.graph.executor.pause(&mut backoff, None).await?;
                    match self.open(at).await {
                        Ok(again) => {
                            total = again.total.or(total);
                            body = again.body;
                            break;
                        }
                        Err(Fault::Transport { .. }) => {}
                        Err(fault) => Err(fault)?,
                    }
                }
            }
        }
        .boxed()
    }
}

enum Place {
    At(String),
    /// The content came at once.
    Here(Answer),
}

/// What an answer gives of the content from byte `at` on.
fn from(answer: Answer, at: u64) -> Result<Opened, Fault> {
    if answer.status == 206 {
        let (first, total) = range_of(&answer.headers).ok_or(Fault::Protocol {
            code: "bad_range",
            message: "a part of the content does not say which".to_owned(),
        })?;
        if first != at {
            return Err(Fault::Protocol {
                code: "bad_range",
                message: "another part of the content came than was asked for".to_owned(),
            });
        }
        return Ok(Opened {
            total,
            body: answer.body,
        });
    }
    // The whole content: what is known already is skipped.
    let total = answer.length();
    let mut skip = at;
    let body = answer.body.map(move |piece| {
        piece.map(|mut piece: Bytes| {
            let cut = skip.min(piece.len() as u64);
            skip -= cut;
            piece.split_off(cut as usize)
        })
    });
    Ok(Opened {
        total,
        body: body.boxed(),
    })
}

/// `bytes 5-9/10`: the first byte, and the length of the whole.
fn range_of(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (span, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let first = span.split_once('-')?.0.trim().parse().ok()?;
    Some((first, total.trim().parse().ok()))
}
