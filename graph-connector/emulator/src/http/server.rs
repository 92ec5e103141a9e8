//! Three listeners on loopback, HTTP/1.1, each connection served by hyper, so that a fault can also drop it.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use futures::stream::StreamExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::faults::Damage;
use crate::http::reply::{Body, Reply};

/// Largest request body that is read: an upload range with room to spare.
pub(crate) const MAX_BODY: usize = 64 * 1024 * 1024;

/// The connection is to be dropped without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped by an injected fault")]
pub(crate) struct Dropped;

/// Raised inside a body to cut the connection.
#[derive(Debug, thiserror::Error)]
#[error("body cut by an injected fault")]
struct Cut;

/// What a listener's code gets: method, target, headers (lower-case names), body.
pub(crate) struct Incoming {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// What it gives back.
pub(crate) struct Outgoing {
    pub reply: Reply,
    pub damage: Option<Damage>,
    /// Dropped when the body has been sent: ends the request for the concurrency limit.
    pub guard: Option<Box<dyn std::any::Any + Send + Sync>>,
}

/// Serves `listener` until `stop` changes.
pub(crate) fn serve<F, Fut>(listener: TcpListener, mut stop: watch::Receiver<bool>, handler: F)
where
    F: Fn(Incoming) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Outgoing, Dropped>> + Send + 'static,
{
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                _ = stop.changed() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => continue,
                },
            };
            // Small answers must not wait for more to send.
            let _ = stream.set_nodelay(true);
            let handler = Arc::clone(&handler);
            let mut stop = stop.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let handler = Arc::clone(&handler);
                    async move {
                        let incoming = read(request).await?;
                        let out = handler(incoming).await?;
                        Ok::<_, Dropped>(write(out))
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .half_close(false)
                    .serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    _ = connection => {}
                    _ = stop.changed() => {}
                }
            });
        }
    });
}

/// Binds `address`, which must be a loopback address.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    if !address.ip().is_loopback() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "the emulator listens on loopback addresses only",
        ));
    }
    let listener = TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

async fn read(request: hyper::Request<hyper::body::Incoming>) -> Result<Incoming, Dropped> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(HttpBody::new(body), MAX_BODY)
        .await
        .map_err(|_| Dropped)?;
    let headers = head
        .headers
        .iter()
        .map(|(n, v)| {
            (
                n.as_str().to_owned(),
                String::from_utf8_lossy(v.as_bytes()).into_owned(),
            )
        })
        .collect();
    let target = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    Ok(Incoming {
        method: head.method.as_str().to_owned(),
        target,
        headers,
        body,
    })
}

fn write(out: Outgoing) -> Response<HttpBody> {
    let Outgoing { reply, damage, guard } = out;
    let mut headers = reply.headers;
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let typed = headers
        .iter()
        .any(|(n, _)| n.eq_ignore_ascii_case("content-type"));
    let mut whole: Option<Bytes> = None;
    let body = match reply.body {
        Body::Empty => {
            whole = Some(Bytes::new());
            None
        }
        Body::Json(value) => {
            if !typed {
                headers.push((
                    "Content-Type".into(),
                    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
                        .into(),
                ));
            }
            whole = Some(Bytes::from(serde_json::to_vec(&value).unwrap_or_default()));
            None
        }
        Body::Bytes(bytes) => {
            whole = Some(bytes);
            None
        }
        Body::Stream(pieces) => Some(pieces),
    };
    let body = match (body, whole, damage) {
        (None, Some(bytes), None) => {
            drop(guard);
            HttpBody::from(bytes)
        }
        (None, Some(bytes), Some(damage)) => damaged(bytes, damage, &mut headers),
        (Some(pieces), _, None) => streamed(pieces, guard),
        (Some(pieces), _, Some(damage)) => {
            let mut all = Vec::new();
            pieces.for_each(|p| all.extend_from_slice(&p));
            damaged(Bytes::from(all), damage, &mut headers)
        }
        (None, None, _) => HttpBody::empty(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value.as_bytes()),
        ) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn streamed(
    pieces: crate::http::reply::Pieces,
    guard: Option<Box<dyn std::any::Any + Send + Sync>>,
) -> HttpBody {
    // The guard lives in the closure and ends with the stream.
    let stream = futures::stream::iter(pieces).map(move |piece| {
        let _held = &guard;
        Ok::<_, Infallible>(piece)
    });
    HttpBody::from_stream(stream)
}

fn damaged(bytes: Bytes, damage: Damage, headers: &mut Vec<(String, String)>) -> HttpBody {
    // The length that was announced is no longer that of the body.
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    match damage {
        // Announces everything, sends a part, then the connection breaks.
        Damage::CutAt(at) => {
            let length = bytes.len();
            let sent = bytes.slice(..at.min(length.saturating_sub(1)));
            headers.push(("Content-Length".into(), length.to_string()));
            let parts: Vec<Result<Bytes, Cut>> = vec![Ok(sent), Err(Cut)];
            HttpBody::from_stream(futures::stream::iter(parts))
        }
        // Same without a length: a chunked body that never ends properly.
        Damage::CutChunkedAt(at) => {
            let sent = bytes.slice(..at.min(bytes.len()));
            let parts: Vec<Result<Bytes, Cut>> = vec![Ok(sent), Err(Cut)];
            HttpBody::from_stream(futures::stream::iter(parts))
        }
        // Complete for HTTP, but not what it should be.
        Damage::ShortenTo(at) => HttpBody::from(bytes.slice(..at.min(bytes.len()))),
        Damage::Append(extra) => {
            let mut all = bytes.to_vec();
            all.extend_from_slice(extra.as_bytes());
            HttpBody::from(all)
        }
    }
}
