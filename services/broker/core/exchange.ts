import { TopicTrie } from './topic-trie.ts';

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
const routeMemory = 1_000;

/** Routes keys to queues by its bindings. */
export class Exchange<D extends Destination> {
  readonly settings: ExchangeSettings;
  /** Binding key → queue → its bindings by that key, which differ in their arguments. */
  readonly #bindings = new Map<string, Map<D, Set<string>>>();
  /** Queue → its binding keys. */
  readonly #keys = new Map<D, Set<string>>();
  /** The binding keys of a topic exchange. */
  readonly #patterns = new TopicTrie();
  /** Routing key → queues, as found before. */
  readonly #found = new Map<string, readonly D[]>();
  #count = 0;

  constructor(settings: ExchangeSettings) {
    this.settings = settings;
  }

  get isBound(): boolean {
    return this.#bindings.size > 0;
  }

  get bindingCount(): number {
    return this.#count;
  }

  /** @param args any text that tells these arguments from others @returns whether it is new */
  bind(key: string, queue: D, args = ''): boolean {
    if (this.settings.type === 'topic' && !this.#bindings.has(key)) this.#patterns.add(key);
    const queues = entryOf(this.#bindings, key, () => new Map<D, Set<string>>());
    const bound = entryOf(queues, queue, () => new Set<string>());
    if (bound.has(args)) return false;
    bound.add(args);
    this.#count++;
    entryOf(this.#keys, queue, () => new Set<string>()).add(key);
    this.#forgetRoutes(key);
    return true;
  }

  /** @returns whether there was one */
  unbind(key: string, queue: D, args = ''): boolean {
    const bound = this.#bindings.get(key)?.get(queue);
    if (!bound?.delete(args)) return false;
    this.#count--;
    if (bound.size === 0) this.#drop(key, queue);
    return true;
  }

  /** Removes all bindings of a queue. @returns whether there were any */
  forget(queue: D): boolean {
    const keys = this.#keys.get(queue);
    if (!keys) return false;
    for (const key of [...keys]) this.#drop(key, queue);
    return true;
  }

  #drop(key: string, queue: D): void {
    const queues = this.#bindings.get(key);
    this.#count -= queues?.get(queue)?.size ?? 0;
    queues?.delete(queue);
    if (queues?.size === 0) {
      this.#bindings.delete(key);
      if (this.settings.type === 'topic') this.#patterns.remove(key);
    }
    const keys = this.#keys.get(queue);
    keys?.delete(key);
    if (keys?.size === 0) this.#keys.delete(queue);
    this.#forgetRoutes(key);
  }

  #forgetRoutes(key: string): void {
    if (this.settings.type === 'direct') this.#found.delete(key);
    else this.#found.clear();
  }

  isBoundTo(queue: D): boolean {
    return this.#keys.has(queue);
  }

  queues(): IterableIterator<D> {
    return this.#keys.keys();
  }

  bindings(): { key: string; queue: D; args: string }[] {
    return [...this.#bindings].flatMap(([key, queues]) =>
      [...queues].flatMap(([queue, bound]) => [...bound].map(args => ({ key, queue, args }))),
    );
  }

  /** Each queue once, however many of its bindings fit. */
  route(routingKey: string): readonly D[] {
    const key = this.settings.type === 'fanout' ? '' : routingKey;
    const known = this.#found.get(key);
    if (known) return known;
    const queues = this.#match(key);
    // Keys that lead nowhere are found as fast again, and there is no end to them.
    if (queues.length === 0) return queues;
    if (this.#found.size >= routeMemory) this.#found.clear();
    this.#found.set(key, queues);
    return queues;
  }

  #match(key: string): readonly D[] {
    const { type } = this.settings;
    if (type === 'direct') return [...(this.#bindings.get(key)?.keys() ?? [])];
    if (type === 'fanout') return [...this.#keys.keys()];
    const matching = new Set<D>();
    for (const pattern of this.#patterns.match(key))
      for (const queue of this.#bindings.get(pattern)?.keys() ?? []) matching.add(queue);
    return [...matching];
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = create();
  map.set(key, created);
  return created;
}
