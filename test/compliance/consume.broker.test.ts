import { describe, expect, test } from 'vitest';
import { openChannel, openPeer } from './clients.ts';
import { nothingMore, ownQueue, publishAll, taken, textOf } from './consuming.ts';
import { get } from './dying-queue.ts';
import { consume } from './inbox.ts';

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
