import { Failure } from '../../lib/failure.ts';
import type { Disk, DiskFile } from './disk.ts';
import { segmentName } from './segment-name.ts';

const maxOpen = 32;

/** Says what is wrong and where; adds what to do. */
export function damaged(what: string): Failure {
  return new Failure('STORE_DAMAGED', `${what}; restore a copy of the directory, or move it away to start empty`);
}

export interface Segment {
  readonly number: number;
  readonly salt: number;
  /** The end of its last whole record, which may still wait to be written. */
  end: number;
  /** Whether its file is there, header and all. */
  isOnDisk: boolean;
}

/** The files of a log, oldest first: which there are, open handles, and who is reading. */
export class Segments {
  readonly #disk: Disk;
  /** In ascending order of number, without gaps. */
  readonly #all = new Map<number, Segment>();
  /** Least recently used first. */
  readonly #files = new Map<number, Promise<DiskFile>>();
  readonly #readers = new Map<number, number>();
  readonly #idle = new Map<number, () => void>();
  #newest: Segment | undefined;
  #bytes = 0;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  get count(): number {
    return this.#all.size;
  }

  /** Of all segments, what still waits to be written included. */
  get bytes(): number {
    return this.#bytes;
  }

  get oldest(): Segment | undefined {
    return this.#all.values().next().value;
  }

  get newest(): Segment | undefined {
    return this.#newest;
  }

  path(segment: number): string {
    return `${this.#disk.name}/${segmentName(segment)}`;
  }

  get(number: number): Segment {
    const segment = this.#all.get(number);
    if (!segment) throw new Error(`no segment ${number}`);
    return segment;
  }

  add(segment: Segment): void {
    this.#all.set(segment.number, segment);
    this.#newest = segment;
    this.#bytes += segment.end;
  }

  grow(segment: Segment, end: number): void {
    this.#bytes += end - segment.end;
    segment.end = end;
  }

  /** The handle, shared: `remove` and `close` close it. */
  async open(number: number): Promise<DiskFile> {
    let file = this.#files.get(number);
    this.#files.delete(number);
    file ??= this.#disk.open(segmentName(number));
    this.#files.set(number, file);
    file.catch(() => {
      if (this.#files.get(number) === file) this.#files.delete(number);
    });
    for (const old of this.#files.keys()) {
      if (this.#files.size <= maxOpen) break;
      if (!this.#readers.has(old)) await this.#closeFile(old);
    }
    return file;
  }

  /** Keeps the segment until `use` has settled. */
  async using<T>(number: number, use: (file: DiskFile) => Promise<T>): Promise<T> {
    this.#readers.set(number, (this.#readers.get(number) ?? 0) + 1);
    try {
      return await use(await this.open(number));
    } finally {
      const left = (this.#readers.get(number) ?? 1) - 1;
      if (left > 0) this.#readers.set(number, left);
      else {
        this.#readers.delete(number);
        this.#idle.get(number)?.();
      }
    }
  }

  /**
   * Resolves when the file is gone for good: only then may the next one be removed, or a crash could bring back a message
   * without the record that settled it.
   */
  async remove(number: number): Promise<void> {
    if (this.#readers.has(number)) await new Promise<void>(resolve => this.#idle.set(number, resolve));
    this.#idle.delete(number);
    await this.#closeFile(number);
    await this.#disk.remove(segmentName(number));
    await this.#disk.syncDir();
    this.#bytes -= this.get(number).end;
    this.#all.delete(number);
  }

  /** Closes the file of a segment that is none (yet). */
  async forget(number: number): Promise<void> {
    await this.#closeFile(number);
  }

  async close(): Promise<void> {
    for (const number of [...this.#files.keys()]) await this.#closeFile(number);
  }

  damaged(segment: number, offset: number, what: string): Failure {
    return damaged(`${this.path(segment)} is damaged at byte ${offset}: ${what}`);
  }

  async #closeFile(number: number): Promise<void> {
    const file = this.#files.get(number);
    this.#files.delete(number);
    if (file) await (await file.catch(() => undefined))?.close();
  }
}
