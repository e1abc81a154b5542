/**
 * Memory of one size, used again and again: new large buffers cost more in garbage collection than all else that is done with them. What is
 * never given back is collected like anything else.
 */
export class MemoryPool {
  readonly #bytes: number;
  readonly #kept: number;
  readonly #free: Buffer[] = [];
  /** Given to somebody; only these come back. */
  readonly #out = new WeakSet<ArrayBufferLike>();

  /** @param kept how many wait here at most */
  constructor(bytes: number, kept: number) {
    this.#bytes = bytes;
    this.#kept = kept;
  }

  /** @param bytes that are needed: of more than the pool's size it is new, and does not come back */
  take(bytes = this.#bytes): Buffer {
    if (bytes > this.#bytes) return Buffer.allocUnsafeSlow(bytes);
    const memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
    this.#out.add(memory.buffer);
    return memory;
  }

  /** Nobody reads it any more. @param view into what was taken; of anything else nothing is done */
  give({ buffer }: Uint8Array): void {
    if (this.#out.delete(buffer) && this.#free.length < this.#kept) this.#free.push(Buffer.from(buffer));
  }
}
