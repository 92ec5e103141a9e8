// Generated from bindings/api.json by bindings/generate: change that, not this.

import { NakivoError } from '../failure';

/**
 * A value is outside what is allowed. Correct the value that the message names, and call again.
 *
 * Its `code` is `NAKIVO_INVALID_INPUT`.
 */
export class InvalidInputError extends NakivoError {
  static {
    this.prototype.name = 'InvalidInputError';
  }
}

/**
 * Nothing has that id or name. Check the id or name; do not retry.
 *
 * Its `code` is `NAKIVO_NOT_FOUND`.
 */
export class NotFoundError extends NakivoError {
  static {
    this.prototype.name = 'NotFoundError';
  }
}

/**
 * Something with that id or name is there already. Choose another name, or open what exists.
 *
 * Its `code` is `NAKIVO_ALREADY_EXISTS`.
 */
export class AlreadyExistsError extends NakivoError {
  static {
    this.prototype.name = 'AlreadyExistsError';
  }
}

/**
 * There is no repository at that place. Check the location and that its disk is mounted, or create a repository.
 *
 * Its `code` is `NAKIVO_REPOSITORY_MISSING`.
 */
export class RepositoryMissingError extends NakivoError {
  static {
    this.prototype.name = 'RepositoryMissingError';
  }
}

/**
 * The passphrase or key opens none of the repository's key slots. Use the right passphrase or key; a recovery key opens it as well.
 *
 * Its `code` is `NAKIVO_WRONG_PASSPHRASE`.
 */
export class WrongPassphraseError extends NakivoError {
  static {
    this.prototype.name = 'WrongPassphraseError';
  }
}

/**
 * Somebody else holds what is needed. Retry later.
 *
 * Its `code` is `NAKIVO_BUSY`.
 */
export class BusyError extends NakivoError {
  static {
    this.prototype.name = 'BusyError';
  }
}

/**
 * The credential was refused. Correct the credential; do not retry.
 *
 * Its `code` is `NAKIVO_UNAUTHORIZED`.
 */
export class UnauthorizedError extends NakivoError {
  static {
    this.prototype.name = 'UnauthorizedError';
  }
}

/**
 * The credential is valid but lacks a permission, which the message names. Grant the permission and give consent, or leave out what needs it.
 *
 * Its `code` is `NAKIVO_PERMISSION_MISSING`.
 */
export class PermissionMissingError extends NakivoError {
  static {
    this.prototype.name = 'PermissionMissingError';
  }
}

/**
 * The service refused for now. Wait as long as it says, then retry.
 *
 * Its `code` is `NAKIVO_THROTTLED`.
 */
export class ThrottledError extends NakivoError {
  static {
    this.prototype.name = 'ThrottledError';
  }
}

/**
 * A service, a store or this machine does not answer. Retry later.
 *
 * Its `code` is `NAKIVO_UNAVAILABLE`.
 */
export class UnavailableError extends NakivoError {
  static {
    this.prototype.name = 'UnavailableError';
  }
}

/**
 * The store is full. Free space, then run again: nothing of the earlier points is touched.
 *
 * Its `code` is `NAKIVO_STORAGE_FULL`.
 */
export class StorageFullError extends NakivoError {
  static {
    this.prototype.name = 'StorageFullError';
  }
}

/**
 * What was planned no longer fits what is there. Look at what is there now, and plan again.
 *
 * Its `code` is `NAKIVO_CONFLICT`.
 */
export class ConflictError extends NakivoError {
  static {
    this.prototype.name = 'ConflictError';
  }
}

/**
 * A lock or a protection forbids the change until it ends. Wait until it ends, or remove the protection where that is allowed.
 *
 * Its `code` is `NAKIVO_IMMUTABLE`.
 */
export class ImmutableError extends NakivoError {
  static {
    this.prototype.name = 'ImmutableError';
  }
}

/**
 * Stored bytes fail authentication. Verify the repository, then heal it; do not retry.
 *
 * Its `code` is `NAKIVO_CORRUPT`.
 */
export class CorruptError extends NakivoError {
  static {
    this.prototype.name = 'CorruptError';
  }
}

/**
 * The store shows an older or another history than the one seen before. Stop writing and find out why; accept the history only if the store was set back on purpose.
 *
 * Its `code` is `NAKIVO_HISTORY_REWOUND`.
 */
export class HistoryRewoundError extends NakivoError {
  static {
    this.prototype.name = 'HistoryRewoundError';
  }
}

/**
 * It was written by a newer version or with a feature that this version does not know. Update this software; nothing was changed.
 *
 * Its `code` is `NAKIVO_UNSUPPORTED_FORMAT`.
 */
export class UnsupportedFormatError extends NakivoError {
  static {
    this.prototype.name = 'UnsupportedFormatError';
  }
}

/**
 * The scratch space on this machine's own disk failed; nothing of the repository is concerned. See to that disk, then run again.
 *
 * Its `code` is `NAKIVO_SCRATCH_FAILED`.
 */
export class ScratchFailedError extends NakivoError {
  static {
    this.prototype.name = 'ScratchFailedError';
  }
}

/**
 * A service answered with something that its contract does not allow. Report it with the request id in the message.
 *
 * Its `code` is `NAKIVO_PROTOCOL`.
 */
export class ProtocolError extends NakivoError {
  static {
    this.prototype.name = 'ProtocolError';
  }
}

/**
 * The caller cancelled. Nothing: what was stored stays, and the next run resumes.
 *
 * Its `code` is `NAKIVO_CANCELLED`, its `name` `AbortError`.
 */
export class CancelledError extends NakivoError {
  static {
    this.prototype.name = 'AbortError';
  }
}

/**
 * A defect of this software. Report it.
 *
 * Its `code` is `NAKIVO_INTERNAL`.
 */
export class InternalError extends NakivoError {
  static {
    this.prototype.name = 'InternalError';
  }
}

/** The class of each code of the library. */
export const byCode: ReadonlyMap<string, typeof NakivoError> = new Map<string, typeof NakivoError>([
  ['invalid_input', InvalidInputError],
  ['not_found', NotFoundError],
  ['already_exists', AlreadyExistsError],
  ['repository_missing', RepositoryMissingError],
  ['wrong_passphrase', WrongPassphraseError],
  ['busy', BusyError],
  ['unauthorized', UnauthorizedError],
  ['permission_missing', PermissionMissingError],
  ['throttled', ThrottledError],
  ['unavailable', UnavailableError],
  ['storage_full', StorageFullError],
  ['conflict', ConflictError],
  ['immutable', ImmutableError],
  ['corrupt', CorruptError],
  ['history_rewound', HistoryRewoundError],
  ['unsupported_format', UnsupportedFormatError],
  ['scratch_failed', ScratchFailedError],
  ['protocol', ProtocolError],
  ['cancelled', CancelledError],
  ['internal', InternalError],
]);
