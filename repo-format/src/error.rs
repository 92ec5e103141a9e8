//! The one error of this crate: what is wrong with some bytes.

/// Result with this crate's error.
pub type Result<T, E = FormatError> = std::result::Result<T, E>;

/// Why bytes could not be read or written. `what` names the kind of thing, never its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes end too early.
    #[error("{what} is truncated")]
    Truncated {
        /// The thing that was read.
        what: &'static str,
    },
    /// The bytes do not begin (or end) with the mark of this format.
    #[error("{what} does not carry the mark of this format")]
    BadMagic {
        /// The thing that was read.
        what: &'static str,
    },
    /// Written by a newer version of the format.
    #[error("{what} has format version {found}; this version reads up to {supported}")]
    UnsupportedVersion {
        /// The thing that was read.
        what: &'static str,
        /// The version found.
        found: u32,
        /// The highest version this crate reads.
        supported: u32,
    },
    /// The repository or record uses something this version does not know.
    #[error("{what} needs a feature this version does not know: {feature}")]
    UnsupportedFeature {
        /// The thing that was read.
        what: &'static str,
        /// The unknown feature.
        feature: String,
    },
    /// The bytes were changed, or were sealed under another key or for another place.
    #[error("{what} fails authentication")]
    Authentication {
        /// The thing that was read.
        what: &'static str,
    },
    /// The bytes are authentic but are not the thing that was asked for.
    #[error("{what} is not the one that was asked for")]
    IdMismatch {
        /// The thing that was read.
        what: &'static str,
    },
    /// The bytes do not follow the grammar.
    #[error("{what} is corrupt: {detail}")]
    Corrupt {
        /// The thing that was read.
        what: &'static str,
        /// What is wrong; free of stored content.
        detail: String,
    },
    /// A length or count is above what the format allows. Nothing was allocated for it.
    #[error("{what} exceeds the limit: {found} > {limit}")]
    LimitExceeded {
        /// The thing that was read or written.
        what: &'static str,
        /// The highest allowed value.
        limit: u64,
        /// The value found.
        found: u64,
    },
    /// The passphrase does not belong to this key slot.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The key slot is protected and no passphrase was given.
    #[error("the key slot needs a passphrase")]
    PassphraseRequired,
    /// Sealed in an epoch whose keys are not known: the keys were rotated since they were read, or the bytes were changed.
    #[error("{what} is sealed in epoch {epoch}, which the key slot does not know")]
    UnknownEpoch {
        /// The thing that was read.
        what: &'static str,
        /// Its epoch.
        epoch: u32,
    },
    /// Sealed in an epoch that had ended when the thing can have been made: by somebody who has keys of that time only.
    #[error("{what} {number} is sealed in epoch {epoch}, which had ended")]
    EndedEpoch {
        /// The thing that was read.
        what: &'static str,
        /// Its number.
        number: u64,
        /// Its epoch.
        epoch: u32,
    },
    /// A parameter of the key derivation is outside the allowed range.
    #[error("key derivation refused: {parameter} is {found}, allowed is {min} to {max}")]
    KdfRefused {
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        found: u64,
        /// The lowest allowed value.
        min: u64,
        /// The highest allowed value.
        max: u64,
    },
    /// What was just encoded did not decode to the same bytes. Do not store it.
    #[error("{what} did not decode to what was encoded; nothing may be stored from this machine")]
    EncodeCheckFailed {
        /// The thing that was written.
        what: &'static str,
    },
    /// A string or byte sequence is no valid identifier.
    #[error("invalid {what}: {detail}")]
    InvalidId {
        /// The kind of identifier.
        what: &'static str,
        /// What is wrong.
        detail: String,
    },
}

impl FormatError {
    pub(crate) fn corrupt(what: &'static str, detail: impl Into<String>) -> Self {
        Self::Corrupt {
            what,
            detail: detail.into(),
        }
    }
}
