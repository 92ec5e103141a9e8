// Random calls: wrong types, huge and negative numbers, halves of characters, closed objects, callbacks that throw. Whatever
// is given, a call succeeds or ends with a typed error. NAKIVO_SEED repeats a run; NAKIVO_FUZZ says how many calls there are.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as nakivo from 'nakivo';
import { Emulator } from 'nakivo/testing';

import { backedUp, folder } from './world.mjs';

const CALLS = Number(process.env.NAKIVO_FUZZ ?? 3000);
const SEED = Number(process.env.NAKIVO_SEED ?? Math.floor(Math.random() * 2 ** 32)) >>> 0;
/** Calls under way at once. */
const AT_ONCE = 16;
/** What would end what is tested, write where it must not, or have every later call wait. */
const LEFT_OUT = new Set(['constructor', 'stop', 'close', 'export', 'addFile', 'addMessage', 'deletePoints', 'applyRetention', 'throttleNext']);

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The names of what can be called on an object or a class. */
function callable(of) {
  return Object.getOwnPropertyNames(of).filter((name) => !LEFT_OUT.has(name) && typeof of[name] === 'function');
}

test(`${CALLS} random calls end in typed errors only`, async (t) => {
  console.log(`NAKIVO_SEED=${SEED}`);
  const next = random(SEED);
  const pick = (from) => from[Math.floor(next() * from.length)];
  const { emulator, source, repository, point, directory, anna } = await backedUp(t, { itemsPerUser: 4 });
  const closed = await nakivo.Source.folder(await folder(t), 'closed');
  await closed.close();
  const plan = await point.plan(source, { object: anna, onConflict: 'skip' }).outcome();
  const made = [emulator, source, repository, point, plan, closed];
  const kinds = [Emulator, ...Object.values(nakivo).filter((kind) => /^class/.test(String(kind)) && callable(kind).length > 0)];
  const entry = (await point.find('').toArray())[0];

  const throwing = new Proxy({}, { ownKeys() { throw new Error('mine'); }, get() { throw new Error('mine'); } });
  const simple = [
    undefined, null, true, false, 0, -0, 1, -1, 1.5, NaN, Infinity, 2 ** 31, 2 ** 53, 1e300, -1e300, 2n ** 64n, -(2n ** 70n), 7n,
    '', 'x', anna, entry.id, 'latest', 'mail', `file:${directory}/vault`, '\ud800', '\udfff\ud800', '\0', 'ä'.repeat(5000),
    'subject:', '"', 'a:b:c', new Date(), new Date(NaN), new Uint8Array(3), new ArrayBuffer(3), new Map(), new Set([1]),
    Symbol('s'), () => { throw new Error('mine'); }, /x/, throwing, Promise.resolve(1), globalThis, AbortSignal.abort(),
    Object.create(AbortSignal.prototype), new Proxy(new AbortController().signal, {}), new Proxy(new Uint8Array(3), {}), new Proxy(source, {}),
  ];
  const fields = [
    'passphrase', 'key', 'keyFile', 'cacheBytes', 'unencrypted', 'limit', 'after', 'samplePercent', 'seed', 'object', 'paths', 'ids',
    'query', 'onConflict', 'failFast', 'services', 'maxSeconds', 'users', 'signal', '__proto__', 'toString', 'constructor', '\ud800',
  ];
  const value = (depth = 0) => {
    const chance = next();
    if (chance < 0.7 || depth > 3) return pick(simple);
    if (chance < 0.8) return pick(made);
    if (chance < 0.88) return Array.from({ length: Math.floor(next() * 4) }, () => value(depth + 1));
    const object = next() < 0.1 ? Object.create(null) : {};
    for (let count = Math.floor(next() * 4); count > 0; count -= 1) {
      Object.defineProperty(object, pick(fields), { value: value(depth + 1), enumerable: true, configurable: true });
    }
    if (next() < 0.05) Object.defineProperty(object, 'seed', { get() { throw new Error('mine'); }, enumerable: true, configurable: true });
    return object;
  };

  const told = new Map();
  async function one() {
    const fresh = next() < 0.2;
    const target = fresh ? pick(kinds) : pick(made);
    const name = pick(callable(fresh ? target : Object.getPrototypeOf(target)));
    if (name === undefined) return;
    const given = Array.from({ length: Math.floor(next() * 5) }, () => value());
    if (fresh && target === Emulator) given.length = 0;
    let code = 'ok';
    try {
      const answer = target[name](...given);
      if (answer instanceof Promise) {
        const got = await answer;
        await got?.close?.();
      } else if (typeof answer.outcome === 'function') {
        if (next() < 0.5) await answer.cancel();
        await answer.outcome();
      } else if (typeof answer.toArray === 'function') {
        await answer.toArray();
      } else {
        await answer.bytes();
      }
    } catch (error) {
      assert.ok(error instanceof nakivo.NakivoError, `${target.name ?? target.constructor.name}.${name}: ${error?.stack ?? error}`);
      assert.notEqual(error.code, 'NAKIVO_INTERNAL', error.stack);
      code = error.code;
    }
    told.set(code, (told.get(code) ?? 0) + 1);
  }

  for (let done = 0; done < CALLS; done += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, CALLS - done) }, one));
    if (done % 4096 === 0) await emulator.clearFaults();
  }
  console.log([...told].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code}: ${count}`).join(', '));
  assert.ok((told.get('ok') ?? 0) > CALLS / 100, 'some of them succeed');
  assert.equal((await repository.verify().outcome()).damage.length, 0);
});
