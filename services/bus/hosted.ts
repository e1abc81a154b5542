import type { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import type { MemberKeys } from '../lib/identity/keys.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import type { Client, Served, ServiceDefinition, UnaryClient } from '../lib/rpc/definition.ts';
import type { GrpcConnection } from '../lib/rpc/grpc-client.ts';
import type { Bus } from './bus.ts';
import type { QueueKind } from './topology.ts';

/** A way to one member. Shared and kept by the daemon: nobody closes it. */
export interface MemberLink {
  readonly memberId: MemberId;
  /** `direct`: gRPC, with the member's key checked. `broker`: calls through its queue on the bus. */
  readonly way: 'direct' | 'broker';
  /** `host:port`, or `broker`: for people. */
  readonly address: string;
  /**
   * All methods of a service, the same either way; through the broker sealed from end to end (relay/relays.ts).
   * @param lane of a direct way: another connection for each, from 0 (the one that all share) to 3, for calls that bring much
   */
  client<S extends ServiceDefinition>(service: S, lane?: number): Client<S>;
  /**
   * Methods that answer once; through the broker each in one message, which its operator can read: for small calls to many members, of
   * which nothing is secret.
   */
  unary<S extends ServiceDefinition>(service: S): UnaryClient<S>;
  /** Only when `direct`. */
  readonly grpc: GrpcConnection | undefined;
}

/** Whether the member is among the active ones of the directory. */
export interface MemberSession {
  /** While it is not, the directory is not pinged: it would be back on the list. */
  isLoggedIn(): boolean;
  /**
   * Puts it on the list, and keeps it there.
   * @param account empty: the member's own, without a password checked
   * @throws CallFailure SESSION_ACCOUNT, SESSION_AWAY, DIRECTORY_LOGIN
   */
  logIn(
    account: { readonly username: string; readonly password: string },
    signal: AbortSignal,
  ): Promise<{ readonly account: string; readonly leaseMs: number }>;
  /** Takes it off, until the next login. @returns whether the directory could be told; else the lease ends by itself */
  logOut(signal: AbortSignal): Promise<{ readonly isTold: boolean }>;
}

/** What the daemon gives to a part that it hosts (files, ring, chat). */
export interface MemberHost {
  readonly id: MemberId;
  readonly keys: MemberKeys;
  /** The user's account in the directory, as the member's certificate says it. */
  readonly account: string;
  /** PEM: the network's authority's, and this member's own as it is now. */
  readonly authorityCertificate: string;
  readonly certificate: () => string;
  /** It is none of the network any more, as far as is known here. */
  readonly isRevoked: (member: MemberId) => boolean;
  /** What the owner calls this member. */
  readonly name: string;
  /** Of role `member`, with the member's broker account. Stays the daemon's to close. */
  readonly bus: Bus;
  /**
   * Another one, with the same account, for what must be noticed sooner to have died than by the common heartbeat. Whoever opens it closes
   * it. @param purpose in a word, for the broker's list of connections
   */
  readonly openBus: (purpose: string, options: { readonly heartbeatSeconds: number }) => Bus;
  readonly queueType: QueueKind;
  readonly directory: UnaryClient<typeof DirectoryServiceDefinition>;
  readonly session: MemberSession;
  /**
   * Tries the addresses (`host:port`), each at most seconds, and remembers what failed for a while; else through the broker, which is
   * not asked whether the member is there: a call then ends with BUS_NO_RECEIVER.
   * @throws CallFailure MEMBER_REVOKED
   */
  dial(member: MemberId, addresses: readonly string[]): Promise<MemberLink>;
  /**
   * Who is at an address (`host:port`), as it says itself; `dial` then checks it.
   * @throws CallFailure UNAVAILABLE, DEADLINE_EXCEEDED
   */
  identify(address: string): Promise<MemberId>;
  /** Where this member can be dialled; none: through the broker only. */
  addresses(): readonly string[];
  /** The data directory; a part makes itself one folder in it, 0700. */
  readonly dataDir: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** Uniform in [0, 1); not for secrets. */
  readonly random: () => number;
  /** For whoever runs the daemon, a line: what is not as it should be; what happened. */
  readonly warn: (line: string) => void;
  readonly log: (line: string) => void;
  /** Aborts when the daemon begins to end. */
  readonly signal: AbortSignal;
}

/** What a part gives to the daemon. */
export interface HostedPart {
  /** One word, for people. */
  readonly name: string;
  /** Over gRPC, and sealed through the broker; whoever calls is a member (`caller.memberId`). */
  readonly forMembers: readonly Served[];
  /** Those that may be called at `m.<id>.rpc` too, in the open (`MemberLink.unary`); without their streams. */
  readonly forMembersByBus: readonly Served[];
  /** On the local endpoint only: whoever calls is the owner. */
  readonly forOwner: readonly Served[];
  /** How it is, in a line or a few, for `warren status` and the UI. */
  status(): readonly string[];
  /** Ends its work in good order, within some seconds; the bus and the servers still run. */
  close(): Promise<void>;
}

/** Starts a part. It need not wait for the broker: the bus comes up when it can. @throws Failure when it cannot start */
export type StartPart = (host: MemberHost) => Promise<HostedPart>;
