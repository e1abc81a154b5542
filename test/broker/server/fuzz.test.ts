import { expect, test } from 'vitest';
import type { FieldTable } from '../../../services/broker/amqp/field-value.ts';
import type { ClientMethod } from '../../../services/broker/amqp/method-spec.ts';
import { MessageQueue } from '../../../services/broker/core/queue.ts';
import { seededRandom } from '../../support/seeded.ts';
import { openClient, type TestClient, TestServer } from './fixtures.ts';
import { publishFrames } from './publish-frames.ts';

const names = ['a', 'b', 'c', 'd'];

const kinds: readonly FieldTable[] = [
  {},
  {},
  { 'x-queue-type': 'quorum', 'x-delivery-limit': 2 },
  { 'x-queue-type': 'stream', 'x-max-length-bytes': 200 },
  { 'x-single-active-consumer': true },
  { 'x-max-length': 3 },
  { 'x-max-length-bytes': 20, 'x-overflow': 'reject-publish' },
  { 'x-max-length': 2, 'x-overflow': 'reject-publish-dlx' },
  { 'x-message-ttl': 20 },
  { 'x-expires': 50 },
];

/** The channel closes and opens again. */
function forget(client: TestClient, channel: number, how: 'channel.close' | 'channel.close-ok'): void {
  if (how === 'channel.close-ok') client.send({ name: how }, channel);
  else client.send({ name: how, replyCode: 200, replyText: '', classId: 0, methodId: 0 }, channel);
  drop(client, each => each.channel === channel);
  client.send({ name: 'channel.open' }, channel);
}

function drop({ wire: { tags } }: TestClient, is: (each: (typeof tags)[number]) => boolean): void {
  const left = tags.filter(each => !is(each));
  tags.splice(0, tags.length, ...left);
}

/** What clients may say, and time, in any order. */
async function run(seed: number, steps: number): Promise<void> {
  const random = seededRandom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const server = new TestServer();
  const clients: TestClient[] = [];
  const says = (client: TestClient, channel: number): ClientMethod[] => {
    const queue = pick(names);
    const nowait = false;
    // Mostly one that it has.
    const held = client.wire.tags.filter(each => each.channel === channel);
    const { tag: deliveryTag = 0 } = (random() < 0.98 && pick(held)) || {};
    const multiple = random() < 0.3;
    const flags = { passive: false, durable: true, exclusive: random() < 0.1, autoDelete: random() < 0.1, nowait };
    const dead: FieldTable =
      random() < 0.6
        ? { 'x-dead-letter-exchange': pick(['', 'amq.fanout']), 'x-dead-letter-routing-key': pick(names) }
        : {};
    const kind = pick(kinds);
    const args = kind['x-queue-type'] === 'stream' ? kind : { ...kind, ...dead };
    const consumerTag = pick(['c1', 'c2', 'c3']);
    const isStream = server.broker.findQueue(queue)?.settings.type === 'stream';
    const settled = (method: ClientMethod): ClientMethod[] => {
      if (deliveryTag === 0 && random() < 0.95) return [];
      const isSettled = (tag: number): boolean =>
        tag === deliveryTag || ('multiple' in method && method.multiple && tag < deliveryTag);
      drop(client, each => each.channel === channel && isSettled(each.tag));
      return [method];
    };
    return pick<() => ClientMethod[]>([
      () => (server.broker.findQueue(queue) ? [] : [{ name: 'queue.declare', queue, ...flags, arguments: args }]),
      () => [{ name: 'queue.bind', queue, exchange: 'amq.fanout', routingKey: '', nowait, arguments: {} }],
      () => (random() < 0.2 ? [{ name: 'queue.delete', queue, ifUnused: false, ifEmpty: false, nowait }] : []),
      () => (random() < 0.2 ? [{ name: 'queue.purge', queue, nowait }] : []),
      () => [
        { name: 'basic.qos', prefetchSize: 0, prefetchCount: 1 + Math.floor(random() * 3), global: false },
        {
          name: 'basic.consume',
          queue,
          consumerTag: `${consumerTag}${random()}`,
          noLocal: false,
          noAck: false,
          exclusive: random() < 0.05,
          nowait,
          arguments: isStream ? { 'x-stream-offset': pick(['first', 'last', 'next']) } : {},
        },
      ],
      () => (isStream ? [] : [{ name: 'basic.get', queue, noAck: false }]),
      () => settled({ name: 'basic.ack', deliveryTag, multiple }),
      () => settled({ name: 'basic.nack', deliveryTag, multiple, requeue: random() < 0.7 }),
      () => settled({ name: 'basic.reject', deliveryTag, requeue: random() < 0.5 }),
      () => [{ name: 'confirm.select', nowait }],
    ])();
  };
  for (let step = 0; step < steps; step++) {
    for (const [i, { connection }] of clients.entries())
      if (connection.isClosed || !connection.isRunning) clients.splice(i, 1);
    if (clients.length < 3) {
      const client = await openClient(server);
      client.send({ name: 'channel.open' }, 2);
      clients.push(client);
    }
    const client = pick(clients);
    const channel = pick([1, 2]);
    const chance = random();
    if (chance < 0.02) client.connection.lost();
    else if (chance < 0.08) {
      forget(client, channel, 'channel.close');
    } else if (chance < 0.16) server.clock.pass(Math.floor(random() * 30));
    else if (chance < 0.5) {
      const expiration = random() < 0.2 ? { expiration: String(Math.floor(random() * 30)) } : {};
      const mode = random() < 0.5 ? { deliveryMode: 2 } : {};
      client.bytes(
        publishFrames(channel, pick(names), 'x'.repeat(Math.floor(random() * 10)), { ...expiration, ...mode }),
      );
    } else for (const method of says(client, channel)) client.send(method, channel);
    for (const each of clients) {
      for (const number of each.wire.closed.splice(0)) forget(each, number, 'channel.close-ok');
    }
    client.wire.methods.length = 0;
    await Promise.resolve();
  }
  const where = `seed ${seed}`;
  for (const { connection } of clients) connection.lost();
  for (const queue of server.broker.queues()) {
    if (!(queue instanceof MessageQueue)) continue;
    expect([queue.consumerCount, queue.unackedCount], where).toEqual([0, 0]);
  }
  for (const { name } of [...server.broker.queues()])
    server.broker.deleteQueue(name, {}, { ifUnused: false, ifEmpty: false });
  expect(server.broker.heldBytes, where).toBe(0);
  expect(server.warnings, where).toEqual([]);
}

test('whatever clients say and whenever: no bug shows, and nothing is left of it', async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6));
  for (let i = 0; i < Number(process.env.RUNS ?? 30); i++) {
    await run(seed + i, 400).catch(error => {
      throw new Error(`seed ${seed + i}`, { cause: error });
    });
  }
});
