# Generated from bindings/api.json by bindings/generate: change it there.

"""The errors: a class for each code, all of them under `NakivoError`."""

from ._failure import NakivoError, PartialError

__all__ = [
    "AlreadyExistsError",
    "BusyError",
    "CancelledError",
    "ConflictError",
    "CorruptError",
    "HistoryRewoundError",
    "ImmutableError",
    "InternalError",
    "InvalidInputError",
    "NakivoError",
    "NotFoundError",
    "PartialError",
    "PermissionMissingError",
    "ProtocolError",
    "RepositoryMissingError",
    "ScratchFailedError",
    "StorageFullError",
    "ThrottledError",
    "UnauthorizedError",
    "UnavailableError",
    "UnsupportedFormatError",
    "WrongPassphraseError",
]


class InvalidInputError(NakivoError, code="invalid_input"):
    """A value is outside what is allowed.

    Correct the value that the message names, and call again.
    """


class NotFoundError(NakivoError, code="not_found"):
    """Nothing has that id or name.

    Check the id or name; do not retry.
    """


class AlreadyExistsError(NakivoError, code="already_exists"):
    """Something with that id or name is there already.

    Choose another name, or open what exists.
    """


class RepositoryMissingError(NakivoError, code="repository_missing"):
    """There is no repository at that place.

    Check the location and that its disk is mounted, or create a repository.
    """


class WrongPassphraseError(NakivoError, code="wrong_passphrase"):
    """The passphrase or key opens none of the repository's key slots.

    Use the right passphrase or key; a recovery key opens it as well.
    """


class BusyError(NakivoError, code="busy"):
    """Somebody else holds what is needed.

    Retry later.
    The same call may succeed later without any change.
    """


class UnauthorizedError(NakivoError, code="unauthorized"):
    """The credential was refused.

    Correct the credential; do not retry.
    """


class PermissionMissingError(NakivoError, code="permission_missing"):
    """The credential is valid but lacks a permission, which the message names.

    Grant the permission and give consent, or leave out what needs it.
    """


class ThrottledError(NakivoError, code="throttled"):
    """The service refused for now.

    Wait as long as it says, then retry.
    The same call may succeed later without any change.
    """


class UnavailableError(NakivoError, code="unavailable"):
    """A service, a store or this machine does not answer.

    Retry later.
    The same call may succeed later without any change.
    """


class StorageFullError(NakivoError, code="storage_full"):
    """The store is full.

    Free space, then run again: nothing of the earlier points is touched.
    """


class ConflictError(NakivoError, code="conflict"):
    """What was planned no longer fits what is there.

    Look at what is there now, and plan again.
    """


class ImmutableError(NakivoError, code="immutable"):
    """A lock or a protection forbids the change until it ends.

    Wait until it ends, or remove the protection where that is allowed.
    """


class CorruptError(NakivoError, code="corrupt"):
    """Stored bytes fail authentication.

    Verify the repository, then heal it; do not retry.
    """


class HistoryRewoundError(NakivoError, code="history_rewound"):
    """The store shows an older or another history than the one seen before.

    Stop writing and find out why; accept the history only if the store was set back on purpose.
    """


class UnsupportedFormatError(NakivoError, code="unsupported_format"):
    """It was written by a newer version or with a feature that this version does not know.

    Update this software; nothing was changed.
    """


class ScratchFailedError(NakivoError, code="scratch_failed"):
    """The scratch space on this machine's own disk failed; nothing of the repository is concerned.

    See to that disk, then run again.
    """


class ProtocolError(NakivoError, code="protocol"):
    """A service answered with something that its contract does not allow.

    Report it with the request id in the message.
    """


class CancelledError(NakivoError, code="cancelled"):
    """The caller cancelled.

    Nothing: what was stored stays, and the next run resumes.
    """


class InternalError(NakivoError, code="internal"):
    """A defect of this software.

    Report it.
    """
