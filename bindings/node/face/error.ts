// Makes typed errors.

import { NakivoError } from './failure';
import type { Failure } from './failure';
import { byCode, CancelledError, InternalError, InvalidInputError } from './generated/errors';

export { NakivoError, PartialError } from './failure';
export type { Unprocessed } from './failure';
export * from './generated/errors';

/** A value that is not allowed, found before the library was asked. */
export function invalid(field: string, found: string, allowed: string, cause?: unknown): NakivoError {
  const failure = plain('invalid_input', `${field}: ${found} is not allowed; allowed: ${allowed}`);
  return new InvalidInputError(failure, cause === undefined ? {} : { cause });
}

/** What the caller's signal ended; `cause` is the signal's reason. */
export function cancelled(signal: AbortSignal): NakivoError {
  return new CancelledError(plain('cancelled', 'the caller cancelled'), { cause: signal.reason });
}

/** What a native call threw, as a typed error with the stack of the caller. */
export function typed(thrown: unknown): NakivoError {
  if (thrown instanceof NakivoError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  let failure: Failure;
  try {
    failure = JSON.parse(message) as Failure;
  } catch {
    return new InternalError(plain('internal', message), { cause: thrown });
  }
  if (failure.code === 'invalid_input') failure = { ...failure, reason: failure.reason.replace(FIELD, spelled) };
  return new (byCode.get(failure.code) ?? NakivoError)(failure);
}

/** The field that the library found something wrong with, at the beginning of what it says. */
const FIELD = /^[a-z][a-z0-9_.[\]]*(?=: )/;

/** A name as it is spelled here: `on_conflict` is `onConflict`. */
export function spelled(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function plain(code: string, reason: string): Failure {
  return { code, reason, hint: null, retry_after: null, retryable: false };
}
