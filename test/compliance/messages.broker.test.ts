import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { openPeer, removeAfterTest } from './clients.ts';
import { headersInOrder, largestBody } from './differences.ts';
import { get } from './dying-queue.ts';
import { asKnown } from './which-broker.ts';
import type { Peer } from './wire/peer.ts';
import { encodeProperties, type Properties } from './wire/properties.ts';
import { type Table, type TableValue, typed } from './wire/table.ts';

const user = decodeURIComponent(new URL(brokerUrl()).username);

async function ownQueue(peer: Peer): Promise<string> {
  return String((await peer.call(1, 'queue.declare', { exclusive: true })).queue);
}

const all: Required<Properties> = {
  contentType: 'application/json',
  contentEncoding: 'gzip',
  headers: { trace: 'abc' },
  deliveryMode: 1,
  priority: 9,
  correlationId: 'correlation',
  replyTo: 'somewhere',
  expiration: '60000',
  messageId: 'message ✉',
  timestamp: 1_700_000_000,
  type: 'some.Type',
  userId: user,
  appId: 'the app',
  clusterId: 'a cluster',
};

/** One header of each type that there is, by its tag. */
const everyType: Record<string, TableValue> = {
  t: typed('t', true),
  b: typed('b', -128),
  B: typed('B', 255),
  s: typed('s', -32_768),
  u: typed('u', 65_535),
  I: typed('I', -(2 ** 31)),
  i: typed('i', 2 ** 32 - 1),
  l: typed('l', -(2n ** 63n)),
  f: typed('f', 1.5),
  d: typed('d', Math.PI),
  D: typed('D', Buffer.from([2, 0, 0, 1, 0x2c])),
  S: typed('S', 'text ✓'),
  A: typed('A', ['a', 1, true, null, ['nested'], { deep: 1 }]),
  T: typed('T', 2 ** 40),
  F: typed('F', { inner: { deeper: 'value' }, list: [{ a: 1 }] }),
  V: typed('V', null),
  x: typed('x', Buffer.from([0, 255, 206, 10])),
};

/** RabbitMQ 4 sorts headers by name; sent sorted they can be compared byte for byte. */
function sorted(headers: Record<string, TableValue>): Table {
  const byName = ([a]: [string, unknown], [b]: [string, unknown]): number =>
    Buffer.compare(Buffer.from(a), Buffer.from(b));
  return Object.fromEntries(Object.entries(headers).toSorted(byName));
}

const hex = (bytes: Buffer | undefined): string => bytes?.toString('hex') ?? 'nothing';

