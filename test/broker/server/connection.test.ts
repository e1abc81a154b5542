import { describe, expect, test } from 'vitest';
import { methodFrame } from '../../../services/broker/amqp/encode-method.ts';
import type { FieldTable } from '../../../services/broker/amqp/field-value.ts';
import { heartbeatFrame } from '../../../services/broker/amqp/frame.ts';
import type { MessageQueue } from '../../../services/broker/core/queue.ts';
import { message, TestConsumer } from '../core/fixtures.ts';
import { header, loginOf, openClient, TestClient, TestServer } from './fixtures.ts';
import { publishFrames } from './publish-frames.ts';

describe('a stranger', () => {
  test('that says nothing, or does not get through the handshake, is cut after ten seconds', async () => {
    const server = new TestServer();
    const silent = new TestClient(server);
    const slow = new TestClient(server);
    slow.startOk();
    await Promise.resolve();
    server.clock.pass(10_000);
    for (const { connection, wire } of [silent, slow]) {
      connection.tick(server.now());
      expect(wire.isDestroyed).toBe(false);
    }
    server.clock.pass(1);
    for (const { connection, wire } of [silent, slow]) {
      connection.tick(server.now());
      expect([wire.isDestroyed, connection.isClosed]).toEqual([true, true]);
    }
  });

  test('that says 64 KiB before it has logged in is cut', () => {
    const talker = new TestClient(new TestServer());
    talker.bytes(header);
    for (let i = 0; i < 8_190; i++) talker.bytes(heartbeatFrame);
    expect(talker.wire.isDestroyed).toBe(false);
    for (let i = 0; i < 10; i++) talker.bytes(heartbeatFrame);
    expect(talker.wire.isDestroyed).toBe(true);
  });

  test('is not read while its password is checked, and then goes on where it was', async () => {
    const server = new TestServer();
    const checked = Promise.withResolvers<ReturnType<typeof loginOf>>();
    server.login = () => checked.promise;
    const client = new TestClient(server);
    client.startOk();
    expect(client.wire.isPaused).toBe(true);
    client.send({ name: 'connection.tune-ok', channelMax: 10, frameMax: 8192, heartbeat: 0 });
    expect(client.wire.said()).toEqual(['connection.start']);
    checked.resolve(loginOf('ann'));
    await checked.promise;
    await Promise.resolve();
    server.flush();
    expect([client.wire.isPaused, client.wire.said()]).toEqual([false, ['connection.tune']]);
    client.send({ name: 'connection.open', virtualHost: '/' });
    expect(client.wire.said()).toEqual(['connection.open-ok']);
  });

  test('costs nobody else anything when its password cannot be checked', async () => {
    const server = new TestServer();
    server.login = () => Promise.reject(new Error('out of memory'));
    const client = new TestClient(server);
    client.startOk();
    await new Promise(setImmediate);
    expect(client.wire.isEnded).toBe(true);
    expect(server.warnings).toEqual(['cannot check a password: out of memory']);
  });
});

describe('heartbeats', () => {
  test('go out when we have been silent for half the interval, and not while we talk', async () => {
    const server = new TestServer();
    const client = await openClient(server, { heartbeat: 10 });
    const tick = (ms: number): void => {
      server.clock.pass(ms);
      client.connection.tick(server.now());
      server.flush();
    };
    tick(4_999);
    expect(client.wire.heartbeats).toBe(0);
    tick(1);
    expect(client.wire.heartbeats).toBe(1);
    tick(2_500);
    client.send({ name: 'confirm.select', nowait: false }, 1);
    tick(4_999);
    expect(client.wire.heartbeats).toBe(1);
  });

  test('that do not come in for two intervals end it, and what the client held goes back', async () => {
    const server = new TestServer();
    const client = await openClient(server, { heartbeat: 10 });
    declare(client, 'q');
    consume(client, 'q');
    server.broker.publish(server.broker.exchange(''), message('q', 'held'));
    const queue = server.broker.queue('q', {});
    expect(queue).toMatchObject({ messageCount: 0, unackedCount: 1 });
    server.clock.pass(20_000);
    client.connection.tick(server.now());
    expect(client.wire.isDestroyed).toBe(false);
    server.clock.pass(1);
    client.connection.tick(server.now());
    expect(client.wire.isDestroyed).toBe(true);
    expect(queue).toMatchObject({ messageCount: 1, unackedCount: 0, consumerCount: 0 });
  });
});

