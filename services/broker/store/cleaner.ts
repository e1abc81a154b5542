import { Failure, messageOf } from '../../lib/failure.ts';
import { applyRecord, isLive } from './apply-record.ts';
import type { Contents } from './contents.ts';
import { frameBytes, type Position } from './frame.ts';
import type { Journal, ScanLimits } from './journal.ts';

export interface CleanerOptions {
  /** Cleaning begins when more than this, and more than what is alive, is garbage. */
  readonly garbageBytes: number;
  /** Looked at in one go, which bounds how long everybody else is held up. */
  readonly slice: ScanLimits;
  /** After a failure, before the next attempt. */
  readonly retryMs: number;
  readonly after: (ms: number, act: () => void) => void;
}

export const cleanerDefaults = {
  garbageBytes: 64 * 1024 * 1024,
  slice: { maxBytes: 512 * 1024, maxRecords: 2_000 },
};

/**
 * Bytes looked at for each byte that others append, sync by sync. More than 1 / (1 - live share) keeps up, and garbage is at
 * least half; so much copying at most goes along with everybody's sync.
 */
const pace = 4;

/** What it needs of the journal. */
export type CleanableLog = Pick<Journal, 'append' | 'appendedBytes' | 'whenSynced' | 'scan' | 'isWritten' | 'segments'>;

/**
 * Takes space back, as a log-structured file system does: what is still alive in the oldest segment is appended again, then
 * the segment is removed. Always the oldest: a record that undoes another (a settlement, a deletion) may only go when the
 * other has gone, and what it undoes is never younger.
 */
export class Cleaner {
  readonly #log: CleanableLog;
  readonly #contents: Contents;
  readonly #options: CleanerOptions;
  #copiedBytes = 0;
  #running: Promise<void> | undefined;
  #isStopped = false;
  #hasFailed = false;
  #stop: () => void = () => {};

  /** STORE_DAMAGED: a record went bad; it stops for good, and the segment stays. CLEANING_FAILED: told once, tried again. */
  onError: (failure: Failure) => void = () => {};

  constructor(log: CleanableLog, contents: Contents, options: CleanerOptions) {
    this.#log = log;
    this.#contents = contents;
    this.#options = options;
  }

  /** To be called when garbage may have grown. */
  check(): void {
    if (this.#running || !this.#isDue()) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when it touches no file any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stop();
    await this.#running;
  }

  #isDue(): boolean {
    const { segments } = this.#log;
    const liveBytes = this.#contents.usage.bytes;
    const garbage = segments.bytes - liveBytes;
    if (this.#isStopped || garbage <= Math.max(this.#options.garbageBytes, liveBytes)) return false;
    return segments.count > 1 && segments.oldest !== undefined && this.#log.isWritten(segments.oldest.number);
  }

  async #run(): Promise<void> {
    try {
      while (this.#isDue()) {
        const oldest = this.#log.segments.oldest;
        if (!oldest || !(await this.#empty(oldest.number))) return;
        await this.#log.segments.remove(oldest.number);
        this.#hasFailed = false;
      }
    } catch (error) {
      if (!this.#isStopped) await this.#failed(error);
    }
  }

  async #failed(error: unknown): Promise<void> {
    if (error instanceof Failure && error.code === 'STORE_DAMAGED') {
      this.#isStopped = true;
      return this.onError(error);
    }
    if (!this.#hasFailed) {
      this.onError(new Failure('CLEANING_FAILED', `cannot clean the store: ${messageOf(error)}`, { cause: error }));
    }
    this.#hasFailed = true;
    await this.#orStopped(resolve => this.#options.after(this.#options.retryMs, resolve));
  }

  /** @returns false when stopped meanwhile */
  async #empty(segment: number): Promise<boolean> {
    const { usage } = this.#contents;
    let budget = 0;
    for (let from: number | undefined = 0; from !== undefined && usage.of(segment) > 0; ) {
      if (budget <= 0) {
        const before = this.#saidByOthers;
        if (!(await this.#synced())) return false;
        budget = Math.max(this.#options.slice.maxBytes, pace * (this.#saidByOthers - before));
      }
      from = await this.#log.scan(segment, from, this.#options.slice, (record, position) =>
        this.#keep(record, position),
      );
      budget -= this.#options.slice.maxBytes;
      if (this.#isStopped) return false;
    }
    if (usage.of(segment) > 0)
      throw new Error(`segment ${segment} was copied, and ${usage.of(segment)} bytes still count`);
    // Not only the copies: also what made the rest garbage.
    return await this.#synced();
  }

  get #saidByOthers(): number {
    return this.#log.appendedBytes - this.#copiedBytes;
  }

  #keep(record: Buffer, position: Position): void {
    if (this.#isStopped || !isLive(this.#contents, record, position)) return;
    const copy = { position: this.#log.append([record]), bytes: frameBytes + record.length };
    this.#copiedBytes += copy.bytes;
    applyRecord(this.#contents, record, copy);
  }

  #synced(): Promise<boolean> {
    return this.#orStopped(resolve => this.#log.whenSynced(resolve));
  }

  /** @returns false when stopped before it came */
  #orStopped(begin: (resolve: () => void) => void): Promise<boolean> {
    return new Promise(resolve => {
      this.#stop = () => resolve(false);
      if (this.#isStopped) resolve(false);
      else begin(() => resolve(true));
    });
  }
}
