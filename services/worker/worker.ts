import { hostname } from 'node:os';
import { Cancel, Claim, Grant, Job, ProxyAnnounce, WorkerAnnounce } from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Bus, Consumer, Delivery, Verdict } from '../bus/bus.ts';
import { jobQueue, type QueueKind } from '../bus/topology.ts';
import { messageOf } from '../lib/failure.ts';
import { randomId } from '../lib/random.ts';
import { Balancer } from './balancer.ts';
import { JobGate } from './job-gate.ts';
import { ReplyBatcher } from './reply-batch.ts';
import { Cancellation, Upstream, type UpstreamFailure, type UpstreamResponse } from './upstream.ts';

export interface WorkerOptions {
  readonly service: string;
  readonly upstream: readonly string[];
  readonly concurrency: number;
  readonly connectTimeoutMs: number;
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly queueType: QueueKind;
}

export interface WorkerCollaborators {
  readonly bus: Bus;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly log: (line: string) => void;
}

export interface Worker {
  readonly id: string;
  /** Jobs held: waiting for a grant, at an upstream, or with a reply on its way. */
  inFlight(): number;
  /** Takes no more jobs, finishes those it has, breaks off what is left after `drainMs`. The bus is the caller's. */
  close(drainMs: number): Promise<void>;
}

/** A response's body rides in one message until bodies stream. */
const responseLimit = 8 * 1024 * 1024;

/** Resolves when jobs are being taken. @throws Failure BUS_LOGIN, BUS_RIGHTS, BUS_TOPOLOGY */
export async function startWorker(collaborators: WorkerCollaborators, options: WorkerOptions): Promise<Worker> {
  const worker = new JobWorker(collaborators, options);
  await worker.start();
  return worker;
}

interface Running {
  readonly verdict: Promise<Verdict>;
  readonly abort: Cancellation;
}

class JobWorker implements Worker {
  readonly id = randomId();
  readonly #bus: Bus;
  readonly #clock: () => number;
  readonly #log: (line: string) => void;
  readonly #options: WorkerOptions;
  readonly #gate: JobGate;
  readonly #balancer: Balancer;
  readonly #upstreams: ReadonlyMap<string, Upstream>;
  readonly #replies: ReplyBatcher;
  /** At an upstream, by job. */
  readonly #running = new Map<string, Running>();
  /** Claims unanswered, by attempt. */
  readonly #claims = new Map<string, (grant: Grant | undefined) => void>();
  #jobs: Consumer | undefined;
  #control: Consumer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #offState: () => void = () => {};
  #leaving = false;
  /** Time to drain is over: nothing is begun any more. */
  #isForced = false;

