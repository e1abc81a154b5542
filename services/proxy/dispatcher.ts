import {
  Cancel,
  Claim,
  type Figures,
  Grant,
  Job,
  type Part,
  Parts,
  ProxyAnnounce,
  WorkerAnnounce,
} from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Bus, Consumer, Delivery } from '../bus/bus.ts';
import { messageOf } from '../lib/failure.ts';
import { randomId } from '../lib/random.ts';
import type { Ended, JobTable } from './job-table.ts';

/** A request on its way to a worker. */
export interface JobRequest {
  readonly service: string;
  readonly method: string;
  readonly target: string;
  readonly fields: string[];
  readonly body: Buffer;
  readonly claim: boolean;
  readonly deadlineMs: number;
  readonly traceparent: string | undefined;
}

export interface JobListener {
  part(part: Part): void;
  /** Instead of a response, or of its rest. */
  ended(end: Ended): void;
}

export interface DispatcherOptions {
  /** Whose workers are listened to: those of the routes. */
  readonly services: readonly string[];
  readonly leaseMs: number;
  readonly renewMs: number;
  figures(): Figures;
}

const tickMs = 50;

/** Carries jobs to the workers and their parts back: the job table's hands on the bus. */
export class Dispatcher {
  readonly #bus: Bus;
  readonly #table: JobTable;
  readonly #clock: () => number;
  readonly #options: DispatcherOptions;
  readonly #proxy = randomId();
  readonly #jobs = new Map<string, { request: JobRequest; listener: JobListener }>();
  readonly #workers = new Map<string, WorkerAnnounce>();
  readonly #consumers: Consumer[] = [];
  /** Service → ids to cancel in this turn. */
  #cancels = new Map<string, string[]>();
  #session = '';
  #resumed = '';
  #number = 0n;
  #timers: NodeJS.Timeout[] = [];
  #offState: () => void = () => {};

  constructor(bus: Bus, table: JobTable, clock: () => number, options: DispatcherOptions) {
    this.#bus = bus;
    this.#table = table;
    this.#clock = clock;
    this.#options = options;
  }

