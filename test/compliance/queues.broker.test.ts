import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { openChannel, openClient, openConfirmChannel, openPeer, publishConfirmed, removeAfterTest } from './clients.ts';
import { consume } from './inbox.ts';
import type { Peer } from './wire/peer.ts';

/** Whether the queue is there, without using it: a mandatory message to it comes back or not. Needs confirms on 1. */
async function exists(peer: Peer, queue: string): Promise<boolean> {
  peer.publish(1, { routingKey: queue, mandatory: true });
  const frame = await peer.next(1);
  if (frame.kind === 'method' && frame.name === 'basic.ack') return true;
  await peer.next(1);
  await peer.expect(1, 'basic.ack');
  return false;
}

describe('names', () => {
  test('the server gives a queue without a name one of its own, another each time', async () => {
    const channel = await openChannel();
    const names = new Set<string>();
    for (let i = 0; i < 5; i++) names.add((await channel.assertQueue('', { exclusive: true })).queue);
    expect(names.size).toBe(5);
    for (const name of names) expect(name).toMatch(/^amq\.gen-[\w-]{22}$/);
  });

  test('a name that the server gave is not declared again (403), only asked for', async () => {
    const peer = await openPeer();
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    await peer.call(1, 'queue.declare', { queue: String(queue), passive: true });
    const refusal = await peer.refused(1, 'queue.declare', { queue: String(queue), exclusive: true });
    const text = `ACCESS_REFUSED - queue name '${queue}' contains reserved prefix 'amq.*'`;
    expect(refusal).toEqual({ scope: 'channel', code: 403, text, method: 'queue.declare' });
  });

  test('no name means the queue that the channel declared last', async () => {
    const peer = await openPeer();
    await peer.call(1, 'queue.declare', { exclusive: true });
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    peer.publish(1, { routingKey: String(queue), body: 'for the last one' });
    peer.send(1, 'basic.get');
    expect((await peer.message(1)).body.toString()).toBe('for the last one');
    await peer.openChannel(2);
    expect(await peer.refused(2, 'basic.get')).toMatchObject({ code: 404 });
  });

  test('a queue bound without name and key is bound with its name as key', async () => {
    const peer = await openPeer();
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    await peer.call(1, 'queue.bind', { exchange: 'amq.direct' });
    peer.publish(1, { exchange: 'amq.direct', routingKey: String(queue), body: 'by name' });
    peer.send(1, 'basic.get');
    expect((await peer.message(1)).body.toString()).toBe('by name');
  });
});