describe('an alarm', () => {
  test('stops whoever publishes, tells it, and lets it go on; others hear nothing of it', async () => {
    const server = new TestServer();
    const publisher = await openClient(server, { heartbeat: 1 });
    const consumer = await openClient(server);
    publisher.bytes(publishFrames(1, 'nowhere', 'x'));
    server.alarm = 'low on memory';
    for (const { connection } of [publisher, consumer]) connection.alarmChanged();
    server.flush();
    expect([publisher.wire.isPaused, publisher.wire.said()]).toEqual([true, ['connection.blocked']]);
    expect([consumer.wire.isPaused, consumer.wire.said()]).toEqual([false, []]);
    // Not read, it cannot be heard: its silence is not its fault.
    server.clock.pass(60_000);
    publisher.connection.tick(server.now());
    expect(publisher.wire.isDestroyed).toBe(false);
    server.alarm = undefined;
    publisher.connection.alarmChanged();
    server.flush();
    expect([publisher.wire.isPaused, publisher.wire.said()]).toEqual([false, ['connection.unblocked']]);
    publisher.connection.tick(server.now());
    expect(publisher.wire.isDestroyed).toBe(false);
  });

  test('that is on already stops a client at its first publish', async () => {
    const server = new TestServer();
    server.alarm = 'low on disk';
    const client = await openClient(server);
    client.bytes(publishFrames(1, 'nowhere', 'x'));
    expect([client.wire.isPaused, client.wire.said()]).toEqual([true, ['connection.blocked']]);
  });
});

describe('a client that does not read', () => {
  test('is delivered no more than a mebibyte and one message, and goes on when it reads again', async () => {
    const server = new TestServer();
    const client = await openClient(server);
    declare(client, 'q');
    consume(client, 'q');
    client.wire.takes = false;
    const body = 'x'.repeat(10_000);
    for (let i = 0; i < 1_000; i++) {
      server.broker.publish(server.broker.exchange(''), message('q', body));
      if (i % 10 === 0) server.flush();
    }
    server.flush();
    expect(client.wire.waitingBytes).toBeGreaterThan(2 ** 20 - 20_000);
    expect(client.wire.waitingBytes).toBeLessThan(2 ** 20 + 20_000);
    expect(server.broker.queue('q', {}).messageCount).toBe(1_000 - client.wire.deliveries);
    client.wire.takes = true;
    client.wire.waitingBytes = 0;
    client.connection.drained();
    server.flush();
    for (let i = 0; i < 20; i++) {
      client.connection.drained();
      server.flush();
    }
    expect(client.wire.deliveries).toBe(1_000);
  });

  test('is not read either, once what it asked for is 64 MiB', async () => {
    const server = new TestServer();
    const client = await openClient(server);
    declare(client, 'q');
    const large = { ...message('q', ''), body: Buffer.alloc(2 ** 20) };
    for (let i = 0; i < 80; i++) server.broker.publish(server.broker.exchange(''), large);
    client.wire.takes = false;
    let asked = 0;
    for (; asked < 80 && !client.wire.isPaused; asked++) client.send({ name: 'basic.get', queue: 'q', noAck: true }, 1);
    expect(asked).toBe(64);
    client.wire.waitingBytes = 0;
    client.connection.drained();
    expect(client.wire.isPaused).toBe(false);
  });

  test('is given up when others send it replies past 128 MiB', async () => {
    const server = new TestServer();
    const asker = await openClient(server);
    consume(asker, 'amq.rabbitmq.reply-to');
    const replier = await openClient(server);
    declare(replier, 'service');
    asker.bytes(publishFrames(1, 'service', 'ask', { replyTo: 'amq.rabbitmq.reply-to' }));
    asker.wire.takes = false;
    const reply = { ...message('', ''), body: Buffer.alloc(2 ** 20) };
    // The first name was the consumer's tag.
    const address = 'amq.rabbitmq.reply-to.name2';
    for (let i = 0; i < 200 && server.replies.has(address); i++) {
      server.replies.deliver(address, reply);
      server.flush();
    }
    expect([asker.wire.isDestroyed, server.replies.has(address)]).toEqual([true, false]);
    expect(asker.wire.waitingBytes).toBeLessThan(130 * 2 ** 20);
    expect(server.warnings).toEqual(['127.0.0.1:1 does not read what it is sent: disconnected']);
  });
});

