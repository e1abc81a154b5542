import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Messages from this size on count. */
const largeBytes = 16 * 1024;
const stepBytes = 2 * 1024 * 1024;

let passed = 0;
let collect: (() => void) | undefined;

/**
 * A large message has gone through. V8 sees of its buffers a few dozen bytes each, and so lets them lie until their memory, which it counts
 * apart, makes it walk the whole heap: at full speed that is every 64 MiB, and was 40 to 50 % of the processor's time of a streaming proxy or
 * worker (docs/benchmarks.md). A collection of the young generation alone every few MiB takes a millisecond, and frees most of the same buffers.
 * @param every so many bytes; more where what passes is held for a while: what lives through two collections is old, and the whole heap's to free
 */
export function largePassed(bytes: number, every = stepBytes): void {
  if (bytes < largeBytes) return;
  passed += bytes;
  if (passed < every) return;
  passed = 0;
  collect ??= youngCollector();
  collect();
}

/** V8 has no other door to it. */
function youngCollector(): () => void {
  // There is next to nothing to do in one of ours: to wake other threads for it, and to wait for them where others want their cores too,
  // was a sixth of a file transfer's processor time (docs/benchmarks.md).
  setFlagsFromString('--no-parallel-scavenge');
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof gc !== 'function') return () => {};
  return () => void gc({ type: 'minor' });
}
