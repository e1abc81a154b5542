import { describe, expect, test } from 'vitest';
import { brokerUrl } from '../support/broker.ts';
import { encodeFrame, encodeMethod, frameType } from './wire/codec.ts';
import { login } from './wire/handshake.ts';
import type { Peer } from './wire/peer.ts';
import { encodeHeader, encodeProperties } from './wire/properties.ts';

const frameMax = 8192;
const noProperties = encodeProperties({});

/** A raw connection with channel 1 open. */
async function opened(): Promise<Peer> {
  const peer = await login(brokerUrl(), { frameMax });
  await peer.openChannel(1);
  return peer;
}

describe('a well-behaved client', () => {
  test('may send a frame of exactly frame_max', async () => {
    using peer = await opened();
    await peer.call(1, 'confirm.select');
    peer.publish(1, { body: Buffer.alloc(frameMax - 8) });
    await peer.expect(1, 'basic.ack');
  });

  test('may cut a body into frames of any size, empty ones too', async () => {
    using peer = await opened();
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    peer.send(1, 'basic.publish', { routingKey: String(queue) });
    peer.sendFrame(frameType.header, 1, encodeHeader(5, noProperties));
    for (const part of ['a', '', 'bc', 'd', '', 'e']) peer.sendFrame(frameType.body, 1, Buffer.from(part));
    peer.send(1, 'basic.get', { queue: String(queue), noAck: true });
    expect((await peer.message(1)).body.toString()).toBe('abcde');
  });

  test('may mix the frames of several channels', async () => {
    using peer = await opened();
    await peer.openChannel(2);
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    await peer.call(2, 'confirm.select');
    peer.send(1, 'basic.publish', { routingKey: String(queue) });
    peer.sendFrame(frameType.header, 1, encodeHeader(2, noProperties));
    peer.publish(2, { routingKey: String(queue), body: 'whole' });
    peer.sendFrame(frameType.body, 1, Buffer.from('1'));
    await peer.expect(2, 'basic.ack');
    peer.sendFrame(frameType.body, 1, Buffer.from('2'));
    await peer.call(1, 'confirm.select');
    await peer.call(1, 'basic.consume', { queue: String(queue), noAck: true });
    expect((await peer.message(1)).body.toString()).toBe('whole');
    expect((await peer.message(1)).body.toString()).toBe('12');
  });

  test('may send a method byte by byte', async () => {
    using peer = await opened();
    for (const byte of encodeFrame(frameType.method, 1, encodeMethod('queue.declare', { exclusive: true })))
      await new Promise<void>(resolve => peer.socket.write(Buffer.from([byte]), () => resolve()));
    await peer.expect(1, 'queue.declare-ok');
  });

  test('gets no frame larger than it asked for', async () => {
    using peer = await login(brokerUrl(), { frameMax: 4096 });
    await peer.openChannel(1);
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    await peer.call(1, 'basic.consume', { queue: String(queue), noAck: true });
    peer.publish(1, { routingKey: String(queue), body: Buffer.alloc(10_000, 'x') });
    expect((await peer.message(1)).bodyFrames).toEqual([4088, 4088, 1824]);
  });

  test('may open as many channels as agreed, whatever their numbers, and one more is 530', async () => {
    using peer = await login(brokerUrl(), { channelMax: 3 });
    for (const channel of [5, 1, 3]) await peer.openChannel(channel);
    await peer.call(1, 'channel.close', { code: 200 });
    await peer.openChannel(2);
    expect(await peer.refused(1, 'channel.open')).toEqual({
      scope: 'connection',
      code: 530,
      text: 'NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)',
      method: 'none',
    });
    await peer.closed();
  });

  test('may have a thousand channels at work', async () => {
    using peer = await login(brokerUrl());
    const channels = Array.from({ length: 1_000 }, (_, i) => i + 1);
    for (const channel of channels) peer.send(channel, 'channel.open');
    await Promise.all(channels.map(channel => peer.expect(channel, 'channel.open-ok')));
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    await peer.call(1, 'basic.consume', { queue: String(queue), noAck: true });
    for (const channel of channels) peer.publish(channel, { routingKey: String(queue), body: String(channel) });
    const seen = new Set<number>();
    for (const _ of channels) seen.add(Number((await peer.message(1)).body));
    expect(seen.size).toBe(1_000);
  });

  test('gets close-ok for its close, and its exclusive queues are gone then', async () => {
    using peer = await opened();
    const { queue } = await peer.call(1, 'queue.declare', { exclusive: true });
    await peer.call(0, 'connection.close', { code: 200, text: 'goodbye' });
    using other = await opened();
    expect(await other.refused(1, 'queue.declare', { queue: String(queue), passive: true })).toMatchObject({
      code: 404,
    });
  });

  test('is not heard any more once the server has closed the connection', async () => {
    using peer = await opened();
    peer.send(0, 'queue.declare');
    await peer.expect(0, 'connection.close');
    peer.send(1, 'queue.declare', { exclusive: true });
    await peer.call(0, 'connection.close', { code: 200 });
  });

  test('whose secret is renewed goes on', async () => {
    using peer = await opened();
    await peer.call(0, 'connection.update-secret', { secret: 'another', reason: 'rotation' });
    await peer.call(1, 'queue.declare', { exclusive: true });
  });
});
