// Generated from bindings/api.json by bindings/generate: change that, not this.

import { listOf, parsed } from '../decode';
import { asData, asNothing, asObject } from '../answer';
import { Held, make } from '../held';
import type { CallOptions } from '../held';
import { Run } from '../run';
import { ByteStream, Listing } from '../stream';
import { AccountOptionsShape, BackupOptionsShape, CreateOptionsShape, ExportToShape, OpenOptionsShape, PageOptionsShape, RecoverToShape, SelectedShape, VerifyOptionsShape, toBackupReport, toDiscovered, toEntry, toExportReport, toObjectInfo, toPage, toPermissionCheck, toPlanCounts, toPlannedItem, toPointInfo, toRecoveryReport, toRepositoryInfo, toVerifyReport } from './convert';
import type { AccountOptions, BackupOptions, BackupReport, CreateOptions, Discovered, Entry, ExportReport, ExportTo, ObjectInfo, OpenOptions, Page, PageOptions, PermissionCheck, PlanCounts, PlannedItem, PointInfo, RecoverTo, RecoveryReport, RepositoryInfo, Selected, VerifyOptions, VerifyReport } from './records';

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
    return asData(this.ask('info', [], [options]), toRepositoryInfo);
  }

  /** Looks at what others committed since. */
  refresh(options?: CallOptions): Promise<void> {
    return asNothing(this.ask('refresh', [], [options]));
  }

  /** The protected objects. */
  objects(options?: CallOptions): Promise<readonly ObjectInfo[]> {
    return asData(this.ask('objects', [], [options]), listOf(toObjectInfo));
  }

  /** The protected object with this name, address or id. */
  object(name: string, options?: CallOptions): Promise<ObjectInfo> {
    return asData(this.ask('object', [['name', name, null]], [options]), toObjectInfo);
  }

  /** The recovery points of an object, oldest first. `object` is its name, address or id. */
  points(object: string, options?: CallOptions): Promise<readonly PointInfo[]> {
    return asData(this.ask('points', [['object', object, null]], [options]), listOf(toPointInfo));
  }

  /** A recovery point, to look into: `latest`, or its id or the beginning of it. */
  point(object: string, point: string, options?: CallOptions): Promise<Point> {
    return asObject(this.ask('point', [['object', object, null], ['point', point, null]], [options]), (handle) => new Point(handle));
  }

  /** Verifies the repository. Damage is no error: it is what the report is for. */
  verify(options?: VerifyOptions & CallOptions): Run<VerifyReport> {
    return new Run(this.ask('verify', [], [options, ['options', VerifyOptionsShape]]), (answer) => toVerifyReport(parsed(answer)));
  }
}

/** A recovery point of one object. */
export class Point extends Held {
  /** What is known of it. */
  info(options?: CallOptions): Promise<PointInfo> {
    return asData(this.ask('info', [], [options]), toPointInfo);
  }

  /** A page of what lies in a container: containers first, then items. `container` is its id, empty for the root. */
  list(container: string, options?: PageOptions & CallOptions): Promise<Page> {
    return asData(this.ask('list', [['container', container, null]], [options, ['options', PageOptionsShape]]), toPage);
  }

  /** The items that a query finds, such as `from:anna subject:"annual report" has:attachment`; an empty one finds all. */
  find(query: string, options?: CallOptions): Listing<Entry> {
    return new Listing(this.ask('find', [['query', query, null]], [options]), toEntry);
  }

  /** What is at a path, such as `Inbox/Annual report`. */
  entry(path: string, options?: CallOptions): Promise<Entry> {
    return asData(this.ask('entry', [['path', path, null]], [options]), toEntry);
  }

  /** What has this id. */
  entryById(id: string, options?: CallOptions): Promise<Entry> {
    return asData(this.ask('entry_by_id', [['id', id, null]], [options]), toEntry);
  }

  /** The content of an item, or of one of its parts. By default: the message as MIME, the file's content. */
  content(id: string, part?: string | null, options?: CallOptions): ByteStream {
    return new ByteStream(this.ask('content', [['id', id, null], ['part', part, null]], [options]));
  }

  /** Exports items to a directory or an archive of this machine. */
  export(options?: ExportTo & Selected & CallOptions): Run<ExportReport> {
    return new Run(this.ask('export', [], [options, ['to', ExportToShape], ['selected', SelectedShape]]), (answer) => toExportReport(parsed(answer)));
  }

  /** Says what a recovery to a source would do, and writes nothing. */
  plan(source: Source, options?: RecoverTo & Selected & CallOptions): Run<RecoveryPlan> {
    return new Run(this.ask('plan', [['source', source, 'object']], [options, ['to', RecoverToShape], ['selected', SelectedShape]]), (answer) => new RecoveryPlan(answer));
  }
}

/** What a recovery would do. */
export class RecoveryPlan extends Held {
  /** How many items would meet which fate. */
  counts(options?: CallOptions): Promise<PlanCounts> {
    return asData(this.ask('counts', [], [options]), toPlanCounts);
  }

  /** Each selected item and what would become of it, in the order in which they are written. */
  items(options?: CallOptions): Promise<readonly PlannedItem[]> {
    return asData(this.ask('items', [], [options]), listOf(toPlannedItem));
  }

  /** Carries the plan out. Safe to repeat: what is there already is not made twice. */
  apply(options?: CallOptions): Run<RecoveryReport> {
    return new Run(this.ask('apply', [], [options]), (answer) => toRecoveryReport(parsed(answer)));
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
    return asData(this.ask('objects', [], [options]), toDiscovered);
  }

  /** The object with this address, name or id. */
  object(name: string, options?: CallOptions): Promise<ObjectInfo> {
    return asData(this.ask('object', [['name', name, null]], [options]), toObjectInfo);
  }

  /** Tries what each service needs. Empty for a folder. */
  checkPermissions(options?: CallOptions): Promise<readonly PermissionCheck[]> {
    return asData(this.ask('check_permissions', [], [options]), listOf(toPermissionCheck));
  }

  /** Backs an object up. An item that cannot be read does not end the run: the report says `partial` and names it. */
  backup(repository: Repository, object: string, options?: BackupOptions & CallOptions): Run<BackupReport> {
    return new Run(this.ask('backup', [['repository', repository, 'object'], ['object', object, null]], [options, ['options', BackupOptionsShape]]), (answer) => toBackupReport(parsed(answer)));
  }
}
