import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openChannel, openPeer } from './clients.ts';
import { deliveredReplyIsReturned } from './differences.ts';
import { consume } from './inbox.ts';
import { asKnown } from './which-broker.ts';
import type { Peer } from './wire/peer.ts';

const replyTo = 'amq.rabbitmq.reply-to';

/** An asker, a server that consumes `queue`, and the address that the server got from the asker's first request. */
async function asked(): Promise<{ asker: Peer; server: Peer; queue: string; address: string }> {
  const server = await openPeer();
  const queue = uniqueName('service');
  await server.call(1, 'queue.declare', { queue, exclusive: true });
  await server.call(1, 'basic.consume', { queue, noAck: true });
  const asker = await openPeer();
  await asker.call(1, 'basic.consume', { queue: replyTo, noAck: true, consumerTag: 'replies' });
  asker.publish(1, { routingKey: queue, properties: { replyTo, correlationId: '1' }, body: 'ask' });
  const { properties } = await server.message(1);
  return { asker, server, queue, address: properties.replyTo ?? '' };
}

describe('direct reply-to', () => {
  test('a request carries an address of its channel, and a reply sent there arrives', async () => {
    const { asker, server, address } = await asked();
    expect(address).toMatch(/^amq\.rabbitmq\.reply-to\.\S+$/);
    server.publish(1, { routingKey: address, properties: { correlationId: '1', headers: { a: 1 } }, body: 'answer' });
    const reply = await asker.message(1);
    expect(reply).toMatchObject({
      fields: { consumerTag: 'replies', exchange: '', routingKey: address, redelivered: false },
      properties: { correlationId: '1', headers: { a: 1 } },
    });
    expect(reply.body.toString()).toBe('answer');
  });

  test('the address stays the same, and serves for any number of replies, in order', async () => {
    const { asker, server, queue, address } = await asked();
    asker.publish(1, { routingKey: queue, properties: { replyTo } });
    expect((await server.message(1)).properties.replyTo).toBe(address);
    for (let i = 0; i < 100; i++) server.publish(1, { routingKey: address, body: String(i) });
    for (let i = 0; i < 100; i++) expect((await asker.message(1)).body.toString()).toBe(String(i));
  });

  test('amqplib asks and answers with it', async () => {
    const server = await openChannel();
    const { queue } = await server.assertQueue('', { exclusive: true });
    await server.consume(
      queue,
      message => {
        if (!message) return;
        server.sendToQueue(message.properties.replyTo, Buffer.from(`${message.content}!`), {
          correlationId: message.properties.correlationId,
        });
      },
      { noAck: true },
    );
    const asker = await openChannel();
    const replies = await consume(asker, replyTo, { noAck: true });
    for (let i = 0; i < 50; i++) {
      asker.sendToQueue(queue, Buffer.from(String(i)), { replyTo, correlationId: String(i) });
      const reply = await replies.next();
      expect([reply.content.toString(), reply.properties.correlationId]).toEqual([`${i}!`, String(i)]);
    }
  });

  test('an asker with confirms is confirmed as for any publish', async () => {
    const { asker, server, queue } = await asked();
    await asker.call(1, 'confirm.select');
    asker.publish(1, { routingKey: queue, properties: { replyTo }, mandatory: true });
    await asker.expect(1, 'basic.ack');
    await server.message(1);
  });

  test('a mandatory reply reaches its asker', async () => {
    const { asker, server, address } = await asked();
    await server.call(1, 'confirm.select');
    server.publish(1, { routingKey: address, mandatory: true, body: 'answer' });
    expect((await asker.message(1)).body.toString()).toBe('answer');
    if (await asKnown(deliveredReplyIsReturned)) expect((await server.message(1)).fields).toMatchObject({ code: 312 });
    await server.expect(1, 'basic.ack');
  });

  test.for<[string, (asker: Peer) => unknown]>([
    ['has cancelled', asker => asker.call(1, 'basic.cancel', { consumerTag: 'replies' })],
    ['has closed its channel', asker => asker.call(1, 'channel.close', { code: 200 })],
    ['has closed its connection', asker => asker.call(0, 'connection.close', { code: 200 })],
  ])('a mandatory reply to an asker that %s comes back (312)', async ([, end]) => {
    const { asker, server, address } = await asked();
    await end(asker);
    await server.call(1, 'confirm.select');
    server.publish(1, { routingKey: address, mandatory: true });
    expect((await server.message(1)).fields).toMatchObject({ code: 312, text: 'NO_ROUTE', routingKey: address });
    await server.expect(1, 'basic.ack');
  });

  test('an address that nobody has is a queue that is not there', async () => {
    const peer = await openPeer();
    await peer.call(1, 'confirm.select');
    peer.publish(1, { routingKey: `${replyTo}.nobody`, mandatory: true });
    expect((await peer.message(1)).fields).toMatchObject({ code: 312 });
    await peer.expect(1, 'basic.ack');
  });

  test('an address is looked up by asking for the queue: there, and 404 once the asker is gone', async () => {
    const { asker, server, address } = await asked();
    const there = await server.call(1, 'queue.declare', { queue: address, passive: true });
    expect(there).toEqual({ queue: address, messageCount: 0, consumerCount: 1 });
    await asker.call(0, 'connection.close', { code: 200 });
    const refusal = await server.refused(1, 'queue.declare', { queue: address, passive: true });
    expect(refusal).toMatchObject({ scope: 'channel', code: 404 });
  });

  test('only the default exchange leads there', async () => {
    const { server, address } = await asked();
    server.publish(1, { exchange: 'amq.direct', routingKey: address, mandatory: true });
    expect((await server.message(1)).fields).toMatchObject({ code: 312, exchange: 'amq.direct' });
  });

  test('after another subscription the old address leads nowhere', async () => {
    const { asker, server, address } = await asked();
    await asker.call(1, 'basic.cancel', { consumerTag: 'replies' });
    await asker.call(1, 'basic.consume', { queue: replyTo, noAck: true });
    server.publish(1, { routingKey: address, mandatory: true });
    expect((await server.message(1)).fields).toMatchObject({ code: 312 });
  });
});

