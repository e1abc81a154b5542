/**
 * Everything that exists on the broker, as data: what there is, why it is durable or not and of which kind, and what
 * happens to a message that nobody takes. Each role declares its own part on every connection and no more.
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

/** What one role declares on each connection. */
export interface Role {
  readonly exchanges: readonly ExchangeSpec[];
  readonly queues: readonly BoundQueue[];
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
  m: { name: 'm', type: 'topic', why: "a process's own queues, key m.<id>.…; topic, so that rights can name the key" },
  'naming.events': { name: 'naming.events', type: 'topic', why: 'key = name; fresh, or naming is asked' },
  'demo.posts': { name: 'demo.posts', type: 'fanout', why: 'posts of the sample form, all into one stream' },
} as const satisfies Record<string, ExchangeSpec>;

export type ExchangeName = keyof typeof exchanges;

/** How each kind of message travels. A message's `type` property is its key here. */
export const messages = {
  'warren.bus.v1.Call': { exchange: 'm', persistent: false, why: 'the caller waits, and asks again' },
  'warren.bus.v1.Answer': { exchange: 'm', persistent: false, why: 'no use to anybody once the caller is gone' },
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
 * Where the directory is called. Calls are transient and expire with their callers' patience; those that come while the
 * directory restarts wait here.
 */
export function directoryRpc(kind: QueueKind): BoundQueue {
  return {
    queue: {
      name: 'directory.rpc',
      // A second directory would have other accounts: it stands by, and answers only when the first one is gone.
      arguments: { 'x-single-active-consumer': true, ...(kind === 'quorum' ? quorum : {}) },
      why: 'durable, so that calls wait for a directory that restarts; a call that nobody takes expires',
    },
    bindings: [{ exchange: 'm', key: 'directory.rpc' }],
  };
}

/** Where naming is called; as the directory is. */
export function namingRpc(kind: QueueKind): BoundQueue {
  return {
    queue: {
      name: 'naming.rpc',
      // A second one would know other names: it stands by.
      arguments: { 'x-single-active-consumer': true, ...(kind === 'quorum' ? quorum : {}) },
      why: 'durable, so that calls wait for a naming that restarts; a call that nobody takes expires',
    },
    bindings: [{ exchange: 'm', key: 'naming.rpc' }],
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

export const roles = {
  proxy: (services: readonly string[], kind: QueueKind): Role => ({
    exchanges: [exchanges['proxy.jobs'], exchanges['proxy.replies'], exchanges['proxy.events'], exchanges.m],
    queues: services.map(service => jobQueue(service, kind)),
  }),
  worker: (service: string, kind: QueueKind): Role => ({
    exchanges: [exchanges['proxy.jobs'], exchanges['proxy.replies'], exchanges['proxy.events'], exchanges.m],
    queues: [jobQueue(service, kind)],
  }),
  demo: (): Role => ({ exchanges: [exchanges['demo.posts']], queues: [demoPosts] }),
  directory: (kind: QueueKind): Role => ({ exchanges: [exchanges.m], queues: [directoryRpc(kind)] }),
  naming: (kind: QueueKind): Role => ({
    exchanges: [exchanges.m, exchanges['naming.events']],
    queues: [namingRpc(kind)],
  }),
  /** Calls and answers only. */
  caller: (): Role => ({ exchanges: [exchanges.m], queues: [] }),
};
