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

/// The error of every call.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Error))]
pub enum NakivoError {
    /// The call failed.
    Failed {
        /// How, and what to do.
        failure: Failure,
    },
}

impl NakivoError {
    /// What went wrong.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        let Self::Failed { failure } = self;
        failure
    }

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
        Self::Failed {
            failure: Failure {
                code: error.code().to_owned(),
                reason: error.message().to_owned(),
                hint: error.hint().map(str::to_owned),
                retry_after: error.retry_after().map(|time| time.as_secs_f64()),
                retryable: error.kind().is_retryable(),
            },
        }
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
