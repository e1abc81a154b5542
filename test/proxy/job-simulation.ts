import { JobTable } from '../../services/proxy/job-table.ts';
import { JobGate } from '../../services/worker/job-gate.ts';
import { seededRandom } from '../support/seeded.ts';
import { VirtualTime } from '../support/virtual-time.ts';

/**
 * The very job table and job gates over a broker made of virtual time: one proxy, three workers, and faults: processes killed,
 * frozen and woken, connections cut with what was on them, the proxy's broker session lost, clients that leave.
 */

export type Mutation =
  | 'a worker that never asks'
  | 'claims granted after the answer'
  | 'grants to anybody'
  | 'old grants used';

export interface SimulatedJob {
  readonly id: string;
  readonly claim: boolean;
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
    #unsent: (() => void)[] = [];
    readonly #executing = new Map<string, { done: (() => void)[] }>();
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
      this.#unsent = [];
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
      for (const send of this.#unsent.splice(0)) send();
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
          return void this.#executing.get(job.id)?.done.push(ack);
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
          const executing = this.#executing.get(job.id);
          if (executing) executing.done.push(ack);
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

    #execute(job: SimulatedJob, owner: string, attempt: string, ack: () => void): void {
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
      const executing = { done: [ack] };
      this.#executing.set(job.id, executing);
      const generation = this.#generation;
      const finish = (): void => {
        this.gate.end(job.id, deadlineMs, time.now);
        this.#executing.delete(job.id);
        const reply = (): void =>
          this.toBroker(
            () => {
              toProxy(owner, () => {
                if (table.part(job.id, { worker: this.id, attempt, index: 0, last: true }, time.now) === 'next')
                  answer(job.id, 200);
              });
              this.fromBroker(() => {
                for (const done of executing.done) done();
              });
            },
            () => this.#unsent.push(reply),
          );
        reply();
      };
      // Now and then an upstream hangs past every deadline.
      const hangs = !isCalm && chance(0.02);
      time.after(hangs ? 2 * deadlineMs : between(1, chance(0.05) ? 8_000 : 200), () => {
        if (this.#generation === generation) this.#act(finish);
      });
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
      const job = {
        id: `job-${i}`,
        claim: chance(0.6),
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
    if (isCalm && !job.claim && job.handOvers < 2 && ![200, 499].includes(job.status))
      problems.push(`${job.id} can be repeated and got ${job.status}`);
  }
  if (table.size > 0) problems.push(`${table.size} jobs left in the table`);
  return { problems, transcript, jobs };
}
