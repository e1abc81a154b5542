import type { Identifier } from './identifier.ts';
import type { Peer } from './peer.ts';
import type { Digest, RingRecord, Slot, StoreReply } from './record.ts';

/** What a node knows of its surroundings. */
export interface Neighbours {
  readonly predecessor: Peer | undefined;
  /** At most r, the nearest first. */
  readonly successors: readonly Peer[];
}

/** One node's advice on the way to a key. */
export interface Route {
  /** Nodes before the key, the nearest first; at most `maxCloser`. */
  readonly closer: readonly Peer[];
  /** Whose successor list reaches past the key: its owner and who would own it next; else empty. */
  readonly owners: readonly Peer[];
  /** The node before the first owner. */
  readonly predecessor: Peer | undefined;
}

type Nothing = Readonly<Record<never, never>>;

/** Everything that one node asks another. The proto service `warren.chord.v1` has a method for each. */
export interface RingCalls {
  ping: { request: Nothing; reply: Nothing };
  neighbours: { request: Nothing; reply: Neighbours };
  route: { request: { readonly key: Identifier }; reply: Route };
  /** "I think that I am your predecessor." The caller is meant: nobody can be notified of a third. */
  notify: { request: Nothing; reply: Nothing };
  /** "Something changed near you": stabilize and check the predecessor now. A hint; correctness never depends on it. */
  nudge: { request: Nothing; reply: Nothing };

  /** `asOwner`: the asker takes it for the owner of the key; it refuses with `not-owner` when it is not. */
  store: { request: { readonly record: RingRecord; readonly asOwner: boolean }; reply: StoreReply };
  /** Several at once, at most `maxStored`; a reply for each, in their order. */
  storeAll: {
    request: { readonly records: readonly RingRecord[]; readonly asOwner: boolean };
    reply: { readonly replies: readonly StoreReply[] };
  };
  fetch: { request: { readonly key: Identifier; readonly kind: RingRecord['kind'] }; reply: Fetched };
  reconcile: { request: Reconcile; reply: Reconciled };
  retrieve: { request: { readonly slots: readonly Slot[] }; reply: { readonly records: readonly RingRecord[] } };
}

export type RingCall = keyof RingCalls;

const storageCalls = ['store', 'storeAll', 'fetch', 'reconcile', 'retrieve'] as const satisfies readonly RingCall[];

/** Calls that a node's storage answers; the others the node itself. */
export type StorageCall = (typeof storageCalls)[number];

export function isStorageCall(call: RingCall): call is StorageCall {
  return storageCalls.some(each => each === call);
}

export interface Fetched {
  /** Tombstones included. */
  readonly records: readonly RingRecord[];
  /**
   * It owns the key, and has compared with the other holders since it does: it has seen every put that was acknowledged. A get
   * needs this of the one that it takes for the owner.
   */
  readonly isSettledOwner: boolean;
}

/** What the asker holds on an arc, `from` excluded and `to` included, so that both sides end up with the newest of each. */
export interface Reconcile {
  readonly from: Identifier;
  readonly to: Identifier;
  /** All that the asker has on the arc; at most `maxDigests`. */
  readonly digests: readonly Digest[];
  /** The asker owns the arc, as far as it knows: then the receiver does not. */
  readonly isOwner: boolean;
  /** And it has learnt what the others know of it (`RingStorage`): whoever lacks nothing of it afterwards is a holder that can be asked. */
  readonly isSettled: boolean;
}

export interface Reconciled {
  /** What the receiver lacks, or has older. */
  readonly wanted: readonly Slot[];
  /** What the receiver has newer, or the asker lacks; at most `maxDigests`. */
  readonly newer: readonly Digest[];
  /** There is more that is newer: ask again once you have these. */
  readonly isCut: boolean;
  /** The receiver has not yet been told what there is on the arc: that it has nothing newer says nothing. */
  readonly isFresh: boolean;
  /**
   * Other nodes between the arc's beginning and the receiver that lately said that they own something: whoever does not know them is not where it
   * takes itself to be. At most `maxClaimants`.
   */
  readonly claimants: readonly Peer[];
}

/** How a node reaches others. */
export interface RingTransport {
  /**
   * Rejects when the node cannot be reached, is no member of a ring (`outside`) or does not serve the call; all are the same to the caller.
   * The caller waits for no longer than `timeoutMs`, and drops what comes later.
   */
  call<K extends RingCall>(
    to: Peer,
    call: K,
    request: RingCalls[K]['request'],
    timeoutMs: number,
  ): Promise<RingCalls[K]['reply']>;
}

/** Monotonic, in milliseconds. */
export interface RingClock {
  now(): number;
  /** @returns takes it back */
  after(ms: number, act: () => void): () => void;
}

/** What a node tells on `chord.events`. Hearing one (`hear`) starts the matching repair at once; nothing relies on it. */
export type RingEvent =
  | { readonly type: 'joined' | 'leaving'; readonly node: Peer }
  | { readonly type: 'suspect'; readonly node: Peer; readonly by: Peer }
  | { readonly type: 'moved-keys'; readonly node: Peer; readonly count: number };

export interface RingPorts {
  readonly transport: RingTransport;
  readonly clock: RingClock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly emit?: (event: RingEvent) => void;
}

export interface RingOptions {
  /** Length of the successor list. A ring is safe once it has r + 1 members. */
  readonly r: number;
  /** Copies of a value, the owner's included. At most r + 1. */
  readonly k: number;
  /** Between two rounds of each maintenance procedure, on average: each wait is uniform in ½ … 1½ of it. */
  readonly stabilizeMs: number;
  /** After this a silent node counts as dead (for maintenance: after two such tries). */
  readonly callTimeoutMs: number;
  /** Nodes that one lookup may contact, silent ones included. */
  readonly hopLimit: number;
  /** Between two comparisons of what the holders of a key hold, on average. */
  readonly repairMs: number;
  /** Between two looks at oneself through an outside rendezvous, on average. */
  readonly meetMs: number;
}

export const liveOptions: RingOptions = {
  r: 8,
  k: 3,
  stabilizeMs: 1_000,
  callTimeoutMs: 1_000,
  hopLimit: 64,
  repairMs: 5_000,
  meetMs: 30_000,
};
