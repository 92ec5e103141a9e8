// The programs in the README run, one after the other, as they stand there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { folder } from './world.mjs';

test('the README runs', async (t) => {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const directory = await folder(t);
  mkdirSync(join(directory, 'app'));
  symlinkSync(join(here, 'node_modules'), join(directory, 'app', 'node_modules'));
  const programs = [...readFileSync(join(here, 'README.md'), 'utf8').matchAll(/^```js\n(.*?)^```$/gms)];
  const printed = programs.map(([, program], at) => {
    const file = join(directory, 'app', `program${at}.mjs`);
    writeFileSync(file, program);
    const child = spawnSync(process.execPath, ['--preserve-symlinks', '--preserve-symlinks-main', file], {
      cwd: join(directory, 'app'),
      encoding: 'utf8',
    });
    assert.equal(child.status, 0, child.stderr);
    return child.stdout;
  });
  assert.equal(printed.length, 2);
  assert.match(printed[0], /commit: 50 items[^]*create: 3[^]*3 messages recovered[^]* 0 damaged/);
  assert.equal(printed[1].trim(), 'NAKIVO_WRONG_PASSPHRASE false');
});
