import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openChannel, openClient, openPeer, removeAfterTest } from './clients.ts';
import { get } from './dying-queue.ts';
import { consume } from './inbox.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';

const textOf = ({ body }: Message): string => body.toString();
const tagOf = ({ fields }: Message): string => String(fields.consumerTag);

/** An exclusive queue, declared on channel 1. */
async function ownQueue(peer: Peer, queue = uniqueName('own')): Promise<string> {
  await peer.call(1, 'queue.declare', { queue, exclusive: true });
  return queue;
}

function publishAll(peer: Peer, queue: string, bodies: Iterable<string>, channel = 1): void {
  for (const body of bodies) peer.publish(channel, { routingKey: queue, body });
}

/** The next messages of channel 1, as `consumer:body`. */
async function taken(peer: Peer, count: number): Promise<string[]> {
  const seen: string[] = [];
  for (let i = 0; i < count; i++) {
    const message = await peer.message(1);
    seen.push(`${tagOf(message)}:${textOf(message)}`);
  }
  return seen;
}

/** That nothing more came on channel 1: an answer comes after what was sent before. */
async function nothingMore(peer: Peer): Promise<void> {
  await peer.call(1, 'queue.declare', { queue: uniqueName('answer'), exclusive: true });
}

describe('subscribing', () => {
  test('consume-ok comes before the first delivery, and names the consumer', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    publishAll(peer, queue, 'ab');
    const { consumerTag } = await peer.call(1, 'basic.consume', { queue, noAck: true });
    expect(consumerTag).toMatch(/^amq\.ctag-[\w-]{22}$/);
    expect(await taken(peer, 2)).toEqual([`${consumerTag}:a`, `${consumerTag}:b`]);
  });

  test('a consumer may have a name of its own', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    expect(await peer.call(1, 'basic.consume', { queue, consumerTag: 'mine' })).toEqual({ consumerTag: 'mine' });
  });

  test('delivery tags count up from 1 per channel, over all its consumers', async () => {
    const peer = await openPeer();
    const queues = [await ownQueue(peer), await ownQueue(peer)];
    for (const queue of queues) await peer.call(1, 'basic.consume', { queue });
    for (let i = 0; i < 6; i++) publishAll(peer, queues[i % 2] ?? '', [String(i)]);
    for (let tag = 1; tag <= 6; tag++) expect((await peer.message(1)).fields.deliveryTag).toBe(tag);
  });

  test('after cancel-ok nothing more is delivered, and what is held stays held', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.consume', { queue, consumerTag: 'c' });
    publishAll(peer, queue, ['held']);
    await peer.message(1);
    expect(await peer.call(1, 'basic.cancel', { consumerTag: 'c' })).toEqual({ consumerTag: 'c' });
    publishAll(peer, queue, ['waiting']);
    await nothingMore(peer);
    const waiting = await get(peer, queue);
    expect(waiting && textOf(waiting)).toBe('waiting');
    peer.send(1, 'basic.ack', { deliveryTag: 1 });
    await nothingMore(peer);
  });

  test('cancelling a consumer that is not there is no error', async () => {
    const peer = await openPeer();
    expect(await peer.call(1, 'basic.cancel', { consumerTag: 'nobody' })).toEqual({ consumerTag: 'nobody' });
  });

  test('no-local is taken no notice of', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.consume', { queue, noLocal: true, consumerTag: 'c' });
    publishAll(peer, queue, ['own']);
    expect(await taken(peer, 1)).toEqual(['c:own']);
  });
});

describe('the queue is deleted under a consumer', () => {
  test('the broker cancels it, and expects no answer', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.openChannel(2);
    await peer.call(2, 'basic.consume', { queue, consumerTag: 'c' });
    await peer.call(1, 'queue.delete', { queue });
    expect(await peer.expect(2, 'basic.cancel')).toEqual({ consumerTag: 'c', nowait: true });
  });

  test('amqplib hands null to the consumer', async () => {
    const channel = await openChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const inbox = await consume(channel, queue);
    await channel.deleteQueue(queue);
    await inbox.cancelled;
  });

  test('a client without consumer_cancel_notify is told nothing', async () => {
    const peer = await openPeer({}, { capabilities: {} });
    const queue = await ownQueue(peer);
    await peer.openChannel(2);
    await peer.call(2, 'basic.consume', { queue });
    await peer.call(1, 'queue.delete', { queue });
    await peer.call(2, 'queue.declare', { exclusive: true });
  });

  test('acking what came from it is no error', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    publishAll(peer, queue, 'a');
    await get(peer, queue);
    await peer.call(1, 'queue.delete', { queue });
    peer.send(1, 'basic.ack', { deliveryTag: 1 });
    await nothingMore(peer);
  });
});

