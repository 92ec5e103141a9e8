// Long calls: watched, cancelled, given up.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CancelledError, NotFoundError, Repository } from 'nakivo';

import { backedUp, PASSPHRASE, world } from './world.mjs';

const LARGE = { itemsPerUser: 400 };

function isAbort(error) {
  return error instanceof CancelledError && error.name === 'AbortError' && error.code === 'NAKIVO_CANCELLED';
}

test('a cancelled backup ends as cancelled, leaves no point, and the next one goes on', async (t) => {
  const { source, repository, anna } = await world(t, LARGE);
  const run = source.backup(repository, anna);
  for await (const update of run) {
    if (update.itemsDone > 0) break;
  }
  await run.cancel();
  await assert.rejects(run.outcome(), isAbort);
  await assert.rejects(run.outcome(), isAbort, 'again the same');
  await assert.rejects(repository.points(anna), NotFoundError);
  const report = await source.backup(repository, anna).outcome();
  assert.equal(report.items, 400);
  assert.equal(report.outcome, 'complete');
});

test('a signal cancels the run', async (t) => {
  const { source, repository, anna } = await world(t, LARGE);
  const controller = new AbortController();
  const run = source.backup(repository, anna, { signal: controller.signal });
  const updates = run[Symbol.asyncIterator]();
  await updates.next();
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(run.outcome(), (error) => isAbort(error) && error.cause === reason);
  await assert.rejects(repository.points(anna), NotFoundError);
});

test('a signal that aborted before lets nothing begin', async (t) => {
  const { source, repository, anna, emulator } = await world(t);
  const requests = await emulator.requests();
  const signal = AbortSignal.abort();
  await assert.rejects(source.backup(repository, anna, { signal }).outcome(), isAbort);
  await assert.rejects(source.objects({ signal }), isAbort);
  assert.equal(await emulator.requests(), requests);
});

test('a signal gives an ordinary call up', async (t) => {
  const { emulator, source } = await world(t);
  await source.objects();
  await emulator.throttleNext(1000, 30);
  const started = Date.now();
  await assert.rejects(source.objects({ signal: AbortSignal.timeout(200) }), (error) => {
    return isAbort(error) && error.cause.name === 'TimeoutError';
  });
  assert.ok(Date.now() - started < 10_000);
});

test('a signal ends a listing and content', async (t) => {
  const { point } = await backedUp(t);
  const controller = new AbortController();
  const listing = point.find('', { signal: controller.signal });
  controller.abort();
  await assert.rejects(listing.toArray(), isAbort);
  await assert.rejects(point.content('x', undefined, { signal: AbortSignal.abort() }).bytes(), isAbort);
});

test('leaving the block of a run cancels it and waits', async (t) => {
  const { source, repository, anna } = await world(t, LARGE);
  const run = source.backup(repository, anna);
  await run[Symbol.asyncDispose]();
  await assert.rejects(run.outcome(), isAbort);
  // One that ended is left alone.
  const done = source.backup(repository, anna);
  const report = await done.outcome();
  await done[Symbol.asyncDispose]();
  assert.equal(await done.outcome(), report);
  assert.equal((await repository.points(anna)).length, 1);
});

test('a failure that nobody looked at is thrown when the block is left', async (t) => {
  const { source, repository } = await world(t);
  await assert.rejects(source.backup(repository, 'nobody@nowhere')[Symbol.asyncDispose](), NotFoundError);
  const seen = source.backup(repository, 'nobody@nowhere');
  await assert.rejects(seen.outcome(), NotFoundError);
  await seen[Symbol.asyncDispose]();
  const iterated = source.backup(repository, 'nobody@nowhere');
  await assert.rejects(async () => {
    for await (const update of iterated) assert.fail(update.kind);
  }, NotFoundError);
  await iterated.cancel();
});

test('several runs at once', async (t) => {
  const { source, repository, mailboxes } = await world(t, { users: 4 });
  const reports = await Promise.all(mailboxes.map((mailbox) => source.backup(repository, mailbox).outcome()));
  assert.deepEqual(reports.map((report) => report.outcome), mailboxes.map(() => 'complete'));
  assert.equal((await repository.objects()).length, 4);
});

test('a run goes on when nobody watches, and objects may be closed meanwhile', async (t) => {
  const { source, repository, anna, url } = await world(t);
  const run = source.backup(repository, anna);
  const outcome = run.outcome();
  await source.close();
  await repository.close();
  assert.equal((await outcome).items, 25);
  const again = await Repository.open(url, { passphrase: PASSPHRASE });
  assert.equal((await again.points(anna)).length, 1);
  await again.close();
});
