import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openChannel, openConfirmChannel, openPeer, publishConfirmed, removeAfterTest } from './clients.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';

/** Waits until every tag up to `count` has its verdict. @returns the tags that were acked, in the order of their acks */
async function verdicts(peer: Peer, count: number): Promise<{ acked: number[]; nacked: number[] }> {
  const open = new Set(Array.from({ length: count }, (_, i) => i + 1));
  const found = { acked: [] as number[], nacked: [] as number[] };
  while (open.size > 0) {
    const frame = await peer.next(1);
    if (frame.kind !== 'method' || (frame.name !== 'basic.ack' && frame.name !== 'basic.nack'))
      throw new Error(`neither ack nor nack: ${frame.kind}`);
    const tag = Number(frame.fields.deliveryTag);
    const tags = frame.fields.multiple ? [...open].filter(each => each <= tag) : [tag];
    for (const each of tags) {
      // A second verdict on the same message would not be in the set any more.
      expect(open.delete(each)).toBe(true);
      (frame.name === 'basic.ack' ? found.acked : found.nacked).push(each);
    }
  }
  return found;
}

async function confirming(): Promise<Peer> {
  const peer = await openPeer();
  await peer.call(1, 'confirm.select');
  return peer;
}

describe('publisher confirms', () => {
  test.for<[string, Record<string, string>, number]>([
    ['transient, in a classic queue', {}, 1],
    ['persistent, in a durable classic queue', {}, 2],
    ['persistent, in a quorum queue', { 'x-queue-type': 'quorum' }, 2],
    ['in a stream', { 'x-queue-type': 'stream' }, 2],
  ])('each message has one verdict, alone or with those before it: %s', async ([, args, deliveryMode]) => {
    const peer = await confirming();
    const queue = uniqueName('confirmed');
    await peer.call(1, 'queue.declare', { queue, durable: true, arguments: args });
    removeAfterTest({ queues: [queue] });
    for (let i = 0; i < 1_000; i++)
      peer.publish(1, { routingKey: queue, properties: { deliveryMode }, body: String(i) });
    const { acked, nacked } = await verdicts(peer, 1_000);
    expect([acked.length, nacked.length]).toEqual([1_000, 0]);
  });

  test('what is confirmed is in the queue for everybody', async () => {
    const channel = await openConfirmChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    for (let count = 1; count <= 20; count++) {
      await publishConfirmed(channel, '', queue);
      expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: count });
    }
  });

  test('a message that goes nowhere is confirmed', async () => {
    const peer = await confirming();
    peer.publish(1, { exchange: 'amq.direct', routingKey: uniqueName('nowhere') });
    expect(await peer.expect(1, 'basic.ack')).toEqual({ deliveryTag: 1, multiple: false });
  });

  test('counting begins with confirm.select, and a second one changes nothing', async () => {
    const peer = await openPeer();
    for (let i = 0; i < 3; i++) peer.publish(1, { routingKey: 'nobody' });
    await peer.call(1, 'confirm.select');
    peer.publish(1, { routingKey: 'nobody' });
    expect(await peer.expect(1, 'basic.ack')).toMatchObject({ deliveryTag: 1 });
    await peer.call(1, 'confirm.select');
    peer.publish(1, { routingKey: 'nobody' });
    expect(await peer.expect(1, 'basic.ack')).toMatchObject({ deliveryTag: 2 });
  });

  test('each channel counts by itself', async () => {
    const peer = await confirming();
    await peer.openChannel(2);
    await peer.call(2, 'confirm.select');
    for (const channel of [1, 1, 2]) peer.publish(channel, { routingKey: 'nobody' });
    expect((await verdicts(peer, 2)).acked).toEqual([1, 2]);
    expect(await peer.expect(2, 'basic.ack')).toMatchObject({ deliveryTag: 1 });
  });

  test('a publish that closes the channel has no verdict, nor has what comes after it', async () => {
    const peer = await confirming();
    peer.publish(1, { routingKey: 'nobody' });
    await peer.expect(1, 'basic.ack');
    peer.publish(1, { exchange: uniqueName('absent') });
    peer.publish(1, { routingKey: 'nobody' });
    expect(await peer.refusal(1)).toMatchObject({ scope: 'channel', code: 404 });
  });

  test('a message for several queues has one verdict', async () => {
    const peer = await confirming();
    const key = uniqueName('several');
    for (let i = 0; i < 3; i++) {
      await peer.call(1, 'queue.declare', { exclusive: true });
      await peer.call(1, 'queue.bind', { exchange: 'amq.direct', routingKey: key });
    }
    for (let i = 0; i < 2; i++) peer.publish(1, { exchange: 'amq.direct', routingKey: key });
    expect((await verdicts(peer, 2)).acked).toEqual([1, 2]);
    await peer.call(1, 'queue.declare', { exclusive: true });
  });

  test('amqplib waits for them', async () => {
    const channel = await openConfirmChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    for (let i = 0; i < 2_000; i++) channel.sendToQueue(queue, Buffer.from(String(i)), { persistent: true });
    await channel.waitForConfirms();
    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 2_000 });
  });
});

