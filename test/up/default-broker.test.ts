import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startBackend } from '../support/backend.ts';
import { until } from '../support/until.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';

async function temporaryDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'warren-home-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function start(...args: string[]): Promise<WarrenProcess> {
  const process = await spawnWarren(args);
  onTestFinished(() => process[Symbol.asyncDispose]());
  return process;
}

async function output(...args: string[]): Promise<string> {
  const process = await start(...args);
  expect(await process.exit).toBe(0);
  return process.lines.join('\n');
}

const freePorts = ['--port', '0', '--admin-port', '0'];

test('`warren up` brings its own broker, and says which; a worker of the same directory finds it, `status` too', async () => {
  const dir = await temporaryDir();
  const up = await start(
    'up',
    '--data',
    dir,
    ...freePorts,
    '--demo-ports',
    '0,0,0',
    '--directory-port',
    '0',
    ...['--naming-port', '0', '--dns-port', '0'],
    '--route',
    '/=web',
    '--route',
    '/mine=mine',
  );
  await up.line(/^warren is up$/);
  const told = await up.line(/^ *broker /);
  expect(told).toMatch(/Warren .*embedded in this process, 127\.0\.0\.1:\d+/);
  expect(told).toContain('production runs on RabbitMQ');
  const proxy = /http:\/\/\S+/.exec(await up.line(/^ *proxy +http/))?.[0] ?? '';
  const admin = new URL(/http:\/\/\S+/.exec(await up.line(/^ *admin +http/))?.[0] ?? '');

  await using backend = await startBackend('mine');
  await start('worker', '--data', dir, '--service', 'mine', '--upstream', backend.url);
  const answer = await until(
    async () => (await fetch(`${proxy}/mine`)).text(),
    text => text === 'mine',
  );
  expect(answer).toBe('mine');

  const flags = ['--data', dir, '--admin-port', admin.port];
  const seen = await output('status', ...flags);
  expect(seen).toMatch(/^broker {5}Warren \S+, http:\/\/127\.0\.0\.1:\d+, \d+ connections$/m);
  expect(seen).toMatch(/^queue +type +ready +unacked +consumers +in\/s +out\/s$/m);
  expect(seen).toMatch(/^proxy\.jobs\.mine +classic +0 +0 +1 +\d+\.\d +\d+\.\d$/m);
  expect(seen).toMatch(/^service {4}web, 3 live workers$/m);
  const json = JSON.parse(await output('status', '--json', ...flags)) as Record<string, object>;
  expect(json).toMatchObject({
    broker: {
      product: 'Warren',
      queues: expect.arrayContaining([expect.objectContaining({ name: 'proxy.jobs.web' })]),
    },
    proxy: { broker: { state: 'up' }, services: expect.arrayContaining([{ service: 'mine', liveWorkers: 1 }]) },
  });

  up.kill('SIGINT');
  expect(await up.exit).toBe(0);
  const after = await output('status', ...flags);
  expect(after).toContain(`no broker is configured, and none runs for ${dir}`);
  expect(after).toMatch(
    /the proxy's admin server at http:\/\/127\.0\.0\.1:\d+ cannot be reached: connect ECONNREFUSED/,
  );
}, 60_000);

test('a broker that runs for the directory already is used by what starts after it', async () => {
  const dir = await temporaryDir();
  const broker = await start('broker', '--data', dir, '--port', '0', '--http-port', '0');
  await broker.line(/^broker is up$/);
  const proxy = await start('proxy', '--data', dir, '--log', 'json', ...freePorts);
  await proxy.line(/"event":"listening"/);
  const seen = await output('status', '--data', dir);
  expect(seen).toMatch(/^broker {5}Warren/m);
  expect(seen).toContain('proxy.jobs.web');
});

test('another kind of broker than can be had here is refused in one line', async () => {
  const dir = await temporaryDir();
  const refused = await spawnWarren(['proxy', '--data', dir, '--broker-kind', 'container', ...freePorts], {
    DOCKER_HOST: 'unix:///nowhere/docker.sock',
  });
  onTestFinished(() => refused[Symbol.asyncDispose]());
  expect(await refused.exit).toBe(1);
  expect(refused.lines).toEqual([expect.stringMatching(/^warren: no container can be started here: /)]);
});
