// A small portal of a service provider: mailboxes, backups, search, downloads and recovery of its customers.

import { Readable } from 'node:stream';

import Fastify from 'fastify';
import { NakivoError } from 'nakivo';

// Everything else is a fault of ours or of a service: 502.
const STATUS = {
  NAKIVO_INVALID_INPUT: 400,
  NAKIVO_PERMISSION_MISSING: 403,
  NAKIVO_UNAUTHORIZED: 403,
  NAKIVO_NOT_FOUND: 404,
  NAKIVO_ALREADY_EXISTS: 409,
  NAKIVO_CONFLICT: 409,
  NAKIVO_BUSY: 409,
  NAKIVO_THROTTLED: 429,
  NAKIVO_UNAVAILABLE: 503,
};

/** Integers beyond 2^53 - 1 come as bigint, which JSON has no form for. */
const json = (value) => JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? each.toString() : each));

/** The portal of these customers: `{ name: { repository, source } }`, shared by all requests. */
export function portal(customers) {
  const app = Fastify();
  const runs = [];
  app.setReplySerializer(json);

  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof NakivoError)) return reply.send(error);
    if (error.retryAfter) reply.header('Retry-After', Math.round(error.retryAfter));
    return reply.status(STATUS[error.code] ?? 502).send({ code: error.code, message: error.reason, hint: error.hint });
  });

  const missing = () => Object.assign(new Error('no such customer or run'), { statusCode: 404 });
  const held = (request) => {
    const customer = customers[request.params.customer];
    if (!customer) throw missing();
    return customer;
  };
  const running = (request) => runs[request.params.run] ?? (() => { throw missing(); })();
  const newest = (request) => held(request).repository.point(request.params.mailbox, 'latest');

  app.get('/:customer/mailboxes', async (request) => {
    const { repository, source } = held(request);
    const listed = [];
    for (const { address, id } of (await source.objects()).objects) {
      const points = await repository.points(id).catch((error) => {
        if (error.code === 'NAKIVO_NOT_FOUND') return [];
        throw error;
      });
      listed.push({ address, points: points.length, newest: points.at(-1)?.time ?? null });
    }
    return listed;
  });

  app.post('/:customer/mailboxes/:mailbox/backups', async (request, reply) => {
    const { repository, source } = held(request);
    // Told at once, not by the run: a mailbox that is not there.
    await source.object(request.params.mailbox);
    runs.push(source.backup(repository, request.params.mailbox));
    return reply.status(202).send({ run: runs.length - 1 });
  });

  app.get('/runs/:run/events', async (request, reply) => {
    const run = running(request);
    async function* lines() {
      for await (const update of run) yield `data: ${update.kind} ${update.phase} ${update.itemsDone}\n\n`;
    }
    return reply.type('text/event-stream').send(Readable.from(lines()));
  });

  app.get('/runs/:run', (request) => running(request).outcome());

  app.delete('/runs/:run', async (request, reply) => {
    await running(request).cancel();
    return reply.status(204).send();
  });

  app.get('/:customer/mailboxes/:mailbox/search', async (request) => {
    const hits = [];
    for await (const { id, name, path } of (await newest(request)).find(request.query.q)) hits.push({ id, name, path });
    return hits;
  });

  app.get('/:customer/mailboxes/:mailbox/messages/:message', async (request, reply) => {
    const point = await newest(request);
    // What is not there is told before the first byte.
    await point.entryById(request.params.message);
    return reply.type('message/rfc822').send(Readable.fromWeb(point.content(request.params.message)));
  });

  app.post('/:customer/mailboxes/:mailbox/recovery', async (request) => {
    const { source } = held(request);
    const point = await newest(request);
    const plan = await point.plan(source, { object: request.query.to, ids: request.body }).outcome();
    return plan.apply().outcome();
  });

  return app;
}
