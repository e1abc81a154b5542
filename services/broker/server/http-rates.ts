import type { Broker } from '../core/broker.ts';

/** Messages since a queue was made, or a second of them. */
export interface Counts {
  readonly published: number;
  readonly delivered: number;
  readonly acked: number;
}

interface Sample {
  /** Milliseconds. */
  readonly at: number;
  readonly totals: Counts;
  readonly confirmed: number;
  readonly queues: ReadonlyMap<string, Counts>;
}

const kept = 6;
const still: Counts = { published: 0, delivered: 0, acked: 0 };

/** How fast messages come and go: the mean over the last samples, five seconds when they are a second apart. */
export class Rates {
  readonly #broker: Broker;
  readonly #samples: Sample[] = [];

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  sample(at: number): void {
    const { totals, confirmed } = this.#broker;
    const queues = new Map([...this.#broker.queues()].map(queue => [queue.name, countsOf(queue)]));
    this.#samples.push({ at, totals, confirmed, queues });
    if (this.#samples.length > kept) this.#samples.shift();
  }

  /** Per second, of all queues; or of one. */
  of(queue?: string): Counts {
    const span = this.#span();
    if (!span) return still;
    const { from, to, seconds } = span;
    const [before, after] =
      queue === undefined ? [from.totals, to.totals] : [from.queues.get(queue), to.queues.get(queue)];
    if (!before || !after) return still;
    // Less than before: a queue of the same name that was made anew.
    const rate = (what: keyof Counts): number => Math.max(0, after[what] - before[what]) / seconds;
    return { published: rate('published'), delivered: rate('delivered'), acked: rate('acked') };
  }

  get confirmed(): number {
    const span = this.#span();
    return span ? (span.to.confirmed - span.from.confirmed) / span.seconds : 0;
  }

  #span(): { from: Sample; to: Sample; seconds: number } | undefined {
    const from = this.#samples[0];
    const to = this.#samples.at(-1);
    if (!from || !to || to.at <= from.at) return undefined;
    return { from, to, seconds: (to.at - from.at) / 1_000 };
  }
}

export function countsOf(queue: { published: number; delivered: number; acked?: number }): Counts {
  return { published: queue.published, delivered: queue.delivered, acked: queue.acked ?? 0 };
}
