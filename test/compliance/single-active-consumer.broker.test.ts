import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openPeer, removeAfterTest } from './clients.ts';
import { consumersOfSingleActiveQuorum } from './differences.ts';
import { asKnown } from './which-broker.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';

const textOf = ({ body }: Message): string => body.toString();

/** Ways for a consumer to go. Each consumer of these tests has a connection of its own. */
const goings: Record<string, (peer: Peer, consumerTag: string) => Promise<unknown>> = {
  cancel: (peer, consumerTag) => peer.call(1, 'basic.cancel', { consumerTag }),
  'channel.close': peer => peer.call(1, 'channel.close', { code: 200 }),
  'connection.close': peer => peer.call(0, 'connection.close', { code: 200 }),
  'cut of the connection': async peer => peer.cut(),
};

describe.for(['classic', 'quorum'])('x-single-active-consumer on a %s queue', type => {
  async function declare(): Promise<{ queue: string; publish: (...bodies: string[]) => Promise<void> }> {
    const peer = await openPeer();
    const queue = uniqueName('single');
    await peer.call(1, 'queue.declare', {
      queue,
      durable: true,
      arguments: { 'x-single-active-consumer': true, 'x-queue-type': type },
    });
    removeAfterTest({ queues: [queue] });
    await peer.call(1, 'confirm.select');
    const publish = async (...bodies: string[]): Promise<void> => {
      for (const body of bodies) {
        peer.publish(1, { routingKey: queue, body });
        await peer.expect(1, 'basic.ack');
      }
    };
    return { queue, publish };
  }

  async function stand(queue: string, consumerTag: string, prefetchCount = 0): Promise<Peer> {
    const peer = await openPeer();
    await peer.call(1, 'basic.qos', { prefetchCount });
    await peer.call(1, 'basic.consume', { queue, consumerTag });
    return peer;
  }

  test('who came first gets everything, the others nothing', async () => {
    const { queue, publish } = await declare();
    const first = await stand(queue, 'first');
    const others = [await stand(queue, 'second'), await stand(queue, 'third')];
    const bodies = Array.from({ length: 10 }, (_, i) => String(i));
    await publish(...bodies);
    for (const body of bodies) expect(textOf(await first.message(1))).toBe(body);
    for (const other of others) {
      // The answer comes after whatever was sent to it before.
      const { consumerCount } = await other.call(1, 'queue.declare', { queue, passive: true });
      expect(consumerCount).toBe(type === 'classic' ? 3 : await asKnown(consumersOfSingleActiveQuorum));
    }
  });

  test.for(Object.keys(goings))('the others take over in the order they came in, at %s', async how => {
    const { queue, publish } = await declare();
    const line: [string, Peer][] = [];
    for (const tag of ['a', 'b', 'c']) line.push([tag, await stand(queue, tag)]);
    for (const [tag, peer] of line) {
      await publish(`for ${tag}`);
      const message = await peer.message(1);
      expect([textOf(message), message.fields.consumerTag]).toEqual([`for ${tag}`, tag]);
      peer.send(1, 'basic.ack', { deliveryTag: Number(message.fields.deliveryTag) });
      // Answered, so the ack has been heard.
      await peer.call(1, 'basic.qos', { prefetchCount: 1 });
      await goings[how]?.(peer, tag);
    }
  });

  test.for(['channel.close', 'connection.close', 'cut of the connection'])(
    'what the one before held comes first, in order and redelivered, at %s',
    async how => {
      const { queue, publish } = await declare();
      const first = await stand(queue, 'first', 3);
      const second = await stand(queue, 'second', 10);
      await publish('1', '2', '3', '4', '5');
      for (let i = 0; i < 3; i++) await first.message(1);
      await goings[how]?.(first, 'first');
      const taken: [string, unknown][] = [];
      for (let i = 0; i < 5; i++) {
        const message = await second.message(1);
        taken.push([textOf(message), message.fields.redelivered]);
      }
      expect(taken).toEqual([
        ['1', true],
        ['2', true],
        ['3', true],
        ['4', false],
        ['5', false],
      ]);
    },
  );

  test('one that waits and goes is out of the line, and one that comes back is at its end', async () => {
    const { queue, publish } = await declare();
    const first = await stand(queue, 'first');
    const second = await stand(queue, 'second');
    const third = await stand(queue, 'third');
    await second.call(1, 'basic.cancel', { consumerTag: 'second' });
    await second.call(1, 'basic.consume', { queue, consumerTag: 'second' });
    await first.call(1, 'basic.cancel', { consumerTag: 'first' });
    await publish('for the third');
    expect(textOf(await third.message(1))).toBe('for the third');
  });

  test('the active one gets no more than its prefetch, and nobody else gets the rest', async () => {
    const { queue, publish } = await declare();
    const first = await stand(queue, 'first', 2);
    const second = await stand(queue, 'second');
    await publish('1', '2', '3');
    for (const body of ['1', '2']) expect(textOf(await first.message(1))).toBe(body);
    await second.call(1, 'queue.declare', { queue, passive: true });
    first.send(1, 'basic.ack', { deliveryTag: 1 });
    expect(textOf(await first.message(1))).toBe('3');
  });
});

test('an exclusive consumer is refused (403) where one at a time is active', async () => {
  const peer = await openPeer();
  const queue = uniqueName('single');
  await peer.call(1, 'queue.declare', { queue, exclusive: true, arguments: { 'x-single-active-consumer': true } });
  const refusal = await peer.refused(1, 'basic.consume', { queue, exclusive: true });
  expect(refusal).toMatchObject({ scope: 'channel', code: 403, method: 'basic.consume' });
  expect(refusal.text).toMatch(new RegExp(`^ACCESS_REFUSED - queue '${queue}' in vhost '.*' in exclusive use$`));
});

test('basic.get from a quorum queue where one at a time is active is refused: 405', async () => {
  const peer = await openPeer();
  const queue = uniqueName('single');
  const args = { 'x-single-active-consumer': true, 'x-queue-type': 'quorum' };
  await peer.call(1, 'queue.declare', { queue, durable: true, arguments: args });
  removeAfterTest({ queues: [queue] });
  const refusal = await peer.refused(1, 'basic.get', { queue });
  expect(refusal).toMatchObject({ scope: 'channel', code: 405, method: 'basic.get' });
  expect(refusal.text).toContain('basic.get operations are not supported by quorum queues with single active consumer');
});
