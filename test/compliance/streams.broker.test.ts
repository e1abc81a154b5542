import { describe, expect, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { openChannel, openConfirmChannel, openPeer, publishConfirmed, removeAfterTest } from './clients.ts';
import {
  badStreamOffset,
  noPrefetchOnStream,
  rejectOnStream,
  streamHeaders,
  streamKeepsToPrefetch,
  streamMarksTransient,
} from './differences.ts';
import { consume } from './inbox.ts';
import { asKnown } from './which-broker.ts';
import { vhostOf } from './wire/handshake.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';
import type { Properties } from './wire/properties.ts';
import { type Table, type TableValue, typed } from './wire/table.ts';

const vhost = vhostOf(brokerUrl());
const user = decodeURIComponent(new URL(brokerUrl()).username);

const offsetOf = ({ properties }: Message): number => Number(properties.headers?.['x-stream-offset']);
const textOf = ({ body }: Message): string => body.toString();
const range = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i));

/** A stream, removed after the test, and a peer that declared it: channel 1 is free, channel 2 publishes with confirms. */
async function stream(args: Table = {}): Promise<{ queue: string; peer: Peer }> {
  const peer = await openPeer();
  const queue = uniqueName('stream');
  await peer.call(1, 'queue.declare', { queue, durable: true, arguments: { 'x-queue-type': 'stream', ...args } });
  removeAfterTest({ queues: [queue] });
  await peer.openChannel(2);
  await peer.call(2, 'confirm.select');
  return { queue, peer };
}

/** One after the other, so that each is an entry of its own also to a broker that writes in batches. */
async function append(peer: Peer, queue: string, bodies: Iterable<string>, properties: Properties = {}): Promise<void> {
  for (const body of bodies) {
    peer.publish(2, { routingKey: queue, body, properties });
    await peer.expect(2, 'basic.ack');
  }
}

/** A consumer on a channel of its own. */
async function read(
  peer: Peer,
  queue: string,
  offset: TableValue | undefined,
  { prefetch = 100, channel = 1 } = {},
): Promise<() => Promise<Message>> {
  if (channel !== 1) await peer.openChannel(channel);
  await peer.call(channel, 'basic.qos', { prefetchCount: prefetch });
  const args = offset === undefined ? {} : { 'x-stream-offset': offset };
  await peer.call(channel, 'basic.consume', { queue, arguments: args });
  return () => peer.message(channel);
}

async function bodies(next: () => Promise<Message>, count: number): Promise<string[]> {
  const seen: string[] = [];
  for (let i = 0; i < count; i++) seen.push(textOf(await next()));
  return seen;
}

/** The body of the first entry that is still there. */
async function firstLeft(queue: string): Promise<number> {
  const peer = await openPeer();
  const next = await read(peer, queue, 'first', { prefetch: 1 });
  const first = Number(textOf(await next()).split(' ')[0]);
  peer.cut();
  return first;
}

