//! The seam below the executor: one request out, one answer back, no policy.
//!
//! Retries, tokens, throttling and limits are the executor's. An implementation only sends what it is given, follows no
//! redirect, and streams the body. Tests replace it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

/// Longest time to establish a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest silence while waiting for an answer or for the next piece of a body.
pub const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// One request, ready to send.
#[derive(Clone)]
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Address.
    pub url: Url,
    /// Headers; `authorization` among them where needed.
    pub headers: HeaderMap,
    /// Body; empty for none.
    pub body: Bytes,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither headers (tokens) nor body (secrets, mail) nor query (upload and download URLs carry signatures).
        write!(
            f,
            "{} {}{}",
            self.method,
            self.url.host_str().unwrap_or_default(),
            self.url.path()
        )
    }
}

/// An answer whose body has not been read yet.
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; ends with an error if it was cut short.
    pub body: BoxStream<'static, Result<Bytes, HttpError>>,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection: the request was not sent.
    #[error("no connection: {0}")]
    NotSent(String),
    /// The service did not answer in time; whether it acted is not known.
    #[error("no answer in time")]
    TimedOut,
    /// The connection broke while the request or its answer was on the way; whether the service acted is not known.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Sends requests.
#[async_trait]
pub trait Http: Send + Sync + fmt::Debug {
    /// Sends `request` and returns once the headers of the answer are there.
    ///
    /// # Errors
    /// [`HttpError`] if no answer came. An answer of any status is not an error.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError>;
}

/// The network: HTTP/1.1 and HTTP/2 over rustls.
#[derive(Clone)]
pub struct ReqwestHttp {
    client: reqwest::Client,
}

impl fmt::Debug for ReqwestHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReqwestHttp")
    }
}

impl ReqwestHttp {
    /// A client with its own connection pool. Redirects are not followed, cookies not kept.
    ///
    /// # Errors
    /// `Internal` if TLS cannot be set up.
    pub fn new() -> nakivo_core::Result<Self> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .build()
            .map_err(|error| nakivo_core::Error::internal(format!("HTTP client: {}", error.without_url())))?;
        Ok(Self { client })
    }
}

#[async_trait]
impl Http for ReqwestHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let HttpRequest {
            method,
            url,
            headers,
            body,
        } = request;
        let mut builder = self.client.request(method.clone(), url).headers(headers);
        if !body.is_empty() || method == Method::POST || method == Method::PUT || method == Method::PATCH {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(cause)?;
        Ok(HttpResponse {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes_stream().map(|piece| piece.map_err(cause)).boxed(),
        })
    }
}

/// Drops the URL, which may carry a signature, and keeps the innermost cause.
fn cause(error: reqwest::Error) -> HttpError {
    if error.is_timeout() && !error.is_connect() {
        return HttpError::TimedOut;
    }
    let connect = error.is_connect();
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    if connect {
        HttpError::NotSent(text)
    } else {
        HttpError::Broken(text)
    }
}
