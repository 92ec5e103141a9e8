// Every failure is a typed error that says what happened, for programs and for people.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as nakivo from 'nakivo';
import { Emulator } from 'nakivo/testing';

import { backedUp, PASSPHRASE, world } from './world.mjs';

const { NakivoError, Repository, Source } = nakivo;

/** The error that a call ends with; it is one of the classes. */
async function failure(promise, kind, code) {
  const error = await promise.then(
    () => assert.fail('no error'),
    (thrown) => thrown,
  );
  assert.ok(error instanceof kind, `${error?.stack}`);
  assert.ok(error instanceof NakivoError && error instanceof Error);
  assert.equal(error.code, code);
  return error;
}

test('each kind of failure has a class and a code', async (t) => {
  const { repository, url, source, anna, directory } = await world(t);
  const wrong = await failure(
    Repository.open(url, { passphrase: 'nonsense' }),
    nakivo.WrongPassphraseError,
    'NAKIVO_WRONG_PASSPHRASE',
  );
  assert.equal(wrong.retryable, false);
  assert.equal(wrong.retryAfter, null);
  assert.deepEqual(wrong.issues, []);
  assert.ok(!wrong.message.includes('nonsense'));
  assert.match(wrong.stack, /errors\.test\.mjs/, 'the stack leads to the caller');
  assert.match(String(wrong), /^WrongPassphraseError: /);

  await failure(repository.object('nobody'), nakivo.NotFoundError, 'NAKIVO_NOT_FOUND');
  await failure(repository.point(anna, 'latest'), nakivo.NotFoundError, 'NAKIVO_NOT_FOUND');
  await failure(Repository.open(`file:${directory}/none`), nakivo.RepositoryMissingError, 'NAKIVO_REPOSITORY_MISSING');
  await failure(Repository.create(url, { passphrase: 'x' }), nakivo.AlreadyExistsError, 'NAKIVO_ALREADY_EXISTS');
  await failure(Repository.create(`file:${directory}/b`), nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
  await failure(source.backup(repository, 'nobody@nowhere').outcome(), nakivo.NotFoundError, 'NAKIVO_NOT_FOUND');
});

test('a wrong secret, and a service that is not there', async (t) => {
  const emulator = await Emulator.start({ users: 1, itemsPerUser: 1 });
  const { directoryId, appId, graphUrl, loginUrl, clientSecret } = await emulator.info();
  const place = { directoryId, appId, graphUrl, loginUrl };
  const denied = await Source.m365({ ...place, clientSecret: 'wrong' });
  const error = await failure(denied.objects(), nakivo.UnauthorizedError, 'NAKIVO_UNAUTHORIZED');
  assert.ok(!error.message.includes(clientSecret));
  const source = await Source.m365({ ...place, clientSecret });
  assert.equal((await source.objects()).objects.length, 2);
  await emulator.stop();
  await failure(emulator.info(), nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
});

test('wrong arguments are told by name, wherever they are found', async (t) => {
  const { repository, url, source, anna } = await world(t);
  const told = async (promise, pattern) => {
    const error = await failure(promise, nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
    assert.match(error.message, pattern);
  };
  await told(Repository.open(7), /^url: .*7/);
  await told(Repository.open(), /^url: .*null/);
  // What may be a secret is not shown.
  await told(Repository.open(url, { passphrase: 7331 }), /^passphrase: (?!.*7331)/);
  await told(Repository.open(url, { passphrse: PASSPHRASE }), /options\.passphrse: unknown .*passphrase/);
  await told(Repository.open(url, 'passphrase'), /^options: a string/);
  await told(Repository.open(url, [1]), /^options: a list/);
  await told(Repository.open(url, { signal: 7 }), /^options\.signal: /);
  await told(Repository.open(url, { signal: Object.create(AbortSignal.prototype) }), /cannot be read/);
  await told(Repository.open(`file:/\ud800`), /^url: half a character/);
  await told(Repository.open(url, { cacheBytes: -1 }), /cacheBytes: .*-1/);
  await told(Repository.open(url, { cacheBytes: 2n ** 64n }), /cacheBytes: /);
  await told(Repository.open(url, { cacheBytes: NaN }), /cacheBytes: NaN/);
  await told(Repository.open(url, { cacheBytes: 1.5 }), /cacheBytes: .*1\.5/);
  await told(Repository.open(url, { passphrase: () => 'x' }), /passphrase: a function/);
  await told(Repository.open(url, { passphrase: {} }), /passphrase: an object/);
  await told(Repository.open(url, { get passphrase() { throw new Error('mine'); } }), /arguments: what cannot be read/);
  await told(source.backup(source, anna).outcome(), /^repository: 'Source'.*Repository/);
  await told(source.backup({}, anna).outcome(), /^repository: /);
  await told(source.backup(undefined, anna).outcome(), /^repository: nothing/);
  const point = await (await backedUp(t)).point;
  const loop = [];
  loop.push(loop);
  await told(point.export({ directory: '/x', paths: loop }).outcome(), /paths.*nested too deeply/);
  await told(point.export({}).outcome(), /exactly one of directory and zip/);
  await told(point.plan(source, { onConflict: 'explode' }).outcome(), /onConflict: .*explode.*rename/);
  await told(point.find('nonsense:').toArray(), /nonsense/);
  await told(repository.verify({ samplePercent: 256 }).outcome(), /samplePercent/);
});

test('a date that is none, and content that is none', async (t) => {
  const { emulator, anna } = await world(t);
  await failure(emulator.addMessage(anna, 'inbox', 'text'), nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
  await failure(emulator.addMessage(anna, 'inbox'), nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
  await failure(emulator.addMessage(new Date(NaN), 'inbox', new Uint8Array()), nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
  const shared = new Uint8Array(new SharedArrayBuffer(40));
  shared.set(new TextEncoder().encode('Subject: shared\r\n\r\nMemory.\r\n'));
  const id = await emulator.addMessage(anna, 'inbox', shared);
  assert.match(Buffer.from(await emulator.mime(anna, id)).toString(), /shared/);
  // Memory that the caller has given away is empty.
  const gone = new Uint8Array(40);
  structuredClone(gone, { transfer: [gone.buffer] });
  await emulator.addMessage(anna, 'inbox', gone).catch((error) => assert.ok(error instanceof NakivoError));
  await emulator.addMessage(anna, 'inbox', new Uint8Array()).catch((error) => assert.ok(error instanceof NakivoError));
});

test('what was closed says so, and closing again is nothing', async (t) => {
  const { repository, source, anna, point } = await backedUp(t);
  await repository.close();
  await repository.close();
  const error = await failure(repository.info(), nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
  assert.match(error.message, /Repository: it was closed/);
  await failure(source.backup(repository, anna).outcome(), nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
  // A point holds what it needs itself.
  assert.ok((await point.find('').toArray()).length > 0);
  const contents = point.find('');
  await contents.close();
  await failure(contents.toArray(), nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
  {
    // As `await using` does.
    await point[Symbol.asyncDispose]();
  }
  await failure(point.info(), nakivo.InvalidInputError, 'NAKIVO_INVALID_INPUT');
});

test('nobody makes objects by hand', () => {
  for (const kind of [Repository, Source, nakivo.Point, Emulator]) {
    assert.throws(() => new kind(), nakivo.InvalidInputError);
    assert.throws(() => new kind({}), nakivo.InvalidInputError);
  }
});

test('the codes and classes are one for one', () => {
  const kinds = Object.values(nakivo).filter((kind) => kind.prototype instanceof NakivoError);
  assert.ok(kinds.length > 15);
  const failureOf = (code) => ({ code, reason: 'r', hint: 'h', retry_after: 2.5, retryable: true });
  const error = new nakivo.ThrottledError(failureOf('throttled'));
  assert.equal(error.message, 'r. h');
  assert.equal(error.retryAfter, 2.5);
  assert.equal(error.code, 'NAKIVO_THROTTLED');
  assert.equal(new nakivo.CancelledError(failureOf('cancelled')).name, 'AbortError');
});
