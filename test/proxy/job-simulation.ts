import { JobTable } from '../../services/proxy/job-table.ts';
import { JobGate } from '../../services/worker/job-gate.ts';
import { seededRandom } from '../support/seeded.ts';
import { VirtualTime } from '../support/virtual-time.ts';

/**
 * The very job table and job gates over a broker made of virtual time: one proxy, three workers, and faults: processes killed,
 * frozen and woken, connections cut with what was on them, the proxy's broker session lost, parts of responses lost, clients that leave.
 * Responses come in parts over time, and bodies of requests go in parts once the worker gave credit.
 */

export type Mutation =
  | 'a worker that never asks'
  | 'claims granted after the answer'
  | 'grants to anybody'
  | 'old grants used'
  | 'parts of any attempt taken'
  | 'lost parts overlooked'
  | 'jobs acknowledged as they begin';

export interface SimulatedJob {
  readonly id: string;
  readonly claim: boolean;
  /** Of its response. */
  readonly parts: number;
  /** Of its body, when that streams. */
  readonly bodyParts: number;
  isBodySent: boolean;
  /** The attempt and index of each part that counted, also of one that said the rest will not come. */
  readonly received: { attempt: string; index: number }[];
  executions: number;
  answers: number;
  /** What the client was told; 499: it had left. */
  status: number;
  answeredAt: number;
  /** How often a worker was found dead with it. */
  handOvers: number;
  /** An answer given because the proxy lost its session: the grant may still be on its way. */
  lostSession: boolean;
}

const leaseMs = 3_000;
const deadlineMs = 30_000;
const maxDelayMs = 40;
const heartbeatMs = 12_000;
const faultsEndMs = 60_000;

interface Message {
  readonly job: SimulatedJob;
  readonly session: string;
  readonly number: bigint;
  readonly expiresAt: number;
  redelivered: boolean;
}

/** One attempt in a worker. */
interface Attempt {
  readonly job: SimulatedJob;
  readonly owner: string;
  readonly id: string;
  readonly acks: (() => void)[];
  /** Parts of the body that came. */
  taken: number;
  /** Parts of the response that were sent. */
  sent: number;
  /** The broker has the first one. */
  isBegun: boolean;
  isOver: boolean;
}

