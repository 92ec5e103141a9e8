//! The one error type at the edge of the SDK.
//!
//! [`Error`] carries a small [`ErrorKind`] that tells a program what to do next, and a message for people that names
//! the field, the value and what is allowed. Messages may change between releases; kinds and codes do not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Result of every fallible call of the SDK.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do next. A new kind needs an ADR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value is outside what is allowed; the message names field, value and range. Correct it and call again.
    InvalidInput,
    /// Nothing has that id or name. Do not retry.
    NotFound,
    /// Something with that id or name is there already. Choose another or open the existing one.
    AlreadyExists,
    /// No repository at that place. Check the URL, or create one.
    RepositoryMissing,
    /// The passphrase opens none of the repository's key slots.
    WrongPassphrase,
    /// Somebody else holds what is needed. Retry later.
    Busy,
    /// The credential was refused. Correct it; do not retry.
    Unauthorized,
    /// The credential is valid but lacks a permission, which the message names.
    PermissionMissing,
    /// The service refused for now. Wait this long, then retry.
    Throttled {
        /// Shortest time to wait.
        retry_after: Duration,
    },
    /// A service or a store does not answer. Retry later.
    Unavailable,
    /// The store is full. Free space, then run again: nothing of the earlier points is touched.
    StorageFull,
    /// What was planned no longer fits what is there. Plan again.
    Conflict,
    /// A lock or a protection forbids the change until it ends.
    Immutable,
    /// Stored bytes fail authentication. Run `verify`; do not retry.
    Corrupt,
    /// The store shows an older or another history than the one seen before. Stop writing and find out why.
    HistoryRewound,
    /// Written by a newer version or with a feature this version does not know. Update; nothing was changed.
    UnsupportedFormat,
    /// The scratch space on this machine's own disk failed; nothing of the repository is concerned. See to that disk, then
    /// run again.
    ScratchFailed,
    /// A service answered with something its contract does not allow.
    Protocol,
    /// The caller cancelled. What was stored stays; the next run resumes.
    Cancelled,
    /// A defect of this software. Report it.
    Internal,
}

impl ErrorKind {
    /// Stable code for programs: JSON output, REST bodies, bindings.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::RepositoryMissing => "repository_missing",
            Self::WrongPassphrase => "wrong_passphrase",
            Self::Busy => "busy",
            Self::Unauthorized => "unauthorized",
            Self::PermissionMissing => "permission_missing",
            Self::Throttled { .. } => "throttled",
            Self::Unavailable => "unavailable",
            Self::StorageFull => "storage_full",
            Self::Conflict => "conflict",
            Self::Immutable => "immutable",
            Self::Corrupt => "corrupt",
            Self::HistoryRewound => "history_rewound",
            Self::UnsupportedFormat => "unsupported_format",
            Self::ScratchFailed => "scratch_failed",
            Self::Protocol => "protocol",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// Every kind, the one of throttling without a time.
    pub const ALL: [Self; 20] = [
        Self::InvalidInput,
        Self::NotFound,
        Self::AlreadyExists,
        Self::RepositoryMissing,
        Self::WrongPassphrase,
        Self::Busy,
        Self::Unauthorized,
        Self::PermissionMissing,
        Self::Throttled {
            retry_after: Duration::ZERO,
        },
        Self::Unavailable,
        Self::StorageFull,
        Self::Conflict,
        Self::Immutable,
        Self::Corrupt,
        Self::HistoryRewound,
        Self::UnsupportedFormat,
        Self::ScratchFailed,
        Self::Protocol,
        Self::Cancelled,
        Self::Internal,
    ];

