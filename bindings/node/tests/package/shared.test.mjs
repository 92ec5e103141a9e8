// The scenario of all languages (bindings/scenario.json), called as it is spelled here.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as nakivo from 'nakivo';
import * as testing from 'nakivo/testing';

import { folder } from './world.mjs';

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const api = read('api.json');
const classes = { ...nakivo, ...testing };
const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

/** What is at a path such as `points.0.id`; an empty one is the whole. */
function at(data, path) {
  return path.split('.').filter(Boolean).reduce((inner, part) => inner[camel(part)], data);
}

class Scenario {
  held = new Map();

  constructor(directory) {
    this.directory = directory;
  }

  resolved(value) {
    if (typeof value === 'string') {
      if (!value.startsWith('$') || value.startsWith('${')) return value.replaceAll('${dir}', this.directory);
      const [name, ...path] = value.slice(1).split('.');
      return at(this.held.get(name), path.join('.'));
    }
    if (Array.isArray(value)) return value.map((item) => this.resolved(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [camel(key), this.resolved(inner)]));
  }

  /** What the step gives, as the method takes it: plain arguments in order, the fields of options in one object at the end. */
  given(method, fields = {}) {
    const rest = { ...fields };
    const plain = [];
    const options = {};
    const taken = (name) => {
      const value = this.resolved(rest[name]);
      delete rest[name];
      return value;
    };
    for (const { name, type } of method.arguments) {
      const record = api.records[type];
      if (record?.properties !== undefined) {
        const own = Object.keys(record.properties).filter((key) => key in rest);
        const made = Object.fromEntries(own.map((key) => [camel(key), taken(key)]));
        if (record.required === undefined) Object.assign(options, made);
        else plain.push(made);
      } else {
        const value = taken(name);
        plain.push(type === 'Bytes' ? Buffer.from(value, 'base64') : value);
      }
    }
    assert.deepEqual(rest, {}, `${method.name} takes no more`);
    return [...plain, options];
  }

  async act(step) {
    if (step.make !== undefined) {
      const [kind, name] = step.make.split('.');
      const method = api.classes.find((known) => known.name === kind).constructors.find((known) => known.name === name);
      return classes[kind][camel(name)](...this.given(method, step.with));
    }
    if (step.call !== undefined) {
      const [named, name] = step.call.split('.');
      const object = this.held.get(named);
      if (name === 'outcome') return object.outcome();
      const kind = api.classes.find((known) => known.name === object.constructor.name);
      return object[camel(name)](...this.given(kind.methods.find((known) => known.name === name), step.with));
    }
    if (step.read !== undefined) {
      const stream = this.held.get(step.read);
      return stream instanceof ReadableStream ? Buffer.from(await stream.bytes()).toString('base64') : stream.toArray();
    }
    const run = this.held.get(step.cancel);
    for await (const update of run) {
      assert.ok(update.kind);
      await run.cancel();
      break;
    }
    return run.outcome();
  }

  async step(step) {
    if (step.error !== undefined) {
      const code = `NAKIVO_${step.error.toUpperCase()}`;
      // Runs and listings begin at once: what keeps them from it is told when they are looked at.
      await assert.rejects(async () => {
        const came = await this.act(step);
        await (came?.outcome?.() ?? came?.toArray?.() ?? came?.bytes?.());
      }, (error) => error instanceof nakivo.NakivoError && error.code === code);
      return;
    }
    const came = await this.act(step);
    for (const [path, wanted] of Object.entries(step.expect ?? {})) assert.deepEqual(at(came, path), this.resolved(wanted), path);
    for (const [path, count] of Object.entries(step.count ?? {})) assert.equal(at(came, path).length, count, path);
    if (step.equals !== undefined) assert.equal(came, step.equals);
    if (step.as !== undefined) this.held.set(step.as, came);
  }
}

test('the scenario of all languages', async (t) => {
  const scenario = new Scenario(await folder(t));
  const { steps } = read('scenario.json');
  for (const [number, step] of steps.entries()) {
    try {
      await scenario.step(step);
    } catch (error) {
      error.message = `step ${number}, ${JSON.stringify(step)}: ${error.message}`;
      throw error;
    }
  }
  console.log(`${steps.length} steps`);
});
