import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import type { Io } from '../../services/cli/io.ts';
import type { Config } from '../../services/config/config.ts';
import { loadConfig } from '../../services/config/load.ts';
import { run } from '../../services/demo/main.ts';

/** Nobody listens on port 1: replicas serve all the same. */
function configFor(ports: readonly number[]): Config {
  const argv = ['--broker', 'amqp://127.0.0.1:1', '--demo-ports', ports.join(',')];
  return loadConfig({ command: 'demo', argv, env: {}, readFile: () => '' });
}

function recorder() {
  const lines: string[] = [];
  const third = Promise.withResolvers<void>();
  const out = (line: string) => {
    if (lines.push(line) === 3) third.resolve();
  };
  const io: Io = { out, err: () => {}, env: {}, cwd: '/' };
  return { lines, third: third.promise, io };
}

test('three replicas say where they serve, each its own name, until told to stop', async () => {
  const { lines, third, io } = recorder();
  const stop = new AbortController();
  const running = run(configFor([0, 0, 0]), stop.signal, io);
  await third;
  const urls = lines.map(line => /^(backend-\d) serves the form on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(line) ?? []);
  expect(urls.map(([, name]) => name)).toEqual(['backend-1', 'backend-2', 'backend-3']);
  for (const [, name, url] of urls) {
    const answer = await fetch(`${url}/api/whoami`);
    expect(await answer.json()).toEqual({ name, broker: 'connecting' });
  }
  stop.abort();
  await running;
  await expect(fetch(`${urls[0]?.[2]}/healthz`)).rejects.toThrow();
});

test('a replica may have a name of its own, and listen on all addresses', async () => {
  const argv = [
    '--broker',
    'amqp://127.0.0.1:1',
    '--demo-ports',
    '0,0',
    '--demo-host',
    '0.0.0.0',
    '--demo-name',
    'first',
  ];
  const config = loadConfig({ command: 'demo', argv, env: {}, readFile: () => '' });
  const lines: string[] = [];
  const second = Promise.withResolvers<void>();
  const out = (line: string) => void (lines.push(line) === 2 && second.resolve());
  const stop = new AbortController();
  const running = run(config, stop.signal, { out, err: () => {}, env: {}, cwd: '/' });
  await second.promise;
  expect(lines.map(line => line.replace(/\d+\n$/, ''))).toEqual([
    'first serves the form on http://0.0.0.0:',
    'backend-2 serves the form on http://0.0.0.0:',
  ]);
  stop.abort();
  await running;
});

test('a taken port is named, and nothing is left running', async () => {
  const taken = createServer();
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve));
  const address = taken.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const { lines, io } = recorder();
  const failing = run(configFor([0, port, 0]), new AbortController().signal, io);
  await expect(failing).rejects.toMatchObject({
    code: 'PORT_TAKEN',
    message: `backend-2: port ${port} is taken; stop what uses it or choose another`,
  });
  expect(lines).toEqual([]);
  taken.close();
});

test('told to stop before it began, it ends at once', async () => {
  await run(configFor([0]), AbortSignal.abort(), recorder().io);
});
