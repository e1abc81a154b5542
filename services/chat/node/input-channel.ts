import type { Bus, Consumer, Delivery, Verdict } from '../../bus/bus.ts';
import { chatIn } from '../../bus/queues.ts';
import type { QueueKind } from '../../bus/topology.ts';

export interface InputChannelNeeds {
  readonly bus: Bus;
  readonly chat: string;
  readonly kind: QueueKind;
  readonly prefetch: number;
  readonly onDelivery: (channel: number, tag: number, delivery: Delivery) => void;
  /** This member has not the right. */
  readonly onRefused: () => void;
  /** It is closed: as it was told to, or by the broker, or because the connection went, or it could not be opened. Once for each. */
  readonly onClosed: (channel: number) => void;
}

/** The consuming of a chat's input, on one channel after the other: what is not acked on one goes back to the queue with its end. */
export class InputChannel {
  readonly #needs: InputChannelNeeds;
  #open:
    | {
        readonly channel: number;
        consumer: Consumer | undefined;
        readonly acks: Map<number, (verdict: Verdict) => void>;
      }
    | undefined;

  constructor(needs: InputChannelNeeds) {
    this.#needs = needs;
  }

  open(channel: number): void {
    const { bus, chat, kind, prefetch, onDelivery } = this.#needs;
    const { queue, bindings } = chatIn(chat, kind);
    const open = {
      channel,
      consumer: undefined as Consumer | undefined,
      acks: new Map<number, (verdict: Verdict) => void>(),
    };
    this.#open = open;
    let tag = 0;
    const take = (delivery: Delivery): Promise<Verdict> =>
      new Promise(resolve => {
        if (this.#open !== open) return;
        open.acks.set(++tag, resolve);
        onDelivery(channel, tag, delivery);
      });
    const ended = (): void => this.#ended(open);
    const options = { prefetch, bindings: () => bindings, ending: 'channel', onEnd: ended } as const;
    bus.consume(queue, take, options).then(
      consumer => {
        open.consumer = consumer;
        // Closed while it was being opened.
        if (this.#open !== open) void consumer.close().then(ended);
      },
      error => {
        if (isRefusal(error)) this.#needs.onRefused();
        ended();
      },
    );
  }

  ack(channel: number, tag: number): void {
    const { acks } = this.#open?.channel === channel ? this.#open : {};
    acks?.get(tag)?.('ack');
    acks?.delete(tag);
  }

  /** No ack, no cancel: what is held goes back. What has been acked counts. */
  close(channel: number): void {
    const open = this.#open;
    if (open?.channel !== channel) return;
    // An ack is on its way with the next turn of the loop.
    setImmediate(() => {
      // Ended by itself meanwhile, and told.
      if (this.#open !== open) return;
      this.#open = undefined;
      void open.consumer?.close().then(() => this.#needs.onClosed(channel));
    });
  }

  #ended(open: { readonly channel: number }): void {
    if (this.#open === open) this.#open = undefined;
    this.#needs.onClosed(open.channel);
  }
}

function isRefusal(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 403;
}
