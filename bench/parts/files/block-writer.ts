import type { FileHandle } from 'node:fs/promises';

/** Gathered into one write: a write per frame costs a turn of the thread pool each. */
const blockBytes = 2 ** 20;
/** Not yet written at most, before the sender is asked to wait. */
const mostHeld = 8 * 2 ** 20;

/** Writes frames that follow each other into a file, from a place in it. */
export class BlockWriter {
  readonly #handle: FileHandle;
  readonly #flow: { pause(): void; resume(): void };
  #frames: Buffer[] = [];
  #gathered = 0;
  #held = 0;
  #paused = false;
  #failure: unknown;
  readonly #writes = new Set<Promise<void>>();
  /** Where the next frame goes. */
  end: number;

  constructor(handle: FileHandle, from: number, flow: { pause(): void; resume(): void }) {
    this.#handle = handle;
    this.end = from;
    this.#flow = flow;
  }

  take(frame: Buffer): void {
    this.#frames.push(frame);
    this.#gathered += frame.length;
    this.#held += frame.length;
    this.end += frame.length;
    if (this.#gathered >= blockBytes) this.#write();
    if (this.#held < mostHeld || this.#paused) return;
    this.#paused = true;
    this.#flow.pause();
  }

  /** All that was taken is in the file. */
  async flush(): Promise<void> {
    if (this.#gathered > 0) this.#write();
    await Promise.all(this.#writes);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #write(): void {
    const [frames, bytes] = [this.#frames, this.#gathered];
    this.#frames = [];
    this.#gathered = 0;
    const writing = this.#handle
      .writev(frames, this.end - bytes)
      .then(({ bytesWritten }) => {
        if (bytesWritten !== bytes) this.#failure ??= new Error(`${bytesWritten} of ${bytes} bytes were written`);
      })
      .catch(error => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#writes.delete(writing);
        this.#held -= bytes;
        if (!this.#paused || this.#held > mostHeld / 2) return;
        this.#paused = false;
        this.#flow.resume();
      });
    this.#writes.add(writing);
  }
}
