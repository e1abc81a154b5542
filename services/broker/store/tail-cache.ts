import { joined } from '../amqp/body.ts';
import type { MessageToStore, StreamEntry } from './ledger.ts';

/** A body this much smaller than the memory it is a part of is copied, or a few entries would hold on to many times their size. */
const wasteFactor = 4;

export interface EntryToKeep extends Omit<StreamEntry, 'message'> {
  readonly message: MessageToStore;
}

/** The newest entries of one stream, for the readers that keep up. */
export class TailCache {
  /** Ascending without gaps from `#first` on; the ones before it are dropped. */
  #entries: (StreamEntry | undefined)[] = [];
  #first = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Infinity while it is empty. */
  get firstOffset(): number {
    return this.#entries[this.#first]?.offset ?? Number.POSITIVE_INFINITY;
  }

  /** The one after the last. */
  push(entry: EntryToKeep, maxBytes: number): void {
    this.#entries.push(compact(entry));
    this.#bytes += sizeOf(entry);
    this.trim(maxBytes);
  }

  get(offset: number): StreamEntry | undefined {
    const at = offset - this.firstOffset;
    return at >= 0 ? this.#entries[this.#first + at] : undefined;
  }

  trim(maxBytes: number): void {
    while (this.#bytes > maxBytes) this.#shift();
  }

  dropBefore(offset: number): void {
    while (this.firstOffset < offset) this.#shift();
  }

  #shift(): void {
    const entry = this.#entries[this.#first];
    if (!entry) return;
    this.#bytes -= sizeOf(entry);
    this.#entries[this.#first] = undefined;
    this.#first++;
    if (this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}

function sizeOf({ message }: EntryToKeep): number {
  return message.body.length + message.properties.length + 200;
}

export function compact(entry: EntryToKeep): StreamEntry {
  const { properties } = entry.message;
  const body = joined(entry.message.body);
  if (body.buffer.byteLength <= wasteFactor * (body.length + properties.length))
    return { ...entry, message: { ...entry.message, body } };
  return { ...entry, message: { ...entry.message, properties: Buffer.from(properties), body: Buffer.from(body) } };
}
