import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { openPeer, removeAfterTest } from './clients.ts';
import { returnedWithoutLimit } from './differences.ts';
import { get, readyCount } from './dying-queue.ts';
import { asKnown } from './which-broker.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';
import type { Table } from './wire/table.ts';

/** `a` or, redelivered, `aR`. */
const label = ({ body, fields }: Message): string => `${body}${fields.redelivered ? 'R' : ''}`;

/** A durable queue with these messages, confirmed, and a second connection that holds the first of them. */
async function held(
  args: Table,
  bodies: string,
  holding: number,
): Promise<{ queue: string; peer: Peer; holder: Peer }> {
  const peer = await openPeer();
  const queue = uniqueName('acked');
  await peer.call(1, 'queue.declare', { queue, durable: true, arguments: args });
  removeAfterTest({ queues: [queue] });
  await peer.openChannel(2);
  await peer.call(2, 'confirm.select');
  for (const body of bodies) {
    peer.publish(2, { routingKey: queue, body });
    await peer.expect(2, 'basic.ack');
  }
  const holder = await openPeer();
  await holder.call(1, 'basic.qos', { prefetchCount: holding });
  await holder.call(1, 'basic.consume', { queue, consumerTag: 'holder' });
  for (let i = 0; i < holding; i++) await holder.message(1);
  await holder.call(1, 'basic.cancel', { consumerTag: 'holder' });
  return { queue, peer, holder };
}

/** Reads so many messages. */
async function read(peer: Peer, queue: string, count: number): Promise<string[]> {
  await peer.call(1, 'basic.consume', { queue, noAck: true });
  const seen: string[] = [];
  for (let i = 0; i < count; i++) seen.push(label(await peer.message(1)));
  return seen;
}

/** Resolves when so many are ready: a quorum queue takes back what is returned a moment later. */
async function ready(peer: Peer, queue: string, count: number): Promise<void> {
  await until(
    () => readyCount(peer, queue),
    seen => seen === count,
  );
}

const kinds: [string, Table][] = [
  ['classic', {}],
  ['quorum', { 'x-queue-type': 'quorum', 'x-delivery-limit': 1_000_000 }],
];

describe.for(kinds)('what a consumer of a %s queue', ([, args]) => {
  test('acks is gone, alone or with all before it', async () => {
    const { queue, peer, holder } = await held(args, 'abcdef', 5);
    holder.send(1, 'basic.ack', { deliveryTag: 4 });
    holder.send(1, 'basic.ack', { deliveryTag: 2, multiple: true });
    await holder.call(1, 'channel.close', { code: 200 });
    await ready(peer, queue, 3);
    expect((await read(peer, queue, 3)).toSorted()).toEqual(['cR', 'eR', 'f']);
  });

  test('acks with tag 0 and multiple is all it holds', async () => {
    const { queue, peer, holder } = await held(args, 'abcd', 3);
    holder.send(1, 'basic.ack', { deliveryTag: 0, multiple: true });
    await holder.call(1, 'channel.close', { code: 200 });
    expect(await read(peer, queue, 1)).toEqual(['d']);
  });

  test('rejects or nacks without requeue is gone', async () => {
    const { queue, peer, holder } = await held(args, 'abcde', 4);
    holder.send(1, 'basic.reject', { deliveryTag: 1 });
    holder.send(1, 'basic.nack', { deliveryTag: 2 });
    holder.send(1, 'basic.nack', { deliveryTag: 4, multiple: true });
    await holder.call(1, 'channel.close', { code: 200 });
    expect(await read(peer, queue, 1)).toEqual(['e']);
  });

  test.for(['reject', 'nack'] as const)('returns by basic.%s comes next again, redelivered', async method => {
    const { queue, peer, holder } = await held(args, 'abc', 1);
    holder.send(1, `basic.${method}`, { deliveryTag: 1, requeue: true });
    await ready(peer, queue, 3);
    expect(await read(peer, queue, 3)).toEqual(['aR', 'b', 'c']);
  });

  test('returns at once comes back in the order it was in', async () => {
    const { queue, peer, holder } = await held(args, 'abcde', 3);
    holder.send(1, 'basic.nack', { deliveryTag: 0, multiple: true, requeue: true });
    await ready(peer, queue, 5);
    expect(await read(peer, queue, 5)).toEqual(['aR', 'bR', 'cR', 'd', 'e']);
  });

  test.for<[string, (holder: Peer) => unknown]>([
    ['channel is closed', holder => holder.call(1, 'channel.close', { code: 200 })],
    ['connection is closed', holder => holder.call(0, 'connection.close', { code: 200 })],
    ['connection is cut', holder => holder.cut()],
    ['channel is closed by the server', holder => holder.refused(1, 'basic.ack', { deliveryTag: 99 })],
  ])('holds when its %s comes back in the order it was in', async ([, end]) => {
    const { queue, peer, holder } = await held(args, 'abcde', 3);
    await end(holder);
    await ready(peer, queue, 5);
    expect(await read(peer, queue, 5)).toEqual(['aR', 'bR', 'cR', 'd', 'e']);
  });

  test('returned goes to another consumer too, who sees that it is a redelivery', async () => {
    const { queue, peer, holder } = await held(args, 'a', 1);
    await peer.call(1, 'basic.consume', { queue });
    holder.send(1, 'basic.reject', { deliveryTag: 1, requeue: true });
    expect(label(await peer.message(1))).toBe('aR');
  });
});

test('a classic queue takes back each message to its old place, in whatever order they come', async () => {
  const { queue, peer, holder } = await held({}, 'abcde', 4);
  for (const deliveryTag of [3, 1, 4, 2]) holder.send(1, 'basic.reject', { deliveryTag, requeue: true });
  await ready(peer, queue, 5);
  expect(await read(peer, queue, 5)).toEqual(['aR', 'bR', 'cR', 'dR', 'e']);
});

test('what comes back to a quorum queue without a delivery limit, at once', async () => {
  const { queue, peer, holder } = await held({ 'x-queue-type': 'quorum' }, 'abcde', 3);
  holder.send(1, 'basic.nack', { deliveryTag: 0, multiple: true, requeue: true });
  await ready(peer, queue, 5);
  expect(await read(peer, queue, 5)).toEqual(await asKnown(returnedWithoutLimit));
});

test('a tag of a channel that was closed is unknown to the next one of its number', async () => {
  const peer = await openPeer();
  const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
  peer.publish(1, { routingKey: String(queue) });
  await get(peer, String(queue));
  await peer.call(1, 'channel.close', { code: 200 });
  await peer.openChannel(1);
  expect(await peer.refused(1, 'basic.ack', { deliveryTag: 1 })).toMatchObject({ code: 406 });
});

test('a multiple ack is of its own channel only', async () => {
  const peer = await openPeer();
  const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
  for (const body of 'ab') peer.publish(1, { routingKey: String(queue), body });
  await get(peer, String(queue));
  await peer.openChannel(2);
  peer.send(2, 'basic.get', { queue: String(queue) });
  await peer.message(2);
  peer.send(2, 'basic.ack', { deliveryTag: 0, multiple: true });
  await peer.call(1, 'channel.close', { code: 200 });
  await peer.openChannel(1);
  const back = await get(peer, String(queue));
  expect(back && label(back)).toBe('aR');
  expect(await get(peer, String(queue))).toBeUndefined();
});
