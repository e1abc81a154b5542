import { ownPrefix } from './own-keys.ts';

/**
 * Everything that exists on the broker, as data: what there is, why it is durable or not and of which kind, and what
 * happens to a message that nobody takes. Each role declares its own part on every connection and no more: who may declare a
 * thing may also delete it, so what is shared is declared by one or two trusted ones, and the others wait until it is there.
 */

export interface ExchangeSpec {
  readonly name: string;
  readonly type: 'direct' | 'fanout' | 'topic';
  readonly why: string;
}

export interface QueueSpec {
  /** '' : named by the server, fresh on each connection, gone with it. */
  readonly name: string;
  readonly exclusive?: boolean;
  readonly arguments?: Readonly<Record<string, string | number | boolean>>;
  readonly why: string;
}

export interface Binding {
  readonly exchange: string;
  readonly key: string;
}

/** A shared queue with its bindings, as a role declares it. */
export interface BoundQueue {
  readonly queue: QueueSpec;
  readonly bindings: readonly Binding[];
}

/** What one role declares on each connection, and what it finds there. */
export interface Role {
  readonly exchanges: readonly ExchangeSpec[];
  readonly queues: readonly BoundQueue[];
  /** Somebody else's, without which it is of no use. */
  readonly expects?: readonly Expected[];
}

export interface Expected {
  readonly exchanges: readonly ExchangeSpec[];
  readonly queues?: readonly BoundQueue[];
  /** Who declares it, for people. */
  readonly of: string;
}

/** All exchanges are durable: they cost nothing, and a restarted broker finds its bindings again. */
export const exchanges = {
  'proxy.jobs': { name: 'proxy.jobs', type: 'direct', why: 'key = service; one queue per service' },
  'proxy.replies': {
    name: 'proxy.replies',
    type: 'direct',
    why: 'key = one proxy session; unroutable = its asker is gone',
  },
  'proxy.events': { name: 'proxy.events', type: 'topic', why: 'leases, cancels and figures: fresh or nothing' },
  m: {
    name: 'm',
    type: 'topic',
    why: "to whom it may concern: an account's own queues (own-keys.ts), directory.rpc …; topic, so that rights can name the key",
  },
  'p2p.index': {
    name: 'p2p.index',
    type: 'topic',
    why: 'what members share, for the directory; key = member, so that rights can name the key; unroutable = no directory yet',
  },
  'p2p.transfers': {
    name: 'p2p.transfers',
    type: 'topic',
    why: 'how transfers go, for figures and the UI: fresh or nothing; key = member, as above',
  },
  'chord.events': {
    name: 'chord.events',
    type: 'topic',
    why: 'hints that speed repairs up: fresh or nothing; key = member, as above',
  },
  'naming.events': {
    name: 'naming.events',
    type: 'topic',
    why: 'names that moved: fresh or nothing, who missed one asks; topic, so that rights can name the key',
  },
  'directory.events': {
    name: 'directory.events',
    type: 'topic',
    why: 'key revoked: who is a member no longer; whoever was away asks for the list',
  },
  chat: {
    name: 'chat',
    type: 'topic',
    why: 'keys in.<chat>, log.<chat>, beat.<chat>, live.<member>.<chat>: one exchange for all chats, so that rights can name the key, and an account has them in one entry',
  },
  'demo.posts': { name: 'demo.posts', type: 'fanout', why: 'posts of the sample form, all into one stream' },
} as const satisfies Record<string, ExchangeSpec>;

export type ExchangeName = keyof typeof exchanges;

