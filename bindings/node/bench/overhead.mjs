// What the package costs over the same calls from Rust, in one run: `bench/run.sh` builds what this takes.
//
// NAKIVO_BENCH_ITEMS and NAKIVO_BENCH_BYTES say how much there is, NAKIVO_BENCH_ROUNDS how often each is measured.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ITEMS = Number(process.env.NAKIVO_BENCH_ITEMS ?? 100_000);
const BYTES = Number(process.env.NAKIVO_BENCH_BYTES ?? 2 ** 30);
const ROUNDS = Number(process.env.NAKIVO_BENCH_ROUNDS ?? 3);

/** Small files by the thousand, and a large one that nothing compresses. */
function fill(folder) {
  for (let number = 0; number < ITEMS; number += 1) {
    const place = join(folder, String(Math.floor(number / 1000)).padStart(4, '0'));
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, `${String(number).padStart(8, '0')}.txt`), String(number));
  }
  for (let done = 0; done < BYTES; done += 2 ** 20) appendFileSync(join(folder, 'large'), randomBytes(2 ** 20));
}

const measured = {
  list: {
    async 'for await'(point) {
      let count = 0;
      for await (const entry of point.find('')) count += entry.id === null ? 0 : 1;
      return count;
    },
    async toArray(point) {
      return (await point.find('').toArray()).length;
    },
  },
  stream: {
    async 'for await'(point, id) {
      let count = 0;
      for await (const piece of point.content(id)) count += piece.length;
      return count;
    },
    async reader(point, id) {
      let count = 0;
      const reader = point.content(id).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return count;
        count += value.length;
      }
    },
  },
};

/** Measures one way in this process: a count, and seconds. */
async function measure(what, way, url) {
  const { Repository } = await import('nakivo');
  const repository = await Repository.open(url);
  const point = await repository.point('bench', 'latest');
  const id = what === 'stream' ? (await point.entry('large')).id : undefined;
  const begun = performance.now();
  const count = await measured[what][way](point, id);
  console.log(count, (performance.now() - begun) / 1000);
  await repository.close();
}

/** A count and seconds, from a process of its own. */
function told(program, ...given) {
  const [count, seconds] = execFileSync(program, given, { encoding: 'utf8' }).trim().split(' ');
  return { count: Number(count), seconds: Number(seconds) };
}

function compare(rust) {
  const here = fileURLToPath(import.meta.url);
  const temporary = mkdtempSync(join(tmpdir(), 'nakivo-bench-'));
  try {
    const files = join(temporary, 'files');
    mkdirSync(files);
    fill(files);
    const url = `file:${temporary}/repository`;
    console.log(execFileSync(rust, ['make', url, files], { encoding: 'utf8' }).trim());
    const best = new Map();
    const keep = (name, found) => {
      if (!(found.seconds >= best.get(name)?.seconds)) best.set(name, found);
    };
    // In turns, so that whatever else the machine does meets all of them.
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const what of Object.keys(measured)) {
        keep(what, told(rust, what, url, ...(what === 'stream' ? ['large'] : [])));
        for (const way of Object.keys(measured[what])) keep(`${what} ${way}`, told(process.execPath, here, what, way, url));
      }
    }
    for (const [name, { count, seconds }] of best) {
      const base = best.get(name.split(' ')[0]);
      assert.equal(count, base.count, name);
      console.log(`${name.padEnd(20)} ${String(count).padStart(12)} ${seconds.toFixed(3).padStart(8)} s  ${(seconds / base.seconds).toFixed(2).padStart(5)} times Rust`);
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
if (rest.length === 0) compare(first);
else await measure(first, ...rest);
