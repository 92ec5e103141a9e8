// What JSON holds, as callers get it.

import type { Answer } from './native';

/** A piece of what JSON holds. */
export type Raw = any;

/** An integer: a `bigint` where it is beyond 2^53 - 1, and a `number` else. */
export type Integer = number | bigint;

/** Integers that a number cannot hold exactly come as digits. */
export function integer(raw: Raw): Integer {
  return typeof raw === 'string' ? BigInt(raw) : raw;
}

/** RFC 3339 in UTC. */
export function moment(raw: Raw): Date {
  return new Date(raw);
}

export function orNull<T>(convert: (raw: Raw) => T): (raw: Raw) => T | null {
  return (raw) => (raw == null ? null : convert(raw));
}

export function listOf<T>(convert: (raw: Raw) => T): (raw: Raw) => T[] {
  return (raw) => raw.map((item: Raw) => convert(item));
}

export function mapOf<T>(convert: (raw: Raw) => T): (raw: Raw) => Record<string, T> {
  return (raw) => Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, convert(value)]));
}

export function same<T>(raw: Raw): T {
  return raw;
}

/** JSON parsed; nothing is `null`. */
export function parsed(answer: Answer): Raw {
  return typeof answer === 'string' ? JSON.parse(answer) : null;
}
