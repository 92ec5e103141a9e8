// Generated from bindings/api.json by bindings/generate: change that, not this.

import type { Integer } from '../decode';
import type { Report } from '../run';

/** What is changed of an account. What is left out stays. */
export interface AccountEdit {
  /** Another file with its credential. */
  readonly accountFile?: string | null | undefined;
  /** Another note. */
  readonly description?: string | null | undefined;
  /** Another name. */
  readonly newName?: string | null | undefined;
}

/** An account: what sources are read with, under a name that jobs use. */
export interface AccountInfo {
  /** The file with its credential. */
  readonly accountFile: string;
  /** When it was added. */
  readonly added: Date;
  /** Which connector reads it: `m365`. */
  readonly connector: string;
  /** What people note about it. */
  readonly description: string;
  /** Its id. */
  readonly id: string;
  /** What people call it. */
  readonly name: string;
}

/** How to sign in to an organisation: an account file, or directory, application and one credential. */
export interface AccountOptions {
  /** A file that says everything else. */
  readonly accountFile?: string | null | undefined;
  /** The id of the registered application. */
  readonly appId?: string | null | undefined;
  /** Instead of the secret: a file with a certificate, as PEM. */
  readonly certificateFile?: string | null | undefined;
  /** The credential: a client secret. */
  readonly clientSecret?: string | null | undefined;
  /** The GUID of the directory or one of its verified domains. */
  readonly directoryId?: string | null | undefined;
  /** Root of Microsoft Graph with its version. Default: that of the global cloud. */
  readonly graphUrl?: string | null | undefined;
  /** Root of the token service. Default: that of the global cloud. */
  readonly loginUrl?: string | null | undefined;
  /** With the certificate: a file with its private key, as PEM. */
  readonly privateKeyFile?: string | null | undefined;
  /** What is looked for and read: `mail`, `contacts`, `calendar`, `onedrive`, `sharepoint`. Default: all. */
  readonly services?: readonly string[] | undefined;
}

/** An item that damage makes unreadable. */
export interface AffectedItem {
  /** Name of the protected object. */
  readonly object: string;
  /** Where the item is in it, or which stretch of its listing is lost. */
  readonly path: string;
  /** The recovery point. */
  readonly point: string;
}

/** How a backup runs. */
export interface BackupOptions {
  /** Stop at the first item that cannot be read instead of recording it. Default: `false`. */
  readonly failFast?: boolean | undefined;
}

/** What a backup did. */
export interface BackupReport extends Report {
  /** Of the stored ones, new. */
  readonly added: Integer;
  /** Plain bytes of all items of the new point. */
  readonly bytes: Integer;
  /** Bytes that were read from the source. */
  readonly bytesRead: Integer;
  /** Bytes that reached the store. */
  readonly bytesStored: Integer;
  /** Of the stored ones, changed. */
  readonly changed: Integer;
  /** Items that the source named in this run. */
  readonly enumerated: Integer;
  /** Of these, failed; the next run tries them again. */
  readonly failed: Integer;
  /** Whether there was no earlier point to build on. */
  readonly first: boolean;
  /** Failed and skipped items, and warnings. */
  readonly issues: readonly Issue[];
  /** Items in the new point. */
  readonly items: Integer;
  /** The object. */
  readonly object: ObjectInfo;
  /** `complete`, or `partial` when something could not be read. */
  readonly outcome: string;
  /** Id of the new recovery point. */
  readonly point: string;
  /** Items that are gone from the source. */
  readonly removed: Integer;
  /** Requests sent to the service. */
  readonly requests: Integer;
  /** Of the unchanged ones, taken over from an interrupted run instead of being read again. */
  readonly resumed: Integer;
  /** Id of the run. */
  readonly run: string;
  /** Seconds it took. */
  readonly seconds: number;
  /** Of these, skipped for a named cause. */
  readonly skipped: Integer;
  /** Of these, stored anew or again. */
  readonly stored: Integer;
  /** Requests that the service refused for now. */
  readonly throttled: Integer;
  /** Of these, unchanged. */
  readonly unchanged: Integer;
}

/** What became of a point that was to be copied. */
export interface CopiedPoint {
  /** Sum of their sizes in bytes. */
  readonly bytes: Integer;
  /** What the copy lacks because it is damaged in the source. */
  readonly issues: readonly Issue[];
  /** Items in it. */
  readonly items: Integer;
  /** What it protects. */
  readonly object: ObjectInfo;
  /** The point, in both repositories. */
  readonly point: string;
  /** `planned`, `copied`, `copied_partly`, `present`, `present_partly`, `removed`, `late`, `different`, `gone` or `failed`. */
  readonly state: string;
  /** When its run began. */
  readonly time: Date;
}

/** What is copied into another repository. */
export interface CopyOptions {
  /** Also points of which the target holds a later one of the same object. Default: `false`. */
  readonly late?: boolean | undefined;
  /** Only points of these objects: names, addresses or ids. Default: of all. */
  readonly objects?: readonly string[] | undefined;
  /** Only these points: ids or their beginnings. Default: all. */
  readonly points?: readonly string[] | undefined;
}

/** What was copied. */
export interface CopyReport extends Report {
  /** Bytes that reached the target. */
  readonly bytesStored: Integer;
  /** Where the source's log is damaged: points may be missing that were stored. */
  readonly logDamage: readonly LogDamage[];
  /** `complete`, or `partial` if the target lacks anything that was asked for. */
  readonly outcome: string;
  /** Every selected point. */
  readonly points: readonly CopiedPoint[];
  /** Seconds it took. */
  readonly seconds: number;
}

