import { setTimeout as wait } from 'node:timers/promises';
import { Failure } from '../lib/failure.ts';
import type { DownloadFile } from './download-file.ts';
import { pieceLength } from './merkle.ts';
import type { PieceFrame } from './piece-frame.ts';
import type { PieceMap, PieceRun } from './piece-map.ts';
import { Scheduler, type SourceView } from './scheduler.ts';
import type { SchedulerOptions } from './scheduler-options.ts';
import type { SwarmEffect, SwarmEvent } from './swarm-event.ts';

/**
 * How pieces come from a source, directly or relayed: the frames of a run, in order. It ends early or throws when the source fails; when the
 * signal aborts it ends at once.
 */
export type FetchRun = (source: string, run: PieceRun, signal: AbortSignal) => AsyncIterable<PieceFrame>;

export interface PullParts {
  readonly download: DownloadFile;
  readonly fetch: FetchRun;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** What the rate limit says when so many bytes have come: milliseconds until more are read. */
  readonly paceMs?: (bytes: number) => number;
  /** A source is out for this file: it sent something else for that piece. */
  readonly onBan?: (source: string, piece: number) => void;
  readonly onPass?: (source: string, untilMs: number) => void;
  /** The disk is in the way: tried again from time to time. undefined: it is not any more. */
  readonly onHeld?: (failure: Failure | undefined) => void;
}

export interface PullOptions extends Partial<SchedulerOptions> {
  /** What holds a pull is tried again after so long. */
  readonly holdMs?: number;
}

const tickMs = 250;
/** How far it is is noted whenever one of both is over: what came since comes again after a `kill -9`. */
const noteMs = 2_000;
const notePieces = 16;

/**
 * Pulls one file: does what its scheduler decides, with a transport and a download on disk. The sources are told to it, by whoever locates
 * them and by themselves.
 */
export class FilePull<T> {
  /** What `complete` gave. Rejects with PEER_CANCELLED, or with what cannot be tried again. */
  readonly done: Promise<T>;
  readonly #parts: PullParts;
  readonly #complete: (download: DownloadFile) => Promise<T>;
  readonly #scheduler: Scheduler;
  readonly #holdMs: number;
  readonly #open = new Map<number, { readonly aborting: AbortController; end: number }>();
  readonly #running = new Set<Promise<void>>();
  readonly #settled = Promise.withResolvers<T>();
  readonly #ticking: NodeJS.Timeout;
  readonly #stopped = new AbortController();
  #notedAt = performance.now();
  #noted: number;
  #held: Failure | undefined;
  #isPaused = false;