describe('basic.get', () => {
  test('says how many more there are, and when there is none', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    publishAll(peer, queue, 'ab');
    const first = await get(peer, queue);
    expect(first?.fields).toEqual({
      deliveryTag: 1,
      redelivered: false,
      exchange: '',
      routingKey: queue,
      messageCount: 1,
    });
    expect((await get(peer, queue))?.fields).toMatchObject({ deliveryTag: 2, messageCount: 0 });
    expect(await get(peer, queue)).toBeUndefined();
  });

  test('holds the message until it is acked, or not at all with no-ack', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    publishAll(peer, queue, 'ab');
    await get(peer, queue, true);
    await get(peer, queue);
    await peer.call(1, 'channel.close', { code: 200 });
    await peer.openChannel(1);
    const back = await get(peer, queue);
    expect([back && textOf(back), back?.fields.redelivered]).toEqual(['b', true]);
    expect(await get(peer, queue)).toBeUndefined();
  });

  test('takes no notice of the prefetch', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.qos', { prefetchCount: 1 });
    publishAll(peer, queue, 'abc');
    for (const body of 'abc') expect((await get(peer, queue))?.body.toString()).toBe(body);
  });
});

describe('prefetch', () => {
  test('bounds what a consumer holds; each ack lets one more through', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.qos', { prefetchCount: 2 });
    await peer.call(1, 'basic.consume', { queue, consumerTag: 'c' });
    publishAll(peer, queue, 'abcdef');
    expect(await taken(peer, 2)).toEqual(['c:a', 'c:b']);
    await nothingMore(peer);
    peer.send(1, 'basic.ack', { deliveryTag: 2 });
    expect(await taken(peer, 1)).toEqual(['c:c']);
    await nothingMore(peer);
    peer.send(1, 'basic.ack', { deliveryTag: 3, multiple: true });
    expect(await taken(peer, 2)).toEqual(['c:d', 'c:e']);
    peer.send(1, 'basic.reject', { deliveryTag: 4 });
    expect(await taken(peer, 1)).toEqual(['c:f']);
  });

  test('is of each consumer by itself, as it was when the consumer came', async () => {
    const peer = await openPeer();
    const queues = [await ownQueue(peer), await ownQueue(peer)];
    for (const [i, queue] of queues.entries()) {
      await peer.call(1, 'basic.qos', { prefetchCount: i + 1 });
      await peer.call(1, 'basic.consume', { queue, consumerTag: `c${i}` });
    }
    await peer.call(1, 'basic.qos', { prefetchCount: 10 });
    for (const queue of queues) publishAll(peer, queue, 'abc');
    expect((await taken(peer, 3)).toSorted()).toEqual(['c0:a', 'c1:a', 'c1:b']);
    await nothingMore(peer);
  });

  test('is shared by the consumers of a channel when it is global', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.qos', { prefetchCount: 3, global: true });
    for (const consumerTag of ['a', 'b']) await peer.call(1, 'basic.consume', { queue, consumerTag });
    publishAll(peer, queue, '123456');
    expect((await taken(peer, 3)).map(each => each.slice(2))).toEqual(['1', '2', '3']);
    await nothingMore(peer);
    peer.send(1, 'basic.ack', { deliveryTag: 1 });
    expect((await taken(peer, 1)).map(each => each.slice(2))).toEqual(['4']);
    await nothingMore(peer);
  });

  test('may be both: neither the consumer nor the channel goes over its own', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.qos', { prefetchCount: 2 });
    await peer.call(1, 'basic.qos', { prefetchCount: 3, global: true });
    for (const consumerTag of ['a', 'b']) await peer.call(1, 'basic.consume', { queue, consumerTag });
    publishAll(peer, queue, '123456');
    const seen = await taken(peer, 3);
    expect(seen.filter(each => each.startsWith('a')).length).toBeLessThanOrEqual(2);
    expect(seen.filter(each => each.startsWith('b')).length).toBeLessThanOrEqual(2);
    await nothingMore(peer);
  });

  test('is nothing to a consumer that acks nothing', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.qos', { prefetchCount: 1 });
    await peer.call(1, 'basic.consume', { queue, noAck: true, consumerTag: 'c' });
    publishAll(peer, queue, 'abcd');
    expect(await taken(peer, 4)).toEqual(['c:a', 'c:b', 'c:c', 'c:d']);
  });

  test('global is not for quorum queues: 540', async () => {
    const peer = await openPeer();
    const queue = uniqueName('quorum');
    await peer.call(1, 'queue.declare', { queue, durable: true, arguments: { 'x-queue-type': 'quorum' } });
    removeAfterTest({ queues: [queue] });
    await peer.call(1, 'basic.qos', { prefetchCount: 3, global: true });
    const refusal = await peer.refused(1, 'basic.consume', { queue });
    expect(refusal).toMatchObject({ scope: 'connection', code: 540, method: 'basic.consume' });
    expect(refusal.text).toMatch(
      new RegExp(`^NOT_IMPLEMENTED - queue '${queue}' in vhost '.*' does not support global qos$`),
    );
  });
});

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
    await peer.openChannel(2);
    await peer.call(1, 'basic.consume', { queue, exclusive: true });
    publishAll(peer, queue, 'ab');
    await peer.message(1);
    peer.send(2, 'basic.get', { queue });
    const frame = await peer.next(2);
    // The queue hears of the publish and of the get from one connection in order.
    expect(frame).toMatchObject({ kind: 'method', name: 'basic.get-ok' });
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
