import { remember } from '../lib/remember.ts';
import { type Arc, ArcSet } from './arc.ts';
import { maxClaimants } from './bounds.ts';
import { type Holders, holdersOf } from './holders.ts';
import { distance, type Identifier, identifier, isBetween, isUpTo } from './identifier.ts';
import { every } from './maintenance.ts';
import type { ChordNode } from './node.ts';
import type { Peer } from './peer.ts';
import type { Reconcile, Reconciled, RingClock, RingEvent, RingOptions } from './ports.ts';
import { type Claim, type Compared, reconcile } from './reconcile.ts';
import type { RingRecord } from './record.ts';
import type { RecordStore } from './record-store.ts';
import { maintenanceTries } from './steps.ts';

interface RepairPorts {
  readonly clock: RingClock;
  readonly random: () => number;
  readonly emit?: (event: RingEvent) => void;
}

/** How long it counts that somebody said it owns something, in periods between comparisons. */
const claimPeriods = 4;
const claimsRemembered = 64;
/** After a change of neighbours: others may follow. */
const soonMs = 50;

/**
 * Keeps the copies right while nodes come and go. The owner of an arc compares it with the next k − 1 nodes; whoever holds keys that are not its
 * own compares them with their owner, and once it is none of the k holders and all of those have them, drops them. Both now and then, and at
 * once when neighbours change.
 */
export class Repair {
  readonly #node: ChordNode;
  readonly #store: RecordStore;
  readonly #ports: RepairPorts;
  readonly #options: Pick<RingOptions, 'k' | 'r' | 'repairMs'>;
  readonly #take: (record: RingRecord) => void;
  /** What it owns and has compared with all other holders since it owns it. */
  #settled: Arc | undefined;
  #settledIn = -1;
  /** What a settled owner has told it all of, or was told of as one; of the arcs that it holds copies of. */
  readonly #told = new ArcSet();
  /** Who lately said that it owns something. */
  readonly #claims = new Map<Identifier, { peer: Peer; at: number }>();
  #toldIn = -1;
  #running: Promise<void> | undefined;
  #isDue = false;
  #cancelSoon: (() => void) | undefined;