/** How a repository is made. */
export interface CreateOptions {
  /** How hard new data is compressed. Default: medium. */
  readonly compression?: Compression | null | undefined;
  /** What the first key slot is for, in words. Default: empty. */
  readonly description?: string | null | undefined;
  /**
   * Days after it was made during which nobody can remove a recovery point or what it needs, 1 to 3650; the store must
   * be an S3 bucket with object lock. Default: nothing is locked.
   */
  readonly immutableDays?: number | null | undefined;
  /** Instead of the passphrase: a recovery key. */
  readonly key?: string | null | undefined;
  /** Instead of the passphrase: a file with a recovery key. */
  readonly keyFile?: string | null | undefined;
  /**
   * Protects the repository's keys with this passphrase. Without this, a key or a file that holds one of them, whoever can
   * read the store can read the backups.
   */
  readonly passphrase?: string | null | undefined;
  /** Instead of the passphrase: a file whose first line is the passphrase. */
  readonly passphraseFile?: string | null | undefined;
  /** As of {@link OpenOptions}. */
  readonly stateDir?: string | null | undefined;
  /** A file with endpoint and credential of an object store. */
  readonly storeConfig?: string | null | undefined;
  /** Whether the repository may be without a passphrase or a key. Default: `false`, so that nobody forgets it. */
  readonly unencrypted?: boolean | undefined;
}

/** Something damaged, and what it affects. */
export interface Damage {
  /** Items that cannot be read because of it; at most 10,000 are listed. */
  readonly affected: readonly AffectedItem[];
  /** How many items that are in all, over all points. */
  readonly affectedCount: Integer;
  /** The damaged object: its path in the repository's folder. */
  readonly object: string;
  /** What is wrong with it. */
  readonly what: string;
}

/** Which recovery points went, or would go. */
export interface DeletedPoints {
  /** Number of the commit that removed them; none for a preview. */
  readonly commit: Integer | null;
  /** The points that went, or would go. */
  readonly deleted: readonly string[];
  /** Points that are meant and stay because they are protected or immutable. */
  readonly kept: readonly string[];
}

/** What was deleted. */
export interface DestroyReport {
  /** Their bytes. */
  readonly bytes: Integer;
  /** Objects deleted by this call. */
  readonly objects: Integer;
}

/** Something that happened. */
export interface DirectorEvent {
  /** Id of the job that it is about. */
  readonly job: string | null;
  /**
   * What: `run_started`, `run_resumed`, `object_done`, `run_ended`, `missed`, `clock_set_back`, `journalled`, `journal_behind`,
   * `set_apart`, `brought_back_elsewhere`, or `lost`: more happened than was listened to.
   */
  readonly kind: string;
  /** Something to know, for people. */
  readonly message: string | null;
  /** The times that were missed. */
  readonly missed: MissedTimes | null;
  /** What the job or the repository is called. */
  readonly name: string | null;
  /** What became of an object. */
  readonly object: ObjectResult | null;
  /** Of a run that ended: what is on record. */
  readonly record: RunRecord | null;
  /** Id of the repository that it is about. */
  readonly repository: string | null;
  /** Id of the run. */
  readonly run: string | null;
}

/** Settings of a director. */
export interface DirectorOptions {
  /** Days for which history is kept, 5 to 90. Default: 30. */
  readonly historyDays?: number | null | undefined;
  /** How often, in seconds, it looks whether jobs were changed by somebody else and whether the clock jumped. Default: 30. */
  readonly lookEverySeconds?: Integer | null | undefined;
  /** Objects that are processed at once, over all jobs, 1 to 100. Default: 6. */
  readonly tasks?: number | null | undefined;
}

/** What a source has. */
export interface Discovered {
  /** Services that the account may not read, and why. */
  readonly leftOut: readonly string[];
  /** What can be protected. */
  readonly objects: readonly ObjectInfo[];
}

/** An item or a container of a recovery point. */
export interface Entry {
  /** The id of the container that it lies in. */
  readonly container: string;
  /** When it was created. */
  readonly created: Date | null;
  /** Its id at the source; empty for the root container. */
  readonly id: string;
  /** `container`, or what the item is: `message`, `file`, `event`. */
  readonly kind: string;
  /** When it was last modified. */
  readonly modified: Date | null;
  /** Subject, file name, folder name. */
  readonly name: string;
  /** Its content: names of its parts, as `content` of a point takes them. */
  readonly parts: readonly PartInfo[];
  /** Where it is, for people: names joined by `/`. */
  readonly path: string;
  /** When it was received. */
  readonly received: Date | null;
  /** When it was sent. */
  readonly sent: Date | null;
  /** Its size in bytes. */
  readonly size: Integer;
}

/** An item that is not in an export. */
export interface ExportFailure {
  /** Stable code of the cause. */
  readonly code: string;
  /** Its id, or that of the container whose listing is damaged. */
  readonly id: string;
  /** One line for people. */
  readonly message: string;
  /** Its path, for people. */
  readonly path: string;
}

/** What an export wrote. */
export interface ExportReport extends Report {
  /** Bytes of the items' content. */
  readonly bytes: Integer;
  /** Items that are not in the export. */
  readonly failed: readonly ExportFailure[];
  /** Items whose content was written and matched its stored hash. */
  readonly items: Integer;
  /** Items that have no content, such as symbolic links: listed only. */
  readonly listedOnly: Integer;
  /** `complete`, or `partial` when an item is missing. */
  readonly outcome: string;
  /** Id of the recovery point. */
  readonly point: string;
}

/** Where an export goes. Exactly one of `directory` and `zip` is to be given. */
export interface ExportTo {
  /** A directory, which must be empty or is made. */
  readonly directory?: string | null | undefined;
  /** Default: files. */
  readonly format?: ExportFormat | null | undefined;
  /** A ZIP archive, which must not exist, in a directory that does. */
  readonly zip?: string | null | undefined;
}

