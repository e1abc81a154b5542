import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openPeer, removeAfterTest } from './clients.ts';
import { deliveryCountOfFirstGet, deliveryLimitByDefault, deliveryLimitMinusOne } from './differences.ts';
import { type DyingQueue, dyingQueue, get, quorum } from './dying-queue.ts';
import { asKnown } from './which-broker.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';

const deliveryCountOf = ({ properties }: Message): unknown => properties.headers?.['x-delivery-count'];

/** Requeues what comes on channel 1 until it is dead, at most `times`. @returns how often it came, and its corpse */
async function requeueUntilDead(peer: Peer, dying: DyingQueue, times: number): Promise<[number, Message | undefined]> {
  const corpse = dying.died();
  for (let count = 1; count <= times; count++) {
    const next = await Promise.race([peer.message(1), corpse]);
    if (next.fields.routingKey === dying.graveyard) {
      // The message that was waited for will not come; the test ends with its connection.
      return [count - 1, next];
    }
    peer.send(1, 'basic.reject', { deliveryTag: Number(next.fields.deliveryTag), requeue: true });
  }
  return [times, undefined];
}

describe('x-delivery-limit', () => {
  test('a delivery says how often the message came back, and that it is a redelivery', async () => {
    const peer = await openPeer();
    const { queue } = await dyingQueue(peer, { ...quorum, 'x-delivery-limit': 5 });
    await peer.call(1, 'basic.consume', { queue });
    peer.publish(1, { routingKey: queue });
    for (const count of [undefined, 1, 2, 3]) {
      const message = await peer.message(1);
      expect([deliveryCountOf(message), message.fields.redelivered]).toEqual([count, count !== undefined]);
      peer.send(1, 'basic.nack', { deliveryTag: Number(message.fields.deliveryTag), requeue: true });
    }
  });

  test.for([0, 1, 3])('of %i: after so many returns one more is death by delivery_limit', async limit => {
    const peer = await openPeer();
    const dying = await dyingQueue(peer, { ...quorum, 'x-delivery-limit': limit });
    await peer.call(1, 'basic.consume', { queue: dying.queue });
    peer.publish(1, { routingKey: dying.queue, body: 'poison' });
    const [count, dead] = await requeueUntilDead(peer, dying, 10);
    expect(count).toBe(limit + 1);
    expect(dead?.body.toString()).toBe('poison');
    expect(dead?.properties.headers).toMatchObject({
      'x-death': [{ count: 1, reason: 'delivery_limit', queue: dying.queue }],
      'x-first-death-reason': 'delivery_limit',
    });
    expect(deliveryCountOf(dead as Message)).toBeUndefined();
  });

  test.for([
    ['not given', {}, deliveryLimitByDefault],
    ['of -1', { 'x-delivery-limit': -1 }, deliveryLimitMinusOne],
  ] as const)('%s', async ([, args, known]) => {
    const peer = await openPeer();
    const dying = await dyingQueue(peer, { ...quorum, ...args });
    await peer.call(1, 'basic.consume', { queue: dying.queue });
    peer.publish(1, { routingKey: dying.queue });
    const [count, dead] = await requeueUntilDead(peer, dying, 40);
    expect(dead === undefined ? 'no limit' : count).toBe(await asKnown(known));
  });

  test('a channel closed and a connection cut count as a return each', async () => {
    const peer = await openPeer();
    const dying = await dyingQueue(peer, { ...quorum, 'x-delivery-limit': 1 });
    peer.publish(1, { routingKey: dying.queue, body: 'unlucky' });
    for (const end of ['close', 'cut'] as const) {
      const holder = await openPeer();
      await holder.call(1, 'basic.consume', { queue: dying.queue });
      await holder.message(1);
      if (end === 'cut') holder.cut();
      else await holder.call(1, 'channel.close', { code: 200 });
    }
    const dead = await dying.died();
    expect(dead.properties.headers).toMatchObject({ 'x-first-death-reason': 'delivery_limit' });
  });

  test('counts for basic.get as well', async () => {
    const peer = await openPeer();
    const { queue } = await dyingQueue(peer, { ...quorum, 'x-delivery-limit': 5 });
    await peer.call(1, 'confirm.select');
    peer.publish(1, { routingKey: queue });
    await peer.expect(1, 'basic.ack');
    const first = (await get(peer, queue)) as Message;
    expect(deliveryCountOf(first)).toBe(await asKnown(deliveryCountOfFirstGet));
    peer.send(1, 'basic.reject', { deliveryTag: Number(first.fields.deliveryTag), requeue: true });
    await peer.call(1, 'basic.consume', { queue, noAck: true });
    expect(deliveryCountOf(await peer.message(1))).toBe(1);
  });

  test('without a dead letter exchange a message over it is dropped', async () => {
    const peer = await openPeer();
    const queue = uniqueName('limited');
    const args = { ...quorum, 'x-delivery-limit': 0 };
    await peer.call(1, 'queue.declare', { queue, durable: true, arguments: args });
    removeAfterTest({ queues: [queue] });
    await peer.call(1, 'basic.qos', { prefetchCount: 1 });
    await peer.call(1, 'basic.consume', { queue });
    for (const body of ['poison', 'next']) peer.publish(1, { routingKey: queue, body });
    const poison = await peer.message(1);
    peer.send(1, 'basic.reject', { deliveryTag: Number(poison.fields.deliveryTag), requeue: true });
    expect((await peer.message(1)).body.toString()).toBe('next');
  });
});
