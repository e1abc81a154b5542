import { describe, expect, test } from 'vitest';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { openPeer } from './clients.ts';
import { unknownExchangeType } from './differences.ts';
import { asKnown } from './which-broker.ts';
import { login } from './wire/handshake.ts';
import type { Peer, Refusal } from './wire/peer.ts';

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
