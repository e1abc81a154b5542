import type { Bus, BusState, Delivery, Outgoing } from '../../services/bus/bus.ts';
import { Failure } from '../../services/lib/failure.ts';

type Handler = Parameters<Bus['consume']>[1];

/** One stream in memory, for many buses: whoever consumes reads it from the start. */
export class FakeStream {
  readonly #log: Delivery[] = [];
  readonly #handlers = new Set<Handler>();

  append(message: Pick<Outgoing, 'type' | 'key' | 'body' | 'messageId'>): void {
    const delivery: Delivery = {
      type: message.type,
      key: message.key,
      body: Buffer.from(message.body),
      messageId: message.messageId ?? '',
      correlationId: undefined,
      replyTo: undefined,
      userId: 'guest',
      redelivered: false,
      traceparent: undefined,
      offset: BigInt(this.#log.length),
    };
    this.#log.push(delivery);
    for (const handler of this.#handlers) void handler(delivery);
  }

  tail(handler: Handler): () => void {
    for (const delivery of this.#log) void handler(delivery);
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }
}

/** A bus whose broker the test switches on and off, and makes withhold confirms. */
export class FakeBus implements Bus {
  readonly user = 'guest';
  readonly reason = 'because the test says so';
  confirms = true;
  /** Consumers not closed. */
  consumers = 0;
  #state: BusState;
  readonly #stream: FakeStream;
  readonly #listeners = new Set<(state: BusState, reason: string) => void>();

  constructor(stream: FakeStream, state: BusState = 'up') {
    this.#stream = stream;
    this.#state = state;
  }

  get state(): BusState {
    return this.#state;
  }

  /** Listeners not taken back. */
  get listeners(): number {
    return this.#listeners.size;
  }

  enter(state: BusState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state, this.reason);
  }

  onState(listener: (state: BusState, reason: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async ready(signal?: AbortSignal): Promise<void> {
    while (this.#state === 'connecting') {
      await new Promise<void>(resolve => {
        const done = () => {
          off();
          resolve();
        };
        const off = this.onState(done);
        signal?.addEventListener('abort', done, { once: true });
        if (signal?.aborted) done();
      });
      if (signal?.aborted) break;
    }
    if (this.#state === 'connecting' || this.#state === 'closed') throw new Failure('BUS_LOST', this.reason);
  }

  send(): boolean {
    throw new Error('the demo does not send');
  }

  async publish(message: Outgoing, signal?: AbortSignal): Promise<void> {
    if (!this.confirms) {
      await new Promise(resolve => signal?.addEventListener('abort', resolve, { once: true }));
      throw new Failure('BUS_ABANDONED', 'gave up before the broker confirmed');
    }
    this.#stream.append(message);
  }

  async consume(_queue: unknown, handler: Handler): ReturnType<Bus['consume']> {
    await this.ready();
    const stop = this.#stream.tail(handler);
    this.consumers++;
    return {
      close: async () => {
        stop();
        this.consumers--;
      },
    };
  }

  request(): never {
    throw new Error('the demo does not request');
  }

  depth(): never {
    throw new Error('the demo asks for no depth');
  }

  async close(): Promise<void> {
    this.enter('closed');
  }
}
