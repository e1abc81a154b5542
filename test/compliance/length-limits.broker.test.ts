import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openPeer } from './clients.ts';
import { dyingQueue, get, quorum, readyCount } from './dying-queue.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';
import type { Table } from './wire/table.ts';

const textOf = ({ body }: Message): string => body.toString();

/** Publishes with confirms, one at a time. @returns for each, whether the broker took it */
async function publishEach(peer: Peer, queue: string, bodies: readonly string[]): Promise<boolean[]> {
  const taken: boolean[] = [];
  for (const body of bodies) {
    peer.publish(1, { routingKey: queue, body });
    const frame = await peer.next(1);
    if (frame.kind !== 'method' || (frame.name !== 'basic.ack' && frame.name !== 'basic.nack'))
      throw new Error(`neither ack nor nack: ${frame.kind}`);
    taken.push(frame.name === 'basic.ack');
  }
  return taken;
}

async function drain(peer: Peer, queue: string): Promise<string[]> {
  const bodies: string[] = [];
  for (let message = await get(peer, queue, true); message; message = await get(peer, queue, true))
    bodies.push(textOf(message));
  return bodies;
}

describe('a full queue drops its oldest', () => {
  test.for<[string, Table, string[], string[]]>([
    ['by number', { 'x-max-length': 2 }, ['a', 'b', 'c', 'd'], ['a', 'b']],
    ['by number, said explicitly', { 'x-max-length': 2, 'x-overflow': 'drop-head' }, ['a', 'b', 'c'], ['a']],
    ['by bytes of bodies', { 'x-max-length-bytes': 10 }, ['aaaa', 'bbbb', 'cc', 'd'], ['aaaa']],
    [
      'by bytes, as many as needed',
      { 'x-max-length-bytes': 10 },
      ['aa', 'bb', 'cccccc', 'ddddd'],
      ['aa', 'bb', 'cccccc'],
    ],
    ['by whichever is reached first', { 'x-max-length': 2, 'x-max-length-bytes': 3 }, ['a', 'bbb', 'c'], ['a', 'bbb']],
    [
      'all of them, when one message is over the limit',
      { 'x-max-length-bytes': 10 },
      ['a', 'b'.repeat(11)],
      ['a', 'b'.repeat(11)],
    ],
  ])('%s, and says yes to publishers', async ([, args, bodies, dead]) => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, args);
    await peer.call(1, 'confirm.select');
    expect(await publishEach(peer, queue, bodies)).toEqual(bodies.map(() => true));
    for (const body of dead) {
      const letter = await died();
      expect([textOf(letter), letter.properties.headers?.['x-first-death-reason']]).toEqual([body, 'maxlen']);
    }
    expect(await drain(peer, queue)).toEqual(bodies.slice(dead.length));
  });

  test('in a quorum queue too', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, { ...quorum, 'x-max-length': 1 });
    await peer.call(1, 'confirm.select');
    expect(await publishEach(peer, queue, ['a', 'b'])).toEqual([true, true]);
    expect(textOf(await died())).toBe('a');
    expect(await drain(peer, queue)).toEqual(['b']);
  });

  test('counting only what is ready; what comes back counts again', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, { 'x-max-length': 1 });
    await peer.call(1, 'confirm.select');
    await publishEach(peer, queue, ['held']);
    const held = await get(peer, queue);
    await publishEach(peer, queue, ['ready']);
    expect(await readyCount(peer, queue)).toBe(1);
    peer.send(1, 'basic.reject', { deliveryTag: Number(held?.fields.deliveryTag), requeue: true });
    expect(textOf(await died())).toBe('held');
    expect(await drain(peer, queue)).toEqual(['ready']);
  });

  test('also when it may hold none: only a waiting consumer gets anything', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, { 'x-max-length': 0 });
    peer.publish(1, { routingKey: queue, body: 'nobody waits' });
    expect(textOf(await died())).toBe('nobody waits');
    await peer.call(1, 'basic.consume', { queue, noAck: true });
    peer.publish(1, { routingKey: queue, body: 'taken' });
    expect(textOf(await peer.message(1))).toBe('taken');
  });
});

