import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openChannel, openClient, openPeer, removeAfterTest } from './clients.ts';
import { ownQueue, publishAll, taken, textOf } from './consuming.ts';
import type { Peer } from './wire/peer.ts';

describe.for(['classic', 'quorum'])('several consumers of a %s queue', type => {
  async function declare(peer: Peer): Promise<string> {
    const queue = uniqueName('shared');
    await peer.call(1, 'queue.declare', { queue, durable: true, arguments: { 'x-queue-type': type } });
    removeAfterTest({ queues: [queue] });
    return queue;
  }

  test('are served in turn', async () => {
    const peer = await openPeer();
    const queue = await declare(peer);
    for (const consumerTag of ['a', 'b', 'c']) await peer.call(1, 'basic.consume', { queue, consumerTag });
    publishAll(peer, queue, '123456789');
    const seen = await taken(peer, 9);
    expect(seen).toEqual(['a:1', 'b:2', 'c:3', 'a:4', 'b:5', 'c:6', 'a:7', 'b:8', 'c:9']);
  });

  test('one that is full is passed over, and served again once it has acked', async () => {
    const publisher = await openPeer();
    const queue = await declare(publisher);
    const busy = await openPeer();
    const free = await openPeer();
    await busy.call(1, 'basic.qos', { prefetchCount: 1 });
    await busy.call(1, 'basic.consume', { queue });
    publishAll(publisher, queue, ['to the busy one']);
    await busy.message(1);
    await free.call(1, 'basic.qos', { prefetchCount: 5 });
    await free.call(1, 'basic.consume', { queue });
    publishAll(publisher, queue, '12345');
    for (const body of '12345') expect(textOf(await free.message(1))).toBe(body);
    publishAll(publisher, queue, ['to whoever is ready']);
    busy.send(1, 'basic.ack', { deliveryTag: 1 });
    expect(textOf(await busy.message(1))).toBe('to whoever is ready');
  });

  test('share everything and get nothing twice', async () => {
    const publisher = await openPeer();
    const queue = await declare(publisher);
    const client = await openClient();
    const seen: number[] = [];
    const all = Promise.withResolvers<void>();
    for (let i = 0; i < 4; i++) {
      const channel = await openChannel(client);
      await channel.prefetch(5);
      await channel.consume(queue, message => {
        if (!message) return;
        seen.push(Number(message.content.toString()));
        channel.ack(message);
        if (seen.length === 500) all.resolve();
      });
    }
    publishAll(
      publisher,
      queue,
      Array.from({ length: 500 }, (_, i) => String(i)),
    );
    await all.promise;
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });
});

describe('an exclusive consumer', () => {
  const inUse = (queue: string): RegExp =>
    new RegExp(`^ACCESS_REFUSED - queue '${queue}' in vhost '.*' in exclusive use$`);

  test.for<[string, boolean, boolean]>([
    ['lets nobody in beside it', true, false],
    ['is not let in beside others', false, true],
    ['is not let in beside another', true, true],
  ])('%s: 403', async ([, first, second]) => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.openChannel(2);
    await peer.call(2, 'basic.consume', { queue, exclusive: first });
    const refusal = await peer.refused(1, 'basic.consume', { queue, exclusive: second });
    expect(refusal).toMatchObject({ scope: 'channel', code: 403, method: 'basic.consume' });
    expect(refusal.text).toMatch(inUse(queue));
  });

  test('leaves the queue to others when it goes', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    for (const consumerTag of ['a', 'b']) {
      await peer.call(1, 'basic.consume', { queue, exclusive: true, consumerTag });
      await peer.call(1, 'basic.cancel', { consumerTag });
    }
    await peer.call(1, 'basic.consume', { queue });
  });

  test('does not keep anybody from basic.get', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.qos', { prefetchCount: 1 });
    await peer.call(1, 'basic.consume', { queue, exclusive: true });
    await peer.openChannel(2);
    await peer.call(2, 'confirm.select');
    for (const body of ['to the consumer', 'to be got']) {
      peer.publish(2, { routingKey: queue, body });
      await peer.expect(2, 'basic.ack');
    }
    expect(textOf(await peer.message(1))).toBe('to the consumer');
    peer.send(2, 'basic.get', { queue });
    expect(textOf(await peer.message(2))).toBe('to be got');
  });

  test('is like any other on a quorum queue', async () => {
    const peer = await openPeer();
    const queue = uniqueName('quorum');
    await peer.call(1, 'queue.declare', { queue, durable: true, arguments: { 'x-queue-type': 'quorum' } });
    removeAfterTest({ queues: [queue] });
    for (const exclusive of [true, false, true]) await peer.call(1, 'basic.consume', { queue, exclusive });
  });
});

describe('order', () => {
  test('what one channel publishes to one queue arrives in that order', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.consume', { queue, noAck: true });
    const bodies = Array.from({ length: 5_000 }, (_, i) => String(i));
    await peer.openChannel(2);
    publishAll(peer, queue, bodies, 2);
    const seen: string[] = [];
    for (const _ of bodies) seen.push(textOf(await peer.message(1)));
    expect(seen).toEqual(bodies);
  });

  test('whatever the ways through exchanges and the kinds of messages', async () => {
    const peer = await openPeer();
    const queue = uniqueName('ordered');
    await peer.call(1, 'queue.declare', { queue, durable: true });
    removeAfterTest({ queues: [queue] });
    for (const exchange of ['amq.direct', 'amq.topic'])
      await peer.call(1, 'queue.bind', { queue, exchange, routingKey: queue });
    await peer.call(1, 'basic.consume', { queue, noAck: true });
    await peer.openChannel(2);
    const ways = ['', 'amq.direct', 'amq.topic'];
    const bodies = Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat((i * 7919) % 3_000)}`);
    for (const [i, body] of bodies.entries())
      peer.publish(2, {
        exchange: ways[i % 3] ?? '',
        routingKey: queue,
        properties: { deliveryMode: (i % 2) + 1 },
        body,
      });
    for (const body of bodies) expect(textOf(await peer.message(1))).toBe(body);
  });

  test('of each publisher is kept when several publish at once', async () => {
    const reader = await openPeer();
    const queue = await ownQueue(reader);
    await reader.call(1, 'basic.consume', { queue, noAck: true });
    const writers = await Promise.all(Array.from({ length: 4 }, () => openPeer()));
    for (let i = 0; i < 200; i++) for (const [w, writer] of writers.entries()) publishAll(writer, queue, [`${w}:${i}`]);
    const next = [0, 0, 0, 0];
    for (let i = 0; i < 800; i++) {
      const [w = 0, n] = textOf(await reader.message(1))
        .split(':')
        .map(Number);
      expect(n).toBe(next[w]);
      next[w] = (next[w] ?? 0) + 1;
    }
  });
});
