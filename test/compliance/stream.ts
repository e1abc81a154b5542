import { uniqueName } from '../support/broker.ts';
import { openPeer, removeAfterTest } from './clients.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';
import type { Properties } from './wire/properties.ts';
import type { Table, TableValue } from './wire/table.ts';

export const offsetOf = ({ properties }: Message): number => Number(properties.headers?.['x-stream-offset']);
export const textOf = ({ body }: Message): string => body.toString();
export const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => String(from + i));

/** A stream, removed after the test, and a peer that declared it: channel 1 is free, channel 2 publishes with confirms. */
export async function stream(args: Table = {}): Promise<{ queue: string; peer: Peer }> {
  const peer = await openPeer();
  const queue = uniqueName('stream');
  await peer.call(1, 'queue.declare', { queue, durable: true, arguments: { 'x-queue-type': 'stream', ...args } });
  removeAfterTest({ queues: [queue] });
  await peer.openChannel(2);
  await peer.call(2, 'confirm.select');
  return { queue, peer };
}

/** One after the other, so that each is an entry of its own also to a broker that writes in batches. */
export async function append(
  peer: Peer,
  queue: string,
  bodies: Iterable<string>,
  properties: Properties = {},
): Promise<void> {
  for (const body of bodies) {
    peer.publish(2, { routingKey: queue, body, properties });
    await peer.expect(2, 'basic.ack');
  }
}

/** A consumer on a channel of its own. */
export async function read(
  peer: Peer,
  queue: string,
  offset: TableValue | undefined,
  { prefetch = 100, channel = 1 } = {},
): Promise<() => Promise<Message>> {
  if (channel !== 1) await peer.openChannel(channel);
  await peer.call(channel, 'basic.qos', { prefetchCount: prefetch });
  const args = offset === undefined ? {} : { 'x-stream-offset': offset };
  await peer.call(channel, 'basic.consume', { queue, arguments: args });
  return () => peer.message(channel);
}

export async function bodies(next: () => Promise<Message>, count: number): Promise<string[]> {
  const seen: string[] = [];
  for (let i = 0; i < count; i++) seen.push(textOf(await next()));
  return seen;
}
