import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContactServiceDefinition } from '../../../proto/gen/warren/member/v1/member.ts';
import { createBus } from '../../../services/bus/amqp-bus.ts';
import type { Bus } from '../../../services/bus/bus.ts';
import { serveCalls } from '../../../services/bus/calls.ts';
import type { MemberHost } from '../../../services/bus/hosted.ts';
import { rpcKey } from '../../../services/bus/own-keys.ts';
import { serveRelays } from '../../../services/bus/relay/relay-server.ts';
import { createRelays } from '../../../services/bus/relay/relays.ts';
import { roles } from '../../../services/bus/topology.ts';
import { memberIdOf, parseMemberKeys } from '../../../services/lib/identity/keys.ts';
import { brokerAccountOf, type MemberId } from '../../../services/lib/identity/member-id.ts';
import { type Served, served } from '../../../services/lib/rpc/definition.ts';
import type { MemberCredentials } from '../../../services/lib/rpc/member-tls.ts';
import { createDialler } from '../../../services/member/dialler.ts';
import { startMemberServer } from '../../../services/member/member-server.ts';
import { ContentIndex } from '../../../services/peer/content-index.ts';
import { Contents } from '../../../services/peer/contents.ts';
import { Limits } from '../../../services/peer/limits.ts';
import type { Contact, Locator } from '../../../services/peer/locator.ts';
import type { ContentId } from '../../../services/peer/merkle.ts';
import { Offers } from '../../../services/peer/offers.ts';
import { SwarmService } from '../../../services/peer/piece-frame.ts';
import { Pulls } from '../../../services/peer/pulls.ts';
import { Share } from '../../../services/peer/share.ts';
import type { SharePath } from '../../../services/peer/share-path.ts';
import { createSwarm } from '../../../services/peer/swarm-service.ts';
import { Swarms } from '../../../services/peer/swarms.ts';
import { Transfers } from '../../../services/peer/transfers.ts';
import { UnfinishedDownloads } from '../../../services/peer/unfinished.ts';

/**
 * The files part of a member, with the daemon's own server and dialler, and nobody to ask who has what: `node warren-peer.ts source DIR`, with
 * credentials over IPC, says its port and what it shares; `node warren-peer.ts receiver` pulls as it is told.
 */
export interface PullOrder {
  readonly credentials: MemberCredentials;
  readonly sources: readonly { readonly memberId: MemberId; readonly addresses: readonly string[] }[];
  readonly id: string;
  readonly name: string;
  readonly to: string;
}

const [role = '', dir = '', busUrl] = process.argv.slice(2);
const data = mkdtempSync(join(tmpdir(), 'warren-bench-'));
process.on('exit', () => rmSync(data, { recursive: true, force: true }));
const clock = (): number => performance.now();
const revocations = { isRevoked: () => false, isRevokedMember: () => false, onRevoked: () => () => {} };

/** Where no broker is given, a bus on which nothing goes: it is not asked for anything. */
const bus =
  busUrl === undefined
    ? ({ state: 'connecting', reason: 'none', send: () => false, onState: () => () => {} } as unknown as Bus)
    : createBus({ urls: [busUrl], name: `bench ${role}`, role: roles.member() }, console.error);
const nowhere: Locator = {
  known: () => [],
  locate: async () => [],
  find: async () => [],
  contactOf: async () => undefined,
};

function hostOf(credentials: MemberCredentials): MemberHost {
  const keys = parseMemberKeys(credentials.key);
  const dialler = createDialler({
    ...{ bus, relays: createRelays({ bus, keys, clock, warn: console.error }) },
    ...{ credentials: () => credentials, revocations, clock, random: Math.random },
  });
  return {
    ...{ id: memberIdOf(keys.publicKey), keys, account: 'bench', name: 'bench', bus, queueType: 'classic' },
    ...{
      directory: {} as MemberHost['directory'],
      session: {} as MemberHost['session'],
      dial: dialler.dial,
      identify: dialler.identify,
      addresses: () => [],
      dataDir: data,
    },
    ...{ authorityCertificate: credentials.authorityCertificate, certificate: () => credentials.certificate },
    isRevoked: () => false,
    openBus: () => bus,
    ...{ now: Date.now, clock, random: Math.random, warn: console.error, log: () => {} },
    signal: new AbortController().signal,
  };
}