describe('mandatory', () => {
  test('a message that goes nowhere comes back whole (312), and then is confirmed', async () => {
    const peer = await confirming();
    const routingKey = uniqueName('nowhere');
    const properties = { messageId: 'm', deliveryMode: 2, headers: { own: 'kept' } };
    peer.publish(1, { exchange: 'amq.topic', routingKey, mandatory: true, properties, body: 'come back' });
    const returned: Message = await peer.message(1);
    expect(returned).toMatchObject({
      name: 'basic.return',
      fields: { code: 312, text: 'NO_ROUTE', exchange: 'amq.topic', routingKey },
      properties,
    });
    expect(returned.body.toString()).toBe('come back');
    expect(await peer.expect(1, 'basic.ack')).toMatchObject({ deliveryTag: 1 });
  });

  test('messages come back in the order they were published, each before its confirm', async () => {
    const peer = await confirming();
    const routingKey = uniqueName('nowhere');
    for (let i = 0; i < 50; i++) peer.publish(1, { routingKey, mandatory: true, body: String(i) });
    let returned = 0;
    let confirmed = 0;
    while (confirmed < 50) {
      const frame = await peer.next(1);
      if (frame.kind === 'method' && frame.name === 'basic.ack') {
        confirmed = Number(frame.fields.deliveryTag);
        expect(confirmed).toBeLessThanOrEqual(returned);
      } else {
        expect((await peer.messageFrom(frame)).body.toString()).toBe(String(returned++));
      }
    }
  });

  test('a message that reaches a queue does not come back', async () => {
    const peer = await confirming();
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    peer.publish(1, { routingKey: String(queue), mandatory: true });
    await peer.expect(1, 'basic.ack');
  });

  test('without confirms it comes back as well', async () => {
    const channel = await openChannel();
    const returned = new Promise<string>(resolve => {
      channel.on('return', message => resolve(`${message.fields.routingKey} ${message.content.toString()}`));
    });
    channel.publish('', 'no such queue', Buffer.from('back'), { mandatory: true });
    expect(await returned).toBe('no such queue back');
  });

  test('without mandatory nothing comes back', async () => {
    const peer = await confirming();
    peer.publish(1, { routingKey: uniqueName('nowhere') });
    await peer.expect(1, 'basic.ack');
  });

  test('a full queue that rejects is a queue: a no, and nothing comes back', async () => {
    const peer = await confirming();
    const args = { 'x-max-length': 0, 'x-overflow': 'reject-publish' };
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true, arguments: args });
    peer.publish(1, { routingKey: String(queue), mandatory: true });
    expect(await peer.expect(1, 'basic.nack')).toMatchObject({ deliveryTag: 1 });
  });
});
