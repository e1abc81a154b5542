import { Failure } from '../lib/failure.ts';
import { type Ask, createAsk } from './ask.ts';
import { fingerStart } from './finger-table.ts';
import { type Identifier, isBetween } from './identifier.ts';
import { type Lookup, type LookupStart, lookup } from './lookup.ts';
import type { Peer } from './peer.ts';
import type { Neighbours, RingCall, RingCalls, RingOptions, RingPorts, Route } from './ports.ts';
import { RingState } from './ring-state.ts';
import { maintenanceTries, type RingContext, type RingSteps, zaveSteps } from './steps.ts';
import { alone, behind } from './successor-list.ts';

export type NodeOptions = Pick<RingOptions, 'r' | 'callTimeoutMs' | 'hopLimit'>;

const nodeCalls = ['ping', 'neighbours', 'route', 'notify', 'nudge'] as const satisfies readonly RingCall[];

/** Calls that a node answers itself; the others are its storage's. */
export type NodeCall = (typeof nodeCalls)[number];

/** A nudged node waits this long for more of them. */
const nudgeMs = 20;
/** Whoever nudges all the time makes it work no more often than this. */
const nudgeGapMs = 200;

/**
 * One place on the ring. Modes:
 * - *outside*: from the start, and after `leave`. Answers nobody, which others take for death.
 * - *joining*: while `join` runs; to others still outside.
 * - *member*: after `found` or `join`. Answers, and its maintenance (`maintenance.ts`) keeps it right. *Safe* once it knows r others.
 */
export class ChordNode {
  readonly self: Peer;
  readonly ask: Ask;
  readonly #ports: RingPorts;
  readonly #options: NodeOptions;
  readonly #steps: RingSteps;
  readonly #state: RingState;
  readonly #context: RingContext;
  readonly #listeners = new Set<() => void>();
  #stabilizing: Promise<void> | undefined;
  #isRectifying = false;
  #waiting: Peer | undefined;
  #cancelNudge: (() => void) | undefined;
  #nudgedAt = Number.NEGATIVE_INFINITY;