  /** @param complete what is done with the whole: `download => download.finish()` for a file */
  constructor(parts: PullParts, complete: (download: DownloadFile) => Promise<T>, options: PullOptions = {}) {
    const { holdMs = 5_000, ...scheduling } = options;
    const { download, random } = parts;
    this.#parts = parts;
    this.#complete = complete;
    this.#noted = download.map.count;
    this.#holdMs = holdMs;
    this.#scheduler = new Scheduler({ length: download.length, have: download.map, random }, scheduling);
    this.done = this.#settled.promise;
    this.done.catch(() => {});
    this.#ticking = setInterval(() => this.#tick(), tickMs);
    queueMicrotask(() => this.#tick());
  }

  /** A source that can be asked. @param has undefined: everything */
  join(source: string, has: PieceMap | undefined): void {
    this.#handle({ type: 'joined', source, has });
  }

  /** What it said of itself since. */
  holding(
    source: string,
    news: { added: readonly PieceRun[]; coming: readonly PieceRun[]; isComplete?: boolean },
  ): void {
    this.#handle({ type: 'holding', source, ...news });
  }

  leave(source: string): void {
    this.#handle({ type: 'left', source });
  }

  pause(): void {
    this.#isPaused = true;
    this.#handle({ type: 'pause' });
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#held === undefined) this.#handle({ type: 'resume' });
  }

  get held(): Failure | undefined {
    return this.#held;
  }

  sources(): SourceView[] {
    return this.#scheduler.sources();
  }

  /** On their way now, for others to know. */
  coming(): PieceRun[] {
    return this.#scheduler.coming();
  }

  /** Bytes. */
  get verified(): number {
    const { map, length } = this.#parts.download;
    if (map.pieces === 0) return 0;
    const last = map.pieces - 1;
    const missingOfLast = map.has(last) ? 2 ** 20 - pieceLength(length, last) : 0;
    return map.count * 2 ** 20 - missingOfLast;
  }

  /** Stops, and leaves what has come as it is: the daemon ends. */
  async close(): Promise<void> {
    await this.#stop();
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#parts.download.close();
    this.#settled.reject(new Failure('PEER_CANCELLED', 'the download was interrupted'));
  }

  /** Stops for good, and drops what had come. */
  async cancel(): Promise<void> {
    await this.#stop();
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#parts.download.drop();
    this.#settled.reject(new Failure('PEER_CANCELLED', 'the download was cancelled'));
  }

  #isOver = false;

  async #stop(): Promise<void> {
    clearInterval(this.#ticking);
    this.#stopped.abort();
    this.#handle({ type: 'cancel' });
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #tick(): void {
    this.#handle({ type: 'tick' });
    this.#noteWhenDue();
  }

  #noteWhenDue(): void {
    const { download } = this.#parts;
    const now = performance.now();
    const isDue = now - this.#notedAt >= noteMs || download.map.count - this.#noted >= notePieces;
    if (!isDue || this.#isOver || this.#stopped.signal.aborted) return;
    this.#notedAt = now;
    this.#noted = download.map.count;
    download.note();
  }

  #handle(event: SwarmEvent): void {
    for (const effect of this.#scheduler.handle(event, performance.now())) this.#act(effect);
  }

  #act(effect: SwarmEffect): void {
    const { onBan, onPass } = this.#parts;
    switch (effect.type) {
      case 'fetch':
        return this.#run(this.#fetch(effect));
      case 'trim': {
        const open = this.#open.get(effect.request);
        if (open) open.end = effect.end;
        return;
      }
      case 'stop':
        this.#open.get(effect.request)?.aborting.abort();
        return;
      case 'ban':
        return onBan?.(effect.source, effect.piece);
      case 'pass':
        return onPass?.(effect.source, effect.until);
      case 'done':
        clearInterval(this.#ticking);
        return this.#run(this.#finish());
    }
  }

  #run(act: Promise<void>): void {
    this.#running.add(act);
    act.finally(() => this.#running.delete(act));
  }

  async #fetch({ request, source, run }: Extract<SwarmEffect, { type: 'fetch' }>): Promise<void> {
    const { fetch, download } = this.#parts;
    const aborting = new AbortController();
    const { signal } = aborting;
    const open = { aborting, end: run.first + run.count };
    this.#open.set(request, open);
    let piece = run.first;
    let incoming = download.receive(piece);
    try {
      for await (const frame of fetch(source, run, signal)) {
        if (signal.aborted) return;
        const { length } = frame.data;
        this.#handle({ type: 'bytes', request, bytes: length });
        const verdict = frame.piece === piece ? incoming.add(frame.offset, frame.data) : 'wrong';
        if (verdict === 'wrong') return this.#handle({ type: 'wrong', request, piece });
        if (verdict === 'whole') {
          if (!(await this.#save(() => incoming.save()))) return;
          this.#handle({ type: 'piece', request, piece });
          this.#noteWhenDue();
          piece++;
          if (piece >= open.end) return;
          incoming = download.receive(piece);
        }
        await this.#pace(request, length, signal);
      }
      this.#handle({ type: 'ended', request, isFailure: false });
    } catch {
      if (!signal.aborted) this.#handle({ type: 'ended', request, isFailure: true });
    } finally {
      // Whatever it was that ended it: the source need not send on.
      aborting.abort();
      this.#open.delete(request);
    }
  }

  async #pace(request: number, bytes: number, signal: AbortSignal): Promise<void> {
    const { paceMs } = this.#parts;
    for (let ms = paceMs?.(bytes) ?? 0; ms > 0 && !signal.aborted; ms = paceMs?.(0) ?? 0) {
      // So that it is not taken for the source's silence.
      await wait(Math.min(ms, 1_000), undefined, { signal }).catch(() => {});
      this.#handle({ type: 'bytes', request, bytes: 0 });
    }
  }

  /** @returns whether the disk took it */
  async #save(act: () => Promise<void>): Promise<boolean> {
    try {
      await act();
      return true;
    } catch (error) {
      this.#hold(error);
      return false;
    }
  }

  #hold(error: unknown): void {
    if (this.#held !== undefined || this.#stopped.signal.aborted) return;
    this.#held = error instanceof Failure ? error : new Failure('PEER_DISK', String(error), { cause: error });
    this.#parts.onHeld?.(this.#held);
    this.#handle({ type: 'pause' });
    this.#run(
      this.#holdOn().then(() => {
        if (!this.#isPaused) this.#handle({ type: 'resume' });
      }),
    );
  }

  async #holdOn(): Promise<void> {
    await wait(this.#holdMs, undefined, { signal: this.#stopped.signal }).catch(() => {});
    this.#held = undefined;
    if (!this.#stopped.signal.aborted) this.#parts.onHeld?.(undefined);
  }

  /** Tried until the disk lets it. What is complete is not pulled again. */
  async #finish(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        const result = await this.#complete(this.#parts.download);
        this.#isOver = true;
        return this.#settled.resolve(result);
      } catch (error) {
        const failure = error instanceof Failure ? error : new Failure('PEER_DISK', String(error), { cause: error });
        if (!failure.code.startsWith('PEER_DISK')) {
          this.#isOver = true;
          await this.#parts.download.close();
          return this.#settled.reject(failure);
        }
        this.#held = failure;
        this.#parts.onHeld?.(failure);
        await this.#holdOn();
      }
    }
  }
}
