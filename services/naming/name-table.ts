import type { NameRecord } from '../../proto/gen/warren/naming/v1/naming.ts';
import { messageOf } from '../lib/failure.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import {
  applyEvent,
  type ChangeKind,
  changesBetween,
  isHeld,
  type NameEvent,
  type NameState,
  type Outcome,
  restored,
  unserved,
} from './record.ts';
import type { NamingStore, StateChange } from './store.ts';

/** What has happened to a name, with how it stands now. */
export interface Change {
  readonly kind: ChangeKind | 'current' | 'forgotten';
  readonly record: NameRecord;
}

export interface TableNeeds {
  readonly store: NamingStore;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly warn: (line: string) => void;
}

interface Waiting {
  readonly name: string;
  readonly event: NameEvent;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

const maxNames = 10_000;
/** That one member may be holder or latent of. */
export const maxNamesOfOne = 32;
export const maxLatents = 256;

/** All names: in memory as in the file, which is written before anybody hears of a change. */
export class NameTable {
  readonly #store: NamingStore;
  readonly #clock: () => number;
  readonly #warn: (line: string) => void;
  readonly #leaseMs: number;
  readonly #names: Map<string, NameState>;
  /** How many names lie below each name that is above one: `b.c` and `c` for `a.b.c`. */
  readonly #above = new Map<string, number>();
  readonly #listeners = new Set<(change: Change) => void>();
  #sorted: readonly string[] | undefined;
  readonly #waiting: Waiting[] = [];
  #changes = 0;

  constructor({ store, clock, warn }: TableNeeds, { leaseMs }: { leaseMs: number }) {
    this.#store = store;
    this.#clock = clock;
    this.#warn = warn;
    this.#leaseMs = leaseMs;
    this.#names = store.load();
    for (const [name, state] of this.#names) {
      this.#names.set(name, restored(state, { now: clock(), leaseMs }));
      this.#count(name, 1);
    }
  }

  get(name: string): NameState | undefined {
    return this.#names.get(name);
  }

  /** Whether any name ends in `.${name}`. */
  hasBelow(name: string): boolean {
    return this.#above.has(name);
  }

  /** In order. */
  names(): readonly string[] {
    this.#sorted ??= [...this.#names.keys()].sort();
    return this.#sorted;
  }