/** Figures of a repository at one moment. */
export interface Figures {
  /** Whether a passphrase protects it. */
  readonly encrypted: boolean;
  /** Bytes that its store has left, where that is known. */
  readonly freeBytes: Integer | null;
  /** Sum of the sizes of all items in all points. */
  readonly logicalBytes: Integer;
  /** Objects with recovery points. */
  readonly objects: Integer;
  /** Recovery points. */
  readonly points: Integer;
  /** Bytes that reclaim would free, where somebody asked. */
  readonly reclaimableBytes: Integer | null;
  /** When. */
  readonly taken: Date;
  /** Plain bytes after deduplication, before compression. */
  readonly uniqueBytes: Integer;
  /** Bytes it takes. */
  readonly usedBytes: Integer;
}

/** How a repository is healed. */
export interface HealOptions {
  /** Only say what would be done. Default: `false`. */
  readonly preview?: boolean | undefined;
}

/** What was healed, and what could not be. */
export interface HealReport {
  /** Items that could not be read. */
  readonly damagedItems: Integer;
  /** Points that cannot be read in full. */
  readonly damagedPoints: readonly string[];
  /** Points that were known to be damaged and are whole. */
  readonly healedPoints: readonly string[];
  /** The commit at which history goes on behind what was lost. */
  readonly historyContinuesAt: Integer | null;
  /** Packs that are listed anew. */
  readonly indexedPacks: Integer;
  /** History that cannot be read and is given up. */
  readonly lostHistory: readonly LogDamage[];
  /** Whether it only looked. */
  readonly preview: boolean;
  /** What still cannot be read, with the items that need it. */
  readonly quarantined: readonly Damage[];
  /** Checkpoints that were replaced or removed. */
  readonly replacedCheckpoints: Integer;
  /** Index segments that were replaced. */
  readonly replacedSegments: Integer;
  /** Their bytes. */
  readonly restoredBytes: Integer;
  /** Parts of items that were stored again. */
  readonly restoredParts: Integer;
  /** Damaged packs that nothing needs any more. */
  readonly retiredPacks: Integer;
}

/** One line of a job's history: a run that ended, or times that were missed. */
export interface HistoryEntry {
  /** The times that were missed, if it is that. */
  readonly missed: MissedTimes | null;
  /** The run, if it is one. */
  readonly run: RunRecord | null;
}

/** Something that could not be processed, or that is to be known. */
export interface Issue {
  /** Stable code of the cause. */
  readonly code: string;
  /**
   * `failed`: not stored, and tried again; `skipped`: not stored, for a permanent cause; `warning`: stored, with something
   * to know.
   */
  readonly kind: string;
  /** One line for people. */
  readonly message: string;
  /** Where it lies, for people. */
  readonly path: string;
  /** Whether the next run tries again. */
  readonly retry: boolean;
}

/** What differs between two recovery points. */
export interface ItemChange {
  /** `added`, `removed` or `changed`. */
  readonly change: string;
  /** Id of its container. */
  readonly container: string;
  /** Id of the item. */
  readonly id: string;
  /** What it is. */
  readonly kind: string;
  /** Its name, in the newer point if it is there. */
  readonly name: string;
  /** Its size in bytes, in the newer point if it is there. */
  readonly size: Integer;
}

/** A job as it stands. */
export interface JobInfo {
  /** When it was added. */
  readonly added: Date;
  /** Whether it runs, by schedule or by hand. */
  readonly enabled: boolean;
  /** Its id. */
  readonly id: string;
  /** When its last run ended. */
  readonly lastEnded: Date | null;
  /** How its last run ended: `complete`, `partial`, `failed` or `stopped`. */
  readonly lastOutcome: string | null;
  /** What people call it. */
  readonly name: string;
  /** When it is due next. */
  readonly next: Date | null;
  /** Names of the objects that it names; empty: whatever is found. */
  readonly objects: readonly string[];
  /** Id of its repository. */
  readonly repository: string;
  /** Whether a run of it has begun and not ended. */
  readonly running: boolean;
  /** Objects processed at once. */
  readonly tasks: number;
}

/** What a job is. What is left out has its default, or stays as it is when a job is edited. */
export interface JobOptions {
  /** What to do about times that were missed: `within_window`, `once` or `skip`. Default: `within_window`. */
  readonly catchUp?: string | null | undefined;
  /** Whether it runs, by schedule or by hand. Default: `true`. */
  readonly enabled?: boolean | null | undefined;
  /** Remove no points at all after a run. Default: `false`. */
  readonly keepAll?: boolean | undefined;
  /** Another name for a job that exists. */
  readonly newName?: string | null | undefined;
  /** Name of the repository. */
  readonly repository?: string | null | undefined;
  /** How many points of each object stay. Default: the last 10. */
  readonly retention?: Keep | null | undefined;
  /** How often a failed object is tried again within a run; 0: not at all. Default: 3. */
  readonly retries?: number | null | undefined;
  /** Minutes between two tries. Default: 15. */
  readonly retryMinutes?: number | null | undefined;
  /** When it runs. Default: on demand. */
  readonly schedules?: readonly Schedule[] | null | undefined;
  /** What is backed up, the most important first. */
  readonly sources?: readonly JobSource[] | null | undefined;
  /** Objects processed at once, 1 to 100. Default: 3. */
  readonly tasks?: number | null | undefined;
}

/** One place that the objects of a job come from: an account or a folder. */
export interface JobSource {
  /** Name or id of an account of the director. */
  readonly account?: string | null | undefined;
  /** Instead of an account: the path of a folder, with the one name in `objects` under which it is kept. */
  readonly folder?: string | null | undefined;
  /** Names or addresses of its objects, the most important first. Default: every object that is found when a run starts. */
  readonly objects?: readonly string[] | undefined;
  /** Which services are read: `mail`, `contacts`, `calendar`, `onedrive`, `sharepoint`. Default: all that the account may read. */
  readonly services?: readonly string[] | undefined;
}

