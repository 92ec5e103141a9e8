// The portal against an emulated organisation.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Repository } from 'nakivo';
import { Emulator } from 'nakivo/testing';

import { portal } from './portal.mjs';

const MIME = 'From: a@b.example\r\nSubject: A unicorn\r\n\r\nHello\r\n';
let directory, emulator, app;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portal-'));
  emulator = await Emulator.start({ users: 2, itemsPerUser: 30, seed: 5 });
  const [anna] = (await emulator.info()).mailboxes;
  await emulator.addMessage(anna, 'inbox', Buffer.from(MIME));
  const repository = await Repository.create(`file:${directory}/vault`, { passphrase: 'correct horse' });
  app = portal({ contoso: { repository, source: await emulator.source(['mail']) } });
});

after(async () => {
  await app.close();
  await emulator.stop();
  await rm(directory, { recursive: true });
});

const get = (url) => app.inject({ method: 'GET', url });
const post = (url, payload) => app.inject({ method: 'POST', url, payload });

test('from a mailbox to a recovered message', async () => {
  const [anna, bert] = (await get('/contoso/mailboxes')).json().map((each) => each.address);
  const { run } = (await post(`/contoso/mailboxes/${anna}/backups`)).json();
  assert.match((await get(`/runs/${run}/events`)).body, /commit/);
  const report = (await get(`/runs/${run}`)).json();
  assert.deepEqual([report.outcome, report.items], ['complete', 31]);
  assert.equal((await get('/contoso/mailboxes')).json()[0].points, 1);

  const [hit, ...others] = (await get(`/contoso/mailboxes/${anna}/search?q=subject:unicorn`)).json();
  assert.deepEqual(others, []);
  const message = encodeURIComponent(hit.id);
  assert.equal((await get(`/contoso/mailboxes/${anna}/messages/${message}`)).body, MIME);
  const recovered = (await post(`/contoso/mailboxes/${anna}/recovery?to=${bert}`, [hit.id])).json();
  assert.deepEqual([recovered.outcome, recovered.recovered], ['complete', 1]);
});

test('what went wrong is told by status and code', async () => {
  const nobody = await post('/contoso/mailboxes/nobody@nowhere.example/backups');
  assert.deepEqual([nobody.statusCode, nobody.json().code], [404, 'NAKIVO_NOT_FOUND']);
  const [{ address: anna }] = (await get('/contoso/mailboxes')).json();
  const { run } = (await post(`/contoso/mailboxes/${anna}/backups`)).json();
  await get(`/runs/${run}`);
  const query = await get(`/contoso/mailboxes/${anna}/search?q=from:`);
  assert.deepEqual([query.statusCode, query.json().code], [400, 'NAKIVO_INVALID_INPUT']);
  assert.equal((await get(`/contoso/mailboxes/${anna}/messages/none`)).statusCode, 404);
  assert.equal((await get('/fabrikam/mailboxes')).statusCode, 404);
});
