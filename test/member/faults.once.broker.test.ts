import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { WatchSystemResponse } from '../../proto/gen/warren/member/v1/member.ts';
import { connectToDaemon } from '../../services/lib/rpc/local-daemon.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { ownBroker } from '../support/broker.ts';
import { proxyConfig, proxyUnderTest } from '../support/system.ts';
import { spawnWarren } from '../support/warren-process.ts';
import { createNetwork, type DaemonProcess, type JoinedHome, spawnDaemon } from './network.ts';

let broker: LocalBroker;
let ann: JoinedHome;

beforeAll(async () => {
  broker = await ownBroker();
  ann = await (await createNetwork(broker)).join('ann');
}, 120_000);
afterAll(() => broker?.close(), 30_000);

async function start(...more: string[]): Promise<DaemonProcess> {
  const daemon = await spawnDaemon(ann.dir, '--port', '0', ...more);
  onTestFinished(async () => {
    daemon.connection.close();
    await daemon.process[Symbol.asyncDispose]();
  });
  await daemon.process.line(/^member is up$/);
  return daemon;
}

/** What `WatchSystem` says, until it says what is waited for. */
function watch({ owner }: DaemonProcess) {
  const events = owner.watchSystem({})[Symbol.asyncIterator]();
  onTestFinished(() => void events.return?.(undefined));
  const seen: { at: number; event: WatchSystemResponse }[] = [];
  return {
    seen,
    async until(isMet: (event: WatchSystemResponse) => boolean): Promise<WatchSystemResponse> {
      for (;;) {
        const { value, done } = await events.next();
        if (done === true) throw new Error('the stream ended');
        seen.push({ at: performance.now(), event: value });
        if (isMet(value)) return value;
      }
    },
  };
}

test('a broker that is killed and comes back: the daemon stays, says so at once, and is back', async () => {
  const daemon = await start();
  const { until, seen } = watch(daemon);
  await until(({ member }) => member?.broker?.latencyMs !== undefined);
  await broker.kill();
  const { member: cut } = await until(({ member }) => member?.broker?.up === false);
  expect(cut?.broker).toMatchObject({ up: false, reason: expect.stringMatching(/\w/), latencyMs: undefined });
  expect(Number(cut?.broker?.sinceMs)).toBeLessThan(2_000);
  expect(await daemon.owner.status({})).toMatchObject({ broker: { up: false } });
  await broker.start();
  // Its own queue is there again: it calls itself through the broker.
  await until(({ member }) => member?.broker?.latencyMs !== undefined);
  expect(daemon.process.child.exitCode).toBeNull();
  // Some may have come while nobody read: two a second in all, and the first.
  const tookMs = (seen.at(-1)?.at ?? 0) - (seen[0]?.at ?? 0);
  expect(seen.length).toBeLessThanOrEqual(tookMs / 500 + 2);
}, 120_000);

test('a broker that freezes for longer than its heartbeats: the daemon stays, and is back', async () => {
  const daemon = await start();
  const { until } = watch(daemon);
  await until(({ member }) => member?.broker?.latencyMs !== undefined);
  await broker.freeze();
  await until(({ member }) => member?.broker?.up === false);
  await broker.thaw();
  await until(({ member }) => member?.broker?.latencyMs !== undefined);
}, 120_000);

test('without a broker it serves its owner all the same, comes up when there is one, and ends when it is told to', async () => {
  await broker.stop();
  const { process, owner, connection } = await spawnDaemon(ann.dir, '--port', '0');
  onTestFinished(async () => {
    connection.close();
    await process[Symbol.asyncDispose]();
  });
  expect(await owner.status({})).toMatchObject({ memberId: ann.keys.id, broker: { up: false } });
  await broker.start();
  await process.line(/^member is up$/);
  await broker.stop();
  process.kill('SIGTERM');
  expect(await process.exit).toBe(0);
  await broker.start();
}, 120_000);

test('a daemon that is killed starts again on the same data, over the socket that it left', async () => {
  const one = await start();
  one.process.kill('SIGKILL');
  await one.process.exit;
  await expect(one.owner.status({}, { deadlineMs: 2_000 })).rejects.toMatchObject({ status: 'UNAVAILABLE' });
  const two = await start();
  expect(await two.owner.status({})).toMatchObject({ memberId: ann.keys.id, pid: two.process.pid });
  const folder = join(ann.dir, 'member');
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  for (const file of ['daemon.sock', 'daemon.json'])
    expect((await stat(join(folder, file))).mode & 0o777, file).toBe(0o600);
});

test('a second daemon of the same data is refused, and the first one goes on', async () => {
  const { owner, process } = await start();
  await using second = await spawnWarren(['member', '--data', ann.dir, '--port', '0']);
  expect(await second.exit).toBe(1);
  expect(second.lines).toEqual([
    `warren: process ${process.pid} is the daemon of ${join(ann.dir, 'member')} already, or joins: stop that one, or choose another --data`,
  ]);
  expect(await owner.status({})).toMatchObject({ pid: process.pid });
});

test('once it has ended nobody is found there', async () => {
  const { process } = await start();
  process.kill('SIGTERM');
  expect(await process.exit).toBe(0);
  await expect(connectToDaemon(ann.dir)).rejects.toMatchObject({ code: 'DAEMON_NOT_RUNNING' });
});

test('the proxies that run are in view, with their figures', async () => {
  const daemon = await start();
  const { until } = watch(daemon);
  {
    await using edge = await proxyUnderTest(broker.url, proxyConfig('web', { proxy: { queueTimeoutMs: 0 } }));
    expect((await fetch(edge.url)).status).toBe(503);
    const { proxies } = await until(({ proxies }) => (proxies[0]?.figures?.requestsPerSecond ?? 0) > 0);
    expect(proxies).toHaveLength(1);
    expect(proxies[0]?.figures).toMatchObject({ requests: 1n, errors: 1n, hitRate: 0 });
    expect(proxies[0]?.figures?.p99Ms).toBeGreaterThan(0);
    // What its client gave up waits there until it expires.
    await until(({ proxies }) => proxies[0]?.figures?.services[0]?.queued === 1);
    expect(proxies[0]?.figures?.services).toMatchObject([{ service: 'web', liveWorkers: 0 }]);
  }
  await until(({ proxies }) => proxies.length === 0);
});
