import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startBackend } from '../support/backend.ts';
import { brokerUrl, temporaryDir, uniqueName } from '../support/broker.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';

const up = (dir: string, ...more: string[]): Promise<WarrenProcess> =>
  spawnWarren([
    'up',
    '--data',
    dir,
    '--broker',
    brokerUrl(),
    '--port',
    '0',
    '--admin-port',
    '0',
    '--demo-ports',
    '0,0,0',
    '--directory-port',
    '0',
    ...['--naming-port', '0', '--dns-port', '0'],
    ...more,
  ]);

async function address(process: WarrenProcess, what: string): Promise<string> {
  const line = await process.line(new RegExp(`^ *${what} +http`));
  return /http:\/\/[^ ,/]+/.exec(line)?.[0] ?? '';
}

test('one command serves the form on three backends, refuses a second start, and ends within 5 s of Ctrl-C', async () => {
  const dir = await temporaryDir();
  await using first = await up(dir);
  await first.line(/^warren is up$/);
  const proxy = await address(first, 'proxy');
  const names = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const answer = await fetch(`${proxy}/api/whoami`);
    expect(answer.headers.get('cache-status')).toBe('warren; fwd=miss');
    names.add(((await answer.json()) as { name: string }).name);
  }
  expect([...names].sort()).toEqual(['backend-1', 'backend-2', 'backend-3']);
  await (await fetch(`${proxy}/`)).text();
  const page = await fetch(`${proxy}/`);
  expect(page.headers.get('cache-status')).toMatch(/^warren; hit; ttl=\d+$/);
  expect(await page.text()).toContain('<form');

  const directory = await address(first, 'directory');
  expect(await (await fetch(`${directory}/livez`)).text()).toBe('alive\n');

  const text = uniqueName('hello');
  const post = await fetch(`${proxy}/api/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ author: 'test', text }),
  });
  expect(post.status).toBe(201);

  await using second = await up(dir);
  expect(await second.exit).toBe(1);
  expect(second.lines).toEqual([expect.stringMatching(/^warren: warren is up already in .* \(process \d+\)/)]);

  const askedAt = performance.now();
  first.kill('SIGINT');
  expect(await first.exit).toBe(0);
  expect(performance.now() - askedAt).toBeLessThan(5_000);
  expect(await readdir(dir)).not.toContain('up.pid');
}, 60_000);

test("the origin's own settings file runs the proxy and a worker for its backends", async () => {
  await using one = await startBackend('one');
  await using two = await startBackend('two', (_request, response) => response.end('two'));
  const dir = await temporaryDir();
  const file = join(dir, 'parser.ini');
  await writeFile(
    file,
    `[DEFAULT]\nport = 0\nmax_conn = 5\nbuffer_size = 8192\nttl = 180\nip_server1 = 127.0.0.1:${one.port}\nip_server2 = 127.0.0.1:${two.port}\n`,
  );
  await using warren = await spawnWarren([
    'proxy',
    '--config',
    file,
    '--broker',
    brokerUrl(),
    '--admin-port',
    '0',
    '--host',
    '127.0.0.1',
  ]);
  await warren.line(/^worker .* takes jobs/);
  const started = await warren.line(/Server started successfully/);
  expect(warren.lines.filter(line => line.startsWith('[*]')).slice(0, 3)).toEqual([
    '[*] Init socket... Done.',
    '[*] socket binded successfully...',
    expect.stringMatching(/^\[\*\] Server started successfully \[\d+\]$/),
  ]);
  const url = `http://127.0.0.1:${/\[(\d+)\]$/.exec(started)?.[1]}`;
  const bodies = [await (await fetch(`${url}/a`)).text(), await (await fetch(`${url}/b`)).text()];
  expect(bodies.sort()).toEqual(['one', 'two']);
  // "one" says no-store; "two" says nothing, so the file's ttl holds.
  const targets = two.seen.map(seen => seen.url);
  for (const target of targets) await (await fetch(`${url}${target}`)).text();
  expect(two.seen.length).toBe(1);
  await warren.line(/^\[\*\] Request done: 127\.0\.0\.1 => \d\.\d{3}s <= 127\.0\.0\.1:\d+$/);
  await warren.line(/^\[\*\] Request done\. Cache response to => 127\.0\.0\.1$/);
  const large = await fetch(`${url}/a`, { headers: { 'x-large': 'x'.repeat(9_000) } });
  expect(large.status).toBe(431);
});

test('a taken port is one clear line that names it', async () => {
  await using taken = await startBackend('x');
  await using warren = await up(await temporaryDir(), '--port', String(taken.port));
  expect(await warren.exit).toBe(1);
  expect(warren.lines.at(-1)).toMatch(new RegExp(`^warren: port .*${taken.port} is taken`));
});

test("the directory's taken port is one too, and all else ends with it", async () => {
  await using taken = await startBackend('x');
  await using warren = await up(await temporaryDir(), '--directory-port', String(taken.port));
  expect(await warren.exit).toBe(1);
  expect(warren.lines.at(-1)).toMatch(new RegExp(`^warren: port .*${taken.port} is taken`));
});

test('JSON lines have the trace, and no body', async () => {
  const service = uniqueName('web');
  await using backend = await startBackend('x');
  await using proxy = await spawnWarren([
    'proxy',
    '--broker',
    brokerUrl(),
    '--port',
    '0',
    '--admin-port',
    '0',
    '--host',
    '127.0.0.1',
    '--log',
    'json',
    '--route',
    `/=${service}`,
  ]);
  await using worker = await spawnWarren([
    'worker',
    '--broker',
    brokerUrl(),
    '--service',
    service,
    '--upstream',
    backend.url,
  ]);
  await worker.line(/takes jobs/);
  const { port } = JSON.parse(await proxy.line(/"event":"listening"/)) as { port: number };
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await fetch(`http://127.0.0.1:${port}/x`, { method: 'POST', body: 'secret-body', headers: { traceparent } });
  const line = JSON.parse(await proxy.line(/"event":"request"/)) as Record<string, unknown>;
  expect(line).toMatchObject({
    method: 'POST',
    target: '/x',
    status: 200,
    service,
    trace: '0af7651916cd43dd8448eb211c80319c',
  });
  expect(proxy.lines.join('\n')).not.toContain('secret-body');
});