describe('properties', () => {
  test('all fourteen arrive byte for byte, by delivery and by get', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    const bytes = encodeProperties(all);
    for (let i = 0; i < 2; i++) peer.publish(1, { routingKey: queue, properties: bytes });
    expect(hex((await get(peer, queue))?.propertyBytes)).toBe(hex(bytes));
    await peer.call(1, 'basic.consume', { queue });
    const delivered = await peer.message(1);
    expect(hex(delivered.propertyBytes)).toBe(hex(bytes));
    expect(delivered.properties).toEqual(all);
  });

  test.for(Object.keys(all) as (keyof Properties)[])('%s arrives alone', async name => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    peer.publish(1, { routingKey: queue, properties: { [name]: all[name] } });
    expect((await get(peer, queue))?.properties).toEqual({ [name]: all[name] });
  });

  test('none arrive as none, and an empty table of headers as one', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    for (const properties of [{}, { headers: {} }]) {
      peer.publish(1, { routingKey: queue, properties });
      expect(hex((await get(peer, queue))?.propertyBytes)).toBe(hex(encodeProperties(properties)));
    }
  });

  test.for(Object.keys(everyType))('a header of type %s arrives byte for byte', async tag => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    const bytes = encodeProperties({ headers: { value: everyType[tag] ?? null } });
    peer.publish(1, { routingKey: queue, properties: bytes });
    expect(hex((await get(peer, queue))?.propertyBytes)).toBe(hex(bytes));
  });

  test('hundreds of headers arrive, more than a small frame holds', async () => {
    const peer = await openPeer({ frameMax: 131_072 });
    const queue = await ownQueue(peer);
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`h${i}`, 'x'.repeat(i % 200)]));
    const bytes = encodeProperties({ headers: sorted(many) });
    peer.publish(1, { routingKey: queue, properties: bytes });
    expect(hex((await get(peer, queue))?.propertyBytes)).toBe(hex(bytes));
  });

  test('headers come in the order they were sent, or sorted by name', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    peer.publish(1, { routingKey: queue, properties: { headers: { b: 1, c: { z: 1, a: 2 }, a: 3 } } });
    const { headers } = (await get(peer, queue))?.properties ?? {};
    expect(Object.keys(headers ?? {})).toEqual(await asKnown(headersInOrder));
    expect(Object.keys((headers?.c ?? {}) as Table)).toEqual(['z', 'a']);
  });

  test('they are the same after a return to the queue', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    const bytes = encodeProperties({ ...all, headers: sorted(everyType) });
    peer.publish(1, { routingKey: queue, properties: bytes });
    await get(peer, queue);
    peer.send(1, 'basic.reject', { deliveryTag: 1, requeue: true });
    const again = await get(peer, queue);
    expect(again?.fields.redelivered).toBe(true);
    expect(hex(again?.propertyBytes)).toBe(hex(bytes));
  });

  test('a quorum queue gives them back as they were', async () => {
    const peer = await openPeer();
    const queue = uniqueName('quorum');
    await peer.call(1, 'queue.declare', { queue, durable: true, arguments: { 'x-queue-type': 'quorum' } });
    removeAfterTest({ queues: [queue] });
    const bytes = encodeProperties({ ...all, headers: sorted(everyType) });
    await peer.call(1, 'basic.consume', { queue, noAck: true });
    peer.publish(1, { routingKey: queue, properties: bytes });
    expect(hex((await peer.message(1)).propertyBytes)).toBe(hex(bytes));
  });

  test('any values of any of them arrive', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    const short = fc.string({ unit: 'grapheme', maxLength: 40 });
    // Infinities and NaN have no place in Erlang: RabbitMQ closes with 541.
    // A name that looks like a number would not keep its place in an object.
    const named = short.map(name => `k${name}`);
    const value: fc.Arbitrary<TableValue> = fc.letrec<{ value: TableValue }>(tie => ({
      value: fc.oneof(
        { maxDepth: 4 },
        short,
        fc.boolean(),
        fc.integer({ min: -(2 ** 50), max: 2 ** 50 }),
        fc.double({ noNaN: true, noDefaultInfinity: true, noInteger: true }),
        fc.constant(null),
        fc.uint8Array({ maxLength: 50 }).map(bytes => Buffer.from(bytes)),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(named, tie('value'), { maxKeys: 4 }).map(entries => ({ ...entries })),
      ),
    })).value;
    const anyProperties = fc.record(
      {
        contentType: short,
        headers: fc.dictionary(named, value, { maxKeys: 6 }).map(sorted),
        deliveryMode: fc.constantFrom(1, 2),
        priority: fc.integer({ min: 0, max: 255 }),
        correlationId: short,
        replyTo: short,
        messageId: short,
        timestamp: fc.maxSafeInteger().map(Math.abs),
        type: short,
        appId: short,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(anyProperties, fc.uint8Array({ maxLength: 300 }), async (properties, body) => {
        const bytes = encodeProperties(properties as Properties);
        peer.publish(1, { routingKey: queue, properties: bytes, body: Buffer.from(body) });
        const message = await get(peer, queue, true);
        expect(hex(message?.propertyBytes)).toBe(hex(bytes));
        expect(hex(message?.body)).toBe(hex(Buffer.from(body)));
      }),
      { numRuns: 150 },
    );
  });
});

describe('bodies', () => {
  const frame = 4096;
  const payload = frame - 8;
  test.for([0, 1, payload - 1, payload, payload + 1, 2 * payload, 2 * payload + 1, 100 * payload, 1_000_003])(
    'of %i bytes arrive whole, in as few frames as hold them',
    async size => {
      const peer = await openPeer({ frameMax: frame });
      const queue = await ownQueue(peer);
      await peer.call(1, 'basic.consume', { queue, noAck: true });
      const body = Buffer.from(Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255));
      peer.publish(1, { routingKey: queue, body });
      const message = await peer.message(1);
      expect(message.body.equals(body)).toBe(true);
      expect(message.bodyFrames.length).toBe(Math.ceil(size / payload));
    },
  );

  test('are cut to the frames of whoever receives them', async () => {
    const large = await openPeer({ frameMax: 131_072 });
    const small = await openPeer({ frameMax: frame });
    const queue = uniqueName('resized');
    await small.call(1, 'queue.declare', { queue, exclusive: true });
    await small.call(1, 'basic.consume', { queue, noAck: true });
    large.publish(1, { routingKey: queue, body: Buffer.alloc(100_000, 'x') });
    const { body, bodyFrames } = await small.message(1);
    expect(body.length).toBe(100_000);
    expect(Math.max(...bodyFrames)).toBe(payload);
  });

  test('up to the largest are taken, and one byte more is 406', async () => {
    const largest = await asKnown(largestBody);
    if (largest === undefined) return;
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'confirm.select');
    peer.publish(1, { routingKey: queue, body: Buffer.alloc(largest) });
    await peer.expect(1, 'basic.ack');
    expect((await get(peer, queue, true))?.body.length).toBe(largest);
    peer.publish(1, { routingKey: queue, body: Buffer.alloc(largest + 1) });
    expect(await peer.refusal(1)).toEqual({
      scope: 'channel',
      code: 406,
      text: `PRECONDITION_FAILED - message size ${largest + 1} is larger than configured max size ${largest}`,
      method: 'basic.publish',
    });
    await peer.openChannel(1);
  });
});
