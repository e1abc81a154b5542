import { MemberServiceDefinition, type ProxyStatus } from '../../../proto/gen/warren/member/v1/member.ts';
import type { Bus } from '../../bus/bus.ts';
import { placeOf } from '../../bus/session.ts';
import { directoryClient } from '../../directory/client.ts';
import type { ShownMember } from '../../directory/member-list.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import { certificateFacts } from '../../lib/identity/certificate.ts';
import type { MemberId } from '../../lib/identity/member-id.ts';
import { CallFailure } from '../../lib/rpc/call-failure.ts';
import type { GrpcConnection } from '../../lib/rpc/grpc-client.ts';
import { connectToDaemon } from '../../lib/rpc/local-daemon.ts';
import { type Membership, readMembership } from '../../member/home.ts';
import { readOwnRevocation } from '../../member/kept-revocations.ts';
import type { Unreached } from './ask.ts';
import { type Ask, askOverBus, contactAll, type SeenMember } from './members.ts';
import { onBus } from './on-bus.ts';

/** What one that has joined sees: of itself, and of the network by the broker alone. */
export interface OwnMember {
  readonly id: MemberId;
  readonly user: string;
  readonly services: readonly string[];
  readonly certificateEnds: string;
  /** The authority has said so; ISO 8601. */
  readonly revoked: string | undefined;
  readonly broker: Reached | Unreached;
  readonly directory: Reached | Unreached;
  readonly daemon: DaemonSeen | Unreached;
  /** As the daemon hears them; undefined: no daemon to ask. */
  readonly proxies: readonly ProxySeen[] | undefined;
  readonly members: readonly SeenMember[] | Unreached;
}

export interface Reached {
  readonly at: string;
  /** There and back; undefined: nobody there to answer. */
  readonly latencyMs: number | undefined;
}

export interface DaemonSeen {
  readonly name: string;
  readonly pid: number;
  readonly uptimeMs: number;
  readonly grpcAddress: string;
  readonly advertised: readonly string[];
  readonly connectedMembers: number;
  readonly parts: readonly { readonly name: string; readonly lines: readonly string[] }[];
}

export interface ProxySeen {
  readonly proxy: string;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  readonly services: readonly {
    readonly service: string;
    readonly queued: number | undefined;
    readonly liveWorkers: number;
  }[];
}

const daemonMs = 2_000;
const callMs = 2_500;
/** For the proxies' figures, which the daemon tells with the first event. */
const pageAtMost = 10;

/** Undefined in a home that has not joined. Whatever is down, it takes some seconds at most. @throws Failure MEMBER_HOME */
export async function ownMember(dataDir: string): Promise<OwnMember | undefined> {
  const membership = await readMembership(dataDir);
  if (membership === undefined) return undefined;
  const { id, account, notAfter } = certificateFacts(membership.certificate);
  const { authorityCertificate, services } = membership;
  const revokedAt = await readOwnRevocation(dataDir, { id, authorityCertificate });
  const daemon = await askDaemon(dataDir);
  try {
    const network = await askNetwork(membership, daemon.connection && askDaemonsWay(daemon.connection));
    return {
      ...{ id, user: account, services, certificateEnds: new Date(notAfter).toISOString() },
      revoked: revokedAt === undefined ? undefined : new Date(revokedAt).toISOString(),
      ...{ ...network, daemon: daemon.seen, proxies: daemon.proxies },
    };
  } finally {
    daemon.connection?.close();
  }
}

interface DaemonFound {
  readonly connection: GrpcConnection | undefined;
  readonly seen: DaemonSeen | Unreached;
  readonly proxies: readonly ProxySeen[] | undefined;
}

async function askDaemon(dataDir: string): Promise<DaemonFound> {
  let connection: GrpcConnection | undefined;
  try {
    connection = await connectToDaemon(dataDir);
    const events = connection.client(MemberServiceDefinition).watchSystem({}, { deadlineMs: daemonMs });
    for await (const { member, proxies } of events) {
      if (member === undefined) continue;
      const { name, pid, uptimeMs, grpcAddress, advertised, connectedMembers, parts } = member;
      const seen = { name, pid, uptimeMs: Number(uptimeMs), grpcAddress, advertised, connectedMembers, parts };
      return { connection, seen, proxies: proxies.map(proxySeen) };
    }
    throw new Error('it says nothing');
  } catch (error) {
    connection?.close();
    const problem =
      error instanceof Failure && error.code === 'DAEMON_NOT_RUNNING'
        ? 'no member runs here: warren member'
        : `the daemon of ${dataDir} does not answer: ${messageOf(error)}`;
    return { connection: undefined, seen: { problem }, proxies: undefined };
  }
}

