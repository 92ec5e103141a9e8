//! The one error, and the catalogue of its codes.

use std::fmt;

use nakivo_core::{Error, ErrorKind};
use serde::Serialize;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Failure {
    /// Stable code of what happened, for programs: see the catalogue.
    pub code: String,
    /// One line for people. Never holds a secret or the content of a message.
    pub reason: String,
    /// What can be done about it, if there is something.
    pub hint: Option<String>,
    /// Shortest time to wait before the next try, in seconds, where a service named one.
    pub retry_after: Option<f64>,
    /// Whether the same call may succeed later without any change by the caller.
    pub retryable: bool,
}

/// Writes the error with a variant for each kind, so that languages can catch them one by one.
macro_rules! by_kind {
    ($($(#[$doc:meta])* $kind:ident = $pattern:pat,)*) => {
        /// The error of every call. What is in it is the same whatever the kind.
        #[derive(Debug, Clone, PartialEq)]
        #[cfg_attr(feature = "uniffi", derive(uniffi::Error))]
        pub enum NakivoError {
            $(
                $(#[$doc])*
                $kind {
                    /// How, and what to do.
                    failure: Failure,
                },
            )*
        }

        impl NakivoError {
            /// What went wrong.
            #[must_use]
            pub fn failure(&self) -> &Failure {
                match self {
                    $(Self::$kind { failure })|* => failure,
                }
            }

            fn of(kind: ErrorKind, failure: Failure) -> Self {
                match kind {
                    $($pattern => Self::$kind { failure },)*
                    // A kind of a later version.
                    _ => Self::Internal { failure },
                }
            }
        }
    };
}

by_kind! {
    /// See the catalogue: `invalid_input`.
    InvalidInput = ErrorKind::InvalidInput,
    /// See the catalogue: `not_found`.
    NotFound = ErrorKind::NotFound,
    /// See the catalogue: `already_exists`.
    AlreadyExists = ErrorKind::AlreadyExists,
    /// See the catalogue: `repository_missing`.
    RepositoryMissing = ErrorKind::RepositoryMissing,
    /// See the catalogue: `wrong_passphrase`.
    WrongPassphrase = ErrorKind::WrongPassphrase,
    /// See the catalogue: `busy`.
    Busy = ErrorKind::Busy,
    /// See the catalogue: `unauthorized`.
    Unauthorized = ErrorKind::Unauthorized,
    /// See the catalogue: `permission_missing`.
    PermissionMissing = ErrorKind::PermissionMissing,
    /// See the catalogue: `throttled`.
    Throttled = ErrorKind::Throttled { .. },
    /// See the catalogue: `unavailable`.
    Unavailable = ErrorKind::Unavailable,
    /// See the catalogue: `storage_full`.
    StorageFull = ErrorKind::StorageFull,
    /// See the catalogue: `conflict`.
    Conflict = ErrorKind::Conflict,
    /// See the catalogue: `immutable`.
    Immutable = ErrorKind::Immutable,
    /// See the catalogue: `corrupt`.
    Corrupt = ErrorKind::Corrupt,
    /// See the catalogue: `history_rewound`.
    HistoryRewound = ErrorKind::HistoryRewound,
    /// See the catalogue: `unsupported_format`.
    UnsupportedFormat = ErrorKind::UnsupportedFormat,
    /// See the catalogue: `scratch_failed`.
    ScratchFailed = ErrorKind::ScratchFailed,
    /// See the catalogue: `protocol`.
    Protocol = ErrorKind::Protocol,
    /// See the catalogue: `cancelled`.
    Cancelled = ErrorKind::Cancelled,
    /// See the catalogue: `internal`.
    Internal = ErrorKind::Internal,
}

impl NakivoError {
    /// A value that is not allowed.
    #[must_use]
    pub fn invalid(field: &str, value: &str, allowed: &str) -> Self {
        Error::invalid(field, value, allowed).into()
    }

    /// A value that does not fit its field; `why` says what was found and what is expected.
    #[must_use]
    pub fn unfit(field: &str, why: &str) -> Self {
        Error::new(ErrorKind::InvalidInput, format!("{field}: {why}")).into()
    }

    /// The error of a call on an object that was closed.
    #[must_use]
    pub fn closed(class: &str) -> Self {
        Error::new(ErrorKind::InvalidInput, format!("{class}: it was closed"))
            .with_hint("Open it again.")
            .into()
    }
}

impl fmt::Display for NakivoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure().reason)?;
        match &self.failure().hint {
            Some(hint) => write!(f, ". {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NakivoError {}

impl From<Error> for NakivoError {
    fn from(error: Error) -> Self {
        let failure = Failure {
            code: error.code().to_owned(),
            reason: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            retry_after: error.retry_after().map(|time| time.as_secs_f64()),
            retryable: error.kind().is_retryable(),
        };
        Self::of(error.kind(), failure)
    }
}

/// What a code means.
#[derive(Debug, Clone, Serialize)]
pub struct CatalogueEntry {
    /// The code.
    pub code: &'static str,
    /// What happened.
    pub what: &'static str,
    /// What to do.
    pub todo: &'static str,
    /// Whether the same call may succeed later without any change by the caller.
    pub retryable: bool,
}

/// Every code that there is.
#[must_use]
pub fn catalogue() -> Vec<CatalogueEntry> {
    let entry = |kind: &ErrorKind| CatalogueEntry {
        code: kind.code(),
        what: kind.what(),
        todo: kind.remedy(),
        retryable: kind.is_retryable(),
    };
    ErrorKind::ALL.iter().map(entry).collect()
}