  /** Resolves when replies can be received. @throws Failure BUS_LOGIN, BUS_RIGHTS, BUS_TOPOLOGY */
  async start(): Promise<void> {
    this.#timers = [
      setInterval(() => this.#tick(), tickMs),
      setInterval(() => this.#announce(false), this.#options.renewMs),
    ];
    this.#offState = this.#bus.onState(state => {
      if (state === 'connecting') this.#end(this.#table.brokerLost(this.#clock()));
      else if (state === 'up') this.#resume();
    });
    if (this.#bus.state === 'connecting') this.#table.brokerLost(this.#clock());
    const why = 'replies to this proxy session; of no use without it';
    this.#consumers.push(
      await this.#bus.consume({ name: '', exclusive: true, why }, delivery => this.#receive(delivery), {
        noAck: true,
        bindings: queueName => [
          { exchange: 'proxy.replies', key: queueName },
          ...this.#options.services.map(service => ({ exchange: 'proxy.events', key: `worker.${service}` })),
        ],
        onQueue: queueName => {
          // A new queue is a new session: who heard the old one must hear this one before its jobs.
          this.#session = queueName;
          this.#number = 0n;
          // Lost on a connection that lives (somebody deleted it): the bus stays up and will not tell us.
          if (this.#bus.state === 'up') {
            this.#end(this.#table.brokerLost(this.#clock()));
            this.#resume();
          }
        },
      }),
    );
  }

  get pending(): number {
    return this.#jobs.size;
  }

  workers(): WorkerAnnounce[] {
    return [...this.#workers.values()];
  }

  /** Whether there is a point in making a job now; else the client gets 503 at once. */
  canTake(): boolean {
    return this.#bus.state !== 'blocked' && this.#table.canWaitForBroker(this.#clock());
  }

  /** @returns what to call when the client goes away */
  dispatch(request: JobRequest, listener: JobListener): () => void {
    const id = randomId();
    this.#jobs.set(id, { request, listener });
    this.#table.submit(id, request, this.#clock());
    this.#publish(id, request, request.deadlineMs);
    return () => {
      if (this.#table.abandon(id)) this.#cancel(id, request.service);
      this.#jobs.delete(id);
    };
  }

  #publish(id: string, request: JobRequest, expirationMs: number): void {
    // Until then the replies would have nowhere to go; `#resume` sends it.
    if (this.#bus.state === 'connecting') return;
    const number = ++this.#number;
    const { method, target, fields, body, claim, deadlineMs } = request;
    // Unsent because there is no broker: it stays in the table, and goes out when there is one, or ends there.
    this.#bus.send({
      type: 'warren.proxy.v1.Job',
      key: request.service,
      body: Job.encode({ number, method, target, fields, body, claim, deadlineMs }).finish(),
      messageId: id,
      replyTo: this.#session,
      expirationMs,
      ...(request.traceparent === undefined ? {} : { traceparent: request.traceparent }),
    });
  }

  /** Connected, at first or again. What was on its way may be lost; grants keep it from being done twice. */
  #resume(): void {
    // From `blocked` to `up` nothing was lost: it is the same session.
    if (this.#session === this.#resumed) return;
    this.#resumed = this.#session;
    this.#announce(false);
    for (const { id, leftMs } of this.#table.brokerBack(this.#clock())) {
      const job = this.#jobs.get(id);
      if (job) this.#publish(id, job.request, leftMs);
    }
  }

  #receive(delivery: Delivery): 'ack' {
    const now = this.#clock();
    switch (delivery.type) {
      case 'warren.proxy.v1.Parts':
        {
          const { worker, parts } = Parts.decode(delivery.body);
          for (const part of parts) this.#part(worker, part, now);
        }
        break;
      case 'warren.proxy.v1.Claim': {
        const claim = Claim.decode(delivery.body);
        const job = delivery.correlationId ?? '';
        const { granted, leftMs } = this.#table.claim(job, claim, now);
        this.#bus.send({
          type: 'warren.proxy.v1.Grant',
          key: `m.${claim.worker}.job`,
          correlationId: job,
          body: Grant.encode({ attempt: claim.attempt, granted, leftMs: Math.floor(leftMs) }).finish(),
        });
        break;
      }
      case 'warren.proxy.v1.WorkerAnnounce': {
        const worker = WorkerAnnounce.decode(delivery.body);
        this.#workers.set(worker.worker, worker);
        if (this.#table.workerSeen(worker, now)) this.#announce(false);
        break;
      }
    }
    return 'ack';
  }

  #part(worker: string, part: Part, now: number): void {
    if (!this.#table.part(part.job, { ...part, worker }, now)) return;
    const job = this.#jobs.get(part.job);
    if (part.last) this.#jobs.delete(part.job);
    try {
      job?.listener.part(part);
    } catch (error) {
      // A bug of ours costs this client its answer, and nobody else's that travelled with it.
      job?.listener.ended({ id: part.job, status: 502, reason: messageOf(error) });
    }
  }

  #tick(): void {
    const { ended, gone } = this.#table.tick(this.#clock());
    for (const worker of gone) this.#workers.delete(worker);
    this.#end(ended);
  }

  #end(ended: readonly Ended[]): void {
    for (const end of ended) {
      const job = this.#jobs.get(end.id);
      if (!job) continue;
      this.#jobs.delete(end.id);
      this.#cancel(end.id, job.request.service);
      job.listener.ended(end);
    }
  }

  #cancel(id: string, service: string): void {
    if (this.#cancels.size === 0) setImmediate(() => this.#flushCancels());
    const ids = this.#cancels.get(service) ?? [];
    ids.push(id);
    this.#cancels.set(service, ids);
  }

  #flushCancels(): void {
    const cancels = this.#cancels;
    this.#cancels = new Map();
    for (const [service, jobs] of cancels) {
      this.#bus.send({
        type: 'warren.proxy.v1.Cancel',
        key: `cancel.${service}`,
        body: Cancel.encode({ jobs }).finish(),
      });
    }
  }

  #announce(leaving: boolean): void {
    if (this.#session === '') return;
    this.#bus.send({
      type: 'warren.proxy.v1.ProxyAnnounce',
      key: 'proxy',
      body: ProxyAnnounce.encode({
        session: this.#session,
        proxy: this.#proxy,
        nextNumber: this.#number + 1n,
        leaseMs: this.#options.leaseMs,
        leaving,
        figures: this.#options.figures(),
      }).finish(),
    });
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#offState();
    this.#flushCancels();
    this.#announce(true);
    await Promise.all(this.#consumers.map(consumer => consumer.close()));
  }
}
