import { mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { parseInviteLine } from '../../services/directory/invite-line.ts';
import { readMembership } from '../../services/member/home.ts';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';
import { Network, warren } from './network-of-processes.ts';

/** A machine joins without anybody at it: from a file that `warren invite --to` has written. */

// Real processes, several in each test.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

let network: Network;
let home = '';
let file = '';

beforeEach(async () => {
  network = await Network.start(await ownBroker({ management: true }));
  home = await temporaryDir();
  file = join(await temporaryDir(), 'given', 'invite');
});

async function daemon(...more: string[]): Promise<WarrenProcess> {
  const argv = ['member', '--data', home, '--invite-file', file, '--port', '0', '--host', '127.0.0.1', ...more];
  const started = await spawnWarren(argv);
  onTestFinished(() => started[Symbol.asyncDispose]());
  return started;
}

function end(process: WarrenProcess) {
  process.kill('SIGTERM');
  return process.exit;
}

const address = ['--broker-address', 'amqp://broker.example'];
const text = () => readFile(file, 'utf8');

test('an invite in a file is its owner’s alone, stays while it is good, and is not made again once it was used', async () => {
  const made = await network.here('invite', '--to', file, '--user', 'ann');
  expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^\S+: a new invite, good until \S+Z\n$/) });
  const line = await text();
  expect(parseInviteLine(line).username).toBe('ann');
  expect(made.out + made.err).not.toContain(line.trim());
  expect((await stat(file)).mode & 0o777).toBe(0o600);

  const again = await network.here('invite', '--to', file, '--user', 'ann');
  expect(again).toEqual({ code: 0, err: '', out: made.out.replace('a new invite', 'there is an invite') });
  expect(await text()).toBe(line);

  await (await daemon()).line(/^member is up$/);
  await until(
    () => network.names(),
    names => names.every(name => name.startsWith('m.')),
  );
  const used = await network.here('invite', '--to', file, '--user', 'ann');
  expect(used).toMatchObject({ code: 0, out: expect.stringMatching(/: its invite was used, by [0-9a-f]{12}\n$/) });
  expect(await text()).toBe(line);
});

test('each file gets its own, for its own account; what has expired is made anew, and what is no invite stays', async () => {
  const files = ['a', 'b'].map(name => join(file, '..', name));
  const [a = '', b = ''] = files;
  const asked = ['--to', a, '--user', 'ann', '--to', b, '--user', 'bob', ...address];
  const made = await network.here('invite', '--days', '0.00002', ...asked);
  expect(made).toMatchObject({ code: 0, err: '' });
  const lines = await Promise.all(files.map(async each => parseInviteLine(await readFile(each, 'utf8'))));
  expect(lines.map(({ username }) => username)).toEqual(['ann', 'bob']);
  expect(lines.map(({ brokerUrls }) => brokerUrls)).toEqual([['amqp://broker.example'], ['amqp://broker.example']]);
  await until(
    () => Date.now(),
    now => now > Math.max(...lines.map(({ expiresAtMs }) => expiresAtMs)),
  );
  const later = await network.here('invite', ...asked);
  expect(later.out.match(/a new invite/g)).toHaveLength(2);

  await writeFile(a, 'shopping list\n');
  expect(await network.here('invite', ...asked)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^warren: \S+ is there already, and holds no invite: [^\n]+\n$/),
  });
  expect(await readFile(a, 'utf8')).toBe('shopping list\n');
  expect(await network.here('invite', '--to', a, '--user', 'ann', '--user', 'bob')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^warren: 1 times --to, and 2 times --user: [^\n]+\n$/),
  });
});

test('a file of another network, whose directory is a new one now, is made anew', async () => {
  await network.here('invite', '--to', file);
  const line = await text();
  const other = await Network.start(await ownBroker({ management: true }));
  expect((await other.here('invite', '--to', file)).out).toContain('a new invite');
  expect(await text()).not.toBe(line);
});

test('a daemon waits for its invite with one line, joins when it is there, and does not need it again', async () => {
  const first = await daemon();
  await first.line(/^this machine has not joined: it does when there is an invite in /);
  expect(await warren(['health', 'member', '--data', home])).toMatchObject({ code: 1 });
  await network.here('invite', '--to', file, '--user', 'ann');
  await first.line(/^joined as [0-9a-f]{12}, one of ann$/);
  await first.line(/^member is up$/);
  expect((await warren(['health', 'member', '--data', home])).out).toBe('ready\n');
  expect(first.lines.filter(line => line.startsWith('this machine'))).toHaveLength(1);
  expect(first.lines.filter(line => line.startsWith('member: '))).toEqual([]);
  const before = await readMembership(home);
  await end(first);

  const second = await daemon();
  await second.line(/^member is up$/);
  expect(second.lines.some(line => line.startsWith('joined'))).toBe(false);
  expect(await readMembership(home)).toEqual(before);
});

test('a daemon whose invite is refused says why, once, and takes the next one that is put there', async () => {
  await network.here('invite', '--to', file, '--days', '0.00001');
  const { expiresAtMs } = parseInviteLine(await text());
  await until(
    () => Date.now(),
    now => now > expiresAtMs,
  );
  const waiting = await daemon();
  await waiting.line(/ask for another; it waits for another invite in /);
  await utimes(file, new Date(), new Date());
  await network.here('invite', '--to', file);
  await waiting.line(/^member is up$/);
  expect(waiting.lines.filter(line => line.includes('it waits'))).toHaveLength(1);
});

test('a daemon that waits for its invite ends at once when it is told to', async () => {
  await mkdir(join(file, '..'), { recursive: true });
  const waiting = await daemon();
  await waiting.line(/^this machine has not joined/);
  expect(await end(waiting)).toBe(0);
});