  constructor(
    node: ChordNode,
    store: RecordStore,
    ports: RepairPorts,
    options: Pick<RingOptions, 'k' | 'r' | 'repairMs'>,
    take: (record: RingRecord) => void,
  ) {
    this.#node = node;
    this.#store = store;
    this.#ports = ports;
    this.#options = options;
    this.#take = take;
    node.onChange(() => this.#changed());
  }

  maintain(): () => void {
    const stop = every(this.#options.repairMs, () => this.run(), this.#ports.clock, this.#ports.random);
    this.soon();
    return () => {
      stop();
      this.#cancelSoon?.();
      this.#cancelSoon = undefined;
    };
  }

  isSettled(key: Identifier): boolean {
    if (this.#settledIn !== this.#node.era || !this.#settled || !this.#node.owns(key)) return false;
    return isUpTo(this.#settled.from, key, this.#settled.to);
  }

  soon(): void {
    this.#cancelSoon ??= this.#ports.clock.after(soonMs, () => {
      this.#cancelSoon = undefined;
      void this.run();
    });
  }

  /** One at a time; who asks for another meanwhile gets one more after it. */
  run(): Promise<void> {
    this.#isDue = true;
    this.#running ??= this.#loop().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Somebody compares with us. What it owns we do not, and should we own it again we must first learn what it took meanwhile. */
  heard(
    { from: low, to, isOwner, isSettled }: Reconcile,
    from: Peer,
    { wanted, isCut }: Pick<Reconciled, 'wanted' | 'isCut'>,
  ): Pick<Reconciled, 'isFresh' | 'claimants'> {
    if (isOwner) {
      remember(this.#claims, from.id, { peer: from, at: this.#ports.clock.now() }, claimsRemembered);
      this.#cut(from.id);
      this.#node.answer('notify', {}, from);
      if (isSettled && wanted.length === 0 && !isCut) this.#wasTold({ from: low, to });
    }
    const isFresh = this.#toldIn !== this.#node.era || !this.#told.covers({ from: low, to });
    return { isFresh, claimants: this.#claimantsBetween(low, from) };
  }

  /** The nearest to us first. */
  #claimantsBetween(low: Identifier, asker: Peer): Peer[] {
    const self = this.#node.self.id;
    const since = this.#ports.clock.now() - claimPeriods * this.#options.repairMs;
    const found: Peer[] = [];
    for (const { peer, at } of this.#claims.values())
      if (at >= since && peer.id !== asker.id && isBetween(low, peer.id, self)) found.push(peer);
    return found
      .sort((one, other) => (distance(one.id, self) < distance(other.id, self) ? -1 : 1))
      .slice(0, maxClaimants);
  }

  #wasTold(arc: Arc): void {
    const { era } = this.#node;
    if (this.#toldIn !== era) this.#told.clear();
    this.#toldIn = era;
    this.#told.add(arc);
  }

  /** What the node owns goes to those who will hold it. */
  async handOver(): Promise<void> {
    const { predecessor } = this.#node.neighbours;
    if (!this.#node.isMember || !predecessor) return;
    const arc = { from: predecessor.id, to: this.#node.self.id, isOwner: true };
    const { peers } = this.#holders(this.#options.k + 1);
    for (const other of peers.slice(1)) await this.#reconcile(other, arc);
    await this.#passOn();
  }

  #changed(): void {
    const { predecessor } = this.#node.neighbours;
    if (predecessor) this.#cut(predecessor.id);
    if (this.#node.isMember) this.soon();
  }

  #cut(before: Identifier): void {
    const settled = this.#settled;
    if (settled && isBetween(settled.from, before, settled.to)) this.#settled = { from: before, to: settled.to };
  }

  async #loop(): Promise<void> {
    while (this.#isDue && this.#node.isMember) {
      this.#isDue = false;
      await this.#compareOwn();
      await this.#passOn();
    }
  }

  async #compareOwn(): Promise<void> {
    const { self, era, neighbours } = this.#node;
    const { predecessor, successors } = neighbours;
    const isAlone = successors[0]?.id === self.id;
    if (!predecessor && !isAlone) return;
    const { k, r } = this.#options;
    const arc = { from: predecessor?.id ?? self.id, to: self.id, isOwner: true };
    const isSettled = this.#settledIn === era && this.#settled?.from === arc.from;
    const fresh: Peer[] = [];
    let { isWhole } = this.#holders(k);
    let holders = 0;
    let learnt = 0;
    const claimants = new Map<Identifier, Peer>();
    // Holders that have come lately know nothing yet: those behind them may.
    for (const other of this.#holders(r + 1).peers.slice(1)) {
      const isHolder = holders < k - 1;
      if (!isHolder && (isSettled || learnt >= k - 1)) break;
      const found = await this.#reconcile(other, { ...arc, isSettled, isOnlyTaken: !isHolder });
      if (found) {
        for (const claimant of found.claimants) claimants.set(claimant.id, claimant);
        if (isHolder) holders++;
        if (!found.isFresh) learnt++;
        else if (isHolder) fresh.push(other);
      }
      // One that died is no holder, and the next one is; the list will be without it soon.
      else if (await this.#node.ask(other, 'ping', {}, maintenanceTries)) isWhole = false;
    }
    for (const { id } of successors) claimants.delete(id);
    for (const claimant of claimants.values()) if (!(await this.#isAgreed(claimant, arc))) isWhole = false;
    const now = this.#node.neighbours;
    if (!isWhole || this.#node.era !== era || now.predecessor?.id !== predecessor?.id) return;
    this.#settled = arc;
    this.#settledIn = era;
    this.#wasTold(arc);
    for (const other of fresh) await this.#reconcile(other, { ...arc, isSettled: true });
  }

  /**
   * Somebody near owns something, and we do not know it. When it lives our predecessor is it, or our list is to be made anew, before we may say
   * that we know what there is.
   */
  async #isAgreed(claimant: Peer, { from, to }: Arc): Promise<boolean> {
    if (!(await this.#node.ask(claimant, 'ping', {}, maintenanceTries))) return true;
    if (!this.#node.isMember) return false;
    if (isBetween(from, claimant.id, to)) this.#node.answer('notify', {}, claimant);
    else this.#node.nudge();
    return false;
  }

  /** Keys that others own, arc after arc. */
  async #passOn(): Promise<void> {
    const { self, era } = this.#node;
    const seen: Arc[] = [];
    const isOther = (key: Identifier): boolean =>
      !this.#node.owns(key) && !seen.some(({ from, to }) => isUpTo(from, key, to));
    for (let left = this.#options.k * 8; left > 0 && this.#node.era === era; left--) {
      const key = this.#store.find(isOther);
      if (key === undefined) return;
      const found = await this.#node.lookup(key).catch(() => undefined);
      const arc = { from: found?.predecessor?.id ?? identifier(key - 1n), to: found?.owner.id ?? key, isOwner: false };
      // Whose predecessor is not known yet: only the one key.
      const isSure = found !== undefined && isUpTo(arc.from, key, arc.to);
      const only = isSure ? arc : { from: identifier(key - 1n), to: key, isOwner: false };
      seen.push(only);
      if (!found || found.owner.id === self.id) continue;
      const { peers } = holdersOf(found, this.#options);
      if (peers.some(({ id }) => id === self.id)) await this.#reconcile(found.owner, only);
      else await this.#giveAway(peers, only);
    }
  }

  async #giveAway(holders: readonly Peer[], arc: Claim): Promise<void> {
    const { clock, emit } = this.#ports;
    const before = this.#store.on(arc.from, arc.to, clock.now());
    for (const holder of holders) {
      const done = await this.#reconcile(holder, { ...arc, isGivenAway: true });
      if (!done || done.refused > 0) return;
    }
    if (holders.length < this.#options.k) return;
    for (const digest of before) this.#store.forget(digest);
    this.#told.clear();
    emit?.({ type: 'moved-keys', node: this.#node.self, count: before.length });
  }

  #holders(k: number): Holders {
    const { self, neighbours } = this.#node;
    return holdersOf({ owner: self, successors: neighbours.successors }, { k, r: this.#options.r });
  }

  #reconcile(other: Peer, arc: Claim): Promise<Compared | undefined> {
    const { ask } = this.#node;
    return reconcile({ ask, store: this.#store, now: this.#ports.clock.now, take: this.#take }, other, arc);
  }
}
