import { uniqueName } from '../support/broker.ts';
import type { Message } from './wire/incoming.ts';
import type { Peer } from './wire/peer.ts';

export const textOf = ({ body }: Message): string => body.toString();
const tagOf = ({ fields }: Message): string => String(fields.consumerTag);

/** An exclusive queue, declared on channel 1. */
export async function ownQueue(peer: Peer, queue = uniqueName('own')): Promise<string> {
  await peer.call(1, 'queue.declare', { queue, exclusive: true });
  return queue;
}

export function publishAll(peer: Peer, queue: string, bodies: Iterable<string>, channel = 1): void {
  for (const body of bodies) peer.publish(channel, { routingKey: queue, body });
}

/** The next messages of channel 1, as `consumer:body`. */
export async function taken(peer: Peer, count: number): Promise<string[]> {
  const seen: string[] = [];
  for (let i = 0; i < count; i++) {
    const message = await peer.message(1);
    seen.push(`${tagOf(message)}:${textOf(message)}`);
  }
  return seen;
}

/** That nothing more came on channel 1: an answer comes after what was sent before. */
export async function nothingMore(peer: Peer): Promise<void> {
  await peer.call(1, 'queue.declare', { queue: uniqueName('answer'), exclusive: true });
}
