import { describe, expect, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { channelErrors } from './channel-errors.ts';
import { openPeer } from './clients.ts';
import { vhostOf } from './wire/handshake.ts';
import type { MethodName } from './wire/methods.ts';

const vhost = vhostOf(brokerUrl());

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
