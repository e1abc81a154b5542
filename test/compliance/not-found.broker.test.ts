import { describe, expect, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { channelErrors } from './channel-errors.ts';
import { openPeer } from './clients.ts';
import { vhostOf } from './wire/handshake.ts';

const vhost = vhostOf(brokerUrl());

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
