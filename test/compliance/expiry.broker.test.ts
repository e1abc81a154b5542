import { describe, expect, test } from 'vitest';
import { openPeer } from './clients.ts';
import { dyingQueue, get, quorum, readyCount } from './dying-queue.ts';
import type { Message } from './wire/incoming.ts';
import type { Properties } from './wire/properties.ts';
import type { Table } from './wire/table.ts';

const reasonOf = ({ properties }: Message): unknown => properties.headers?.['x-first-death-reason'];

/** Resolves when a message published now with that expiration has died elsewhere: the broker's own clock. */
async function passes(expiration: string): Promise<void> {
  const peer = await openPeer();
  const { queue, died } = await dyingQueue(peer);
  peer.publish(1, { routingKey: queue, properties: { expiration } });
  await died();
}

describe('a message dies of age', () => {
  test.for<[string, Table, Properties]>([
    ['by x-message-ttl of its queue', { 'x-message-ttl': 100 }, {}],
    ['by its own expiration', {}, { expiration: '100' }],
    ['by the queue, when that is sooner', { 'x-message-ttl': 100 }, { expiration: '60000' }],
    ['by its own, when that is sooner', { 'x-message-ttl': 60_000 }, { expiration: '100' }],
    ['by x-message-ttl of a quorum queue', { ...quorum, 'x-message-ttl': 100 }, {}],
    ['by its own expiration in a quorum queue', quorum, { expiration: '100' }],
  ])('%s, and not before', async ([, args, properties]) => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, args);
    const begun = performance.now();
    peer.publish(1, { routingKey: queue, properties, body: 'aged' });
    const dead = await died();
    expect(performance.now() - begun).toBeGreaterThan(95);
    expect([dead.body.toString(), reasonOf(dead)]).toEqual(['aged', 'expired']);
    expect(await readyCount(peer, queue)).toBe(0);
  });

  test('one after the other, in order', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, { 'x-message-ttl': 50 });
    const bodies = Array.from({ length: 20 }, (_, i) => String(i));
    for (const body of bodies) peer.publish(1, { routingKey: queue, body });
    const dead: string[] = [];
    for (const _ of bodies) dead.push((await died()).body.toString());
    expect(dead).toEqual(bodies);
  });

  test('without a trace where there is no dead letter exchange', async () => {
    const peer = await openPeer();
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true, arguments: { 'x-message-ttl': 50 } });
    peer.publish(1, { routingKey: String(queue) });
    await passes('100');
    expect(await readyCount(peer, String(queue))).toBe(0);
    expect(await get(peer, String(queue))).toBeUndefined();
  });

  test('in each queue by itself', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, { 'x-message-ttl': 50 });
    const { queue: kept } = await peer.call(1, 'queue.declare', { exclusive: true });
    for (const name of [queue, String(kept)])
      await peer.call(1, 'queue.bind', { queue: name, exchange: 'amq.direct', routingKey: queue });
    peer.publish(1, { exchange: 'amq.direct', routingKey: queue });
    await died();
    expect(await readyCount(peer, String(kept))).toBe(1);
  });
});

describe('only the head of a queue dies', () => {
  test('a shorter expiration behind a longer one waits, is counted, and dies when it comes to the head', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer);
    peer.publish(1, { routingKey: queue, body: 'long' });
    peer.publish(1, { routingKey: queue, body: 'short', properties: { expiration: '50' } });
    await passes('100');
    expect(await readyCount(peer, queue)).toBe(2);
    const head = await get(peer, queue, true);
    expect(head?.body.toString()).toBe('long');
    expect((await died()).body.toString()).toBe('short');
  });

  test('a consumer that comes late is not given what has expired meanwhile', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer);
    peer.publish(1, { routingKey: queue, body: 'first' });
    peer.publish(1, { routingKey: queue, body: 'short', properties: { expiration: '50' } });
    peer.publish(1, { routingKey: queue, body: 'last' });
    await passes('100');
    await peer.call(1, 'basic.consume', { queue, noAck: true });
    expect((await peer.message(1)).body.toString()).toBe('first');
    expect((await peer.message(1)).body.toString()).toBe('last');
    expect((await died()).body.toString()).toBe('short');
  });
});

describe('zero', () => {
  test.for<[string, Table, Properties]>([
    ['an expiration of 0', {}, { expiration: '0' }],
    ['an x-message-ttl of 0', { 'x-message-ttl': 0 }, {}],
  ])('%s reaches a consumer that waits, and dies at once without one', async ([, args, properties]) => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, args);
    peer.publish(1, { routingKey: queue, properties, body: 'nobody waits' });
    expect((await died()).body.toString()).toBe('nobody waits');
    await peer.call(1, 'basic.qos', { prefetchCount: 1 });
    await peer.call(1, 'basic.consume', { queue });
    peer.publish(1, { routingKey: queue, properties, body: 'taken' });
    expect((await peer.message(1)).body.toString()).toBe('taken');
    peer.publish(1, { routingKey: queue, properties, body: 'the consumer is busy' });
    expect((await died()).body.toString()).toBe('the consumer is busy');
  });
});

describe('a message that a consumer holds', () => {
  test('does not die in its hands', async () => {
    const peer = await openPeer();
    const { queue } = await dyingQueue(peer);
    peer.publish(1, { routingKey: queue, properties: { expiration: '50' } });
    const held = await get(peer, queue);
    await passes('100');
    peer.send(1, 'basic.ack', { deliveryTag: Number(held?.fields.deliveryTag) });
    await peer.call(1, 'queue.declare', { queue, passive: true });
  });

  test.for<[string, Table, Properties]>([
    ['its own expiration', {}, { expiration: '50' }],
    ['x-message-ttl', { 'x-message-ttl': 50 }, {}],
  ])('dies when it goes back after %s has passed', async ([, args, properties]) => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, args);
    peer.publish(1, { routingKey: queue, properties, body: 'late' });
    const held = await get(peer, queue);
    await passes('100');
    peer.send(1, 'basic.reject', { deliveryTag: Number(held?.fields.deliveryTag), requeue: true });
    const dead = await died();
    expect([dead.body.toString(), reasonOf(dead)]).toEqual(['late', 'expired']);
  });

  test('dies when its consumer dies after it has expired, instead of going to the next', async () => {
    const peer = await openPeer();
    const { queue, graveyard, died } = await dyingQueue(peer, { 'x-queue-type': 'classic' });
    const holder = await openPeer();
    await holder.call(1, 'basic.consume', { queue });
    peer.publish(1, { routingKey: queue, properties: { expiration: '50' }, body: 'late' });
    await holder.message(1);
    await passes('100');
    await peer.call(1, 'basic.consume', { queue, consumerTag: 'next' });
    holder.cut();
    const dead = await died();
    expect([dead.body.toString(), dead.fields.routingKey]).toEqual(['late', graveyard]);
    await expect(peer.take(({ channel }) => channel === 1, 1)).rejects.toThrow('nothing within');
  });
});

test('a delivery keeps its expiration, a dead letter has it in x-death only', async () => {
  const peer = await openPeer();
  const { queue, died } = await dyingQueue(peer);
  peer.publish(1, { routingKey: queue, properties: { expiration: '30000' } });
  const held = await get(peer, queue);
  expect(held?.properties.expiration).toBe('30000');
  peer.send(1, 'basic.reject', { deliveryTag: Number(held?.fields.deliveryTag) });
  const { properties } = await died();
  expect(properties.expiration).toBeUndefined();
  expect(properties.headers?.['x-death']).toMatchObject([{ 'original-expiration': '30000' }]);
});