/** How each kind of message travels. A message's `type` property is its key here. */
export const messages = {
  'warren.bus.v1.Call': { exchange: 'm', persistent: false, why: 'the caller waits, and asks again' },
  'warren.bus.v1.Answer': { exchange: 'm', persistent: false, why: 'no use to anybody once the caller is gone' },
  'warren.bus.v1.RelayFrame': {
    exchange: 'm',
    persistent: false,
    why: 'one that is missing breaks its channel, and both sides open another',
  },
  'warren.proxy.v1.Job': {
    exchange: 'proxy.jobs',
    persistent: false,
    why: 'useful until its deadline, then it expires',
  },
  'warren.proxy.v1.Claim': { exchange: 'proxy.replies', persistent: false, why: 'unanswered: not executed' },
  'warren.proxy.v1.Grant': { exchange: 'm', persistent: false, why: 'lost: not executed, the client is told' },
  'warren.proxy.v1.Parts': {
    exchange: 'proxy.replies',
    persistent: false,
    why: 'the asker holds the client; both go together',
  },
  'warren.proxy.v1.RequestPart': {
    exchange: 'm',
    persistent: false,
    why: 'the upload that it is part of breaks with it',
  },
  'warren.proxy.v1.RequestCredit': { exchange: 'proxy.replies', persistent: false, why: 'as the parts' },
  'warren.proxy.v1.ResponseCredit': { exchange: 'm', persistent: false, why: 'as the parts' },
  'warren.proxy.v1.Cancel': { exchange: 'proxy.events', persistent: false, why: 'lost: some work done in vain' },
  'warren.proxy.v1.WorkerAnnounce': { exchange: 'proxy.events', persistent: false, why: 'said again every second' },
  'warren.proxy.v1.ProxyAnnounce': { exchange: 'proxy.events', persistent: false, why: 'said again every second' },
  'warren.naming.v1.NameChanged': {
    exchange: 'naming.events',
    persistent: false,
    why: 'the record can be asked for at any time',
  },
  'warren.directory.v1.Revocation': {
    exchange: 'directory.events',
    persistent: false,
    why: 'lost: members ask for the list on each connection and every minute',
  },
  'warren.directory.v1.Announcement': {
    exchange: 'p2p.index',
    persistent: true,
    why: 'said once; lost, the directory is wrong until the next snapshot',
  },
  'warren.peer.v1.TransferEvent': { exchange: 'p2p.transfers', persistent: false, why: 'the next one says more' },
  'warren.chord.v1.RingEvent': { exchange: 'chord.events', persistent: false, why: 'timers repair what was missed' },
  'warren.chat.v1.Input': {
    exchange: 'chat',
    persistent: true,
    why: 'somebody typed it; kept in the sender until it is seen in the log',
  },
  'warren.chat.v1.Entry': { exchange: 'chat', persistent: true, why: 'the log is the truth' },
  'warren.chat.v1.Nudge': { exchange: 'chat', persistent: false, why: 'asks whether somebody serves; asked again' },
  'warren.chat.v1.Beat': { exchange: 'chat', persistent: false, why: 'said again every third of a lease' },
  'warren.chat.v1.HandOver': { exchange: 'm', persistent: false, why: 'lost: no hand-over this time, the log goes on' },
  'warren.chat.v1.Live': { exchange: 'chat', persistent: false, why: 'who is there, who types: fresh or nothing' },
  'warren.chat.v1.Direct': {
    exchange: 'm',
    persistent: true,
    why: 'somebody typed it; kept in the sender until the receiver says that it has it',
  },
  'warren.demo.v1.Post': { exchange: 'demo.posts', persistent: true, why: 'somebody typed it' },
} as const satisfies Record<string, { exchange: ExchangeName; persistent: boolean; why: string }>;

export type MessageType = keyof typeof messages;

export type QueueKind = 'classic' | 'quorum';

/** 4.x drops after 20 deliveries unless told otherwise, 3.x never; -1 means "drop at once" on 3.10. So: a number. */
const quorum = { 'x-queue-type': 'quorum', 'x-delivery-limit': 1_000_000 };

/**
 * The shared queue of a service's jobs. Jobs are transient and carry an expiration, so nothing in it outlives its asker.
 * @param kind `quorum` in a cluster, where a classic queue dies with its home node; three to four times the latency.
 */
export function jobQueue(service: string, kind: QueueKind): BoundQueue {
  return {
    queue: {
      name: `proxy.jobs.${service}`,
      ...(kind === 'quorum' ? { arguments: quorum } : {}),
      why: 'durable, so that it outlives broker restarts and worker absences; its messages need not',
    },
    bindings: [{ exchange: 'proxy.jobs', key: service }],
  };
}

