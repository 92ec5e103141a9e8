// Generated from bindings/api.json by bindings/generate: change that, not this.

import { listOf, parsed, same } from '../decode';
import { asData, asNothing, asObject } from '../answer';
import { Held, ask, make } from '../held';
import type { CallOptions } from '../held';
import { Run } from '../run';
import { ByteStream, Listing } from '../stream';
import { AccountEditShape, AccountOptionsShape, BackupOptionsShape, CopyOptionsShape, CreateOptionsShape, DirectorOptionsShape, ExportToShape, HealOptionsShape, JobOptionsShape, KeepShape, OpenOptionsShape, PageOptionsShape, PlaceOptionsShape, PointFilterShape, ProtectionShape, ReclaimOptionsShape, RecoverToShape, RepositoryAccessShape, RepositoryEditShape, RotateOptionsShape, RunSelectionShape, SelectedShape, UnhideOptionsShape, VerifyOptionsShape, toAccountInfo, toBackupReport, toCopiedPoint, toCopyReport, toDeletedPoints, toDestroyReport, toDirectorEvent, toDiscovered, toEntry, toExportReport, toHealReport, toHistoryEntry, toIssue, toItemChange, toJobInfo, toJournalHead, toJournalStatus, toKeySlot, toKeySlots, toKnownRepository, toLockReport, toNewKey, toObjectInfo, toOccurrence, toPage, toPermissionCheck, toPlanCounts, toPlannedItem, toPointInfo, toReclaimReport, toRecoveryReport, toRenewReport, toRepositoryInfo, toRestored, toRetention, toRotateReport, toRunRecord, toServed, toUnhideReport, toVerifyReport } from './convert';
import type { AccountEdit, AccountInfo, AccountOptions, BackupOptions, BackupReport, CopiedPoint, CopyOptions, CopyReport, CreateOptions, DeletedPoints, DestroyReport, DirectorEvent, DirectorOptions, Discovered, Entry, ExportReport, ExportTo, HealOptions, HealReport, HistoryEntry, Issue, ItemChange, JobInfo, JobOptions, JournalHead, JournalStatus, Keep, KeySlot, KeySlots, KnownRepository, LockReport, NewKey, ObjectInfo, Occurrence, OpenOptions, Page, PageOptions, PermissionCheck, PlaceOptions, PlanCounts, PlannedItem, PointFilter, PointInfo, Protection, ReclaimOptions, ReclaimReport, RecoverTo, RecoveryReport, RenewReport, RepositoryAccess, RepositoryEdit, RepositoryInfo, Restored, Retention, RotateOptions, RotateReport, RunRecord, RunSelection, Selected, Served, UnhideOptions, UnhideReport, VerifyOptions, VerifyReport } from './records';

/** A repository: where recovery points live. */
export class Repository extends Held {
  /** Opens the repository at `url`: `file:` and a path, `s3:bucket/prefix`, `az:container/prefix` or `gs:bucket/prefix`. */
  static open(url: string, options?: OpenOptions & CallOptions): Promise<Repository> {
    return asObject(make('Repository', 'open', [['url', url, null]], [options, ['options', OpenOptionsShape]]), (handle) => new Repository(handle));
  }

  /** Makes a repository at `url` and opens it. Nothing may be there yet. */
  static create(url: string, options?: CreateOptions & CallOptions): Promise<Repository> {
    return asObject(make('Repository', 'create', [['url', url, null]], [options, ['options', CreateOptionsShape]]), (handle) => new Repository(handle));
  }

  /** Its figures. */
  info(options?: CallOptions): Promise<RepositoryInfo> {
    return asData(ask(this, 'info', [], [options]), toRepositoryInfo);
  }

