import type { Disk, DiskFile } from '../../../services/broker/store/disk.ts';
import { Failure } from '../../../services/lib/failure.ts';

const sectorBytes = 512;

/** How the disk cheats, so that a test which should notice can be seen to. */
export interface Lies {
  readonly sync?: boolean;
  readonly syncDir?: boolean;
}

interface FileState {
  /** What reads see. */
  seen: Buffer;
  /** What a crash leaves for certain. */
  safe: Buffer;
  /** Since the last sync: from where on `seen` was changed, and the least length to which it was cut. */
  dirtyFrom: number;
  cutTo: number;
}

type EntryChange = { readonly name: string; readonly file: FileState | undefined };

interface Directory {
  readonly entries: Map<string, FileState>;
  readonly safeEntries: Map<string, FileState>;
  /** Since the last sync, in order. */
  readonly changes: readonly EntryChange[];
}

const emptyDirectory = (): Directory => ({ entries: new Map(), safeEntries: new Map(), changes: [] });

/**
 * A directory of a machine whose power fails. What was synced stays. Of the rest a crash keeps nothing, all, a prefix, or
 * any of the sectors (a missing one reads as what was there before, or as zeros; a new last one may be garbage), and of files made
 * and removed since the last `syncDir` any. Every operation takes a few turns of the event loop. After a failed sync, as on
 * Linux, what could not be written counts as clean: a second sync does not write it.
 */
export class SimulatedDisk implements Disk {
  readonly name = 'simulated';
  readonly #random: () => number;
  readonly #lies: Lies;
  readonly #entries: Map<string, FileState>;
  readonly #safeEntries: Map<string, FileState>;
  #entryChanges: readonly EntryChange[];
  #isDead = false;
  #failing: 'DISK_FULL' | 'DISK_ERROR' | undefined;

  constructor(random: () => number, lies: Lies = {}, directory: Directory = emptyDirectory()) {
    this.#random = random;
    this.#lies = lies;
    this.#entries = directory.entries;
    this.#safeEntries = directory.safeEntries;
    this.#entryChanges = directory.changes;
  }

  /** From now on, or until `undefined`, about half of all writes and syncs fail. */
  fail(code: 'DISK_FULL' | 'DISK_ERROR' | undefined): void {
    this.#failing = code;
  }

