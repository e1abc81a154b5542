import { Failure } from '../lib/failure.ts';
import { randomId } from '../lib/random.ts';
import type { Bus, Consumer, Delivery, Outgoing, RequestOptions } from './bus.ts';
import { replyKey } from './own-keys.ts';

type Host = Pick<Bus, 'consume' | 'reason' | 'user'>;

interface Waiting {
  readonly from: string | undefined;
  resolve(answer: Delivery): void;
  reject(reason: Failure): void;
}

/** Request and reply over one exclusive queue, opened at the first request and opened anew on each session. */
export class Requests {
  readonly #bus: Host;
  readonly #waiting = new Map<string, Waiting>();
  #replyKey = '';
  #consumer: Promise<Consumer> | undefined;

  constructor(bus: Host) {
    this.#bus = bus;
  }

  /** @throws Failure BUS_DEADLINE, BUS_LOST, BUS_NO_RECEIVER (nobody consumes the key), BUS_ABANDONED (signal) */
  async request(
    message: Outgoing,
    { deadlineMs, signal, from }: RequestOptions,
    send: (message: Outgoing) => boolean,
  ): Promise<Delivery> {
    const correlationId = randomId();
    return await new Promise<Delivery>((resolve, reject) => {
      const fail = (code: string, text: string): void => settle(() => reject(new Failure(code, text)));
      const settle = (act: () => void): void => {
        if (!this.#waiting.delete(correlationId)) return;
        clearTimeout(timer);
        signal?.removeEventListener('abort', abandon);
        act();
      };
      const abandon = (): void => fail('BUS_ABANDONED', 'gave up before the answer came');
      const timer = setTimeout(
        () => fail('BUS_DEADLINE', `no answer from ${message.key} within ${deadlineMs} ms`),
        deadlineMs,
      );
      this.#waiting.set(correlationId, {
        from,
        resolve: answer => settle(() => resolve(answer)),
        reject: reason => settle(() => reject(reason)),
      });
      if (signal?.aborted) return abandon();
      signal?.addEventListener('abort', abandon);
      this.#open().then(
        () => {
          if (!this.#waiting.has(correlationId)) return;
          const sent = send({ ...message, correlationId, replyTo: this.#replyKey, expirationMs: deadlineMs });
          if (!sent) fail('BUS_LOST', `not sent: ${this.#bus.reason}`);
        },
        error => settle(() => reject(error)),
      );
    });
  }

  #open(): Promise<Consumer> {
    this.#consumer ??= this.#bus.consume(
      { name: '', exclusive: true, why: 'answers to this process; of no use without it' },
      answer => {
        const waiting = this.#waiting.get(answer.correlationId ?? '');
        // Somebody else's is no answer: the right one may still come.
        if (waiting && (waiting.from === undefined || waiting.from === answer.userId)) waiting.resolve(answer);
        return 'ack';
      },
      {
        noAck: true,
        bindings: queueName => [{ exchange: 'm', key: replyKey(this.#bus.user, queueName) }],
        onQueue: queueName => {
          this.#replyKey = replyKey(this.#bus.user, queueName);
        },
      },
    );
    // A first try that failed must not stick.
    this.#consumer.catch(() => {
      this.#consumer = undefined;
    });
    return this.#consumer;
  }

  /** The broker found no queue for it (`mandatory`). */
  returned(correlationId: string): void {
    this.#waiting.get(correlationId)?.reject(new Failure('BUS_NO_RECEIVER', 'nobody listens at that address'));
  }

  fail(reason: Failure): void {
    for (const waiting of [...this.#waiting.values()]) waiting.reject(reason);
  }

  async close(): Promise<void> {
    await (await this.#consumer?.catch(() => undefined))?.close();
  }
}