  /** Looks at what others committed since. */
  refresh(options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'refresh', [], [options]));
  }

  /** The protected objects. */
  objects(options?: CallOptions): Promise<readonly ObjectInfo[]> {
    return asData(ask(this, 'objects', [], [options]), listOf(toObjectInfo));
  }

  /** The protected object with this name, address or id. */
  object(name: string, options?: CallOptions): Promise<ObjectInfo> {
    return asData(ask(this, 'object', [['name', name, null]], [options]), toObjectInfo);
  }

  /** The recovery points of an object, oldest first. `object` is its name, address or id. */
  points(object: string, options?: CallOptions): Promise<readonly PointInfo[]> {
    return asData(ask(this, 'points', [['object', object, null]], [options]), listOf(toPointInfo));
  }

  /** The recovery points of all objects, in the order of their commits. */
  allPoints(options?: CallOptions): Promise<readonly PointInfo[]> {
    return asData(ask(this, 'all_points', [], [options]), listOf(toPointInfo));
  }

  /** A recovery point, to look into: `latest`, or its id or the beginning of it. */
  point(object: string, point: string, options?: CallOptions): Promise<Point> {
    return asObject(ask(this, 'point', [['object', object, null], ['point', point, null]], [options]), (handle) => new Point(handle));
  }

  /** Verifies the repository. Damage is no error: it is what the report is for. */
  verify(options?: VerifyOptions & CallOptions): Run<VerifyReport> {
    return new Run(ask(this, 'verify', [], [options, ['options', VerifyOptionsShape]]), (answer) => toVerifyReport(parsed(answer)));
  }

  /** Sets how long a point is kept, whatever retention says. `point` is its id or the beginning of it. */
  protect(point: string, options?: Protection & CallOptions): Promise<void> {
    return asNothing(ask(this, 'protect', [['point', point, null]], [options, ['protection', ProtectionShape]]));
  }

  /** Notes something about a point; nothing takes the note away. */
  describe(point: string, description?: string | null, options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'describe', [['point', point, null], ['description', description, null]], [options]));
  }

  /** Deletes recovery points, or says which would go. */
  deletePoints(options?: PointFilter & CallOptions): Promise<DeletedPoints> {
    return asData(ask(this, 'delete_points', [], [options, ['filter', PointFilterShape]]), toDeletedPoints);
  }

  /** Says which recovery points of an object stay by these rules, why and until when. Removes nothing. */
  planRetention(object: string, options?: Keep & CallOptions): Promise<Retention> {
    return asData(ask(this, 'plan_retention', [['object', object, null]], [options, ['keep', KeepShape]]), toRetention);
  }

  /** Removes the recovery points of an object that nothing keeps. */
  applyRetention(object: string, options?: Keep & CallOptions): Promise<Retention> {
    return asData(ask(this, 'apply_retention', [['object', object, null]], [options, ['keep', KeepShape]]), toRetention);
  }

  /** Frees what no recovery point needs. */
  reclaim(options?: ReclaimOptions & CallOptions): Run<ReclaimReport> {
    return new Run(ask(this, 'reclaim', [], [options, ['options', ReclaimOptionsShape]]), (answer) => toReclaimReport(parsed(answer)));
  }

  /** Writes anew what is sealed in older epochs of the keys, after they were rotated. */
  reencrypt(options?: ReclaimOptions & CallOptions): Run<ReclaimReport> {
    return new Run(ask(this, 'reencrypt', [], [options, ['options', ReclaimOptionsShape]]), (answer) => toReclaimReport(parsed(answer)));
  }

  /**
   * Repairs what can be repaired: index and checkpoints from the packs; damaged content from another repository or from
   * the source, where they are given and still have it.
   */
  heal(repository?: Repository | null, source?: Source | null, options?: HealOptions & CallOptions): Run<HealReport> {
    return new Run(ask(this, 'heal', [['repository', repository, 'object'], ['source', source, 'object']], [options, ['options', HealOptionsShape]]), (answer) => toHealReport(parsed(answer)));
  }

  /** Says what copying into another repository would do. */
  planCopy(target: Repository, options?: CopyOptions & CallOptions): Promise<readonly CopiedPoint[]> {
    return asData(ask(this, 'plan_copy', [['target', target, 'object']], [options, ['options', CopyOptionsShape]]), listOf(toCopiedPoint));
  }

  /** Copies recovery points into another repository. What is there already is not copied again. */
  copyTo(target: Repository, options?: CopyOptions & CallOptions): Run<CopyReport> {
    return new Run(ask(this, 'copy_to', [['target', target, 'object']], [options, ['options', CopyOptionsShape]]), (answer) => toCopyReport(parsed(answer)));
  }

  /** What opens this repository. */
  keys(options?: CallOptions): Promise<KeySlots> {
    return asData(ask(this, 'keys', [], [options]), toKeySlots);
  }

  /** Lets a further passphrase open it. */
  addPassphrase(passphrase: string, label?: string | null, options?: CallOptions): Promise<KeySlot> {
    return asData(ask(this, 'add_passphrase', [['passphrase', passphrase, null], ['label', label, null]], [options]), toKeySlot);
  }

  /** Makes a recovery key that opens it, to be printed. */
  addRecoveryKey(label?: string | null, options?: CallOptions): Promise<NewKey> {
    return asData(ask(this, 'add_recovery_key', [['label', label, null]], [options]), toNewKey);
  }

  /** Puts another passphrase in the place of the passphrase or key that it was opened with. No data is written anew. */
  changePassphrase(passphrase: string, options?: CallOptions): Promise<KeySlot> {
    return asData(ask(this, 'change_passphrase', [['passphrase', passphrase, null]], [options]), toKeySlot);
  }

  /** Removes a key slot, by its whole id. The last one stays. */
  removeKey(id: string, options?: CallOptions): Promise<KeySlot> {
    return asData(ask(this, 'remove_key', [['id', id, null]], [options]), toKeySlot);
  }

  /** Seals new data with new keys. `reclaim` with `reencrypt` writes the old data anew. */
  rotateKeys(options?: RotateOptions & CallOptions): Promise<RotateReport> {
    return asData(ask(this, 'rotate_keys', [], [options, ['options', RotateOptionsShape]]), toRotateReport);
  }

  /** Brings back what somebody deleted of this repository, in a bucket that keeps versions. */
  unhide(options?: UnhideOptions & CallOptions): Run<UnhideReport> {
    return new Run(ask(this, 'unhide', [], [options, ['options', UnhideOptionsShape]]), (answer) => toUnhideReport(parsed(answer)));
  }

  /** Sets for how many days points of this repository cannot be removed by anybody. */
  setImmutableDays(days: number, options?: CallOptions): Run<RenewReport> {
    return new Run(ask(this, 'set_immutable_days', [['days', days, null]], [options]), (answer) => toRenewReport(parsed(answer)));
  }

  /** Extends the locks of what points need. `force`: also where it is not due. */
  renewLocks(force: boolean, options?: CallOptions): Run<RenewReport> {
    return new Run(ask(this, 'renew_locks', [['force', force, null]], [options]), (answer) => toRenewReport(parsed(answer)));
  }

  /** Looks whether everything is locked for as long as it was promised. */
  checkLocks(options?: CallOptions): Run<LockReport> {
    return new Run(ask(this, 'check_locks', [], [options]), (answer) => toLockReport(parsed(answer)));
  }
}

