import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { createNetwork } from '../../member/network.ts';
import { temporaryDir } from '../../support/broker.ts';
import { startEmbeddedProcess } from '../../support/embedded-process.ts';
import { until } from '../../support/until.ts';
import { spawnRing } from './network-of-nodes.ts';

const minuteMs = 60_000;

test('with the broker stopped for a minute, nodes that can dial each other look up, put and get all the while', async () => {
  const broker = await startEmbeddedProcess({ dir: await temporaryDir(), user: 'test', password: 'test' });
  onTestFinished(() => broker.close());
  const nodes = await spawnRing(await createNetwork(broker), 5);
  await broker.stop();
  const startedAt = performance.now();
  let rounds = 0;
  let slowestMs = 0;
  for (; performance.now() - startedAt < minuteMs; rounds++) {
    const [writer, reader] = [nodes[rounds % 5], nodes[(rounds + 2) % 5]];
    const [key, askedAt] = [`key ${rounds}`, performance.now()];
    await writer?.ring.put({ key, value: Buffer.from(`value ${rounds}`), lifeMs: 0 });
    const found = await reader?.ring.get({ key });
    expect(found?.value.toString()).toBe(`value ${rounds}`);
    const { hops = [] } = (await reader?.ring.lookup({ key })) ?? {};
    expect(hops.filter(({ isSilent }) => isSilent)).toEqual([]);
    slowestMs = Math.max(slowestMs, performance.now() - askedAt);
    await wait(200);
  }
  console.log(`${rounds} rounds of put, get and lookup without a broker; the slowest took ${Math.round(slowestMs)} ms`);
  await broker.start();
  for (const { owner } of nodes)
    await until(
      () => owner.status({}),
      ({ broker: reach }) => reach?.up === true,
      60_000,
    );
  expect((await nodes[0]?.ring.get({ key: 'key 0' }))?.value.toString()).toBe('value 0');
}, 300_000);
