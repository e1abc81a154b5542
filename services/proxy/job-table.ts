import { LeaseTable } from '../lib/lease.ts';

/**
 * Every job that this proxy owes its client an answer for, and who is alive to do them. Pure: time is an argument
 * (milliseconds, monotonic), what to do is returned.
 *
 * A job's modes:
 * - *waiting*: on a queue, or with a worker that has not been heard of. Left by a grant, a first part, or an end.
 * - *granted* (claimed jobs only): one worker has leave to call the upstream. Left by its first part or its lease's end.
 * - *answering*: parts of one attempt have come; parts of any other are dropped. No deadline any more: it lasts as long as the worker lives.
 * It ends, once, by the last part, by `Ended` from `tick`, or by `abandon` (the client went away). Afterwards every claim is refused
 * and every part dropped: an answered job is executed by nobody.
 */
export class JobTable {
  readonly #jobs = new Map<string, Job>();
  readonly #services = new Map<string, Service>();
  readonly #workers = new LeaseTable();
  readonly #serviceOf = new Map<string, string>();
  readonly #limits: JobLimits;
  /** Since when there is no broker; undefined while there is one. */
  #downSince: number | undefined;

  constructor(limits: JobLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#jobs.size;
  }

  submit(id: string, { service, claim, deadlineMs }: JobTerms, now: number): void {
    this.#jobs.set(id, {
      service,
      claim,
      since: now,
      deadlineMs,
      deadlineAt: now + deadlineMs,
      holder: undefined,
      attempt: undefined,
      parts: 0,
    });
  }

  /** A worker asks leave. Its question also shows that it lives. */
  claim(id: string, { worker, attempt }: ClaimTerms, now: number): { granted: boolean; leftMs: number } {
    this.#workers.renew(worker, this.#limits.leaseMs, now);
    const job = this.#jobs.get(id);
    if (!job || job.parts > 0 || now >= job.deadlineAt) return { granted: false, leftMs: 0 };
    // Once, to one process: that process keeps count of what it has begun, so it may ask again when our answer got lost.
    if (job.claim && job.holder !== undefined && job.holder !== worker) return { granted: false, leftMs: 0 };
    job.holder = worker;
    job.attempt = attempt;
    return { granted: true, leftMs: job.deadlineAt - now };
  }

  /** A piece of its request's body went to the worker that has it: the deadline is put off, until the response begins. */
  progress(id: string, now: number): void {
    const job = this.#jobs.get(id);
    if (job) job.deadlineAt = now + job.deadlineMs;
  }

  /** Whether the body of a claimed job may go to this worker. */
  isHeldBy(id: string, worker: string): boolean {
    return this.#jobs.get(id)?.holder === worker;
  }

  /** @returns `next` for a part that belongs to the response; `last` ends the job. `gap`: one before it was lost */
  part(
    id: string,
    { worker, attempt, index, last, isInformational }: PartTerms,
    now: number,
  ): 'next' | 'other' | 'gap' {
    const job = this.#jobs.get(id);
    if (!job || index < job.parts) return 'other';
    if (job.parts > 0 && job.attempt !== attempt) return 'other';
    // A process begins a job once, whatever it asked in between.
    if (job.claim && job.holder !== worker) return 'other';
    if (index > job.parts) return job.parts > 0 ? 'gap' : 'other';
    if (isInformational) return job.parts === 0 ? 'next' : 'other';
    // From now on the response stands and falls with this worker.
    if (!last) this.#workers.renew(worker, this.#limits.leaseMs, now);
    job.holder = worker;
    job.attempt = attempt;
    job.parts++;
    if (last) this.#jobs.delete(id);
    return 'next';
  }

  /** The client has gone. @returns whether anybody may be working for it still */
  abandon(id: string): boolean {
    return this.#jobs.delete(id);
  }

  /** A worker said that it lives, or, `leaving`, that it takes nothing more. @returns whether it was not known before */
  workerSeen({ worker, service, leaving, leaseMs }: WorkerTerms, now: number): boolean {
    // A claim may have come before its first word, so its lease alone does not tell.
    const isNew = this.#workers.renew(worker, leaseMs, now) || !this.#serviceOf.has(worker);
    this.#serviceOf.set(worker, service);
    const entry = this.#service(service);
    if (leaving) {
      if (entry.workers.delete(worker)) entry.lastLiveAt = now;
    } else entry.workers.add(worker);
    return isNew;
  }

  /** Workers that take jobs of the service. */
  liveWorkers(service: string): number {
    return this.#services.get(service)?.workers.size ?? 0;
  }

  /** The broker is gone, and with it our reply queue: what was granted cannot be answered any more. */
  brokerLost(now: number): Ended[] {
    this.#downSince ??= now;
    const ended: Ended[] = [];
    for (const [id, job] of this.#jobs) {
      if (job.parts > 0 || (job.claim && job.holder !== undefined)) {
        ended.push({ id, status: 502, reason: 'lost the broker while a worker was at it: it may have been done' });
      }
    }
    return this.#remove(ended);
  }

  /** The broker is back. @returns the jobs to publish again, in order, with the time they have left */
  brokerBack(now: number): { id: string; leftMs: number }[] {
    this.#downSince = undefined;
    return [...this.#jobs].map(([id, { deadlineAt }]) => ({ id, leftMs: Math.max(1, deadlineAt - now) }));
  }

  /** Whether a new job has a chance, as of the broker: there is one, or it went so lately that it may be back at once. */
  canWaitForBroker(now: number): boolean {
    return this.#downSince === undefined || now - this.#downSince < this.#limits.brokerGraceMs;
  }

  /** What has run out by now. */
  tick(now: number): { ended: Ended[]; gone: string[] } {
    const gone = this.#workers.expire(now);
    for (const worker of gone) {
      const service = this.#serviceOf.get(worker);
      this.#serviceOf.delete(worker);
      const entry = service === undefined ? undefined : this.#services.get(service);
      if (entry?.workers.delete(worker)) entry.lastLiveAt = now;
    }
    const ended: Ended[] = [];
    for (const [id, job] of this.#jobs) {
      const end = this.#endOf(job, now);
      if (end) ended.push({ id, ...end });
    }
    return { ended: this.#remove(ended), gone };
  }

  #endOf(job: Job, now: number): { status: 502 | 503 | 504; reason: string } | undefined {
    if (now >= job.deadlineAt && job.parts === 0) return { status: 504, reason: 'no answer within the deadline' };
    if (this.#downSince !== undefined) {
      return now - this.#downSince >= this.#limits.brokerGraceMs ? { status: 503, reason: 'no broker' } : undefined;
    }
    if (job.holder !== undefined && (job.claim || job.parts > 0)) {
      return this.#workers.isLive(job.holder, now)
        ? undefined
        : { status: 502, reason: 'the worker died at it: it may have been done' };
    }
    if (job.parts > 0) return undefined;
    const { workers, lastLiveAt } = this.#service(job.service);
    const alone = workers.size === 0 && now - Math.max(job.since, lastLiveAt) >= this.#limits.queueTimeoutMs;
    return alone ? { status: 503, reason: `no worker for service ${job.service}` } : undefined;
  }

  #remove(ended: Ended[]): Ended[] {
    for (const { id } of ended) this.#jobs.delete(id);
    return ended;
  }

  #service(name: string): Service {
    let entry = this.#services.get(name);
    if (!entry) {
      entry = { workers: new Set(), lastLiveAt: Number.NEGATIVE_INFINITY };
      this.#services.set(name, entry);
    }
    return entry;
  }
}

