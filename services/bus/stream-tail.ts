import type { Bus, Delivery } from './bus.ts';
import { keepConsuming } from './keep-consuming.ts';
import type { BoundQueue } from './topology.ts';

export interface StreamEntry extends Delivery {
  readonly offset: bigint;
}

export interface TailOptions {
  /** The offset of the first entry wanted; `first`: all that is kept. If it is cut off already, the first one that is kept. */
  readonly from: 'first' | bigint;
  /** Entries on their way at a time. */
  readonly atOnce?: number;
}

/**
 * Reads a stream from a place on, and goes on reading what comes. Each entry once, in the order of the log, whatever happens to the
 * connections; `after` says which one it came directly behind. Offsets have gaps where retention has cut, and where RabbitMQ has written
 * something for itself (seen on 3.10.8 after restarts). It begins when the stream is there, and waits for a broker. Who appends
 * with `Bus.publish` sees its own entry here, by its `messageId`; after a lost connection perhaps twice, with the same one. What came
 * into the stream past its bindings has its place in it, and is marked `isStray`.
 * @param handler must not throw: what it threw at is not shown again
 */
export function tailStream(
  bus: Bus,
  { queue, bindings }: BoundQueue,
  handler: (entry: StreamEntry) => void,
  { from, atOnce = 500 }: TailOptions,
): ReturnType<typeof keepConsuming> {
  let next = from;
  return keepConsuming(bus, () =>
    bus.consume(
      queue,
      delivery => {
        const { offset } = delivery;
        // A broker that reads in chunks may begin before the place asked for.
        if (offset === undefined || (next !== 'first' && offset < next)) return 'ack';
        next = offset + 1n;
        handler(delivery as StreamEntry);
        return 'ack';
      },
      {
        prefetch: atOnce,
        offset: next === 'first' || next === 0n ? next : next - 1n,
        overlaps: true,
        bindings: () => bindings,
        ending: 'channel',
        takesStrays: true,
        isOptional: true,
      },
    ),
  );
}
