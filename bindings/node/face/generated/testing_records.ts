// Generated from bindings/api.json by bindings/generate: change that, not this.

import type { Integer } from '../decode';

/** What a client of an emulator needs to connect, and who is there. */
export interface EmulatorInfo {
  /** Id of the registered application. */
  readonly appId: string;
  /** Its secret. */
  readonly clientSecret: string;
  /** Id of the directory. */
  readonly directoryId: string;
  /** The organisation's domain. */
  readonly domain: string;
  /** Addresses of the users with a drive. */
  readonly drives: readonly string[];
  /** Root of Microsoft Graph with its version. */
  readonly graphUrl: string;
  /** Root of the token service. */
  readonly loginUrl: string;
  /** Addresses of the mailboxes. */
  readonly mailboxes: readonly string[];
  /** The seed. */
  readonly seed: Integer;
  /** URLs of the sites. */
  readonly sites: readonly string[];
}

/** What an emulated organisation has. */
export interface EmulatorOptions {
  /** A folder of files that are put into the drives. */
  readonly filesFrom?: string | null | undefined;
  /** Files in each user's drive, and in each site. Default: none, and no drives. */
  readonly filesPerUser?: number | null | undefined;
  /** Messages of each. Default: 20. */
  readonly itemsPerUser?: number | null | undefined;
  /** A folder of `.eml` files that are spread over the mailboxes. */
  readonly mailFrom?: string | null | undefined;
  /** Chooses what it has. Default: 1. */
  readonly seed?: Integer | null | undefined;
  /** Sites. Default: none. */
  readonly sites?: number | null | undefined;
  /** Users with a mailbox. Default: 3. */
  readonly users?: number | null | undefined;
}

/** A message of an emulated mailbox. */
export interface MessageTruth {
  /** Number of its attachments. */
  readonly attachments: Integer;
  /** Id of its folder. */
  readonly folderId: string;
  /** Its immutable id. */
  readonly id: string;
  /** Whether it is read. */
  readonly isRead: boolean;
  /** When it was received. */
  readonly received: Date;
  /** Its subject. */
  readonly subject: string;
}
