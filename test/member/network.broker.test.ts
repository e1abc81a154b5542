import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { MemberServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import { connectToDaemon } from '../../services/lib/rpc/local-daemon.ts';
import { keptMemberKeys } from '../../services/member/home.ts';
import type { SeenMember } from '../../services/up/status/members.ts';
import type { OwnMember } from '../../services/up/status/own-member.ts';
import type { Status } from '../../services/up/status/system-status.ts';
import { temporaryDir } from '../support/broker.ts';
import { type BrokerOnHost, brokerOnHost } from '../support/broker-on-host.ts';
import { createHosts, type Hosts, whyNoHosts } from '../support/hosts.ts';
import { until } from '../support/until.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';

/**
 * Three machines: host 0 has the broker, the one port that others reach, and the directory; hosts 1 and 2 reach that port and nothing
 * else, each other neither.
 */

const run = promisify(execFile);
const why = await whyNoHosts();
if (why !== undefined) console.log(`no network of hosts here: ${why}`);

const directoryPort = 5000;
const leaseMs = 6_000;

let hosts: Hosts;
let broker: BrokerOnHost;
let directory: WarrenProcess;
const homes: Record<'directory' | 'ann' | 'bob' | 'worker', string> = { directory: '', ann: '', bob: '', worker: '' };
const hostOf = { ann: 1, bob: 2, worker: 2 } as const;
const ids = { ann: '', bob: '' };
const ends: (() => unknown)[] = [];

/** `warren ARGS` on a host, until it ends: what it said. */
async function warren(host: number, ...args: string[]): Promise<{ code: unknown; lines: readonly string[] }> {
  await using process = await spawnWarren(args, {}, hosts.on(host));
  const code = await process.exit;
  return { code, lines: process.lines };
}

function onDirectory(): string[] {
  const flags = ['--data', homes.directory, '--broker', broker.url, '--broker-http', broker.httpUrl];
  return [...flags];
}

async function startDirectory(): Promise<void> {
  directory = await spawnWarren(
    ['directory', ...onDirectory(), '--broker-address', `amqp://${hosts.address(0)}:5672`],
    { WARREN_DIRECTORY_LEASE_MS: String(leaseMs) },
    hosts.on(0),
  );
  await directory.line(/^directory is up$/);
}

async function join(who: keyof typeof hostOf, ...invite: string[]): Promise<void> {
  const place = ['--broker-address', `amqp://${hosts.address(0)}:5672`];
  const { lines } = await warren(0, 'invite', ...invite, ...onDirectory(), ...place);
  const line = lines.find(text => text.startsWith('warren1-')) ?? '';
  const joined = await warren(hostOf[who], 'join', line, '--data', homes[who], '--user', who);
  expect(joined.lines).toEqual([expect.stringMatching(/^joined as /)]);
}

async function startMember(who: 'ann' | 'bob'): Promise<void> {
  const member = await spawnWarren(
    ['member', '--data', homes[who], '--name', `${who}-laptop`],
    {},
    hosts.on(hostOf[who]),
  );
  ends.push(() => member[Symbol.asyncDispose]());
  await member.line(/^member is up$/);
}

async function status(who: 'ann' | 'bob'): Promise<{ member: OwnMember; members: readonly SeenMember[] }> {
  const { lines } = await warren(hostOf[who], 'status', '--data', homes[who], '--json');
  const { member, members } = JSON.parse(lines.join('\n')) as Status;
  if (member === undefined || 'problem' in member) throw new Error(lines.join('\n'));
  return { member, members: members === undefined || 'problem' in members ? [] : members };
}

/** As its owner, over its Unix socket, which is in no namespace. */
async function ownerOf(who: 'ann' | 'bob') {
  const connection = await connectToDaemon(homes[who]);
  onTestFinished(() => connection.close());
  return connection.client(MemberServiceDefinition);
}

/** `open`, `refused`, or `no way`. */
async function reach(from: number, host: string, port: number): Promise<string> {
  const [program = '', ...args] = [...hosts.on(from), 'timeout', '2', 'bash', '-c', `exec 3<>/dev/tcp/${host}/${port}`];
  return await run(program, args).then(
    () => 'open',
    ({ stderr }) => (String(stderr).includes('refused') ? 'refused' : 'no way'),
  );
}

const seen = (members: readonly SeenMember[], id: string) => members.find(member => member.id === id);
const answers = (members: readonly SeenMember[], id: string): boolean =>
  seen(members, id)?.isActive === true && seen(members, id)?.contact !== undefined;

describe.skipIf(why !== undefined)('machines that reach only the broker', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    for (const name of Object.keys(homes) as (keyof typeof homes)[]) homes[name] = await temporaryDir();
    hosts = await createHosts(3);
    ends.push(() => hosts[Symbol.asyncDispose]());
    for (const host of [1, 2]) await hosts.isolate(host);
    broker = await brokerOnHost(hosts, await temporaryDir());
    ends.push(() => broker[Symbol.asyncDispose]());
    await startDirectory();
    ends.push(() => directory[Symbol.asyncDispose]());
    for (const who of ['ann', 'bob'] as const) {
      await join(who);
      ids[who] = (await keptMemberKeys(homes[who])).id;
      await startMember(who);
    }
  }, 120_000);
  afterAll(async () => {
    for (const end of ends.reverse()) await end();
  }, 60_000);

  test('there is one port that they reach', async () => {
    const place = hosts.address(0);
    expect(await reach(1, place, 5672)).toBe('open');
    for (const port of [directoryPort, 15_672]) {
      expect(await reach(0, '127.0.0.1', port)).toBe('open');
      expect(await reach(1, place, port)).toBe('refused');
    }
    expect(await reach(1, hosts.address(2), 50_051)).toBe('no way');
    expect(await reach(2, hosts.address(1), 50_051)).toBe('no way');
  });

  test('see each other in `warren status`, through the broker', async () => {
    for (const [who, other] of [
      ['ann', 'bob'],
      ['bob', 'ann'],
    ] as const) {
      const { member, members } = await until(
        () => status(who),
        found => answers(found.members, ids[other]),
        40_000,
      );
      expect(seen(members, ids[other])).toMatchObject({
        ...{ user: other, isActive: true, isSelf: false, activeSince: expect.stringMatching(/^\d{4}-.+Z$/) },
        contact: { name: `${other}-laptop`, way: 'broker', latencyMs: expect.any(Number) },
      });
      expect(member).toMatchObject({
        broker: { at: `amqp://${hosts.address(0)}:5672`, latencyMs: expect.any(Number) },
        directory: { latencyMs: expect.any(Number) },
        daemon: { name: `${who}-laptop` },
      });
    }
    const { lines } = await warren(1, 'status', '--data', homes.ann);
    expect(lines.filter(line => line.length > 80)).toEqual([]);
    expect(lines).toContainEqual(expect.stringMatching(/^[0-9a-f]{12} {2}bob +bob-laptop +active for .+ms +broker$/));
  });

  test('a worker there serves a route of a proxy here, without any other port', async () => {
    await join('worker', '--service', 'web');
    const page =
      'require("http").createServer((q, r) => r.end("from host 2")).listen(3001, "127.0.0.1", () => console.log(1))';
    const [program = '', ...args] = [...hosts.on(2), process.execPath, '-e', page];
    const backend = execFile(program, args);
    onTestFinished(() => void backend.kill('SIGKILL'));
    const proxyFlags = ['--host', '127.0.0.1', '--port', '8080', '--admin-port', '0'];
    await using proxy = await spawnWarren(['proxy', '--broker', broker.url, ...proxyFlags], {}, hosts.on(0));
    await proxy.line(/Server started successfully/);
    const upstream = ['--service', 'web', '--upstream', 'http://127.0.0.1:3001'];
    await using worker = await spawnWarren(['worker', '--data', homes.worker, ...upstream], {}, hosts.on(2));
    await worker.line(/takes jobs of service web/);
    const ask = 'fetch("http://127.0.0.1:8080/").then(r => r.text()).then(t => console.log(t))';
    const [node = '', ...given] = [...hosts.on(0), process.execPath, '-e', ask];
    await until(
      async () => (await run(node, given)).stdout.trim(),
      text => text === 'from host 2',
    );
    const { member } = await until(
      () => status('bob'),
      found => found.member.proxies?.[0]?.services[0]?.liveWorkers === 1,
    );
    expect(member.proxies).toMatchObject([{ services: [{ service: 'web', liveWorkers: 1 }] }]);
  });

  test('a cable that is pulled: `warren status` says so on both sides, and all is back by itself when it is plugged', async () => {
    await hosts.unplug(1);
    const at = performance.now();
    const { member } = await status('ann');
    expect(performance.now() - at).toBeLessThan(15_000);
    expect(member.broker).toEqual({ problem: expect.stringMatching(/broker at amqp:/) });
    expect(member.daemon).toMatchObject({ name: 'ann-laptop' });
    await until(
      () => status('bob'),
      ({ members }) => seen(members, ids.ann)?.isActive === false,
      40_000,
    );
    await hosts.plug(1);
    await until(
      () => status('bob'),
      ({ members }) => answers(members, ids.ann),
      60_000,
    );
    expect((await status('ann')).member.broker).toMatchObject({ latencyMs: expect.any(Number) });
  });

  test('one that is revoked is out within 5 s of the command: its connections gone, login refused, the others told', async () => {
    const [ann, bob] = [await ownerOf('ann'), await ownerOf('bob')];
    expect(await bob.contact({ memberId: ids.ann, addresses: [] })).toMatchObject({ way: 'broker' });
    const before = performance.now();
    await warren(0, 'members', 'list', ...onDirectory());
    const looking = performance.now() - before;
    const at = performance.now();
    const revoking = warren(0, 'members', 'revoke', ids.ann, ...onDirectory());
    await until(
      () => ann.status({}),
      ({ broker: reach }) => reach?.up === false && /wrong name or password/.test(reach.reason),
    );
    const out = performance.now() - at;
    await until(
      () => bob.contact({ memberId: ids.ann, addresses: [] }).catch(error => error),
      said => said.code === 'MEMBER_REVOKED',
    );
    const known = performance.now() - at;
    expect(await revoking).toMatchObject({ code: 0 });
    const ended = performance.now() - at;
    console.log(
      `revoked, from the start of the command: out after ${Math.round(out)} ms, known to the other after ${Math.round(known)} ms, command ended after ${Math.round(ended)} ms`,
    );
    // Where a command that only looks takes seconds, it is the machine that has no time.
    expect(Math.max(out, known)).toBeLessThan(Math.max(5_000, 4 * looking));
    const { lines } = await warren(1, 'status', '--data', homes.ann);
    expect(lines.filter(line => /was revoked on/.test(line))).toHaveLength(1);
    expect(seen((await status('bob')).members, ids.ann)).toBeUndefined();
  });

  test('broker and directory killed and started again: the others are back by themselves, the revoked one stays out', async () => {
    await broker.kill();
    directory.kill('SIGKILL');
    await directory.exit;
    expect((await status('bob')).member.broker).toEqual({ problem: expect.stringMatching(/broker/) });
    await broker.start();
    await startDirectory();
    await until(
      () => status('bob'),
      ({ members }) => answers(members, ids.bob),
      60_000,
    );
    const ann = await ownerOf('ann');
    await until(
      () => ann.status({}),
      ({ broker: reach }) => /wrong name or password/.test(reach?.reason ?? ''),
      30_000,
    );
    expect((await status('ann')).member).toMatchObject({
      broker: { problem: expect.stringMatching(/does not know this machine's account/) },
      revoked: expect.stringMatching(/^\d{4}-/),
    });
    expect(seen((await status('bob')).members, ids.ann)).toBeUndefined();
  });
});