/** What a journal in a repository says about itself. */
export interface JournalHead {
  /** Id of the director that wrote it. */
  readonly director: string;
  /** Number of jobs. */
  readonly jobs: Integer;
  /** Number of repositories. */
  readonly repositories: Integer;
  /** Number of its configuration. */
  readonly revision: Integer;
  /** When it was written. */
  readonly written: Date;
}

/** How far the journal in one repository is. */
export interface JournalStanding {
  /** Whether the configuration as it is now is not in it. */
  readonly behind: boolean;
  /** Name of the repository. */
  readonly name: string;
  /** Why the last try failed, for people. */
  readonly problem: string | null;
  /** Its id. */
  readonly repository: string;
  /** The newest revision that is known to be in it. */
  readonly revision: Integer | null;
  /** When that was written. */
  readonly written: Date | null;
}

/** How far the journal of a director is. */
export interface JournalStatus {
  /** Whether a repository lacks the configuration as it is now. */
  readonly behind: boolean;
  /** Who the director is; none before it wrote anything. */
  readonly director: string | null;
  /** Every repository that jobs use, or used. */
  readonly repositories: readonly JournalStanding[];
  /** Number of the newest configuration that was to be written. */
  readonly revision: Integer;
}

/** How many recovery points of an object stay: a rule that is left out is off. */
export interface Keep {
  /** One point a day for N days. */
  readonly daily?: number | null | undefined;
  /** The last N points. 1 to 1,000. */
  readonly last?: number | null | undefined;
  /** One point a month for N months. */
  readonly monthly?: number | null | undefined;
  /** First day of the week: `monday` and so on. Default: `monday`. */
  readonly weekStart?: string | null | undefined;
  /** One point a week for N weeks. */
  readonly weekly?: number | null | undefined;
  /** One point a year for N years. */
  readonly yearly?: number | null | undefined;
  /** Whose midnight counts: IANA name. Default: `UTC`. */
  readonly zone?: string | null | undefined;
}

/** A passphrase or a key that opens a repository, without anything secret. */
export interface KeySlot {
  /** When it was made, RFC 3339. */
  readonly created: string;
  /** Its id. Changes whenever it is written anew. */
  readonly id: string;
  /** `passphrase`, `key` or `none`. */
  readonly kind: string;
  /** What people call it. */
  readonly label: string;
  /** Whether the repository was opened with it. */
  readonly own: boolean;
  /** Whether somebody began to remove it and did not come to the end. */
  readonly removing: boolean;
}

/** What opens a repository. */
export interface KeySlots {
  /** What is wrong with the others. */
  readonly damaged: readonly string[];
  /** The sound key slots, by time and id. */
  readonly slots: readonly KeySlot[];
}

/** A repository that a director knows. */
export interface KnownRepository {
  /** Whether jobs may use it. */
  readonly attached: boolean;
  /** What people note about it. */
  readonly description: string | null;
  /** Its figures when it was last looked at. */
  readonly figures: Figures | null;
  /** Its id. */
  readonly id: string;
  /** What people and jobs call it. */
  readonly name: string;
  /** Where it is. */
  readonly url: string;
}

/** Whether everything is locked for as long as it was promised. */
export interface LockReport {
  /** Objects looked at. */
  readonly objects: Integer;
  /** Until when everything must be locked, by the newest point. */
  readonly promised: Date | null;
  /** Objects with too short a lock. */
  readonly short: Integer;
  /** The first of them. */
  readonly shortLocks: readonly string[];
}

/** Where the log is damaged. */
export interface LogDamage {
  /** The damaged or missing object: its path in the repository's folder. */
  readonly object: string;
  /** What is wrong with it. */
  readonly what: string;
}

/** Times at which a job was due and not started. */
export interface MissedTimes {
  /** They are all after this moment. */
  readonly after: Date;
  /** How many. */
  readonly count: Integer;
  /** They are all at or before this moment. */
  readonly until: Date;
}

/** A new recovery key. It is shown this once. */
export interface NewKey {
  /** The key, to be printed and locked away. */
  readonly key: string;
  /** Its slot. */
  readonly slot: KeySlot;
}

/** A protected object. */
export interface ObjectInfo {
  /** The account that it belongs to. */
  readonly account: string | null;
  /** Its address: the mail address of a mailbox, the URL of a site. */
  readonly address: string | null;
  /** Its id, stable over all points. */
  readonly id: string;
  /** Its kind: `mailbox`, `drive`, `site`, `folder`. */
  readonly kind: string;
  /** What people call it. */
  readonly name: string;
  /** The id that the source gives it. */
  readonly nativeId: string;
  /** The connector that it comes from: `m365`, `folder`. */
  readonly source: string;
}

/** What a run did to an object. */
export interface ObjectResult {
  /** Plain bytes of these. */
  readonly bytes: Integer;
  /** Plain bytes read from the source. */
  readonly bytesRead: Integer;
  /** Bytes that reached the repository. */
  readonly bytesStored: Integer;
  /** Stable code of what went wrong. */
  readonly code: string | null;
  /** Items that could not be read. */
  readonly failed: Integer;
  /** Items in that point. */
  readonly items: Integer;
  /** What went wrong, for people. */
  readonly message: string | null;
  /** What people call it. */
  readonly name: string;
  /** Its id; for what was never found the name that the job has for it. */
  readonly object: string;
  /** `complete`, `partial`, `failed` or `stopped`. */
  readonly outcome: string;
  /** The recovery point that was made. */
  readonly point: string | null;
  /** Older points that retention removed afterwards. */
  readonly pointsRemoved: Integer;
  /** How often it was tried. */
  readonly tries: number;
}