/** A recovery point of one object. */
export class Point extends Held {
  /** What is known of it. */
  info(options?: CallOptions): Promise<PointInfo> {
    return asData(ask(this, 'info', [], [options]), toPointInfo);
  }

  /** What its run could not store, or stored with a warning. */
  issues(options?: CallOptions): Promise<readonly Issue[]> {
    return asData(ask(this, 'issues', [], [options]), listOf(toIssue));
  }

  /** What differs from another point of the same object: `added` is what is only in this one. */
  changesSince(older: Point, options?: CallOptions): Listing<ItemChange> {
    return new Listing(ask(this, 'changes_since', [['older', older, 'object']], [options]), toItemChange);
  }

  /** A page of what lies in a container: containers first, then items. `container` is its id, empty for the root. */
  list(container: string, options?: PageOptions & CallOptions): Promise<Page> {
    return asData(ask(this, 'list', [['container', container, null]], [options, ['options', PageOptionsShape]]), toPage);
  }

  /**
   * The items and containers that a query finds, such as `from:anna subject:"annual report" has:attachment`; an empty one finds
   * everything.
   */
  find(query: string, options?: CallOptions): Listing<Entry> {
    return new Listing(ask(this, 'find', [['query', query, null]], [options]), toEntry);
  }

  /** What is at a path, such as `Inbox/Annual report`. */
  entry(path: string, options?: CallOptions): Promise<Entry> {
    return asData(ask(this, 'entry', [['path', path, null]], [options]), toEntry);
  }

