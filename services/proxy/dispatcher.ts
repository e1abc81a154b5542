import {
  Cancel,
  Claim,
  type Figures,
  Grant,
  Job,
  ProxyAnnounce,
  RequestCredit,
  ResponseCredit,
  WorkerAnnounce,
} from '../../proto/gen/warren/proxy/v1/job.ts';
import type { Bus, Consumer, Delivery } from '../bus/bus.ts';
import { jobKey } from '../bus/own-keys.ts';
import { bodyWindow } from '../lib/credit.ts';
import { messageOf } from '../lib/failure.ts';
import { decodeParts, encodeRequestPart, type ReceivedPart } from '../lib/parts.ts';
import { randomId } from '../lib/random.ts';
import { isInterim } from './interim.ts';
import type { Ended, JobTable } from './job-table.ts';

/** A request on its way to a worker. */
export interface JobRequest {
  readonly service: string;
  readonly method: string;
  readonly target: string;
  readonly fields: string[];
  readonly body: Buffer;
  readonly claim: boolean;
  /** Its body comes by `JobHandle.send`. */
  readonly streamed: boolean;
  /** Of a streamed body, where it is known. */
  readonly bodyLength: bigint | undefined;
  /** The `Upgrade` field, or empty. */
  readonly upgrade: string;
  readonly deadlineMs: number;
  readonly traceparent: string | undefined;
}

export interface JobListener {
  /** Informational heads, then the response's parts in order, the last one marked. */
  part(part: ReceivedPart): void;
  /** How far the streamed request body may go, in bytes from its beginning. */
  credit(until: number): void;
  /** Instead of a response, or of its rest. */
  ended(end: Ended): void;
}

/** The client's side of a job that runs. After its end all of it does nothing. */
export interface JobHandle {
  /** The client has gone. */
  abandon(): void;
  /** A piece of a streamed request body, no further than there is credit; the last one marked. */
  send(body: Buffer, last: boolean): void;
  /** How far the response's body may go. */
  credit(until: number): void;
}

interface RunningJob {
  readonly request: JobRequest;
  readonly listener: JobListener;
  /** Who executes it, and with which broker account, as soon as that is known. */
  worker: string;
  account: string;
  attempt: string;
  /** Request parts sent. */
  sent: number;
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
  readonly #jobs = new Map<string, RunningJob>();
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

  dispatch(request: JobRequest, listener: JobListener): JobHandle {
    const id = randomId();
    const job: RunningJob = { request, listener, worker: '', account: '', attempt: '', sent: 0 };
    this.#jobs.set(id, job);
    this.#table.submit(id, request, this.#clock());
    this.#publish(id, request, request.deadlineMs);
    return {
      abandon: () => {
        if (this.#table.abandon(id)) this.#cancel(id, request.service);
        this.#jobs.delete(id);
      },
      send: (body, last) => {
        if (this.#jobs.get(id) !== job) return;
        const { attempt, sent: index } = job;
        job.sent++;
        const part = encodeRequestPart({ job: id, attempt, index, last }, body);
        if (!this.#tell(id, job, 'warren.proxy.v1.RequestPart', part)) this.#lose(id, 'no broker');
        else this.#table.progress(id, this.#clock());
      },
      credit: until => {
        if (this.#jobs.get(id) !== job) return;
        const { attempt } = job;
        const credit = ResponseCredit.encode({ job: id, attempt, until: BigInt(until) }).finish();
        if (!this.#tell(id, job, 'warren.proxy.v1.ResponseCredit', credit)) this.#lose(id, 'no broker');
      },
    };
  }

  /** To the worker that executes it. @returns whether it went out */
  #tell(
    id: string,
    { worker, account }: RunningJob,
    type: 'warren.proxy.v1.RequestPart' | 'warren.proxy.v1.ResponseCredit',
    body: Uint8Array,
  ): boolean {
    return this.#bus.send({ type, key: jobKey(account, worker), correlationId: id, body });
  }

  /** It cannot go on. */
  #lose(id: string, reason: string): void {
    if (this.#table.abandon(id)) this.#end([{ id, status: 502, reason }]);
  }

  #publish(id: string, request: JobRequest, expirationMs: number): void {
    // Until then the replies would have nowhere to go; `#resume` sends it.
    if (this.#bus.state === 'connecting') return;
    const number = ++this.#number;
    const { method, target, fields, body, claim, deadlineMs, streamed, bodyLength, upgrade } = request;
    // Unsent because there is no broker: it stays in the table, and goes out when there is one, or ends there.
    this.#bus.send({
      type: 'warren.proxy.v1.Job',
      key: request.service,
      body: Job.encode({
        number,
        method,
        target,
        fields,
        body,
        claim,
        deadlineMs,
        streamed,
        bodyLength,
        upgrade,
        responseCredit: bodyWindow.firstBytes,
      }).finish(),
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
    const { userId: account } = delivery;
    // Who is not named by the broker could be anybody, and could not be answered.
    if (account === undefined) return 'ack';
    switch (delivery.type) {
      case 'warren.proxy.v1.Parts':
        {
          const { worker, parts } = decodeParts(delivery.body);
          for (const part of parts) this.#part({ worker, account }, part, now);
        }
        break;
      case 'warren.proxy.v1.Claim': {
        const claim = Claim.decode(delivery.body);
        const job = delivery.correlationId ?? '';
        const { granted, leftMs } = this.#table.claim(job, claim, now);
        this.#bus.send({
          type: 'warren.proxy.v1.Grant',
          key: jobKey(account, claim.worker),
          correlationId: job,
          body: Grant.encode({ attempt: claim.attempt, granted, leftMs: Math.floor(leftMs) }).finish(),
        });
        break;
      }
      case 'warren.proxy.v1.RequestCredit': {
        const { job: id, worker, attempt, until } = RequestCredit.decode(delivery.body);
        const job = this.#jobs.get(id);
        // The first word from the worker that was granted the job says which attempt gets the body.
        if (!job || !this.#table.isHeldBy(id, worker) || (job.sent > 0 && job.attempt !== attempt)) break;
        job.worker = worker;
        job.account = account;
        job.attempt = attempt;
        job.listener.credit(Number(until));
        break;
      }
      case 'warren.proxy.v1.WorkerAnnounce': {
        const worker = WorkerAnnounce.decode(delivery.body);
        // The key is what its account may write: of other services it has nothing to say.
        if (delivery.key !== `worker.${worker.service}`) break;
        this.#workers.set(worker.worker, worker);
        if (this.#table.workerSeen(worker, now)) this.#announce(false);
        break;
      }
    }
    return 'ack';
  }

  #part({ worker, account }: { worker: string; account: string }, part: ReceivedPart, now: number): void {
    const isInformational = part.head !== undefined && !part.last && isInterim(part.head.status);
    const verdict = this.#table.part(part.job, { ...part, worker, isInformational }, now);
    if (verdict === 'gap') this.#lose(part.job, 'a part of the response was lost');
    const job = this.#jobs.get(part.job);
    if (!job || verdict !== 'next') return;
    job.worker = worker;
    job.account = account;
    if (!isInformational) job.attempt = part.attempt;
    if (part.last) this.#jobs.delete(part.job);
    try {
      job.listener.part(part);
    } catch (error) {
      // A bug of ours costs this client its answer, and nobody else's that travelled with it.
      if (this.#table.abandon(part.job)) this.#cancel(part.job, job.request.service);
      this.#jobs.delete(part.job);
      job.listener.ended({ id: part.job, status: 502, reason: messageOf(error) });
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