export interface JobLimits {
  /** How long a job waits while its service has no worker. */
  readonly queueTimeoutMs: number;
  /** How long a claim counts as a sign of life. */
  readonly leaseMs: number;
  /** How long jobs wait for a broker that has just gone. */
  readonly brokerGraceMs: number;
}

export interface JobTerms {
  readonly service: string;
  /** True: executed by one worker process at most, after a grant. */
  readonly claim: boolean;
  readonly deadlineMs: number;
}

export interface ClaimTerms {
  readonly worker: string;
  readonly attempt: string;
}

export interface PartTerms {
  readonly worker: string;
  readonly attempt: string;
  readonly index: number;
  readonly last: boolean;
  /** An informational head (1xx), which may come before the first part. */
  readonly isInformational?: boolean;
}

export interface WorkerTerms {
  readonly worker: string;
  readonly service: string;
  readonly leaving: boolean;
  readonly leaseMs: number;
}

/** A job that ends without a response, and what its client is told. */
export interface Ended {
  readonly id: string;
  readonly status: 502 | 503 | 504;
  readonly reason: string;
}

interface Job {
  readonly service: string;
  readonly claim: boolean;
  readonly since: number;
  readonly deadlineMs: number;
  deadlineAt: number;
  /** The worker process that was granted it last. */
  holder: string | undefined;
  /** Whose parts count. */
  attempt: string | undefined;
  /** How many parts have come. */
  parts: number;
}

interface Service {
  readonly workers: Set<string>;
  lastLiveAt: number;
}