  constructor({ bus, clock, log }: WorkerCollaborators, options: WorkerOptions) {
    this.#bus = bus;
    this.#clock = clock;
    this.#log = log;
    this.#options = options;
    this.#gate = new JobGate(options.leaseMs);
    this.#balancer = new Balancer(options.upstream);
    const { concurrency: connections, connectTimeoutMs } = options;
    this.#upstreams = new Map(
      options.upstream.map(url => [url, new Upstream(url, { connections, connectTimeoutMs, responseLimit })]),
    );
    this.#replies = new ReplyBatcher(this.id, (session, body) =>
      bus.publish({ type: 'warren.proxy.v1.Parts', key: session, body }),
    );
  }

  inFlight(): number {
    return this.#running.size + this.#claims.size;
  }

  async start(): Promise<void> {
    this.#offState = this.#bus.onState(state => {
      if (state === 'connecting') for (const answer of [...this.#claims.values()]) answer(undefined);
      if (state === 'up') this.#announce();
    });
    const why = 'grants and cancels for this worker; of no use without it';
    // Before the jobs, on each session: what is cancelled after a job was delivered must be heard.
    this.#control = await this.#bus.consume({ name: '', exclusive: true, why }, delivery => this.#hear(delivery), {
      noAck: true,
      bindings: () => [
        { exchange: 'm', key: `m.${this.id}.job` },
        { exchange: 'proxy.events', key: `cancel.${this.#options.service}` },
        { exchange: 'proxy.events', key: 'proxy' },
      ],
      onQueue: () => this.#gate.deaf(),
    });
    const { queue } = jobQueue(this.#options.service, this.#options.queueType);
    this.#jobs = await this.#bus.consume(queue, delivery => this.#take(delivery), {
      prefetch: this.#options.concurrency,
    });
    this.#announce();
    this.#timer = setInterval(() => {
      this.#gate.tidy(this.#clock());
      this.#announce();
    }, this.#options.renewMs);
  }

  #hear(delivery: Delivery): 'ack' {
    const now = this.#clock();
    switch (delivery.type) {
      case 'warren.proxy.v1.ProxyAnnounce':
        this.#gate.heardProxy(ProxyAnnounce.decode(delivery.body), now);
        break;
      case 'warren.proxy.v1.Cancel':
        for (const job of Cancel.decode(delivery.body).jobs) {
          this.#gate.cancelled(job, now);
          this.#running.get(job)?.abort.abort();
        }
        break;
      case 'warren.proxy.v1.Grant': {
        const grant = Grant.decode(delivery.body);
        this.#claims.get(grant.attempt)?.(grant);
        break;
      }
    }
    return 'ack';
  }

  #take(delivery: Delivery): Verdict | Promise<Verdict> {
    const { messageId: id, replyTo: session, redelivered } = delivery;
    let job: Job;
    try {
      job = Job.decode(delivery.body);
    } catch (error) {
      this.#log(`dropped a job that cannot be read: ${messageOf(error)}`);
      return 'dead';
    }
    if (!session || id === '') return 'dead';
    switch (this.#gate.delivered({ id, session, number: job.number, claim: job.claim, redelivered }, this.#clock())) {
      case 'drop':
        return 'ack';
      case 'join':
        return this.#running.get(id)?.verdict ?? 'ack';
      case 'execute':
        return this.#begin(id, session, randomId(), job, job.deadlineMs);
      case 'claim':
        return this.#claim(id, session, job);
    }
  }

  /**
   * Asks until there is an answer that counts, the job's time is over, or nobody is left to answer: two questions in a row
   * without any, and the session silent as well. (One may be our own fault: a process that slept wakes with the answer unread.)
   */
  async #claim(id: string, session: string, job: Job): Promise<Verdict> {
    const until = this.#clock() + job.deadlineMs;
    let unanswered = 0;
    while (this.#clock() < until && !this.#isForced) {
      if (this.#bus.state === 'connecting') await this.#reconnected();
      const attempt = randomId();
      const askedAt = this.#clock();
      const grant = await this.#ask(id, session, attempt);
      if (grant && !grant.granted) return 'ack';
      const now = this.#clock();
      if (grant && !this.#isForced && this.#gate.mayExecute(id, { askedAt, leftMs: grant.leftMs }, now)) {
        // Delivered twice while we asked: the other delivery has begun it.
        const running = this.#running.get(id);
        return running ? running.verdict : this.#begin(id, session, attempt, job, grant.leftMs - (now - askedAt));
      }
      unanswered = grant ? 0 : unanswered + 1;
      if (unanswered >= 2 && !this.#gate.isSessionLive(session, now)) break;
    }
    return 'ack';
  }

  #ask(id: string, session: string, attempt: string): Promise<Grant | undefined> {
    return new Promise(resolve => {
      const answer = (grant: Grant | undefined): void => {
        clearTimeout(timer);
        this.#claims.delete(attempt);
        resolve(grant);
      };
      const timer = setTimeout(answer, this.#options.leaseMs, undefined);
      this.#claims.set(attempt, answer);
      const body = Claim.encode({ attempt, worker: this.id }).finish();
      // Unsent or unanswered is the same: the timer tells.
      this.#bus.send({ type: 'warren.proxy.v1.Claim', key: session, correlationId: id, body });
    });
  }

  /** Resolves when the bus is up again, and after a lease in any case. */
  async #reconnected(): Promise<void> {
    try {
      await this.#bus.ready(AbortSignal.timeout(this.#options.leaseMs));
    } catch {
      // The caller looks for itself.
    }
  }

  #begin(id: string, session: string, attempt: string, job: Job, leftMs: number): Promise<Verdict> {
    this.#gate.begin(id);
    const abort = new Cancellation();
    const timer = setTimeout(() => abort.abort(), leftMs);
    const verdict = this.#execute(id, session, attempt, job, abort).finally(() => {
      clearTimeout(timer);
      this.#running.delete(id);
      // A repeatable one that comes again is claimed, and refused: no need to remember it.
      this.#gate.end(id, job.claim ? job.deadlineMs : 0, this.#clock());
    });
    this.#running.set(id, { verdict, abort });
    return verdict;
  }

  async #execute(id: string, session: string, attempt: string, job: Job, signal: Cancellation): Promise<Verdict> {
    const { outcome, upstream } = await this.#call(job, signal);
    if (outcome.kind === 'aborted') {
      // Most often whoever asked has gone, or been answered. Broken off by us at the end of our drain, another may do it.
      return this.#isForced && !job.claim ? 'requeue' : 'ack';
    }
    const common = { job: id, attempt, index: 0, last: true };
    const part =
      outcome.kind === 'response'
        ? {
            ...common,
            head: { status: outcome.status, fields: outcome.fields, upstream },
            body: outcome.body,
            failure: undefined,
          }
        : {
            ...common,
            head: undefined,
            body: Buffer.alloc(0),
            failure: { status: outcome.kind === 'invalid' ? 400 : 502, reason: outcome.reason, upstream },
          };
    // The ack waits for the confirm: were it to overtake a reply that is then lost, nobody would answer.
    await this.#replies.add(session, part);
    return 'ack';
  }

  /** Tries upstreams until one takes the request; a repeatable one is tried again also when it broke on the way. */
  async #call(
    job: Job,
    signal: Cancellation,
  ): Promise<{ outcome: UpstreamResponse | UpstreamFailure; upstream: string }> {
    const tried = new Set<string>();
    let mayRepeat = !job.claim;
    for (;;) {
      const url = this.#balancer.choose(this.#clock(), tried);
      const upstream = url === undefined ? undefined : this.#upstreams.get(url);
      if (!upstream)
        return {
          outcome: { kind: 'unsent', reason: `no upstream of ${this.#options.service} can be reached` },
          upstream: '',
        };
      tried.add(upstream.url);
      this.#balancer.began(upstream.url);
      const outcome = await upstream.call(job, signal);
      const refused = outcome.kind === 'unsent';
      this.#balancer.ended(upstream.url, verdictOn(outcome.kind), this.#clock());
      const { place } = upstream;
      if (refused) {
        this.#log(`upstream ${place} refused: ${outcome.reason}`);
        continue;
      }
      if (outcome.kind === 'broken' && mayRepeat) {
        // Most often a kept-alive connection that the upstream closed as we used it: once more, there or elsewhere.
        mayRepeat = false;
        if (tried.size === this.#upstreams.size) tried.delete(upstream.url);
        continue;
      }
      return { outcome, upstream: place };
    }
  }

  #announce(): void {
    this.#bus.send({
      type: 'warren.proxy.v1.WorkerAnnounce',
      key: `worker.${this.#options.service}`,
      body: WorkerAnnounce.encode({
        worker: this.id,
        service: this.#options.service,
        leaving: this.#leaving,
        leaseMs: this.#options.leaseMs,
        concurrency: this.#options.concurrency,
        inFlight: this.inFlight(),
        upstreams: this.#balancer.view(this.#clock()).map(upstream => ({
          ...upstream,
          requests: BigInt(upstream.requests),
          failures: BigInt(upstream.failures),
        })),
        place: `${hostname()}:${process.pid}`,
      }).finish(),
    });
  }

  async close(drainMs: number): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#announce();
    const force = setTimeout(() => {
      this.#isForced = true;
      for (const { abort } of this.#running.values()) abort.abort();
      for (const answer of [...this.#claims.values()]) answer(undefined);
    }, drainMs);
    await this.#jobs?.close();
    clearTimeout(force);
    clearInterval(this.#timer);
    this.#offState();
    await this.#control?.close();
    await Promise.all([...this.#upstreams.values()].map(upstream => upstream.close()));
  }
}

/** What an outcome says of the upstream; one that we broke off, or never sent, says nothing. */
function verdictOn(kind: (UpstreamResponse | UpstreamFailure)['kind']): 'ok' | 'failed' | 'refused' | 'unknown' {
  switch (kind) {
    case 'response':
      return 'ok';
    case 'unsent':
      return 'refused';
    case 'broken':
    case 'too-large':
      return 'failed';
    case 'aborted':
    case 'invalid':
      return 'unknown';
  }
}
