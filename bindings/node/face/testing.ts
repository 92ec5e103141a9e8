/**
 * An emulated organisation, so that tests of those who embed the package need no account of Microsoft 365.
 *
 * @packageDocumentation
 */

export * from './generated/testing';
export type * from './generated/testing_records';
