import { describe, expect, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { openPeer } from './clients.ts';
import { deliveryMode3, unknownExchangeType } from './differences.ts';
import { asKnown } from './which-broker.ts';
import { login, vhostOf } from './wire/handshake.ts';
import type { MethodName } from './wire/methods.ts';
import type { Peer, Refusal } from './wire/peer.ts';

const vhost = vhostOf(brokerUrl());
const user = decodeURIComponent(new URL(brokerUrl()).username);

interface Case {
  readonly when: string;
  /** The last thing done is refused. `q` and `x` are names that nobody has used. */
  readonly act: (peer: Peer, q: string, x: string) => unknown;
  readonly code: number;
  readonly text: (q: string, x: string) => string;
  readonly method: MethodName;
}

/** Each closes the channel, and only that. */
function channelErrors(cases: readonly Case[]): void {
  test.for(cases)('$when: $code for $method', async ({ act, code, text, method }) => {
    const peer = await openPeer();
    await peer.openChannel(2);
    const q = uniqueName('refused');
    const x = uniqueName('refused');
    await act(peer, q, x);
    expect(await peer.refusal(1)).toEqual({ scope: 'channel', code, text: text(q, x), method });
    // The connection, its other channels and the same number again are as good as before.
    await peer.call(2, 'queue.declare', { exclusive: true });
    await peer.openChannel(1);
  });
}

describe('what does not exist', () => {
  const noQueue = (q: string): string => `NOT_FOUND - no queue '${q}' in vhost '${vhost}'`;
  const noExchange = (_: string, x: string): string => `NOT_FOUND - no exchange '${x}' in vhost '${vhost}'`;
  const noCurrent = (): string => 'NOT_FOUND - no previously declared queue';
  channelErrors([
    {
      when: 'publishing to an exchange that is not there',
      act: (peer, _, x) => peer.publish(1, { exchange: x }),
      code: 404,
      text: noExchange,
      method: 'basic.publish',
    },
    {
      when: 'consuming from a queue that is not there',
      act: (peer, q) => peer.send(1, 'basic.consume', { queue: q }),
      code: 404,
      text: noQueue,
      method: 'basic.consume',
    },
    {
      when: 'getting from a queue that is not there',
      act: (peer, q) => peer.send(1, 'basic.get', { queue: q }),
      code: 404,
      text: noQueue,
      method: 'basic.get',
    },
    {
      when: 'purging a queue that is not there',
      act: (peer, q) => peer.send(1, 'queue.purge', { queue: q }),
      code: 404,
      text: noQueue,
      method: 'queue.purge',
    },
    {
      when: 'asking for a queue that is not there',
      act: (peer, q) => peer.send(1, 'queue.declare', { queue: q, passive: true }),
      code: 404,
      text: noQueue,
      method: 'queue.declare',
    },
    {
      when: 'asking for an exchange that is not there',
      act: (peer, _, x) => peer.send(1, 'exchange.declare', { exchange: x, type: 'direct', passive: true }),
      code: 404,
      text: noExchange,
      method: 'exchange.declare',
    },
    {
      when: 'binding a queue that is not there',
      act: (peer, q) => peer.send(1, 'queue.bind', { queue: q, exchange: 'amq.direct' }),
      code: 404,
      text: noQueue,
      method: 'queue.bind',
    },
    {
      when: 'binding to an exchange that is not there',
      act: async (peer, q, x) => {
        await peer.call(1, 'queue.declare', { queue: q, exclusive: true });
        peer.send(1, 'queue.bind', { queue: q, exchange: x });
      },
      code: 404,
      text: noExchange,
      method: 'queue.bind',
    },
    {
      when: 'binding when neither is there',
      act: (peer, q, x) => peer.send(1, 'queue.bind', { queue: q, exchange: x }),
      code: 404,
      text: noExchange,
      method: 'queue.bind',
    },
    {
      when: 'consuming from the queue declared last, when none was',
      act: peer => peer.send(1, 'basic.consume'),
      code: 404,
      text: noCurrent,
      method: 'basic.consume',
    },
    {
      when: 'binding the queue declared last, when none was',
      act: peer => peer.send(1, 'queue.bind', { exchange: 'amq.direct' }),
      code: 404,
      text: noCurrent,
      method: 'queue.bind',
    },
    {
      when: 'deleting the queue declared last, when none was',
      act: peer => peer.send(1, 'queue.delete'),
      code: 404,
      text: noCurrent,
      method: 'queue.delete',
    },
    {
      when: 'asking for a queue without a name',
      act: peer => peer.send(1, 'queue.declare', { passive: true }),
      code: 404,
      text: () => noQueue(''),
      method: 'queue.declare',
    },
  ]);

  test('deleting and unbinding what is not there is no error', async () => {
    const peer = await openPeer();
    const queue = uniqueName('absent');
    const exchange = uniqueName('absent');
    expect(await peer.call(1, 'queue.delete', { queue })).toEqual({ messageCount: 0 });
    await peer.call(1, 'exchange.delete', { exchange });
    await peer.call(1, 'queue.unbind', { queue, exchange: 'amq.direct', routingKey: 'k' });
    await peer.call(1, 'queue.declare', { queue, exclusive: true });
    await peer.call(1, 'queue.unbind', { queue, exchange, routingKey: 'k' });
    await peer.call(1, 'queue.unbind', { queue, exchange: 'amq.direct', routingKey: 'never bound' });
  });
});

describe('what belongs to the broker', () => {
  const defaultExchange = (): string => 'ACCESS_REFUSED - operation not permitted on the default exchange';
  channelErrors([
    {
      when: 'declaring an exchange whose name begins with amq.',
      act: (peer, _, x) => peer.send(1, 'exchange.declare', { exchange: `amq.${x}`, type: 'direct' }),
      code: 403,
      text: (_, x) => `ACCESS_REFUSED - exchange name 'amq.${x}' contains reserved prefix 'amq.*'`,
      method: 'exchange.declare',
    },
    {
      when: 'declaring a queue whose name begins with amq.',
      act: (peer, q) => peer.send(1, 'queue.declare', { queue: `amq.${q}` }),
      code: 403,
      text: q => `ACCESS_REFUSED - queue name 'amq.${q}' contains reserved prefix 'amq.*'`,
      method: 'queue.declare',
    },
    {
      when: 'deleting a predeclared exchange',
      act: peer => peer.send(1, 'exchange.delete', { exchange: 'amq.direct' }),
      code: 403,
      text: () => `ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '${vhost}' not allowed`,
      method: 'exchange.delete',
    },
    {
      when: 'declaring the default exchange',
      act: peer => peer.send(1, 'exchange.declare', { type: 'direct', durable: true }),
      code: 403,
      text: defaultExchange,
      method: 'exchange.declare',
    },
    {
      when: 'asking for the default exchange',
      act: peer => peer.send(1, 'exchange.declare', { passive: true }),
      code: 403,
      text: defaultExchange,
      method: 'exchange.declare',
    },
    {
      when: 'deleting the default exchange',
      act: peer => peer.send(1, 'exchange.delete'),
      code: 403,
      text: defaultExchange,
      method: 'exchange.delete',
    },
    {
      when: 'binding to the default exchange',
      act: async peer => {
        await peer.call(1, 'queue.declare', { exclusive: true });
        peer.send(1, 'queue.bind', { routingKey: 'k' });
      },
      code: 403,
      text: defaultExchange,
      method: 'queue.bind',
    },
    {
      when: 'unbinding from the default exchange',
      act: async (peer, q) => {
        await peer.call(1, 'queue.declare', { queue: q, exclusive: true });
        peer.send(1, 'queue.unbind', { queue: q, routingKey: q });
      },
      code: 403,
      text: defaultExchange,
      method: 'queue.unbind',
    },
    {
      when: 'publishing to an internal exchange',
      act: async (peer, q, x) => {
        await peer.call(1, 'exchange.declare', { exchange: x, type: 'fanout', internal: true, autoDelete: true });
        await peer.call(1, 'queue.declare', { queue: q, exclusive: true });
        await peer.call(1, 'queue.bind', { queue: q, exchange: x });
        peer.publish(1, { exchange: x });
      },
      code: 403,
      text: (_, x) => `ACCESS_REFUSED - cannot publish to internal exchange '${x}' in vhost '${vhost}'`,
      method: 'basic.publish',
    },
  ]);
});

describe('an exclusive queue of another connection', () => {
  const locked = (q: string): string =>
    `RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${q}' in vhost '${vhost}'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`;

  test.for<[string, MethodName, Record<string, string | boolean>]>([
    ['declared again', 'queue.declare', { exclusive: true }],
    ['declared as one of all', 'queue.declare', {}],
    ['asked for', 'queue.declare', { passive: true }],
    ['bound', 'queue.bind', { exchange: 'amq.fanout' }],
    ['purged', 'queue.purge', {}],
    ['deleted', 'queue.delete', {}],
    ['consumed from', 'basic.consume', {}],
    ['got from', 'basic.get', {}],
  ])('cannot be %s: 405 for %s', async ([, method, fields]) => {
    const owner = await openPeer();
    const queue = uniqueName('locked');
    await owner.call(1, 'queue.declare', { queue, exclusive: true });
    const other = await openPeer();
    const refusal = await other.refused(1, method, { queue, ...fields });
    expect(refusal).toEqual({ scope: 'channel', code: 405, text: locked(queue), method });
    await owner.call(1, 'queue.declare', { queue, exclusive: true });
  });

  test('takes messages from anybody', async () => {
    const owner = await openPeer();
    const queue = uniqueName('locked');
    await owner.call(1, 'queue.declare', { queue, exclusive: true });
    await owner.call(1, 'basic.consume', { queue, noAck: true });
    const other = await openPeer();
    other.publish(1, { routingKey: queue, body: 'from outside' });
    expect((await owner.message(1)).body.toString()).toBe('from outside');
  });
});

describe('delivery tags', () => {
  const unknownTag = (tag: number) => (): string => `PRECONDITION_FAILED - unknown delivery tag ${tag}`;
  channelErrors([
    {
      when: 'acking a tag that was never given',
      act: peer => peer.send(1, 'basic.ack', { deliveryTag: 7 }),
      code: 406,
      text: unknownTag(7),
      method: 'basic.ack',
    },
    {
      when: 'acking all up to a tag that was never given',
      act: peer => peer.send(1, 'basic.ack', { deliveryTag: 7, multiple: true }),
      code: 406,
      text: unknownTag(7),
      method: 'basic.ack',
    },
    {
      when: 'nacking a tag that was never given',
      act: peer => peer.send(1, 'basic.nack', { deliveryTag: 7 }),
      code: 406,
      text: unknownTag(7),
      method: 'basic.nack',
    },
    {
      when: 'rejecting a tag that was never given',
      act: peer => peer.send(1, 'basic.reject', { deliveryTag: 7 }),
      code: 406,
      text: unknownTag(7),
      method: 'basic.reject',
    },
    {
      when: 'acking tag 0 alone',
      act: peer => peer.send(1, 'basic.ack', { deliveryTag: 0 }),
      code: 406,
      text: unknownTag(0),
      method: 'basic.ack',
    },
    {
      when: 'rejecting tag 0',
      act: peer => peer.send(1, 'basic.reject', { deliveryTag: 0 }),
      code: 406,
      text: unknownTag(0),
      method: 'basic.reject',
    },
    {
      when: 'acking twice',
      act: async (peer, q) => {
        await peer.call(1, 'queue.declare', { queue: q, exclusive: true });
        peer.publish(1, { routingKey: q });
        peer.send(1, 'basic.get', { queue: q });
        await peer.message(1);
        peer.send(1, 'basic.ack', { deliveryTag: 1 });
        peer.send(1, 'basic.ack', { deliveryTag: 1 });
      },
      code: 406,
      text: unknownTag(1),
      method: 'basic.ack',
    },
    {
      when: 'acking what was taken without acknowledgement',
      act: async (peer, q) => {
        await peer.call(1, 'queue.declare', { queue: q, exclusive: true });
        peer.publish(1, { routingKey: q });
        peer.send(1, 'basic.get', { queue: q, noAck: true });
        await peer.message(1);
        peer.send(1, 'basic.ack', { deliveryTag: 1 });
      },
      code: 406,
      text: unknownTag(1),
      method: 'basic.ack',
    },
    {
      when: 'acking on another channel than the delivery came on',
      act: async (peer, q) => {
        await peer.call(2, 'queue.declare', { queue: q, exclusive: true });
        peer.publish(2, { routingKey: q });
        peer.send(2, 'basic.get', { queue: q });
        await peer.message(2);
        peer.send(1, 'basic.ack', { deliveryTag: 1 });
      },
      code: 406,
      text: unknownTag(1),
      method: 'basic.ack',
    },
  ]);

  test('0 with multiple is all, also when there is none', async () => {
    const peer = await openPeer();
    peer.send(1, 'basic.ack', { deliveryTag: 0, multiple: true });
    peer.send(1, 'basic.nack', { deliveryTag: 0, multiple: true });
    await peer.call(1, 'queue.declare', { exclusive: true });
  });
});

describe('properties that cannot be', () => {
  const expirations: [string, string][] = [
    ['soon', 'no_integer'],
    ['', 'no_integer'],
    ['-1', '{value_negative,-1}'],
    ['1.5', '{leftover_string,".5"}'],
    ['12h', '{leftover_string,"h"}'],
    ['99999999999999', '{value_too_large,99999999999999}'],
  ];
  channelErrors([
    {
      when: 'publishing in the name of somebody else',
      act: (peer, q) => peer.publish(1, { routingKey: q, properties: { userId: 'somebody' } }),
      code: 406,
      text: () => `PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was '${user}'`,
      method: 'basic.publish',
    },
    ...expirations.map(
      ([expiration, why]): Case => ({
        when: `publishing with the expiration '${expiration}'`,
        act: (peer, q) => peer.publish(1, { routingKey: q, properties: { expiration } }),
        code: 406,
        text: () => `PRECONDITION_FAILED - invalid expiration '${expiration}': ${why}`,
        method: 'basic.publish',
      }),
    ),
  ]);

  test("a publish in the client's own name is taken, and the name is passed on", async () => {
    const peer = await openPeer();
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    peer.publish(1, { routingKey: String(queue), properties: { userId: user } });
    peer.send(1, 'basic.get', { queue: String(queue) });
    expect((await peer.message(1)).properties).toEqual({ userId: user });
  });

  test('a delivery mode that is neither 1 nor 2', async () => {
    const peer = await openPeer();
    await peer.call(1, 'confirm.select');
    peer.publish(1, { routingKey: 'nobody', properties: { deliveryMode: 3 } });
    const known = await asKnown(deliveryMode3);
    if (known === undefined) await peer.expect(1, 'basic.ack');
    else expect(await peer.refusal(1)).toMatchObject(known);
  });
});

describe('what is refused beyond the channel', () => {
  test('a consumer tag used twice on a channel: 530', async () => {
    const peer = await openPeer();
    await peer.call(1, 'queue.declare', { exclusive: true });
    await peer.call(1, 'basic.consume', { consumerTag: 'same' });
    const refusal = await peer.refused(1, 'basic.consume', { consumerTag: 'same' });
    const text = "NOT_ALLOWED - attempt to reuse consumer tag 'same'";
    expect(refusal).toEqual({ scope: 'connection', code: 530, text, method: 'basic.consume' });
    await peer.closed();
  });

  test('a consumer tag may be used once on each channel', async () => {
    const peer = await openPeer();
    await peer.openChannel(2);
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    for (const channel of [1, 2]) {
      const ok = await peer.call(channel, 'basic.consume', { queue: String(queue), consumerTag: 'same' });
      expect(ok).toEqual({ consumerTag: 'same' });
    }
  });

  test.for<[string, string, (peer: Peer) => void, Pick<Refusal, 'text' | 'method'>]>([
    [
      'channel.flow that stops',
      'active=false',
      peer => peer.send(1, 'channel.flow', { active: false }),
      { text: 'NOT_IMPLEMENTED - active=false', method: 'channel.flow' },
    ],
    [
      'publishing with immediate',
      'immediate=true',
      peer => peer.publish(1, { immediate: true }),
      { text: 'NOT_IMPLEMENTED - immediate=true', method: 'basic.publish' },
    ],
    [
      'a prefetch in bytes',
      'prefetch_size',
      peer => peer.send(1, 'basic.qos', { prefetchSize: 10 }),
      { text: 'NOT_IMPLEMENTED - prefetch_size!=0 (10)', method: 'basic.qos' },
    ],
    [
      'recover without requeue',
      'requeue=false',
      peer => peer.send(1, 'basic.recover', { requeue: false }),
      { text: 'NOT_IMPLEMENTED - requeue=false', method: 'basic.recover' },
    ],
  ])('%s is not implemented (%s): 540', async ([, , act, said]) => {
    const peer = await openPeer();
    act(peer);
    expect(await peer.refusal(1)).toEqual({ scope: 'connection', code: 540, ...said });
    await peer.closed();
  });

  test('channel.flow that does not stop is confirmed', async () => {
    const peer = await openPeer();
    expect(await peer.call(1, 'channel.flow', { active: true })).toEqual({ active: true });
  });

  test('an unknown type of exchange is refused', async () => {
    const peer = await openPeer();
    const refusal = await peer.refused(1, 'exchange.declare', { exchange: uniqueName('odd'), type: 'nope' });
    expect(refusal).toMatchObject({ ...(await asKnown(unknownExchangeType)), method: 'exchange.declare' });
    expect(refusal.text).toMatch(/^[A-Z_]+ - unknown exchange type 'nope'$/);
  });
});

describe('after a channel was closed by the server', () => {
  test('what the client sent meanwhile is not heard', async () => {
    using peer = await login(brokerUrl());
    await peer.openChannel(1);
    const queue = uniqueName('unheard');
    await peer.call(1, 'queue.declare', { queue, exclusive: true });
    peer.publish(1, { exchange: uniqueName('absent') });
    peer.publish(1, { routingKey: queue, body: 'unheard' });
    await peer.expect(1, 'channel.close');
    peer.publish(1, { routingKey: queue, body: 'unheard too' });
    peer.send(1, 'channel.close-ok');
    await peer.openChannel(1);
    expect(await peer.call(1, 'queue.declare', { queue, exclusive: true })).toMatchObject({ messageCount: 0 });
  });

  test('its consumers are gone and its unacked messages are back', async () => {
    const peer = await openPeer();
    await peer.openChannel(2);
    const { queue } = await peer.call(2, 'queue.declare', { exclusive: true });
    await peer.call(1, 'basic.consume', { queue: String(queue) });
    peer.publish(2, { routingKey: String(queue), body: 'kept' });
    await peer.message(1);
    peer.send(1, 'basic.ack', { deliveryTag: 99 });
    await peer.refusal(1);
    await peer.call(2, 'basic.consume', { queue: String(queue) });
    const { body, fields } = await peer.message(2);
    expect([body.toString(), fields.redelivered]).toEqual(['kept', true]);
    const { consumerCount } = await peer.call(2, 'queue.declare', { queue: String(queue), passive: true });
    expect(consumerCount).toBe(1);
  });

  test('a close by the client at the same moment is confirmed', async () => {
    using peer = await login(brokerUrl());
    await peer.openChannel(1);
    peer.publish(1, { exchange: uniqueName('absent') });
    await peer.expect(1, 'channel.close');
    await peer.call(1, 'channel.close', { code: 200 });
    await peer.openChannel(2);
  });
});
