import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { createBus } from '../../services/bus/amqp-bus.ts';
import { roles } from '../../services/bus/topology.ts';
import { formatInviteLine, parseInviteLine } from '../../services/directory/invite-line.ts';
import { certificateFacts } from '../../services/lib/identity/certificate.ts';
import { keptMemberKeys, readMembership } from '../../services/member/home.ts';
import { startBackend } from '../support/backend.ts';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { spawnWarren } from '../support/warren-process.ts';
import { Network, warren } from './network-of-processes.ts';

/** A machine joins with an invite: real processes, real accounts. */

// Real processes, several in each test.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

let network: Network;
let home = '';

/** @throws Failure BUS_LOGIN */
async function loginOf(url: string): Promise<void> {
  const bus = createBus({ urls: [url], name: 'test', role: roles.caller() });
  try {
    await bus.ready(AbortSignal.timeout(10_000));
  } finally {
    await bus.close(0);
  }
}

beforeEach(async () => {
  network = await Network.start(await ownBroker({ management: true }));
  home = await temporaryDir();
});

test('an invite is one line, lets one machine in, and is then of no use to another', async () => {
  const { code, out, err } = await network.here('invite', '--service', 'web');
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^warren1-[\w-]+\n$/) });
  expect(err).toMatch(/^warning: the broker is named by an address of this machine[^\n]+broker\.address[^\n]+\n$/);
  const line = out.trim();
  expect(await network.names()).toEqual([expect.stringMatching(/^invite\.[0-9a-f]{16}$/)]);

  const joined = await warren(['join', line, '--data', home]);
  expect(joined).toEqual({
    code: 0,
    out: expect.stringMatching(/^joined as [0-9a-f]{12}, one of ann, and may serve web\n$/),
    err: '',
  });
  const membership = await readMembership(home);
  expect(membership).toMatchObject({ queueType: 'classic', services: ['web'], directoryAccount: 'test' });
  for (const file of ['key.pem', 'membership.json'])
    expect((await stat(join(home, 'member', file))).mode & 0o777).toBe(0o600);
  // Its own account has taken the place of the invite's.
  const id = /m\.[0-9a-f]{64}/.exec(membership?.brokerUrls[0] ?? '')?.[0];
  await until(
    () => network.names(),
    names => names.length === 1 && names[0] === id,
  );

  const other = await warren(['join', line, '--data', await temporaryDir()]);
  expect(other).toEqual({
    code: 1,
    out: '',
    err: 'warren: the broker does not take this invite: it was used, or withdrawn; ask for another\n',
  });
});

test('a machine that has joined says so, and its key stays when it joins again: with the rights of the new invite', async () => {
  const line = await network.invite('--service', 'web');
  expect((await warren(['join', line, '--data', home])).code).toBe(0);
  const before = await readMembership(home);
  const again = await network.invite('--service', 'api', '--user', 'ann');
  const refused = await warren(['join', again, '--data', home]);
  expect(refused).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^warren: this machine has joined already, as one of ann [^\n]+\n$/),
  });
  expect(await readMembership(home)).toEqual(before);
  const joined = await warren(['join', again, '--again', '--data', home]);
  expect(joined).toMatchObject({ code: 0, out: expect.stringMatching(/one of ann, and may serve api\n$/) });
  const after = await readMembership(home);
  expect(certificateFacts(after?.certificate ?? '').id).toBe(certificateFacts(before?.certificate ?? '').id);
  expect(after).toMatchObject({ services: ['api'] });
  await expect(loginOf(before?.brokerUrls[0] ?? '')).rejects.toMatchObject({ code: 'BUS_LOGIN' });
  await loginOf(after?.brokerUrls[0] ?? '');
});

test('a machine goes on to use the address of the broker that its invite has, whatever the directory calls it', async () => {
  const { port } = new URL(network.broker.url);
  const line = await network.invite('--broker-address', `amqp://localhost:${port}`);
  expect((await warren(['join', line, '--data', home])).code).toBe(0);
  const { brokerUrls = [] } = (await readMembership(home)) ?? {};
  expect(brokerUrls.map(url => new URL(url).host)).toEqual([`localhost:${port}`]);
});

