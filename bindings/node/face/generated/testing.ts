// Generated from bindings/api.json by bindings/generate: change that, not this.

import { Source } from './classes';
import { integer, listOf, same } from '../decode';
import type { Integer } from '../decode';
import { asContent, asData, asNothing, asObject } from '../answer';
import { Held, ask, make } from '../held';
import type { CallOptions } from '../held';
import { EmulatorOptionsShape, toEmulatorInfo, toMessageTruth } from './convert';
import type { EmulatorInfo, EmulatorOptions, MessageTruth } from './testing_records';

/** An organisation that is not there: an emulator of Microsoft Graph on this machine's loopback, for tests. */
export class Emulator extends Held {
  /** Starts one. The same options make the same organisation. */
  static start(options?: EmulatorOptions & CallOptions): Promise<Emulator> {
    return asObject(make('Emulator', 'start', [], [options, ['options', EmulatorOptionsShape]]), (handle) => new Emulator(handle));
  }

  /** What a client needs to connect, and who is there. */
  info(options?: CallOptions): Promise<EmulatorInfo> {
    return asData(ask(this, 'info', [], [options]), toEmulatorInfo);
  }

  /** The emulated organisation as a source of these services; none: of all. */
  source(services?: readonly string[], options?: CallOptions): Promise<Source> {
    return asObject(ask(this, 'source', [['services', services ?? [], null]], [options]), (handle) => new Source(handle));
  }

  /** Puts a message into a folder of a mailbox, and says its id. `folder` is a well-known name such as `inbox`, or an id. */
  addMessage(mailbox: string, folder: string, mime: Uint8Array, options?: CallOptions): Promise<string> {
    return asData(ask(this, 'add_message', [['mailbox', mailbox, null], ['folder', folder, null], ['mime', mime, 'bytes']], [options]), same<string>);
  }

  /** Moves a message to the deleted items. */
  deleteMessage(mailbox: string, id: string, options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'delete_message', [['mailbox', mailbox, null], ['id', id, null]], [options]));
  }

  /** Deletes a message for good. */
  purgeMessage(mailbox: string, id: string, options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'purge_message', [['mailbox', mailbox, null], ['id', id, null]], [options]));
  }

  /** Makes a message unreadable, or readable again. */
  corruptMessage(mailbox: string, id: string, corrupt: boolean, options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'corrupt_message', [['mailbox', mailbox, null], ['id', id, null], ['corrupt', corrupt, null]], [options]));
  }

  /** Every message of a mailbox, as it is. */
  messages(mailbox: string, options?: CallOptions): Promise<readonly MessageTruth[]> {
    return asData(ask(this, 'messages', [['mailbox', mailbox, null]], [options]), listOf(toMessageTruth));
  }

  /** A message as MIME. */
  mime(mailbox: string, id: string, options?: CallOptions): Promise<Uint8Array | null> {
    return asContent(ask(this, 'mime', [['mailbox', mailbox, null], ['id', id, null]], [options]));
  }

  /** Puts a file into a user's drive, and says its id. Folders on the way are made. */
  addFile(user: string, path: string, content: Uint8Array, options?: CallOptions): Promise<string> {
    return asData(ask(this, 'add_file', [['user', user, null], ['path', path, null], ['content', content, 'bytes']], [options]), same<string>);
  }

  /** Refuses the next `count` requests with 429 and a time to wait in seconds. */
  throttleNext(count: Integer, retryAfter: Integer, options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'throttle_next', [['count', count, null], ['retry_after', retryAfter, null]], [options]));
  }

  /** Fails the `nth` request from now, counted from 1, with this status. */
  failAt(nth: Integer, status: number, options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'fail_at', [['nth', nth, null], ['status', status, null]], [options]));
  }

  /** Takes all faults back. */
  clearFaults(options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'clear_faults', [], [options]));
  }

  /** How many requests of Microsoft Graph were answered. */
  requests(options?: CallOptions): Promise<Integer> {
    return asData(ask(this, 'requests', [], [options]), integer);
  }

  /** Stops it. Calls on it fail from then on. */
  stop(options?: CallOptions): Promise<void> {
    return asNothing(ask(this, 'stop', [], [options]));
  }
}
