import type { QueueContents } from './contents.ts';
import { type EntryToKeep, TailCache } from './tail-cache.ts';

export interface TailCacheOptions {
  /** For each stream. */
  readonly streamCacheBytes: number;
  /** For all streams together: beyond it each has an equal share. */
  readonly cacheBytes: number;
}

export const tailCacheDefaults: TailCacheOptions = {
  streamCacheBytes: 4 * 1024 * 1024,
  cacheBytes: 64 * 1024 * 1024,
};

/** The newest entries of all streams, within a bound. */
export class TailCaches {
  readonly #options: TailCacheOptions;
  readonly #caches = new Map<QueueContents, TailCache>();

  constructor(options: TailCacheOptions) {
    this.#options = options;
  }

  get bytes(): number {
    let bytes = 0;
    for (const cache of this.#caches.values()) bytes += cache.bytes;
    return bytes;
  }

  of(queue: QueueContents): TailCache | undefined {
    return this.#caches.get(queue);
  }

  push(queue: QueueContents, entry: EntryToKeep): void {
    let cache = this.#caches.get(queue);
    if (!cache) {
      cache = new TailCache();
      this.#caches.set(queue, cache);
      for (const other of this.#caches.values()) other.trim(this.#share);
    }
    cache.push(entry, this.#share);
  }

  dropBefore(queue: QueueContents, offset: number): void {
    this.#caches.get(queue)?.dropBefore(offset);
  }

  delete(queue: QueueContents): void {
    this.#caches.delete(queue);
  }

  get #share(): number {
    return Math.min(this.#options.streamCacheBytes, this.#options.cacheBytes / this.#caches.size);
  }
}