    /// What happened, for a catalogue of errors.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::InvalidInput => "A value is outside what is allowed",
            Self::NotFound => "Nothing has that id or name",
            Self::AlreadyExists => "Something with that id or name is there already",
            Self::RepositoryMissing => "There is no repository at that place",
            Self::WrongPassphrase => "The passphrase or key opens none of the repository's key slots",
            Self::Busy => "Somebody else holds what is needed",
            Self::Unauthorized => "The credential was refused",
            Self::PermissionMissing => {
                "The credential is valid but lacks a permission, which the message names"
            }
            Self::Throttled { .. } => "The service refused for now",
            Self::Unavailable => "A service, a store or this machine does not answer",
            Self::StorageFull => "The store is full",
            Self::Conflict => "What was planned no longer fits what is there",
            Self::Immutable => "A lock or a protection forbids the change until it ends",
            Self::Corrupt => "Stored bytes fail authentication",
            Self::HistoryRewound => "The store shows an older or another history than the one seen before",
            Self::UnsupportedFormat => {
                "It was written by a newer version or with a feature that this version does not know"
            }
            Self::ScratchFailed => {
                "The scratch space on this machine's own disk failed; nothing of the repository is concerned"
            }
            Self::Protocol => "A service answered with something that its contract does not allow",
            Self::Cancelled => "The caller cancelled",
            Self::Internal => "A defect of this software",
        }
    }

    /// What to do about it, for a catalogue of errors.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::InvalidInput => "Correct the value that the message names, and call again",
            Self::NotFound => "Check the id or name; do not retry",
            Self::AlreadyExists => "Choose another name, or open what exists",
            Self::RepositoryMissing => {
                "Check the location and that its disk is mounted, or create a repository"
            }
            Self::WrongPassphrase => "Use the right passphrase or key; a recovery key opens it as well",
            Self::Busy => "Retry later",
            Self::Unauthorized => "Correct the credential; do not retry",
            Self::PermissionMissing => "Grant the permission and give consent, or leave out what needs it",
            Self::Throttled { .. } => "Wait as long as it says, then retry",
            Self::Unavailable => "Retry later",
            Self::StorageFull => "Free space, then run again: nothing of the earlier points is touched",
            Self::Conflict => "Look at what is there now, and plan again",
            Self::Immutable => "Wait until it ends, or remove the protection where that is allowed",
            Self::Corrupt => "Verify the repository, then heal it; do not retry",
            Self::HistoryRewound => {
                "Stop writing and find out why; accept the history only if the store was set back on purpose"
            }
            Self::UnsupportedFormat => "Update this software; nothing was changed",
            Self::ScratchFailed => "See to that disk, then run again",
            Self::Protocol => "Report it with the request id in the message",
            Self::Cancelled => "Nothing: what was stored stays, and the next run resumes",
            Self::Internal => "Report it",
        }
    }

    /// Whether the same call may succeed later without any change by the caller.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable | Self::Busy)
    }
}

/// An error of the SDK: a kind for programs, one line for people, and what can be done about it.
///
/// Never holds a secret or the content of a message.
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Makes an error of this kind. `message` is one line without a final full stop.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                message: message.into(),
                hint: None,
                source: None,
            }),
        }
    }

    /// Shorthand for [`ErrorKind::InvalidInput`]: names the field, the value and what is allowed.
    #[must_use]
    pub fn invalid(field: &str, value: impl fmt::Display, allowed: &str) -> Self {
        Self::new(
            ErrorKind::InvalidInput,
            format!("{field}: '{value}' is not allowed; allowed: {allowed}"),
        )
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    #[must_use]
    pub fn not_found(what: &str, name: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{what} '{name}' was not found"))
    }

    /// Shorthand for [`ErrorKind::Cancelled`].
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(
            ErrorKind::Cancelled,
            "cancelled; what is stored stays, the next run resumes",
        )
    }

    /// Shorthand for [`ErrorKind::Internal`].
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds what the reader can do about it, as one imperative sentence.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        let mut inner = self.into_inner();
        inner.hint = Some(hint.into());
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let mut inner = self.into_inner();
        inner.source = Some(source.into());
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Puts what was being done in front of the message: `context: message`.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Self {
        let mut inner = self.into_inner();
        inner.message = format!("{context}: {}", inner.message);
        Self {
            inner: Arc::new(inner),
        }
    }

    fn into_inner(self) -> Inner {
        match Arc::try_unwrap(self.inner) {
            Ok(inner) => inner,
            Err(shared) => Inner {
                kind: shared.kind,
                message: shared.message.clone(),
                hint: shared.hint.clone(),
                source: shared.source.as_ref().map(|source| source.to_string().into()),
            },
        }
    }

    /// What the caller should do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Stable code of the kind.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.inner.kind.code()
    }

    /// The message without the hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// Shortest time to wait before the next try, where the service named one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.inner.kind {
            ErrorKind::Throttled { retry_after } => Some(retry_after),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.inner.kind.code(), self.inner.message)?;
        if let Some(hint) = &self.inner.hint {
            write!(f, " ({hint})")?;
        }
        if let Some(source) = &self.inner.source {
            write!(f, " caused by {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner
            .source
            .as_ref()
            .map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