describe('direct reply-to misused is 406', () => {
  test.for<[string, (peer: Peer) => Promise<void> | void, string, string]>([
    [
      'consuming with acknowledgements',
      peer => peer.send(1, 'basic.consume', { queue: replyTo }),
      'reply consumer cannot acknowledge',
      'basic.consume',
    ],
    [
      'consuming twice on a channel',
      async peer => {
        await peer.call(1, 'basic.consume', { queue: replyTo, noAck: true });
        peer.send(1, 'basic.consume', { queue: replyTo, noAck: true });
      },
      'reply consumer already set',
      'basic.consume',
    ],
    [
      'asking without consuming',
      peer => peer.publish(1, { routingKey: 'nobody', properties: { replyTo } }),
      'fast reply consumer does not exist',
      'basic.publish',
    ],
    [
      'asking on another channel than the one that consumes',
      async peer => {
        await peer.openChannel(2);
        await peer.call(2, 'basic.consume', { queue: replyTo, noAck: true });
        peer.publish(1, { routingKey: 'nobody', properties: { replyTo } });
      },
      'fast reply consumer does not exist',
      'basic.publish',
    ],
    [
      'asking after having cancelled',
      async peer => {
        await peer.call(1, 'basic.consume', { queue: replyTo, noAck: true, consumerTag: 'c' });
        await peer.call(1, 'basic.cancel', { consumerTag: 'c' });
        peer.publish(1, { routingKey: 'nobody', properties: { replyTo } });
      },
      'fast reply consumer does not exist',
      'basic.publish',
    ],
  ])('%s', async ([, act, why, method]) => {
    const peer = await openPeer();
    await act(peer);
    const text = `PRECONDITION_FAILED - ${why}`;
    expect(await peer.refusal(1)).toEqual({ scope: 'channel', code: 406, text, method });
  });

  test('getting from it is 404', async () => {
    const peer = await openPeer();
    expect(await peer.refused(1, 'basic.get', { queue: replyTo })).toMatchObject({ scope: 'channel', code: 404 });
  });

  test('asking for it is answered', async () => {
    const peer = await openPeer();
    expect(await peer.call(1, 'queue.declare', { queue: replyTo, passive: true })).toMatchObject({ queue: replyTo });
  });
});
