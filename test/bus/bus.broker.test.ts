import { connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus, Delivery } from '../../services/bus/bus.ts';
import { demoPosts, jobQueue } from '../../services/bus/queues.ts';
import { exchanges, type QueueSpec, type Role, roles } from '../../services/bus/topology.ts';
import { brokerUrl, ownBroker, uniqueName } from '../support/broker.ts';
import { startRelay } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

const empty = Buffer.alloc(0);
const own: QueueSpec = { name: '', exclusive: true, why: 'of this test' };

/** Declares what it needs itself: nobody else is there who would. */
const alone: Role = { exchanges: [exchanges.m], queues: [] };

function bus(urls: string | string[], role: Role = alone): Bus {
  const made = createBus({ urls: [urls].flat(), name: 'test', role });
  onTestFinished(() => made.close(200));
  return made;
}

/** A durable queue of this test behind `demo.posts`, whose messages are persistent. */
async function durableQueue(url: string): Promise<QueueSpec> {
  const name = uniqueName('kept');
  const connection = await connect(url);
  const channel = await connection.createChannel();
  await channel.assertExchange('demo.posts', 'fanout', { durable: true });
  await channel.assertQueue(name, { durable: true });
  await channel.bindQueue(name, 'demo.posts', '');
  await connection.close();
  return { name, why: 'of this test' };
}

/** Echoes calls to `m.<id>.rpc`. */
async function echo(on: Bus, id: string): Promise<void> {
  await on.consume(
    own,
    call => {
      on.send({
        type: 'warren.bus.v1.Answer',
        key: call.replyTo ?? '',
        correlationId: call.correlationId ?? '',
        body: call.body,
      });
      return 'ack';
    },
    { prefetch: 10, bindings: () => [{ exchange: 'm', key: `m.${id}.rpc` }] },
  );
}

test('a request comes back with its answer, trace and sender', async () => {
  const id = uniqueName('echo');
  const server = bus(brokerUrl());
  const seen: Delivery[] = [];
  await server.consume(
    own,
    call => {
      seen.push(call);
      server.send({
        type: 'warren.bus.v1.Answer',
        key: call.replyTo ?? '',
        correlationId: call.correlationId ?? '',
        body: Buffer.from('pong'),
      });
      return 'ack';
    },
    { prefetch: 1, bindings: () => [{ exchange: 'm', key: `m.${id}.rpc` }] },
  );
  const client = bus(brokerUrl());
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const answer = await client.request(
    { type: 'warren.bus.v1.Call', key: `m.${id}.rpc`, body: Buffer.from('ping'), traceparent },
    { deadlineMs: 5_000 },
  );
  expect(answer.body.toString()).toBe('pong');
  expect(seen[0]).toMatchObject({ type: 'warren.bus.v1.Call', userId: client.user, traceparent, redelivered: false });
  expect(seen[0]?.messageId).toMatch(/^[\w-]{20,}$/);
});

test('a request ends with its deadline, with its signal, or at once when nobody listens', async () => {
  const id = uniqueName('mute');
  const server = bus(brokerUrl());
  await server.consume(own, () => 'ack', { prefetch: 1, bindings: () => [{ exchange: 'm', key: `m.${id}.rpc` }] });
  const client = bus(brokerUrl());
  const call = { type: 'warren.bus.v1.Call', key: `m.${id}.rpc`, body: empty } as const;
  await expect(client.request(call, { deadlineMs: 200 })).rejects.toMatchObject({ code: 'BUS_DEADLINE' });
  const abort = new AbortController();
  const abandoned = client.request(call, { deadlineMs: 5_000, signal: abort.signal });
  abort.abort();
  await expect(abandoned).rejects.toMatchObject({ code: 'BUS_ABANDONED' });
  const nobody = client.request({ ...call, key: `m.${id}.nobody` }, { deadlineMs: 5_000 });
  await expect(nobody).rejects.toMatchObject({ code: 'BUS_NO_RECEIVER' });
});

test('a wrong password is one clear line, with no password in it', async () => {
  const url = new URL(brokerUrl());
  url.password = 'not-the-password';
  await expect(bus(url.href).ready()).rejects.toMatchObject({
    code: 'BUS_LOGIN',
    message: expect.stringMatching(
      new RegExp(`^the broker at amqp://[^@]*:${url.port} refused user "${url.username}": wrong name or password$`),
    ),
  });
});

test('a queue that exists with other settings is one clear line that names it', async () => {
  const service = uniqueName('web');
  await bus(brokerUrl(), roles.proxy([service], 'classic')).ready();
  await expect(bus(brokerUrl(), roles.proxy([service], 'quorum')).ready()).rejects.toMatchObject({
    code: 'BUS_TOPOLOGY',
    message: expect.stringContaining(`proxy.jobs.${service}`),
  });
});

