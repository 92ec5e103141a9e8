//! What can go wrong between us and Graph, and what each case means to the caller of the SDK.
//!
//! Classified by HTTP status first and by code second, codes compared without case: back-ends spell them differently
//! and may leave them out (contract 2.4).

use std::time::Duration;

use nakivo_core::{Error, ErrorKind};
use serde_json::Value;

use crate::http::HttpError;

/// A failed exchange.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    /// Graph answered with an error status.
    #[error("{0}")]
    Refused(Refusal),
    /// No complete answer.
    #[error("{error}")]
    Transport {
        error: HttpError,
        /// Whether the request may have been carried out.
        ambiguous: bool,
    },
    /// A body was larger than it may be.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// The answer is not what the contract promises.
    #[error("{message} ({code})")]
    Protocol { code: &'static str, message: String },
    /// Already an error of the SDK: tokens, cancellation.
    #[error("{0}")]
    Ready(Error),
}

/// An error status and what came with it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Deepest code of the envelope; empty if there was none.
    pub(crate) code: String,
    /// Whether the body was Graph's error envelope, and not a gateway's page or nothing.
    pub(crate) envelope: bool,
    /// The message, cleaned: one line, no long words.
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// `Location`: where a fresh enumeration begins.
    pub(crate) location: Option<String>,
    /// The download host says that the file has malware.
    pub(crate) infected: bool,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph answered {}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request-id {id})")?;
        }
        Ok(())
    }
}

impl Refusal {
    /// Reads status and body of an error answer. Never fails: bodies may be empty, HTML or cut.
    pub(crate) fn read(
        status: u16,
        body: &[u8],
        request_id: Option<String>,
        retry_after: Option<Duration>,
    ) -> Self {
        let envelope = serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|value| value.get("error").cloned());
        let (code, message) = match &envelope {
            Some(error) => (deepest_code(error), text(error, "message")),
            None => (String::new(), String::new()),
        };
        Self {
            status,
            code,
            envelope: envelope.is_some(),
            message: clean(&message),
            request_id,
            retry_after,
            location: None,
            infected: false,
        }
    }

    /// A refusal that came as a member of a batch, its body already parsed.
    pub(crate) fn member(status: u16, body: &Value, retry_after: Option<Duration>) -> Self {
        let error = body.get("error").filter(|error| error.is_object());
        Self {
            status,
            code: error.map(deepest_code).unwrap_or_default(),
            envelope: error.is_some(),
            message: clean(&error.map(|error| text(error, "message")).unwrap_or_default()),
            request_id: None,
            retry_after,
            location: None,
            infected: false,
        }
    }

    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.eq_ignore_ascii_case(code)
    }

    fn is_any(&self, codes: &[&str]) -> bool {
        codes.iter().any(|code| self.is(code))
    }

    /// The item is not there. A bare 404 (no envelope) may be a gateway's and does not count.
    pub(crate) fn item_gone(&self) -> bool {
        self.status == 404
            && self.is_any(&[
                "itemNotFound",
                "ErrorItemNotFound",
                "ResourceNotFound",
                "ErrorFolderNotFound",
            ])
    }

    /// The user exists and has no mailbox in Exchange Online (contract 2.4 and 3).
    pub(crate) fn no_mailbox(&self) -> bool {
        self.status == 404
            && self.is_any(&[
                "MailboxNotEnabledForRESTAPI",
                "ErrorInvalidUser",
                "Request_ResourceNotFound",
                "ResourceNotFound",
                "ErrorNonExistentMailbox",
            ])
    }

    /// The service found malware in the file (contract 6.1).
    pub(crate) fn malware(&self) -> bool {
        self.infected || self.is("malwareDetected")
    }

    /// The user has no OneDrive (contract 3).
    pub(crate) fn no_drive(&self) -> bool {
        self.status == 404
            && (self.message.to_lowercase().contains("mysite")
                || self.is_any(&["ResourceNotFound", "Request_ResourceNotFound", "itemNotFound"]))
    }

    /// The delta link is worth nothing any more: enumerate in full (contract 2.3).
    pub(crate) fn resync(&self) -> bool {
        self.status == 410
            || (400..500).contains(&self.status)
                && (self.is_any(&[
                    "syncStateNotFound",
                    "syncStateInvalid",
                    "resyncRequired",
                    "resyncApplyDifferences",
                    "resyncUploadDifferences",
                    "resyncChangesApplyDifferences",
                    "resyncChangesUploadDifferences",
                ]) || self.status == 400 && self.message.contains("DeltaToken"))
    }

    /// Trying again will not help: the service cannot read this one item (contract 2.4, 4.3).
    pub(crate) fn item_unreadable(&self) -> bool {
        self.is_any(&[
            "ErrorCorruptData",
            "ErrorInvalidRecipients",
            "ErrorCannotOpenFileAttachment",
            "ErrorContentConversionFailed",
            "ErrorMimeContentConversionFailed",
        ])
    }

    /// The mailbox or its store asked for a pause.
    pub(crate) fn throttled(&self) -> bool {
        matches!(self.status, 429 | 509) || (self.status == 503 && self.retry_after.is_some())
    }

    fn kind(&self) -> ErrorKind {
        match self.status {
            401 => ErrorKind::Unauthorized,
            403 if self.is_any(&["quotaLimitReached", "ErrorQuotaExceeded"]) => ErrorKind::StorageFull,
            403 => ErrorKind::PermissionMissing,
            404 | 410 => ErrorKind::NotFound,
            409 => ErrorKind::AlreadyExists,
            412 => ErrorKind::Conflict,
            413 | 400 | 405 | 406 | 411 | 415 | 416 => ErrorKind::InvalidInput,
            423 => ErrorKind::Busy,
            507 => ErrorKind::StorageFull,
            429 | 509 => ErrorKind::Throttled {
                retry_after: self.retry_after.unwrap_or(Duration::from_secs(60)),
            },
            503 if self.retry_after.is_some() => ErrorKind::Throttled {
                retry_after: self.retry_after.unwrap_or_default(),
            },
            _ if self.item_unreadable() => ErrorKind::Protocol,
            408 | 500 | 502..=504 => ErrorKind::Unavailable,
            _ => ErrorKind::Protocol,
        }
    }
}

