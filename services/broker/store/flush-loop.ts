import { Failure, messageOf } from '../../lib/failure.ts';
import type { Batch } from './batch.ts';

export interface FlushOptions {
  /** How long to wait after a failed write before the next attempt. */
  readonly retryMs: number;
  readonly after: (ms: number, act: () => void) => void;
}

/**
 * Group commit: one flush after the other, each with its sync; what is said while one runs goes out together with the next.
 *
 * Modes. *Idle*: no batch. *Flushing*: from the first batch on, one turn of the event loop later, so that what comes in the
 * same turn shares the sync. *Failing*: a flush failed; told once, nobody is called back, and the same batch is written again
 * every `retryMs`, from its beginning: after a failed fsync the system may have dropped what it could not write, so that a
 * second fsync alone proves nothing. *Flushing* again when that works.
 */
export class FlushLoop {
  readonly #write: (batch: Batch) => Promise<void>;
  readonly #options: FlushOptions;
  /** In order; the first may be on its way to the disk. */
  readonly #batches: Batch[] = [];
  #gathering: Batch | undefined;
  #isRunning = false;
  #failure: Failure | undefined;
  #endWait: (() => void) | undefined;
  #draining: PromiseWithResolvers<void> | undefined;
  syncs = 0;
  lastSyncMs = 0;

  onError: (failure: Failure) => void = () => {};
  onResume: () => void = () => {};
  onSynced: () => void = () => {};

  constructor(write: (batch: Batch) => Promise<void>, options: FlushOptions) {
    this.#write = write;
    this.#options = options;
  }

  /** The batch that more may be added to. */
  get gathering(): Batch | undefined {
    return this.#gathering;
  }

  /** What is not on disk for certain. */
  get batches(): readonly Batch[] {
    return this.#batches;
  }

  get unsyncedBytes(): number {
    return this.#batches.reduce((bytes, batch) => bytes + batch.bytes, 0);
  }

  /** From now on this one gathers. */
  add(batch: Batch): void {
    this.#batches.push(batch);
    this.#gathering = batch;
    if (this.#isRunning) return;
    this.#isRunning = true;
    setImmediate(() => void this.#run());
  }

  whenSynced(callback: () => void): void {
    const last = this.#batches.at(-1);
    if (last) last.waiters.push(callback);
    else queueMicrotask(callback);
  }

  /** Resolves when nothing is left; after a failure it tries once more. @throws Failure DISK_FULL, DISK_ERROR */
  async drain(): Promise<void> {
    if (this.#batches.length === 0) return;
    this.#draining ??= Promise.withResolvers<void>();
    this.#endWait?.();
    await this.#draining.promise;
  }

  async #run(): Promise<void> {
    for (let batch = this.#batches[0]; batch; batch = this.#batches[0]) {
      if (batch === this.#gathering) this.#gathering = undefined;
      const startedAt = performance.now();
      const isLastTry = this.#draining !== undefined;
      try {
        await this.#write(batch);
      } catch (error) {
        const failure =
          error instanceof Failure ? error : new Failure('DISK_ERROR', messageOf(error), { cause: error });
        if (isLastTry) return this.#draining?.reject(failure);
        await this.#failed(failure);
        continue;
      }
      this.syncs++;
      this.lastSyncMs = performance.now() - startedAt;
      this.#batches.shift();
      if (this.#failure) {
        this.#failure = undefined;
        this.onResume();
      }
      for (const callback of batch.waiters) call(callback);
      batch.release();
      this.onSynced();
    }
    this.#isRunning = false;
    this.#draining?.resolve();
    this.#draining = undefined;
  }

  async #failed(failure: Failure): Promise<void> {
    if (this.#failure?.code !== failure.code) {
      this.#failure = failure;
      this.onError(failure);
    }
    if (this.#draining) return;
    await new Promise<void>(resolve => {
      this.#endWait = resolve;
      this.#options.after(this.#options.retryMs, resolve);
    });
    this.#endWait = undefined;
  }
}

/** What a callback throws is its own trouble, as in any event handler; the others must still hear. */
function call(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
