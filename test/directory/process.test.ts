import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { methods } from '../../services/directory/methods.ts';
import { startBackend } from '../support/backend.ts';
import { temporaryDir } from '../support/broker.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';
import { askMethod } from './rest-client.ts';

// Real processes, one after the other in each test: on a busy machine each takes seconds to start.
vi.setConfig({ testTimeout: 120_000 });

const password = 'correct horse';

async function start(dir: string, ...more: string[]): Promise<{ process: WarrenProcess; url: string }> {
  const process = await spawnWarren(['directory', '--data', dir, '--directory-port', '0', ...more]);
  const url = /http:\S+/.exec(await process.line(/^directory serves/))?.[0] ?? '';
  await process.line(/^directory is up$/);
  return { process, url };
}

/** `warren users …` with a line on standard input. */
async function users(argv: string[], input: string, env: Record<string, string> = {}) {
  const bin = resolve(import.meta.dirname, '../../bin/warren.js');
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WARREN_')));
  const child = spawn(process.execPath, [bin, 'users', ...argv], { env: { ...clean, ...env } });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => {
      text += chunk;
    });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number];
  return { code, text };
}

async function login(url: string, username: string, word = password) {
  return askMethod(url, 'login', { username, password: word, addresses: ['10.0.0.1:1'] });
}

async function filesUnder(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
}

test('sessions outlive kill -9; peers are back with their next ping; no secret is said or kept readable', async () => {
  const dir = await temporaryDir();
  const first = await start(dir);
  await using killed = first.process;
  expect((await askMethod(first.url, 'createUser', { username: 'ann', password })).status).toBe(201);
  const { token, peerId } = methods.login.response.parse((await login(first.url, 'ann')).json);
  expect((await login(first.url, 'ann', 'a wrong guess')).status).toBe(401);
  killed.kill('SIGKILL');
  expect(await killed.exit).toBe('SIGKILL');

  const second = await start(dir);
  await using again = second.process;
  expect((await askMethod(second.url, 'listPeers', { token })).json).toEqual({ peers: [], next: '' });
  expect((await askMethod(second.url, 'ping', { token })).status).toBe(200);
  expect((await askMethod(second.url, 'listPeers', { token })).json).toEqual({
    peers: [{ peerId, username: 'ann', addresses: ['10.0.0.1:1'] }],
    next: '',
  });

  const secrets = [password, token, 'a wrong guess'];
  for (const line of [...killed.lines, ...again.lines])
    for (const secret of secrets) expect(line).not.toContain(secret);
  expect((await stat(join(dir, 'directory'))).mode & 0o777).toBe(0o700);
  const files = await filesUnder(join(dir, 'directory'));
  expect(files.length).toBeGreaterThanOrEqual(3);
  for (const file of files) {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const bytes = await readFile(file);
    for (const secret of secrets) expect(bytes.includes(secret)).toBe(false);
  }

  await using third = await spawnWarren(['directory', '--data', dir, '--directory-port', '0']);
  expect(await third.exit).toBe(1);
  expect(third.lines.at(-1)).toMatch(/^warren: process \d+ runs the directory of \S+ already/);
  again.kill('SIGTERM');
  expect(await again.exit).toBe(0);
});

test('a taken port is one line that names it', async () => {
  await using taken = await startBackend('x');
  const flags = ['--data', await temporaryDir(), '--directory-port', String(taken.port)];
  await using process = await spawnWarren(['directory', ...flags]);
  expect(await process.exit).toBe(1);
  expect(process.lines.at(-1)).toMatch(new RegExp(`^warren: port .*${taken.port} is taken`));
});

describe('warren users', () => {
  test('makes, lists, changes and disables accounts beside a directory that runs', async () => {
    const dir = await temporaryDir();
    expect(await users(['add', 'ann', '--data', dir], `${password}\n`)).toEqual({
      code: 0,
      text: 'made account ann\n',
    });
    const { process, url } = await start(dir, '--open-registration=false');
    await using running = process;
    expect((await askMethod(url, 'createUser', { username: 'bob', password })).status).toBe(403);
    const env = { WARREN_USER_PASSWORD: password };
    expect(await users(['add', 'bob', '--data', dir], '', env)).toEqual({ code: 0, text: 'made account bob\n' });
    expect((await login(url, 'bob')).status).toBe(200);

    const { token } = methods.login.response.parse((await login(url, 'ann')).json);
    expect((await users(['passwd', 'ann', '--data', dir], 'another password')).code).toBe(0);
    expect((await askMethod(url, 'ping', { token })).status).toBe(401);
    expect((await login(url, 'ann')).status).toBe(401);
    expect((await login(url, 'ann', 'another password')).status).toBe(200);

    expect((await users(['disable', 'bob', '--data', dir], '')).code).toBe(0);
    expect((await login(url, 'bob')).status).toBe(401);
    const today = new Date().toISOString().slice(0, 10);
    expect((await users(['list', '--data', dir], '')).text).toMatch(
      new RegExp(`^ann +since ${today}  1 session\nbob +since ${today}  disabled\n$`),
    );
    running.kill('SIGTERM');
    expect(await running.exit).toBe(0);
  });

  test.each([
    ['without a name', ['add'], 2, /^warren: whose account\? warren users add NAME\n$/],
    ['with a name that cannot be', ['add', 'No Name'], 2, /^warren: username: must be [^\n]+\n$/],
    ['with too short a password', ['add', 'ann'], 2, /^warren: password: must be at least 8 characters\n$/],
    ['of nobody', ['disable', 'nobody'], 1, /^warren: there is no account "nobody" \(see warren users list\)\n$/],
    ['with a password as an argument', ['add', 'ann', password], 2, /^warren: unexpected argument [^\n]+\n$/],
  ])('%s is one line', async (_, argv, code, line) => {
    const answer = await users([...argv, '--data', await temporaryDir()], 'short\n');
    expect(answer).toEqual({ code, text: expect.stringMatching(line) });
  });

  test('without a password is one line', async () => {
    const answer = await users(['add', 'ann', '--data', await temporaryDir()], '');
    expect(answer).toEqual({ code: 2, text: expect.stringMatching(/^warren: no password: [^\n]+\n$/) });
  });
});
