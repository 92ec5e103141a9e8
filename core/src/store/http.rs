//! The HTTP client under the object stores: rustls with ring, bounds on every wait, no redirects.
//!
//! `object_store` brings a client of its own that needs a second version of `reqwest` and a C build of aws-lc; this one is
//! the client that the rest of the workspace uses.

use std::error::Error as _;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};

use crate::error::{Error, ErrorKind, Result};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence while waiting for an answer or for the next piece of one.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes per second below which sending is given up.
const SLOWEST_SENDING: u64 = 32 << 10;

/// One client for what sends nothing, whose silence is bounded, and one for what sends: its silence lasts as long as the
/// sending, so the time of the whole request is bounded instead.
#[derive(Debug, Clone)]
pub(super) struct Http {
    reading: reqwest::Client,
    sending: reqwest::Client,
    /// Signs anew what gets a lock on its way.
    #[cfg(feature = "s3")]
    signer: Option<std::sync::Arc<super::s3_locks::Signer>>,
}

impl Http {
    /// A client that trusts the public authorities and those in `ca` (PEM).
    pub(super) fn new(allow_http: bool, ca: Option<&[u8]>) -> Result<Self> {
        let mut roots = Vec::new();
        if let Some(pem) = ca {
            roots = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
            if roots.is_empty() {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "ca_file: holds no certificate; allowed: certificates in PEM",
                ));
            }
        }
        let build = |read_timeout: Option<Duration>| {
            let mut builder = reqwest::Client::builder()
                .user_agent(concat!("nakivo-core/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .https_only(!allow_http)
                .http1_only()
                // Whoever else switches these on in the same program must not change the bytes that come.
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate();
            if let Some(timeout) = read_timeout {
                builder = builder.read_timeout(timeout);
            }
            for root in &roots {
                builder = builder.add_root_certificate(root.clone());
            }
            builder.build().map_err(|error| {
                Error::new(ErrorKind::InvalidInput, format!("HTTP client: {error}"))
                    .with_hint("Check ca_file in the store settings.")
            })
        };
        Ok(Self {
            reading: build(Some(READ_TIMEOUT))?,
            sending: build(None)?,
            #[cfg(feature = "s3")]
            signer: None,
        })
    }

    /// The same client; a put that asks for a lock gets one.
    #[cfg(feature = "s3")]
    pub(super) fn with_signer(mut self, signer: std::sync::Arc<super::s3_locks::Signer>) -> Self {
        self.signer = Some(signer);
        self
    }
}

impl HttpConnector for Http {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[cfg(feature = "s3")]
impl Http {
    /// The request with the lock that it asks for.
    fn locked(&self, mut request: HttpRequest) -> std::result::Result<HttpRequest, HttpError> {
        if let (Some(until), Some(signer)) = (
            request.extensions().get::<super::RetainUntil>().copied(),
            &self.signer,
        ) {
            signer
                .lock(&mut request, until.0)
                .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        }
        Ok(request)
    }
}

#[async_trait]
impl HttpService for Http {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        #[cfg(feature = "s3")]
        let request = self.locked(request)?;
        let (parts, body) = request.into_parts();
        let url = reqwest::Url::parse(&parts.uri.to_string())
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let length = body.content_length() as u64;
        let client = if length == 0 { &self.reading } else { &self.sending };
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        if length > 0 {
            *request.timeout_mut() = Some(READ_TIMEOUT + Duration::from_secs(length / SLOWEST_SENDING));
        }
        let response = client.execute(request).await.map_err(cause)?;
        let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let body = HttpResponseBody::new(body.map_err(cause));
        Ok(HttpResponse::from_parts(parts, body))
    }
}

/// What went wrong, as far as it decides whether the request may be repeated. The URL, which may hold a signature, is left
/// out: who reports it knows whether it does.
fn cause(error: reqwest::Error) -> HttpError {
    let mut kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_decode() {
        HttpErrorKind::Decode
    } else {
        HttpErrorKind::Unknown
    };
    let mut source = error.source();
    while let (HttpErrorKind::Unknown, Some(inner)) = (kind, source) {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            kind = match io.kind() {
                std::io::ErrorKind::TimedOut => HttpErrorKind::Timeout,
                std::io::ErrorKind::ConnectionAborted
                | std::io::ErrorKind::ConnectionReset
                | std::io::ErrorKind::BrokenPipe
                | std::io::ErrorKind::UnexpectedEof => HttpErrorKind::Interrupted,
                _ => kind,
            };
        }
        source = inner.source();
    }
    if kind == HttpErrorKind::Unknown && (error.is_request() || error.is_body()) {
        // The connection ended before the answer did, or while the request was sent.
        kind = HttpErrorKind::Interrupted;
    }
    HttpError::new(kind, error.without_url())
}
