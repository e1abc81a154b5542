import type { ReplayListener } from './apply-record.ts';
import type { Contents, QueueContents } from './contents.ts';
import type { RecoveredMessage, StoredMessage } from './ledger.ts';
import { messageOf } from './record.ts';

/** Short messages share memory with their neighbours, who mostly leave together. */
const slabBytes = 64 * 1024;

/** Keeps the messages of ordinary queues while the log is replayed. */
export class RecoveredMessages implements ReplayListener {
  readonly #byQueue = new Map<QueueContents, Map<number, StoredMessage>>();
  /** Names come again and again; as many strings would cost more than short messages. */
  readonly #names = new Map<string, string>();
  #slab: Buffer = Buffer.alloc(0);
  #used = 0;

  message(queue: QueueContents, index: number, record: Buffer): void {
    let messages = this.#byQueue.get(queue);
    if (!messages) {
      messages = new Map();
      this.#byQueue.set(queue, messages);
    }
    const message = messageOf(this.#copy(record));
    messages.set(index, { ...message, exchange: this.#name(message.exchange), key: this.#name(message.key) });
  }

  settled(queue: QueueContents, index: number): void {
    this.#byQueue.get(queue)?.delete(index);
  }

  byQueue(contents: Contents): Map<string, RecoveredMessage[]> {
    const byName = new Map<string, RecoveredMessage[]>();
    for (const [name, queue] of contents.queues) {
      const messages = [...(this.#byQueue.get(queue) ?? [])]
        .map(([index, message]) => ({ index, message, deliveryCount: queue.deliveryCounts.get(index)?.count ?? 0 }))
        // Not the log's order: cleaning has copied older ones to its end.
        .sort((a, b) => a.index - b.index);
      if (messages.length > 0) byName.set(name, messages);
    }
    return byName;
  }

  /** The record is a part of a large piece of the file, which one message must not keep. */
  #copy(record: Buffer): Buffer {
    if (record.length > slabBytes / 4) return Buffer.from(record);
    if (this.#used + record.length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#used = 0;
    }
    const copy = this.#slab.subarray(this.#used, this.#used + record.length);
    copy.set(record);
    this.#used += record.length;
    return copy;
  }

  #name(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#names.size < 100_000) this.#names.set(name, name);
    return name;
  }
}
