// What the compiler must and must not accept. Compiled only, against the installed package.

import { BackupReport, CallOptions, Entry, Integer, NakivoError, PartialError, Repository, Run, Source } from 'nakivo';
import { Emulator } from 'nakivo/testing';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

export async function accepted(signal: AbortSignal): Promise<void> {
  await using repository = await Repository.open('file:vault', { passphrase: 'x', cacheBytes: 1n, signal });
  await using emulator = await Emulator.start({ users: 1 });
  const source = await emulator.source(['mail']);
  await using run = source.backup(repository, 'anna', { failFast: true, signal });
  same<typeof run, Run<BackupReport>>(true);
  for await (const update of run) same<typeof update.itemsTotal, Integer | null>(true);
  const report = await run.outcome();
  report.throwIfIssues();
  same<typeof report.seconds, number>(true);
  const point = await repository.point('anna', 'latest');
  for await (const entry of point.find('subject:x')) same<typeof entry, Entry>(true);
  const entry = await point.entry('Inbox');
  same<typeof entry.created, Date | null>(true);
  const web: ReadableStream<Uint8Array> = point.content(entry.id);
  await web.cancel();
  await point.content(entry.id, 'mime').save('x');
  await point.plan(source, { object: 'ben', onConflict: 'skip', paths: ['Inbox'] }).outcome();
  const options: CallOptions = {};
  await repository.refresh(options);
}

export async function refused(repository: Repository, source: Source): Promise<void> {
  // @ts-expect-error: no such option
  await Repository.open('file:vault', { passphrse: 'x' });
  // @ts-expect-error: not text
  await Repository.open(7);
  // @ts-expect-error: not a repository
  source.backup(source, 'anna');
  // @ts-expect-error: no such word
  await Repository.create('file:vault', { compression: 'most' });
  // @ts-expect-error: objects are not made by hand
  new Repository({});
  const info = await repository.info();
  // @ts-expect-error: records do not change
  info.points = 7;
  // @ts-expect-error: damage is what the report is for
  (await repository.verify().outcome()).throwIfIssues();
  // @ts-expect-error: what is private
  repository.ask('info', [], []);
}

export function caught(error: unknown): string | number | null {
  if (error instanceof PartialError) return error.issues[0]?.path ?? null;
  return error instanceof NakivoError ? error.retryAfter : null;
}