describe('where reading begins', () => {
  test.for<[string, TableValue | undefined, string[]]>([
    ["at 'first': all there is, and what comes", 'first', [...range(0, 5), 'new']],
    ["at 'last': the last there is, and what comes", 'last', ['4', 'new']],
    ["at 'next': only what comes", 'next', ['new']],
    ['nowhere said: only what comes', undefined, ['new']],
    ['at a number: that entry and on', 3, ['3', '4', 'new']],
    ['at number 0: all there is', 0, [...range(0, 5), 'new']],
    ['at a number of another integer type', typed('l', 2), ['2', '3', '4', 'new']],
  ])('%s', async ([, offset, expected]) => {
    const { queue, peer } = await stream();
    await append(peer, queue, range(0, 5));
    const next = await read(peer, queue, offset);
    await append(peer, queue, ['new']);
    expect(await bodies(next, expected.length)).toEqual(expected);
  });

  test('at a number that is not there yet: waits for it', async () => {
    const { queue, peer } = await stream();
    await append(peer, queue, range(0, 3));
    const next = await read(peer, queue, 5);
    await append(peer, queue, range(3, 8));
    expect(await bodies(next, 3)).toEqual(['5', '6', '7']);
  });

  test('at a timestamp: the first entry of that second or later', async () => {
    const { queue, peer } = await stream();
    const seconds = (): number => Math.floor(Date.now() / 1000);
    await append(peer, queue, ['old']);
    const written = seconds();
    const later = await until(seconds, now => now > written);
    await append(peer, queue, ['new', 'newer']);
    const next = await read(peer, queue, typed('T', later));
    expect(await bodies(next, 2)).toEqual(['new', 'newer']);
    const all = await read(peer, queue, typed('T', written - 60), { channel: 3 });
    expect(await bodies(all, 3)).toEqual(['old', 'new', 'newer']);
    const future = await read(peer, queue, typed('T', later + 3600), { channel: 4 });
    await append(peer, queue, ['newest']);
    expect(await bodies(future, 1)).toEqual(['newest']);
  });

  test('anything else is refused', async () => {
    for (const offset of ['somewhere', true]) {
      const { queue, peer } = await stream();
      await peer.call(1, 'basic.qos', { prefetchCount: 1 });
      const args = { 'x-stream-offset': offset };
      const refusal = await peer.refused(1, 'basic.consume', { queue, arguments: args });
      expect(refusal).toMatchObject(await asKnown(badStreamOffset));
    }
  });

  test('an offset is nothing for other queues: 406', async () => {
    const peer = await openPeer();
    const queue = uniqueName('classic');
    await peer.call(1, 'queue.declare', { queue, exclusive: true });
    const refusal = await peer.refused(1, 'basic.consume', { queue, arguments: { 'x-stream-offset': 'first' } });
    expect(refusal).toEqual({
      scope: 'channel',
      code: 406,
      text: `PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '${queue}' in vhost '${vhost}' of queue type rabbit_classic_queue`,
      method: 'basic.consume',
    });
  });
});