  /** What has this id. */
  entryById(id: string, options?: CallOptions): Promise<Entry> {
    return asData(ask(this, 'entry_by_id', [['id', id, null]], [options]), toEntry);
  }

  /** The content of an item, or of one of its parts. By default: the message as MIME, the file's content. */
  content(id: string, part?: string | null, options?: CallOptions): ByteStream {
    return new ByteStream(ask(this, 'content', [['id', id, null], ['part', part, null]], [options]));
  }

  /** Exports items to a directory or an archive of this machine. */
  export(options?: ExportTo & Selected & CallOptions): Run<ExportReport> {
    return new Run(ask(this, 'export', [], [options, ['to', ExportToShape], ['selected', SelectedShape]]), (answer) => toExportReport(parsed(answer)));
  }

  /** Says what a recovery to a source would do, and writes nothing. */
  plan(source: Source, options?: RecoverTo & Selected & CallOptions): Run<RecoveryPlan> {
    return new Run(ask(this, 'plan', [['source', source, 'object']], [options, ['to', RecoverToShape], ['selected', SelectedShape]]), (answer) => new RecoveryPlan(answer));
  }
}

/** What a recovery would do. */
export class RecoveryPlan extends Held {
  /** How many items would meet which fate. */
  counts(options?: CallOptions): Promise<PlanCounts> {
    return asData(ask(this, 'counts', [], [options]), toPlanCounts);
  }

  /** Each selected item and what would become of it, in the order in which they are written. */
  items(options?: CallOptions): Promise<readonly PlannedItem[]> {
    return asData(ask(this, 'items', [], [options]), listOf(toPlannedItem));
  }

  /** Carries the plan out. Safe to repeat: what is there already is not made twice. */
  apply(options?: CallOptions): Run<RecoveryReport> {
    return new Run(ask(this, 'apply', [], [options]), (answer) => toRecoveryReport(parsed(answer)));
  }
}

/** Something that is backed up, and that recoveries go to: an organisation, or a folder of this machine. */
export class Source extends Held {
  /** A folder of this machine, to be known as `name`. The name makes its identity, not the path. */
  static folder(path: string, name: string, options?: CallOptions): Promise<Source> {
    return asObject(make('Source', 'folder', [['path', path, null], ['name', name, null]], [options]), (handle) => new Source(handle));
  }

  /** An organisation of Microsoft 365. Asks no service yet. */
  static m365(options?: AccountOptions & CallOptions): Promise<Source> {
    return asObject(make('Source', 'm365', [], [options, ['options', AccountOptionsShape]]), (handle) => new Source(handle));
  }

  /** Everything that can be protected, as far as the credential reaches. */
  objects(options?: CallOptions): Promise<Discovered> {
    return asData(ask(this, 'objects', [], [options]), toDiscovered);
  }

  /** The object with this address, name or id. */
  object(name: string, options?: CallOptions): Promise<ObjectInfo> {
    return asData(ask(this, 'object', [['name', name, null]], [options]), toObjectInfo);
  }

  /** Tries what each service needs. Empty for a folder. */
  checkPermissions(options?: CallOptions): Promise<readonly PermissionCheck[]> {
    return asData(ask(this, 'check_permissions', [], [options]), listOf(toPermissionCheck));
  }

  /** Backs an object up. An item that cannot be read does not end the run: the report says `partial` and names it. */
  backup(repository: Repository, object: string, options?: BackupOptions & CallOptions): Run<BackupReport> {
    return new Run(ask(this, 'backup', [['repository', repository, 'object'], ['object', object, null]], [options, ['options', BackupOptionsShape]]), (answer) => toBackupReport(parsed(answer)));
  }
}

/** Jobs, and the runs that their schedules call for, on one directory of state. */
export class Director extends Held {
  /** Opens the director of a directory, which is made if it is not there. Starts nothing. */
  static open(stateDir: string, options?: DirectorOptions & CallOptions): Promise<Director> {
    return asObject(make('Director', 'open', [['state_dir', stateDir, null]], [options, ['options', DirectorOptionsShape]]), (handle) => new Director(handle));
  }

