// Generated from bindings/api.json by bindings/generate: change that, not this.

import { integer, moment } from '../decode';
import type { Raw } from '../decode';
import type { Shape } from '../encode';
import { report } from '../run';
import type { Data } from '../run';
import type * as records from './records';
import type * as testing from './testing_records';

export function toAffectedItem(raw: Raw): records.AffectedItem {
  return {
    object: raw.object,
    path: raw.path,
    point: raw.point,
  };
}

export function toBackupReport(raw: Raw): records.BackupReport {
  return report<Data<records.BackupReport>>({
    added: integer(raw.added),
    bytes: integer(raw.bytes),
    bytesRead: integer(raw.bytes_read),
    bytesStored: integer(raw.bytes_stored),
    changed: integer(raw.changed),
    enumerated: integer(raw.enumerated),
    failed: integer(raw.failed),
    first: raw.first,
    issues: raw.issues.map(toIssue),
    items: integer(raw.items),
    object: toObjectInfo(raw.object),
    outcome: raw.outcome,
    point: raw.point,
    removed: integer(raw.removed),
    requests: integer(raw.requests),
    resumed: integer(raw.resumed),
    run: raw.run,
    seconds: raw.seconds,
    skipped: integer(raw.skipped),
    stored: integer(raw.stored),
    throttled: integer(raw.throttled),
    unchanged: integer(raw.unchanged),
  });
}

export function toDamage(raw: Raw): records.Damage {
  return {
    affected: raw.affected.map(toAffectedItem),
    affectedCount: integer(raw.affected_count),
    object: raw.object,
    what: raw.what,
  };
}

export function toDiscovered(raw: Raw): records.Discovered {
  return {
    leftOut: raw.left_out,
    objects: raw.objects.map(toObjectInfo),
  };
}

export function toEmulatorInfo(raw: Raw): testing.EmulatorInfo {
  return {
    appId: raw.app_id,
    clientSecret: raw.client_secret,
    directoryId: raw.directory_id,
    domain: raw.domain,
    drives: raw.drives,
    graphUrl: raw.graph_url,
    loginUrl: raw.login_url,
    mailboxes: raw.mailboxes,
    seed: integer(raw.seed),
    sites: raw.sites,
  };
}

export function toEntry(raw: Raw): records.Entry {
  return {
    container: raw.container,
    created: raw.created == null ? null : moment(raw.created),
    id: raw.id,
    kind: raw.kind,
    modified: raw.modified == null ? null : moment(raw.modified),
    name: raw.name,
    parts: raw.parts.map(toPartInfo),
    path: raw.path,
    received: raw.received == null ? null : moment(raw.received),
    sent: raw.sent == null ? null : moment(raw.sent),
    size: integer(raw.size),
  };
}

export function toExportFailure(raw: Raw): records.ExportFailure {
  return {
    code: raw.code,
    id: raw.id,
    message: raw.message,
    path: raw.path,
  };
}

export function toExportReport(raw: Raw): records.ExportReport {
  return report<Data<records.ExportReport>>({
    bytes: integer(raw.bytes),
    failed: raw.failed.map(toExportFailure),
    items: integer(raw.items),
    listedOnly: integer(raw.listed_only),
    outcome: raw.outcome,
    point: raw.point,
  });
}

export function toIssue(raw: Raw): records.Issue {
  return {
    code: raw.code,
    kind: raw.kind,
    message: raw.message,
    path: raw.path,
    retry: raw.retry,
  };
}

export function toLogDamage(raw: Raw): records.LogDamage {
  return {
    object: raw.object,
    what: raw.what,
  };
}

export function toMessageTruth(raw: Raw): testing.MessageTruth {
  return {
    attachments: integer(raw.attachments),
    folderId: raw.folder_id,
    id: raw.id,
    isRead: raw.is_read,
    received: moment(raw.received),
    subject: raw.subject,
  };
}

export function toObjectInfo(raw: Raw): records.ObjectInfo {
  return {
    account: raw.account ?? null,
    address: raw.address ?? null,
    id: raw.id,
    kind: raw.kind,
    name: raw.name,
    nativeId: raw.native_id,
    source: raw.source,
  };
}

export function toPage(raw: Raw): records.Page {
  return {
    entries: raw.entries.map(toEntry),
    next: raw.next ?? null,
  };
}

export function toPartInfo(raw: Raw): records.PartInfo {
  return {
    mediaType: raw.media_type ?? null,
    name: raw.name,
    size: integer(raw.size),
  };
}

export function toPermissionCheck(raw: Raw): records.PermissionCheck {
  return {
    blocks: raw.blocks,
    granted: raw.granted ?? null,
    message: raw.message,
    permission: raw.permission,
  };
}

export function toPlanCounts(raw: Raw): records.PlanCounts {
  return {
    bytes: integer(raw.bytes),
    cannot: integer(raw.cannot),
    create: integer(raw.create),
    overwrite: integer(raw.overwrite),
    rename: integer(raw.rename),
    skipExisting: integer(raw.skip_existing),
    skipIdentical: integer(raw.skip_identical),
  };
}

export function toPlannedItem(raw: Raw): records.PlannedItem {
  return {
    action: raw.action,
    code: raw.code ?? null,
    container: raw.container,
    id: raw.id,
    path: raw.path,
    size: integer(raw.size),
    why: raw.why ?? null,
  };
}

export function toPointInfo(raw: Raw): records.PointInfo {
  return {
    added: integer(raw.added),
    bytes: integer(raw.bytes),
    bytesRead: integer(raw.bytes_read),
    bytesStored: integer(raw.bytes_stored),
    changed: integer(raw.changed),
    description: raw.description ?? null,
    finished: moment(raw.finished),
    id: raw.id,
    items: integer(raw.items),
    job: raw.job ?? null,
    lost: integer(raw.lost),
    object: toObjectInfo(raw.object),
    outcome: raw.outcome,
    removed: integer(raw.removed),
    time: moment(raw.time),
  };
}

