import { describe, expect, test } from 'vitest';
import { brokerUrl } from '../support/broker.ts';
import { frameType } from './wire/codec.ts';
import { login } from './wire/handshake.ts';
import type { Frame } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';

const isHeartbeat = ({ kind }: Frame): boolean => kind === 'heartbeat';
const empty = Buffer.alloc(0);

/** Answers the server's next heartbeats with its own: a clock that both sides share. */
async function beat(peer: Peer, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await peer.take(isHeartbeat);
    peer.sendFrame(frameType.heartbeat, 0, empty);
  }
}

describe.concurrent('heartbeats of one second', () => {
  test('a client that is silent for two of them is dropped, without a word but heartbeats', async () => {
    using peer = await login(brokerUrl(), { heartbeat: 1 });
    const begun = performance.now();
    await peer.closed();
    expect(performance.now() - begun).toBeGreaterThan(1_500);
    await peer.take(isHeartbeat);
    await expect(peer.next()).rejects.toThrow('the server closed the socket');
  });

  test('a client that sends them stays', async () => {
    using peer = await login(brokerUrl(), { heartbeat: 1 });
    await beat(peer, 8);
    await peer.openChannel(1);
  });

  test('a client that is busy with something else stays', async () => {
    using peer = await login(brokerUrl(), { heartbeat: 1 });
    await peer.openChannel(1);
    for (let i = 0; i < 8; i++) {
      await peer.take(isHeartbeat);
      peer.publish(1, { routingKey: 'nobody' });
    }
    await peer.call(1, 'queue.declare', { exclusive: true });
  });

  test('a client that only receives is dropped all the same, and what it held goes back', async () => {
    using peer = await login(brokerUrl(), { heartbeat: 1 });
    await peer.openChannel(1);
    using other = await login(brokerUrl());
    await other.openChannel(1);
    const { queue } = await other.call(1, 'queue.declare', { durable: true });
    await peer.call(1, 'basic.consume', { queue: String(queue) });
    other.publish(1, { routingKey: String(queue), body: 'held' });
    await peer.message(1);
    await peer.closed();
    await other.call(1, 'basic.consume', { queue: String(queue) });
    const again = await other.message(1);
    expect([again.body.toString(), again.fields.redelivered]).toEqual(['held', true]);
    await other.call(1, 'queue.delete', { queue: String(queue) });
  });

  test('a client that asked for none gets none, and may be silent', async () => {
    using silent = await login(brokerUrl(), { heartbeat: 0 });
    using clock = await login(brokerUrl(), { heartbeat: 1 });
    await beat(clock, 8);
    await silent.openChannel(1);
    await expect(silent.take(isHeartbeat, 1)).rejects.toThrow('nothing within');
  });
});