describe('life', () => {
  test('an exclusive queue goes with its connection, also when that is cut', async () => {
    const queue = uniqueName('exclusive');
    for (const end of ['close', 'cut'] as const) {
      const owner = await openPeer();
      await owner.call(1, 'queue.declare', { queue, exclusive: true, durable: true });
      owner.publish(1, { routingKey: queue, body: 'lost with it' });
      if (end === 'cut') owner.cut();
      else await owner.call(0, 'connection.close', { code: 200 });
      const watcher = await openPeer();
      await watcher.call(1, 'confirm.select');
      await until(
        () => exists(watcher, queue),
        there => !there,
      );
    }
    const next = await openPeer();
    expect(await next.call(1, 'queue.declare', { queue, exclusive: true })).toMatchObject({ messageCount: 0 });
  });

  test('an exclusive queue outlives its channel', async () => {
    const client = await openClient();
    const channel = await openChannel(client);
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.close();
    await (await openChannel(client)).checkQueue(queue);
  });

  test('an auto-delete queue goes with its last consumer, cancelled or closed, and not before', async () => {
    const client = await openClient();
    const watcher = await openPeer();
    await watcher.call(1, 'confirm.select');
    for (const end of ['cancel', 'close'] as const) {
      const channel = await openChannel(client);
      const other = await openChannel(client);
      const queue = uniqueName('auto');
      await channel.assertQueue(queue, { autoDelete: true, durable: true });
      expect(await exists(watcher, queue)).toBe(true);
      const { consumerTag } = await consume(channel, queue);
      const inbox = await consume(other, queue);
      await channel.cancel(consumerTag);
      expect(await exists(watcher, queue)).toBe(true);
      if (end === 'cancel') await other.cancel(inbox.consumerTag);
      else await other.close();
      await until(
        () => exists(watcher, queue),
        there => !there,
      );
    }
  });

  test('an auto-delete queue goes when the connection of its last consumer is cut', async () => {
    const watcher = await openPeer();
    await watcher.call(1, 'confirm.select');
    const queue = uniqueName('auto');
    const peer = await openPeer();
    await peer.call(1, 'queue.declare', { queue, autoDelete: true, durable: true });
    await peer.call(1, 'basic.consume', { queue });
    peer.cut();
    await until(
      () => exists(watcher, queue),
      there => !there,
    );
  });

  test('a durable queue outlives everybody', async () => {
    const queue = uniqueName('durable');
    removeAfterTest({ queues: [queue] });
    const first = await openClient();
    const channel = await openConfirmChannel(first);
    await channel.assertQueue(queue);
    await publishConfirmed(channel, '', queue, 'kept');
    await first.close();
    expect(await (await openChannel()).checkQueue(queue)).toEqual({ queue, messageCount: 1, consumerCount: 0 });
  });
});

describe('x-expires', () => {
  test('a queue that nobody uses goes after its time, messages or not', async () => {
    const peer = await openPeer();
    await peer.call(1, 'confirm.select');
    const queue = uniqueName('expires');
    await peer.call(1, 'queue.declare', { queue, durable: true, arguments: { 'x-expires': 200 } });
    const begun = performance.now();
    await until(
      () => exists(peer, queue),
      there => !there,
    );
    expect(performance.now() - begun).toBeGreaterThan(150);
  });

  test('a queue with a consumer stays, and goes its time after the consumer', async () => {
    const peer = await openPeer();
    await peer.call(1, 'confirm.select');
    const used = uniqueName('expires');
    const clock = uniqueName('expires');
    const args = { durable: true, arguments: { 'x-expires': 200 } };
    await peer.call(1, 'queue.declare', { queue: used, ...args });
    await peer.openChannel(2);
    const { consumerTag } = await peer.call(2, 'basic.consume', { queue: used, noAck: true });
    await peer.call(1, 'queue.declare', { queue: clock, ...args });
    await until(
      () => exists(peer, clock),
      there => !there,
    );
    expect(await exists(peer, used)).toBe(true);
    peer.send(2, 'basic.cancel', { consumerTag: String(consumerTag), nowait: true });
    await until(
      () => exists(peer, used),
      there => !there,
    );
  });

  test.for<[string, (peer: Peer, queue: string, args: object) => Promise<unknown>]>([
    ['declaring it again', (peer, queue, args) => peer.call(2, 'queue.declare', { queue, ...args })],
    ['asking for it', (peer, queue) => peer.call(2, 'queue.declare', { queue, passive: true })],
    [
      'getting from it',
      async (peer, queue) => {
        peer.send(2, 'basic.get', { queue });
        await peer.expect(2, 'basic.get-empty');
      },
    ],
  ])('%s is use', async ([, use]) => {
    const peer = await openPeer();
    await peer.openChannel(2);
    await peer.call(1, 'confirm.select');
    const used = uniqueName('expires');
    const clock = uniqueName('expires');
    const args = { durable: true, arguments: { 'x-expires': 1_200 } };
    await peer.call(1, 'queue.declare', { queue: used, ...args });
    await peer.call(1, 'queue.declare', { queue: clock, ...args });
    removeAfterTest({ queues: [used] });
    await peer.openChannel(3);
    await peer.call(3, 'confirm.select');
    await until(
      async () => {
        await use(peer, used, args);
        return exists(peer, clock);
      },
      there => !there,
    );
    await peer.call(1, 'queue.declare', { queue: used, passive: true });
  });
});

