import { pause } from '../lib/pause.ts';
import type { Bus, Consumer } from './bus.ts';

const retryMs = 1_000;

/**
 * Begins to consume as soon as there is a broker that lets us, be it only after a refusal (an account that comes back with the
 * broker's accounts), also one on a connection that stays. From then on the bus keeps it.
 */
export function keepConsuming(
  bus: Bus,
  consume: () => Promise<Consumer>,
): Consumer & { /** Resolves when it has begun, or is closed. */ readonly begun: Promise<unknown> } {
  const closing = new AbortController();
  const nextUp = (): Promise<void> =>
    new Promise(resolve => {
      const off = bus.onState(state => {
        if (state === 'up' || state === 'closed') done();
      });
      const done = (): void => {
        off();
        closing.signal.removeEventListener('abort', done);
        resolve();
      };
      closing.signal.addEventListener('abort', done);
    });
  const begin = async (): Promise<Consumer | undefined> => {
    while (!closing.signal.aborted && bus.state !== 'closed') {
      try {
        const consumer = await consume();
        if (closing.signal.aborted) await consumer.close();
        return consumer;
      } catch {
        // Why, the bus has said.
        if (bus.state === 'up' || bus.state === 'blocked') await pause(retryMs, closing.signal);
        else await nextUp();
      }
    }
    return undefined;
  };
  const begun = begin();
  return {
    begun,
    async close() {
      closing.abort();
      // While there is no broker, nothing is consumed, and nothing to wait for.
      if (bus.state === 'up' || bus.state === 'blocked') await (await begun)?.close();
    },
  };
}