impl Fault {
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn refused_as(&self, test: impl FnOnce(&Refusal) -> bool) -> bool {
        self.refusal().is_some_and(test)
    }

    /// Whether the request may have been carried out although no success was seen. A refusal for lack of budget or
    /// permission was not; a 5xx may come after the work was done (contract 5.5).
    pub(crate) fn ambiguous(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.status >= 500 && !matches!(refusal.status, 501 | 507 | 509),
            Self::Transport { ambiguous, .. } => *ambiguous,
            Self::TooLarge { .. } | Self::Protocol { .. } => true,
            Self::Ready(_) => false,
        }
    }

    /// As an error of the SDK. `what` says what was being done, `permission` what a 403 lacks.
    pub(crate) fn into_error(self, what: &str, permission: Option<&str>) -> Error {
        match self {
            Self::Refused(refusal) => {
                let kind = refusal.kind();
                let error = Error::new(kind, format!("{what}: {refusal}"));
                match kind {
                    ErrorKind::PermissionMissing => {
                        let permission = permission.unwrap_or("the permission of this service");
                        error.with_hint(format!(
                            "Grant the application permission {permission} with admin consent, and check that no \
                             application access policy excludes this mailbox."
                        ))
                    }
                    ErrorKind::Unauthorized => error.with_hint(
                        "Check that the app registration still exists and its credential is valid.",
                    ),
                    _ => error,
                }
            }
            Self::Transport { error, .. } => Error::new(ErrorKind::Unavailable, format!("{what}: {error}")),
            Self::TooLarge { .. } | Self::Protocol { .. } => {
                Error::new(ErrorKind::Protocol, format!("{what}: {self}"))
            }
            Self::Ready(error) => error.context(what),
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Inner errors may nest; the deepest code is the most telling one. Spelled `innerError` in answers and `innererror` in
/// the schema.
fn deepest_code(error: &Value) -> String {
    let mut code = text(error, "code");
    let mut current = error;
    for _ in 0..16 {
        let Some(inner) = current.get("innerError").or_else(|| current.get("innererror")) else {
            break;
        };
        let inner_code = text(inner, "code");
        // Generic outer codes are refined by inner ones; Exchange's own codes are final.
        if !inner_code.is_empty() && !code.starts_with("Error") {
            code = inner_code;
        }
        current = inner;
    }
    // The longest known codes have 40 characters; what is longer may be something that was sent, quoted back.
    let code: String = code
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        .collect();
    if code.len() > 60 {
        "unreadable".to_owned()
    } else {
        code
    }
}

/// One line without anything long enough to be a token, a signature or an id.
pub(crate) fn clean(message: &str) -> String {
    let mut out = String::new();
    for word in message
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if out.len() > 160 {
            out.push('…');
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        if word.chars().count() > 32 {
            out.push('…')
        } else {
            out.push_str(word)
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Refusal {
        Refusal::read(status, body.as_bytes(), None, None)
    }

    #[test]
    fn envelopes_of_every_shape_are_read() {
        let nested =
            r#"{"error":{"code":"accessDenied","message":"x","innererror":{"code":"sharingDisabled"}}}"#;
        assert_eq!(read(403, nested).code, "sharingDisabled");
        assert!(read(404, r#"{"error":{"code":"erroritemnotfound","message":""}}"#).item_gone());
        for body in [
            "",
            "<html>not here</html>",
            "{\"error\":",
            "null",
            "{\"error\":{\"code\":\"\"}}",
        ] {
            assert!(!read(404, body).item_gone());
            assert!(matches!(read(503, body).kind(), ErrorKind::Unavailable));
        }
        assert!(read(410, "").resync());
        assert!(read(404, r#"{"error":{"code":"SyncStateNotFound"}}"#).resync());
        assert!(!read(404, r#"{"error":{"code":"ErrorItemNotFound"}}"#).resync());
        assert!(matches!(
            read(500, r#"{"error":{"code":"ErrorCorruptData"}}"#).kind(),
            ErrorKind::Protocol
        ));
    }

    #[test]
    fn messages_are_cleaned() {
        let message = clean("a\r\nb eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.canary-canary c");
        assert_eq!(message, "a b … c");
        assert!(clean(&"word ".repeat(1000)).len() < 200);
    }
}
