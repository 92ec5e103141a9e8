// Generated from bindings/api.json by bindings/generate: change that, not this.

import { integer, moment } from '../decode';
import type { Raw } from '../decode';
import type { Shape } from '../encode';
import { report } from '../run';
import type { Data } from '../run';
import type * as records from './records';
import type * as testing from './testing_records';

export function toAccountInfo(raw: Raw): records.AccountInfo {
  return {
    accountFile: raw.account_file,
    added: moment(raw.added),
    connector: raw.connector,
    description: raw.description,
    id: raw.id,
    name: raw.name,
  };
}

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

export function toCopiedPoint(raw: Raw): records.CopiedPoint {
  return {
    bytes: integer(raw.bytes),
    issues: raw.issues.map(toIssue),
    items: integer(raw.items),
    object: toObjectInfo(raw.object),
    point: raw.point,
    state: raw.state,
    time: moment(raw.time),
  };
}

export function toCopyReport(raw: Raw): records.CopyReport {
  return report<Data<records.CopyReport>>({
    bytesStored: integer(raw.bytes_stored),
    logDamage: raw.log_damage.map(toLogDamage),
    outcome: raw.outcome,
    points: raw.points.map(toCopiedPoint),
    seconds: raw.seconds,
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

export function toDeletedPoints(raw: Raw): records.DeletedPoints {
  return {
    commit: raw.commit == null ? null : integer(raw.commit),
    deleted: raw.deleted,
    kept: raw.kept,
  };
}

export function toDestroyReport(raw: Raw): records.DestroyReport {
  return {
    bytes: integer(raw.bytes),
    objects: integer(raw.objects),
  };
}

export function toDirectorEvent(raw: Raw): records.DirectorEvent {
  return {
    job: raw.job ?? null,
    kind: raw.kind,
    message: raw.message ?? null,
    missed: raw.missed == null ? null : toMissedTimes(raw.missed),
    name: raw.name ?? null,
    object: raw.object == null ? null : toObjectResult(raw.object),
    record: raw.record == null ? null : toRunRecord(raw.record),
    repository: raw.repository ?? null,
    run: raw.run ?? null,
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

export function toFigures(raw: Raw): records.Figures {
  return {
    encrypted: raw.encrypted,
    freeBytes: raw.free_bytes == null ? null : integer(raw.free_bytes),
    logicalBytes: integer(raw.logical_bytes),
    objects: integer(raw.objects),
    points: integer(raw.points),
    reclaimableBytes: raw.reclaimable_bytes == null ? null : integer(raw.reclaimable_bytes),
    taken: moment(raw.taken),
    uniqueBytes: integer(raw.unique_bytes),
    usedBytes: integer(raw.used_bytes),
  };
}

export function toHealReport(raw: Raw): records.HealReport {
  return {
    damagedItems: integer(raw.damaged_items),
    damagedPoints: raw.damaged_points,
    healedPoints: raw.healed_points,
    historyContinuesAt: raw.history_continues_at == null ? null : integer(raw.history_continues_at),
    indexedPacks: integer(raw.indexed_packs),
    lostHistory: raw.lost_history.map(toLogDamage),
    preview: raw.preview,
    quarantined: raw.quarantined.map(toDamage),
    replacedCheckpoints: integer(raw.replaced_checkpoints),
    replacedSegments: integer(raw.replaced_segments),
    restoredBytes: integer(raw.restored_bytes),
    restoredParts: integer(raw.restored_parts),
    retiredPacks: integer(raw.retired_packs),
  };
}

export function toHistoryEntry(raw: Raw): records.HistoryEntry {
  return {
    missed: raw.missed == null ? null : toMissedTimes(raw.missed),
    run: raw.run == null ? null : toRunRecord(raw.run),
  };
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

export function toItemChange(raw: Raw): records.ItemChange {
  return {
    change: raw.change,
    container: raw.container,
    id: raw.id,
    kind: raw.kind,
    name: raw.name,
    size: integer(raw.size),
  };
}

export function toJobInfo(raw: Raw): records.JobInfo {
  return {
    added: moment(raw.added),
    enabled: raw.enabled,
    id: raw.id,
    lastEnded: raw.last_ended == null ? null : moment(raw.last_ended),
    lastOutcome: raw.last_outcome ?? null,
    name: raw.name,
    next: raw.next == null ? null : moment(raw.next),
    objects: raw.objects,
    repository: raw.repository,
    running: raw.running,
    tasks: raw.tasks,
  };
}

export function toJournalHead(raw: Raw): records.JournalHead {
  return {
    director: raw.director,
    jobs: integer(raw.jobs),
    repositories: integer(raw.repositories),
    revision: integer(raw.revision),
    written: moment(raw.written),
  };
}

export function toJournalStanding(raw: Raw): records.JournalStanding {
  return {
    behind: raw.behind,
    name: raw.name,
    problem: raw.problem ?? null,
    repository: raw.repository,
    revision: raw.revision == null ? null : integer(raw.revision),
    written: raw.written == null ? null : moment(raw.written),
  };
}

export function toJournalStatus(raw: Raw): records.JournalStatus {
  return {
    behind: raw.behind,
    director: raw.director ?? null,
    repositories: raw.repositories.map(toJournalStanding),
    revision: integer(raw.revision),
  };
}

export function toKeySlot(raw: Raw): records.KeySlot {
  return {
    created: raw.created,
    id: raw.id,
    kind: raw.kind,
    label: raw.label,
    own: raw.own,
    removing: raw.removing,
  };
}

export function toKeySlots(raw: Raw): records.KeySlots {
  return {
    damaged: raw.damaged,
    slots: raw.slots.map(toKeySlot),
  };
}

export function toKnownRepository(raw: Raw): records.KnownRepository {
  return {
    attached: raw.attached,
    description: raw.description ?? null,
    figures: raw.figures == null ? null : toFigures(raw.figures),
    id: raw.id,
    name: raw.name,
    url: raw.url,
  };
}

export function toLockReport(raw: Raw): records.LockReport {
  return {
    objects: integer(raw.objects),
    promised: raw.promised == null ? null : moment(raw.promised),
    short: integer(raw.short),
    shortLocks: raw.short_locks,
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

export function toMissedTimes(raw: Raw): records.MissedTimes {
  return {
    after: moment(raw.after),
    count: integer(raw.count),
    until: moment(raw.until),
  };
}

export function toNewKey(raw: Raw): records.NewKey {
  return {
    key: raw.key,
    slot: toKeySlot(raw.slot),
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

export function toObjectResult(raw: Raw): records.ObjectResult {
  return {
    bytes: integer(raw.bytes),
    bytesRead: integer(raw.bytes_read),
    bytesStored: integer(raw.bytes_stored),
    code: raw.code ?? null,
    failed: integer(raw.failed),
    items: integer(raw.items),
    message: raw.message ?? null,
    name: raw.name,
    object: raw.object,
    outcome: raw.outcome,
    point: raw.point ?? null,
    pointsRemoved: integer(raw.points_removed),
    tries: raw.tries,
  };
}

export function toOccurrence(raw: Raw): records.Occurrence {
  return {
    end: raw.end == null ? null : moment(raw.end),
    moved: raw.moved,
    start: moment(raw.start),
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

export function toPlannedPoint(raw: Raw): records.PlannedPoint {
  return {
    goes: raw.goes,
    point: raw.point,
    reasons: raw.reasons,
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
    immutableUntil: raw.immutable_until == null ? null : moment(raw.immutable_until),
    items: integer(raw.items),
    job: raw.job ?? null,
    keptForever: raw.kept_forever,
    keptUntil: raw.kept_until == null ? null : moment(raw.kept_until),
    lost: integer(raw.lost),
    object: toObjectInfo(raw.object),
    outcome: raw.outcome,
    removed: integer(raw.removed),
    time: moment(raw.time),
  };
}

export function toReclaimReport(raw: Raw): records.ReclaimReport {
  return {
    deletedObjects: integer(raw.deleted_objects),
    freedBytes: integer(raw.freed_bytes),
    lockedBytes: integer(raw.locked_bytes),
    lockedObjects: integer(raw.locked_objects),
    movedBytes: integer(raw.moved_bytes),
    neededBytes: integer(raw.needed_bytes),
    preview: raw.preview,
    reclaimableBytes: integer(raw.reclaimable_bytes),
    rewrittenBytes: integer(raw.rewritten_bytes),
    rewrittenPacks: integer(raw.rewritten_packs),
    storedBytes: integer(raw.stored_bytes),
    strayBytes: integer(raw.stray_bytes),
    strayPacks: integer(raw.stray_packs),
    unusedBytes: integer(raw.unused_bytes),
    unusedPacks: integer(raw.unused_packs),
    waitingPacks: integer(raw.waiting_packs),
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

export function toRenewReport(raw: Raw): records.RenewReport {
  return {
    due: raw.due,
    lockedUntil: raw.locked_until == null ? null : moment(raw.locked_until),
    missing: integer(raw.missing),
    renewed: integer(raw.renewed),
    resumed: raw.resumed,
  };
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

export function toRestored(raw: Raw): records.Restored {
  return {
    from: toJournalHead(raw.from),
    jobs: raw.jobs,
    journal: toJournalStatus(raw.journal),
    repositories: raw.repositories.map(toKnownRepository),
  };
}

export function toRetention(raw: Raw): records.Retention {
  return {
    commit: raw.commit == null ? null : integer(raw.commit),
    points: raw.points.map(toPlannedPoint),
  };
}

export function toRotateReport(raw: Raw): records.RotateReport {
  return {
    commit: integer(raw.commit),
    dropped: raw.dropped.map(toKeySlot),
    epoch: raw.epoch,
    kept: raw.kept.map(toKeySlot),
    resumed: raw.resumed,
  };
}

export function toRunRecord(raw: Raw): records.RunRecord {
  return report<Data<records.RunRecord>>({
    cause: raw.cause,
    due: raw.due == null ? null : moment(raw.due),
    ended: moment(raw.ended),
    interruptions: raw.interruptions,
    job: raw.job,
    jobName: raw.job_name,
    objects: raw.objects.map(toObjectResult),
    outcome: raw.outcome,
    run: raw.run,
    started: moment(raw.started),
  });
}

export function toServed(raw: Raw): records.Served {
  return {
    stopped: raw.stopped,
  };
}

export function toUnhideReport(raw: Raw): records.UnhideReport {
  return {
    hiddenKeys: integer(raw.hidden_keys),
    lifted: raw.lifted,
    overwritten: raw.overwritten,
    refused: raw.refused,
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

export const AccountEditShape: Shape = {
  accountFile: ['account_file', null],
  description: ['description', null],
  newName: ['new_name', null],
};

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

export const CopyOptionsShape: Shape = {
  late: ['late', null],
  objects: ['objects', null],
  points: ['points', null],
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

export const DirectorOptionsShape: Shape = {
  historyDays: ['history_days', null],
  lookEverySeconds: ['look_every_seconds', null],
  tasks: ['tasks', null],
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

export const HealOptionsShape: Shape = {
  preview: ['preview', null],
};

export const JobOptionsShape: Shape = {
  catchUp: ['catch_up', null],
  enabled: ['enabled', null],
  keepAll: ['keep_all', null],
  newName: ['new_name', null],
  repository: ['repository', null],
  retention: ['retention', () => KeepShape],
  retries: ['retries', null],
  retryMinutes: ['retry_minutes', null],
  schedules: ['schedules', () => ScheduleShape],
  sources: ['sources', () => JobSourceShape],
  tasks: ['tasks', null],
};

export const JobSourceShape: Shape = {
  account: ['account', null],
  folder: ['folder', null],
  objects: ['objects', null],
  services: ['services', null],
};

export const KeepShape: Shape = {
  daily: ['daily', null],
  last: ['last', null],
  monthly: ['monthly', null],
  weekStart: ['week_start', null],
  weekly: ['weekly', null],
  yearly: ['yearly', null],
  zone: ['zone', null],
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

export const PlaceOptionsShape: Shape = {
  storeConfig: ['store_config', null],
};

export const PointFilterShape: Shape = {
  allButLatest: ['all_but_latest', null],
  damaged: ['damaged', null],
  notOf: ['not_of', null],
  object: ['object', null],
  olderThan: ['older_than', null],
  points: ['points', null],
  preview: ['preview', null],
  reason: ['reason', null],
};

export const ProtectionShape: Shape = {
  forever: ['forever', null],
  until: ['until', null],
};

export const ReclaimOptionsShape: Shape = {
  graceSeconds: ['grace_seconds', null],
  preview: ['preview', null],
  reencrypt: ['reencrypt', null],
  rewriteBelowPercent: ['rewrite_below_percent', null],
};

export const RecoverToShape: Shape = {
  object: ['object', null],
  onConflict: ['on_conflict', null],
};

export const RepositoryAccessShape: Shape = {
  keyFile: ['key_file', null],
  passphraseFile: ['passphrase_file', null],
  storeConfig: ['store_config', null],
};

export const RepositoryEditShape: Shape = {
  description: ['description', null],
  keyFile: ['key_file', null],
  newName: ['new_name', null],
  passphraseFile: ['passphrase_file', null],
  storeConfig: ['store_config', null],
  url: ['url', null],
};

export const RotateOptionsShape: Shape = {
  dropOthers: ['drop_others', null],
  keepKeys: ['keep_keys', null],
  keepPassphrases: ['keep_passphrases', null],
};

export const RunSelectionShape: Shape = {
  failed: ['failed', null],
  objects: ['objects', null],
};

export const ScheduleShape: Shape = {
  days: ['days', null],
  delayMinutes: ['delay_minutes', null],
  end: ['end', null],
  every: ['every', null],
  job: ['job', null],
  kind: ['kind', null],
  months: ['months', null],
  on: ['on', null],
  outcomes: ['outcomes', null],
  start: ['start', null],
  validFrom: ['valid_from', null],
  validUntil: ['valid_until', null],
  weekStart: ['week_start', null],
  zone: ['zone', null],
};

export const SelectedShape: Shape = {
  ids: ['ids', null],
  paths: ['paths', null],
  query: ['query', null],
};

export const UnhideOptionsShape: Shape = {
  keys: ['keys', null],
  preview: ['preview', null],
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
