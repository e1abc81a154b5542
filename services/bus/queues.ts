import { ownPrefix } from './own-keys.ts';
import type { BoundQueue, QueueKind, QueueSpec } from './topology.ts';

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
const chatLogBytes = 256 * 1024 * 1024;
const chatSegmentBytes = 4 * 1024 * 1024;

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
