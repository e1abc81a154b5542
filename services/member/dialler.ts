import { ContactServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import type { Bus } from '../bus/bus.ts';
import { createClient } from '../bus/calls.ts';
import type { MemberLink } from '../bus/hosted.ts';
import { rpcKey } from '../bus/own-keys.ts';
import type { Relays } from '../bus/relay/relays.ts';
import { backoffMs } from '../lib/backoff.ts';
import { brokerAccountOf, isMemberId, type MemberId, shortId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import { type GrpcConnection, openGrpc } from '../lib/rpc/grpc-client.ts';
import { type MemberCredentials, memberChannelCredentials, memberChannelOptions } from '../lib/rpc/member-tls.ts';
import type { RevocationList } from './admission.ts';

export interface DiallerNeeds {
  readonly bus: Bus;
  readonly relays: Relays;
  readonly credentials: () => MemberCredentials;
  readonly revocations: RevocationList;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly random: () => number;
}

export interface Dialler {
  dial(member: MemberId, addresses: readonly string[]): Promise<MemberLink>;
  /** See `MemberHost.identify`. */
  identify(address: string): Promise<MemberId>;
  close(): void;
}

/** For all addresses together, in milliseconds: who does not answer in it is reached faster through the broker. */
const patienceMs = 2_000;
const addressesAtOnce = 4;
/** The only kind that members can be at: gRPC knows others (`unix:`, `dns:`), which are not for others to have us open. */
const hostAndPort = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+):\d{1,5}$/i;
const retryBounds = { firstMs: 5_000, maxMs: 300_000 };
const idleMs = 10 * 60_000;
/** TCP halves its speed for each packet that is lost on a long way: several connections share that. */
const mostLanes = 4;
/** Of either kind; beyond it the one that was asked for longest ago goes. */
const remembered = 1_000;
/** A connection with a window of 64 KiB gets 3 MiB a second at a round trip of 20 ms; with this one 128 times as much. */
const channelOptions = {
  ...memberChannelOptions,
  'grpc-node.flow_control_window': 8 * 1024 * 1024,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // One to each daemon and no other: the pool of subchannels is shared by address, whatever key was meant.
  'grpc.use_local_subchannel_pool': 1,
};

interface DirectLink {
  readonly link: MemberLink & { readonly grpc: GrpcConnection };
  usedAt: number;
}

interface Failed {
  /** The addresses that failed: others are tried at once. */
  readonly addresses: string;
  readonly times: number;
  readonly againAt: number;
}

/** Ways to other members: straight if that works, else through the broker. One link to a member, for all who ask. */
export function createDialler({ bus, relays, credentials, revocations, clock, random }: DiallerNeeds): Dialler {
  const direct = new Map<MemberId, DirectLink>();
  const failed = new Map<MemberId, Failed>();
  const trying = new Map<string, Promise<MemberLink>>();

  const drop = (member: MemberId): void => {
    direct.get(member)?.link.grpc.close();
    direct.delete(member);
  };
  const sweep = setInterval(() => {
    for (const [member, { usedAt }] of direct) if (clock() - usedAt > idleMs) drop(member);
  }, idleMs / 10);
  sweep.unref();
  const offRevoked = revocations.onRevoked(drop);

  const throughBroker = (memberId: MemberId): MemberLink => ({
    memberId,
    way: 'broker',
    address: 'broker',
    grpc: undefined,
    client: service => relays.client(memberId, service),
    unary: service => {
      const account = brokerAccountOf(memberId);
      return createClient(bus, rpcKey(account), service, { from: account });
    },
  });

  const dialDirect = async (memberId: MemberId, address: string, signal: AbortSignal): Promise<DirectLink['link']> => {
    const isRevoked = (serial: string): boolean =>
      revocations.isRevokedMember(memberId) || revocations.isRevoked(serial);
    const open = (): GrpcConnection =>
      openGrpc(address, memberChannelCredentials(credentials(), memberId, isRevoked), channelOptions);
    const grpc = openLanes(open);
    try {
      const { memberId: answered } = await grpc
        .client(ContactServiceDefinition)
        .ping({}, { deadlineMs: patienceMs, signal });
      // TLS has checked the key already.
      if (answered !== memberId) throw new CallFailure('FAILED_PRECONDITION', 'MEMBER_OTHER', 'another member answers');
      const client: MemberLink['client'] = (service, lane = 0) => grpc.lane(lane).client(service);
      return { memberId, way: 'direct', address, grpc, client, unary: service => client(service) };
    } catch (error) {
      grpc.close();
      throw error;
    }
  };

  const tryAll = async (memberId: MemberId, addresses: readonly string[]): Promise<MemberLink> => {
    const ended = new AbortController();
    const attempts = addresses.slice(0, addressesAtOnce).map(address => dialDirect(memberId, address, ended.signal));
    try {
      const link = await Promise.any(attempts);
      ended.abort();
      // Of two that came through at the same moment, one stays.
      for (const attempt of attempts)
        attempt.then(
          other => other !== link && other.grpc.close(),
          () => {},
        );
      const there = direct.get(memberId);
      if (there?.link.grpc.isConnected()) {
        // Found meanwhile at other addresses, and handed out.
        link.grpc.close();
        return there.link;
      }
      drop(memberId);
      direct.set(memberId, { link, usedAt: clock() });
      failed.delete(memberId);
      bound(direct, drop);
      return link;
    } catch {
      const times =
        failed.get(memberId)?.addresses === addresses.join(' ') ? (failed.get(memberId)?.times ?? 0) + 1 : 0;
      failed.delete(memberId);
      const againAt = clock() + backoffMs(times, retryBounds, random);
      failed.set(memberId, { addresses: addresses.join(' '), times, againAt });
      bound(failed, member => failed.delete(member));
      return throughBroker(memberId);
    }
  };

  return {
    async dial(memberId, given) {
      const addresses = given.filter(address => hostAndPort.test(address));
      if (revocations.isRevokedMember(memberId))
        throw new CallFailure('PERMISSION_DENIED', 'MEMBER_REVOKED', `member ${shortId(memberId)} is revoked`);
      const there = direct.get(memberId);
      if (there?.link.grpc.isConnected()) {
        there.usedAt = clock();
        direct.delete(memberId);
        direct.set(memberId, there);
        return there.link;
      }
      drop(memberId);
      const last = failed.get(memberId);
      const isTooSoon = last?.addresses === addresses.join(' ') && clock() < last.againAt;
      if (addresses.length === 0 || isTooSoon) return throughBroker(memberId);
      const key = [memberId, ...addresses].join(' ');
      const running = trying.get(key) ?? tryAll(memberId, addresses).finally(() => trying.delete(key));
      trying.set(key, running);
      return running;
    },
    async identify(address) {
      const channel = memberChannelCredentials(credentials(), undefined, serial => revocations.isRevoked(serial));
      const grpc = openGrpc(address, channel, channelOptions);
      try {
        const { memberId } = await grpc.client(ContactServiceDefinition).ping({}, { deadlineMs: patienceMs });
        if (isMemberId(memberId)) return memberId;
        throw new CallFailure('FAILED_PRECONDITION', 'MEMBER_OTHER', 'what answers there is no member');
      } finally {
        grpc.close();
      }
    },
    close() {
      clearInterval(sweep);
      offRevoked();
      for (const member of [...direct.keys()]) drop(member);
    },
  };
}

/** Connections to one member, made when they are first asked for; they end together. */
function openLanes(open: () => GrpcConnection): GrpcConnection & { lane(lane: number): GrpcConnection } {
  const first = open();
  const lanes = [first];
  let isClosed = false;
  return {
    ...first,
    lane(lane) {
      const at = Math.min(lane, mostLanes - 1);
      // One that is closed says so itself.
      if (at === 0 || isClosed) return first;
      lanes[at] ??= open();
      return lanes[at];
    },
    close() {
      isClosed = true;
      for (const each of lanes) each?.close();
    },
  };
}

function bound<V>(entries: Map<MemberId, V>, drop: (member: MemberId) => void): void {
  for (const oldest of entries.keys()) {
    if (entries.size <= remembered) break;
    drop(oldest);
  }
}
