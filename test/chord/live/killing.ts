import { expect } from 'vitest';
import { distance, parseIdentifier } from '../../../services/chord/identifier.ts';
import { placeOfKey } from '../../../services/chord/key.ts';
import { liveOptions } from '../../../services/chord/ports.ts';
import { until } from '../../support/until.ts';
import type { RingNode, RingProcess } from './network-of-nodes.ts';

const { k, stabilizeMs } = liveOptions;
/** Longer than a put or a get tries. */
const patience = { deadlineMs: 20_000 };

function placeOf({ home }: RingNode): ReturnType<typeof placeOfKey> {
  return parseIdentifier(home.keys.id.slice(0, 40)) ?? placeOfKey(home.keys.id);
}

/** The owner of a key and those after it, as the ideal ring has it. */
function holdersOf(key: string, nodes: readonly RingNode[]): RingNode[] {
  const place = placeOfKey(key);
  const far = (node: RingNode): bigint => distance(place, placeOf(node));
  return [...nodes].sort((one, other) => (far(one) < far(other) ? -1 : 1)).slice(0, k);
}

async function recordsOf({ ring }: RingNode): Promise<number> {
  return (await ring.show({})).view?.records ?? 0;
}

/** Copies of all keys together; a node that does not hold a key drops it. */
async function copies(nodes: readonly RingNode[]): Promise<number> {
  const counts = await Promise.all(nodes.map(recordsOf));
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * Puts keys, reads them, kills the doomed at one moment (`kill -9`), and sees that each key with a living holder answers within two periods of
 * stabilize, and that all of them are back at k copies within ten.
 * @returns milliseconds, for people
 */
export async function killSome(
  doomed: readonly RingProcess[],
  living: readonly RingNode[],
  { keys, slackMs }: { keys: number; slackMs: number },
): Promise<{ answeredMs: number; repairedMs: number; kept: number }> {
  const nodes = [...doomed, ...living];
  const names = Array.from({ length: keys }, (_, at) => `key ${at}`);
  for (const [at, key] of names.entries())
    await nodes[at % nodes.length]?.ring.put({ key, value: Buffer.from(`value of ${key}`), lifeMs: 0 }, patience);
  await until(
    () => copies(nodes),
    count => count === keys * k,
    30_000,
  );

  // A ring that has been at work, so that nothing is done for the first time when it counts; and how long all these questions at once take when all
  // is well, which on a machine with few cores is long.
  const read = async (asked: readonly string[]) => {
    const askedAt = performance.now();
    return Promise.all(
      asked.map(async (key, index) => {
        const { value } = (await living[index % living.length]?.ring.get({ key }, patience)) ?? {};
        return { text: value?.toString(), ms: performance.now() - askedAt };
      }),
    );
  };
  const slowest = (answers: readonly { ms: number }[]): number => Math.max(...answers.map(({ ms }) => ms));
  await read(names);
  const usualMs = slowest(await read(names));

  const kept = names.filter(key => holdersOf(key, nodes).some(node => living.includes(node)));
  console.log(`killed the nodes of ${doomed.map(({ home }) => home.keys.id.slice(0, 12)).join(', ')}`);
  for (const { process } of doomed) process.kill('SIGKILL');
  const at = performance.now();
  const answers = await read(kept);
  const answeredMs = slowest(answers);
  const times = answers.map(({ ms }) => Math.round(ms)).sort((one, other) => one - other);
  console.log(
    `half of the keys answered within ${times[times.length >> 1]} ms, 90 % within ${times[Math.floor(times.length * 0.9)]} ms, all within ${times.at(-1)} ms; with nobody killed all within ${Math.round(usualMs)} ms`,
  );
  expect(answers.map(({ text }) => text)).toEqual(kept.map(key => `value of ${key}`));
  expect(answeredMs).toBeLessThan(2 * stabilizeMs + usualMs + slackMs);

  await until(
    () => copies(living),
    count => count === kept.length * k,
    10 * stabilizeMs + slackMs,
  );
  const repairedMs = performance.now() - at;
  for (const { ring } of living) {
    const { nodes: seen } = await until(
      () => ring.show({}),
      shown => shown.isWhole && shown.nodes.length === living.length,
    );
    expect(seen).toHaveLength(living.length);
  }
  console.log(
    `${kept.length} of ${keys} keys kept; answered within ${Math.round(answeredMs)} ms, ${k} copies after ${Math.round(repairedMs)} ms`,
  );
  return { answeredMs, repairedMs, kept: kept.length };
}
