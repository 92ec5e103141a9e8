// The package as it is loaded: by `require`, by `import`, in other threads, and what that costs.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');

const nakivo = require('nakivo');
const testing = require('nakivo/testing');

/** What a program of its own prints. */
function printed(program, ...options) {
  const child = spawnSync(process.execPath, [...options, '-e', program], { cwd: __dirname, encoding: 'utf8' });
  assert.equal(child.status, 0, child.stderr);
  return child.stdout.trim();
}

test('required and imported are the same', async () => {
  const imported = await import('nakivo');
  const names = Object.keys(nakivo).filter((name) => name !== '__esModule');
  assert.ok(names.includes('Repository') && names.includes('NakivoError'));
  for (const name of names) assert.equal(imported[name], nakivo[name], name);
  const { Emulator } = await import('nakivo/testing');
  assert.equal(Emulator, testing.Emulator);
  assert.equal('default' in imported && imported.default !== nakivo, false, 'there is no default export of its own');
  assert.equal(nakivo.Emulator, undefined, 'what is for tests is not in the way');
});

test('nothing else can be reached', () => {
  assert.throws(() => require('nakivo/dist/native.js'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });
});

test('loading starts no thread, opens no socket, and is quick', { skip: process.platform !== 'linux' && 'SKIPPED: /proc' }, () => {
  const program = `
    const { readdirSync } = require('node:fs');
    const count = (of) => readdirSync('/proc/self/' + of).length;
    const before = count('task');
    const start = performance.now();
    const nakivo = require('nakivo');
    const took = performance.now() - start;
    const names = readdirSync('/proc/self/task').map((id) => require('node:fs').readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim());
    console.log(JSON.stringify({ threads: count('task') - before, took, names }));`;
  const tries = [1, 2, 3].map(() => JSON.parse(printed(program)));
  for (const { threads, names } of tries) {
    assert.equal(threads, 0);
    assert.ok(!names.includes('nakivo'));
  }
  const best = Math.min(...tries.map(({ took }) => took));
  console.log(`loading takes ${best.toFixed(1)} ms`);
  assert.ok(best < 100, `${best} ms`);
});

test('a program ends when it has nothing to wait for', () => {
  const program = `
    const { Emulator } = require('nakivo/testing');
    Emulator.start({ users: 1, itemsPerUser: 1 }).then(() => console.log('started'));`;
  assert.equal(printed(program), 'started');
});

test('an error that nobody handles ends the program as any other', () => {
  const child = spawnSync(process.execPath, ['-e', `require('nakivo').Repository.open('file:/nowhere/at/all')`], {
    cwd: __dirname,
    encoding: 'utf8',
  });
  assert.equal(child.status, 1);
  assert.match(child.stderr, /RepositoryMissingError/);
});

test('other threads have the package, too, and may be ended in the middle of a call', async () => {
  const work = `
    const { parentPort } = require('node:worker_threads');
    const { Emulator } = require('nakivo/testing');
    (async () => {
      const emulator = await Emulator.start({ users: 1, itemsPerUser: 3 });
      const { mailboxes } = await emulator.info();
      parentPort.postMessage((await emulator.messages(mailboxes[0])).length);
      const source = await emulator.source();
      await emulator.throttleNext(1000, 60);
      await source.objects();
    })();`;
  const workers = [1, 2, 3].map(() => new Worker(work, { eval: true, filename: __filename }));
  const answers = workers.map((worker) => new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  }));
  assert.deepEqual(await Promise.all(answers), [3, 3, 3]);
  for (const worker of workers) await worker.terminate();
  const emulator = await testing.Emulator.start({ users: 1, itemsPerUser: 1 });
  await emulator.stop();
});