export function toRecoveredItem(raw: Raw): records.RecoveredItem {
  return {
    code: raw.code ?? null,
    id: raw.id,
    location: raw.location ?? null,
    message: raw.message ?? null,
    newId: raw.new_id ?? null,
    notCarried: raw.not_carried,
    outcome: raw.outcome,
    path: raw.path,
  };
}

export function toRecoveryReport(raw: Raw): records.RecoveryReport {
  return report<Data<records.RecoveryReport>>({
    bytes: integer(raw.bytes),
    failed: integer(raw.failed),
    items: raw.items.map(toRecoveredItem),
    outcome: raw.outcome,
    point: raw.point,
    recovered: integer(raw.recovered),
    skipped: integer(raw.skipped),
    target: toObjectInfo(raw.target),
  });
}

export function toRepositoryInfo(raw: Raw): records.RepositoryInfo {
  return {
    chunks: integer(raw.chunks),
    compression: raw.compression,
    created: raw.created,
    damagedPacks: integer(raw.damaged_packs),
    damagedPoints: integer(raw.damaged_points),
    encrypted: raw.encrypted,
    epoch: raw.epoch,
    head: integer(raw.head),
    id: raw.id,
    logDamage: raw.log_damage.map(toLogDamage),
    logicalBytes: integer(raw.logical_bytes),
    notes: raw.notes,
    objects: integer(raw.objects),
    packs: integer(raw.packs),
    points: integer(raw.points),
    ratio: raw.ratio,
    readOnly: raw.read_only,
    storedBytes: integer(raw.stored_bytes),
    uniqueBytes: integer(raw.unique_bytes),
    version: raw.version,
  };
}

export function toUpdate(raw: Raw): records.Update {
  return {
    bytesDone: integer(raw.bytes_done),
    bytesStored: integer(raw.bytes_stored),
    bytesTotal: raw.bytes_total == null ? null : integer(raw.bytes_total),
    code: raw.code ?? null,
    failed: integer(raw.failed),
    itemsDone: integer(raw.items_done),
    itemsTotal: raw.items_total == null ? null : integer(raw.items_total),
    kind: raw.kind,
    message: raw.message ?? null,
    path: raw.path ?? null,
    phase: raw.phase,
    throttledFor: raw.throttled_for ?? null,
  };
}

export function toVerifyReport(raw: Raw): records.VerifyReport {
  return {
    bytes: integer(raw.bytes),
    chunks: integer(raw.chunks),
    complete: raw.complete,
    contentBytes: integer(raw.content_bytes),
    damage: raw.damage.map(toDamage),
    damagedPoints: raw.damaged_points,
    interrupted: raw.interrupted,
    items: integer(raw.items),
    objects: integer(raw.objects),
    packs: integer(raw.packs),
    points: integer(raw.points),
    recorded: raw.recorded == null ? null : integer(raw.recorded),
    resumed: raw.resumed,
    seed: integer(raw.seed),
    unrecorded: raw.unrecorded ?? null,
  };
}

export const AccountOptionsShape: Shape = {
  accountFile: ['account_file', null],
  appId: ['app_id', null],
  certificateFile: ['certificate_file', null],
  clientSecret: ['client_secret', null],
  directoryId: ['directory_id', null],
  graphUrl: ['graph_url', null],
  loginUrl: ['login_url', null],
  privateKeyFile: ['private_key_file', null],
  services: ['services', null],
};

export const BackupOptionsShape: Shape = {
  failFast: ['fail_fast', null],
};

export const CreateOptionsShape: Shape = {
  compression: ['compression', null],
  description: ['description', null],
  immutableDays: ['immutable_days', null],
  key: ['key', null],
  keyFile: ['key_file', null],
  passphrase: ['passphrase', null],
  passphraseFile: ['passphrase_file', null],
  stateDir: ['state_dir', null],
  storeConfig: ['store_config', null],
  unencrypted: ['unencrypted', null],
};

export const EmulatorOptionsShape: Shape = {
  filesFrom: ['files_from', null],
  filesPerUser: ['files_per_user', null],
  itemsPerUser: ['items_per_user', null],
  mailFrom: ['mail_from', null],
  seed: ['seed', null],
  sites: ['sites', null],
  users: ['users', null],
};

export const ExportToShape: Shape = {
  directory: ['directory', null],
  format: ['format', null],
  zip: ['zip', null],
};

export const OpenOptionsShape: Shape = {
  acceptHistory: ['accept_history', null],
  cacheBytes: ['cache_bytes', null],
  key: ['key', null],
  keyFile: ['key_file', null],
  passphrase: ['passphrase', null],
  passphraseFile: ['passphrase_file', null],
  stateDir: ['state_dir', null],
  storeConfig: ['store_config', null],
};

export const PageOptionsShape: Shape = {
  after: ['after', null],
  limit: ['limit', null],
};

export const RecoverToShape: Shape = {
  object: ['object', null],
  onConflict: ['on_conflict', null],
};

export const SelectedShape: Shape = {
  ids: ['ids', null],
  paths: ['paths', null],
  query: ['query', null],
};

export const VerifyOptionsShape: Shape = {
  maxSeconds: ['max_seconds', null],
  object: ['object', null],
  point: ['point', null],
  record: ['record', null],
  resume: ['resume', null],
  samplePercent: ['sample_percent', null],
  seed: ['seed', null],
  skipContentHashes: ['skip_content_hashes', null],
};
