import { once } from 'node:events';
import { createServer, connect as dial, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { startBackend } from '../support/backend.ts';
import { brokerUrl, ownBroker, uniqueName } from '../support/broker.ts';
import { startLoad } from '../support/load.ts';
import { setMemoryAlarm } from '../support/memory-alarm.ts';
import { proxyConfig, proxyUnderTest, workerUnderTest } from '../support/system.ts';
import { until } from '../support/until.ts';
import { spawnWarren, spawnWorker } from '../support/warren-process.ts';

const leaseMs = 3_000;

/** How often each id reached the backend. */
function executions(seen: readonly { url: string }[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { url } of seen) {
    const id = url.split('id=')[1] ?? '';
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

test('a worker killed under load: every GET is answered, no POST runs twice, its clients hear within the lease', async () => {
  const service = uniqueName('web');
  await using backend = await startBackend(
    'x',
    (_request, response) => void setTimeout(() => response.end('done'), 20),
  );
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using victim = await spawnWorker(brokerUrl(), service, backend.url);
  await using _other = await spawnWorker(brokerUrl(), service, backend.url);
  await edge.workers(2);
  const load = startLoad(edge.url, { clients: 40, methods: ['GET', 'POST', 'GET', 'PUT'] });
  await until(
    () => load.outcomes.length,
    count => count > 300,
  );
  victim.kill('SIGKILL');
  const killedAt = performance.now();
  const before = load.outcomes.length;
  await until(
    () => load.outcomes.length,
    count => count > before + 300,
  );
  await until(
    () => edge.proxy.liveWorkers(service),
    live => live === 1,
  );
  const outcomes = await load.stop();

  const lost = outcomes.filter(({ status }) => status !== 200);
  expect(lost.filter(({ method }) => method !== 'POST')).toEqual([]);
  for (const { status, at } of lost) {
    expect(status).toBe(502);
    expect(at - killedAt).toBeLessThan(leaseMs + 1_000);
  }
  const counts = executions(backend.seen);
  for (const [id, count] of counts) if (id.startsWith('POST')) expect(`${id} ran ${count}`).toBe(`${id} ran 1`);
  expect(edge.proxy.pending()).toBe(0);
});

/**
 * A relay to the broker that cuts all its connections as soon as the client sends a basic.ack frame (class 60, method 80),
 * and does not pass it on.
 */
async function startAckCutter(target: string): Promise<{ url: string; cuts: Promise<void>; close(): void }> {
  const { hostname, port, username, password } = new URL(target);
  const cut = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  let armed = true;
  const server = createServer(client => {
    const upstream = dial(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    let protocolHeader = 8;
    let rest = Buffer.alloc(0);
    client.on('data', chunk => {
      rest = Buffer.concat([rest, chunk]);
      if (armed) {
        let at = protocolHeader;
        while (at + 7 <= rest.length) {
          const size = rest.readUInt32BE(at + 3);
          const isAck = rest[at] === 1 && at + 11 <= rest.length && rest.readUInt32BE(at + 7) === ((60 << 16) | 80);
          if (isAck) {
            armed = false;
            upstream.write(rest.subarray(0, at));
            for (const socket of [...sockets]) socket.resetAndDestroy();
            cut.resolve();
            return;
          }
          if (at + 8 + size > rest.length) break;
          at += 8 + size;
        }
        upstream.write(rest.subarray(0, at));
        rest = rest.subarray(at);
        if (at > 0) protocolHeader = 0;
        return;
      }
      upstream.write(rest);
      rest = Buffer.alloc(0);
    });
    upstream.on('data', chunk => client.write(chunk));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relayPort = (server.address() as { port: number }).port;
  return {
    url: `amqp://${username}:${password}@127.0.0.1:${relayPort}`,
    cuts: cut.promise,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

test.each([['POST'], ['GET']])(
  "a worker's connection cut at the moment of its ack: a %s is answered, and a POST runs once",
  async method => {
    const service = uniqueName('web');
    await using backend = await startBackend('once');
    await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
    const relay = await startAckCutter(brokerUrl());
    try {
      await using worker = await workerUnderTest(relay.url, service, [backend.url]);
      await edge.workers(1);
      const load = startLoad(edge.url, { clients: 1, methods: [method] });
      await relay.cuts;
      const atCut = load.outcomes.length;
      // Redelivered to the same worker when it is back, and to a second one that takes it from there.
      await using _second = await workerUnderTest(brokerUrl(), service, [backend.url]);
      await until(
        () => load.outcomes.length,
        count => count > atCut + 20,
      );
      const outcomes = await load.stop();
      await until(
        () => worker.bus.state,
        state => state === 'up',
      );
      await until(
        () => worker.bus.depth(`proxy.jobs.${service}`),
        ({ messages }) => messages === 0,
      );
      expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
      const counts = executions(backend.seen);
      if (method === 'POST') for (const [id, count] of counts) expect(`${id} ran ${count}`).toBe(`${id} ran 1`);
      for (const { id } of outcomes) expect(counts.get(id)).toBeGreaterThan(0);
    } finally {
      relay.close();
    }
  },
);

test('a worker frozen past the deadline and woken: its POST does not run a second time, nor after the answer', async () => {
  const service = uniqueName('web');
  const called = Promise.withResolvers<void>();
  await using backend = await startBackend('x', (_request, response) => {
    called.resolve();
    setTimeout(() => response.end('done'), 200);
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service, { route: { deadlineMs: 2_500 } }));
  await using frozen = await spawnWorker(brokerUrl(), service, backend.url);
  await edge.workers(1);
  // One is being done as it freezes, more lie unread in its socket.
  const early = fetch(`${edge.url}/?id=POST-early`, { method: 'POST', body: 'x' });
  await called.promise;
  frozen.kill('SIGSTOP');
  const late = ['a', 'b', 'c'].map(name => fetch(`${edge.url}/?id=POST-${name}`, { method: 'POST', body: 'x' }));
  const answers = await Promise.all([early, ...late]);
  for (const answer of answers) expect([502, 504]).toContain(answer.status);
  await using _second = await workerUnderTest(brokerUrl(), service, [backend.url]);
  frozen.kill('SIGCONT');
  await edge.workers(2);
  const load = startLoad(edge.url, { clients: 4, methods: ['POST'] });
  await until(
    () => load.outcomes.length,
    count => count > 100,
  );
  await load.stop();
  const counts = executions(backend.seen);
  expect(counts.get('POST-early')).toBe(1);
  for (const name of ['a', 'b', 'c']) expect(counts.get(`POST-${name}`)).toBeUndefined();
  for (const [id, count] of counts) expect(`${id} ran ${count}`).toBe(`${id} ran 1`);
}, 60_000);

test('the broker restarted under load: 503 meanwhile, back within 5 s, nothing leaks', async () => {
  const broker = await ownBroker();
  const service = uniqueName('web');
  await using backend = await startBackend('x');
  await using edge = await proxyUnderTest(broker.url, proxyConfig(service));
  await using worker = await workerUnderTest(broker.url, service, [backend.url]);
  await edge.workers(1);
  const load = startLoad(edge.url, { clients: 20, methods: ['GET', 'POST'] });
  for (const how of ['stop', 'kill'] as const) {
    await until(
      () => load.outcomes.filter(({ status }) => status === 200).length,
      count => count > 200,
    );
    await broker[how]();
    await until(
      () => load.outcomes.at(-1),
      last => last?.status === 503,
    );
    expect((await fetch(`${edge.admin}/readyz`)).status).toBe(503);
    const during = load.outcomes.length;
    await until(
      () => load.outcomes.length,
      count => count > during + 50,
    );
    expect(load.outcomes.slice(during).filter(({ status }) => status !== 503)).toEqual([]);
    await broker.start();
    const backAt = performance.now();
    await until(
      () => load.outcomes.at(-1),
      last => last?.status === 200,
    );
    expect(performance.now() - backAt).toBeLessThan(5_000);
    await until(
      async () => (await fetch(`${edge.admin}/readyz`)).status,
      status => status === 200,
    );
  }
  const outcomes = await load.stop();
  expect([...new Set(outcomes.map(({ status }) => status))].sort()).toEqual(expect.arrayContaining([200, 503]));
  for (const { status } of outcomes) expect([200, 502, 503]).toContain(status);
  const counts = executions(backend.seen);
  for (const [id, count] of counts) if (id.startsWith('POST')) expect(`${id} ran ${count}`).toBe(`${id} ran 1`);
  expect(edge.proxy.pending()).toBe(0);
  // Claims of jobs that were answered meanwhile end with the lease; a broker that is back sooner finds them still there.
  await until(
    () => worker.worker.inFlight(),
    count => count === 0,
  );
  expect(await worker.bus.depth(`proxy.jobs.${service}`)).toEqual({ messages: 0, consumers: 1 });
}, 120_000);

test('a broker that blocks publishers (memory alarm): 503, not ready, cached answers go on, and back by itself', async () => {
  const broker = await ownBroker();
  const service = uniqueName('web');
  await using backend = await startBackend('x', (request, response) =>
    response.setHeader('cache-control', request.url === '/cached' ? 'max-age=600' : 'no-store').end('x'),
  );
  await using edge = await proxyUnderTest(broker.url, proxyConfig(service));
  await using _worker = await workerUnderTest(broker.url, service, [backend.url]);
  await edge.workers(1);
  const status = async (path: string): Promise<number> => (await fetch(`${edge.url}${path}`)).status;
  expect(await status('/cached')).toBe(200);
  await setMemoryAlarm(broker, true);
  await until(
    () => edge.bus.state,
    state => state === 'blocked',
  );
  const refused = await fetch(`${edge.url}/`);
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(await status('/cached')).toBe(200);
  const ready = await fetch(`${edge.admin}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.text()).toContain('takes no messages');
  await setMemoryAlarm(broker, false);
  await until(
    () => status('/'),
    code => code === 200,
  );
  expect((await fetch(`${edge.admin}/readyz`)).status).toBe(200);
}, 60_000);

test('SIGTERM drains a worker: what it has is finished, the rest goes to others', async () => {
  const service = uniqueName('web');
  await using backend = await startBackend(
    'x',
    (_request, response) => void setTimeout(() => response.end('done'), 300),
  );
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using leaving = await spawnWorker(brokerUrl(), service, backend.url);
  await using _staying = await spawnWorker(brokerUrl(), service, backend.url);
  await edge.workers(2);
  const load = startLoad(edge.url, { clients: 20, methods: ['GET', 'POST'] });
  await until(
    () => load.outcomes.length,
    count => count > 40,
  );
  leaving.kill('SIGTERM');
  expect(await leaving.exit).toBe(0);
  const outcomes = await load.stop();
  expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
  for (const [id, count] of executions(backend.seen)) expect(`${id} ran ${count}`).toBe(`${id} ran 1`);
});

test('SIGTERM drains the proxy: requests that run are answered, new connections refused, then it ends', async () => {
  const service = uniqueName('web');
  const called = Promise.withResolvers<void>();
  await using backend = await startBackend('x', (_request, response) => {
    called.resolve();
    setTimeout(() => response.end('done'), 500);
  });
  await using edge = await spawnWarren([
    'proxy',
    '--broker',
    brokerUrl(),
    '--port',
    '0',
    '--admin-port',
    '0',
    '--host',
    '127.0.0.1',
    '--route',
    `/=${service}`,
  ]);
  const port = /\[(\d+)\]/.exec(await edge.line(/Server started successfully/))?.[1];
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  const running = fetch(`http://127.0.0.1:${port}/`);
  await called.promise;
  edge.kill('SIGTERM');
  const answer = await running;
  expect(answer.status).toBe(200);
  expect(await answer.text()).toBe('done');
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  expect(await edge.exit).toBe(0);
});

test('a proxy killed with jobs on the queue: no worker does them', async () => {
  const service = uniqueName('web');
  await using backend = await startBackend('x');
  await using edge = await spawnWarren([
    'proxy',
    '--broker',
    brokerUrl(),
    '--port',
    '0',
    '--admin-port',
    '0',
    '--host',
    '127.0.0.1',
    '--route',
    `/=${service}`,
  ]);
  const port = /\[(\d+)\]/.exec(await edge.line(/Server started successfully/))?.[1];
  const lost = ['GET', 'POST'].map(method =>
    fetch(`http://127.0.0.1:${port}/?id=${method}-lost`, { method }).catch(() => 'lost'),
  );
  await using second = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await until(
    () => second.bus.depth(`proxy.jobs.${service}`),
    ({ messages }) => messages === 2,
  );
  edge.kill('SIGKILL');
  expect(await Promise.all(lost)).toEqual(['lost', 'lost']);
  await using worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await second.workers(1);
  await fetch(`${second.url}/?id=GET-alive`);
  // Claims to a proxy that is no more run out after two leases.
  await until(
    () => worker.worker.inFlight(),
    count => count === 0,
  );
  expect([...executions(backend.seen).keys()]).toEqual(['GET-alive']);
}, 60_000);
