// Arguments on their way to the library: JSON, with every integer exact, and errors that name the field.

import { invalid } from './error';

/** How the fields of a record are called on the other side, and what lies in those that are records. */
export type Shape = { readonly [field: string]: readonly [name: string, shape: (() => Shape) | null] };

/** Deeper nested data than this is a mistake, or refers to itself. */
const MAX_DEPTH = 32;

/** A value as JSON. Where `shape` is given, an object, and every object in a list, is a record of that shape. */
export function encode(field: string, value: unknown, shape: Shape | null): string {
  return text(field, value, shape, 0);
}

function text(field: string, value: unknown, shape: Shape | null, depth: number): string {
  switch (typeof value) {
    case 'undefined':
      return 'null';
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'number':
      if (!Number.isFinite(value)) throw invalid(field, String(value), 'a finite number');
      // As digits, so that what is too large is refused as a number, not as a strange way to write one.
      return Number.isInteger(value) ? String(BigInt(value)) : String(value);
    case 'string':
      if (!value.isWellFormed()) throw invalid(field, 'half a character (a lone surrogate)', 'Unicode text');
      return JSON.stringify(value);
    case 'object':
      return value === null ? 'null' : composite(field, value, shape, depth + 1);
    default:
      throw invalid(field, `a ${typeof value}`, 'data');
  }
}

function composite(field: string, value: object, shape: Shape | null, depth: number): string {
  if (depth > MAX_DEPTH) throw invalid(field, 'nested too deeply', `at most ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) {
    return `[${value.map((item, at) => text(`${field}[${at}]`, item, shape, depth)).join()}]`;
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw invalid(field, 'an invalid date', 'a valid one');
    return JSON.stringify(value.toISOString());
  }
  if (shape === null) throw invalid(field, 'an object', 'a simple value');
  return record(field, value as Record<string, unknown>, shape, depth);
}

function record(field: string, value: Record<string, unknown>, shape: Shape, depth: number): string {
  const parts: string[] = [];
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(shape, key)) {
      throw invalid(`${field}.${printable(key)}`, 'unknown', Object.keys(shape).join(', '));
    }
    const [name, inner] = shape[key]!;
    const content = value[key];
    if (content !== undefined) {
      parts.push(`${JSON.stringify(name)}:${text(`${field}.${key}`, content, inner && inner(), depth)}`);
    }
  }
  return `{${parts.join()}}`;
}

/** The beginning of what a caller named a field, fit for a message. */
function printable(key: string): string {
  return key.slice(0, 64).toWellFormed();
}

/** Splits the options of a call into those of each record and the rest, which nobody wants. */
export function split(
  options: unknown,
  shapes: readonly (readonly [name: string, shape: Shape])[],
): { records: Record<string, unknown>[]; rest: Record<string, unknown> } {
  const records = shapes.map((): Record<string, unknown> => ({}));
  const rest: Record<string, unknown> = {};
  if (options === undefined || options === null) return { records, rest };
  if (typeof options !== 'object' || Array.isArray(options)) {
    throw invalid('options', Array.isArray(options) ? 'a list' : `a ${typeof options}`, 'an object');
  }
  for (const [key, value] of Object.entries(options)) {
    const at = shapes.findIndex(([, shape]) => Object.hasOwn(shape, key));
    (records[at] ?? rest)[key] = value;
  }
  return { records, rest };
}
