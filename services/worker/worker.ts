import { hostname } from 'node:os';
import {
  Cancel,
  Claim,
  Grant,
  Job,
  ProxyAnnounce,
  RequestCredit,
  ResponseCredit,
  WorkerAnnounce,
} from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Bus, Consumer, Delivery, Verdict } from '../bus/bus.ts';
import { jobKey } from '../bus/own-keys.ts';
import { jobQueue } from '../bus/queues.ts';
import type { QueueKind } from '../bus/topology.ts';
import { messageOf } from '../lib/failure.ts';
import { decodeRequestPart, type PartToSend } from '../lib/parts.ts';
import { randomId } from '../lib/random.ts';
import { Balancer } from './balancer.ts';
import { Execution, type ExecutionHost } from './execution.ts';
import { JobGate } from './job-gate.ts';
import { ReplyBatcher } from './reply-batch.ts';
import { Upstream } from './upstream.ts';

export interface WorkerOptions {
  readonly service: string;
  readonly upstream: readonly string[];
  readonly concurrency: number;
  /** Responses and upgraded connections that may run on after their job was acknowledged; more hold prefetch. */
  readonly maxStreams: number;
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

/** For what was broken off at the end of the drain to be told to its proxies. */
const lastWordsMs = 1_000;

/** Resolves when jobs are being taken. @throws Failure BUS_LOGIN, BUS_RIGHTS, BUS_TOPOLOGY */
export async function startWorker(collaborators: WorkerCollaborators, options: WorkerOptions): Promise<Worker> {
  const worker = new JobWorker(collaborators, options);
  await worker.start();
  return worker;
}

class JobWorker implements Worker, ExecutionHost {
  readonly id = randomId();
  readonly service: string;
  readonly balancer: Balancer;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly clock: () => number;
  readonly log: (line: string) => void;
  readonly #bus: Bus;
  readonly #options: WorkerOptions;
  readonly #gate: JobGate;
  readonly #replies: ReplyBatcher;
  /** By job. */
  readonly #running = new Map<string, Execution>();
  /** Of those, the ones whose job is acknowledged. */
  #streams = 0;
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
    this.clock = clock;
    this.log = log;
    this.service = options.service;
    this.#options = options;
    this.#gate = new JobGate(options.leaseMs);
    this.balancer = new Balancer(options.upstream);
    // Not bounded here: one for each job held and each stream, and those are counted.
    const terms = { connections: null, connectTimeoutMs: options.connectTimeoutMs };
    this.upstreams = new Map(options.upstream.map(url => [url, new Upstream(url, terms)]));
    this.#replies = new ReplyBatcher(this.id, (session, body) =>
      bus.publish({ type: 'warren.proxy.v1.Parts', key: session, body }),
    );
  }

  inFlight(): number {
    return this.#running.size + this.#claims.size;
  }

  async start(): Promise<void> {
    this.#offState = this.#bus.onState(state => {
      if (state === 'connecting') {
        for (const answer of [...this.#claims.values()]) answer(undefined);
        for (const execution of this.#running.values()) execution.brokerLost();
      }
      if (state !== 'up') return;
      this.#announce();
      for (const execution of this.#running.values()) execution.grantAgain();
    });
    const why = 'grants and cancels for this worker; of no use without it';
    // Before the jobs, on each session: what is cancelled after a job was delivered must be heard.
    this.#control = await this.#bus.consume({ name: '', exclusive: true, why }, delivery => this.#hear(delivery), {
      noAck: true,
      bindings: () => [
        { exchange: 'm', key: jobKey(this.#bus.user, this.id) },
        { exchange: 'proxy.events', key: `cancel.${this.#options.service}` },
        { exchange: 'proxy.events', key: 'proxy' },
      ],
      onQueue: () => {
        this.#gate.deaf();
        // Lost on a connection that lives (somebody deleted it), and with it perhaps credit, or pieces of bodies.
        if (this.#bus.state !== 'connecting') for (const execution of this.#running.values()) execution.brokerLost();
      },
    });
    const { queue } = jobQueue(this.#options.service, this.#options.queueType);
    this.#jobs = await this.#bus.consume(queue, delivery => this.#take(delivery), {
      prefetch: this.#options.concurrency,
    });
    this.#announce();
    this.#timer = setInterval(() => {
      this.#gate.tidy(this.clock());
      this.#endOrphans();
      this.#announce();
    }, this.#options.renewMs);
  }

  /** Streams whose proxy has fallen silent: nobody takes what they send. */
  #endOrphans(): void {
    const now = this.clock();
    for (const execution of this.#running.values()) {
      // One that has just begun may belong to a proxy that we have not heard of yet.
      const isKnown = now - execution.startedAt > this.#options.leaseMs;
      if (isKnown && !this.#gate.isSessionLive(execution.session, now)) execution.abort();
    }
  }

  #hear(delivery: Delivery): 'ack' {
    const now = this.clock();
    switch (delivery.type) {
      case 'warren.proxy.v1.ProxyAnnounce':
        this.#gate.heardProxy(ProxyAnnounce.decode(delivery.body), now);
        break;
      case 'warren.proxy.v1.Cancel':
        for (const job of Cancel.decode(delivery.body).jobs) {
          this.#gate.cancelled(job, now);
          this.#running.get(job)?.abort();
        }
        break;
      case 'warren.proxy.v1.RequestPart': {
        const part = decodeRequestPart(delivery.body);
        this.#running.get(part.job)?.requestPart(part.attempt, part);
        break;
      }
      case 'warren.proxy.v1.ResponseCredit': {
        const { job, attempt, until } = ResponseCredit.decode(delivery.body);
        this.#running.get(job)?.responseCredit(attempt, until);
        break;
      }
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
      this.log(`dropped a job that cannot be read: ${messageOf(error)}`);
      return 'dead';
    }
    if (!session || id === '') return 'dead';
    switch (this.#gate.delivered({ id, session, number: job.number, claim: job.claim, redelivered }, this.clock())) {
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
    const until = this.clock() + job.deadlineMs;
    let unanswered = 0;
    while (this.clock() < until && !this.#isForced) {
      if (this.#bus.state === 'connecting') await this.#reconnected();
      const attempt = randomId();
      const askedAt = this.clock();
      const grant = await this.#ask(id, session, attempt);
      if (grant && !grant.granted) return 'ack';
      const now = this.clock();
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
    const execution = new Execution(this, { id, session, attempt, job, leftMs });
    this.#running.set(id, execution);
    void execution.done.then(() => {
      this.#running.delete(id);
      // A repeatable one that comes again is claimed, and refused: no need to remember it.
      this.#gate.end(id, job.claim ? job.deadlineMs : 0, this.clock());
    });
    return execution.verdict;
  }

  // --- what executions need

  send(session: string, part: PartToSend): Promise<void> {
    return this.#replies.add(session, part);
  }

  grant(session: string, credit: { job: string; attempt: string; until: bigint }): void {
    const body = RequestCredit.encode({ ...credit, worker: this.id }).finish();
    this.#bus.send({ type: 'warren.proxy.v1.RequestCredit', key: session, correlationId: credit.job, body });
  }

  admit(): boolean {
    if (this.#streams >= this.#options.maxStreams) return false;
    this.#streams++;
    return true;
  }

  release(): void {
    this.#streams--;
  }

  isForced(): boolean {
    return this.#isForced;
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
        upstreams: this.balancer.view(this.clock()).map(upstream => ({
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
      for (const execution of this.#running.values()) execution.abort();
      for (const answer of [...this.#claims.values()]) answer(undefined);
    }, drainMs);
    const drained = (async (): Promise<void> => {
      await this.#jobs?.close();
      await Promise.all([...this.#running.values()].map(execution => execution.done));
    })();
    // Without a broker nobody will confirm our last words.
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>(resolve => {
      timer = setTimeout(resolve, drainMs + lastWordsMs);
    });
    await Promise.race([drained, patience]);
    clearTimeout(timer);
    clearTimeout(force);
    clearInterval(this.#timer);
    this.#offState();
    await this.#control?.close();
    await Promise.all([...this.upstreams.values()].map(upstream => upstream.close()));
  }
}
