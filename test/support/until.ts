import { setTimeout as wait } from 'node:timers/promises';
import { inspect } from 'node:util';

/**
 * Waits for a condition of another process that sends no event: asks it again and again. Fails after `withinMs` with what was
 * last seen.
 */
export async function until<T>(look: () => T | Promise<T>, isMet: (seen: T) => boolean, withinMs = 15_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (isMet(seen)) return seen;
    if (performance.now() > deadline)
      throw new Error(
        `not so within ${withinMs} ms; last seen: ${inspect(seen, { breakLength: Number.POSITIVE_INFINITY })}`,
      );
    await wait(20);
  }
}