/** A time at which something is due. */
export interface Occurrence {
  /** When a run that started then is stopped. */
  readonly end: Date | null;
  /** Whether its local time does not exist on that date, so that it starts at the first moment after the gap. */
  readonly moved: boolean;
  /** When it starts. */
  readonly start: Date;
}

/** How a repository is opened. */
export interface OpenOptions {
  /**
   * Open although the store shows an older or another history than the one seen before, and go on from it. Default:
   * `false`.
   */
  readonly acceptHistory?: boolean | undefined;
  /** Plain bytes of blocks kept in memory. Default: 20 MiB. */
  readonly cacheBytes?: Integer | null | undefined;
  /** Instead of the passphrase: a recovery key as it was printed. */
  readonly key?: string | null | undefined;
  /** Instead of the passphrase: a file with a recovery key. */
  readonly keyFile?: string | null | undefined;
  /** The passphrase of an encrypted repository. */
  readonly passphrase?: string | null | undefined;
  /** Instead of the passphrase: a file whose first line is the passphrase. */
  readonly passphraseFile?: string | null | undefined;
  /**
   * Where to remember the newest commit seen and how far verifications came. Default: nothing is remembered when the
   * process has ended, so that a store that was set back meanwhile goes unnoticed.
   */
  readonly stateDir?: string | null | undefined;
  /** A file with endpoint and credential of an object store; see "Object stores" in the guide. */
  readonly storeConfig?: string | null | undefined;
}

/** Part of a listing. */
export interface Page {
  /** Containers first, then items, each in the order of their ids. */
  readonly entries: readonly Entry[];
  /** Where the next page begins; none: there is no more. */
  readonly next: string | null;
}

/** Which page of a listing. */
export interface PageOptions {
  /** Where the page before ended. Default: the first page. */
  readonly after?: string | null | undefined;
  /** Most entries, 1 to 10,000. Default: 100. */
  readonly limit?: number | null | undefined;
}

/** A piece of an item's content. */
export interface PartInfo {
  /** Its media type, when known. */
  readonly mediaType: string | null;
  /** Which piece: `mime`, `json`, `content`, `attachment:<id>`. */
  readonly name: string;
  /** Its length in bytes. */
  readonly size: Integer;
}

/** A permission of an application. */
export interface PermissionCheck {
  /** What does not work without it. */
  readonly blocks: string;
  /** Whether it was seen to work; none if it could not be tried. */
  readonly granted: boolean | null;
  /** What was seen. */
  readonly message: string;
  /** The application permission. */
  readonly permission: string;
}

/** How a place is reached. */
export interface PlaceOptions {
  /** A file with endpoint and credential of an object store. */
  readonly storeConfig?: string | null | undefined;
}

/** How many items of a plan meet which fate. */
export interface PlanCounts {
  /** Bytes to be written. */
  readonly bytes: Integer;
  /** Not recoverable. */
  readonly cannot: Integer;
  /** To be written where nothing is. */
  readonly create: Integer;
  /** To replace something. */
  readonly overwrite: Integer;
  /** To be written under another name. */
  readonly rename: Integer;
  /** To be left alone because something else is there. */
  readonly skipExisting: Integer;
  /** To be left alone because they are there already. */
  readonly skipIdentical: Integer;
}

/** An item of a plan. */
export interface PlannedItem {
  /** `create`, `rename`, `skip_identical`, `skip_existing`, `overwrite` or `cannot`. */
  readonly action: string;
  /** Of what cannot be recovered: the stable code of the cause. */
  readonly code: string | null;
  /** Its container's id. */
  readonly container: string;
  /** Its id in the recovery point. */
  readonly id: string;
  /** Its path, for people. */
  readonly path: string;
  /** Its size in bytes. */
  readonly size: Integer;
  /** What differs from what is there, or why it cannot be recovered. */
  readonly why: string | null;
}

/** What retention says of a recovery point. */
export interface PlannedPoint {
  /** Whether it goes. */
  readonly goes: boolean;
  /** Its id. */
  readonly point: string;
  /** Why it stays, and until when, for people. */
  readonly reasons: readonly string[];
}

/** Which recovery points are meant: all that is given must hold. Nothing given: every point. */
export interface PointFilter {
  /** They are neither the newest of their object nor the newest complete one. */
  readonly allButLatest?: boolean | undefined;
  /** They are known to be damaged. */
  readonly damaged?: boolean | undefined;
  /** They are of none of these objects: of those that nobody protects any more. */
  readonly notOf?: readonly string[] | null | undefined;
  /** They are of this object: its name, address or id. */
  readonly object?: string | null | undefined;
  /** Their run began before this moment. */
  readonly olderThan?: Date | null | undefined;
  /** They are among these ids. */
  readonly points?: readonly string[] | undefined;
  /** Only say what would go. Default: `false`. */
  readonly preview?: boolean | undefined;
  /** Why they go, for the log. Default: asked for. */
  readonly reason?: string | null | undefined;
}

