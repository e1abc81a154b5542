import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openChannel, openConfirmChannel, openPeer, publishConfirmed, removeAfterTest } from './clients.ts';
import { consume, listen } from './inbox.ts';

const empty = Buffer.alloc(0);

describe('routing', () => {
  test('a direct exchange takes a message to the queues bound with its very key', async () => {
    const channel = await openConfirmChannel();
    const exchange = uniqueName('direct');
    await channel.assertExchange(exchange, 'direct', { autoDelete: true });
    const one = await listen(channel, [{ exchange, key: 'one' }]);
    const both = await listen(channel, [
      { exchange, key: 'one' },
      { exchange, key: 'two' },
    ]);
    for (const key of ['one', 'two', 'three', 'One', 'one.two', '', 'last'])
      channel.publish(exchange, key, Buffer.from(key));
    await channel.waitForConfirms();
    expect(await both.bodies(2)).toEqual(['one', 'two']);
    expect(await one.bodies(1)).toEqual(['one']);
    expect([one.size, both.size]).toEqual([0, 0]);
  });

  test('a fanout exchange takes a message to every bound queue, whatever the keys', async () => {
    const channel = await openChannel();
    const exchange = uniqueName('fanout');
    await channel.assertExchange(exchange, 'fanout', { autoDelete: true });
    const inboxes = [
      await listen(channel, [{ exchange, key: '' }]),
      await listen(channel, [{ exchange, key: 'some key' }]),
      await listen(channel, [{ exchange, key: 'another' }]),
    ];
    channel.publish(exchange, 'any', Buffer.from('to all'));
    for (const inbox of inboxes) expect(await inbox.bodies(1)).toEqual(['to all']);
  });

  test('a queue gets one copy, however many of its bindings fit', async () => {
    const channel = await openChannel();
    const exchange = uniqueName('topic');
    await channel.assertExchange(exchange, 'topic', { autoDelete: true });
    const keys = ['a.b', 'a.*', '*.b', '#', 'a.#', 'a.b'];
    const inbox = await listen(
      channel,
      keys.map(key => ({ exchange, key })),
    );
    channel.publish(exchange, 'a.b', Buffer.from('first'));
    channel.publish(exchange, 'a.b', Buffer.from('second'));
    expect(await inbox.bodies(2)).toEqual(['first', 'second']);
  });

  test('the default exchange takes a message to the queue of that name', async () => {
    const channel = await openChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const inbox = await consume(channel, queue, { noAck: true });
    channel.publish('', queue, Buffer.from('by name'));
    expect(await inbox.next()).toMatchObject({ fields: { exchange: '', routingKey: queue } });
  });

  test('a delivery says exchange and routing key of its publish', async () => {
    const channel = await openChannel();
    const key = uniqueName('key');
    const inbox = await listen(channel, [{ exchange: 'amq.topic', key: `${key}.#` }]);
    channel.publish('amq.topic', `${key}.x`, empty);
    expect((await inbox.next()).fields).toMatchObject({ exchange: 'amq.topic', routingKey: `${key}.x` });
  });

  test.for(['amq.direct', 'amq.fanout', 'amq.topic'])('%s is there from the start', async exchange => {
    const channel = await openChannel();
    const key = uniqueName('key');
    await channel.checkExchange(exchange);
    await channel.assertExchange(exchange, exchange.replace('amq.', ''), { durable: true });
    const inbox = await listen(channel, [{ exchange, key }]);
    channel.publish(exchange, key, Buffer.from(key));
    for (let body = ''; body !== key; ) [body = ''] = await inbox.bodies(1);
  });

  test('unbinding stops it, and only that binding', async () => {
    const channel = await openChannel();
    const exchange = uniqueName('direct');
    await channel.assertExchange(exchange, 'direct');
    removeAfterTest({ exchanges: [exchange] });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, 'gone');
    await channel.bindQueue(queue, exchange, 'kept');
    await channel.unbindQueue(queue, exchange, 'gone');
    const inbox = await consume(channel, queue, { noAck: true });
    for (const key of ['gone', 'kept']) channel.publish(exchange, key, Buffer.from(key));
    expect(await inbox.bodies(1)).toEqual(['kept']);
  });

  test('bindings that differ in their arguments are two', async () => {
    const channel = await openChannel();
    const exchange = uniqueName('direct');
    await channel.assertExchange(exchange, 'direct');
    removeAfterTest({ exchanges: [exchange] });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, 'key', { note: 'one' });
    await channel.bindQueue(queue, exchange, 'key', { note: 'two' });
    await channel.unbindQueue(queue, exchange, 'key', { note: 'one' });
    const inbox = await consume(channel, queue, { noAck: true });
    channel.publish(exchange, 'key', Buffer.from('still bound'));
    expect(await inbox.bodies(1)).toEqual(['still bound']);
  });

  test('the bindings of a deleted queue are gone, also for a new queue of its name', async () => {
    const channel = await openConfirmChannel();
    const exchange = uniqueName('direct');
    const queue = uniqueName('again');
    await channel.assertExchange(exchange, 'direct');
    removeAfterTest({ exchanges: [exchange] });
    await channel.assertQueue(queue, { exclusive: true });
    await channel.bindQueue(queue, exchange, 'key');
    await channel.deleteQueue(queue);
    await channel.assertQueue(queue, { exclusive: true });
    await publishConfirmed(channel, exchange, 'key');
    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0 });
  });

  test('the bindings of a deleted exchange are gone, also for a new exchange of its name', async () => {
    const channel = await openConfirmChannel();
    const exchange = uniqueName('direct');
    await channel.assertExchange(exchange, 'direct');
    removeAfterTest({ exchanges: [exchange] });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, 'key');
    await channel.deleteExchange(exchange);
    await channel.assertExchange(exchange, 'direct');
    await publishConfirmed(channel, exchange, 'key');
    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0 });
  });
});

