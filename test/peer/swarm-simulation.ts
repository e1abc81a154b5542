import { pieceBytes, pieceCount } from '../../services/peer/merkle.ts';
import { PieceMap, type PieceRun } from '../../services/peer/piece-map.ts';
import { Scheduler } from '../../services/peer/scheduler.ts';
import type { SchedulerOptions } from '../../services/peer/scheduler-options.ts';
import type { SwarmEffect, SwarmEvent } from '../../services/peer/swarm-event.ts';
import { VirtualTime } from '../support/virtual-time.ts';

/** How a source behaves; an honest one by default. Rates in bytes a millisecond, times in virtual milliseconds. */
export interface Behaviour {
  readonly upRate: number;
  readonly latencyMs: number;
  /** How likely a piece is wrong. */
  readonly wrong?: number;
  /** How likely a frame is the last one of its request, which then fails. */
  readonly failing?: number;
  /** Sends nothing in between. */
  readonly silent?: { readonly from: number; readonly to: number };
  readonly leavesAt?: number;
}

interface Stream {
  readonly request: number;
  readonly to: Receiver;
  piece: number;
  end: number;
  sent: number;
  readonly isWrong: boolean[];
}

const frameBytes = 256 * 1024;
const tellMs = 50;
/** What a seed has sent to one is soon to be had from that one: it says so until that one says so itself. */
const recentMs = 2_000;

/** Whoever sends. Its link up is shared by its streams in turn. */
class Sender {
  readonly sentPieces: Uint32Array;
  readonly streams: Stream[] = [];
  readonly #recent: { readonly at: number; readonly piece: number; readonly to: Receiver }[] = [];
  readonly #swarm: Swarm;
  readonly id: string;
  readonly behaviour: Behaviour;
  #isSending = false;
  hasLeft = false;

  constructor(swarm: Swarm, id: string, behaviour: Behaviour) {
    this.#swarm = swarm;
    this.id = id;
    this.behaviour = behaviour;
    this.sentPieces = new Uint32Array(swarm.pieces);
    if (behaviour.leavesAt !== undefined) swarm.time.after(behaviour.leavesAt, () => this.leave());
  }

