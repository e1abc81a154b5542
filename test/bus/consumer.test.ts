import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BusConsumer } from '../../services/bus/consumer.ts';
import type { Session } from '../../services/bus/session.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A broker that takes all but to consume: it closes the channel then, as on a right that is missing. */
function session(mayConsume: () => boolean) {
  const channels: EventEmitter[] = [];
  const consuming = {
    createChannel: async () => {
      const channel = Object.assign(new EventEmitter(), {
        prefetch: async () => {},
        assertQueue: async () => ({ queue: 'amq.gen-1' }),
        bindQueue: async () => {},
        cancel: async () => {},
        close: async () => void channel.emit('close'),
        consume: async () => {
          if (mayConsume()) return { consumerTag: 'tag' };
          const refused = new Error('403');
          channel.emit('error', refused);
          channel.emit('close');
          throw refused;
        },
      });
      channels.push(channel);
      return channel;
    },
  };
  return { session: { consuming, isOpen: () => true } as unknown as Session, channels };
}

const role = { exchanges: [], queues: [] };
const made = () =>
  new BusConsumer(
    { name: '', exclusive: true, why: 'test' },
    () => 'ack',
    { noAck: true },
    role,
    () => {},
    () => {},
  );

test('a consumer that is refused again and again tries once at a time', async () => {
  let may = true;
  const { session: on, channels } = session(() => may);
  const consumer = made();
  await consumer.attach(on);
  may = false;
  channels[0]?.emit('close');
  await vi.advanceTimersByTimeAsync(20_000);
  // Two channels a try, up to two seconds apart.
  expect(channels.length).toBeLessThan(60);
  may = true;
  await vi.advanceTimersByTimeAsync(5_000);
  const settled = channels.length;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(channels.length).toBe(settled);
  await consumer.close();
});

test('one that is refused at its start is told so, and does not try behind the back of who asked', async () => {
  const { session: on, channels } = session(() => false);
  await expect(made().attach(on)).rejects.toThrow('403');
  await vi.advanceTimersByTimeAsync(20_000);
  expect(channels).toHaveLength(1);
});
