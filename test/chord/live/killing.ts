import { expect } from 'vitest';
import { distance, parseIdentifier } from '../../../services/chord/identifier.ts';
import { placeOfKey } from '../../../services/chord/key.ts';
import { liveOptions } from '../../../services/chord/ports.ts';
import type { Network } from '../../member/network.ts';
import { until } from '../../support/until.ts';
import { type RingProcess, spawnNode } from './network-of-nodes.ts';

const { k, stabilizeMs } = liveOptions;
/** Longer than a put or a get tries. */
const patience = { deadlineMs: 20_000 };

/** So many processes in one ring, which all of them see whole. */
export async function spawnRing(network: Network, count: number): Promise<RingProcess[]> {
  const nodes = [await spawnNode(network)];
  const [first] = nodes;
  for (let left = count - 1; left > 0; left -= 4) {
    const more = Array.from({ length: Math.min(4, left) }, () => spawnNode(network, '--join', first?.address ?? ''));
    nodes.push(...(await Promise.all(more)));
  }
  for (const { ring } of nodes)
    await until(
      () => ring.show({}),
      ({ nodes: seen, isWhole }) => isWhole && seen.length === count,
      60_000,
    );
  return nodes;
}

function placeOf({ home }: RingProcess): ReturnType<typeof placeOfKey> {
  return parseIdentifier(home.keys.id.slice(0, 40)) ?? placeOfKey(home.keys.id);
}

/** The owner of a key and those after it, as the ideal ring has it. */
function holdersOf(key: string, nodes: readonly RingProcess[]): RingProcess[] {
  const place = placeOfKey(key);
  const far = (node: RingProcess): bigint => distance(place, placeOf(node));
  return [...nodes].sort((one, other) => (far(one) < far(other) ? -1 : 1)).slice(0, k);
}

async function recordsOf({ ring }: RingProcess): Promise<number> {
  return (await ring.show({})).view?.records ?? 0;
}

/** Copies of all keys together; a node that does not hold a key drops it. */
async function copies(nodes: readonly RingProcess[]): Promise<number> {
  const counts = await Promise.all(nodes.map(recordsOf));
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * Puts keys, kills some of the nodes at one moment (`kill -9`), and sees that each key with a living holder answers within two periods of
 * stabilize, and that all of them are back at k copies within ten.
 * @returns milliseconds, for people
 */
export async function killSome(
  nodes: readonly RingProcess[],
  { kills, keys, slackMs }: { kills: number; keys: number; slackMs: number },
): Promise<{ answeredMs: number; repairedMs: number; kept: number }> {
  const names = Array.from({ length: keys }, (_, at) => `key ${at}`);
  for (const [at, key] of names.entries())
    await nodes[at % nodes.length]?.ring.put({ key, value: Buffer.from(`value of ${key}`), lifeMs: 0 }, patience);
  await until(
    () => copies(nodes),
    count => count === keys * k,
    30_000,
  );

  const killed = [...nodes].sort(() => Math.random() - 0.5).slice(0, kills);
  const living = nodes.filter(node => !killed.includes(node));
  const kept = names.filter(key => holdersOf(key, nodes).some(node => living.includes(node)));
  console.log(`killed the nodes of ${killed.map(({ home }) => home.keys.id.slice(0, 12)).join(', ')}`);
  for (const { process } of killed) process.kill('SIGKILL');
  const at = performance.now();
  const answers = await Promise.all(
    kept.map(async (key, index) => {
      const asked = living[index % living.length];
      const { value } = (await asked?.ring.get({ key }, patience)) ?? {};
      return { key, text: value?.toString(), ms: performance.now() - at };
    }),
  );
  const answeredMs = Math.max(...answers.map(({ ms }) => ms));
  const times = answers.map(({ ms }) => Math.round(ms)).sort((one, other) => one - other);
  console.log(
    `half of the keys answered within ${times[times.length >> 1]} ms, 90 % within ${times[Math.floor(times.length * 0.9)]} ms, all within ${times.at(-1)} ms`,
  );
  expect(answers.map(({ text }) => text)).toEqual(kept.map(key => `value of ${key}`));
  expect(answeredMs).toBeLessThan(2 * stabilizeMs + slackMs);

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