describe('counting, purging, deleting', () => {
  test('a queue counts what is ready, not what is unacked, and its consumers', async () => {
    const peer = await openPeer();
    const name = uniqueName('counted');
    await peer.call(1, 'queue.declare', { queue: name, exclusive: true });
    for (let i = 0; i < 5; i++) peer.publish(1, { routingKey: name });
    peer.send(1, 'basic.get', { queue: name });
    expect((await peer.message(1)).fields).toMatchObject({ messageCount: 4 });
    const counted = { queue: name, messageCount: 4, consumerCount: 0 };
    expect(await peer.call(1, 'queue.declare', { queue: name, passive: true })).toEqual(counted);
    await peer.openChannel(2);
    await peer.call(2, 'basic.qos', { prefetchCount: 1 });
    for (let i = 0; i < 2; i++) {
      await peer.call(2, 'basic.consume', { queue: name });
      await peer.message(2);
    }
    // Declared again it is counted as well.
    const again = await peer.call(1, 'queue.declare', { queue: name, exclusive: true });
    expect(again).toEqual({ queue: name, messageCount: 2, consumerCount: 2 });
  });

  test('purging says how many went, and leaves what is unacked', async () => {
    const channel = await openChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    for (const body of ['held', 'a', 'b']) channel.sendToQueue(queue, Buffer.from(body));
    const held = await channel.get(queue);
    expect(await channel.purgeQueue(queue)).toEqual({ messageCount: 2 });
    expect(await channel.purgeQueue(queue)).toEqual({ messageCount: 0 });
    if (held) channel.reject(held, true);
    const back = await channel.get(queue);
    expect(back && [back.content.toString(), back.fields.redelivered]).toEqual(['held', true]);
  });

  test('deleting says how many went', async () => {
    const channel = await openConfirmChannel();
    const queue = uniqueName('deleted');
    await channel.assertQueue(queue);
    for (let i = 0; i < 3; i++) await publishConfirmed(channel, '', queue);
    expect(await channel.deleteQueue(queue)).toEqual({ messageCount: 3 });
    await expect(channel.checkQueue(queue)).rejects.toMatchObject({ code: 404 });
  });

  test.for([
    ['if-unused', { ifUnused: true }, 'in use'],
    ['if-empty', { ifEmpty: true }, 'not empty'],
  ] as const)('deleting %s is refused with 406 when it is not so', async ([, flag, why]) => {
    const peer = await openPeer();
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    const name = String(queue);
    await peer.openChannel(2);
    await peer.call(2, 'basic.qos', { prefetchCount: 1 });
    await peer.call(2, 'basic.consume', { queue: name });
    for (let i = 0; i < 2; i++) peer.publish(2, { routingKey: name });
    // One is held, one is ready: the broker has taken both before it confirms what came after them.
    await peer.message(2);
    await peer.call(2, 'confirm.select');
    peer.publish(2, { routingKey: name });
    await peer.expect(2, 'basic.ack');
    const refusal = await peer.refused(1, 'queue.delete', { queue: name, ...flag });
    expect(refusal).toMatchObject({ scope: 'channel', code: 406, method: 'queue.delete' });
    expect(refusal.text).toMatch(new RegExp(`^PRECONDITION_FAILED - queue '${name}' in vhost '.*' ${why}$`));
  });

  test('a queue whose messages are all unacked is empty to if-empty', async () => {
    const peer = await openPeer();
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    peer.publish(1, { routingKey: String(queue) });
    peer.send(1, 'basic.get', { queue: String(queue) });
    await peer.message(1);
    expect(await peer.call(1, 'queue.delete', { queue: String(queue), ifEmpty: true })).toEqual({ messageCount: 0 });
  });
});
