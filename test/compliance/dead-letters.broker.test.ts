import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openChannel, openPeer } from './clients.ts';
import { forgedDeath, hasLastDeath } from './differences.ts';
import { dyingQueue, get, quorum } from './dying-queue.ts';
import { consume, listen } from './inbox.ts';
import { asKnown, whichBroker } from './which-broker.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';
import { type Table, type TableValue, typed } from './wire/table.ts';

const seconds = (): number => Math.floor(Date.now() / 1000);

async function rejectNext(peer: Peer, queue: string): Promise<void> {
  const message = await get(peer, queue);
  peer.send(1, 'basic.reject', { deliveryTag: Number(message?.fields.deliveryTag) });
}

/** What the broker wrote on it; the fields of RabbitMQ 4 that 3 has not are looked at in one place only. */
function deathsOf({ properties }: Message): Table {
  const entries = Object.entries(properties.headers ?? {}).filter(([name]) => !name.startsWith('x-last-death-'));
  return Object.fromEntries(entries);
}

describe('a dead letter', () => {
  test.for<[string, Table, (peer: Peer, queue: string) => Promise<void> | undefined]>([
    ['rejected', {}, rejectNext],
    ['expired', { 'x-message-ttl': 20 }, () => undefined],
    ['maxlen', { 'x-max-length': 0 }, () => undefined],
    ['rejected', quorum, rejectNext],
    ['expired', { ...quorum, 'x-message-ttl': 20 }, () => undefined],
    ['maxlen', { ...quorum, 'x-max-length': 0 }, () => undefined],
  ])('says why (%s, %j), where, when and what it was', async ([reason, args, kill]) => {
    const peer = await openPeer();
    const { queue, died, graveyard } = await dyingQueue(peer, args);
    await peer.call(1, 'queue.bind', { queue, exchange: 'amq.topic', routingKey: `dying.${queue}` });
    await peer.call(1, 'confirm.select');
    const before = seconds();
    peer.publish(1, {
      exchange: 'amq.topic',
      routingKey: `dying.${queue}`,
      properties: { messageId: 'm', deliveryMode: 2, headers: { own: 'kept' } },
      body: 'the same body',
    });
    await peer.expect(1, 'basic.ack');
    await kill(peer, queue);
    const dead = await died();
    expect(dead.fields).toMatchObject({ exchange: '', routingKey: graveyard, redelivered: false });
    expect(dead.body.toString()).toBe('the same body');
    expect(dead.properties).toMatchObject({ messageId: 'm', deliveryMode: 2 });
    const headers = deathsOf(dead);
    expect(headers).toEqual({
      own: 'kept',
      'x-death': [
        {
          count: 1,
          reason,
          queue,
          time: expect.any(Number),
          exchange: 'amq.topic',
          'routing-keys': [`dying.${queue}`],
        },
      ],
      'x-first-death-exchange': 'amq.topic',
      'x-first-death-queue': queue,
      'x-first-death-reason': reason,
    });
    const [{ time }] = headers['x-death'] as [{ time: number }];
    expect(time).toBeGreaterThanOrEqual(before - 1);
    expect(time).toBeLessThanOrEqual(seconds() + 1);
  });

  test('has its count as 64-bit integer and its time as timestamp, so that amqplib reads them', async () => {
    const channel = await openChannel();
    const { queue: graveyard } = await channel.assertQueue('', { exclusive: true });
    const { queue } = await channel.assertQueue('', {
      exclusive: true,
      deadLetterExchange: '',
      deadLetterRoutingKey: graveyard,
    });
    const inbox = await consume(channel, graveyard, { noAck: true });
    channel.sendToQueue(queue, Buffer.from(''), { expiration: 0 });
    const { headers } = (await inbox.next()).properties;
    expect(headers?.['x-death']?.[0]).toMatchObject({
      count: 1,
      time: { '!': 'timestamp', value: expect.any(Number) },
      'original-expiration': '0',
    });
  });

  test('has its last death too, in RabbitMQ 4', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer);
    peer.publish(1, { routingKey: queue });
    await rejectNext(peer, queue);
    const headers = (await died()).properties.headers ?? {};
    const last = Object.entries(headers).filter(([name]) => name.startsWith('x-last-death-'));
    const known = {
      'x-last-death-exchange': '',
      'x-last-death-queue': queue,
      'x-last-death-reason': 'rejected',
    };
    expect(Object.fromEntries(last)).toEqual((await asKnown(hasLastDeath)) ? known : {});
  });

  test('that dies again elsewhere has both deaths, the latest first, and the first for good', async () => {
    const peer = await openPeer();
    const second = await dyingQueue(peer);
    const queue = uniqueName('first');
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': second.queue, 'x-message-ttl': 10 };
    await peer.call(1, 'queue.declare', { queue, exclusive: true, arguments: args });
    await peer.call(1, 'basic.consume', { queue: second.queue });
    peer.publish(1, { routingKey: queue });
    const once = await peer.message(1);
    peer.send(1, 'basic.reject', { deliveryTag: Number(once.fields.deliveryTag) });
    expect(deathsOf(await second.died())).toMatchObject({
      'x-death': [
        { reason: 'rejected', queue: second.queue, count: 1, 'routing-keys': [second.queue] },
        { reason: 'expired', queue, count: 1, 'routing-keys': [queue] },
      ],
      'x-first-death-queue': queue,
      'x-first-death-reason': 'expired',
    });
  });

  test('that dies again in the same way in the same queue is counted', async () => {
    const peer = await openPeer();
    const queue = uniqueName('circle');
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue };
    await peer.call(1, 'queue.declare', { queue, exclusive: true, arguments: args });
    await peer.call(1, 'basic.consume', { queue });
    peer.publish(1, { routingKey: queue });
    for (let count = 1; count <= 3; count++) {
      const { fields } = await peer.message(1);
      peer.send(1, 'basic.reject', { deliveryTag: Number(fields.deliveryTag) });
    }
    const { properties } = await peer.message(1);
    expect(properties.headers?.['x-death']).toMatchObject([{ count: 3, reason: 'rejected', queue }]);
  });
});

