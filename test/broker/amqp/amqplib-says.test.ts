import type { Message } from 'amqplib';
import { describe, expect, test } from 'vitest';
import { encodeRoute } from '../../../services/broker/amqp/content.ts';
import { Typed } from '../../../services/broker/amqp/field-value.ts';
import type { Method } from '../../../services/broker/amqp/method-spec.ts';
import { decodeProperties } from '../../../services/broker/amqp/properties.ts';
import { frameMax, startSession } from './amqplib-session.ts';
import type { ScriptedBroker } from './scripted-broker.ts';

/** What was received of that method, without its octets. */
function said(broker: ScriptedBroker, name: Method['name']): unknown[] {
  return broker.received.flatMap(({ method }) => {
    const { route: _, ...plain } = { route: undefined, ...method };
    return method.name === name ? [plain] : [];
  });
}

describe("amqplib's octets mean what it was told", () => {
  test('from the handshake to the close', async () => {
    await using session = await startSession(() => undefined);
    const { broker, connection } = session;
    await connection.updateSecret(Buffer.from('new secret'), 'rotation');
    await connection.close();
    expect(said(broker, 'connection.start-ok')).toMatchObject([
      {
        mechanism: 'PLAIN',
        response: Buffer.from('\0user\0secret'),
        locale: 'en_US',
        clientProperties: {
          product: 'amqplib',
          capabilities: { 'connection.blocked': true, consumer_cancel_notify: true, 'basic.nack': true },
        },
      },
    ]);
    expect(said(broker, 'connection.tune-ok')).toMatchObject([{ channelMax: 100, frameMax, heartbeat: 0 }]);
    expect(said(broker, 'connection.open')).toEqual([{ name: 'connection.open', virtualHost: 'a/vhost' }]);
    expect(said(broker, 'connection.update-secret')).toMatchObject([
      { newSecret: Buffer.from('new secret'), reason: 'rotation' },
    ]);
    expect(said(broker, 'connection.close')).toMatchObject([{ replyCode: 200, classId: 0, methodId: 0 }]);
  });

  test('when it declares, binds, purges and deletes', async () => {
    await using session = await startSession(() => undefined);
    const { broker, channel } = session;
    await channel.assertExchange('ex', 'topic', {
      durable: false,
      internal: true,
      arguments: { deep: { er: [1, -2] } },
    });
    await channel.bindExchange('to', 'from', 'key', { a: 'b' });
    await channel.unbindExchange('to', 'from', 'key', { a: 'b' });
    expect(
      await channel.assertQueue('', { exclusive: true, expires: 60_000, arguments: { pi: 3.14, big: 2 ** 40 } }),
    ).toEqual({ queue: 'amq.gen-1', messageCount: 7, consumerCount: 3 });
    await channel.bindQueue('q', 'ex', 'a.*', {});
    await channel.unbindQueue('q', 'ex', 'a.*', {});
    expect(await channel.purgeQueue('q')).toEqual({ messageCount: 5 });
    expect(await channel.deleteQueue('q', { ifEmpty: true })).toEqual({ messageCount: 4 });
    await channel.deleteExchange('ex', { ifUnused: true });
    expect(said(broker, 'exchange.declare')).toEqual([
      {
        name: 'exchange.declare',
        exchange: 'ex',
        type: 'topic',
        passive: false,
        durable: false,
        autoDelete: false,
        internal: true,
        nowait: false,
        arguments: { deep: { er: [1, -2] } },
      },
    ]);
    const binding = { destination: 'to', source: 'from', routingKey: 'key', nowait: false, arguments: { a: 'b' } };
    expect(said(broker, 'exchange.bind')).toEqual([{ name: 'exchange.bind', ...binding }]);
    expect(said(broker, 'exchange.unbind')).toEqual([{ name: 'exchange.unbind', ...binding }]);
    expect(said(broker, 'queue.declare')).toEqual([
      {
        name: 'queue.declare',
        queue: '',
        passive: false,
        durable: true,
        exclusive: true,
        autoDelete: false,
        nowait: false,
        arguments: { 'x-expires': 60_000, pi: 3.14, big: 2 ** 40 },
      },
    ]);
    expect(said(broker, 'queue.bind')).toMatchObject([{ queue: 'q', exchange: 'ex', routingKey: 'a.*' }]);
    expect(said(broker, 'queue.unbind')).toMatchObject([{ queue: 'q', exchange: 'ex', routingKey: 'a.*' }]);
    expect(said(broker, 'queue.delete')).toMatchObject([{ queue: 'q', ifUnused: false, ifEmpty: true }]);
    expect(said(broker, 'exchange.delete')).toMatchObject([{ exchange: 'ex', ifUnused: true }]);
  });

  test('when it publishes, whatever the size', async () => {
    await using session = await startSession(() => undefined);
    const { broker, connection, channel } = session;
    const headers = { n: 1, nothing: null, list: ['a', { b: true }], at: { '!': 'timestamp', value: 1_700_000_000 } };
    const bodies = [0, 1, frameMax - 8, frameMax - 7, 100_000].map(size => Buffer.alloc(size, 'amqplib'));
    for (const body of bodies) {
      channel.publish('ex', 'clé', body, {
        mandatory: true,
        persistent: true,
        contentType: 'text/plain',
        headers,
        priority: 3,
        correlationId: 'c',
        replyTo: 'r',
        expiration: 1500,
        messageId: 'm',
        timestamp: 1_700_000_001,
        type: 't',
        userId: 'u',
        appId: 'a',
      });
    }
    await connection.close();
    const published = broker.received.filter(({ method }) => method.name === 'basic.publish');
    expect(published.map(({ body }) => body)).toEqual(bodies);
    for (const { method, properties } of published) {
      const route = encodeRoute('ex', 'clé');
      expect(method).toMatchObject({ exchange: 'ex', routingKey: 'clé', mandatory: true, immediate: false, route });
      expect(decodeProperties(properties ?? Buffer.alloc(0))).toEqual({
        contentType: 'text/plain',
        headers: { ...headers, at: new Typed('T', 1_700_000_000) },
        deliveryMode: 2,
        priority: 3,
        correlationId: 'c',
        replyTo: 'r',
        expiration: '1500',
        messageId: 'm',
        timestamp: 1_700_000_001,
        type: 't',
        userId: 'u',
        appId: 'a',
      });
    }
  });

  test('when it consumes, acknowledges and rejects', async () => {
    await using session = await startSession(() => undefined);
    const { broker, connection, channel } = session;
    await channel.prefetch(10);
    await channel.consume('q', () => {}, { consumerTag: 'tag', noAck: false, priority: 2 });
    const delivered = (deliveryTag: number): Message => ({ fields: { deliveryTag } }) as Message;
    channel.ack(delivered(1));
    channel.ack(delivered(2 ** 40), true);
    channel.nack(delivered(4), true, false);
    channel.reject(delivered(5), true);
    expect(await channel.get('q', { noAck: true })).toBe(false);
    await channel.recover();
    await channel.cancel('tag');
    await channel.close();
    await connection.close();
    expect(said(broker, 'basic.qos')).toMatchObject([{ prefetchSize: 0, prefetchCount: 10, global: false }]);
    expect(said(broker, 'basic.consume')).toMatchObject([
      {
        queue: 'q',
        consumerTag: 'tag',
        noLocal: false,
        noAck: false,
        exclusive: false,
        arguments: { 'x-priority': 2 },
      },
    ]);
    expect(said(broker, 'basic.ack')).toMatchObject([
      { deliveryTag: 1, multiple: false },
      { deliveryTag: 2 ** 40, multiple: true },
    ]);
    expect(said(broker, 'basic.nack')).toMatchObject([{ deliveryTag: 4, multiple: true, requeue: false }]);
    expect(said(broker, 'basic.reject')).toMatchObject([{ deliveryTag: 5, requeue: true }]);
    expect(said(broker, 'basic.get')).toMatchObject([{ queue: 'q', noAck: true }]);
    expect(said(broker, 'basic.recover')).toMatchObject([{ requeue: true }]);
    expect(said(broker, 'basic.cancel')).toMatchObject([{ consumerTag: 'tag' }]);
  });
});