  constructor(ports: RingPorts, self: Peer, options: NodeOptions, steps: RingSteps = zaveSteps) {
    this.self = self;
    this.#ports = ports;
    this.#options = options;
    this.#steps = steps;
    this.ask = createAsk(ports.transport, ports.clock, options.callTimeoutMs);
    this.#state = new RingState(self, options.r, () => {
      for (const listener of this.#listeners) listener();
    });
    const { hopLimit } = options;
    this.#context = {
      state: this.#state,
      ask: this.ask,
      lookup: { hopLimit, now: ports.clock.now, onSilent: peer => this.#silent(peer) },
      suspect: peer => this.#suspect(peer),
    };
  }

  get isMember(): boolean {
    return this.#state.isMember;
  }

  /** See `RingState.isSafe`: say so to people while it is not. */
  get isSafe(): boolean {
    return this.#state.isSafe;
  }

  /** Changes with each entry into a ring and each end of membership. */
  get era(): number {
    return this.#state.era;
  }

  get neighbours(): Neighbours {
    return this.#state.neighbours;
  }

  get fingers(): readonly Peer[] {
    return this.#state.fingers.peers();
  }

  /** As far as this node can tell. */
  owns(key: Identifier): boolean {
    return this.#state.owns(key);
  }

  /** Calls back whenever the predecessor or the successor list has changed. @returns ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A ring of its own. */
  found(): void {
    this.#state.enter(undefined, alone(this.self, this.#options.r));
  }

  /** Enters with neighbours that are known to be right: for a ring that is set up as a whole. */
  enter({ predecessor, successors }: Neighbours, fingers: ReadonlyMap<number, Peer> = new Map()): void {
    this.#state.enter(predecessor, successors);
    for (const [at, peer] of fingers) this.#state.setFinger(at, peer);
  }

  /**
   * Once. Where the ring is about to change the place may not be found: try again a little later.
   * @param via members, tried until one knows the way
   * @throws Failure `NOT_JOINED`
   */
  async join(via: readonly Peer[]): Promise<void> {
    if (this.isMember) throw new Failure('ALREADY_A_MEMBER', 'the node is in a ring already: let it leave first');
    const hasJoined = await this.#steps.join(this.#context, via).catch(() => false);
    if (!hasJoined)
      throw new Failure('NOT_JOINED', 'the ring gave no place: none of the given nodes answers, or it changes');
    const { predecessor } = this.#state;
    await this.stabilize();
    // Our predecessor would hear of us in its next round; now is better.
    if (predecessor && this.isMember) void this.ask(predecessor, 'nudge', {});
    this.#ports.emit?.({ type: 'joined', node: this.self });
  }

  /** What it held must have been handed over before (`storage.handOver`). */
  leave(): void {
    if (!this.isMember) return;
    const { predecessor, head } = this.#state;
    this.close();
    this.#ports.emit?.({ type: 'leaving', node: this.self });
    for (const peer of new Set([predecessor, head]))
      if (peer && peer.id !== this.self.id) void this.ask(peer, 'nudge', {});
  }

  /** Ends it without a word. */
  close(): void {
    this.#cancelNudge?.();
    this.#cancelNudge = undefined;
    this.#state.forget();
  }

  /** One round, on to the first head that lives. While one runs there is no second. */
  stabilize(): Promise<void> {
    this.#stabilizing ??= this.#stabilizeRound().finally(() => {
      this.#stabilizing = undefined;
    });
    return this.#stabilizing;
  }

  async #stabilizeRound(): Promise<void> {
    for (let left = this.#options.r; left >= 0 && this.isMember; left--)
      if (!(await this.#steps.stabilize(this.#context))) return;
  }

  async checkPredecessor(): Promise<void> {
    const { predecessor, era } = this.#state;
    if (!predecessor) return;
    const isAlive = await this.ask(predecessor, 'ping', {}, maintenanceTries);
    if (isAlive || this.#state.era !== era || this.#state.predecessor?.id !== predecessor.id) return;
    this.#state.predecessor = undefined;
    this.#suspect(predecessor);
  }

  /** Looks one finger up again. */
  async fixFingers(): Promise<void> {
    const { fingers, head, era } = this.#state;
    if (!this.isMember || head.id === this.self.id) return;
    const at = fingers.nextToFix(head.id);
    const found = await this.lookup(fingerStart(this.self.id, at)).catch(() => undefined);
    if (found && this.#state.era === era) this.#state.setFinger(at, found.owner);
  }

  /** @throws Failure `HOP_LIMIT`, `NO_WAY`, `OUTSIDE` */
  async lookup(key: Identifier, start?: LookupStart): Promise<Lookup> {
    if (!this.isMember) throw new Failure('OUTSIDE', 'the node is in no ring');
    const { predecessor, successors } = this.#state;
    if (!start && this.owns(key)) return { owner: this.self, successors, predecessor, path: [] };
    const context = { ...this.#context.lookup, ask: this.ask, self: this.self };
    return lookup(context, key, start ?? { route: this.#state.route(key) });
  }

  /**
   * Looks itself up through somebody who may be in another ring. Whoever that finds instead of us is our neighbour there: so rings that
   * split, or were founded apart, grow together.
   */
  async meet(outsider: Peer): Promise<void> {
    const { era } = this.#state;
    if (!this.isMember || outsider.id === this.self.id) return;
    const found = await this.lookup(this.self.id, { peers: [outsider], isUnconfirmed: true }).catch(() => undefined);
    const { self, successors, head, r } = this.#state;
    const other = found?.owner;
    if (!other || other.id === self.id || this.#state.era !== era) return;
    if (isBetween(self.id, other.id, head.id)) {
      const its = await this.ask(other, 'neighbours', {}, maintenanceTries);
      if (its && this.#state.era === era && this.#state.successors === successors)
        this.#state.successors = behind(other, its.successors, r);
    }
    await this.ask(other, 'notify', {});
    if (found.predecessor && found.predecessor.id !== self.id) void this.ask(found.predecessor, 'nudge', {});
  }

  /** @throws Failure `OUTSIDE` while it is no member */
  answer<K extends NodeCall>(call: K, request: RingCalls[K]['request'], from: Peer): RingCalls[K]['reply'];
  answer(call: NodeCall, request: object, from: Peer): Neighbours | Route | Readonly<Record<never, never>> {
    if (!this.isMember) throw new Failure('OUTSIDE', 'the node is in no ring');
    switch (call) {
      case 'neighbours':
        return this.neighbours;
      case 'route':
        return this.#state.route((request as RingCalls['route']['request']).key);
      case 'notify':
        void this.#rectify(from);
        return {};
      case 'nudge':
        this.nudge();
        return {};
      case 'ping':
        return {};
    }
  }

  /** Something changed near: a round of stabilizing and a look at the predecessor, soon. */
  nudge(): void {
    const { clock } = this.#ports;
    this.#cancelNudge ??= clock.after(Math.max(nudgeMs, this.#nudgedAt + nudgeGapMs - clock.now()), () => {
      this.#cancelNudge = undefined;
      this.#nudgedAt = clock.now();
      if (!this.isMember) return;
      // A round that runs may be past what changed.
      if (this.#stabilizing) void this.#stabilizing.then(() => this.stabilize());
      else void this.stabilize();
      void this.checkPredecessor();
    });
  }

  /** One question open at a time; of those who come meanwhile the nearest is next. Who is nearer than the predecessor needs none. */
  async #rectify(candidate: Peer): Promise<void> {
    const { predecessor } = this.#state;
    const isNearer = predecessor !== undefined && isBetween(predecessor.id, candidate.id, this.self.id);
    if (isNearer || !this.#isRectifying) return this.#rectifyNow(candidate);
    const waiting = this.#waiting;
    if (!waiting || isBetween(waiting.id, candidate.id, this.self.id)) this.#waiting = candidate;
  }

  async #rectifyNow(candidate: Peer): Promise<void> {
    const isFirst = !this.#isRectifying;
    this.#isRectifying = true;
    await this.#steps.rectify(this.#context, candidate);
    if (!isFirst) return;
    this.#isRectifying = false;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) await this.#rectify(waiting);
  }

  /** In a lookup. */
  #silent(peer: Peer): void {
    this.#state.removeFinger(peer.id);
    if (this.#state.successors.some(({ id }) => id === peer.id)) this.nudge();
  }

  #suspect(peer: Peer): void {
    this.#state.removeFinger(peer.id);
    this.#ports.emit?.({ type: 'suspect', node: peer, by: this.self });
  }
}

export function isNodeCall(call: RingCall): call is NodeCall {
  return nodeCalls.some(each => each === call);
}