describe('the way of a dead letter', () => {
  test('is its own routing key where the queue names none', async () => {
    const channel = await openChannel();
    const key = uniqueName('key');
    const graveyard = await listen(channel, [{ exchange: 'amq.topic', key: `*.${key}` }]);
    const { queue } = await channel.assertQueue('', { exclusive: true, deadLetterExchange: 'amq.topic' });
    await channel.bindQueue(queue, 'amq.direct', `a.${key}`);
    channel.publish('amq.direct', `a.${key}`, Buffer.from('x'), { expiration: 0 });
    const { fields } = await graveyard.next();
    expect(fields).toMatchObject({ exchange: 'amq.topic', routingKey: `a.${key}` });
  });

  test('may lead to several queues', async () => {
    const channel = await openChannel();
    const exchange = uniqueName('deaths');
    await channel.assertExchange(exchange, 'fanout', { autoDelete: true });
    const graveyards = [await listen(channel, [{ exchange, key: '' }]), await listen(channel, [{ exchange, key: '' }])];
    const { queue } = await channel.assertQueue('', { exclusive: true, deadLetterExchange: exchange });
    channel.sendToQueue(queue, Buffer.from('to all'), { expiration: 0 });
    for (const graveyard of graveyards) expect(await graveyard.bodies(1)).toEqual(['to all']);
  });

  test('ends where the exchange is not there, and the queue works on', async () => {
    const channel = await openChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true, deadLetterExchange: uniqueName('absent') });
    channel.sendToQueue(queue, Buffer.from('dies'), { expiration: 0 });
    channel.sendToQueue(queue, Buffer.from('lives'));
    const inbox = await consume(channel, queue, { noAck: true });
    expect(await inbox.bodies(1)).toEqual(['lives']);
  });

  test('is in order, for several rejected at once too', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer);
    await peer.call(1, 'basic.consume', { queue });
    for (const body of 'abc') peer.publish(1, { routingKey: queue, body });
    for (let i = 0; i < 3; i++) await peer.message(1);
    peer.send(1, 'basic.nack', { deliveryTag: 0, multiple: true });
    for (const body of 'abc') expect((await died()).body.toString()).toBe(body);
  });

  test('is not taken by what is acked, requeued, purged or deleted', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer);
    for (const body of ['acked', 'requeued and purged']) peer.publish(1, { routingKey: queue, body });
    const acked = await get(peer, queue);
    peer.send(1, 'basic.ack', { deliveryTag: Number(acked?.fields.deliveryTag) });
    const requeued = await get(peer, queue);
    peer.send(1, 'basic.reject', { deliveryTag: Number(requeued?.fields.deliveryTag), requeue: true });
    const again = await get(peer, queue);
    peer.send(1, 'basic.nack', { deliveryTag: Number(again?.fields.deliveryTag), requeue: true });
    await peer.call(1, 'queue.purge', { queue });
    peer.publish(1, { routingKey: queue, body: 'killed' });
    await rejectNext(peer, queue);
    peer.publish(1, { routingKey: queue, body: 'deleted' });
    await peer.call(1, 'queue.delete', { queue });
    expect((await died()).body.toString()).toBe('killed');
    peer.publish(1, { routingKey: `${queue}-dead`, body: 'end' });
    expect((await died()).body.toString()).toBe('end');
  });
});