describe('the end of a connection', () => {
  test('of which the client does not speak is not waited for', async () => {
    const server = new TestServer();
    const client = await openClient(server);
    client.connection.close('maintenance');
    server.flush();
    expect(client.wire.methods).toMatchObject([
      { name: 'connection.close', replyCode: 320, replyText: 'CONNECTION_FORCED - maintenance' },
    ]);
    server.clock.pass(3_001);
    client.connection.tick(server.now());
    expect(client.wire.isDestroyed).toBe(true);
  });

  test('gives what one of its channels held to others, and not to another channel of it', async () => {
    const server = new TestServer();
    const client = await openClient(server);
    declare(client, 'q', { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 });
    client.send({ name: 'channel.open' }, 2);
    for (const channel of [1, 2]) consume(client, 'q', channel);
    const other = await openClient(server);
    for (const body of 'abcd') server.broker.publish(server.broker.exchange(''), message('q', body));
    client.connection.lost();
    // Handed to the other channel first they would have come back twice, and be dead now.
    expect(server.broker.queue('q', {}).messageCount).toBe(4);
    consume(other, 'q');
    expect(other.wire.deliveries).toBe(4);
  });

  test('gives all that its channels held back before others get any, so they get it in order', async () => {
    const server = new TestServer();
    const client = await openClient(server);
    declare(client, 'q');
    client.send({ name: 'channel.open' }, 2);
    for (const [channel, body] of [
      [2, 'a'],
      [1, 'b'],
    ] as const) {
      client.send({ name: 'basic.qos', prefetchSize: 0, prefetchCount: 1, global: false }, channel);
      consume(client, 'q', channel);
      server.broker.publish(server.broker.exchange(''), message('q', body));
    }
    const other = new TestConsumer();
    (server.broker.queue('q', {}) as MessageQueue).addConsumer(other);
    client.connection.lost();
    expect(other.bodies).toEqual(['a', 'b']);
  });

  test('comes with a bug of ours, which is told to the operator, and to nobody else', async () => {
    const server = new TestServer();
    const client = await openClient(server);
    server.broker.exchange = () => {
      throw new TypeError('nothing to see here');
    };
    client.bytes(publishFrames(1, 'q', 'x'));
    expect(client.wire.methods).toMatchObject([{ name: 'connection.close', replyCode: 541 }]);
    expect(server.warnings.join()).toContain('a bug: TypeError: nothing to see here');
  });
});

test('channels that we closed and that the client never confirmed count as channels', async () => {
  const server = new TestServer();
  const client = await openClient(server);
  for (let channel = 1; channel <= 100; channel++) {
    if (channel > 1) client.send({ name: 'channel.open' }, channel);
    client.bytes(methodFrame(channel, { name: 'basic.ack', deliveryTag: 9, multiple: false }));
  }
  client.wire.said();
  client.send({ name: 'channel.open' }, 101);
  expect(client.wire.methods).toMatchObject([{ name: 'connection.close', replyCode: 530 }]);
});

function consume(client: TestClient, queue: string, channel = 1): void {
  client.send(
    {
      name: 'basic.consume',
      queue,
      consumerTag: '',
      noLocal: false,
      noAck: queue.startsWith('amq.'),
      exclusive: false,
      nowait: false,
      arguments: {},
    },
    channel,
  );
}

function declare(client: TestClient, queue: string, args: FieldTable = {}): void {
  const flags = { passive: false, durable: true, exclusive: false, autoDelete: false, nowait: false };
  client.send({ name: 'queue.declare', queue, ...flags, arguments: args }, 1);
}
