import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import {
  applyEvent,
  type Held,
  type NameEvent,
  type NameState,
  type Outcome,
  pickLatent,
  restored,
  unserved,
} from '../../../services/naming/record.ts';
import type { EventQueue } from '../../chord/simulation/event-queue.ts';

/** Naming's very record, behind calls that are late, lost on either way, or find nobody. */
export class ModelNaming {
  state: NameState = unserved;
  isUp = true;
  readonly leaseMs: number;
  readonly #queue: EventQueue;
  readonly #random: () => number;
  readonly #lossShare: number;

  constructor(queue: EventQueue, random: () => number, leaseMs: number, lossShare: number) {
    this.#queue = queue;
    this.#random = random;
    this.leaseMs = leaseMs;
    this.#lossShare = lossShare;
  }

  apply(event: NameEvent): Outcome {
    const outcome = applyEvent(this.state, event, { now: this.#queue.now(), leaseMs: this.leaseMs, maxLatents: 256 });
    this.state = outcome.state;
    return outcome;
  }

  pick(except: readonly MemberId[]): MemberId | undefined {
    this.apply({ kind: 'expire' });
    const rules = { now: this.#queue.now(), maxLag: 50, except: new Set<string>(except) };
    return pickLatent(this.state, rules, this.#random())?.memberId;
  }

  /** As a server does it: compare-and-set, and register where naming has missed some. */
  record(held: Held, expectedEpoch: number): number {
    const { refusal, state } = this.apply({ kind: 'compare-and-set', held, expectedEpoch });
    if (refusal === undefined) return held.epoch;
    if ((state.holder?.epoch ?? 0) >= held.epoch) return state.holder?.epoch ?? 0;
    return this.apply({ kind: 'register', held }).refusal === undefined ? held.epoch : 0;
  }

  /** @param answer undefined: nobody hears of it */
  call<T>(ask: () => T, answer: (reply: T) => void): void {
    const isLost = (): boolean => this.#random() < this.#lossShare;
    const delay = (): number => 1 + this.#random() * 20;
    if (isLost()) return;
    this.#queue.after(delay(), () => {
      if (!this.isUp) return false;
      const reply = ask();
      if (!isLost())
        this.#queue.after(delay(), () => {
          answer(reply);
          return false;
        });
      return false;
    });
  }

  restart(losesAll: boolean): void {
    this.isUp = true;
    this.state = losesAll ? unserved : restored(this.state, { now: this.#queue.now(), leaseMs: this.leaseMs });
  }
}