/** A recovery point. */
export interface PointInfo {
  /** Items that are new since the point before. */
  readonly added: Integer;
  /** Sum of their sizes in bytes. */
  readonly bytes: Integer;
  /** Bytes read from the source. */
  readonly bytesRead: Integer;
  /** Bytes added to the repository. */
  readonly bytesStored: Integer;
  /** Items that differ from the point before. */
  readonly changed: Integer;
  /** What people noted about it. */
  readonly description: string | null;
  /** When its run ended. */
  readonly finished: Date;
  /** Its id. */
  readonly id: string;
  /** Until when nobody can remove it, where the store locks objects. */
  readonly immutableUntil: Date | null;
  /** Items in it. */
  readonly items: Integer;
  /** The job it belongs to. */
  readonly job: string | null;
  /** Whether somebody keeps it until they say otherwise. */
  readonly keptForever: boolean;
  /** Until when somebody keeps it, whatever retention says. */
  readonly keptUntil: Date | null;
  /** Entries of it that are known to be unreadable; 0: nothing is known. */
  readonly lost: Integer;
  /** What it protects. */
  readonly object: ObjectInfo;
  /** `complete`, or `partial` when something could not be read. */
  readonly outcome: string;
  /** Items that were in the point before and are gone. */
  readonly removed: Integer;
  /** When its run began: the point shows the object at about this time. */
  readonly time: Date;
}

/** How long a recovery point is kept, whatever retention says. Nothing given: retention decides. */
export interface Protection {
  /** Until somebody says otherwise. */
  readonly forever?: boolean | undefined;
  /** Until this moment. */
  readonly until?: Date | null | undefined;
}

/** How space is reclaimed. */
export interface ReclaimOptions {
  /** Seconds that packs stay after nothing needed them. Default: 24 hours. */
  readonly graceSeconds?: number | null | undefined;
  /** Only say what would be done. Default: `false`. */
  readonly preview?: boolean | undefined;
  /** Also write anew whatever is sealed in an older epoch of the keys than the current one. Default: `false`. */
  readonly reencrypt?: boolean | undefined;
  /** Packs of which less than this share is wanted are written anew, 0 to 100. Default: 70. */
  readonly rewriteBelowPercent?: number | null | undefined;
}

/** What was reclaimed. */
export interface ReclaimReport {
  /** Objects that were deleted. */
  readonly deletedObjects: Integer;
  /** Bytes of the store that were freed. */
  readonly freedBytes: Integer;
  /** Their bytes. */
  readonly lockedBytes: Integer;
  /** Objects that were to be deleted and stay because they are locked. */
  readonly lockedObjects: Integer;
  /** What was needed of them. */
  readonly movedBytes: Integer;
  /** Of these, what points and unfinished runs need. */
  readonly neededBytes: Integer;
  /** Whether it only looked. */
  readonly preview: boolean;
  /** What can be freed in all. */
  readonly reclaimableBytes: Integer;
  /** Their bytes, before. */
  readonly rewrittenBytes: Integer;
  /** Packs written anew without what is unused. */
  readonly rewrittenPacks: Integer;
  /** Bytes of all packs that are in use, before. */
  readonly storedBytes: Integer;
  /** Their bytes. */
  readonly strayBytes: Integer;
  /** Packs left behind by runs that ended early. */
  readonly strayPacks: Integer;
  /** Their bytes. */
  readonly unusedBytes: Integer;
  /** Packs that nothing needs. */
  readonly unusedPacks: Integer;
  /** Packs that wait for the end of the grace period. */
  readonly waitingPacks: Integer;
}

/** Where a recovery goes. */
export interface RecoverTo {
  /** Address, name or id of another object of the source. Default: the original. */
  readonly object?: string | null | undefined;
  /** What to do where something exists. Default: rename. */
  readonly onConflict?: OnConflict | null | undefined;
}

/** An item of a recovery. */
export interface RecoveredItem {
  /** Of what failed: the stable code of the cause. */
  readonly code: string | null;
  /** Its id in the recovery point. */
  readonly id: string;
  /** Where it is at the target, for people. */
  readonly location: string | null;
  /** Of what failed or was skipped: one line for people. */
  readonly message: string | null;
  /** Its id at the target. */
  readonly newId: string | null;
  /** What of it the target could not take. */
  readonly notCarried: readonly string[];
  /** `recovered`, `skipped` or `failed`. */
  readonly outcome: string;
  /** Its path there, for people. */
  readonly path: string;
}

/** What a recovery did. */
export interface RecoveryReport extends Report {
  /** Bytes of the recovered items. */
  readonly bytes: Integer;
  /** Items that were not recovered. */
  readonly failed: Integer;
  /** Each planned item. */
  readonly items: readonly RecoveredItem[];
  /** `complete`, or `partial` when an item failed. */
  readonly outcome: string;
  /** Id of the recovery point. */
  readonly point: string;
  /** Items that are at the target now. */
  readonly recovered: Integer;
  /** Items that were left alone, as planned. */
  readonly skipped: Integer;
  /** Where to. */
  readonly target: ObjectInfo;
}

/** What was locked for longer. */
export interface RenewReport {
  /** Whether anything was to be done. */
  readonly due: boolean;
  /** Until when everything is locked now, at least. */
  readonly lockedUntil: Date | null;
  /** Objects that are listed and were not there when they were to be locked. */
  readonly missing: Integer;
  /** Objects whose lock was renewed by this call. */
  readonly renewed: Integer;
  /** Whether an interrupted renewal was continued. */
  readonly resumed: boolean;
}

/** How a repository is opened by later processes: by files, never by what they hold. */
export interface RepositoryAccess {
  /** The file with a recovery key of it. */
  readonly keyFile?: string | null | undefined;
  /** The file whose first line is its passphrase. */
  readonly passphraseFile?: string | null | undefined;
  /** The file with endpoint and credential of its object store. */
  readonly storeConfig?: string | null | undefined;
}

/** What is changed of what is known of a repository. What is left out stays. */
export interface RepositoryEdit {
  /** Another note. */
  readonly description?: string | null | undefined;
  /** Another file with a recovery key. */
  readonly keyFile?: string | null | undefined;
  /** Another name. */
  readonly newName?: string | null | undefined;
  /** Another file with its passphrase. */
  readonly passphraseFile?: string | null | undefined;
  /** Another file with endpoint and credential of its store. */
  readonly storeConfig?: string | null | undefined;
  /** Another location of the same repository. */
  readonly url?: string | null | undefined;
}

