import { once } from 'node:events';
import type { ConsumeMessage, Message } from 'amqplib';
import { describe, expect, test } from 'vitest';
import { deliveryPrefix, encodeRoute, pushContent, pushDelivery } from '../../../services/broker/amqp/content.ts';
import { withHeaders } from '../../../services/broker/amqp/edit-properties.ts';
import { ackFrame, methodFrame, nackFrame } from '../../../services/broker/amqp/encode-method.ts';
import { Typed } from '../../../services/broker/amqp/field-value.ts';
import { encodeProperties } from '../../../services/broker/amqp/properties.ts';
import { frameMax, startSession, usual } from './amqplib-session.ts';

describe('our octets mean to amqplib what they should', () => {
  const section = encodeProperties({
    contentType: 'text/plain',
    deliveryMode: 2,
    headers: { n: 1 },
    correlationId: 'c',
    timestamp: 1_700_000_000,
  });
  const bodies = [0, 1, 2048, 2049, frameMax - 8, frameMax - 7, 100_000].map(size => Buffer.alloc(size, 'ours'));

  test('in deliveries of any size', async () => {
    const redelivered = withHeaders(section, {
      'x-delivery-count': new Typed('l', 2),
      'x-death': [{ reason: 'expired', count: 1n, time: new Typed('T', 1_700_000_000), 'routing-keys': ['k'] }],
    });
    const sent = (): Buffer[] => {
      const out: Buffer[] = [];
      const prefix = deliveryPrefix(1, 'tag');
      for (const [index, body] of bodies.entries()) {
        const content = { route: encodeRoute('ex', 'clé'), properties: redelivered, body };
        pushDelivery(out, prefix, index + 1, true, content, frameMax);
      }
      return out;
    };
    await using session = await startSession(received =>
      received.method.name === 'basic.consume' ? [...usual(received), ...sent()] : undefined,
    );
    const messages: ConsumeMessage[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    await session.channel.consume(
      'q',
      message => {
        if (message !== null) messages.push(message);
        if (messages.length === bodies.length) resolve();
      },
      { consumerTag: 'tag' },
    );
    await promise;
    expect(messages.map(({ content }) => content)).toEqual(bodies);
    for (const [index, { fields, properties }] of messages.entries()) {
      expect(fields).toEqual({
        consumerTag: 'tag',
        deliveryTag: index + 1,
        redelivered: true,
        exchange: 'ex',
        routingKey: 'clé',
      });
      expect(properties).toMatchObject({ contentType: 'text/plain', correlationId: 'c', timestamp: 1_700_000_000 });
      expect(properties.headers).toEqual({
        n: 1,
        'x-delivery-count': 2,
        'x-death': [
          { reason: 'expired', count: 1, time: { '!': 'timestamp', value: 1_700_000_000 }, 'routing-keys': ['k'] },
        ],
      });
    }
  });

  test('in what is got and returned', async () => {
    const content = { properties: section, body: Buffer.from('body') };
    const got = {
      name: 'basic.get-ok',
      deliveryTag: 2 ** 33,
      redelivered: false,
      exchange: 'ex',
      routingKey: 'k',
    } as const;
    const returned = {
      name: 'basic.return',
      replyCode: 312,
      replyText: 'NO_ROUTE',
      exchange: 'ex',
      routingKey: 'k',
    } as const;
    await using session = await startSession(({ channel, method }) => {
      const out: Buffer[] = [];
      if (method.name === 'basic.get') pushContent(out, channel, { ...got, messageCount: 9 }, content, frameMax);
      else if (method.name === 'basic.publish') pushContent(out, channel, returned, content, frameMax);
      else return undefined;
      return out;
    });
    const message = await session.channel.get('q');
    expect(message).toMatchObject({ content: content.body, fields: { deliveryTag: 2 ** 33, messageCount: 9 } });
    const back = once(session.channel, 'return') as Promise<[Message]>;
    session.channel.publish('ex', 'k', Buffer.from('body'), { mandatory: true });
    expect((await back)[0]).toMatchObject({ content: content.body, fields: { replyCode: 312, replyText: 'NO_ROUTE' } });
  });

  test('in confirms, positive and negative', async () => {
    let published = 0;
    await using session = await startSession(({ channel, method }) => {
      if (method.name !== 'basic.publish') return undefined;
      published += 1;
      if (published === 2) return [ackFrame(channel, 2, true)];
      return published === 3 ? [nackFrame(channel, 3, false)] : [];
    });
    const publish = (): Promise<boolean> => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      session.channel.publish('', 'k', Buffer.alloc(0), {}, error => resolve(error === null || error === undefined));
      return promise;
    };
    expect(await Promise.all([publish(), publish(), publish()])).toEqual([true, true, false]);
  });

  test('in what a server says unasked: cancelled, blocked, closed', async () => {
    await using session = await startSession(({ method }) => {
      if (method.name === 'basic.consume') {
        return [
          { name: 'basic.consume-ok', consumerTag: 'tag' },
          { name: 'basic.cancel', consumerTag: 'tag', nowait: true },
          methodFrame(0, { name: 'connection.blocked', reason: 'low on memory' }),
          methodFrame(0, { name: 'connection.unblocked' }),
        ];
      }
      if (method.name !== 'queue.declare') return undefined;
      return [
        { name: 'channel.close', replyCode: 404, replyText: "NOT_FOUND - no queue 'q'", classId: 50, methodId: 10 },
      ];
    });
    const { connection, channel } = session;
    const events = [once(connection, 'blocked'), once(connection, 'unblocked')];
    const cancelled = new Promise(resolve => channel.consume('q', resolve, { consumerTag: 'tag' }));
    expect(await cancelled).toBe(null);
    expect(await Promise.all(events)).toEqual([['low on memory'], []]);
    await expect(channel.checkQueue('q')).rejects.toThrow('404 (NOT-FOUND) with message "NOT_FOUND - no queue \'q\'"');
  });
});
