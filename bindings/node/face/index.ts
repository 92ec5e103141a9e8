/**
 * Backup and recovery of Microsoft 365 and folders.
 *
 * @packageDocumentation
 */

export type { Integer } from './decode';
export { NakivoError, PartialError } from './failure';
export type { Failure, Unprocessed } from './failure';
export * from './generated/classes';
export * from './generated/errors';
export type * from './generated/records';
export type { CallOptions } from './held';
export type { Report, Run } from './run';
export type { ByteStream, Listing } from './stream';
