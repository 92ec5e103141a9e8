//! Exit codes, the same for every command.

use std::process::ExitCode;

use nakivo_core::Error;

/// How the process ends. Codes 10 to 12 mean what they mean to users of restic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Ok,
    /// The command failed, or `verify` found damage.
    Failed,
    /// The command line or a value in it is not understood.
    Usage,
    /// Done, but some items could not be processed; they are listed.
    Partial,
    /// An object, point, path or folder does not exist.
    NotFound,
    /// The credential was refused, or a permission is missing.
    Denied,
    /// A service does not answer or asks to wait. The same command may succeed later.
    Temporary,
    /// There is no repository at that place.
    RepositoryMissing,
    /// Somebody else holds what is needed.
    Busy,
    /// The passphrase does not open the repository.
    WrongPassphrase,
    /// Stopped by a signal.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::NotFound => 4,
            Self::Denied => 5,
            Self::Temporary => 6,
            Self::RepositoryMissing => 10,
            Self::Busy => 11,
            Self::WrongPassphrase => 12,
            Self::Interrupted => 130,
        }
    }

    /// The exit of a command that ended with this error.
    pub(crate) fn of(error: &Error) -> Self {
        Self::of_code(error.code())
    }

    /// As [`Exit::of`], by the stable code of the error's kind.
    pub(crate) fn of_code(code: &str) -> Self {
        match code {
            "invalid_input" => Self::Usage,
            "not_found" => Self::NotFound,
            "unauthorized" | "permission_missing" => Self::Denied,
            "throttled" | "unavailable" => Self::Temporary,
            "repository_missing" => Self::RepositoryMissing,
            "busy" => Self::Busy,
            "wrong_passphrase" => Self::WrongPassphrase,
            "cancelled" => Self::Interrupted,
            _ => Self::Failed,
        }
    }

    /// `Partial` unless the caller said that partial is good enough.
    pub(crate) fn partial(partial_ok: bool) -> Self {
        if partial_ok { Self::Ok } else { Self::Partial }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nakivo_core::ErrorKind;

    use super::*;

    #[test]
    fn every_kind_has_the_documented_code() {
        let throttled = ErrorKind::Throttled {
            retry_after: Duration::from_secs(1),
        };
        for (kind, code) in [
            (ErrorKind::InvalidInput, 2),
            (ErrorKind::NotFound, 4),
            (ErrorKind::AlreadyExists, 1),
            (ErrorKind::RepositoryMissing, 10),
            (ErrorKind::WrongPassphrase, 12),
            (ErrorKind::Busy, 11),
            (ErrorKind::Unauthorized, 5),
            (ErrorKind::PermissionMissing, 5),
            (throttled, 6),
            (ErrorKind::Unavailable, 6),
            (ErrorKind::StorageFull, 1),
            (ErrorKind::Conflict, 1),
            (ErrorKind::Immutable, 1),
            (ErrorKind::Corrupt, 1),
            (ErrorKind::HistoryRewound, 1),
            (ErrorKind::UnsupportedFormat, 1),
            (ErrorKind::ScratchFailed, 1),
            (ErrorKind::Protocol, 1),
            (ErrorKind::Cancelled, 130),
            (ErrorKind::Internal, 1),
        ] {
            assert_eq!(Exit::of(&Error::new(kind, "x")).code(), code, "{kind:?}");
        }
        assert_eq!(Exit::partial(false).code(), 3);
        assert_eq!(Exit::partial(true).code(), 0);
    }
}
