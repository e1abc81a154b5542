import { Client, credentials as grpcCredentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { RingServiceDefinition } from '../../../proto/gen/warren/chord/v1/ring.ts';
import { ContactServiceDefinition } from '../../../proto/gen/warren/member/v1/member.ts';
import { createBus } from '../../../services/bus/amqp-bus.ts';
import { serveCalls } from '../../../services/bus/calls.ts';
import type { MemberHost } from '../../../services/bus/hosted.ts';
import { rpcKey } from '../../../services/bus/own-keys.ts';
import { ownRpc } from '../../../services/bus/queues.ts';
import { roles } from '../../../services/bus/topology.ts';
import { startRing } from '../../../services/chord/ring.ts';
import { parseMemberKeys } from '../../../services/lib/identity/keys.ts';
import { served } from '../../../services/lib/rpc/definition.ts';
import { grpcMethod } from '../../../services/lib/rpc/grpc-server.ts';
import type { MemberCredentials } from '../../../services/lib/rpc/member-tls.ts';
import { createDialler } from '../../../services/member/dialler.ts';
import { startMemberServer } from '../../../services/member/member-server.ts';
import { rateOf } from '../rate.ts';
import type { Entry, LiveCommand, LiveNode, LiveSample } from './live-messages.ts';

/**
 * Nodes of a ring in one process, each with the daemon's own server, dialler and bus, and beside them bare grpc-js servers of the same service, which
 * answer what is always the same. What they are to do comes over IPC (live-messages.ts).
 */

type Owner = Record<'lookup' | 'show', (request: object, caller: object) => Promise<unknown>>;

const clock = (): number => performance.now();
const random = Math.random;
const revocations = { isRevoked: () => false, isRevokedMember: () => false, onRevoked: () => () => {} };
const caller = { address: 'bench', signal: new AbortController().signal };
const owners: Owner[] = [];

async function startNode({ credentials, brokerUrl }: LiveNode, isDialled: boolean, entry: Entry | undefined) {
  const keys = parseMemberKeys(credentials.key);
  const bus = createBus({ urls: [brokerUrl], name: 'bench', role: roles.member() }, console.error);
  await bus.ready();
  // Only the ring's calls are made, none of them sealed.
  const relays = { client: () => Promise.reject(new Error('none')) as never, close: () => {} };
  const dialler = createDialler({ bus, relays, credentials: () => credentials, revocations, clock, random });
  let addresses: string[] = [];
  const listPeers = async () => ({
    peers:
      entry === undefined || entry.memberId === keys.id ? [] : [{ peerId: entry.memberId, addresses: entry.addresses }],
    next: '',
  });
  const host: MemberHost = {
    ...{ id: keys.id, keys, account: 'bench', name: 'bench', bus, queueType: 'classic', dataDir: '' },
    ...{ authorityCertificate: credentials.authorityCertificate, certificate: () => credentials.certificate },
    ...{ isRevoked: () => false, openBus: () => bus },
    ...{ session: {} as MemberHost['session'], directory: { listPeers } as unknown as MemberHost['directory'] },
    ...{ dial: dialler.dial, identify: dialler.identify, addresses: () => addresses },
    ...{ now: Date.now, clock, random, warn: console.error, log: () => {}, signal: new AbortController().signal },
  };
  const part = await startRing(host, { join: [], virtualNodes: 1, host: '127.0.0.1', ports: [0] });
  const ping = async () => ({ memberId: keys.id, name: '', callerId: '' });
  const contact = served(ContactServiceDefinition, { ping });
  const services = [contact, ...part.forMembers];
  await serveCalls(bus, ownRpc, [contact, ...part.forMembersByBus], {
    ...{ atOnce: 64, bindings: [{ exchange: 'm', key: rpcKey(bus.user) }], warn: console.error, admit: () => {} },
  });
  if (isDialled) {
    const to = { credentials, host: '127.0.0.1', ports: [0], revocations, warn: console.error };
    const { port } = await startMemberServer({ ...to, services });
    addresses = [`127.0.0.1:${port}`];
  }
  owners.push(part.forOwner[0]?.handlers as unknown as Owner);
  return { memberId: keys.id, addresses };
}

async function whole(count: number): Promise<void> {
  for (const owner of owners)
    for (;;) {
      const { nodes, isWhole } = (await owner.show({}, caller)) as { nodes: unknown[]; isWhole: boolean };
      if (isWhole && nodes.length === count) break;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
}

async function lookups(inFlight: number, seconds: number): Promise<LiveSample> {
  const [owner] = owners;
  const hops: number[] = [];
  return sample(inFlight, seconds, hops, async () => {
    const found = (await owner?.lookup({ key: String(random()) }, caller)) as { hops: unknown[] };
    hops[found.hops.length] = (hops[found.hops.length] ?? 0) + 1;
  });
}

async function sample(
  inFlight: number,
  seconds: number,
  hops: number[],
  act: () => Promise<void>,
): Promise<LiveSample> {
  const latencies: number[] = [];
  let failed = 0;
  const startedAt = clock();
  const usedBefore = process.cpuUsage();
  const line = async (): Promise<void> => {
    for (let before = clock(); before < startedAt + seconds * 1_000; before = clock()) {
      try {
        await act();
        latencies.push(clock() - before);
      } catch {
        failed++;
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, line));
  const took = (clock() - startedAt) / 1_000;
  const used = process.cpuUsage(usedBefore);
  const cpuMs = (used.user + used.system) / 1_000 / latencies.length;
  return { ...rateOf(latencies, took), cpuMs, hops: Array.from(hops, count => count ?? 0), failed };
}

// --- bare: what a ring of 32 answers, from plain servers with mutual TLS

const methods = RingServiceDefinition.methods;
const peerShape = { member: Buffer.alloc(32, 7), index: 0, addresses: ['127.0.0.1:50051'] };
const route = { closer: Array(5).fill(peerShape), owners: Array(4).fill(peerShape), predecessor: peerShape };
const neighbours = { predecessor: peerShape, successors: Array(8).fill(peerShape), addresses: peerShape.addresses };
const way = { toIndex: 0, fromIndex: 0, fromAddresses: peerShape.addresses };

async function startBare({ credentials }: LiveNode): Promise<number> {
  const server = new Server();
  const definitions = {
    route: grpcMethod(RingServiceDefinition, methods.route),
    neighbours: grpcMethod(RingServiceDefinition, methods.neighbours),
  };
  server.addService(definitions, {
    route: (_call: unknown, answer: (error: null, value: object) => void) => answer(null, route),
    neighbours: (_call: unknown, answer: (error: null, value: object) => void) => answer(null, neighbours),
  });
  const pair = { cert_chain: Buffer.from(credentials.certificate), private_key: Buffer.from(credentials.key) };
  const tls = ServerCredentials.createSsl(Buffer.from(credentials.authorityCertificate), [pair], true);
  return new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', tls, (error, port) => (error === null ? resolve(port) : reject(error))),
  );
}

let own: MemberCredentials | undefined;

async function bareCalls({
  hops,
  ports,
  inFlight,
  seconds,
}: Extract<LiveCommand, { kind: 'bare calls' }>): Promise<LiveSample> {
  const { authorityCertificate, key, certificate } = own as MemberCredentials;
  const tls = grpcCredentials.createSsl(Buffer.from(authorityCertificate), Buffer.from(key), Buffer.from(certificate), {
    checkServerIdentity: () => undefined,
  });
  const clients = ports.map(port => new Client(`127.0.0.1:${port}`, tls));
  const call = (name: 'route' | 'neighbours', request: object): Promise<unknown> => {
    const client = clients[Math.floor(random() * clients.length)] as Client;
    const { path, requestSerialize, responseDeserialize } = grpcMethod(RingServiceDefinition, methods[name]);
    return new Promise((resolve, reject) =>
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        {},
        (error, answer) => (error ? reject(error) : resolve(answer)),
      ),
    );
  };
  // As many after each other as the lookups had, in the same proportions.
  const lengths = hops.flatMap((count, length) =>
    Array(Math.round((1_000 * count) / hops.reduce((sum, each) => sum + each, 0))).fill(length),
  );
  const act = async (): Promise<void> => {
    const length = lengths[Math.floor(random() * lengths.length)] ?? 0;
    for (let left = length; left > 1; left--) await call('route', { way, key: Buffer.alloc(20, 7) });
    if (length > 0) await call('neighbours', { way });
  };
  await Promise.all(clients.map(() => call('neighbours', { way })));
  const found = await sample(inFlight, seconds, [], act);
  for (const client of clients) client.close();
  return found;
}

async function obey(command: LiveCommand): Promise<unknown> {
  switch (command.kind) {
    case 'start': {
      let { entry } = command;
      const started = [];
      own = command.nodes[0]?.credentials;
      for (const node of command.nodes) {
        const each = await startNode(node, command.isDialled, entry);
        entry ??= each;
        started.push(each);
      }
      return started;
    }
    case 'bare':
      return Promise.all(command.members.map(startBare));
    case 'whole':
      return whole(command.count);
    case 'lookups':
      return lookups(command.inFlight, command.seconds);
    case 'bare calls':
      return bareCalls(command);
  }
}

process.on('message', (command: LiveCommand) => {
  obey(command).then(
    answer => process.send?.({ answer: answer ?? null }),
    error => process.send?.({ problem: String(error?.stack ?? error) }),
  );
});
process.on('SIGTERM', () => process.exit());
process.send?.('ready');
