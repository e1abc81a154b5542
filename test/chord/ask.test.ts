import { expect, test } from 'vitest';
import { createAsk } from '../../services/chord/ask.ts';
import type { Neighbours, RingTransport } from '../../services/chord/ports.ts';
import { EventQueue } from './simulation/event-queue.ts';
import { peer } from './simulation/small-ring.ts';

/** Answers the nth call after so many milliseconds, with the list of the node n. */
function answering(queue: EventQueue, ...delays: readonly number[]): RingTransport & { calls: number } {
  const transport = {
    calls: 0,
    call: () => {
      const at = transport.calls++;
      return new Promise(resolve => {
        queue.after(delays[at] ?? 1e9, () => resolve({ predecessor: undefined, successors: [peer(at)] }));
      });
    },
  };
  return transport as unknown as RingTransport & { calls: number };
}

async function ask(delays: readonly number[], tries?: number): Promise<{ reply: unknown; calls: number; at: number }> {
  const queue = new EventQueue();
  const transport = answering(queue, ...delays);
  const asked = createAsk(transport, queue, 100)(peer(1), 'neighbours', {}, tries);
  let at = -1;
  const done = asked.then(reply => {
    at = queue.now();
    return (reply as Neighbours | undefined)?.successors[0]?.id;
  });
  await queue.runUntil(1_000);
  return { reply: await done, calls: transport.calls, at };
}

test('an answer in time is the answer', async () => {
  expect(await ask([99])).toEqual({ reply: 0n, calls: 1, at: 99 });
});

test('a node that is silent for the timeout counts as dead', async () => {
  expect(await ask([101])).toEqual({ reply: undefined, calls: 1, at: 100 });
});

test('the answer to an older try is dropped, though it comes first', async () => {
  expect(await ask([120, 90], 2)).toEqual({ reply: 1n, calls: 2, at: 190 });
});

test('a refusal counts at once', async () => {
  const queue = new EventQueue();
  const refusing = { call: () => Promise.reject(new Error('outside')) };
  const asked = createAsk(refusing, queue, 100)(peer(1), 'ping', {});
  await queue.runUntil(0);
  expect(await asked).toBeUndefined();
});
