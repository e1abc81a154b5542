import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { health } from '../../services/cli/health.ts';
import { listen } from '../../services/lib/listen.ts';
import { freePort } from '../../services/up/free-port.ts';

async function ask(argv: readonly string[], env: Record<string, string> = {}): Promise<string> {
  let said = '';
  const out = (text: string): void => {
    said += text;
  };
  await health.run(argv, new AbortController().signal, { out, err: () => {}, env, cwd: '/' });
  return said;
}

/** Answers `paths`, and 404 to all else. */
async function serve(paths: Record<string, { status: number; text: string }>) {
  const server = createServer((request, response) => {
    const { status, text } = paths[request.url ?? ''] ?? { status: 404, text: 'nothing here' };
    response.writeHead(status).end(text);
  });
  const port = await listen(server, { host: '127.0.0.1', port: 0 });
  return { port: String(port), [Symbol.asyncDispose]: async () => void server.close() };
}

test.each([
  ['proxy', '/readyz', (port: string) => ['--admin-port', port]],
  ['up', '/readyz', (port: string) => ['--admin-port', port, '--admin-host', '0.0.0.0']],
  ['worker', '/readyz', (port: string) => ['--health-port', port, '--upstream', 'http://h']],
  ['demo', '/healthz', (port: string) => ['--demo-ports', port]],
  ['directory', '/livez', (port: string) => ['--directory-port', port]],
  ['naming', '/livez', (port: string) => ['--naming-port', port]],
  ['broker', '/livez', (port: string) => ['--http-port', port]],
])('warren %s is asked at its %s', async (command, path, flags) => {
  await using well = await serve({ [path]: { status: 200, text: 'all is well\n' } });
  expect(await ask([command, ...flags(well.port)])).toBe('all is well\n');
  await using ill = await serve({ [path]: { status: 503, text: 'no live worker\n' } });
  await expect(ask([command, ...flags(ill.port)])).rejects.toMatchObject({
    code: 'HEALTH',
    message: `http://127.0.0.1:${ill.port}${path}: no live worker`,
  });
});

test('the settings are those of the service: from the environment as well', async () => {
  await using well = await serve({ '/readyz': { status: 200, text: 'ready' } });
  expect(await ask(['proxy'], { WARREN_PROXY_ADMIN_PORT: well.port })).toBe('ready\n');
});

test('one of several that is not well is enough', async () => {
  await using well = await serve({ '/healthz': { status: 200, text: 'ok' } });
  const dead = await freePort();
  await expect(ask(['demo', '--demo-ports', `${well.port},${dead}`])).rejects.toMatchObject({ code: 'HEALTH' });
});

test.each<[string, readonly string[], string]>([
  ['that tells it nowhere', ['worker', '--upstream', 'http://h'], 'give it worker.health_port'],
  ['on an unknown port', ['proxy', '--admin-port', '0'], 'give it a fixed one'],
  ['that is none', ['status'], 'status is no command of warren that runs a service'],
  ['that is not said, outside of a container', [], 'process 1 here is no warren'],
])('a service %s cannot be asked, and why is said', async (_, argv, line) => {
  await expect(ask(argv)).rejects.toThrow(line);
});

test('a container asks every few seconds, so it loads nothing that it does not need: no gRPC', async () => {
  await using well = await serve({ '/readyz': { status: 200, text: 'ready' } });
  const tell = `
    import { createRequire } from 'node:module';
    const { cache } = createRequire(process.cwd() + '/x.js');
    process.on('exit', () => console.log(Object.keys(cache).some(name => name.includes('grpc-js'))));`;
  const bin = resolve(import.meta.dirname, '../../bin/warren.js');
  const preload = `--import=data:text/javascript,${encodeURIComponent(tell)}`;
  const argv = [preload, bin, 'health', 'proxy', '--admin-port', well.port];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', chunk => {
    said += chunk;
  });
  await once(child, 'close');
  expect(said).toBe('ready\nfalse\n');
});