test('what it cannot join with is one line each', async () => {
  const line = await network.invite();
  const cut = line.slice(0, -1);
  const at = line.length - 20;
  const mistyped = `${line.slice(0, at)}${line[at] === 'A' ? 'B' : 'A'}${line.slice(at + 1)}`;
  for (const broken of [cut, mistyped])
    expect(await warren(['join', broken, '--data', home])).toEqual({
      code: 1,
      out: '',
      err: 'warren: the invite is not complete, or mistyped: copy the whole line once more\n',
    });
  expect((await warren(['join', 'hello', '--data', home])).err).toMatch(
    /^warren: not an invite: one begins with warren1-[^\n]+\n$/,
  );

  const parsed = parseInviteLine(line);
  const otherNetwork = formatInviteLine({ ...parsed, authorityFingerprint: Buffer.alloc(32) });
  expect((await warren(['join', otherNetwork, '--data', home])).err).toBe(
    "warren: not joined: the directory's authority is not the one of the invite\n",
  );
  const old = formatInviteLine({ ...parsed, inviteId: '0123456789abcdef', expiresAtMs: Date.now() - 1_000 });
  expect((await warren(['join', old, '--data', home])).err).toMatch(
    /^warren: the broker does not take this invite: it has expired \([^\n]+; ask for another\n$/,
  );
  expect(await readMembership(home)).toBeUndefined();
  // None of these has used it up.
  expect((await warren(['join', line, '--data', home])).code).toBe(0);
});

test('the line comes from standard input too, and the password of an account from a file', async () => {
  const password = 'correct horse';
  const file = join(await temporaryDir(), 'password');
  await writeFile(file, `${password}\nand a second line\n`);
  const first = await warren(['join', '-', '--data', home, '--password-file', file], {}, `${await network.invite()}\n`);
  expect(first).toMatchObject({ code: 0, err: '' });
  const [line, other] = [await network.invite(), await temporaryDir()];
  expect(await warren(['join', line, '--data', other])).toEqual({
    code: 1,
    out: '',
    err: 'warren: there is an account ann: give its password, or join as another --user\n',
  });
  await writeFile(file, 'wrong horse\n');
  expect(await warren(['join', '-', '--data', other, '--password-file', file], {}, line)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^warren: [^\n]*password[^\n]*\n$/),
  });
  await writeFile(file, password);
  expect(await warren(['join', '-', '--data', other, '--password-file', file], {}, line)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^joined as [0-9a-f]{12}, one of ann\n$/),
  });
  expect(await warren(['join', '-', '--data', await temporaryDir()])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^warren: not an invite: [^\n]+\n$/),
  });
  expect(await warren(['join', line, '--data', home, '--again', '--password-file', `${file}.not`])).toMatchObject({
    err: expect.stringMatching(/^warren: [^\n]*password\.not[^\n]*\n$/),
  });
});

test('two that join with one invite at a time: one wins, the other is told', async () => {
  const line = await network.invite();
  const homes = [await temporaryDir(), await temporaryDir()];
  const said = await Promise.all(homes.map(data => warren(['join', line, '--data', data])));
  expect(said.map(({ code }) => code).sort()).toEqual([0, 1]);
  const loser = said.find(({ code }) => code === 1);
  expect(loser?.err).toMatch(
    /^warren: the (?:invite was used by another machine|broker does not take this invite)[^\n]+\n$/,
  );
});

test('killed in between, joiner or directory, it joins with the same invite', async () => {
  const line = await network.invite();
  // The directory is not there: the call waits in its queue.
  network.directory.kill('SIGKILL');
  await network.directory.exit;
  const waiting = await spawnWarren(['join', line, '--data', home, '--user', 'ann']);
  await using first = waiting;
  const queue = createBus({ urls: [network.broker.url], name: 'test', role: { exchanges: [], queues: [] } });
  onTestFinished(() => queue.close(0));
  await queue.ready();
  await until(
    () => queue.depth('directory.enrol'),
    ({ messages }) => messages === 1,
  );
  const { id } = await keptMemberKeys(home);
  first.kill('SIGKILL');
  await first.exit;
  // Now it is done for somebody who does not hear of it.
  await network.startDirectory();
  await until(
    () => network.names(),
    names => names.includes(`m.${id}`),
  );
  expect(await readMembership(home)).toBeUndefined();
  expect((await warren(['join', line, '--data', await temporaryDir()])).err).toMatch(
    /^warren: the invite was used by another machine/,
  );
  expect(await warren(['join', line, '--data', home])).toMatchObject({ code: 0, err: '' });
  await loginOf((await readMembership(home))?.brokerUrls[0] ?? '');
  await until(
    () => network.names(),
    names => names.length === 1 && names[0] === `m.${id}`,
  );
});

test('a worker runs as the member that its home is, for the services that it was granted', async () => {
  await using backend = await startBackend('hello');
  const line = await network.invite('--service', 'web');
  expect((await warren(['join', line, '--data', home])).code).toBe(0);
  const flags = ['--data', home, '--upstream', backend.url];
  const refused = await warren(['worker', '--service', 'api', ...flags]);
  expect(refused).toEqual({
    code: 1,
    out: '',
    err: 'warren: this member may not serve "api": ask for an invite with --service api\n',
  });
  await using proxy = await spawnWarren([
    'proxy',
    '--broker',
    network.broker.url,
    '--host',
    '127.0.0.1',
    '--port',
    '0',
    '--admin-port',
    '0',
  ]);
  await using worker = await spawnWarren(['worker', '--service', 'web', ...flags]);
  await worker.line(/takes jobs of service web/);
  const port = /\[(\d+)\]/.exec(await proxy.line(/Server started successfully/))?.[1];
  const answer = await until(
    async () => (await fetch(`http://127.0.0.1:${port}/`)).status,
    status => status === 200,
  );
  expect(answer).toBe(200);
});
