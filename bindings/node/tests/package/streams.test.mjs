// Listings and content.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';

import { NotFoundError } from 'nakivo';

import { world } from './world.mjs';

const CONTENT = randomBytes(5_500_000);

/** A drive with one large file, backed up. */
async function drive(t) {
  const here = await world(t, { filesPerUser: 2 });
  await here.emulator.addFile(here.anna, 'Docs/large.bin', CONTENT);
  const object = `onedrive:${here.anna}`;
  (await here.source.backup(here.repository, object).outcome()).throwIfIssues();
  const point = await here.repository.point(object, 'latest');
  return { ...here, point, id: (await point.entry('Docs/large.bin')).id };
}

test('content comes in pieces, as a whole, as a file and as a web stream', async (t) => {
  const { point, id, directory } = await drive(t);
  const hash = createHash('sha256');
  let pieces = 0;
  for await (const piece of point.content(id)) {
    assert.ok(piece instanceof Uint8Array);
    hash.update(piece);
    pieces += 1;
  }
  assert.ok(pieces > 3);
  assert.equal(hash.digest('hex'), createHash('sha256').update(CONTENT).digest('hex'));
  assert.ok(CONTENT.equals(await point.content(id).bytes()));

  await point.content(id).save(join(directory, 'saved'));
  assert.ok(CONTENT.equals(await readFile(join(directory, 'saved'))));
  await assert.rejects(point.content(id).save(join(directory, 'saved')), { code: 'EEXIST' });

  assert.ok(point.content(id) instanceof ReadableStream);
  assert.equal((await new Response(point.content(id)).arrayBuffer()).byteLength, CONTENT.length);
});

test('a portal passes content on to its user', async (t) => {
  const { point, id } = await drive(t);
  const server = createServer((_, response) => void Readable.fromWeb(point.content(id)).pipe(response));
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
  assert.ok(CONTENT.equals(new Uint8Array(await answer.arrayBuffer())));
});

test('a reader that stops early stops the stream', async (t) => {
  const { point, id } = await drive(t);
  for await (const piece of point.content(id)) {
    assert.ok(piece.length > 0);
    break;
  }
  await point.content(id).cancel();
  const reader = point.content(id).getReader();
  await reader.read();
  await reader.cancel();
});

test('content that is not there fails when it is read', async (t) => {
  const { point, id } = await drive(t);
  await assert.rejects(point.content('nothing').bytes(), NotFoundError);
  await assert.rejects(point.content(id, 'nothing').text(), NotFoundError);
  // One that nobody reads ends nothing.
  point.content('nothing');
  point.find('subject:');
  await point.info();
});

test('a listing goes over its pages, and may be left', async (t) => {
  const { source, repository, anna } = await world(t, { itemsPerUser: 1300 });
  await source.backup(repository, anna).outcome();
  const point = await repository.point(anna, 'latest');
  const ids = new Set();
  for await (const entry of point.find('')) {
    if (entry.kind === 'message') ids.add(entry.id);
  }
  assert.equal(ids.size, 1300);
  let seen = 0;
  for await (const entry of point.find('')) {
    assert.ok(entry.id !== undefined);
    seen += 1;
    if (seen === 1100) break;
  }
  assert.equal(seen, 1100);
  const listing = point.find('');
  await listing[Symbol.asyncDispose]();
  assert.deepEqual(await point.find('subject:"there is no such subject"').toArray(), []);
});
