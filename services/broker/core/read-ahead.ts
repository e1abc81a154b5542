import type { StreamDelivery } from './stream.ts';

/** Bytes that all readers of streams together may keep while they have no credit; beyond it they read again. */
const mostIdle = 64 * 1024 * 1024;

/** What the readers of all streams have read and not yet delivered. */
export class ReadAhead {
  #bytes = 0;

  get isTooMuch(): boolean {
    return this.#bytes > mostIdle;
  }

  add(entries: readonly StreamDelivery[]): void {
    for (const entry of entries) this.#bytes += sizeOf(entry);
  }

  drop(entries: readonly StreamDelivery[]): void {
    for (const entry of entries) this.#bytes -= sizeOf(entry);
  }

  delivered(entry: StreamDelivery): void {
    this.#bytes -= sizeOf(entry);
  }
}

function sizeOf({ message: { properties, body } }: StreamDelivery): number {
  return properties.length + body.length;
}