/**
 * Calls wait no longer than the most patient caller (`calls.ts`), and no more than so many: whoever may call could fill the broker.
 * One that is pushed out is the oldest, and its caller hears of its deadline.
 */
const calls = (atMost: number) => ({ 'x-message-ttl': 60_000, 'x-max-length': atMost });

/** Where a process of an account's own is called, by a key of its own (`rpcKey`). */
export const ownRpc: QueueSpec = {
  name: '',
  exclusive: true,
  arguments: calls(1_000),
  why: 'gone with its process, of which nobody else could do the work; bounded, because all members may write to it',
};

/**
 * Where the directory is called. Calls are transient and expire with their callers' patience; those that come while the
 * directory restarts wait here.
 */
export function directoryRpc(kind: QueueKind): BoundQueue {
  return {
    queue: {
      name: 'directory.rpc',
      // A second directory would have other accounts: it stands by, and answers only when the first one is gone.
      arguments: { 'x-single-active-consumer': true, ...calls(10_000), ...(kind === 'quorum' ? quorum : {}) },
      why: 'durable, so that calls wait for a directory that restarts; a call that nobody takes expires',
    },
    bindings: [{ exchange: 'm', key: 'directory.rpc' }],
  };
}

/**
 * Where somebody with an invite enrols: apart from the other calls, because whoever holds an invite is a stranger still.
 */
export function directoryEnrol(kind: QueueKind): BoundQueue {
  return {
    queue: {
      name: 'directory.enrol',
      arguments: { 'x-single-active-consumer': true, ...calls(1_000), ...(kind === 'quorum' ? quorum : {}) },
      why: 'as directory.rpc',
    },
    bindings: [{ exchange: 'm', key: 'directory.enrol' }],
  };
}

/** Where naming is called; as the directory is. */
export function namingRpc(kind: QueueKind): BoundQueue {
  return {
    queue: {
      name: 'naming.rpc',
      // A second one would know other names: it stands by.
      arguments: { 'x-single-active-consumer': true, ...calls(10_000), ...(kind === 'quorum' ? quorum : {}) },
      why: 'durable, so that calls wait for a naming that restarts; a call that nobody takes expires',
    },
    bindings: [{ exchange: 'm', key: 'naming.rpc' }],
  };
}

/** What members announce, in order; it waits here while the directory is away. */
export function directoryIndex(kind: QueueKind): BoundQueue {
  return {
    queue: {
      name: 'directory.index',
      arguments: {
        'x-single-active-consumer': true,
        // About 175,000 changes. Full, it takes no more: who announces hears of it, and says all again later.
        'x-max-length-bytes': 32 * 1024 * 1024,
        'x-overflow': 'reject-publish',
        ...(kind === 'quorum' ? quorum : {}),
      },
      why: 'durable, so that a directory that was away catches up; bounded; refused announcements are dropped',
    },
    bindings: [{ exchange: 'p2p.index', key: '*' }],
  };
}

/** Where the directory hears of transfers. */
export const directoryTransfers: QueueSpec = {
  name: '',
  exclusive: true,
  arguments: { 'x-max-length': 10_000 },
  why: 'exclusive: figures of what happens while the directory is there; too many, and the oldest go',
};

/** Bytes of a chat's log that are kept at most, and after which it begins a new segment: only whole ones are cut off. */
export const chatLogBytes = 256 * 1024 * 1024;
export const chatSegmentBytes = 4 * 1024 * 1024;

/** What is said to the server of a chat, which is its single active consumer; the others that could serve it stand by. */
export function chatIn(chat: string, kind: QueueKind): BoundQueue {
  return {
    queue: {
      name: `chat.${chat}.in`,
      arguments: {
        'x-single-active-consumer': true,
        // Full, it takes no more: who speaks hears of it, keeps it, and says it again later.
        'x-max-length-bytes': 64 * 1024 * 1024,
        'x-overflow': 'reject-publish',
        ...(kind === 'quorum' ? quorum : {}),
      },
      why: 'durable: what is said while nobody serves waits here; bounded, because all members may write to it',
    },
    bindings: [{ exchange: 'chat', key: `in.${chat}` }],
  };
}

