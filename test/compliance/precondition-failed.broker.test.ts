import { describe, expect, test } from 'vitest';
import { brokerUrl } from '../support/broker.ts';
import { type ChannelError, channelErrors } from './channel-errors.ts';
import { openPeer } from './clients.ts';
import { deliveryMode3 } from './differences.ts';
import { asKnown } from './which-broker.ts';

const user = decodeURIComponent(new URL(brokerUrl()).username);

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
      ([expiration, why]): ChannelError => ({
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