describe('reading', () => {
  test('takes nothing away: any number of consumers read everything, each at its own place', async () => {
    const { queue, peer } = await stream();
    await append(peer, queue, range(0, 20));
    const readers = [
      await read(peer, queue, 'first', { channel: 3 }),
      await read(peer, queue, 'first', { channel: 4 }),
      await read(peer, queue, 10, { channel: 5 }),
    ];
    await append(peer, queue, range(20, 30));
    expect(await bodies(readers[0] ?? fail, 30)).toEqual(range(0, 30));
    expect(await bodies(readers[1] ?? fail, 30)).toEqual(range(0, 30));
    expect(await bodies(readers[2] ?? fail, 20)).toEqual(range(10, 30));
  });

  test('each entry says its offset, which only grows and leads back to it', async () => {
    const { queue, peer } = await stream();
    await append(peer, queue, range(0, 10));
    const next = await read(peer, queue, 'first');
    let before = -1;
    const offsets: number[] = [];
    for (let i = 0; i < 10; i++) {
      const offset = offsetOf(await next());
      expect(offset).toBeGreaterThan(before);
      before = offset;
      offsets.push(offset);
    }
    expect(offsets[0]).toBe(0);
    const again = await read(peer, queue, offsets[6], { channel: 3 });
    expect(await bodies(again, 4)).toEqual(range(6, 10));
  });

  test('amqplib reads the offset as a number', async () => {
    const channel = await openConfirmChannel();
    const queue = uniqueName('stream');
    await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'stream' } });
    removeAfterTest({ queues: [queue] });
    for (let i = 0; i < 3; i++) await publishConfirmed(channel, '', queue, String(i));
    const reader = await openChannel();
    await reader.prefetch(10);
    const inbox = await consume(reader, queue, { arguments: { 'x-stream-offset': 1 } });
    const message = await inbox.next();
    expect([message.content.toString(), message.properties.headers?.['x-stream-offset']]).toEqual(['1', 1]);
  });

  test('acks give credit: no more than the prefetch is on its way', async () => {
    const { queue, peer } = await stream();
    await append(peer, queue, range(0, 10));
    const next = await read(peer, queue, 'first', { prefetch: 3 });
    expect(await bodies(next, 3)).toEqual(['0', '1', '2']);
    await peer.call(1, 'queue.declare', { queue, passive: true });
    peer.send(1, 'basic.ack', { deliveryTag: 1 });
    peer.send(1, 'basic.ack', { deliveryTag: 2 });
    peer.send(1, 'basic.ack', { deliveryTag: 3 });
    expect(await bodies(next, 3)).toEqual(['3', '4', '5']);
    await peer.call(1, 'queue.declare', { queue, passive: true });
    peer.send(1, 'basic.ack', { deliveryTag: 6, multiple: true });
    expect(await bodies(next, 3)).toEqual(['6', '7', '8']);
  });

  test('keeps to the prefetch also in what was written at once', async () => {
    const { queue, peer } = await stream();
    for (const body of range(0, 500)) peer.publish(2, { routingKey: queue, body });
    for (let tag = 0; tag < 500; ) tag = Number((await peer.expect(2, 'basic.ack')).deliveryTag);
    if (!(await asKnown(streamKeepsToPrefetch))) return;
    const next = await read(peer, queue, 'first', { prefetch: 2 });
    for (let i = 0; i < 20; i += 2) {
      expect(await bodies(next, 2)).toEqual([String(i), String(i + 1)]);
      // Would fail if a delivery came before the answer.
      await peer.call(1, 'queue.declare', { queue, passive: true });
      peer.send(1, 'basic.ack', { deliveryTag: i + 2, multiple: true });
    }
  });

  test('again after a cancel, a close or a cut begins where one says, nothing is a redelivery', async () => {
    const { queue, peer } = await stream();
    await append(peer, queue, range(0, 3));
    for (const end of ['cancel', 'close', 'cut'] as const) {
      const reader = await openPeer();
      await reader.call(1, 'basic.qos', { prefetchCount: 10 });
      const args = { 'x-stream-offset': 'first' };
      await reader.call(1, 'basic.consume', { queue, consumerTag: 'c', arguments: args });
      for (const body of range(0, 3)) {
        const message = await reader.message(1);
        expect([textOf(message), message.fields.redelivered]).toEqual([body, false]);
      }
      if (end === 'cancel') await reader.call(1, 'basic.cancel', { consumerTag: 'c' });
      else if (end === 'close') await reader.call(1, 'channel.close', { code: 200 });
      else reader.cut();
    }
  });

  test('ends with a cancel when the stream is deleted', async () => {
    const { queue, peer } = await stream();
    await read(peer, queue, 'first');
    await peer.call(2, 'queue.delete', { queue });
    expect(await peer.expect(1, 'basic.cancel')).toMatchObject({ nowait: true });
  });

  test('many entries come whole and in order while they are being written', async () => {
    const { queue, peer } = await stream();
    const reader = await openPeer();
    await reader.call(1, 'basic.qos', { prefetchCount: 50 });
    await reader.call(1, 'basic.consume', { queue, arguments: { 'x-stream-offset': 'first' } });
    const all = range(0, 3_000).map(i => `${i} ${'x'.repeat((Number(i) * 7919) % 500)}`);
    for (const body of all) peer.publish(2, { routingKey: queue, body });
    for (const body of all) {
      const message = await reader.message(1);
      expect(textOf(message)).toBe(body);
      reader.send(1, 'basic.ack', { deliveryTag: Number(message.fields.deliveryTag) });
    }
  });
});

