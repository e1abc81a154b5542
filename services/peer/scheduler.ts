import { choosePieces, mayAskForHeld } from './choose-pieces.ts';
import { pieceBytes, pieceCount } from './merkle.ts';
import { PieceCounts } from './piece-counts.ts';
import { PieceMap, type PieceRun } from './piece-map.ts';
import { type SchedulerOptions, schedulerDefaults } from './scheduler-options.ts';
import { findTheft } from './steal-pieces.ts';
import type { SwarmEffect, SwarmEvent } from './swarm-event.ts';
import { type SourceMode, type SwarmRequest, SwarmSource } from './swarm-source.ts';

/** Pieces of a request before a source's rate is known, at most. */
const mostOpening = 16;
/** News of who has what are acted on at most so often, in milliseconds. */
const newsMs = 20;

export interface SourceView {
  readonly id: string;
  readonly mode: SourceMode;
  readonly requests: number;
  readonly rate: number;
  readonly bytes: number;
  readonly isSeed: boolean;
}

/**
 * What the receiver of one file does: whom it asks for which pieces. State and an event give effects; time and randomness are arguments.
 *
 * Modes of a transfer: *moving* (asks whenever a source has room), *paused* (asks nobody; by its owner, or while the disk is full), *done*
 * (every piece is here), *cancelled*. From done and cancelled there is no way back.
 *
 * Promises: no piece counts but by a `piece` event, which the edge sends for one that it has verified and written. While one source that has
 * everything answers, the transfer ends. Whoever sends a wrong piece is not asked again for this file.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #random: () => number;
  /** Verified and on disk. The scheduler alone adds to it. */
  readonly #have: PieceMap;
  /** How many requests each piece is in. */
  readonly #asked: Uint8Array;
  readonly #counts: PieceCounts;
  readonly #sources = new Map<string, SwarmSource>();
  readonly #requests = new Map<number, SwarmRequest>();
  #mode: 'moving' | 'paused' | 'done' | 'cancelled' = 'moving';
  #cursor: number;
  #nextRequest = 1;
  #assignedAt = Number.NEGATIVE_INFINITY;

  /** @param have what is here already; it is kept up to date here */
  constructor(
    { length, have, random }: { length: number; have: PieceMap; random: () => number },
    options: Partial<SchedulerOptions> = {},
  ) {
    this.#options = { ...schedulerDefaults, ...options };
    this.#random = random;
    this.#have = have;
    this.#asked = new Uint8Array(pieceCount(length));
    this.#counts = new PieceCounts(pieceCount(length));
    // Not all at the beginning: of ten who start at once, each then soon has what the others lack.
    this.#cursor = Math.floor(random() * have.pieces);
  }

  get mode(): 'moving' | 'paused' | 'done' | 'cancelled' {
    return this.#mode;
  }

  /** On their way now, for others to know. */
  coming(): PieceRun[] {
    return [...this.#requests.values()].map(({ next, end }) => ({ first: next, count: end - next }));
  }

  sources(): SourceView[] {
    return [...this.#sources.values()].map(({ id, mode, requests, rate, bytes, has }) => ({
      ...{ id, mode, rate: requests.size === 0 ? 0 : rate, bytes },
      ...{ requests: requests.size, isSeed: has === undefined },
    }));
  }

  /** @param now milliseconds of a monotonic clock */
  handle(event: SwarmEvent, now: number): SwarmEffect[] {
    if (this.#mode === 'done' || this.#mode === 'cancelled') return [];
    const effects: SwarmEffect[] = [];
    if (this.#apply(event, now, effects)) this.#assign(now, effects);
    return effects;
  }

  /** @returns whether somebody may have room now */
  #apply(event: SwarmEvent, now: number, effects: SwarmEffect[]): boolean {
    switch (event.type) {
      case 'joined': {
        const source = this.#sources.get(event.source) ?? new SwarmSource(event.source, now);
        this.#sources.set(source.id, source);
        if (source.mode === 'banned') return false;
        if (source.mode === 'gone') source.mode = source.waitUntil > now ? 'waiting' : 'ready';
        this.#setHolding(source, event.has);
        return true;
      }
      case 'holding': {
        const source = this.#sources.get(event.source);
        if (source === undefined || source.mode === 'banned' || source.mode === 'gone') return false;
        if (event.isComplete === true) this.#setHolding(source, undefined);
        for (const { first, count } of event.added) {
          const end = Math.min(this.#have.pieces, first + count);
          for (let piece = first; piece < end; piece++) if (source.has?.add(piece)) this.#counts.hold(piece);
        }
        this.#setComing(source, event.coming);
        // Many tell often: it is enough to look at it now and then.
        return now - this.#assignedAt >= newsMs;
      }
      case 'left': {
        const source = this.#sources.get(event.source);
        if (source === undefined) return false;
        this.#stopAll(source, now, effects);
        this.#forget(source);
        if (source.mode !== 'banned') source.mode = 'gone';
        return true;
      }
      case 'bytes': {
        const request = this.#requests.get(event.request);
        if (request === undefined) return false;
        request.heardAt = now;
        request.partial += event.bytes;
        request.source.heard(event.bytes, now);
        return false;
      }
      case 'piece':
        return this.#arrived(event, now, effects);
      case 'wrong': {
        const source = this.#requests.get(event.request)?.source;
        if (source === undefined) return false;
        this.#stopAll(source, now, effects);
        this.#forget(source);
        source.mode = 'banned';
        effects.push({ type: 'ban', source: source.id, piece: event.piece });
        return true;
      }
      case 'ended': {
        const request = this.#requests.get(event.request);
        if (request === undefined) return false;
        this.#close(request, now);
        if (event.isFailure || request.next < request.end) this.#passOver(request.source, now, effects);
        return true;
      }
      case 'tick':
        this.#tick(now, effects);
        return true;
      case 'pause':
        this.#mode = 'paused';
        for (const source of this.#sources.values()) this.#stopAll(source, now, effects);
        return false;
      case 'resume':
        this.#mode = 'moving';
        return true;
      case 'cancel':
        for (const source of this.#sources.values()) this.#stopAll(source, now, effects);
        this.#mode = 'cancelled';
        return false;
    }
  }

  #setHolding(source: SwarmSource, has: PieceMap | undefined): void {
    if (source.has !== undefined) this.#counts.holdAll(source.has, -1);
    // Its own copy: it grows as the source tells, and the counts with it.
    source.has = has === undefined ? undefined : PieceMap.decode(has.pieces, has.encode());
    if (source.has !== undefined) this.#counts.holdAll(source.has, 1);
  }

  #setComing(source: SwarmSource, coming: readonly PieceRun[]): void {
    this.#counts.come(source.coming, -1);
    source.coming = coming;
    this.#counts.come(coming, 1);
  }

  /** What it has is of no use now. It will say it again when it comes back. */
  #forget(source: SwarmSource): void {
    this.#setComing(source, []);
    if (source.has !== undefined) this.#setHolding(source, new PieceMap(this.#have.pieces));
  }

  #arrived({ request: id, piece }: { request: number; piece: number }, now: number, effects: SwarmEffect[]): boolean {
    this.#have.add(piece);
    const request = this.#requests.get(id);
    request?.source.succeeded();
    let isFree = false;
    // Whoever else was to bring it need not.
    for (const each of this.#requests.values()) {
      if (each === request || each.next !== piece || each.end !== piece + 1) continue;
      this.#stop(each, now, effects);
      isFree = true;
    }
    if (request !== undefined && piece >= request.next && piece < request.end) {
      this.#unask(request.next, piece + 1);
      request.next = piece + 1;
      request.partial = 0;
      request.heardAt = now;
      if (request.next >= request.end) {
        request.source.opening = Math.min(2 * request.source.opening, mostOpening);
        this.#close(request, now);
        isFree = true;
      }
    }
    return isFree || this.#have.isComplete;
  }

  #tick(now: number, effects: SwarmEffect[]): void {
    const { stallMs } = this.#options;
    for (const source of this.#sources.values()) {
      source.measure(now);
      if (source.mode === 'waiting' && now >= source.waitUntil) source.mode = 'ready';
      const silent = [...source.requests].filter(({ heardAt }) => now - heardAt >= stallMs);
      for (const request of silent) this.#stop(request, now, effects);
      // One connection may hang while others bring something.
      if (silent.length > 0 && now - source.heardAt >= stallMs) this.#passOver(source, now, effects);
    }
  }

  #passOver(source: SwarmSource, now: number, effects: SwarmEffect[]): void {
    // Several requests that fail together are one failure.
    if (source.mode !== 'ready') return;
    source.failed(now, this.#options.backoff, this.#random);
    this.#stopAll(source, now, effects);
    effects.push({ type: 'pass', source: source.id, until: source.waitUntil });
  }

  #assign(now: number, effects: SwarmEffect[]): void {
    if (this.#have.isComplete) {
      for (const source of this.#sources.values()) this.#stopAll(source, now, effects);
      this.#mode = 'done';
      effects.push({ type: 'done' });
      return;
    }
    if (this.#mode !== 'moving') return;
    this.#assignedAt = now;
    const ready = [...this.#sources.values()].filter(({ mode }) => mode === 'ready');
    // Those who have a part first: what they can bring, a seed need not.
    ready.sort((one, other) => Number(one.has === undefined) - Number(other.has === undefined));
    for (let lane = 0; lane < this.#options.lanes; lane++)
      for (const source of ready) if (source.requests.size === lane) this.#assignLane(source, ready, now, effects);
  }

  #assignLane(source: SwarmSource, ready: readonly SwarmSource[], now: number, effects: SwarmEffect[]): void {
    const isCrowd = ready.some(({ has }) => has !== undefined);
    const mayAsk = mayAskForHeld(source, ready, now, this.#options.courtesyMs);
    const run = choosePieces({
      source,
      counts: this.#counts,
      have: this.#have,
      asked: this.#asked,
      start: isCrowd ? Math.floor(this.#random() * this.#have.pieces) : this.#cursor,
      most: this.#runLength(source, isCrowd),
      mayAskForHeld: mayAsk,
    });
    if (run !== undefined) {
      this.#cursor = (run.first + run.count) % this.#have.pieces;
      return this.#ask(source, run, now, effects);
    }
    const theft = findTheft({
      ...{ source, requests: this.#requests.values(), have: this.#have, asked: this.#asked },
      ...{ mayAskForHeld: mayAsk, now },
    });
    if (theft === undefined) return;
    if (theft.trimTo !== undefined) {
      this.#unask(theft.trimTo, theft.from.end);
      theft.from.end = theft.trimTo;
      effects.push({ type: 'trim', request: theft.from.id, end: theft.trimTo });
    }
    this.#ask(source, theft.run, now, effects);
  }

  /** About half a second's worth; in a crowd few, so that others soon can have them from us; near the end a fair share. */
  #runLength(source: SwarmSource, isCrowd: boolean): number {
    const byRate = source.rate === 0 ? source.opening : Math.round(source.rate / this.#options.lanes / 2 / pieceBytes);
    const share = Math.ceil((this.#have.pieces - this.#have.count) / (2 * this.#options.lanes));
    return Math.max(1, Math.min(byRate, share, isCrowd ? Math.max(2, byRate >> 2) : this.#options.mostPieces));
  }

  #ask(source: SwarmSource, run: PieceRun, now: number, effects: SwarmEffect[]): void {
    const end = run.first + run.count;
    const request = { id: this.#nextRequest++, source, next: run.first, end, partial: 0, heardAt: now };
    for (let piece = run.first; piece < end; piece++) this.#asked[piece] = (this.#asked[piece] ?? 0) + 1;
    this.#requests.set(request.id, request);
    // A rate is taken from when there was something to bring.
    if (source.requests.size === 0) source.startMeasuring(now);
    source.requests.add(request);
    source.idleSince = 0;
    effects.push({ type: 'fetch', request: request.id, source: source.id, run });
  }

  #unask(first: number, end: number): void {
    for (let piece = first; piece < end; piece++) this.#asked[piece] = Math.max(0, (this.#asked[piece] ?? 0) - 1);
  }

  #close(request: SwarmRequest, now: number): void {
    this.#unask(request.next, request.end);
    this.#requests.delete(request.id);
    request.source.requests.delete(request);
    if (request.source.requests.size === 0) request.source.idleSince = now;
  }

  #stop(request: SwarmRequest, now: number, effects: SwarmEffect[]): void {
    this.#close(request, now);
    effects.push({ type: 'stop', request: request.id });
  }

  #stopAll(source: SwarmSource, now: number, effects: SwarmEffect[]): void {
    for (const request of [...source.requests]) this.#stop(request, now, effects);
  }
}
