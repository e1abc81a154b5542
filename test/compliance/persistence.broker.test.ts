import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { ownBroker } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { get } from './dying-queue.ts';
import { whichBroker } from './which-broker.ts';
import { login } from './wire/handshake.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer, Refusal } from './wire/peer.ts';
import type { Properties } from './wire/properties.ts';
import type { Table } from './wire/table.ts';

const persistent = { deliveryMode: 2 };
const types = ['classic', 'quorum', 'stream'];

/** `a` or, redelivered, `aR`. */
const label = ({ body, fields }: Message): string => `${body}${fields.redelivered ? 'R' : ''}`;
const range = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

let broker: LocalBroker;
/** How the client's connection was ended by the orderly stop. */
let farewell: Refusal | 'dropped';

/** A connection with channel 1 open, with confirms. */
async function open(): Promise<Peer> {
  const peer = await login(broker.url);
  await peer.openChannel(1);
  await peer.call(1, 'confirm.select');
  return peer;
}

async function declare(peer: Peer, queue: string, args: Table = {}): Promise<void> {
  await peer.call(1, 'queue.declare', { queue, durable: true, arguments: args });
}

async function publish(peer: Peer, queue: string, bodies: Iterable<string>, properties: Properties): Promise<void> {
  for (const body of bodies) {
    peer.publish(1, { routingKey: queue, body, properties });
    await peer.expect(1, 'basic.ack');
  }
}

/** Reads a queue to its end, which a message published now tells. */
async function readAll(queue: string, args: Table = {}): Promise<Message[]> {
  using peer = await open();
  await peer.openChannel(2);
  await peer.call(2, 'basic.qos', { prefetchCount: 1_000 });
  await peer.call(2, 'basic.consume', { queue, arguments: args });
  await publish(peer, queue, ['the end'], persistent);
  const seen: Message[] = [];
  for (;;) {
    const message = await peer.message(2);
    peer.send(2, 'basic.ack', { deliveryTag: Number(message.fields.deliveryTag) });
    if (message.body.toString() === 'the end') break;
    seen.push(message);
  }
  await peer.call(2, 'channel.close', { code: 200 });
  return seen;
}

const first = { 'x-stream-offset': 'first' };

/** In the first moments after its start RabbitMQ has some of its queues not yet: 404, or 406 to a stream's reader. */
async function usable(queue: string, type: string): Promise<void> {
  await until(
    async () => {
      using peer = await open();
      await peer.call(1, 'basic.qos', { prefetchCount: 1 });
      // Reading takes nothing from a stream; of the others it is enough to ask.
      if (type === 'stream') peer.send(1, 'basic.consume', { queue, arguments: first });
      else peer.send(1, 'queue.declare', { queue, passive: true });
      const frame = await peer.next(1);
      return frame.kind === 'method' && frame.name.endsWith('-ok');
    },
    isThere => isThere,
  );
}

beforeAll(async () => {
  broker = await ownBroker();
  const peer = await open();
  await declare(peer, 'mixed');
  for (const i of range(20)) await publish(peer, 'mixed', [i], { deliveryMode: (Number(i) % 2) + 1 });
  for (const type of types) {
    await declare(peer, type, { 'x-queue-type': type });
    await publish(peer, type, range(200), { ...persistent, headers: { own: 'kept' }, messageId: 'm' });
  }
  // Long before the kill: RabbitMQ forgets a quorum queue of the last moment, and what it confirmed of it.
  await peer.call(1, 'exchange.declare', { exchange: 'killed', type: 'fanout', durable: true });
  for (const type of types) {
    await declare(peer, `killed-${type}`, { 'x-queue-type': type });
    await peer.call(1, 'queue.bind', { queue: `killed-${type}`, exchange: 'killed' });
  }
  await declare(peer, 'held');
  await publish(peer, 'held', ['a', 'b', 'c'], persistent);
  await get(peer, 'held');

  await peer.call(1, 'queue.declare', { queue: 'transient' });
  await peer.call(1, 'exchange.declare', { exchange: 'durable', type: 'topic', durable: true });
  await peer.call(1, 'exchange.declare', { exchange: 'transient', type: 'topic' });
  await declare(peer, 'bound');
  for (const exchange of ['durable', 'transient', 'amq.topic'])
    await peer.call(1, 'queue.bind', { queue: 'bound', exchange, routingKey: `${exchange}.#` });
  await peer.call(1, 'queue.bind', { queue: 'bound', exchange: 'durable', routingKey: 'unbound' });
  await peer.call(1, 'queue.unbind', { queue: 'bound', exchange: 'durable', routingKey: 'unbound' });
  await declare(peer, 'deleted');
  await peer.call(1, 'queue.delete', { queue: 'deleted' });

  await declare(peer, 'graves');
  await declare(peer, 'aging', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'graves' });
  await publish(peer, 'aging', ['aged'], { ...persistent, expiration: '1000' });
  await declare(peer, 'acked');
  await publish(peer, 'acked', ['gone', 'left'], persistent);
  const gone = await get(peer, 'acked');
  peer.send(1, 'basic.ack', { deliveryTag: Number(gone?.fields.deliveryTag) });
  await peer.call(1, 'queue.purge', { queue: 'graves' });

  const ended = peer.ending();
  await broker.stop();
  farewell = await ended;
  await broker.start();
  for (const type of types) await usable(type, type);
}, 120_000);

