// The base of every error. Its subclasses are generated from the catalogue.

/** What went wrong, as the library tells it. */
export interface Failure {
  /** Stable code of what happened: `not_found`. */
  readonly code: string;
  /** One line for people. */
  readonly reason: string;
  /** What can be done about it. */
  readonly hint: string | null;
  /** Seconds to wait before the next try. */
  readonly retry_after: number | null;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
}

/** Something that was not processed, as far as reports tell: the record of the report, whose own fields say the rest. */
export interface Unprocessed {
  /** Where it lies, for people. */
  readonly path?: string;
  /** What people call it, if it has a name and no path. */
  readonly name?: string;
  /** Stable code of the cause: `not_found`. */
  readonly code?: string | null;
  /** One line for people. */
  readonly message?: string | null;
}

/** The error of every call. Each code of the catalogue has a class of its own below it. */
export class NakivoError extends Error {
  /** Stable code of what happened, for programs: `NAKIVO_NOT_FOUND`. */
  readonly code: string;
  /** One line for people, without the hint. Never holds a secret or the content of a message. */
  readonly reason: string;
  /** What can be done about it, if there is something. */
  readonly hint: string | null;
  /** Shortest time to wait before the next try, in seconds, where a service named one. */
  readonly retryAfter: number | null;
  /** Whether the same call may succeed later without any change by the caller. */
  readonly retryable: boolean;
  /** Of a {@link PartialError}: what was not processed. */
  readonly issues: readonly Unprocessed[];

  /** Made by the library, and by tests of those who handle its errors. */
  constructor(failure: Failure, options: { cause?: unknown; issues?: readonly Unprocessed[] } = {}) {
    const message = failure.hint === null ? failure.reason : `${failure.reason}. ${failure.hint}`;
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = `NAKIVO_${failure.code.toUpperCase()}`;
    this.reason = failure.reason;
    this.hint = failure.hint;
    this.retryAfter = failure.retry_after;
    this.retryable = failure.retryable;
    this.issues = options.issues ?? [];
  }

  static {
    this.prototype.name = 'NakivoError';
  }
}

/** Not everything was processed: thrown by `throwIfIssues()` of a report only. */
export class PartialError extends NakivoError {
  /** Made by `throwIfIssues()`. */
  constructor(outcome: string, issues: readonly Unprocessed[]) {
    const told = issues.map(({ path, name, message, code }) => [path ?? name, message ?? code].filter(Boolean).join(': '));
    const reason = [`the outcome is ${outcome}`, `${issues.length} not processed`, ...told.slice(0, 1)].join('; ');
    super({ code: 'partial', reason, hint: null, retry_after: null, retryable: false }, { issues });
  }

  static {
    this.prototype.name = 'PartialError';
  }
}
