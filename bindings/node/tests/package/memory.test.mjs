// What is held is freed: by closing, and by the garbage collector. NAKIVO_CYCLES says how often.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Repository, Source } from 'nakivo';

import { backedUp, folder } from './world.mjs';

const CYCLES = Number(process.env.NAKIVO_CYCLES ?? 10_000);
const MIB = 1 << 20;

/** Bytes of this process in memory, when what is not used any more is gone. */
async function resident() {
  for (let round = 0; round < 3; round += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return process.memoryUsage.rss();
}

/** Runs a cycle some times to warm up, then many times; how many bytes that cost. */
async function growth(cycles, cycle) {
  for (let done = 0; done < cycles / 5; done += 1) await cycle(done);
  const before = await resident();
  for (let done = 0; done < cycles; done += 1) await cycle(done);
  return (await resident()) - before;
}

test(`${CYCLES} objects opened and closed, or forgotten, leave nothing`, { skip: !globalThis.gc && 'SKIPPED: --expose-gc' }, async (t) => {
  const place = await folder(t);
  const grown = await growth(CYCLES, async (cycle) => {
    const source = await Source.folder(place, 'papers');
    if (cycle % 2 === 0) await source.close();
  });
  console.log(`${CYCLES} sources: ${(grown / MIB).toFixed(1)} MiB`);
  assert.ok(grown < 16 * MIB, `${grown}`);
});

test('repositories opened and closed, and looked into, leave nothing', { skip: !globalThis.gc && 'SKIPPED: --expose-gc' }, async (t) => {
  const { directory, anna, source } = await backedUp(t);
  const url = `file:${directory}/open`;
  const repository = await Repository.create(url, { unencrypted: true });
  await source.backup(repository, anna).outcome();
  const count = Math.ceil(CYCLES / 20);
  const grown = await growth(count, async (cycle) => {
    const again = await Repository.open(url);
    const point = await again.point(anna, 'latest');
    for await (const entry of point.find('')) if (entry.kind === 'message') break;
    if (cycle % 2 === 0) await again.close();
  });
  console.log(`${count} repositories: ${(grown / MIB).toFixed(1)} MiB`);
  assert.ok(grown < 32 * MIB, `${grown}`);
});

test('calls leave nothing', { skip: !globalThis.gc && 'SKIPPED: --expose-gc' }, async (t) => {
  const { repository, point, anna } = await backedUp(t);
  const { id } = (await point.find('').toArray()).find((entry) => entry.kind === 'message');
  const signal = new AbortController().signal;
  const count = Math.ceil(CYCLES / 4);
  const grown = await growth(count, async () => {
    await repository.points(anna, { signal });
    await point.content(id).bytes();
    await repository.object('nobody').catch(() => {});
  });
  console.log(`${3 * count} calls: ${(grown / MIB).toFixed(1)} MiB`);
  assert.ok(grown < 32 * MIB, `${grown}`);
});