afterAll(() => broker?.close(), 30_000);

describe('over an orderly restart', () => {
  test('clients are told that the broker goes (320)', () => {
    expect(farewell).toEqual({
      scope: 'connection',
      code: 320,
      text: "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
      method: 'none',
    });
  });

  test('persistent messages of a durable queue are kept in order, transient ones are not', async () => {
    expect((await readAll('mixed')).map(({ body }) => Number(body))).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
  });

  test.for(types)('a %s queue keeps its messages in order, whole, as what they were', async type => {
    const messages = await readAll(type, type === 'stream' ? first : {});
    expect(messages.map(({ body }) => body.toString())).toEqual(range(200));
    for (const { properties } of messages)
      expect(properties).toMatchObject({ ...persistent, messageId: 'm', headers: { own: 'kept' } });
  });

  test('what was held by a consumer is back at its place and is a redelivery; the rest is none', async () => {
    expect((await readAll('held')).map(label)).toEqual(['aR', 'b', 'c']);
  });

  test('what was acked or deleted stays gone', async () => {
    expect((await readAll('acked')).map(({ body }) => body.toString())).toEqual(['left']);
    using peer = await open();
    expect(await peer.refused(1, 'queue.declare', { queue: 'deleted', passive: true })).toMatchObject({ code: 404 });
  });

  test('queues and exchanges that are not durable are gone', async () => {
    using peer = await open();
    expect(await peer.refused(1, 'queue.declare', { queue: 'transient', passive: true })).toMatchObject({ code: 404 });
    await peer.openChannel(1);
    const refusal = await peer.refused(1, 'exchange.declare', { exchange: 'transient', passive: true });
    expect(refusal).toMatchObject({ code: 404 });
  });

  test('bindings between durable ends are kept, and what was unbound stays so', async () => {
    using peer = await open();
    peer.publish(1, { exchange: 'durable', routingKey: 'unbound', mandatory: true });
    expect((await peer.message(1)).fields).toMatchObject({ code: 312 });
    await peer.expect(1, 'basic.ack');
    for (const exchange of ['durable', 'amq.topic']) {
      peer.publish(1, { exchange, routingKey: `${exchange}.x`, body: exchange });
      await peer.expect(1, 'basic.ack');
    }
    for (const exchange of ['durable', 'amq.topic'])
      expect((await get(peer, 'bound', true))?.body.toString()).toBe(exchange);
  });

  test('queues are what they were declared as', async () => {
    using peer = await open();
    const dead = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'graves' };
    await declare(peer, 'aging', dead);
    for (const type of types) await declare(peer, type, { 'x-queue-type': type });
    expect(await peer.refused(1, 'queue.declare', { queue: 'aging', durable: true })).toMatchObject({ code: 406 });
  });

  test('a message ages on and dies as it would have', async () => {
    using peer = await open();
    await peer.openChannel(2);
    await peer.call(2, 'basic.consume', { queue: 'graves', noAck: true });
    const { body, properties } = await peer.message(2);
    expect([body.toString(), properties.headers?.['x-first-death-reason']]).toEqual(['aged', 'expired']);
  });

  test('the offsets of a stream go on from where they were', async () => {
    using peer = await open();
    await publish(peer, 'stream', ['new'], persistent);
    await peer.openChannel(2);
    await peer.call(2, 'basic.qos', { prefetchCount: 1_000 });
    await peer.call(2, 'basic.consume', { queue: 'stream', arguments: first });
    let before = -1;
    for (let body = ''; body !== 'new'; ) {
      const message = await peer.message(2);
      const offset = Number(message.properties.headers?.['x-stream-offset']);
      expect(offset).toBeGreaterThan(before);
      before = offset;
      body = message.body.toString();
    }
    await peer.openChannel(3);
    await peer.call(3, 'basic.qos', { prefetchCount: 1 });
    await peer.call(3, 'basic.consume', { queue: 'stream', arguments: { 'x-stream-offset': 100 } });
    expect((await peer.message(3)).body.toString()).toBe('100');
  });
});

test('over kill -9 nothing that was confirmed is lost, and it is in order', async ({ skip }) => {
  // Seen of both RabbitMQs: a young stream that has "no running replica" after the kill, or a queue that is gone. What they lose is theirs.
  skip((await whichBroker(broker.url)) !== 'embedded', 'RabbitMQ itself does not always keep it');
  const peer = await open();
  for (const body of range(500)) peer.publish(1, { exchange: 'killed', body, properties: persistent });
  for (let open = new Set(range(500).map(i => Number(i) + 1)); open.size > 0; ) {
    const { deliveryTag, multiple } = await peer.expect(1, 'basic.ack');
    open = new Set([...open].filter(tag => (multiple ? tag > Number(deliveryTag) : tag !== deliveryTag)));
  }
  await broker.kill();
  await peer.closed();
  await broker.start();
  for (const type of types) {
    await usable(`killed-${type}`, type);
    const messages = await readAll(`killed-${type}`, type === 'stream' ? first : {});
    expect(messages.map(({ body }) => body.toString())).toEqual(range(500));
  }
}, 120_000);
