import { expect, onTestFinished, test } from 'vitest';
import { createBus } from '../../services/bus/amqp-bus.ts';
import { roles } from '../../services/bus/topology.ts';
import { loadConfig } from '../../services/config/load.ts';
import { freePort } from '../../services/up/free-port.ts';
import { run } from '../../services/worker/main.ts';
import { brokerUrl, uniqueName } from '../support/broker.ts';

test('a worker with a health port is alive at once, and ready when it takes jobs; that waits for the proxy', async () => {
  const port = await freePort();
  const service = uniqueName('web');
  const flags = {
    broker: brokerUrl(),
    service,
    upstream: 'http://127.0.0.1:1',
    'health-port': port,
  };
  const argv = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const config = loadConfig({ command: 'worker', argv, env: {}, readFile: () => '' });
  const taking = Promise.withResolvers<void>();
  const stop = new AbortController();
  const waiting = Promise.withResolvers<string>();
  const io = { out: () => taking.resolve(), err: waiting.resolve, env: {}, cwd: '/' };
  const running = run(config, stop.signal, io);
  expect(await waiting.promise).toMatch(
    new RegExp(
      `^worker: waiting for a proxy with a route to the service ${service}: the broker has no \\w+ \\S+ yet\n$`,
    ),
  );
  const ask = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return `${response.status} ${await response.text()}`;
  };
  expect(await ask('/livez')).toBe('200 alive\n');
  expect(await ask('/readyz')).toMatch(/^503 /);
  const proxy = createBus({ urls: [brokerUrl()], name: 'proxy', role: roles.proxy([service], 'classic') });
  onTestFinished(() => proxy.close());
  await taking.promise;
  expect(await ask('/readyz')).toBe('200 ready\n');
  expect(await ask('/')).toMatch(/^404 /);
  stop.abort();
  await running;
  await expect(ask('/livez')).rejects.toThrow();
});

test('without a broker it is alive and not ready', async () => {
  const port = await freePort();
  const argv = ['--broker=amqp://127.0.0.1:1', '--upstream=http://127.0.0.1:1', `--health-port=${port}`];
  const config = loadConfig({ command: 'worker', argv, env: {}, readFile: () => '' });
  const unreachable = Promise.withResolvers<void>();
  const stop = new AbortController();
  const running = run(config, stop.signal, { out: () => {}, err: () => unreachable.resolve(), env: {}, cwd: '/' });
  await unreachable.promise;
  expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200);
  const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
  expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('cannot reach the broker')]);
  stop.abort();
  await running;
});