test('an unreachable broker is waited for, and the next URL is tried when one is gone', async () => {
  const relay = await startRelay(Number(new URL(brokerUrl()).port));
  onTestFinished(() => relay.close());
  const through = new URL(brokerUrl());
  through.hostname = '127.0.0.1';
  through.port = String(relay.port);
  const dead = new URL(through);
  dead.port = '1';
  const client = bus([dead.href, through.href, brokerUrl()]);
  await client.ready();
  expect(relay.connections()).toBe(2);
  const id = uniqueName('echo');
  const server = bus(brokerUrl());
  await echo(server, id);
  const ask = (): Promise<Delivery> =>
    client.request({ type: 'warren.bus.v1.Call', key: `m.${id}.rpc`, body: Buffer.from('x') }, { deadlineMs: 5_000 });
  await ask();
  relay.refuse();
  relay.cut();
  await until(
    () => client.state,
    state => state === 'connecting',
  );
  await client.ready();
  expect((await ask()).body.toString()).toBe('x');
  expect(relay.connections()).toBe(0);
});

test('what a handler says is done: ack, requeue, dead', async () => {
  const queue = await durableQueue(brokerUrl());
  const client = bus(brokerUrl(), { exchanges: [], queues: [] });
  const tries = new Map<string, number>();
  const settled = Promise.withResolvers<void>();
  await client.consume(
    queue,
    ({ body, redelivered }) => {
      const text = body.toString();
      const count = (tries.get(text) ?? 0) + 1;
      tries.set(text, count);
      expect(redelivered).toBe(count > 1);
      if (text === 'requeue' && count < 3) return 'requeue';
      if (text === 'last') settled.resolve();
      if (text === 'throws') throw new Error('a bug');
      return text === 'dead' ? 'dead' : 'ack';
    },
    { prefetch: 1 },
  );
  for (const text of ['ack', 'requeue', 'dead', 'throws', 'last']) {
    await client.publish({ type: 'warren.demo.v1.Post', key: '', body: Buffer.from(text) });
  }
  await settled.promise;
  await until(
    () => client.depth(queue.name),
    ({ messages }) => messages === 0,
  );
  expect(Object.fromEntries(tries)).toEqual({ ack: 1, requeue: 3, dead: 1, throws: 1, last: 1 });
});

test('a consumer whose queue is deleted, or whose channel the broker closes, begins again', async () => {
  const service = uniqueName('web');
  const role = roles.proxy([service], 'classic');
  const client = bus(brokerUrl(), role);
  const seen: string[] = [];
  const queue = role.queues[0]?.queue;
  if (!queue) throw new Error('the role has a queue');
  await client.consume(
    queue,
    ({ messageId }) => {
      seen.push(messageId);
      return 'ack';
    },
    { prefetch: 5 },
  );
  const admin = await connect(brokerUrl());
  onTestFinished(() => admin.close());
  const channel = await admin.createChannel();
  await channel.deleteQueue(queue.name);
  await until(
    () => client.depth(queue.name).catch(() => ({ consumers: 0 })),
    ({ consumers }) => consumers === 1,
  );
  await client.publish({ type: 'warren.proxy.v1.Job', key: service, body: empty, messageId: 'after' });
  await until(
    () => seen,
    ids => ids.includes('after'),
  );
  expect(client.state).toBe('up');
});

test('what somebody deletes that others wait for is declared again, and they go on', async () => {
  const service = uniqueName('web');
  const early = bus(brokerUrl(), roles.worker(service, 'classic'));
  const queue = jobQueue(service, 'classic').queue;
  const seen: string[] = [];
  const consuming = early.consume(
    queue,
    ({ messageId }) => {
      seen.push(messageId);
      return 'ack';
    },
    { prefetch: 5 },
  );
  await until(
    () => early.reason,
    reason => reason.startsWith('waiting for a proxy with a route to the service'),
  );
  const proxy = bus(brokerUrl(), roles.proxy([service], 'classic'));
  await consuming;
  expect(early.state).toBe('up');
  const admin = await connect(brokerUrl());
  onTestFinished(() => admin.close());
  await (await admin.createChannel()).deleteQueue(queue.name);
  await until(
    () => proxy.depth(queue.name).catch(() => ({ consumers: 0 })),
    ({ consumers }) => consumers === 1,
  );
  await proxy.publish({ type: 'warren.proxy.v1.Job', key: service, body: empty, messageId: 'after' });
  await until(
    () => seen,
    ids => ids.includes('after'),
  );
  expect(early.state).toBe('up');
});

test('a message that cannot be sent at all fails at once', async () => {
  const client = bus(brokerUrl());
  await client.ready();
  const publish = (key: string, body: Buffer): Promise<void> =>
    client.publish({ type: 'warren.bus.v1.Answer', key, body });
  await expect(publish('k'.repeat(300), empty)).rejects.toMatchObject({ code: 'BUS_REFUSED' });
  await expect(publish('key', Buffer.alloc(16 * 1024 * 1024 + 1))).rejects.toMatchObject({ code: 'BUS_TOO_LARGE' });
  await publish('key', empty);
});

