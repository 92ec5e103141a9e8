// The main job from start to end: back up, look, find, read, export, recover, verify.

import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { Director, NakivoError, PartialError, Repository, Source } from 'nakivo';

import { backedUp, folder, mime, PASSPHRASE, world } from './world.mjs';

test('a mailbox is backed up, with progress, and shows as a recovery point', async (t) => {
  const { source, repository, anna } = await world(t);
  const discovered = await source.objects();
  assert.deepEqual(discovered.leftOut, []);
  assert.ok(discovered.objects.some((object) => object.address === anna && object.kind === 'mailbox'));

  const run = source.backup(repository, anna);
  const updates = [];
  for await (const update of run) updates.push(update);
  const report = await run.outcome();

  assert.ok(updates.some((update) => update.kind === 'phase' && update.phase === 'commit'));
  assert.ok(updates.some((update) => update.itemsDone > 0));
  assert.equal(report.outcome, 'complete');
  assert.equal(report.first, true);
  assert.equal(report.items, 25);
  assert.equal(report.added, 25);
  assert.deepEqual(report.issues, []);
  report.throwIfIssues();
  assert.equal(await run.outcome(), report, 'the outcome may be asked for again');

  const points = await repository.points(anna);
  assert.equal(points.length, 1);
  assert.equal(points[0].id, report.point);
  assert.ok(points[0].time instanceof Date && points[0].time <= points[0].finished);
  assert.ok(Math.abs(Date.now() - points[0].finished.getTime()) < 3_600_000);
  const objects = await repository.objects();
  assert.deepEqual(objects.map((object) => object.address), [anna]);
  assert.deepEqual(await repository.object(anna), objects[0]);
});

test('a second backup reads only what changed', async (t) => {
  const { emulator, source, repository, anna } = await backedUp(t);
  const id = await emulator.addMessage(anna, 'inbox', mime('Annual report'));
  const report = await source.backup(repository, anna).outcome();
  assert.equal(report.first, false);
  assert.equal(report.added, 1);
  assert.equal(report.items, 26);
  const point = await repository.point(anna, report.point);
  const found = await point.find('subject:"Annual report"').toArray();
  assert.deepEqual(found.map((entry) => entry.id), [id]);
  assert.equal((await point.info()).added, 1);
});

test('a point is listed, searched and read', async (t) => {
  const { emulator, point, anna } = await backedUp(t);
  const top = await point.list('');
  assert.ok(top.entries.length > 0 && top.entries.every((entry) => entry.kind === 'container'));
  const first = await point.list('', { limit: 1 });
  assert.equal(first.entries.length, 1);
  const second = await point.list('', { limit: 1, after: first.next });
  assert.equal(second.entries[0].id, top.entries[1].id);

  const messages = [];
  for await (const entry of point.find('')) {
    if (entry.kind === 'message') messages.push(entry);
  }
  assert.equal(messages.length, 25);
  const [message] = messages;
  assert.ok(message.received instanceof Date);
  assert.deepEqual(await point.entry(message.path), message);
  assert.deepEqual(await point.entryById(message.id), message);

  const [part] = message.parts;
  const whole = await point.content(message.id, part.name).bytes();
  assert.equal(whole.length, part.size);
  assert.deepEqual(await point.content(message.id).bytes(), whole);
  assert.deepEqual(whole, new Uint8Array(await emulator.mime(anna, message.id)));
});

test('items are exported to a directory and to an archive', async (t) => {
  const { point, directory } = await backedUp(t);
  const report = await point.export({ directory: join(directory, 'out') }).outcome();
  report.throwIfIssues();
  assert.equal(report.items, 25);
  const files = (await readdir(join(directory, 'out'), { recursive: true })).filter((name) => name.endsWith('.eml'));
  assert.equal(files.length, 25);

  const some = await point.find('').toArray();
  const message = some.find((entry) => entry.kind === 'message');
  const zipped = await point.export({ zip: join(directory, 'out.zip'), ids: [message.id], format: 'files' }).outcome();
  assert.equal(zipped.items, 1);
  assert.equal((await readFile(join(directory, 'out.zip'))).subarray(0, 2).toString(), 'PK');
});