  /** Every account. */
  accounts(options?: CallOptions): Promise<readonly AccountInfo[]> {
    return asData(ask(this, 'accounts', [], [options]), listOf(toAccountInfo));
  }

  /** Adds an account by its file. Whether it can sign in is not tried: see `source`. */
  addAccount(name: string, accountFile: string, options?: CallOptions): Promise<AccountInfo> {
    return asData(ask(this, 'add_account', [['name', name, null], ['account_file', accountFile, null]], [options]), toAccountInfo);
  }

  /** Changes an account, by name or id. Its jobs stay. */
  editAccount(account: string, options?: AccountEdit & CallOptions): Promise<AccountInfo> {
    return asData(ask(this, 'edit_account', [['account', account, null]], [options, ['edit', AccountEditShape]]), toAccountInfo);
  }

  /** Forgets an account that no job uses. */
  removeAccount(account: string, options?: CallOptions): Promise<AccountInfo> {
    return asData(ask(this, 'remove_account', [['account', account, null]], [options]), toAccountInfo);
  }

  /** The organisation of an account. */
  source(account: string, services?: readonly string[], options?: CallOptions): Promise<Source> {
    return asObject(ask(this, 'source', [['account', account, null], ['services', services ?? [], null]], [options]), (handle) => new Source(handle));
  }

  /** The repositories that jobs may use. */
  repositories(options?: CallOptions): Promise<readonly KnownRepository[]> {
    return asData(ask(this, 'repositories', [], [options]), listOf(toKnownRepository));
  }

  /** Makes a repository known under a name, so that jobs may use it. */
  addRepository(name: string, url: string, options?: RepositoryAccess & CallOptions): Promise<KnownRepository> {
    return asData(ask(this, 'add_repository', [['name', name, null], ['url', url, null]], [options, ['access_by', RepositoryAccessShape]]), toKnownRepository);
  }

  /** Changes what is known of a repository. */
  editRepository(name: string, options?: RepositoryEdit & CallOptions): Promise<KnownRepository> {
    return asData(ask(this, 'edit_repository', [['name', name, null]], [options, ['edit', RepositoryEditShape]]), toKnownRepository);
  }

  /** Opens a known repository. */
  openRepository(name: string, options?: CallOptions): Promise<Repository> {
    return asObject(ask(this, 'open_repository', [['name', name, null]], [options]), (handle) => new Repository(handle));
  }

  /** Takes new figures of a known repository. */
  refreshRepository(name: string, options?: CallOptions): Promise<KnownRepository> {
    return asData(ask(this, 'refresh_repository', [['name', name, null]], [options]), toKnownRepository);
  }

  /** Lets jobs use a repository again. */
  attachRepository(name: string, options?: CallOptions): Promise<KnownRepository> {
    return asData(ask(this, 'attach_repository', [['name', name, null]], [options]), toKnownRepository);
  }

  /** Keeps jobs from using a repository, so that its disk can be taken out. */
  detachRepository(name: string, options?: CallOptions): Promise<KnownRepository> {
    return asData(ask(this, 'detach_repository', [['name', name, null]], [options]), toKnownRepository);
  }

  /** Forgets a repository that no job uses. What is in it stays. */
  removeRepository(name: string, options?: CallOptions): Promise<KnownRepository> {
    return asData(ask(this, 'remove_repository', [['name', name, null]], [options]), toKnownRepository);
  }

  /** Every job as it stands. */
  jobs(options?: CallOptions): Promise<readonly JobInfo[]> {
    return asData(ask(this, 'jobs', [], [options]), listOf(toJobInfo));
  }

  /** The job of this name or id, as it stands. */
  job(job: string, options?: CallOptions): Promise<JobInfo> {
    return asData(ask(this, 'job', [['job', job, null]], [options]), toJobInfo);
  }

  /** Adds a job. */
  addJob(name: string, options?: JobOptions & CallOptions): Promise<JobInfo> {
    return asData(ask(this, 'add_job', [['name', name, null]], [options, ['options', JobOptionsShape]]), toJobInfo);
  }