describe('what an entry keeps', () => {
  test('its properties and its simple headers', async () => {
    const { queue, peer } = await stream();
    const next = await read(peer, queue, 'next');
    const headers = { text: 'a', number: 1, large: 2 ** 40, flag: true, nothing: null, float: 1.5 };
    const properties = {
      contentType: 'application/json',
      contentEncoding: 'gzip',
      headers,
      deliveryMode: 2,
      priority: 3,
      correlationId: 'correlation',
      replyTo: 'somewhere',
      messageId: 'message',
      timestamp: 1_700_000_000,
      type: 'some.Type',
      userId: user,
      appId: 'the app',
    };
    await append(peer, queue, ['body'], properties);
    const message = await next();
    expect(message.properties).toEqual({ ...properties, headers: { ...headers, 'x-stream-offset': 0 } });
    expect(message.fields).toMatchObject({ exchange: '', routingKey: queue, redelivered: false });
  });

  test('of headers with tables and lists, what each broker is known to keep', async () => {
    const { queue, peer } = await stream();
    const next = await read(peer, queue, 'next');
    const headers = { list: ['a', 1], table: { inner: 'b' }, bytes: Buffer.from('c') };
    await append(peer, queue, ['body'], { headers });
    const kept = { ...(await next()).properties.headers };
    delete (kept as Record<string, unknown>)['x-stream-offset'];
    expect(kept).toEqual(await asKnown(streamHeaders));
  });

  test('no properties as none, but that it is transient', async () => {
    const { queue, peer } = await stream();
    const next = await read(peer, queue, 'next');
    await append(peer, queue, ['']);
    const transient = (await asKnown(streamMarksTransient)) ? { deliveryMode: 1 } : {};
    expect((await next()).properties).toEqual({ headers: { 'x-stream-offset': 0 }, ...transient });
  });

  test('exchange and key of its publish, and a body of any size', async () => {
    const { queue, peer } = await stream();
    await peer.call(1, 'queue.bind', { queue, exchange: 'amq.topic', routingKey: `${queue}.#` });
    const next = await read(peer, queue, 'next');
    peer.publish(2, { exchange: 'amq.topic', routingKey: `${queue}.a`, body: Buffer.alloc(300_000, 'x') });
    peer.publish(2, { exchange: 'amq.topic', routingKey: `${queue}.b` });
    const large = await next();
    expect(large.fields).toMatchObject({ exchange: 'amq.topic', routingKey: `${queue}.a` });
    expect(large.body.equals(Buffer.alloc(300_000, 'x'))).toBe(true);
    expect((await next()).body.length).toBe(0);
  });
});

describe('retention', () => {
  const segment = { 'x-stream-max-segment-size-bytes': 5_000 };

  test('by size drops whole segments from the front, and keeps the end', async () => {
    const { queue, peer } = await stream({ ...segment, 'x-max-length-bytes': 20_000 });
    await append(
      peer,
      queue,
      range(0, 200).map(i => `${i} ${'x'.repeat(500)}`),
    );
    // Bounded: what is left are the limit and a segment or two.
    await until(
      () => firstLeft(queue),
      left => left > 200 - 60,
    );
    const next = await read(peer, queue, 'first');
    const first = Number(textOf(await next()).split(' ')[0]);
    expect(first).toBeLessThan(200 - 20);
    for (const i of range(first + 1, 200)) expect(textOf(await next()).split(' ')[0]).toBe(i);
    // One who comes back too late begins with what is left.
    const late = await read(peer, queue, 3, { channel: 3 });
    expect(Number(textOf(await late()).split(' ')[0])).toBeGreaterThanOrEqual(first);
  });

  test('by age drops what is older, once something new is written', async () => {
    const { queue, peer } = await stream({ ...segment, 'x-max-age': '1s' });
    let count = 0;
    const first = await until(
      async () => {
        await append(
          peer,
          queue,
          range(count, count + 20).map(i => `${i} ${'x'.repeat(500)}`),
        );
        count += 20;
        return firstLeft(queue);
      },
      left => left > 0,
    );
    expect(first).toBeLessThan(count);
  });

  test('does not stop a reader that is in the middle', async () => {
    const { queue, peer } = await stream({ ...segment, 'x-max-length-bytes': 10_000 });
    const reader = await openPeer();
    const next = await read(reader, queue, 'first', { prefetch: 10 });
    const all = range(0, 100).map(i => `${i} ${'x'.repeat(500)}`);
    await append(peer, queue, all);
    let seen = -1;
    while (seen < 99) {
      const message = await next();
      const i = Number(textOf(message).split(' ')[0]);
      expect(i).toBeGreaterThan(seen);
      seen = i;
      reader.send(1, 'basic.ack', { deliveryTag: Number(message.fields.deliveryTag) });
    }
  });
});

