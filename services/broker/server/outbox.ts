import type { Wire } from './wire.ts';

/** Unsent bytes above which nothing more is delivered until the socket has drained. */
const congestionBytes = 1024 * 1024;
/**
 * Unsent bytes above which a client is not even read: answers and messages that it asked for one by one got there, which no prefetch
 * bounds. Far above the other, or a client that waits to get rid of its acks before it reads on would wait for ever.
 */
const chokeBytes = 64 * 1024 * 1024;
/** Unsent bytes above which a client is given up: only replies past any queue, from others, can get there. */
const floodBytes = 128 * 1024 * 1024;

export type Pressure = 'none' | 'choked' | 'flooded';

/** Frames on their way to one client, sent together at the end of each turn. */
export class Outbox {
  readonly #wire: Wire;
  readonly #onDirty: () => void;
  #frames: Buffer[] = [];
  #bytes = 0;
  #wasCongested = false;

  /** @param onDirty there is something to flush */
  constructor(wire: Wire, onDirty: () => void) {
    this.#wire = wire;
    this.#onDirty = onDirty;
  }

  /** Where frames are put, in order; `count` says how much was. */
  get frames(): Buffer[] {
    if (this.#frames.length === 0) this.#onDirty();
    return this.#frames;
  }

  count(bytes: number): void {
    this.#bytes += bytes;
  }

  push(frame: Buffer): void {
    this.frames.push(frame);
    this.#bytes += frame.length;
  }

  get unsentBytes(): number {
    return this.#bytes + this.#wire.waitingBytes;
  }

  get isCongested(): boolean {
    const isCongested = this.unsentBytes > congestionBytes;
    if (isCongested) this.#wasCongested = true;
    return isCongested;
  }

  get pressure(): Pressure {
    const bytes = this.unsentBytes;
    if (bytes > floodBytes) return 'flooded';
    return bytes > chokeBytes ? 'choked' : 'none';
  }

  /** @returns whether anything was sent */
  flush(): boolean {
    if (this.#frames.length === 0) return false;
    const frames = this.#frames;
    this.#frames = [];
    this.#bytes = 0;
    this.#wire.write(frames);
    return true;
  }

  /** The socket has taken all. @returns whether deliveries were held back meanwhile */
  drained(): boolean {
    const wasCongested = this.#wasCongested;
    this.#wasCongested = false;
    return wasCongested;
  }

  clear(): void {
    this.#frames = [];
    this.#bytes = 0;
  }
}