/** All that was said in a chat, and who served it: each of its members reads all of it. */
export function chatLog(chat: string): BoundQueue {
  return {
    queue: {
      name: `chat.${chat}.log`,
      arguments: {
        'x-queue-type': 'stream',
        'x-max-length-bytes': chatLogBytes,
        'x-max-age': '180D',
        'x-stream-max-segment-size-bytes': chatSegmentBytes,
      },
      why: 'a stream: in order, durable, read from any place by any number; cut by size and age, behind checkpoints',
    },
    bindings: [{ exchange: 'chat', key: `log.${chat}` }],
  };
}

/** Where one process hears who is there and who types. */
export const chatLive: QueueSpec = {
  name: '',
  exclusive: true,
  arguments: { 'x-max-length': 1_000 },
  why: 'fresh or nothing; bounded, because all members may write to it',
};

/** Private messages to one member, which wait here while it is away. */
export function directMessages(account: string, kind: QueueKind): BoundQueue {
  const name = `${ownPrefix(account)}.dm`;
  return {
    queue: {
      name,
      arguments: {
        'x-message-ttl': 7 * 86_400_000,
        // Full, it takes no more: who writes keeps it, and tries again later.
        'x-max-length-bytes': 32 * 1024 * 1024,
        'x-overflow': 'reject-publish',
        ...(kind === 'quorum' ? quorum : {}),
      },
      why: 'durable, so that they wait for who is away; bounded, because all members may write to it',
    },
    bindings: [{ exchange: 'm', key: name }],
  };
}

/** The stream behind the sample form: every replica reads all of it from the start. */
export const demoPosts: BoundQueue = {
  queue: {
    name: 'demo.posts',
    arguments: {
      'x-queue-type': 'stream',
      'x-max-length-bytes': 4_000_000,
      'x-stream-max-segment-size-bytes': 1_000_000,
    },
    why: 'a stream: each replica reads it all, restarts lose nothing, size bounded by retention',
  },
  bindings: [{ exchange: 'demo.posts', key: '' }],
};

const ofProxy = [exchanges['proxy.replies'], exchanges['proxy.events'], exchanges.m];
const heardByMembers = [
  exchanges.m,
  exchanges['p2p.index'],
  exchanges['p2p.transfers'],
  exchanges['chord.events'],
  exchanges['naming.events'],
  exchanges['proxy.events'],
  exchanges['directory.events'],
  exchanges.chat,
];

export const roles = {
  proxy: (services: readonly string[], kind: QueueKind): Role => ({
    exchanges: [exchanges['proxy.jobs'], ...ofProxy],
    queues: services.map(service => jobQueue(service, kind)),
  }),
  worker: (service: string, kind: QueueKind): Role => ({
    exchanges: [],
    queues: [],
    expects: [
      { exchanges: ofProxy, queues: [jobQueue(service, kind)], of: `a proxy with a route to the service ${service}` },
    ],
  }),
  demo: (): Role => ({ exchanges: [exchanges['demo.posts']], queues: [demoPosts] }),
  /**
   * All that members need, too: so nobody waits for anybody but the directory.
   * @param chats the network's, by name
   */
  directory: (kind: QueueKind, chats: readonly string[] = []): Role => ({
    exchanges: heardByMembers,
    queues: [
      ...[directoryRpc(kind), directoryEnrol(kind), directoryIndex(kind)],
      ...chats.flatMap(chat => [chatIn(chat, kind), chatLog(chat)]),
    ],
  }),
  naming: (kind: QueueKind): Role => ({
    exchanges: [exchanges.m, exchanges['naming.events']],
    queues: [namingRpc(kind)],
  }),
  /** @param own with a queue for private messages, of that broker account */
  member: (own?: { account: string; kind: QueueKind }): Role => ({
    exchanges: [],
    queues: own === undefined ? [] : [directMessages(own.account, own.kind)],
    expects: [{ exchanges: heardByMembers, of: 'the directory' }],
  }),
  /** Calls and answers only. */
  caller: (): Role => ({ exchanges: [], queues: [], expects: [{ exchanges: [exchanges.m], of: 'the directory' }] }),
};
