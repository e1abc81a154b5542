import { topicMatches } from './topic.ts';

export type ExchangeType = 'direct' | 'fanout' | 'topic';

export interface ExchangeSettings {
  readonly name: string;
  readonly type: ExchangeType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
}

/** What an exchange sends to; the broker's queues. */
export interface Destination {
  readonly name: string;
}

/** Found routes are kept for so many keys; past it they are forgotten together. */
const routeMemory = 10_000;

/** Routes keys to queues by its bindings. */
export class Exchange<D extends Destination> {
  readonly settings: ExchangeSettings;
  /** Binding key → its queues. */
  readonly #bindings = new Map<string, Set<D>>();
  /** Routing key → queues; emptied at each change. */
  readonly #found = new Map<string, readonly D[]>();

  constructor(settings: ExchangeSettings) {
    this.settings = settings;
  }

  get isBound(): boolean {
    return this.#bindings.size > 0;
  }

  /** @returns whether it is new */
  bind(key: string, queue: D): boolean {
    const queues = this.#bindings.get(key) ?? new Set();
    if (queues.has(queue)) return false;
    queues.add(queue);
    this.#bindings.set(key, queues);
    this.#found.clear();
    return true;
  }

  /** @returns whether there was one */
  unbind(key: string, queue: D): boolean {
    const queues = this.#bindings.get(key);
    if (!queues?.delete(queue)) return false;
    if (queues.size === 0) this.#bindings.delete(key);
    this.#found.clear();
    return true;
  }

  /** Removes all bindings of a queue. @returns their keys */
  forget(queue: D): string[] {
    const keys: string[] = [];
    for (const key of [...this.#bindings.keys()]) if (this.unbind(key, queue)) keys.push(key);
    return keys;
  }

  bindings(): { key: string; queue: D }[] {
    return [...this.#bindings].flatMap(([key, queues]) => [...queues].map(queue => ({ key, queue })));
  }

  route(key: string): readonly D[] {
    const known = this.#found.get(key);
    if (known) return known;
    const queues = [...this.#match(key)];
    if (this.#found.size >= routeMemory) this.#found.clear();
    this.#found.set(key, queues);
    return queues;
  }

  #match(key: string): Set<D> {
    const { type } = this.settings;
    if (type === 'direct') return this.#bindings.get(key) ?? new Set();
    const matching = new Set<D>();
    for (const [pattern, queues] of this.#bindings) {
      if (type === 'fanout' || topicMatches(pattern, key)) for (const queue of queues) matching.add(queue);
    }
    return matching;
  }
}
