import { LeaseTable, mayAct } from '../lib/lease.ts';

/**
 * Decides, for each delivered job, whether this worker may call the upstream. Pure: time is an argument (milliseconds,
 * monotonic, of this process).
 *
 * A *repeatable* job may be called at once if we would have heard its cancel: it was made (its number says so) after
 * the proxy session said, within our hearing, what its next number would be; the session still lives; and nobody had the job
 * before us. Every other job is *claimed*: asked for, and called only with the proxy's grant, which counts from when we asked.
 * Whatever this process has begun it never begins again.
 */
export class JobGate {
  readonly #leaseMs: number;
  readonly #sessions = new Map<string, { proxy: string; heardFrom: bigint }>();
  readonly #leases = new LeaseTable();
  /** Cancelled before they were delivered → when that may be forgotten. */
  readonly #cancelled = new Map<string, number>();
  /** Begun here → when it may be forgotten (Infinity while it runs). */
  readonly #begun = new Map<string, number>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Our ear was closed for a while: what proxies said before does not count any more. */
  deaf(): void {
    this.#sessions.clear();
  }

  heardProxy({ session, proxy, nextNumber, leaseMs, leaving }: ProxyTerms, now: number): void {
    if (leaving) {
      this.#sessions.delete(session);
      this.#leases.end(session);
      return;
    }
    this.#leases.renew(session, leaseMs, now);
    if (this.#sessions.has(session)) return;
    // A proxy has one session at a time: an older one's jobs have lost their asker.
    for (const [other, known] of this.#sessions) {
      if (known.proxy === proxy) {
        this.#sessions.delete(other);
        this.#leases.end(other);
      }
    }
    this.#sessions.set(session, { proxy, heardFrom: nextNumber });
  }

  cancelled(job: string, now: number): void {
    this.#cancelled.set(job, now + cancelMemoryMs);
    if (this.#cancelled.size > memoryLimit) forgetOldest(this.#cancelled);
  }

  /** What to do with a delivery: `joins` one that already runs here, and shares its verdict. */
  delivered(
    { id, session, number, claim, redelivered }: DeliveryTerms,
    now: number,
  ): 'execute' | 'claim' | 'drop' | 'join' {
    const begun = this.#begun.get(id);
    if (begun !== undefined) return begun === Number.POSITIVE_INFINITY ? 'join' : 'drop';
    if (this.#cancelled.has(id)) return 'drop';
    if (claim || redelivered) return 'claim';
    const known = this.#sessions.get(session);
    const wouldHaveHeard = known !== undefined && number >= known.heardFrom && this.#leases.isLive(session, now);
    return wouldHaveHeard ? 'execute' : 'claim';
  }

  /** Whether a grant is still good: our proxy holds us for alive this long after we asked, and waits this long itself. */
  mayExecute(job: string, { askedAt, leftMs }: { askedAt: number; leftMs: number }, now: number): boolean {
    return !this.#cancelled.has(job) && mayAct(askedAt, Math.min(leftMs, this.#leaseMs), now);
  }

  /** Whether it is worth asking a session again. */
  isSessionLive(session: string, now: number): boolean {
    return this.#leases.isLive(session, now);
  }

  begin(job: string): void {
    this.#begun.set(job, Number.POSITIVE_INFINITY);
  }

  /** @param rememberMs how long the job may still be delivered again: its deadline */
  end(job: string, rememberMs: number, now: number): void {
    // Set again, so that the map stays in order of ending.
    this.#begun.delete(job);
    if (rememberMs > 0) this.#begun.set(job, now + rememberMs);
  }

  /** Forgets what cannot matter any more; to be called now and then. */
  tidy(now: number): void {
    for (const memory of [this.#cancelled, this.#begun]) {
      for (const [job, until] of memory) if (now >= until) memory.delete(job);
    }
    for (const session of this.#leases.expire(now)) this.#sessions.delete(session);
  }
}

export interface ProxyTerms {
  readonly session: string;
  readonly proxy: string;
  readonly nextNumber: bigint;
  readonly leaseMs: number;
  readonly leaving: boolean;
}

export interface DeliveryTerms {
  readonly id: string;
  readonly session: string;
  readonly number: bigint;
  readonly claim: boolean;
  readonly redelivered: boolean;
}

/** As long as a job can lie in a queue: the longest deadline that a route may have. */
const cancelMemoryMs = 24 * 3_600_000;
const memoryLimit = 50_000;

function forgetOldest(memory: Map<string, number>): void {
  const oldest = memory.keys().next().value;
  if (oldest !== undefined) memory.delete(oldest);
}
