import {
  chatIn,
  chatLog,
  demoPosts,
  directMessages,
  directoryEnrol,
  directoryIndex,
  directoryRpc,
  jobQueue,
  namingRpc,
} from './queues.ts';

/**
 * Everything that exists on the broker, as data (the queues in `queues.ts`): what there is, why it is durable or not and of which kind, and what
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