  /** The power fails: nothing of this disk answers any more. @returns the disk after the restart */
  crash(): SimulatedDisk {
    this.#isDead = true;
    const entries = new Map(this.#safeEntries);
    for (const change of this.#entryChanges) if (this.#chance(0.5)) apply(entries, change);
    for (const [name, file] of entries) {
      const left = this.#afterCrash(file);
      entries.set(name, cleanFile(left));
    }
    return new SimulatedDisk(this.#random, this.#lies, { entries, safeEntries: new Map(entries), changes: [] });
  }

  /** Only the process dies: what it had written is seen by the next one, and no safer than before. */
  kill(): SimulatedDisk {
    this.#isDead = true;
    return new SimulatedDisk(this.#random, this.#lies, {
      entries: new Map(this.#entries),
      safeEntries: new Map(this.#safeEntries),
      changes: this.#entryChanges,
    });
  }

  /** What is in a file; for tests that look, or change it. */
  content(name: string): Buffer {
    const file = this.#entries.get(name);
    if (!file) throw new Error(`no file ${name}`);
    return file.seen;
  }

  /** Bit rot, or somebody with an editor; for good. Makes the file if it is not there. */
  change(name: string, act: (content: Buffer) => Buffer): void {
    const file = this.#entries.get(name);
    const content = act(file?.seen ?? Buffer.alloc(0));
    if (file) Object.assign(file, cleanFile(content));
    else this.#change({ name, file: cleanFile(content) });
  }

  async list(): Promise<string[]> {
    await this.#pass();
    return [...this.#entries.keys()];
  }

  async open(name: string): Promise<DiskFile> {
    let file = this.#entries.get(name);
    if (!file) {
      await this.#mayFail();
      file = cleanFile(Buffer.alloc(0));
      this.#change({ name, file });
    }
    await this.#pass();
    return this.#handle(file);
  }

  async remove(name: string): Promise<void> {
    this.#change({ name, file: undefined });
    await this.#pass();
  }

  async syncDir(): Promise<void> {
    const changes = this.#entryChanges;
    await this.#mayFail();
    await this.#pass();
    if (this.#lies.syncDir) return;
    for (const change of changes) apply(this.#safeEntries, change);
    this.#entryChanges = this.#entryChanges.filter(change => !changes.includes(change));
  }

  #handle(file: FileState): DiskFile {
    const change = (from: number, seen: Buffer): void => {
      file.dirtyFrom = Math.min(file.dirtyFrom, from);
      file.seen = seen;
    };
    return {
      write: async (offset, buffers) => {
        await this.#turn();
        const whole = Buffer.concat(buffers);
        const fails = this.#isFailing();
        const written = fails ? whole.subarray(0, Math.floor(this.#random() * whole.length)) : whole;
        const end = Math.max(file.seen.length, offset + written.length);
        const seen = Buffer.alloc(end);
        file.seen.copy(seen);
        written.copy(seen, offset);
        change(offset, seen);
        await this.#pass();
        if (fails) throw this.#failure();
      },
      sync: async () => {
        await this.#pass();
        if (this.#isFailing()) {
          file.safe = this.#afterCrash(file);
          file.dirtyFrom = file.cutTo = Number.POSITIVE_INFINITY;
          throw this.#failure();
        }
        if (this.#lies.sync) return;
        file.safe = written(file);
        file.dirtyFrom = file.cutTo = Number.POSITIVE_INFINITY;
      },
      read: async (offset, length) => {
        await this.#pass();
        return Buffer.from(file.seen.subarray(offset, offset + length));
      },
      size: async () => {
        await this.#pass();
        return file.seen.length;
      },
      truncate: async length => {
        await this.#turn();
        if (length < file.seen.length) change(length, Buffer.from(file.seen.subarray(0, length)));
        file.cutTo = Math.min(file.cutTo, length);
        await this.#pass();
      },
      close: () => this.#pass(),
    };
  }

  #change(change: EntryChange): void {
    apply(this.#entries, change);
    this.#entryChanges = [...this.#entryChanges, change];
  }

  #afterCrash(file: FileState): Buffer {
    const { safe, dirtyFrom, cutTo } = file;
    if (dirtyFrom === Number.POSITIVE_INFINITY) return safe;
    const all = written(file);
    const kind = this.#random();
    if (kind < 0.15) return safe;
    if (kind < 0.3) return all;
    const least = Math.min(safe.length, cutTo);
    if (kind < 0.5) {
      const end = this.#between(Math.min(dirtyFrom, all.length), all.length);
      return Buffer.concat([all.subarray(0, end), safe.subarray(end, Math.max(end, least))]);
    }
    // Any of the sectors, and any length that the file may have had.
    const most = Math.max(safe.length, all.length);
    const length = this.#chance(0.5) ? most : this.#between(least, most);
    const left = Buffer.alloc(length);
    safe.copy(left);
    const first = Math.floor(dirtyFrom / sectorBytes);
    for (let sector = first; sector * sectorBytes < length; sector++) {
      const from = Math.max(dirtyFrom, sector * sectorBytes);
      const to = Math.min(length, (sector + 1) * sectorBytes);
      if (from < all.length && this.#chance(0.6)) all.copy(left, from, from, to);
      const isLast = (sector + 1) * sectorBytes >= length;
      const isGarbage = isLast && this.#chance(0.5);
      if (isGarbage)
        for (let at = Math.max(from, safe.length); at < to; at++) left[at] = Math.floor(this.#random() * 256);
    }
    return left;
  }

  #isFailing(): boolean {
    return this.#failing !== undefined && this.#chance(0.5);
  }

  async #mayFail(): Promise<void> {
    if (!this.#isFailing()) return;
    await this.#pass();
    throw this.#failure();
  }

  #failure(): Failure {
    return new Failure(this.#failing ?? 'DISK_ERROR', 'simulated');
  }

  /** Some time. Never ends once the power has failed. */
  async #pass(): Promise<void> {
    for (let turns = this.#between(0, 3); turns > 0; turns--) await this.#turn();
    if (this.#isDead) await new Promise(() => {});
  }

  async #turn(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve));
    if (this.#isDead) await new Promise(() => {});
  }

  #chance(p: number): boolean {
    return this.#random() < p;
  }

  /** Both included. */
  #between(low: number, high: number): number {
    return low + Math.floor(this.#random() * (high - low + 1));
  }
}

function cleanFile(content: Buffer): FileState {
  return { seen: content, safe: content, dirtyFrom: Number.POSITIVE_INFINITY, cutTo: Number.POSITIVE_INFINITY };
}

/** What a sync that works would leave: what was not dirty any more and yet never written is a hole. */
function written({ seen, safe, dirtyFrom }: FileState): Buffer {
  if (dirtyFrom === Number.POSITIVE_INFINITY) return safe;
  const content = Buffer.alloc(seen.length);
  safe.copy(content, 0, 0, Math.min(safe.length, dirtyFrom));
  seen.copy(content, dirtyFrom, dirtyFrom);
  return content;
}

function apply(entries: Map<string, FileState>, { name, file }: EntryChange): void {
  if (file) entries.set(name, file);
  else entries.delete(name);
}
