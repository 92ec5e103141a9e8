//! Replies and errors before they become HTTP.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::clock;

/// An iterator of body pieces, for bodies that are made while they are sent.
pub(crate) type Pieces = Box<dyn Iterator<Item = Bytes> + Send>;

/// The body of a reply.
pub(crate) enum Body {
    Empty,
    Json(Value),
    Bytes(Bytes),
    Stream(Pieces),
}

/// A reply of a handler.
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: vec![],
            body: Body::Json(body),
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: vec![],
            body: Body::Empty,
        }
    }

    pub(crate) fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::empty(status)
            .with("Content-Type", content_type)
            .body(Body::Bytes(body.into()))
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// An error in Graph's envelope.
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub headers: Vec<(String, String)>,
    /// `innerError.code`.
    pub inner: Option<String>,
}

impl GraphError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            headers: vec![],
            inner: None,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn item_not_found() -> Self {
        Self::new(
            404,
            "ErrorItemNotFound",
            "The specified object was not found in the store.",
        )
    }

    /// Nothing has this id; one that is none is told apart.
    pub(crate) fn no_such(well_formed: bool) -> Self {
        if well_formed {
            Self::item_not_found()
        } else {
            Self::malformed_id()
        }
    }

    /// What lacks a permission, as Exchange says it.
    pub(crate) fn access_denied() -> Self {
        Self::new(
            403,
            "ErrorAccessDenied",
            "Access is denied. Check credentials and try again.",
        )
    }

    /// A method that a resource of Exchange does not know.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            405,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        )
    }

    pub(crate) fn malformed_id() -> Self {
        Self::new(400, "ErrorInvalidIdMalformed", "Id is malformed.")
    }

    pub(crate) fn sync_state() -> Self {
        Self::new(
            410,
            "SyncStateNotFound",
            "The sync state generation is not found; continuing an incremental sync requires a full synchronization.",
        )
    }

    pub(crate) fn throttled(retry_after: Option<u64>) -> Self {
        let mut error = Self::new(
            429,
            "ApplicationThrottled",
            "Application is over its MailboxConcurrency limit.",
        );
        if let Some(seconds) = retry_after {
            error = error.with("Retry-After", seconds.to_string());
        }
        error
    }

    /// The reply with the envelope filled in.
    pub(crate) fn reply(&self, request_id: &str, client_request_id: Option<&str>, now_ms: i64) -> Reply {
        let mut inner = json!({
            "date": clock::iso_bare(now_ms),
            "request-id": request_id,
            "client-request-id": client_request_id.unwrap_or(request_id),
        });
        if let (Some(code), Some(map)) = (&self.inner, inner.as_object_mut()) {
            map.insert("code".into(), json!(code));
        }
        let body = json!({"error": {"code": self.code, "message": self.message, "innerError": inner}});
        let mut reply = Reply::json(self.status, body);
        reply.headers.extend(self.headers.iter().cloned());
        reply
    }
}