export function simulate(
  seed: number,
  mutation?: Mutation,
): { problems: string[]; transcript: string[]; jobs: SimulatedJob[] } {
  const random = seededRandom(seed);
  const time = new VirtualTime();
  const transcript: string[] = [];
  const problems: string[] = [];
  const say = (text: string): void => void transcript.push(`${time.now.toFixed(0).padStart(6)} ${text}`);
  const chance = (p: number): boolean => random() < p;
  const between = (low: number, high: number): number => low + (high - low) * random();
  const delay = (): number => between(0.1, chance(0.1) ? maxDelayMs : 3);

  // Half of the runs keep one worker whole and the proxy connected: there every repeatable job must succeed.
  const isCalm = seed % 2 === 0;
  const jobs: SimulatedJob[] = [];
  const byId = new Map<string, SimulatedJob>();
  const queue: Message[] = [];
  const workers: WorkerModel[] = [];
  let turn = 0;

  // --- the proxy
  const table = new JobTable({ queueTimeoutMs: 5_000, leaseMs, brokerGraceMs: 1_000 });
  let session = 'session-0';
  let number = 0n;
  let isConnected = true;
  let lastPartAt = 0;

  function answer(id: string, status: number, lostSession = false): void {
    const job = byId.get(id);
    if (!job) return;
    job.answers++;
    job.status = status;
    job.answeredAt = time.now;
    job.lostSession = lostSession;
    say(`client of ${id} told ${status}`);
    if (job.answers > 1) problems.push(`${id} answered ${job.answers} times`);
    if (status !== 200 && isConnected) for (const worker of workers) worker.fromBroker(() => worker.cancelled(id));
  }
  function publish(job: SimulatedJob, leftMs: number): void {
    const message = { job, session, number: ++number, expiresAt: time.now + leftMs, redelivered: false };
    if (isConnected) {
      time.after(delay(), () => {
        queue.push(message);
        drain();
      });
    }
  }
  function announce(): void {
    const said = { session, proxy: 'proxy', nextNumber: number + 1n, leaseMs, leaving: false };
    if (isConnected) for (const worker of workers) worker.fromBroker(() => worker.heardProxy(said));
  }
  function toProxy(forSession: string, act: () => void): void {
    time.after(delay(), () => {
      if (isConnected && session === forSession) act();
    });
  }
  /** In order, as on one channel and one queue. */
  function partToProxy(forSession: string, act: () => void): void {
    const at = Math.max(time.now + delay(), lastPartAt);
    lastPartAt = at;
    time.after(at - time.now, () => {
      if (isConnected && session === forSession) act();
    });
  }
  function partCame(
    job: SimulatedJob,
    terms: { worker: string; attempt: string; index: number; last: boolean },
    isFailure: boolean,
  ): void {
    let verdict = table.part(job.id, terms, time.now);
    const { index, attempt, last } = terms;
    if (mutation === 'lost parts overlooked' && verdict === 'gap')
      verdict = table.part(job.id, { ...terms, index: job.received.length }, time.now);
    const other = job.received[0]?.attempt;
    if (mutation === 'parts of any attempt taken' && verdict === 'other' && other && index === job.received.length)
      verdict = table.part(job.id, { ...terms, attempt: other }, time.now);
    if (verdict === 'gap' && table.abandon(job.id)) answer(job.id, 502);
    if (verdict !== 'next') return;
    job.received.push({ attempt, index });
    if (last) answer(job.id, isFailure ? 502 : 200);
  }
  /** The worker takes the body. */
  function sendBody(job: SimulatedJob, worker: string, attempt: string, index = 0): void {
    if (job.answers > 0 || !table.isHeldBy(job.id, worker) || (index === 0 && job.isBodySent)) return;
    job.isBodySent = true;
    table.progress(job.id, time.now);
    const receiver = workers.find(({ id }) => id === worker);
    if (isConnected) receiver?.fromBroker(() => receiver.bodyPart(job.id, attempt, index));
    if (index + 1 < job.bodyParts) time.after(between(1, 300), () => sendBody(job, worker, attempt, index + 1));
  }
  function tick(): void {
    for (const { id, status } of table.tick(time.now).ended) answer(id, status);
    time.after(50, tick);
  }
  function renew(): void {
    announce();
    time.after(1_000, renew);
  }
  function loseSession(): void {
    say('proxy loses the broker');
    isConnected = false;
    for (const { id, status } of table.brokerLost(time.now)) answer(id, status, true);
    time.after(between(50, 3_000), () => {
      session = `session-${Number(session.slice(8)) + 1}`;
      number = 0n;
      isConnected = true;
      say(`proxy is back as ${session}`);
      announce();
      for (const { id, leftMs } of table.brokerBack(time.now)) {
        const job = byId.get(id);
        if (job) publish(job, leftMs);
      }
    });
  }

  // --- the broker's queue
  function drain(): void {
    while (queue.length > 0) {
      const message = queue[0] as Message;
      if (time.now >= message.expiresAt) {
        queue.shift();
        continue;
      }
      const free = workers.filter(worker => worker.canTake());
      const worker = free[turn++ % Math.max(1, free.length)];
      if (!worker) return;
      queue.shift();
      worker.unacked.add(message);
      worker.fromBroker(() => worker.delivered(message), true);
    }
  }

  // --- a worker process
  class WorkerModel {
    id = '';
    gate = new JobGate(leaseMs);
    unacked = new Set<Message>();
    isAlive = false;
    isFrozen = false;
    frozenAt = Number.NEGATIVE_INFINITY;
    thawedAt = Number.NEGATIVE_INFINITY;
    /** Counts connections: what was on an earlier one is lost. */
    link = 0;
    isLinked = false;
    readonly #index: number;
    #generation = 0;
    #lastArrival = 0;
    #waiting: (() => void)[] = [];
    /** Parts that the broker has not confirmed: sent again after a cut. */
    #outbox: { arrive: () => void; confirmed: () => void }[] = [];
    #lastPartAt = 0;
    readonly #executing = new Map<string, Attempt>();
    readonly #asking = new Map<string, (granted: boolean, leftMs: number) => void>();

    constructor(index: number) {
      this.#index = index;
    }

    canTake(): boolean {
      return this.isAlive && this.isLinked && this.unacked.size < 4;
    }

    start(): void {
      this.#generation++;
      this.id = `worker-${this.#index}.${this.#generation}`;
      this.gate = new JobGate(leaseMs);
      this.isAlive = true;
      this.isFrozen = false;
      this.#waiting = [];
      this.#outbox = [];
      this.#executing.clear();
      this.#asking.clear();
      say(`${this.id} starts`);
      this.connect();
      this.#renew(this.#generation);
    }

    connect(): void {
      if (!this.isAlive || this.isLinked) return;
      this.link++;
      this.isLinked = true;
      this.#lastArrival = 0;
      this.gate.deaf();
      this.#announce();
      for (const message of this.#outbox) this.#put(message);
      drain();
    }

    cut(): void {
      if (!this.isLinked) return;
      say(`${this.id} is cut off`);
      this.isLinked = false;
      this.#requeue();
      // The process notices, unless it is frozen.
      const link = this.link;
      this.#act(() => {
        if (this.link !== link) return;
        for (const answered of [...this.#asking.values()]) answered(false, -1);
        for (const attempt of [...this.#executing.values()])
          if (!attempt.isOver && (attempt.sent > 0 || attempt.job.bodyParts > 0)) this.#say(attempt, true, true);
      });
      const generation = this.#generation;
      time.after(between(50, 4_000), () => {
        if (this.#generation === generation) this.#act(() => this.connect());
      });
    }

    kill(): void {
      if (!this.isAlive) return;
      say(`${this.id} is killed`);
      this.isAlive = false;
      this.isLinked = false;
      this.#requeue();
      time.after(between(100, 6_000), () => this.start());
    }

    freeze(): void {
      if (!this.isAlive || this.isFrozen) return;
      say(`${this.id} freezes`);
      this.isFrozen = true;
      this.frozenAt = time.now;
      const link = this.link;
      time.after(heartbeatMs, () => {
        if (this.isFrozen && this.link === link) this.cut();
      });
      const generation = this.#generation;
      time.after(between(100, 40_000), () => {
        if (this.#generation !== generation || !this.isAlive) return;
        say(`${this.id} wakes`);
        this.isFrozen = false;
        this.thawedAt = time.now;
        for (const act of this.#waiting.splice(0)) act();
      });
    }

    #requeue(): void {
      for (const message of [...this.unacked].reverse()) {
        message.redelivered = true;
        message.job.handOvers++;
        queue.unshift(message);
      }
      this.unacked.clear();
      drain();
    }

    /** What the process does: now, or when it wakes. */
    #act(act: () => void): void {
      if (!this.isAlive) return;
      if (this.isFrozen) this.#waiting.push(act);
      else act();
    }

    /** In order, while the connection stands. What reached a frozen process's socket is read when it wakes. */
    fromBroker(act: () => void, isDelivery = false): void {
      if (!this.isAlive || !this.isLinked) return;
      const link = this.link;
      const generation = this.#generation;
      // Jobs and control messages come on channels of their own.
      const at = isDelivery ? time.now + delay() : Math.max(time.now + delay(), this.#lastArrival);
      if (!isDelivery) this.#lastArrival = at;
      time.after(at - time.now, () => {
        if (this.#generation === generation && this.link === link && this.isLinked) this.#act(act);
      });
    }

    /** In order, until the broker has confirmed it. */
    #post(arrive: () => void, confirmed: () => void): void {
      const message = { arrive, confirmed };
      this.#outbox.push(message);
      if (this.isLinked) this.#put(message);
    }

    #put(message: { arrive: () => void; confirmed: () => void }): void {
      const link = this.link;
      const generation = this.#generation;
      const at = Math.max(time.now + delay(), this.#lastPartAt);
      this.#lastPartAt = at;
      time.after(at - time.now, () => {
        if (this.#generation !== generation || this.link !== link || !this.isLinked) return;
        message.arrive();
        this.fromBroker(() => {
          this.#outbox = this.#outbox.filter(other => other !== message);
          message.confirmed();
        });
      });
    }

    /** Lost when the connection goes before it arrives; @returns nothing, as TCP does */
    toBroker(arrive: () => void, lost: () => void = () => {}): void {
      if (!this.isLinked) return lost();
      const link = this.link;
      const generation = this.#generation;
      time.after(delay(), () => {
        if (this.#generation === generation && this.link === link && this.isLinked) arrive();
        else if (this.#generation === generation && this.isAlive) lost();
      });
    }

    #announce(): void {
      const terms = { worker: this.id, service: 'web', leaving: false, leaseMs };
      this.toBroker(() => toProxy(session, () => void (table.workerSeen(terms, time.now) && announce())));
    }

    #renew(generation: number): void {
      time.after(1_000, () => {
        if (this.#generation !== generation || !this.isAlive) return;
        this.#act(() => {
          this.gate.tidy(time.now);
          this.#announce();
        });
        this.#renew(generation);
      });
    }

    heardProxy(said: Parameters<JobGate['heardProxy']>[0]): void {
      this.gate.heardProxy(said, time.now);
    }

    cancelled(id: string): void {
      this.gate.cancelled(id, time.now);
      const attempt = this.#executing.get(id);
      if (!attempt || attempt.isOver) return;
      if (attempt.sent > 0) this.#say(attempt, true, true);
      else this.#end(attempt);
    }

    bodyPart(id: string, attemptId: string, index: number): void {
      const attempt = this.#executing.get(id);
      if (attempt?.id !== attemptId || attempt.isOver) return;
      if (index !== attempt.taken) problems.push(`${id}: part ${index} of its body came as part ${attempt.taken}`);
      attempt.taken++;
      if (attempt.taken === attempt.job.bodyParts) this.#respond(attempt);
    }

    delivered(message: Message): void {
      const { job, session: owner, number: count, redelivered } = message;
      const link = this.link;
      const ack = (): void => this.toBroker(() => void (this.link === link && this.unacked.delete(message) && drain()));
      let decision = this.gate.delivered(
        { id: job.id, session: owner, number: count, claim: job.claim, redelivered },
        time.now,
      );
      if (mutation === 'a worker that never asks' && decision === 'claim') decision = 'execute';
      switch (decision) {
        case 'drop':
          return ack();
        case 'join':
          return this.#join(job, ack);
        case 'execute':
          return this.#execute(job, owner, `${this.id}/${job.id}/${random()}`, ack);
        case 'claim':
          return this.#ask(job, owner, time.now + deadlineMs, ack);
      }
    }

    #ask(job: SimulatedJob, owner: string, until: number, ack: () => void, unanswered = 0): void {
      const attempt = `${this.id}/${job.id}/${random()}`;
      const askedAt = time.now;
      let isOpen = true;
      const answered = (granted: boolean, leftMs: number): void => {
        if (!isOpen) return;
        isOpen = false;
        this.#asking.delete(attempt);
        if (!granted && leftMs === 0) return ack();
        const isGood = mutation === 'old grants used' || this.gate.mayExecute(job.id, { askedAt, leftMs }, time.now);
        if (granted && isGood) {
          if (this.#executing.has(job.id)) this.#join(job, ack);
          else this.#execute(job, owner, attempt, ack);
          return;
        }
        const silent = granted ? 0 : unanswered + 1;
        const hopeless = silent >= 2 && !this.gate.isSessionLive(owner, time.now);
        if (this.isLinked && time.now < until && !hopeless) this.#ask(job, owner, until, ack, silent);
        else ack();
      };
      this.#asking.set(attempt, answered);
      // The worst moment: the grant is given to a process that does not run.
      if (chance(0.03) && !(isCalm && this.#index === 0)) time.after(between(0, 3), () => this.freeze());
      time.after(leaseMs, () => this.#act(() => answered(false, -1)));
      this.toBroker(() =>
        toProxy(owner, () => {
          let { granted, leftMs } = table.claim(job.id, { worker: this.id, attempt }, time.now);
          if (mutation === 'grants to anybody' && job.answers === 0) [granted, leftMs] = [true, deadlineMs];
          if (mutation === 'claims granted after the answer' && job.answers > 0) [granted, leftMs] = [true, deadlineMs];
          this.fromBroker(() => answered(granted, leftMs));
        }),
      );
    }

    #execute(job: SimulatedJob, owner: string, id: string, ack: () => void): void {
      job.executions++;
      say(`${this.id} executes ${job.id} (${job.executions})`);
      if (job.claim && job.executions > 1) problems.push(`${job.id} is claimed and ran ${job.executions} times`);
      const late = time.now - job.answeredAt;
      const wasFrozen = this.isFrozen || this.thawedAt > job.answeredAt || this.frozenAt > job.answeredAt;
      if (job.answers > 0 && !job.lostSession) {
        if (job.claim && job.status !== 499)
          problems.push(`${job.id} is claimed and ran ${late.toFixed(0)} ms after its answer`);
        // A cancel needs its time; and what a frozen process had read already, it does first.
        else if (late > 2 * maxDelayMs && !wasFrozen)
          problems.push(`${job.id} ran ${late.toFixed(0)} ms after its asker had gone`);
      }
      this.gate.begin(job.id);
      const attempt: Attempt = { job, owner, id, acks: [ack], taken: 0, sent: 0, isBegun: false, isOver: false };
      this.#executing.set(job.id, attempt);
      if (mutation === 'jobs acknowledged as they begin') ack();
      if (job.bodyParts === 0) return this.#respond(attempt);
      const worker = this.id;
      this.toBroker(
        () => toProxy(owner, () => sendBody(job, worker, id)),
        () => void (attempt.isOver || this.#act(() => this.#say(attempt, true, true))),
      );
    }

    #join(job: SimulatedJob, ack: () => void): void {
      const attempt = this.#executing.get(job.id);
      if (attempt?.isBegun) ack();
      else attempt?.acks.push(ack);
    }

    /** Part after part, until the last. */
    #respond(attempt: Attempt): void {
      const generation = this.#generation;
      // Now and then an upstream hangs past every deadline.
      const hangs = !isCalm && attempt.sent === 0 && chance(0.02);
      time.after(hangs ? 2 * deadlineMs : between(1, chance(0.05) ? 8_000 : 200), () => {
        if (this.#generation !== generation) return;
        this.#act(() => {
          if (attempt.isOver) return;
          // The worst moments: just before the first part, whose job another worker gets then, and between two.
          const isSafe = isCalm && this.#index === 0;
          if (attempt.sent === 0 && !isSafe && chance(0.04)) this.cut();
          const isLast = attempt.sent === attempt.job.parts - 1;
          if (attempt.isOver) return;
          this.#say(attempt, isLast, false);
          if (isLast) return;
          this.#respond(attempt);
          if (isSafe || chance(0.96)) return;
          const isCut = chance(0.5);
          time.after(between(0, 20), () => (isCut ? this.cut() : this.kill()));
        });
      });
    }

    #say(attempt: Attempt, last: boolean, isFailure: boolean): void {
      const { job, owner, id } = attempt;
      const terms = { worker: this.id, attempt: id, index: attempt.sent++, last };
      if (last) attempt.isOver = true;
      const isLost = !isCalm && !last && chance(0.01);
      this.#post(
        () => void (isLost || partToProxy(owner, () => partCame(job, terms, isFailure))),
        () => {
          attempt.isBegun = true;
          for (const ack of attempt.acks.splice(0)) ack();
          if (last) this.#end(attempt);
        },
      );
    }

    #end(attempt: Attempt): void {
      attempt.isOver = true;
      this.gate.end(attempt.job.id, deadlineMs, time.now);
      this.#executing.delete(attempt.job.id);
      for (const ack of attempt.acks.splice(0)) ack();
    }
  }

  // --- what happens
  for (let i = 0; i < 3; i++) workers.push(new WorkerModel(i));
  for (const worker of workers) worker.start();
  tick();
  renew();
  const jobCount = 10 + Math.floor(random() * 20);
  for (let i = 0; i < jobCount; i++) {
    time.after(between(0, faultsEndMs), () => {
      const bodyParts = chance(0.25) ? 1 + Math.floor(random() * 4) : 0;
      const job = {
        id: `job-${i}`,
        claim: bodyParts > 0 || chance(0.5),
        parts: chance(0.5) ? 1 : 2 + Math.floor(random() * 4),
        bodyParts,
        isBodySent: false,
        received: [],
        executions: 0,
        answers: 0,
        status: 0,
        answeredAt: 0,
        handOvers: 0,
        lostSession: false,
      };
      jobs.push(job);
      byId.set(job.id, job);
      if (!table.canWaitForBroker(time.now)) return answer(job.id, 503);
      say(`${job.id} asked for${job.claim ? ', to be claimed' : ''}`);
      table.submit(job.id, { service: 'web', claim: job.claim, deadlineMs }, time.now);
      publish(job, deadlineMs);
      if (chance(0.1)) time.after(between(0, 4_000), () => void (table.abandon(job.id) && answer(job.id, 499)));
    });
  }
  const faultCount = Math.floor(random() * 8);
  for (let i = 0; i < faultCount; i++) {
    time.after(between(0, faultsEndMs), () => {
      const worker = workers[Math.floor(random() * 3)];
      if (!worker || (isCalm && worker === workers[0])) return;
      const kind = random();
      if (kind < 0.3) worker.kill();
      else if (kind < 0.55) worker.freeze();
      else if (kind < 0.85) worker.cut();
      else if (!isCalm && isConnected) loseSession();
    });
  }
  // Now and then nobody is there at all.
  if (!isCalm && chance(0.3)) {
    time.after(between(0, faultsEndMs), () => {
      for (const worker of workers) worker.freeze();
    });
  }
  time.runUntil(faultsEndMs + 3 * deadlineMs);

  for (const job of jobs) {
    if (job.answers !== 1) problems.push(`${job.id} was answered ${job.answers} times`);
    // Two frozen workers in a row, each noticed after twelve seconds, may use up the deadline; one must not.
    const isReplaceable = !job.claim && job.received.length === 0;
    if (isCalm && isReplaceable && job.handOvers < 2 && ![200, 499].includes(job.status))
      problems.push(`${job.id} can be repeated and got ${job.status}`);
    const [first] = job.received;
    if (job.received.some(({ attempt, index }, i) => attempt !== first?.attempt || index !== i))
      problems.push(`${job.id} was given parts that are not one response: ${JSON.stringify(job.received)}`);
    if (job.status === 200 && job.received.length !== job.parts)
      problems.push(`${job.id} ended cleanly after ${job.received.length} of ${job.parts} parts`);
  }
  if (table.size > 0) problems.push(`${table.size} jobs left in the table`);
  return { problems, transcript, jobs };
}