describe('a full queue that rejects', () => {
  const args = { 'x-max-length': 2, 'x-overflow': 'reject-publish' };

  test('says no to publishers, keeps what it has, and says yes again when there is room', async () => {
    const peer = await openPeer();
    const queue = uniqueName('full');
    await peer.call(1, 'queue.declare', { queue, exclusive: true, arguments: args });
    await peer.call(1, 'confirm.select');
    expect(await publishEach(peer, queue, ['a', 'b', 'c', 'd'])).toEqual([true, true, false, false]);
    await get(peer, queue, true);
    expect(await publishEach(peer, queue, ['e', 'f'])).toEqual([true, false]);
    expect(await drain(peer, queue)).toEqual(['b', 'e']);
  });

  test('drops without a word what comes without confirms', async () => {
    const peer = await openPeer();
    const queue = uniqueName('full');
    await peer.call(1, 'queue.declare', { queue, exclusive: true, arguments: args });
    for (const body of 'abc') peer.publish(1, { routingKey: queue, body });
    expect(await drain(peer, queue)).toEqual(['a', 'b']);
  });

  test('makes the whole publish a no, though another queue has taken its copy', async () => {
    const peer = await openPeer();
    const full = uniqueName('full');
    const free = uniqueName('free');
    await peer.call(1, 'queue.declare', { queue: full, exclusive: true, arguments: { ...args, 'x-max-length': 0 } });
    await peer.call(1, 'queue.declare', { queue: free, exclusive: true });
    for (const queue of [full, free])
      await peer.call(1, 'queue.bind', { queue, exchange: 'amq.direct', routingKey: full });
    await peer.call(1, 'confirm.select');
    peer.publish(1, { exchange: 'amq.direct', routingKey: full, body: 'half' });
    expect(await peer.expect(1, 'basic.nack')).toMatchObject({ deliveryTag: 1 });
    expect(await drain(peer, free)).toEqual(['half']);
  });

  test('counts bytes as well', async () => {
    const peer = await openPeer();
    const queue = uniqueName('full');
    const byBytes = { 'x-max-length-bytes': 4, 'x-overflow': 'reject-publish' };
    await peer.call(1, 'queue.declare', { queue, exclusive: true, arguments: byBytes });
    await peer.call(1, 'confirm.select');
    const taken = await publishEach(peer, queue, ['aa', 'bb', 'c', 'd']);
    const kept = ['aa', 'bb', 'c', 'd'].filter((_, i) => taken[i]);
    expect(taken).toEqual([true, true, false, false]);
    expect(await drain(peer, queue)).toEqual(kept);
  });

  test('sends what it rejects to the dead letter exchange with reject-publish-dlx', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, { ...args, 'x-overflow': 'reject-publish-dlx' });
    await peer.call(1, 'confirm.select');
    expect(await publishEach(peer, queue, ['a', 'b', 'c'])).toEqual([true, true, false]);
    const letter = await died();
    expect([textOf(letter), letter.properties.headers?.['x-first-death-reason']]).toEqual(['c', 'maxlen']);
  });

  test('as a quorum queue may take a little more before it says no', async () => {
    const peer = await openPeer();
    const { queue } = await dyingQueue(peer, { ...quorum, ...args });
    await peer.call(1, 'confirm.select');
    const bodies = Array.from({ length: 20 }, (_, i) => String(i));
    const taken = await publishEach(peer, queue, bodies);
    expect(taken.slice(0, 2)).toEqual([true, true]);
    expect(taken.at(-1)).toBe(false);
    expect(await drain(peer, queue)).toEqual(bodies.filter((_, i) => taken[i]));
  });
});