describe('a circle', () => {
  test('without a rejection ends after one round', async () => {
    const peer = await openPeer();
    const names = [uniqueName('circle'), uniqueName('circle'), uniqueName('circle')];
    for (const [i, queue] of names.entries()) {
      const next = names[(i + 1) % names.length] ?? '';
      const args = { 'x-message-ttl': 10, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': next };
      await peer.call(1, 'queue.declare', { queue, exclusive: true, arguments: args });
      await peer.call(1, 'queue.bind', { queue, exchange: 'amq.direct', routingKey: queue });
    }
    const [first = '', , last = ''] = names;
    // The last one also tells: what reaches it is on its way back to the first.
    const clock = await dyingQueue(peer, { 'x-message-ttl': 200 });
    peer.publish(1, { routingKey: first, body: 'round' });
    peer.publish(1, { routingKey: clock.queue });
    await clock.died();
    for (const queue of [first, last]) {
      expect(await peer.call(1, 'queue.declare', { queue, passive: true })).toMatchObject({ messageCount: 0 });
      expect(await get(peer, queue)).toBeUndefined();
    }
  });

  test('with a rejection goes on: a retry after a pause', async () => {
    const peer = await openPeer();
    const work = uniqueName('work');
    const pause = uniqueName('pause');
    const to = (queue: string): Table => ({ 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue });
    await peer.call(1, 'queue.declare', { queue: work, exclusive: true, arguments: to(pause) });
    await peer.call(1, 'queue.declare', {
      queue: pause,
      exclusive: true,
      arguments: { ...to(work), 'x-message-ttl': 10 },
    });
    await peer.call(1, 'basic.consume', { queue: work });
    peer.publish(1, { routingKey: work });
    for (let i = 0; i < 4; i++) {
      const { fields, properties } = await peer.message(1);
      if (i > 0)
        expect(properties.headers?.['x-death']).toMatchObject([
          { reason: 'expired', queue: pause, count: i },
          { reason: 'rejected', queue: work, count: i },
        ]);
      peer.send(1, 'basic.reject', { deliveryTag: Number(fields.deliveryTag) });
    }
  });
});

describe('x-death as a client made it up', () => {
  const forged = (queue: string, count: TableValue): Table => ({
    'x-death': [{ count, reason: 'expired', queue, exchange: 'e', 'routing-keys': ['k'] }],
  });

  test('counts for nothing', async () => {
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, { 'x-message-ttl': 20 });
    peer.publish(1, { routingKey: queue, properties: { headers: forged(queue, typed('l', 5)) } });
    expect((await died()).properties.headers).toMatchObject({
      'x-death': [{ queue, count: await asKnown(forgedDeath) }],
    });
  });

  test.for<[string, TableValue]>([
    ['a text', 'many'],
    ['a table', { a: 1 }],
  ])('with %s for a count costs nobody anything', async ([, count], { skip }) => {
    skip((await whichBroker()) === '3.10', 'RabbitMQ 3.10 loses the queue over it');
    const peer = await openPeer();
    const { queue, died } = await dyingQueue(peer, { 'x-message-ttl': 20 });
    peer.publish(1, { routingKey: queue, properties: { headers: forged(queue, count) }, body: 'forged' });
    expect((await died()).body.toString()).toBe('forged');
  });
});
