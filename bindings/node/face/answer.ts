// What becomes of the answer of a call.

import { parsed } from './decode';
import type { Raw } from './decode';
import type { Call } from './held';

/** Data, converted. */
export async function asData<T>(call: Call, convert: (raw: Raw) => T): Promise<T> {
  return convert(parsed(await call.answer));
}

/** Content. */
export async function asContent<T extends Uint8Array | null>(call: Call): Promise<T> {
  return (await call.answer) as T;
}

/** Something to hold. */
export async function asObject<T>(call: Call, wrap: (handle: never) => T): Promise<T> {
  return wrap((await call.answer) as never);
}

/** Something to hold, where there may be none. */
export async function asObjectOrNull<T>(call: Call, wrap: (handle: never) => T): Promise<T | null> {
  const answer = await call.answer;
  return answer === null ? null : wrap(answer as never);
}

/** Nothing. */
export async function asNothing(call: Call): Promise<void> {
  await call.answer;
}