describe('what a stream is not for', () => {
  test('basic.get: 540', async () => {
    const { queue, peer } = await stream();
    expect(await peer.refused(1, 'basic.get', { queue })).toEqual({
      scope: 'connection',
      code: 540,
      text: `NOT_IMPLEMENTED - basic.get not supported by stream queues queue '${queue}' in vhost '${vhost}'`,
      method: 'basic.get',
    });
  });

  test('purging: 540', async () => {
    const { queue, peer } = await stream();
    expect(await peer.refused(1, 'queue.purge', { queue })).toEqual({
      scope: 'connection',
      code: 540,
      text: `NOT_IMPLEMENTED - queue.purge not supported by stream queues queue '${queue}' in vhost '${vhost}'`,
      method: 'queue.purge',
    });
  });

  test('consuming without acknowledgements: 540', async () => {
    const { queue, peer } = await stream();
    await peer.call(1, 'basic.qos', { prefetchCount: 10 });
    const refusal = await peer.refused(1, 'basic.consume', { queue, noAck: true });
    expect(refusal).toMatchObject({ scope: 'connection', code: 540, method: 'basic.consume' });
    expect(refusal.text).toMatch(/^NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queues? /);
  });

  test('consuming without a prefetch: 406', async () => {
    const { queue, peer } = await stream();
    const refusal = await peer.refused(1, 'basic.consume', { queue });
    const known = (await asKnown(noPrefetchOnStream)).replace('Q', queue).replace('V', vhost);
    expect(refusal).toEqual({
      scope: 'channel',
      code: 406,
      text: `PRECONDITION_FAILED - ${known}`,
      method: 'basic.consume',
    });
  });

  test('a global prefetch: 540 beside one of its own, else as none', async () => {
    const { queue, peer } = await stream();
    await peer.call(1, 'basic.qos', { prefetchCount: 3, global: true });
    expect(await peer.refused(1, 'basic.consume', { queue })).toMatchObject({ scope: 'channel', code: 406 });
    await peer.openChannel(1);
    await peer.call(1, 'basic.qos', { prefetchCount: 3 });
    await peer.call(1, 'basic.qos', { prefetchCount: 3, global: true });
    expect(await peer.refused(1, 'basic.consume', { queue })).toMatchObject({ scope: 'connection', code: 540 });
  });

  test('reject and nack', async () => {
    const known = await asKnown(rejectOnStream);
    for (const method of ['basic.reject', 'basic.nack'] as const) {
      const { queue, peer } = await stream();
      await append(peer, queue, range(0, 2));
      const next = await read(peer, queue, 'first', { prefetch: 1 });
      await next();
      peer.send(1, method, { deliveryTag: 1, requeue: true });
      if (known === 540) expect(await peer.refusal(1)).toMatchObject({ scope: 'connection', code: 540 });
      else expect(textOf(await next())).toBe('1');
    }
  });
});

test('a mandatory message reaches a stream, and each publish has its confirm', async () => {
  const { queue, peer } = await stream();
  peer.publish(2, { routingKey: queue, mandatory: true });
  expect(await peer.expect(2, 'basic.ack')).toMatchObject({ deliveryTag: 1 });
});

test('what is confirmed can be read', async () => {
  const { queue, peer } = await stream();
  for (const body of range(0, 10)) {
    await append(peer, queue, [body]);
    const reader = await openPeer();
    const next = await read(reader, queue, 'last');
    expect(textOf(await next())).toBe(body);
    reader.cut();
  }
});

function fail(): never {
  throw new Error('no such reader');
}