function proxySeen({ proxy, figures }: ProxyStatus): ProxySeen {
  const { requestsPerSecond = 0, p99Ms = 0, services = [] } = figures ?? {};
  return {
    ...{ proxy, requestsPerSecond, p99Ms },
    services: services.map(({ service, queued, liveWorkers }) => ({ service, queued, liveWorkers })),
  };
}

/** The way that the daemon goes, straight where that works. */
function askDaemonsWay(connection: GrpcConnection): Ask {
  const daemon = connection.client(MemberServiceDefinition);
  return ({ id, addresses }, signal) => daemon.contact({ memberId: id, addresses: [...addresses] }, { signal });
}

async function askNetwork(
  membership: Membership,
  contact: Ask | undefined,
): Promise<Pick<OwnMember, 'broker' | 'directory' | 'members'>> {
  const at = placeOf(membership.brokerUrls[0] ?? '');
  try {
    return await onBus(membership.brokerUrls, bus => askDirectory(bus, membership, contact, at));
  } catch (error) {
    const away = { problem: 'not known while the broker cannot be reached' };
    return { broker: { problem: lostBroker(error, at) }, directory: away, members: away };
  }
}

function lostBroker(error: unknown, at: string): string {
  const refused = error instanceof Failure && error.code === 'BUS_LOGIN';
  return refused
    ? `the broker at ${at} does not know this machine's account (any more): it was revoked, or has joined anew from elsewhere`
    : messageOf(error);
}

async function askDirectory(
  bus: Bus,
  { certificate, directoryAccount: from }: Membership,
  contact: Ask | undefined,
  at: string,
): Promise<Pick<OwnMember, 'broker' | 'directory' | 'members'>> {
  const { id } = certificateFacts(certificate);
  const client = directoryClient(bus, from === undefined ? {} : { from });
  const ask = { deadlineMs: callMs };
  const sentAt = performance.now();
  const reached = (): Reached => ({ at, latencyMs: performance.now() - sentAt });
  try {
    await client.getMember({ token: '', memberId: id }, ask);
  } catch (error) {
    const answered = error instanceof CallFailure;
    const why = answered ? messageOf(error) : `the directory does not answer over the broker: ${messageOf(error)}`;
    const away = { problem: 'not known while the directory does not answer' };
    return {
      broker: answered ? reached() : { at, latencyMs: undefined },
      directory: { problem: why },
      members: away,
    };
  }
  const broker = reached();
  try {
    const members: ShownMember[] = [];
    let after = '';
    for (let page = 0; page < pageAtMost; page++) {
      const { members: some, next } = await client.listMembers({ token: '', after, username: '' }, ask);
      members.push(...some.map(shownMember));
      if (next === '') break;
      after = next;
    }
    const seen = await contactAll(members, contact ?? askOverBus(bus), id);
    return { broker, directory: broker, members: seen };
  } catch (error) {
    return { broker, directory: broker, members: { problem: `the members are not known: ${messageOf(error)}` } };
  }
}

type Listed = Awaited<ReturnType<ReturnType<typeof directoryClient>['listMembers']>>['members'][number];

/** What the directory says to members, as what it keeps. Its clock, and ours, may differ: for how long is as it says. */
function shownMember(member: Listed): ShownMember {
  const { memberId, username, services, addresses, activeForMs, joinedAtMs, certificateEndsAtMs, lastSeenAtMs } =
    member;
  const iso = (at: number): string => new Date(at).toISOString();
  return {
    id: memberId as ShownMember['id'],
    user: username,
    services,
    addresses,
    isActive: activeForMs > 0,
    activeSince: activeForMs > 0 ? iso(Date.now() - activeForMs) : undefined,
    joined: iso(joinedAtMs),
    certificateEnds: iso(certificateEndsAtMs),
    lastSeen: lastSeenAtMs === 0 ? undefined : iso(lastSeenAtMs),
  };
}