function partsOf(root: string, host: MemberHost) {
  const index = new ContentIndex(join(data, 'peer'));
  const contents = new Contents({ root, index, onChanged: () => {} });
  const limits = new Limits(index, clock);
  const place = { root, index, unfinished: new UnfinishedDownloads(index) };
  const pulling = { host, place, contents, locator: nowhere, limits };
  const transfers = new Transfers(host, { ...pulling, pulls: new Pulls(pulling), platform: 'posix' });
  const offers = new Offers({
    ...{ limits, locator: nowhere, platform: 'posix' },
    isHeld: () => true,
    running: () => undefined,
    begin: request => transfers.download(request),
    hasRoom: async () => true,
  });
  return { index, contents, limits, offers, transfers, swarms: new Swarms(contents, clock) };
}

async function source(credentials: MemberCredentials): Promise<void> {
  const host = hostOf(credentials);
  const { index, ...parts } = partsOf(dir, host);
  const share = new Share(
    { root: dir, index, indexDir: join(data, 'peer'), onChange: () => {}, onProblem: console.error },
    { settleMs: 0, rescanMs: 0 },
  );
  await share.whenIdle();
  const contact = { ping: async () => ({ memberId: host.id, name: '', callerId: '' }) };
  const services = [served(ContactServiceDefinition, contact), served(SwarmService, createSwarm({ ...parts, clock }))];
  const port = busUrl === undefined ? await listen(credentials, services) : await listenOnBus(host, services);
  const files = index.listFiles('', 100_000).map(({ path, id }) => [path, id]);
  const folders = index.listFolders().map(({ path, id }) => [path, id]);
  process.send?.({ port, ids: Object.fromEntries([...files, ...folders]) });
}

async function listen(credentials: MemberCredentials, services: readonly Served[]): Promise<number> {
  const needs = { credentials, host: '127.0.0.1', ports: [0], revocations, warn: console.error };
  return (await startMemberServer({ ...needs, services })).port;
}

async function listenOnBus({ id, keys }: MemberHost, services: readonly Served[]): Promise<number> {
  const relay = serveRelays({ bus, keys, clock, warn: console.error }, services, () => {});
  const bindings = [{ exchange: 'm', key: rpcKey(brokerAccountOf(id)) }];
  await bus.ready();
  await serveCalls(bus, { name: '', exclusive: true, why: 'bench' }, [relay.service], {
    ...{ atOnce: 8, bindings, warn: console.error },
  });
  return 0;
}

async function receive({ credentials, sources, id, name, to }: PullOrder): Promise<void> {
  mkdirSync(to, { recursive: true });
  const { transfers } = partsOf(to, hostOf(credentials));
  const from = sources.map(({ memberId, addresses }): Contact => ({ memberId, name: '', addresses }));
  const transfer = transfers.download({ id: id as ContentId, path: name as SharePath, from });
  const { state, detail } = await transfer.done;
  rmSync(join(to, '.warren'), { recursive: true, force: true });
  if (state !== 5) throw new Error(`it ended in state ${state}: ${detail}`);
}

process.on('message', (order: { tls: MemberCredentials } & PullOrder) => {
  const startedAt = performance.now();
  if (role === 'source') void source(order.tls).catch(error => process.send?.({ problem: String(error) }));
  else
    receive(order).then(
      () => process.send?.({ seconds: (performance.now() - startedAt) / 1000 }),
      error => process.send?.({ problem: String(error) }),
    );
});
process.on('SIGTERM', () => process.exit());
if (role === 'receiver')
  void (busUrl === undefined ? Promise.resolve() : bus.ready()).then(() => process.send?.('ready'));
