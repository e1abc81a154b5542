import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startEmbeddedProcess } from '../support/embedded-process.ts';
import { seededRandom } from '../support/seeded.ts';
import { type Confirmed, declare, judge, open, queues, readAll, startPublishing } from './crash-round.ts';

const rounds = Number(process.env.WARREN_RUNS ?? (process.env.WARREN_LONG ? 100 : 10));
const seed = Number(process.env.WARREN_SEED ?? Math.floor(Math.random() * 1e9));

/**
 * The moment of the kill and the messages come from the seed; what the machine makes of them does not, so a seed repeats a
 * run only about.
 */
test(`nothing that was confirmed is lost to kill -9, and order is kept, over ${rounds} rounds`, {
  timeout: 30_000 + rounds * 6_000,
}, async () => {
  console.log(`${rounds} rounds from WARREN_SEED=${seed}`);
  const random = seededRandom(seed);
  const dir = await mkdtemp(join(tmpdir(), 'warren-crash-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const broker = await startEmbeddedProcess({ dir, user: 'test', password: 'known-to-the-test' });
  onTestFinished(() => broker.close());
  const first = await open(broker.url);
  await declare(first);
  await first.close();

  let confirmed: Confirmed = { classic: [], quorum: [], stream: [] };
  let nextOffset = 0;
  let total = 0;
  for (let life = 0; life <= rounds; life++) {
    const connection = await open(broker.url);
    for (const queue of queues) {
      const all = await readAll(connection, queue, nextOffset);
      if (queue === 'stream') nextOffset = all.nextOffset;
      expect(judge(queue, life, confirmed, all.received), `life ${life}, WARREN_SEED=${seed}`).toEqual([]);
    }
    if (life === rounds) {
      await connection.close();
      break;
    }
    const { outcome } = await startPublishing(connection, life + 1, random);
    await wait(random() * 400);
    await broker.kill();
    confirmed = await outcome;
    for (const queue of queues) total += confirmed[queue].length;
    // Now and then also while it reads its log.
    const isKilledAgain = random() < 0.3;
    if (isKilledAgain) {
      const starting = broker.start().catch(() => {});
      await wait(random() * 250);
      await broker.kill();
      await starting;
    }
    await broker.start();
  }
  console.log(`${total} were confirmed`);
  expect(total).toBeGreaterThan(rounds * 10);
});
