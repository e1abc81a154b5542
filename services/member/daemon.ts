import { existsSync } from 'node:fs';
import { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import {
  ContactServiceDefinition,
  MemberServiceDefinition,
  type StatusResponse,
} from '../../proto/gen/warren/member/v1/member.ts';
import { SessionServiceDefinition } from '../../proto/gen/warren/member/v1/session.ts';
import type { Bus } from '../bus/bus.ts';
import { serveCalls } from '../bus/calls.ts';
import type { HostedPart, MemberHost, MemberSession, StartPart } from '../bus/hosted.ts';
import { keepConsuming } from '../bus/keep-consuming.ts';
import { rpcKey } from '../bus/own-keys.ts';
import { ownRpc } from '../bus/queues.ts';
import { serveRelays } from '../bus/relay/relay-server.ts';
import { createRelays } from '../bus/relay/relays.ts';
import type { QueueKind } from '../bus/topology.ts';
import { Changes } from '../lib/changes.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { certificateFacts } from '../lib/identity/certificate.ts';
import { formatMemberKeys, type MemberKeys } from '../lib/identity/keys.ts';
import { isMemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import { type Handlers, served } from '../lib/rpc/definition.ts';
import type { MemberCredentials } from '../lib/rpc/member-tls.ts';
import { readVersion } from '../lib/version.ts';
import { dialAddresses } from './addresses.ts';
import { admit, type RevocationList } from './admission.ts';
import { watchBroker } from './broker-reach.ts';
import { createDialler } from './dialler.ts';
import { createHealth } from './health.ts';
import { startMemberServer } from './member-server.ts';
import { startOwnerEndpoint } from './owner-endpoint.ts';
import { createOwnerSession, loggedOutFile } from './owner-session.ts';
import { type Presence, startPresence } from './presence.ts';
import { ProxyTable } from './proxies.ts';
import { ReachRecord } from './reach.ts';

export interface DaemonNeeds {
  /** Of role `member`, with the member's broker account. Stays the caller's to close, after the daemon. */
  readonly bus: Bus;
  readonly openBus: MemberHost['openBus'];
  readonly keys: MemberKeys;
  readonly directory: MemberHost['directory'];
  /** Whether the directory is reached over the bus. */
  readonly isDirectoryOverBus: boolean;
  readonly revocations: RevocationList;
  readonly parts: readonly StartPart[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly random: () => number;
  readonly warn: (line: string) => void;
  readonly log: (line: string) => void;
  /** Called when the owner asks the daemon to end. */
  readonly onStop: () => void;
}

export interface DaemonOptions {
  readonly dataDir: string;
  readonly name: string;
  /** PEM, of the network's authority and of this member. */
  readonly authorityCertificate: string;
  readonly certificate: string;
  readonly host: string;
  /** In turn, until one is free; 0 is any free one. */
  readonly ports: readonly number[];
  /** `host` or `host:port`, instead of what is found. */
  readonly advertise: readonly string[];
  /** To find the interface towards it. */
  readonly brokerHost: string;
  readonly queueType: QueueKind;
}

export interface Daemon {
  readonly port: number;
  readonly ownerPlace: string;
  readonly status: () => StatusResponse;
  /** Resolves when it is called over the bus for the first time. */
  readonly served: Promise<unknown>;
  /** The certificate has been renewed; from the next handshake on. */
  setCertificate(certificate: string): void;
  close(): Promise<void>;
}

/** Calls over the bus that are held at a time; more wait in the queue, and expire with their callers' patience. */
const atOnce = 64;
const apartMs = 500;
const sweepMs = 500;
/** How long another member may take to say how it is, in milliseconds. */
const contactMs = 2_000;
/** How long calls that run may hold `close` up, in milliseconds. */
const graceMs = 1_000;

/**
 * A member's daemon: one gRPC server for members, an endpoint for its owner, its calls over the bus, and the parts that it hosts. It
 * serves whether there is a broker or not. To be started by whoever holds the folder.
 * @throws Failure PORT_TAKEN, PORT_DENIED, LISTEN, and of the parts
 */
export async function startDaemon(needs: DaemonNeeds, options: DaemonOptions): Promise<Daemon> {
  const { bus, keys, directory, revocations, now, clock, random, warn, log } = needs;
  const { dataDir, name, authorityCertificate } = options;
  const startedAt = clock();
  const version = readVersion();
  const ending = new AbortController();
  const changes = new Changes();
  const changed = (): void => changes.happened();
  let certificate = certificateFacts(options.certificate);
  let credentials: MemberCredentials = {
    authorityCertificate,
    certificate: options.certificate,
    key: formatMemberKeys(keys),
  };
  const broker = new ReachRecord(clock, changed);
  const directoryReach = new ReachRecord(clock, changed);
  const proxies = new ProxyTable();
  const parts: HostedPart[] = [];
  let advertised: readonly string[] = [];

  // What has begun, to be ended in reverse order, whatever fails on the way.
  const ends: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    ending.abort();
    for (const end of ends.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        warn(`while ending: ${messageOf(error)}`);
      }
    }
  };

  const status = (): StatusResponse => ({
    memberId: keys.id,
    name,
    account: certificate.account,
    version,
    pid: process.pid,
    uptimeMs: BigInt(Math.round(clock() - startedAt)),
    grpcAddress: `${options.host || '*'}:${server.port}`,
    advertised: [...advertised],
    broker: broker.now(),
    directory: directoryReach.now(),
    parts: parts.map(part => ({ name: part.name, lines: [...part.status()] })),
    certificateLeftMs: BigInt(Math.max(0, certificate.notAfter - now())),
    connectedMembers: server.connected(),
  });

  const contact: Handlers<typeof ContactServiceDefinition> = {
    ping: async (_request, { memberId = '' }) => ({ memberId: keys.id, name, callerId: memberId }),
  };
  const owner: Handlers<typeof MemberServiceDefinition> = {
    status: async () => status(),
    watchSystem: (_request, { signal }) =>
      changes.watch(
        () => ({ member: status(), proxies: proxies.all() }),
        apartMs,
        AbortSignal.any([signal, ending.signal]),
      ),
    contact: async ({ memberId, addresses }, { signal }) => {
      if (!isMemberId(memberId))
        throw new CallFailure('INVALID_ARGUMENT', 'MEMBER_ID', 'member_id: must be 64 hexadecimal digits');
      const link = await dialler.dial(memberId, addresses);
      const sentAt = clock();
      const { name } = await link
        .unary(ContactServiceDefinition)
        .ping({}, { deadlineMs: contactMs, signal })
        .catch(asContactFailure);
      return { name, way: link.way, address: link.address, latencyMs: clock() - sentAt };
    },
    stop: async () => {
      // The answer goes first.
      setImmediate(needs.onStop);
      return {};
    },
  };
  const withHealth = (services: ReturnType<typeof served>[]): ReturnType<typeof served>[] => {
    const names = services.map(({ definition }) => definition.fullName);
    return [...services, served(HealthDefinition, createHealth(names, ending.signal))];
  };

  const relayNeeds = { bus, keys, clock, warn };
  const relays = createRelays(relayNeeds);
  ends.push(() => relays.close());
  const dialler = createDialler({ bus, relays, credentials: () => credentials, revocations, clock, random });
  ends.push(() => dialler.close());
  let session: Handlers<typeof SessionServiceDefinition> | undefined;
  const begun = () => {
    if (session === undefined) throw new CallFailure('UNAVAILABLE', 'SESSION_EARLY', 'the member is just starting');
    return session;
  };
  const wasOut = existsSync(loggedOutFile(dataDir));
  let presence: Presence | undefined;
  const memberSession: MemberSession = {
    isLoggedIn: () => !(presence?.isOut ?? wasOut),
    logIn: (account, signal) => begun().logIn(account, { address: 'owner', signal }),
    logOut: signal => begun().logOut({}, { address: 'owner', signal }),
  };
  const directoryOfParts: MemberHost['directory'] = {
    ...directory,
    ping: async (request, options) => {
      if (!memberSession.isLoggedIn()) throw new CallFailure('FAILED_PRECONDITION', 'SESSION_OUT', 'logged out');
      return directory.ping(request, options);
    },
  };
  let server: Awaited<ReturnType<typeof startMemberServer>>;
  try {
    for (const start of needs.parts) {
      const part = await start({
        ...{ id: keys.id, keys, account: certificate.account, name, bus, queueType: options.queueType },
        directory: directoryOfParts,
        openBus: needs.openBus,
        ...{ authorityCertificate, certificate: () => credentials.certificate },
        isRevoked: member => revocations.isRevokedMember(member),
        ...{ dial: dialler.dial, identify: dialler.identify, addresses: () => advertised, dataDir },
        ...{ now, clock, random, warn, log },
        ...{ session: memberSession, signal: ending.signal },
      });
      parts.push(part);
      ends.push(() => part.close());
    }
    const { host, ports } = options;
    server = await startMemberServer({
      ...{ credentials, host, ports, revocations, warn },
      services: withHealth([served(ContactServiceDefinition, contact), ...parts.flatMap(part => part.forMembers)]),
    });
    ends.push(() => server.close(graceMs));
    const { advertise, brokerHost } = options;
    const announcing = startPresence({
      isOut: wasOut,
      ...{ bus, reach: directoryReach, clock, random, warn, isOverBus: needs.isDirectoryOverBus },
      announce: (addresses, signal) => directory.ping({ token: '', addresses: [...addresses] }, { signal }),
      addresses: async () => {
        advertised = await dialAddresses({ advertise, host, port: server.port, brokerHost });
        return advertised;
      },
    });
    presence = announcing;
    ends.push(() => announcing.close());
    session = createOwnerSession({
      dataDir,
      presence: announcing,
      directory,
      warn,
      account: () => certificate.account,
    });
    const endpoint = await startOwnerEndpoint(
      dataDir,
      withHealth([
        served(MemberServiceDefinition, owner),
        served(SessionServiceDefinition, session),
        ...parts.flatMap(part => part.forOwner),
      ]),
      warn,
    );
    ends.push(() => endpoint.close(graceMs));

    const relayed = serveRelays(
      relayNeeds,
      [served(ContactServiceDefinition, contact), ...parts.flatMap(part => part.forMembers)],
      member => admit(revocations, member),
    );
    ends.push(() => relayed.close());
    ends.push(revocations.onRevoked(member => relayed.drop(member)));
    const calls = keepConsuming(bus, () =>
      serveCalls(
        bus,
        ownRpc,
        [served(ContactServiceDefinition, contact), relayed.service, ...parts.flatMap(part => part.forMembersByBus)],
        // Its broker account may be there for a while after a revocation, or what it sent before.
        {
          ...{ atOnce, bindings: [{ exchange: 'm', key: rpcKey(bus.user) }], warn },
          admit: member => member !== undefined && admit(revocations, member),
        },
      ),
    );
    const events = keepConsuming(bus, () =>
      bus.consume(
        { name: '', exclusive: true, why: 'figures of the proxies: fresh or nothing' },
        delivery => {
          if (proxies.heard(delivery, clock())) changed();
          return 'ack';
        },
        { noAck: true, bindings: () => [{ exchange: 'proxy.events', key: 'proxy' }] },
      ),
    );
    ends.push(() => Promise.all([calls.close(), events.close()]));
    const sweep = setInterval(() => proxies.expire(clock()) && changed(), sweepMs);
    ends.push(() => clearInterval(sweep));

    const brokerWatch = watchBroker(bus, { reach: broker, clock });
    ends.push(() => brokerWatch.close());
    return {
      port: server.port,
      ownerPlace: endpoint.place,
      served: calls.begun,
      status,
      setCertificate(pem) {
        certificate = certificateFacts(pem);
        credentials = { ...credentials, certificate: pem };
        server.setCredentials(credentials);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Nobody there, or no broker, is an answer too. */
function asContactFailure(error: unknown): never {
  if (error instanceof CallFailure || !(error instanceof Failure)) throw error;
  throw new CallFailure('UNAVAILABLE', error.code, error.message, { cause: error });
}