/** Figures of a repository. */
export interface RepositoryInfo {
  /** Chunks. */
  readonly chunks: Integer;
  /** How hard new data is compressed. */
  readonly compression: string;
  /** When it was made, RFC 3339. */
  readonly created: string;
  /** Packs known to hold data that cannot be read. */
  readonly damagedPacks: Integer;
  /** Recovery points known to be damaged. */
  readonly damagedPoints: Integer;
  /** Whether a passphrase or key protects it. */
  readonly encrypted: boolean;
  /** The epoch that new data is sealed in; 0 before the first rotation of the keys. */
  readonly epoch: number;
  /** Number of the newest commit; 0 for an empty repository. */
  readonly head: Integer;
  /** Its id. */
  readonly id: string;
  /** Where the log is damaged. */
  readonly logDamage: readonly LogDamage[];
  /** Sum of the sizes of all items in all points. */
  readonly logicalBytes: Integer;
  /** Damage found when opening and worked around. */
  readonly notes: readonly string[];
  /** Protected objects. */
  readonly objects: Integer;
  /** Packs. */
  readonly packs: Integer;
  /** Recovery points. */
  readonly points: Integer;
  /** Logical bytes for one stored byte; 0 for an empty repository. */
  readonly ratio: number;
  /** Whether damage of the log allows reading only. */
  readonly readOnly: boolean;
  /** Bytes of all packs. */
  readonly storedBytes: Integer;
  /** Plain bytes of all chunks: deduplicated, not compressed. */
  readonly uniqueBytes: Integer;
  /** Format version. */
  readonly version: number;
}

/** What was brought back from a journal. */
export interface Restored {
  /** The journal. */
  readonly from: JournalHead;
  /** Names of the jobs. */
  readonly jobs: readonly string[];
  /** How far the journal is now. */
  readonly journal: JournalStatus;
  /** The repositories that are known now. */
  readonly repositories: readonly KnownRepository[];
}

/** What retention says of each recovery point. */
export interface Retention {
  /** Number of the commit that removed points; none if none went. */
  readonly commit: Integer | null;
  /** The points in the order of their commits. */
  readonly points: readonly PlannedPoint[];
}

/** Who may still open a repository after its keys were rotated, beside who opened it. */
export interface RotateOptions {
  /** Remove every other key slot. Default: `false`, and the call fails if there is one. */
  readonly dropOthers?: boolean | undefined;
  /** Recovery keys that are kept. */
  readonly keepKeys?: readonly string[] | undefined;
  /** Further passphrases that are kept. */
  readonly keepPassphrases?: readonly string[] | undefined;
}

/** What a rotation of the keys did. */
export interface RotateReport {
  /** The commit that began it. */
  readonly commit: Integer;
  /** What opened it and is gone. */
  readonly dropped: readonly KeySlot[];
  /** The epoch that everything is sealed in from now on. */
  readonly epoch: number;
  /** What opens the repository now. */
  readonly kept: readonly KeySlot[];
  /** Whether an earlier rotation was brought to its end and no further one begun. */
  readonly resumed: boolean;
}

/** What is on record of a run. */
export interface RunRecord extends Report {
  /** `asked`, `schedule` or `chain`. */
  readonly cause: string;
  /** When a run by schedule was due. */
  readonly due: Date | null;
  /** When it had ended. */
  readonly ended: Date;
  /** How often the process ended while it went on. */
  readonly interruptions: number;
  /** Id of the job. */
  readonly job: string;
  /** What the job was called. */
  readonly jobName: string;
  /** What became of its objects. */
  readonly objects: readonly ObjectResult[];
  /** `complete`, `partial`, `failed` or `stopped`. */
  readonly outcome: string;
  /** Its id. */
  readonly run: string;
  /** When it was started. */
  readonly started: Date;
}

/** Which objects of a job are run. Default: all. */
export interface RunSelection {
  /** Only those that failed last time. */
  readonly failed?: boolean | undefined;
  /** Only these. */
  readonly objects?: readonly string[] | undefined;
}

/** When a job runs. */
export interface Schedule {
  /** Days of the week: `monday` and so on. Default: all. */
  readonly days?: readonly string[] | null | undefined;
  /** After another job: how many minutes after its end. Default: 0. */
  readonly delayMinutes?: number | null | undefined;
  /** Local time at which a run is stopped. Default: none. */
  readonly end?: string | null | undefined;
  /** Every so many days, weeks or months; of a periodic schedule: minutes. Default: 1. */
  readonly every?: number | null | undefined;
  /** After another job: its id. */
  readonly job?: string | null | undefined;
  /** `manual`, `daily`, `weekly`, `monthly`, `yearly`, `periodic` or `after`. Default: `daily`. */
  readonly kind?: string | null | undefined;
  /** Of a yearly schedule: `january` and so on. */
  readonly months?: readonly string[] | null | undefined;
  /** Of a monthly or yearly schedule: `first monday`, `last friday`, `day 15`, `last day`. */
  readonly on?: string | null | undefined;
  /** After another job: which of its ends: `complete`, `partial`, `failed`, `stopped`. Default: `complete`. */
  readonly outcomes?: readonly string[] | null | undefined;
  /** Local time at which the job starts: `01:00`. Default: midnight. */
  readonly start?: string | null | undefined;
  /** First local date in force: `2026-01-31`. */
  readonly validFrom?: string | null | undefined;
  /** Last local date in force. */
  readonly validUntil?: string | null | undefined;
  /** First day of the week where weeks are counted. Default: `monday`. */
  readonly weekStart?: string | null | undefined;
  /** IANA name of the zone that times are meant in. Default: `UTC`. */
  readonly zone?: string | null | undefined;
}