describe('declaring', () => {
  test.for([
    ["'type'", { type: 'fanout' }, "'fanout'", "'direct'"],
    ["'durable'", { durable: true }, "'true'", "'false'"],
    ["'auto_delete'", { autoDelete: true }, "'true'", "'false'"],
    ["'internal'", { internal: true }, "'true'", "'false'"],
  ] as const)('the same name with another %s is 406', async ([field, other, received, current]) => {
    const peer = await openPeer();
    const exchange = uniqueName('declared');
    await peer.call(1, 'exchange.declare', { exchange, type: 'direct' });
    removeAfterTest({ exchanges: [exchange] });
    const refusal = await peer.refused(1, 'exchange.declare', { exchange, type: 'direct', ...other });
    expect(refusal).toMatchObject({ scope: 'channel', code: 406, method: 'exchange.declare' });
    expect(refusal.text).toMatch(
      new RegExp(
        `^PRECONDITION_FAILED - inequivalent arg ${field} for exchange '${exchange}' in vhost '.*': received ${received} but current is ${current}$`,
      ),
    );
  });

  test('the same again is no error, nor are other arguments that nobody knows', async () => {
    const channel = await openChannel();
    const exchange = uniqueName('declared');
    removeAfterTest({ exchanges: [exchange] });
    for (let i = 0; i < 2; i++) await channel.assertExchange(exchange, 'topic', { durable: false, internal: true });
    await channel.assertExchange(exchange, 'topic', { durable: false, internal: true, arguments: { note: 1 } });
  });

  test('asking for an exchange takes no notice of the other fields', async () => {
    const peer = await openPeer();
    await peer.call(1, 'exchange.declare', { exchange: 'amq.topic', passive: true, type: 'direct', autoDelete: true });
  });

  test('an auto-delete exchange goes with its last binding, and not before it had one', async () => {
    const peer = await openPeer();
    const exchange = uniqueName('auto');
    await peer.call(1, 'exchange.declare', { exchange, type: 'direct', autoDelete: true });
    await peer.call(1, 'queue.declare', { exclusive: true });
    for (const routingKey of ['a', 'b']) await peer.call(1, 'queue.bind', { exchange, routingKey });
    await peer.call(1, 'queue.unbind', { exchange, routingKey: 'a' });
    await peer.call(1, 'exchange.declare', { exchange, passive: true });
    await peer.call(1, 'queue.unbind', { exchange, routingKey: 'b' });
    expect(await peer.refused(1, 'exchange.declare', { exchange, passive: true })).toMatchObject({ code: 404 });
  });

  test('an auto-delete exchange goes with the queue that was bound last', async () => {
    const peer = await openPeer();
    const exchange = uniqueName('auto');
    await peer.call(1, 'exchange.declare', { exchange, type: 'direct', autoDelete: true });
    await peer.call(1, 'queue.declare', { exclusive: true });
    await peer.call(1, 'queue.bind', { exchange, routingKey: 'a' });
    await peer.call(1, 'queue.delete');
    expect(await peer.refused(1, 'exchange.declare', { exchange, passive: true })).toMatchObject({ code: 404 });
  });

  test('an exchange that is used is not deleted if-unused (406), and is without', async () => {
    const peer = await openPeer();
    const exchange = uniqueName('used');
    removeAfterTest({ exchanges: [exchange] });
    await peer.call(1, 'exchange.declare', { exchange, type: 'direct' });
    await peer.call(1, 'queue.declare', { exclusive: true });
    await peer.call(1, 'queue.bind', { exchange });
    const refusal = await peer.refused(1, 'exchange.delete', { exchange, ifUnused: true });
    expect(refusal).toMatchObject({ scope: 'channel', code: 406, method: 'exchange.delete' });
    expect(refusal.text).toMatch(new RegExp(`^PRECONDITION_FAILED - exchange '${exchange}' in vhost '.*' in use$`));
    await peer.openChannel(1);
    await peer.call(1, 'exchange.delete', { exchange });
  });

  test('an exchange that is not used is deleted if-unused', async () => {
    const channel = await openChannel();
    const exchange = uniqueName('unused');
    await channel.assertExchange(exchange, 'direct');
    await channel.deleteExchange(exchange, { ifUnused: true });
    await expect(channel.checkExchange(exchange)).rejects.toMatchObject({ code: 404 });
  });

  test('with nowait nothing is answered, and it is done', async () => {
    const peer = await openPeer();
    const exchange = uniqueName('nowait');
    const queue = uniqueName('nowait');
    peer.send(1, 'exchange.declare', { exchange, type: 'direct', nowait: true });
    peer.send(1, 'queue.declare', { queue, exclusive: true, nowait: true });
    peer.send(1, 'queue.bind', { queue, exchange, routingKey: 'k', nowait: true });
    peer.send(1, 'basic.consume', { queue, consumerTag: 'c', nowait: true });
    peer.send(1, 'confirm.select', { nowait: true });
    peer.publish(1, { exchange, routingKey: 'k', body: 'through' });
    const seen = [await peer.next(1), await peer.next(1), await peer.next(1), await peer.next(1)].map(frame =>
      frame.kind === 'method' ? frame.name : frame.kind,
    );
    expect(seen.toSorted()).toEqual(['basic.ack', 'basic.deliver', 'body', 'header']);
    peer.send(1, 'basic.cancel', { consumerTag: 'c', nowait: true });
    peer.send(1, 'queue.purge', { queue, nowait: true });
    peer.send(1, 'queue.delete', { queue, nowait: true });
    peer.send(1, 'exchange.delete', { exchange, nowait: true });
    expect(await peer.refused(1, 'exchange.declare', { exchange, passive: true })).toMatchObject({ code: 404 });
  });

  test('names may be of any characters and of 255 bytes', async () => {
    const channel = await openChannel();
    const mark = uniqueName('');
    for (const name of [`${mark} Ünïcode/№`, `${mark}${'x'.repeat(255 - mark.length)}`]) {
      await channel.assertExchange(name, 'direct', { autoDelete: true });
      await channel.assertQueue(name, { exclusive: true });
      await channel.bindQueue(name, name, name);
      const inbox = await consume(channel, name, { noAck: true });
      channel.publish(name, name, Buffer.from('arrived'));
      expect(await inbox.bodies(1)).toEqual(['arrived']);
    }
  });
});
