// What most tests need: an emulated organisation, and a repository in a folder of its own. Everything goes with the test.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Repository } from 'nakivo';
import { Emulator } from 'nakivo/testing';

export const PASSPHRASE = 'correct horse battery staple';

/** A folder that goes with the test. */
export async function folder(test) {
  const path = await mkdtemp(join(tmpdir(), 'nakivo-node-'));
  test.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** An organisation with `options`, and a repository. */
export async function world(test, options = {}) {
  const directory = await folder(test);
  const emulator = await Emulator.start({ users: 2, itemsPerUser: 25, ...options });
  test.after(() => emulator.stop());
  const { mailboxes } = await emulator.info();
  const url = `file:${directory}/vault`;
  const repository = await Repository.create(url, { passphrase: PASSPHRASE });
  test.after(() => repository.close());
  const source = await emulator.source();
  return { directory, emulator, source, repository, url, mailboxes, anna: mailboxes[0], ben: mailboxes[1] };
}

/** As `world`, with one mailbox backed up. */
export async function backedUp(test, options = {}) {
  const here = await world(test, options);
  const report = await here.source.backup(here.repository, here.anna).outcome();
  const point = await here.repository.point(here.anna, 'latest');
  return { ...here, report, point };
}

/** A message as MIME. */
export function mime(subject, body = 'Hello.') {
  const text = `From: anna@example.org\r\nTo: ben@example.org\r\nSubject: ${subject}\r\nMIME-Version: 1.0\r\n\r\n${body}\r\n`;
  return new TextEncoder().encode(text);
}