test('a message is recovered into another mailbox, with a plan first', async (t) => {
  const { emulator, source, point, anna, ben } = await backedUp(t);
  const id = (await point.find('').toArray()).find((entry) => entry.kind === 'message').id;
  const before = await emulator.messages(ben);

  const plan = await point.plan(source, { object: ben, onConflict: 'skip', ids: [id] }).outcome();
  const counts = await plan.counts();
  assert.equal(counts.create, 1);
  const items = await plan.items();
  assert.deepEqual(items.map((item) => [item.id, item.action]), [[id, 'create']]);
  assert.equal((await emulator.messages(ben)).length, before.length, 'a plan writes nothing');

  const report = await plan.apply().outcome();
  report.throwIfIssues();
  assert.equal(report.recovered, 1);
  assert.equal(report.target.address, ben);
  const known = new Set(before.map((message) => message.id));
  const [arrived] = (await emulator.messages(ben)).filter((message) => !known.has(message.id));
  assert.equal(arrived.id, report.items[0].newId);
  const original = (await emulator.messages(anna)).find((message) => message.id === id);
  assert.equal(arrived.subject, original.subject);
  assert.deepEqual(arrived.received, original.received);
});

test('a repository is verified, closed and opened again', async (t) => {
  const { repository, url, anna } = await backedUp(t);
  const report = await repository.verify().outcome();
  assert.equal(report.complete, true);
  assert.deepEqual(report.damage, []);
  assert.equal(report.throwIfIssues, undefined, 'damage is what the report is for');
  const sampled = await repository.verify({ samplePercent: 50, seed: 2n ** 63n + 1n }).outcome();
  assert.equal(sampled.seed, 2n ** 63n + 1n, 'no digit is lost');

  await repository.close();
  const again = await Repository.open(url, { passphrase: PASSPHRASE });
  assert.equal((await again.points(anna)).length, 1);
  const info = await again.info();
  assert.equal(info.encrypted, true);
  assert.equal(info.objects, 1);
  await again.refresh();
  await again.close();
});

test('what cannot be read makes the run partial, and is named', async (t) => {
  const { emulator, source, repository, anna } = await world(t);
  const [message] = await emulator.messages(anna);
  await emulator.corruptMessage(anna, message.id, true);
  const report = await source.backup(repository, anna).outcome();
  assert.equal(report.outcome, 'partial');
  assert.equal(report.failed, 1);
  assert.throws(() => report.throwIfIssues(), (error) => {
    assert.ok(error instanceof PartialError && error instanceof NakivoError);
    assert.equal(error.code, 'NAKIVO_PARTIAL');
    assert.deepEqual(error.issues, report.issues);
    assert.ok(error.message.includes(report.issues[0].path));
    return true;
  });
  assert.deepEqual(Object.keys(report).includes('throwIfIssues'), false, 'a report is data');

  await emulator.corruptMessage(anna, message.id, false);
  const healed = await source.backup(repository, anna).outcome();
  assert.equal(healed.outcome, 'complete');
  assert.equal(healed.items, 25);
});

test('a folder of this machine is backed up and comes back', async (t) => {
  const { repository } = await world(t);
  const place = await folder(t);
  await mkdir(join(place, 'in', 'deep'), { recursive: true });
  await writeFile(join(place, 'in', 'deep', 'file.txt'), 'content');
  const source = await Source.folder(join(place, 'in'), 'papers');
  (await source.backup(repository, 'papers').outcome()).throwIfIssues();
  const point = await repository.point('papers', 'latest');
  const entry = await point.entry('deep/file.txt');
  assert.equal(await point.content(entry.id).text(), 'content');
  assert.deepEqual(await source.checkPermissions(), []);
});

test('a job that could not do its work says so in its record, which can be made an error', async (t) => {
  const { directory, url } = await world(t);
  const director = await Director.open(join(directory, 'state'));
  const passphraseFile = join(directory, 'passphrase');
  await writeFile(passphraseFile, PASSPHRASE, { mode: 0o600 });
  await director.addRepository('vault', url, { passphraseFile });
  await director.addJob('Nightly', { repository: 'vault', sources: [{ folder: join(directory, 'none'), objects: ['papers'] }] });
  const record = await director.run('Nightly').outcome();
  assert.notEqual(record.outcome, 'complete');
  assert.throws(() => record.throwIfIssues(), (error) => error instanceof PartialError && error.issues[0].name === 'papers');
  await director.close();
});