/** Which items of a recovery point are meant: everything that any of these says. Nothing said: the whole point. */
export interface Selected {
  /** Containers and items with these ids. */
  readonly ids?: readonly string[] | undefined;
  /** Containers and items at these paths, as listings show them. */
  readonly paths?: readonly string[] | undefined;
  /** The items that a query finds. */
  readonly query?: string | null | undefined;
}

/** How running jobs by their schedules ended. */
export interface Served {
  /** Whether somebody asked it to end. */
  readonly stopped: boolean;
}

/** What is brought back. */
export interface UnhideOptions {
  /** Also key slots, those that were removed on purpose too. Default: `false`. */
  readonly keys?: boolean | undefined;
  /** Only say what would be done. Default: `false`. */
  readonly preview?: boolean | undefined;
}

/** What was brought back. */
export interface UnhideReport {
  /** Key slots that are hidden and were left so. */
  readonly hiddenKeys: Integer;
  /** Objects that can be read again: paths in the repository's folder. */
  readonly lifted: readonly string[];
  /** Objects that have been written over, and whose first version is still there. */
  readonly overwritten: readonly string[];
  /** Objects that stay hidden because this credential may not bring them back. */
  readonly refused: readonly string[];
}

/** How far a long call is, or something that happened in it. */
export interface Update {
  /** Plain bytes read from the source, or written to the target. */
  readonly bytesDone: Integer;
  /** Bytes that reached the repository. */
  readonly bytesStored: Integer;
  /** Plain bytes in all, once known. */
  readonly bytesTotal: Integer | null;
  /** Of an issue: the stable code of its cause. */
  readonly code: string | null;
  /** Items that failed so far. */
  readonly failed: Integer;
  /** Items finished. */
  readonly itemsDone: Integer;
  /** Items in all, once known. */
  readonly itemsTotal: Integer | null;
  /** What it is: `progress`, `phase`, `issue` or `note`. */
  readonly kind: string;
  /** Of an issue or a note: one line for people. */
  readonly message: string | null;
  /** Where the work is, or where the issue is: a path inside the object. */
  readonly path: string | null;
  /** What is being done: `list`, `fetch`, `store`, `commit`, `verify`, `recover`, `export`. */
  readonly phase: string;
  /** Set while a service asked to wait: how much longer, in seconds. */
  readonly throttledFor: number | null;
}

/** What is verified, and how thoroughly. */
export interface VerifyOptions {
  /** Stop after this many seconds; a later call can go on. Default: none. */
  readonly maxSeconds?: number | null | undefined;
  /** Only what this object's points need: its name, address or id. Default: everything. */
  readonly object?: string | null | undefined;
  /** Only what this point needs: its id or the beginning of it. Default: everything. */
  readonly point?: string | null | undefined;
  /** Write into the log what is damaged and what is whole again. Default: `false`, nothing is written. */
  readonly record?: boolean | undefined;
  /** Go on where an earlier verification of the same scope was cancelled or ran out of time. Default: `false`. */
  readonly resume?: boolean | undefined;
  /** Read the content of only this share of packs and items, 1 to 100. Structure is always read in full. Default: all. */
  readonly samplePercent?: number | null | undefined;
  /** Chooses the sample; the same seed chooses the same one. Default: random, and told in the report. */
  readonly seed?: Integer | null | undefined;
  /** Leave out joining each item's content to compare it with the hash taken when it was read from its source. */
  readonly skipContentHashes?: boolean | undefined;
}

/** What was read, and what is wrong. */
export interface VerifyReport {
  /** Bytes of the store that were read in that. */
  readonly bytes: Integer;
  /** Chunks in them. */
  readonly chunks: Integer;
  /** Whether everything in scope was read; `false` for a sample, and where time ran out. */
  readonly complete: boolean;
  /** Plain bytes of content joined and compared with their hash. */
  readonly contentBytes: Integer;
  /** Damage, by object. Empty: nothing is damaged. */
  readonly damage: readonly Damage[];
  /** Ids of the points that cannot be read in full. */
  readonly damagedPoints: readonly string[];
  /** Whether time ran out: a later call with `resume` goes on. */
  readonly interrupted: boolean;
  /** Items seen; an item that several points share unchanged counts once. */
  readonly items: Integer;
  /** Objects read besides packs: configuration, key slots, commits, checkpoints, index segments. */
  readonly objects: Integer;
  /** Packs read whole. */
  readonly packs: Integer;
  /** Recovery points walked through. */
  readonly points: Integer;
  /** Number of the commit that says what was found. */
  readonly recorded: Integer | null;
  /** Whether an earlier verification was continued. */
  readonly resumed: boolean;
  /** The seed that chose the sample. */
  readonly seed: Integer;
  /** Why what was found could not be written into the log, if it could not. */
  readonly unrecorded: string | null;
}

/**
 * How hard new data is compressed.
 *
 * - `disabled`: Data is stored as it is.
 * - `fast`: zstd level 1.
 * - `medium`: zstd level 3.
 * - `best`: zstd level 12.
 */
export type Compression = 'disabled' | 'fast' | 'medium' | 'best';

/**
 * What an export writes.
 *
 * - `files`: One file for each item; messages as `.eml`.
 * - `mbox`: The messages of each folder in one mbox file; everything else as files.
 */
export type ExportFormat = 'files' | 'mbox';

/**
 * What to do when an item to be recovered exists at the target.
 *
 * - `rename`: Recover beside it under another name.
 * - `skip`: Leave what exists.
 * - `overwrite`: Replace what exists; never before its replacement is complete and read back.
 */
export type OnConflict = 'rename' | 'skip' | 'overwrite';