  /** Grows with each change that anybody is told of. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * What comes in one turn is written together: a disk takes a millisecond or two for each time that it is asked to be sure.
   * Rejects with a CallFailure: NAMING_STORE (nothing has changed then), NAMING_FULL.
   */
  apply(name: string, event: NameEvent): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ name, event, resolve, reject });
      if (this.#waiting.length === 1) setImmediate(() => this.flush());
    });
  }

  /** Does what waits now. */
  flush(): void {
    const waiting = this.#waiting.splice(0);
    if (waiting.length === 0) return;
    const next = new Map<string, NameState>();
    const done: (() => void)[] = [];
    const accepted: Waiting[] = [];
    for (const each of waiting) {
      const { name, event, resolve, reject } = each;
      const before = next.get(name) ?? this.#names.get(name) ?? unserved;
      const rules = { now: this.#clock(), leaseMs: this.#leaseMs, maxLatents };
      try {
        const outcome = applyEvent(before, event, rules);
        if (outcome.state !== before) {
          this.#admit(name, event, next);
          next.set(name, outcome.state);
        }
        accepted.push(each);
        done.push(() => resolve(outcome));
      } catch (error) {
        reject(error);
      }
    }
    try {
      this.#put(next);
    } catch (error) {
      for (const { reject } of accepted) reject(error);
      return;
    }
    for (const tell of done) tell();
  }

  /** @returns whether there was such a name @throws CallFailure NAMING_STORE */
  forget(name: string): boolean {
    this.flush();
    const before = this.#names.get(name);
    if (before === undefined) return false;
    this.#write([{ name, before, after: unserved }]);
    this.#drop(name);
    this.#tell({ kind: 'forgotten', record: recordOf(name, unserved, this.#clock()) });
    return true;
  }

  /** Sees which leases have ended. */
  sweep(): void {
    this.flush();
    const now = this.#clock();
    const next = new Map<string, NameState>();
    for (const [name, state] of this.#names) {
      const { state: after } = applyEvent(state, { kind: 'expire' }, { now, leaseMs: this.#leaseMs, maxLatents });
      if (after !== state) next.set(name, after);
    }
    try {
      this.#put(next);
    } catch {
      // They stay a little longer: reading counts leases by itself.
    }
  }

  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #put(next: ReadonlyMap<string, NameState>): void {
    const changes = [...next].map(([name, after]) => ({ name, before: this.#names.get(name) ?? unserved, after }));
    this.#write(changes);
    for (const { name, before, after } of changes) {
      if (after.holder === undefined && after.latents.size === 0) this.#drop(name);
      else {
        if (!this.#names.has(name)) {
          this.#count(name, 1);
          this.#sorted = undefined;
        }
        this.#names.set(name, after);
      }
      for (const kind of changesBetween(before, after))
        this.#tell({ kind, record: recordOf(name, after, this.#clock()) });
    }
  }

  #drop(name: string): void {
    if (!this.#names.delete(name)) return;
    this.#count(name, -1);
    this.#sorted = undefined;
  }

  #write(changes: readonly StateChange[]): void {
    try {
      this.#store.write(changes);
    } catch (cause) {
      this.#warn(
        `cannot write ${changes
          .map(({ name }) => name)
          .join(', ')
          .slice(0, 200)}: ${messageOf(cause)}`,
      );
      throw new CallFailure('UNAVAILABLE', 'NAMING_STORE', 'cannot be written now: try again', {
        cause,
        retryAfterMs: 1_000,
      });
    }
  }

  /** @param next what is about to be, beside what is */
  #admit(name: string, event: NameEvent, next: ReadonlyMap<string, NameState>): void {
    const full = (what: string): CallFailure => new CallFailure('RESOURCE_EXHAUSTED', 'NAMING_FULL', what);
    const added = [...next.keys()].filter(each => !this.#names.has(each));
    const state = next.get(name) ?? this.#names.get(name);
    if (state === undefined && this.#names.size + added.length >= maxNames)
      throw full(`there are ${maxNames} names already`);
    const memberId = memberOf(event);
    if (memberId === undefined || (state !== undefined && isOf(state, memberId))) return;
    let count = added.filter(each => isOf(next.get(each) ?? unserved, memberId)).length;
    for (const [each, known] of this.#names) if (isOf(next.get(each) ?? known, memberId)) count++;
    if (count >= maxNamesOfOne) throw full(`a member may serve ${maxNamesOfOne} names, and this one has them`);
  }

  #count(name: string, by: 1 | -1): void {
    for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
      const above = name.slice(dot + 1);
      const count = (this.#above.get(above) ?? 0) + by;
      if (count === 0) this.#above.delete(above);
      else this.#above.set(above, count);
    }
  }

  #tell(change: Change): void {
    this.#changes++;
    for (const listener of this.#listeners) listener(change);
  }
}

function memberOf(event: NameEvent): MemberId | undefined {
  if (event.kind === 'register' || event.kind === 'compare-and-set') return event.held.memberId;
  return event.kind === 'latent' ? event.server.memberId : undefined;
}

function isOf({ holder, latents }: NameState, memberId: MemberId): boolean {
  return holder?.memberId === memberId || latents.has(memberId);
}

/** As others see it. @param withLatents false in lists, which would be long */
export function recordOf(name: string, state: NameState, now: number, withLatents = true): NameRecord {
  const { holder } = state;
  const left = (leaseEndsAt: number | undefined): number => Math.max(0, Math.ceil((leaseEndsAt ?? 0) - now));
  const live = [...state.latents.values()].filter(({ leaseEndsAt }) => now < leaseEndsAt);
  const latents = withLatents ? live.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1)) : [];
  return {
    name,
    memberId: holder?.memberId ?? '',
    addresses: [...(holder?.addresses ?? [])],
    epoch: holder?.epoch ?? 0,
    migrationId: holder?.migrationId ?? '',
    logOffset: holder?.logOffset ?? 0,
    leaseLeftMs: isHeld(state, now) ? left(holder?.leaseEndsAt) : 0,
    latents: latents.map(({ addresses, leaseEndsAt, ...latent }) => ({
      ...latent,
      addresses: [...addresses],
      leaseLeftMs: left(leaseEndsAt),
    })),
    latentCount: live.length,
  };
}
