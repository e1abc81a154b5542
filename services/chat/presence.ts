import type { MemberId } from '../lib/identity/member-id.ts';

/** Who is there: whoever has said so within a lease, by the monotonic clock of who listens. */
export class PresenceTable {
  readonly #leaseMs: number;
  readonly #most: number;
  readonly #heardAt = new Map<MemberId, number>();

  /** @param most members that are remembered */
  constructor(leaseMs: number, most: number) {
    this.#leaseMs = leaseMs;
    this.#most = most;
  }

  /** @returns whether it was not there before */
  heard(member: MemberId, now: number): boolean {
    const isNew = !this.#heardAt.has(member);
    if (isNew && this.#heardAt.size >= this.#most) return false;
    this.#heardAt.set(member, now);
    return isNew;
  }

  /** @returns whether it was there */
  left(member: MemberId): boolean {
    return this.#heardAt.delete(member);
  }

  /** @returns those whose lease has ended */
  expire(now: number): MemberId[] {
    const gone = [...this.#heardAt].filter(([, at]) => now - at > this.#leaseMs).map(([member]) => member);
    for (const member of gone) this.#heardAt.delete(member);
    return gone;
  }

  has(member: MemberId): boolean {
    return this.#heardAt.has(member);
  }

  get members(): MemberId[] {
    return [...this.#heardAt.keys()];
  }
}
