import type { ListingEntry } from './listing.ts';
import { type ContentId, pieceBytes } from './merkle.ts';
import { joinPath, type Platform, parseSharePath, type SharePath } from './share-path.ts';
import { mostSmallIds } from './small-contents.ts';
import type { SmallWanted } from './small-pull.ts';

/** A content of a download that is to be obtained. */
export interface Task {
  readonly id: ContentId;
  readonly path: SharePath;
  /** As the folder names it; undefined: it is what was asked for. */
  readonly entry: ListingEntry | undefined;
}

/** What a folder names. */
export interface NamedTask extends SmallWanted {
  readonly entry: ListingEntry;
}

/** What is in a folder. Every name is looked at before anything is done with one. @throws Failure PEER_PATH_… */
export function tasksIn(folder: SharePath, entries: readonly ListingEntry[], platform: Platform): NamedTask[] {
  return entries.map(entry => {
    const { id, kind } = entry;
    return { id, kind, path: parseSharePath(joinPath(folder, entry.name), platform), entry };
  });
}

/** So that another download has room at the same source. */
const batchesAtOnce = 3;
/** Of a batch, beside `mostSmallIds`. What a listing has is not known before. */
const batchBytes = 8 * 1024 * 1024;
const guessedListingBytes = 32 * 1024;

/** What of a download is still to be begun: one by one, and, of what is small, by the batch. */
export class DownloadTasks {
  readonly #single: Task[];
  readonly #small: NamedTask[] = [];
  /** It is here, or on its way. */
  readonly #isKnown: (id: ContentId) => boolean;
  #batches = 0;

  constructor(first: Task, isKnown: (id: ContentId) => boolean) {
    this.#single = [first];
    this.#isKnown = isKnown;
  }

  get isEmpty(): boolean {
    return this.#single.length === 0 && this.#small.length === 0;
  }

  /** The first of them is begun first. */
  add(tasks: readonly NamedTask[]): void {
    // One by one: a folder can have more of them than a call takes arguments.
    for (const task of tasks.toReversed())
      if (task.kind === 'folder' || task.entry.size <= pieceBytes) this.#small.push(task);
      else this.#single.push(task);
  }

  /** Several: a batch, which `ended` is to be told of. None: there is nothing to begin now. */
  next(): { readonly one: Task } | { readonly batch: readonly NamedTask[] } | undefined {
    // What a batch leaves to be done one by one comes next.
    for (;;) {
      const one = this.#single.pop();
      if (one !== undefined) return { one };
      if (this.#batches >= batchesAtOnce || this.#small.length === 0) return undefined;
      const batch = this.#takeBatch();
      if (batch.length > 0) {
        this.#batches++;
        return { batch };
      }
    }
  }

  /** Of what is neither known nor in it already. */
  #takeBatch(): NamedTask[] {
    const batch = new Map<ContentId, NamedTask>();
    let bytes = 0;
    while (batch.size < mostSmallIds && bytes < batchBytes) {
      const task = this.#small.pop();
      if (task === undefined) break;
      const { id, kind, entry } = task;
      if (batch.has(id) || this.#isKnown(id)) this.#single.push(task);
      else {
        batch.set(id, task);
        bytes += kind === 'file' ? entry.size : guessedListingBytes;
      }
    }
    return [...batch.values()];
  }

  /** A batch is over. @param left of it has not come @param isAgain it was called off, and may be tried as a batch again */
  ended(left: Iterable<NamedTask>, isAgain: boolean): void {
    this.#batches--;
    for (const task of left) (isAgain ? this.#small : this.#single).push(task);
  }
}
