// Listings and content, piece by piece.

import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

import { parsed } from './decode';
import type { Raw } from './decode';
import { step } from './held';
import type { Call } from './held';
import type { Answer, Handle } from './native';

/** How many entries are asked for at once. */
const PAGE = '{"most":1000}';

/** Asks for one piece after the other, one of them ahead of the consumer. */
class Pieces {
  readonly #started: Promise<Handle>;
  readonly #signal: AbortSignal | undefined;
  readonly #arguments: string;
  #ahead: Promise<Answer> | undefined;

  constructor(call: Call, argument: string) {
    this.#started = call.answer as Promise<Handle>;
    this.#signal = call.signal;
    this.#arguments = argument;
    this.#started.catch(ignored);
  }

  async next(isLast: (answer: Answer) => boolean): Promise<Answer> {
    const handle = await this.#started;
    const answer = await (this.#ahead ?? this.#ask(handle));
    this.#ahead = undefined;
    if (!isLast(answer)) {
      this.#ahead = this.#ask(handle);
      this.#ahead.catch(ignored);
    }
    return answer;
  }

  async close(): Promise<void> {
    (await this.#started.catch(ignored))?.close();
  }

  #ask(handle: Handle): Promise<Answer> {
    return step(handle, 'next', this.#arguments, this.#signal);
  }
}

/** What is found, one after the other, as it is found. To be iterated once. */
export class Listing<T> implements AsyncIterable<T> {
  readonly #pieces: Pieces;
  readonly #convert: (raw: Raw) => T;

  /** @internal */
  constructor(call: Call, convert: (raw: Raw) => T) {
    this.#pieces = new Pieces(call, PAGE);
    this.#convert = convert;
  }

  /** One after the other. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const page = await this.#page();
        if (page.length === 0) return;
        for (const raw of page) yield this.#convert(raw);
      }
    } finally {
      await this.close();
    }
  }

  /** All that are left, at once. */
  async toArray(): Promise<T[]> {
    const all: T[] = [];
    try {
      for (;;) {
        const page = await this.#page();
        if (page.length === 0) return all;
        for (const raw of page) all.push(this.#convert(raw));
      }
    } finally {
      await this.close();
    }
  }

  /** Looks for no more. */
  async close(): Promise<void> {
    await this.#pieces.close();
  }

  /** As {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #page(): Promise<Raw[]> {
    return parsed(await this.#pieces.next((answer) => answer === '[]')) as Raw[];
  }
}

/**
 * Content, in order: a web stream, to be read once, that reads on only as it is read. It fails where it could not be read to the
 * end, or where what was read is not what was backed up.
 */
export class ByteStream extends ReadableStream<Uint8Array> {
  /** @internal */
  constructor(call: Call) {
    const pieces = new Pieces(call, '{}');
    super(
      {
        async pull(controller): Promise<void> {
          const piece = (await pieces.next((answer) => answer === null)) as Uint8Array | null;
          if (piece === null) {
            await pieces.close();
            controller.close();
          } else {
            controller.enqueue(piece);
          }
        },
        cancel: () => pieces.close(),
      },
      { highWaterMark: 0 },
    );
  }

  /** All of it. */
  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(await new Response(this).arrayBuffer());
  }

  /** All of it as text in UTF-8. */
  async text(): Promise<string> {
    return new Response(this).text();
  }

  /** Writes all of it to a file, which must not exist. The file is not whole if this throws. */
  async save(path: string | URL): Promise<void> {
    const from = Readable.fromWeb(this as unknown as NodeReadableStream<Uint8Array>);
    await pipeline(from, createWriteStream(path, { flags: 'wx' }));
  }
}

function ignored(): undefined {
  return undefined;
}
