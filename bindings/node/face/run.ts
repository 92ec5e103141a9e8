// Long calls, to be watched, awaited and cancelled.

import { parsed } from './decode';
import type { Raw } from './decode';
import { cancelled, NakivoError, PartialError, typed } from './error';
import type { Unprocessed } from './error';
import { toUpdate } from './generated/convert';
import type { Update } from './generated/records';
import type { Call } from './held';
import type { Answer, Handle } from './native';

/** A report that tells whether everything was processed. */
export interface Report {
  /** Throws a {@link PartialError} with `issues` if something was not processed; does nothing else. */
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
    await handle?.call('cancel', '{}', {}, {}).catch(ignored);
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
      const update = parsed(await handle.call('next', '{}', {}, {}).catch(rethrown));
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
    let answer: Answer;
    try {
      answer = await handle.call('outcome', '{}', {}, {});
    } catch (thrown) {
      const error = typed(thrown);
      const bySignal = error.code === 'NAKIVO_CANCELLED' && !this.#cancelled && this.#signal?.aborted === true;
      throw bySignal ? cancelled(this.#signal!) : error;
    }
    return this.#convert(answer as never);
  }

  /** Cancels the run when the signal aborts, as long as it goes on. */
  #follow(signal: AbortSignal): void {
    const onAbort = (): void => {
      this.#started.then((handle) => handle.call('cancel', '{}', {}, {})).catch(ignored);
    };
    const follow = async (handle: Handle): Promise<void> => {
      if (signal.aborted) onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      await handle.call('outcome', '{}', {}, {}).catch(ignored);
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
      if (record.outcome === 'partial') throw new PartialError(unprocessed(record));
    },
  }) as R & Report;
}

/** What was not processed: reports list it as `issues` or `failed`, or tell it of each of their `items`. */
function unprocessed(record: Raw): Unprocessed[] {
  const list = [record.issues, record.failed, record.items].find(Array.isArray) ?? [];
  return list.filter((item: Raw) => item.outcome === undefined || item.outcome === 'failed');
}

function ignored(): void {}

function rethrown(error: unknown): never {
  throw typed(error);
}
