/**
 * Who is alive, as far as one watcher can know: a holder renews before its lease ends. Kept on the watcher's own monotonic
 * clock; times of day are never compared across machines. All times in milliseconds.
 */
export class LeaseTable {
  readonly #endsAt = new Map<string, number>();

  /** @returns whether the holder is new (or was gone) */
  renew(holder: string, leaseMs: number, now: number): boolean {
    const isNew = !this.isLive(holder, now);
    this.#endsAt.set(holder, now + leaseMs);
    return isNew;
  }

  /** @returns whether it had a lease */
  end(holder: string): boolean {
    return this.#endsAt.delete(holder);
  }

  isLive(holder: string, now: number): boolean {
    const endsAt = this.#endsAt.get(holder);
    return endsAt !== undefined && now < endsAt;
  }

  /** Forgets the holders whose lease has ended, and returns them. */
  expire(now: number): string[] {
    const gone: string[] = [];
    for (const [holder, endsAt] of this.#endsAt) if (now >= endsAt) gone.push(holder);
    for (const holder of gone) this.#endsAt.delete(holder);
    return gone;
  }

  holders(): string[] {
    return [...this.#endsAt.keys()];
  }
}

/**
 * The holder's side: whether it may still act. Counted from before the renewal was sent, so it ends here no later than at
 * any watcher (whose lease began when the renewal arrived).
 */
export function mayAct(renewalSentAt: number, leaseMs: number, now: number): boolean {
  return now - renewalSentAt < leaseMs;
}