  /** Changes a job, by name or id. A run of it goes on as it was. */
  editJob(job: string, options?: JobOptions & CallOptions): Promise<JobInfo> {
    return asData(ask(this, 'edit_job', [['job', job, null]], [options, ['options', JobOptionsShape]]), toJobInfo);
  }

  /** Removes a job. The recovery points that it made stay. */
  removeJob(job: string, options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'remove_job', [['job', job, null]], [options]));
  }

  /** The next times at which a job is due. */
  nextTimes(job: string, most: number, options?: CallOptions): Promise<readonly Occurrence[]> {
    return asData(ask(this, 'next_times', [['job', job, null], ['most', most, null]], [options]), listOf(toOccurrence));
  }

  /** Runs a job now. */
  run(job: string, options?: RunSelection & CallOptions): Run<RunRecord> {
    return new Run(ask(this, 'run', [['job', job, null]], [options, ['selection', RunSelectionShape]]), (answer) => toRunRecord(parsed(answer)));
  }

  /** Asks a run of a job that this director runs to stop, or some of its objects. */
  stop(job: string, objects?: readonly string[] | null, options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'stop', [['job', job, null], ['objects', objects, null]], [options]));
  }

  /** Runs every job as its schedules say, until it is cancelled. */
  serve(options?: CallOptions): Run<Served> {
    return new Run(ask(this, 'serve', [], [options]), (answer) => toServed(parsed(answer)));
  }

  /** The newest entries of a job's history, newest first. */
  history(job: string, most: number, options?: CallOptions): Promise<readonly HistoryEntry[]> {
    return asData(ask(this, 'history', [['job', job, null], ['most', most, null]], [options]), listOf(toHistoryEntry));
  }

  /** What happens from now on. */
  events(options?: CallOptions): Listing<DirectorEvent> {
    return new Listing(ask(this, 'events', [], [options]), toDirectorEvent);
  }

  /** How far the journal of the configuration in the repositories is. */
  journalStatus(options?: CallOptions): Promise<JournalStatus> {
    return asData(ask(this, 'journal_status', [], [options]), toJournalStatus);
  }

  /** Writes the configuration into the repositories that lack it. */
  journal(options?: CallOptions): Promise<JournalStatus> {
    return asData(ask(this, 'journal', [], [options]), toJournalStatus);
  }

  /** The journals of directors in a repository, the newest first. */
  journalsIn(repository: Repository, options?: CallOptions): Promise<readonly JournalHead[]> {
    return asData(ask(this, 'journals_in', [['repository', repository, 'object']], [options]), listOf(toJournalHead));
  }

  /** Takes the journal of a director that is gone out of a repository. */
  forgetJournal(repository: Repository, director: string, options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'forget_journal', [['repository', repository, 'object'], ['director', director, null]], [options]));
  }

  /** Brings a director whose state was lost back from the journal in a repository, into this empty state. */
  restore(url: string, director?: string | null, options?: RepositoryAccess & CallOptions): Promise<Restored> {
    return asData(ask(this, 'restore', [['url', url, null], ['director', director, null]], [options, ['access_by', RepositoryAccessShape]]), toRestored);
  }
}

/** A place where a repository is, for what is done without opening it. */
export class Place extends Held {
  /** The place at `url`. */
  static at(url: string, options?: PlaceOptions & CallOptions): Promise<Place> {
    return asObject(make('Place', 'at', [['url', url, null]], [options, ['options', PlaceOptionsShape]]), (handle) => new Place(handle));
  }

  /** The id of the repository that is there. */
  identify(options?: CallOptions): Promise<string> {
    return asData(ask(this, 'identify', [], [options]), same<string>);
  }

  /** Deletes the repository with everything in it. `id` is what `identify` says, so that nobody deletes another one. */
  destroy(id: string, options?: CallOptions): Run<DestroyReport> {
    return new Run(ask(this, 'destroy', [['id', id, null]], [options]), (answer) => toDestroyReport(parsed(answer)));
  }

  /** Brings back what somebody deleted of a repository in a bucket that keeps versions. */
  unhide(options?: UnhideOptions & CallOptions): Run<UnhideReport> {
    return new Run(ask(this, 'unhide', [], [options, ['options', UnhideOptionsShape]]), (answer) => toUnhideReport(parsed(answer)));
  }
}
