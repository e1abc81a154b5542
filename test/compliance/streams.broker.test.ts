import { describe, expect, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { openChannel, openConfirmChannel, openPeer, publishConfirmed, removeAfterTest } from './clients.ts';
import { streamHeaders, streamKeepsToPrefetch, streamMarksTransient } from './differences.ts';
import { consume } from './inbox.ts';
import { append, bodies, offsetOf, range, read, stream, textOf } from './stream.ts';
import { asKnown } from './which-broker.ts';

const user = decodeURIComponent(new URL(brokerUrl()).username);

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
