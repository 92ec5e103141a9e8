// Generated from bindings/api.json by bindings/generate: change that, not this.

import type { Integer } from '../decode';
import type { Report } from '../run';

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
  /** Its content: names of its parts, as {@link Point.content} takes them. */
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

/** Where the log is damaged. */
export interface LogDamage {
  /** The damaged or missing object: its path in the repository's folder. */
  readonly object: string;
  /** What is wrong with it. */
  readonly what: string;
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
  /** Items in it. */
  readonly items: Integer;
  /** The job it belongs to. */
  readonly job: string | null;
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

/** Which items of a recovery point are meant: everything that any of these says. Nothing said: the whole point. */
export interface Selected {
  /** Containers and items with these ids. */
  readonly ids?: readonly string[] | undefined;
  /** Containers and items at these paths, as listings show them. */
  readonly paths?: readonly string[] | undefined;
  /** The items that a query finds. */
  readonly query?: string | null | undefined;
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
