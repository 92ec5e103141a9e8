// What every class stands on: something native to hold, and calls on it by name.

import { encode, split } from './encode';
import type { Shape } from './encode';
import { cancelled, invalid, NakivoError, spelled, typed } from './error';
import { native } from './native';
import type { Abort, Answer, Handle } from './native';

/** What every call takes beside its own options. */
export interface CallOptions {
  /** Gives the call up when it aborts; a run that the call starts is cancelled, too. */
  readonly signal?: AbortSignal | undefined;
}

/** An argument: its name, its value, and what it is: data, or a record of a shape, or content, or something held. */
export type Argument = readonly [name: string, value: unknown, kind: Shape | null | 'bytes' | 'object'];

/** The options of a call, and which of them make which record. */
export type Options = readonly [given: unknown, ...records: (readonly [name: string, shape: Shape])[]];

/** A call that was made. */
export interface Call {
  readonly answer: Promise<Answer>;
  readonly signal: AbortSignal | undefined;
}

/** What is behind an object of a class. */
let handleOf: (field: string, value: unknown) => Handle;

/** Something that is held until it is closed, or until nobody knows of it any more. */
export abstract class Held {
  readonly #handle: Handle;

  /** Objects are made by the functions of this package that answer them. */
  constructor(handle: never) {
    if (!((handle as unknown) instanceof native.Handle)) {
      throw invalid(new.target.name, 'new', 'the functions that make one');
    }
    this.#handle = handle;
  }

  /** Lets go of it. Calls on it fail from then on; those under way go on. May be called again. */
  async close(): Promise<void> {
    this.#handle.close();
  }

  /** As {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#handle.close();
  }

  static {
    handleOf = (field, value) => {
      if (typeof value === 'object' && value !== null && #handle in value) return value.#handle;
      throw invalid(field, value === undefined ? 'nothing' : 'this', 'an object of a class of this package');
    };
  }
}

/** Calls a method. */
export function ask(held: Held, method: string, given: readonly Argument[], options: Options): Call {
  return call((...packed) => handleOf('this', held).call(method, ...packed), given, options);
}

/** Calls a method without arguments, or with those that are given as JSON, of something that no class stands for. */
export function step(handle: Handle, method: string, data: string, signal: AbortSignal | undefined): Promise<Answer> {
  return answered((...packed) => handle.call(method, ...packed), [data, {}, {}], signal);
}

/** Makes an object of a class by one of its constructors. */
export function make(name: string, constructor: string, given: readonly Argument[], options: Options): Call {
  return call((...packed) => native.construct(name, constructor, ...packed), given, options);
}

type Packed = [data: string, objects: Record<string, Handle>, bytes: Record<string, Uint8Array>];
type Start = (...packed: [...Packed, abort?: Abort]) => Promise<Answer>;

/** Packs the arguments and calls. Every failure is in the answer, which is a typed error then. */
function call(start: Start, given: readonly Argument[], options: Options): Call {
  let signal: AbortSignal | undefined;
  try {
    const [wanted, ...named] = options;
    const { records, rest } = split(wanted, named);
    signal = signalOf(rest);
    const unknown = Object.keys(rest).find((key) => key !== 'signal');
    if (unknown !== undefined) {
      const allowed = [...named.flatMap(([, shape]) => Object.keys(shape)), 'signal'];
      throw invalid(`options.${unknown.slice(0, 64).toWellFormed()}`, 'unknown', allowed.join(', '));
    }
    const all = [...given, ...named.map(([name, shape], at): Argument => [name, records[at], shape])];
    return { answer: answered(start, pack(all), signal), signal };
  } catch (error) {
    // What a getter of the caller's object threw is no error of the library.
    const own = error instanceof NakivoError ? error : invalid('arguments', 'what cannot be read', 'data', error);
    return { answer: Promise.reject(own), signal };
  }
}

function signalOf(options: Record<string, unknown>): AbortSignal | undefined {
  const signal = options['signal'];
  if (signal === undefined) return signal;
  // Looked at here, where what is none in spite of its class is found.
  if (signal instanceof AbortSignal && typeof signal.aborted === 'boolean') return signal;
  throw invalid('options.signal', 'this', 'an AbortSignal');
}

function pack(given: readonly Argument[]): Packed {
  const data: string[] = [];
  const objects: Record<string, Handle> = {};
  const bytes: Record<string, Uint8Array> = {};
  for (const [name, value, kind] of given) {
    const field = spelled(name);
    if (kind === 'object') {
      objects[name] = handleOf(field, value);
    } else if (kind === 'bytes') {
      if (!(value instanceof Uint8Array)) throw invalid(field, `a ${typeof value}`, 'a Uint8Array');
      // Shared memory may change while it is copied by the native side, which takes only what is not shared.
      bytes[name] = value.buffer instanceof ArrayBuffer ? value : new Uint8Array(value);
    } else if (value !== undefined) {
      data.push(`${JSON.stringify(name)}:${encode(field, value, kind)}`);
    }
  }
  return [`{${data.join()}}`, objects, bytes];
}

async function answered(start: Start, packed: Packed, signal: AbortSignal | undefined): Promise<Answer> {
  if (signal === undefined) {
    return await start(...packed).catch(rethrown);
  }
  if (signal.aborted) throw cancelled(signal);
  const abort = new native.Abort();
  const onAbort = (): void => abort.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await start(...packed, abort);
  } catch (error) {
    if (signal.aborted) throw cancelled(signal);
    throw typed(error);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function rethrown(error: unknown): never {
  throw typed(error);
}
