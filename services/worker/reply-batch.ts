import { encodeParts, type PartToSend } from '../lib/parts.ts';

interface Batch {
  readonly parts: PartToSend[];
  bytes: number;
  readonly sent: PromiseWithResolvers<void>;
}

/** Messages of about this size pass a broker at the best rate (docs/benchmarks.md); larger parts travel alone. */
const batchBytes = 64 * 1024;

/**
 * Gathers the parts that become ready in one turn of the event loop for the same proxy session into one message: the
 * busier a worker, the fewer messages a response costs; an idle one delays nothing.
 */
export class ReplyBatcher {
  readonly #worker: string;
  readonly #publish: (session: string, body: Uint8Array) => Promise<void>;
  #batches = new Map<string, Batch>();

  /** @param publish sends an encoded `Parts`, resolves when the broker has it */
  constructor(worker: string, publish: (session: string, body: Uint8Array) => Promise<void>) {
    this.#worker = worker;
    this.#publish = publish;
  }

  /** Resolves when the broker has the part. */
  add(session: string, part: PartToSend): Promise<void> {
    const size = sizeOf(part.body);
    let batch = this.#batches.get(session);
    if (batch && batch.bytes + size > batchBytes) {
      this.#send(session, batch);
      batch = undefined;
    }
    if (!batch) {
      if (this.#batches.size === 0) setImmediate(() => this.#flush());
      batch = { parts: [], bytes: 0, sent: Promise.withResolvers() };
      this.#batches.set(session, batch);
    }
    batch.parts.push(part);
    batch.bytes += size;
    return batch.sent.promise;
  }

  #flush(): void {
    const batches = this.#batches;
    this.#batches = new Map();
    for (const [session, batch] of batches) this.#send(session, batch);
  }

  #send(session: string, { parts, sent }: Batch): void {
    this.#publish(session, encodeParts(this.#worker, parts)).then(sent.resolve, sent.reject);
  }
}

function sizeOf(pieces: readonly Buffer[]): number {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  return size;
}