test('over a restart nothing that was confirmed is lost, and what was not is sent again under the same id', async () => {
  const broker = await ownBroker();

  // A publish that the broker answers by closing the channel (no such exchange, yet) fails alone: the others get through.
  const careless = bus(broker.url);
  await careless.ready();
  const answer = { type: 'warren.bus.v1.Answer', key: 'm.x', body: empty } as const;
  const fine = Array.from({ length: 20 }, () => careless.publish(answer));
  const refused = careless.publish({ type: 'warren.demo.v1.Post', key: '', body: empty });
  fine.push(...Array.from({ length: 20 }, () => careless.publish(answer)));
  await expect(refused).rejects.toMatchObject({ code: 'BUS_REFUSED', message: expect.stringContaining('demo.posts') });
  await Promise.all(fine);
  await careless.close();

  const queue = await durableQueue(broker.url);
  const client = bus(broker.url);
  await client.ready();
  let count = 0;
  let stopped = false;
  const confirmed: string[] = [];
  const publishers = Array.from({ length: 8 }, async () => {
    while (!stopped) {
      const messageId = `post-${count++}`;
      await client.publish({ type: 'warren.demo.v1.Post', key: '', body: Buffer.from('x'), messageId });
      confirmed.push(messageId);
    }
  });
  for (const how of ['kill', 'stop'] as const) {
    const before = confirmed.length;
    await until(
      () => confirmed.length,
      length => length > before + 200,
    );
    await broker[how]();
    await broker.start();
    const backAt = performance.now();
    await until(
      () => client.state,
      state => state === 'up',
    );
    expect(performance.now() - backAt).toBeLessThan(5_000);
  }
  const before = confirmed.length;
  await until(
    () => confirmed.length,
    length => length > before + 200,
  );
  stopped = true;
  await Promise.all(publishers);
  // A publish is not given up by its sender, so all that were begun are there, some twice.
  const kept = new Map<string, number>();
  await client.consume(
    queue,
    ({ messageId }) => {
      kept.set(messageId, (kept.get(messageId) ?? 0) + 1);
      return 'ack';
    },
    { prefetch: 500 },
  );
  await until(
    () => kept.size,
    size => size === count,
    30_000,
  );
  expect(confirmed.filter(id => !kept.has(id))).toEqual([]);
}, 120_000);

test('a stream is read on from where it stopped when the connection was cut', async () => {
  const relay = await startRelay(Number(new URL(brokerUrl()).port));
  onTestFinished(() => relay.close());
  const through = new URL(brokerUrl());
  through.hostname = '127.0.0.1';
  through.port = String(relay.port);
  const reader = bus(through.href, roles.demo());
  const writer = bus(brokerUrl(), roles.demo());
  const mark = uniqueName('post');
  const seen: string[] = [];
  await reader.consume(
    demoPosts.queue,
    ({ body }) => {
      if (body.toString().startsWith(mark)) seen.push(body.toString());
      return 'ack';
    },
    { prefetch: 10, offset: 'next' },
  );
  for (let i = 0; i < 60; i++) {
    await writer.publish({ type: 'warren.demo.v1.Post', key: '', body: Buffer.from(`${mark} ${i}`) });
    if (i === 20 || i === 40) relay.cut();
  }
  const expected = Array.from({ length: 60 }, (_, i) => `${mark} ${i}`);
  await until(
    () => seen,
    posts => posts.includes(`${mark} 59`),
  );
  expect(seen).toEqual(expected);
});

test('sessions lost and found leave no connection, channel or consumer behind', async () => {
  const relay = await startRelay(Number(new URL(brokerUrl()).port));
  onTestFinished(() => relay.close());
  const through = new URL(brokerUrl());
  through.hostname = '127.0.0.1';
  through.port = String(relay.port);
  const service = uniqueName('web');
  const role = roles.proxy([service], 'classic');
  const client = bus(through.href, role);
  const queue = role.queues[0]?.queue;
  if (!queue) throw new Error('the role has a queue');
  await client.consume(queue, () => 'ack', { prefetch: 5 });
  await client.ready();
  const observer = bus(brokerUrl());
  await observer.ready();
  for (let i = 0; i < 10; i++) {
    const lost = new Promise<void>(resolve => {
      const off = client.onState(state => {
        if (state !== 'connecting') return;
        off();
        resolve();
      });
    });
    relay.cut();
    await lost;
    await client.ready();
    expect(relay.connections()).toBe(2);
  }
  await until(
    () => observer.depth(`proxy.jobs.${service}`),
    ({ consumers }) => consumers === 1,
  );
});
