import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openPeer, removeAfterTest } from './clients.ts';
import { nothingMore, ownQueue, publishAll, taken } from './consuming.ts';
import { get } from './dying-queue.ts';

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

  test('does not count what basic.get took, also when it is global', async () => {
    const peer = await openPeer();
    const queue = await ownQueue(peer);
    await peer.call(1, 'basic.qos', { prefetchCount: 2, global: true });
    publishAll(peer, queue, 'abcdef');
    for (const body of 'abc') expect((await get(peer, queue))?.body.toString()).toBe(body);
    await peer.call(1, 'basic.consume', { queue, consumerTag: 'c' });
    expect(await taken(peer, 2)).toEqual(['c:d', 'c:e']);
    await nothingMore(peer);
    peer.send(1, 'basic.ack', { deliveryTag: 1 });
    await nothingMore(peer);
    peer.send(1, 'basic.ack', { deliveryTag: 4 });
    expect(await taken(peer, 1)).toEqual(['c:f']);
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
