// Long calls, to be watched, awaited and cancelled.

import { parsed } from './decode';
import type { Raw } from './decode';
import { cancelled, NakivoError, PartialError } from './error';
import type { Unprocessed } from './error';
import { toUpdate } from './generated/convert';
import type { Update } from './generated/records';
import { step } from './held';
import type { Call } from './held';
import type { Handle } from './native';

/** A report that tells whether everything was processed. */
export interface Report {
  /** Throws a {@link PartialError} with `issues` if the outcome is not `complete`; does nothing else. */
  throwIfIssues(): void;
}

/**
 * A long call that goes on by itself. Iterating tells how far it is and what happens in it; {@link outcome} waits for the end
 * and says how it ended. With `await using`, leaving the block cancels it and waits. A run that nobody knows of any more goes on.
 */
export class Run<T> implements AsyncIterable<Update> {
  readonly #started: Promise<Handle>;
  readonly #signal: AbortSignal | undefined;
  readonly #convert: (answer: never) => T;
  #outcome: Promise<T> | undefined;
  #cancelled = false;
  #failureSeen = false;

  /** @internal */
  constructor(call: Call, convert: (answer: never) => T) {
    this.#started = call.answer as Promise<Handle>;
    this.#signal = call.signal;
    this.#convert = convert;
    // Whoever asks for the outcome gets the error; nobody is told twice.
    this.#started.catch(() => {});
    if (this.#signal !== undefined) this.#follow(this.#signal);
  }

  /** Waits for the end. May be called again. Throws if the run failed as a whole; a partial one ends with a report. */
  async outcome(): Promise<T> {
    try {
      return await this.#ended();
    } catch (error) {
      this.#failureSeen = true;
      throw error;
    }
  }

  /** Asks the run to stop. It then ends with a {@link CancelledError} or, if it was done by then, as it would have. */
  async cancel(): Promise<void> {
    this.#cancelled = true;
    const handle = await this.#started.catch(() => undefined);
    if (handle !== undefined) await step(handle, 'cancel', '{}', undefined).catch(ignored);
  }

  /** How far the run is, and what happens in it, until it has ended. How it ended says {@link outcome}. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Update, void, undefined> {
    let handle: Handle;
    try {
      handle = await this.#started;
    } catch (error) {
      this.#failureSeen = true;
      throw error;
    }
    for (;;) {
      const update = parsed(await step(handle, 'next', '{}', undefined));
      if (update === null) return;
      yield toUpdate(update);
    }
  }

  /** Cancels the run if it still goes on, and waits for its end. Throws what it failed with if nobody saw that yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.cancel();
    try {
      await this.#ended();
    } catch (error) {
      const expected = error instanceof NakivoError && error.code === 'NAKIVO_CANCELLED';
      if (!expected && !this.#failureSeen) throw error;
    }
  }

  #ended(): Promise<T> {
    this.#outcome ??= this.#wait();
    return this.#outcome;
  }

  async #wait(): Promise<T> {
    const handle = await this.#started;
    const answer = await step(handle, 'outcome', '{}', undefined).catch((error: NakivoError) => {
      const bySignal = error.code === 'NAKIVO_CANCELLED' && !this.#cancelled && this.#signal?.aborted === true;
      throw bySignal ? cancelled(this.#signal!) : error;
    });
    return this.#convert(answer as never);
  }

  /** Cancels the run when the signal aborts, as long as it goes on. */
  #follow(signal: AbortSignal): void {
    const onAbort = (): void => {
      this.#started.then((handle) => step(handle, 'cancel', '{}', undefined)).catch(ignored);
    };
    const follow = async (handle: Handle): Promise<void> => {
      if (signal.aborted) onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      await step(handle, 'outcome', '{}', undefined).catch(ignored);
      signal.removeEventListener('abort', onAbort);
    };
    this.#started.then(follow).catch(ignored);
  }
}

/** A record without what makes it a report. */
export type Data<R extends Report> = Omit<R, keyof Report>;

/** Makes a report of a record that says how it went, and what was not processed. */
export function report<R extends { readonly outcome: string }>(record: R): R & Report {
  return Object.defineProperty(record, 'throwIfIssues', {
    value: () => {
      if (record.outcome !== 'complete') throw new PartialError(record.outcome, unprocessed(record));
    },
  }) as R & Report;
}

/** What parts of a report say of themselves when there is nothing to see to. */
const FINE = new Set(['complete', 'recovered', 'skipped', 'planned', 'copied', 'present', 'removed']);

/** What was not processed: reports list just that, or tell of each of their parts how it went. */
function unprocessed(record: Raw): Unprocessed[] {
  const { issues, failed, items, points, objects } = record;
  const parts: Raw[] = [issues, failed, items, points, objects].find(Array.isArray) ?? [];
  return parts.filter((part) => !FINE.has(part.outcome ?? part.state));
}

function ignored(): void {}