  leave(): void {
    this.hasLeft = true;
    this.streams.length = 0;
    for (const receiver of this.#swarm.receivers) receiver.handle({ type: 'left', source: this.id });
  }

  open(stream: Stream): void {
    if (this.hasLeft) return;
    this.streams.push(stream);
    if (!this.#isSending) this.#sendNext();
  }

  close(request: number, to: Receiver): void {
    const at = this.streams.findIndex(each => each.request === request && each.to === to);
    if (at >= 0) this.streams.splice(at, 1);
  }

  /** Sent to others, or soon to be. */
  sending(to: Receiver): PieceRun[] {
    while ((this.#recent[0]?.at ?? Number.POSITIVE_INFINITY) < this.#swarm.time.now - recentMs) this.#recent.shift();
    return [
      ...this.streams.filter(each => each.to !== to).map(({ piece, end }) => ({ first: piece, count: end - piece })),
      ...this.#recent.filter(each => each.to !== to).map(({ piece }) => ({ first: piece, count: 1 })),
    ];
  }

  #sendNext(): void {
    const { time, random } = this.#swarm;
    const { silent, failing = 0, wrong = 0, upRate, latencyMs } = this.behaviour;
    const stream = this.streams.shift();
    this.#isSending = stream !== undefined;
    if (stream === undefined) return;
    if (silent !== undefined && time.now >= silent.from && time.now < silent.to) {
      this.streams.push(stream);
      time.after(50, () => this.#sendNext());
      return;
    }
    const { to, request } = stream;
    time.after(frameBytes / upRate, () => {
      if (this.hasLeft) return;
      const piece = stream.piece;
      if (failing > 0 && random() < failing) {
        time.after(latencyMs, () => to.handle({ type: 'ended', request, isFailure: true }));
        return this.#sendNext();
      }
      stream.sent += frameBytes;
      const isWhole = stream.sent >= pieceBytes;
      if (isWhole) {
        this.sentPieces[piece] = (this.sentPieces[piece] ?? 0) + 1;
        this.#recent.push({ at: time.now, piece, to });
        stream.sent = 0;
        stream.piece++;
      }
      const isRight = wrong === 0 || random() >= wrong;
      time.after(latencyMs, () => {
        to.handle({ type: 'bytes', request, bytes: frameBytes });
        if (isWhole) to.receive(this.id, request, piece, isRight);
      });
      if (stream.piece < stream.end) this.streams.push(stream);
      this.#sendNext();
    });
  }
}

/** Runs a scheduler, and sends what it has. */
export class Receiver extends Sender {
  readonly have: PieceMap;
  readonly scheduler: Scheduler;
  readonly bannedBy = new Map<string, number>();
  readonly log: string[] = [];
  readonly #swarm: Swarm;
  readonly #open = new Map<number, Sender>();
  readonly #trimmed = new Map<number, number>();
  #told: PieceRun[] = [];
  doneAt: number | undefined;

  constructor(swarm: Swarm, id: string, behaviour: Behaviour, options: Partial<SchedulerOptions>) {
    super(swarm, id, behaviour);
    this.#swarm = swarm;
    this.have = new PieceMap(swarm.pieces);
    this.scheduler = new Scheduler({ length: swarm.length, have: this.have, random: swarm.random }, options);
  }

  handle(event: SwarmEvent): void {
    for (const effect of this.scheduler.handle(event, this.#swarm.time.now)) this.#act(effect);
  }

  receive(source: string, request: number, piece: number, isRight: boolean): void {
    // What was stopped or trimmed is thrown away, as a closed stream is.
    if (!this.#open.has(request) || piece >= (this.#trimmed.get(request) ?? Number.POSITIVE_INFINITY)) return;
    if (!isRight) return this.handle({ type: 'wrong', request, piece });
    if (this.bannedBy.has(source)) throw new Error(`a piece of ${source} counts after it was banned`);
    if (!this.have.has(piece)) this.#told.push({ first: piece, count: 1 });
    this.handle({ type: 'piece', request, piece });
  }

  #act(effect: SwarmEffect): void {
    const { time } = this.#swarm;
    switch (effect.type) {
      case 'fetch': {
        const { request, source, run } = effect;
        const sender = this.#swarm.senderOf(source);
        if (this.bannedBy.has(source)) throw new Error(`${source} is asked after it was banned`);
        this.#open.set(request, sender);
        const stream = { request, to: this, piece: run.first, end: run.first + run.count, sent: 0, isWrong: [] };
        time.after(sender.behaviour.latencyMs, () => {
          if (this.#open.has(request)) sender.open(stream);
        });
        return;
      }
      case 'trim': {
        this.#trimmed.set(effect.request, effect.end);
        const stream = this.#open
          .get(effect.request)
          ?.streams.find(({ request, to }) => request === effect.request && to === this);
        if (stream) stream.end = Math.min(stream.end, effect.end);
        return;
      }
      case 'stop':
        this.#open.get(effect.request)?.close(effect.request, this);
        this.#open.delete(effect.request);
        return;
      case 'ban':
        this.bannedBy.set(effect.source, effect.piece);
        return;
      case 'done':
        this.doneAt = time.now;
    }
  }

  /** What the others hear since the last time. */
  takeNews(): PieceRun[] {
    const news = this.#told;
    this.#told = [];
    return news;
  }
}

export class Swarm {
  readonly time = new VirtualTime();
  readonly random: () => number;
  readonly length: number;
  readonly pieces: number;
  readonly receivers: Receiver[] = [];
  readonly #senders = new Map<string, Sender>();

  constructor(length: number, random: () => number) {
    this.length = length;
    this.pieces = pieceCount(length);
    this.random = random;
  }

  addSeed(id: string, behaviour: Behaviour): Sender {
    const seed = new Sender(this, id, behaviour);
    this.#senders.set(id, seed);
    return seed;
  }

  addReceiver(id: string, behaviour: Behaviour, options: Partial<SchedulerOptions> = {}): Receiver {
    const receiver = new Receiver(this, id, behaviour, options);
    this.receivers.push(receiver);
    this.#senders.set(id, receiver);
    return receiver;
  }

  senderOf(id: string): Sender {
    const sender = this.#senders.get(id);
    if (sender === undefined) throw new Error(`${id} is unknown`);
    return sender;
  }

  /** Receivers know the seeds at once, and each other a little later. @returns whether all have it all by then */
  run(untilMs: number): boolean {
    const seeds = [...this.#senders.values()].filter(each => !(each instanceof Receiver));
    for (const to of this.receivers) {
      for (const { id, behaviour } of seeds)
        this.time.after(2 * behaviour.latencyMs, () => to.handle({ type: 'joined', source: id, has: undefined }));
      for (const other of this.receivers) {
        if (other === to) continue;
        this.time.after(150 + 100 * this.random(), () => {
          if (!other.hasLeft)
            to.handle({ type: 'joined', source: other.id, has: PieceMap.decode(this.pieces, other.have.encode()) });
        });
      }
      const tick = (): void => {
        to.handle({ type: 'tick' });
        if (to.scheduler.mode !== 'done') this.time.after(250, tick);
      };
      this.time.after(250 * this.random(), tick);
    }
    const tell = (): void => {
      const isDone = this.receivers.every(({ doneAt, hasLeft }) => doneAt !== undefined || hasLeft);
      if (isDone) return;
      for (const from of this.#senders.values()) {
        if (from.hasLeft) continue;
        const isSeed = !(from instanceof Receiver);
        const added = from instanceof Receiver ? from.takeNews() : [];
        for (const to of this.receivers) {
          if (to === from) continue;
          const coming = from instanceof Receiver ? from.scheduler.coming() : from.sending(to);
          if (isSeed && coming.length === 0 && this.receivers.length === 1) continue;
          this.time.after(from.behaviour.latencyMs, () =>
            to.handle({ type: 'holding', source: from.id, added, coming }),
          );
        }
      }
      this.time.after(tellMs, tell);
    };
    this.time.after(tellMs, tell);
    while (this.time.now < untilMs && this.receivers.some(({ doneAt, hasLeft }) => doneAt === undefined && !hasLeft))
      this.time.runUntil(Math.min(untilMs, this.time.now + 1_000));
    return this.receivers.every(({ doneAt, hasLeft }) => doneAt !== undefined || hasLeft);
  }
}
