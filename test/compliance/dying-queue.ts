import { uniqueName } from '../support/broker.ts';
import { removeAfterTest } from './clients.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';
import type { Table } from './wire/table.ts';

export const quorum = { 'x-queue-type': 'quorum' } as const;

/** The channel that dead letters are taken on, so that they do not mix with what the test does on channel 1. */
const deathChannel = 9;

/** A queue and the place where its dead messages turn up. */
export interface DyingQueue {
  readonly queue: string;
  readonly graveyard: string;
  /** The next message that died in it. */
  died(): Promise<Message>;
}

/** Declares both on channel 1: exclusive, or durable and removed after the test when it is a quorum queue. */
export async function dyingQueue(peer: Peer, args: Table = {}): Promise<DyingQueue> {
  const queue = uniqueName('dying');
  const graveyard = `${queue}-dead`;
  const isDurable = args['x-queue-type'] !== undefined;
  await peer.call(1, 'queue.declare', { queue: graveyard, exclusive: true });
  await peer.call(1, 'queue.declare', {
    queue,
    durable: isDurable,
    exclusive: !isDurable,
    arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': graveyard, ...args },
  });
  if (isDurable) removeAfterTest({ queues: [queue] });
  await peer.openChannel(deathChannel);
  await peer.call(deathChannel, 'basic.consume', { queue: graveyard, noAck: true });
  return { queue, graveyard, died: () => peer.message(deathChannel) };
}

/** Messages that are ready in a queue. */
export async function readyCount(peer: Peer, queue: string): Promise<number> {
  const { messageCount } = await peer.call(1, 'queue.declare', { queue, passive: true });
  return Number(messageCount);
}

/** Takes one message by `basic.get`, without acking it. `undefined` when the queue is empty. */
export async function get(peer: Peer, queue: string, noAck = false): Promise<Message | undefined> {
  peer.send(1, 'basic.get', { queue, noAck });
  const frame = await peer.take(({ channel, kind }) => channel === 1 && kind === 'method');
  if (frame.kind === 'method' && frame.name === 'basic.get-empty') return undefined;
  return peer.messageFrom(frame);
}
