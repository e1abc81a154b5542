import { AmqpError } from '../amqp/error.ts';
import type { Ledger } from '../store/ledger.ts';
import { storedKey } from './binding-key.ts';
import { Burials } from './burials.ts';
import type { Exchange } from './exchange.ts';
import { checkNotDefault, Exchanges } from './exchanges.ts';
import { limits } from './limits.ts';
import type { Entry, Message } from './message.ts';
import { type Clock, ledgerStream } from './ports.ts';
import { MessageQueue } from './queue.ts';
import type { DeadReason, KeptMessage, QueueHost } from './queue-host.ts';
import { checkOwner, type Queue, Queues, type Totals } from './queues.ts';
import { ReadAhead } from './read-ahead.ts';
import { type Kept, recover } from './recover.ts';
import { checkEquivalent, type Declared, newQueueSettings, type QueueSettings } from './settings.ts';
import { StreamQueue } from './stream.ts';

export type { Queue };

/** What became of a published message. */
export interface Published {
  readonly isRouted: boolean;
  /** Some queue is full and refuses. */
  readonly isRefused: boolean;
  /** It must be on disk before it is confirmed. */
  readonly isLogged: boolean;
}

export interface BrokerParts {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly warn: (line: string) => void;
}

export interface BindingEnds {
  readonly queue: string;
  readonly exchange: string;
  readonly key: string;
  /** Tells these arguments from others; '' for none. Without NUL. */
  readonly args: string;
}

/**
 * The one virtual host's exchanges and queues, and what clients may do with them; who may is `Rights`' business. Whoever has called it
 * calls `flush` at the end of the turn.
 */
export class Broker implements QueueHost {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #warn: (line: string) => void;
  readonly #exchanges: Exchanges<Queue>;
  readonly #queues = new Queues();
  readonly #burials: Burials<Queue>;
  readonly #readAhead = new ReadAhead();
  /** Streams with entries that are not on disk yet. */
  readonly #dirty = new Set<StreamQueue>();
  #heldBytes = 0;
  /** Publishes that their publishers were told of. */
  confirmed = 0;

  constructor({ ledger, clock, warn }: BrokerParts, kept?: Kept) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#warn = warn;
    this.#exchanges = new Exchanges(ledger);
    this.#burials = new Burials({
      now: () => Math.floor(this.now() / 1000),
      exchange: name => this.#exchanges.find(name),
      put: (queue, message) => void this.#put(queue, message),
      warn,
    });
    if (kept) recover(kept, this.#exchanges, (settings, messages) => this.#open(settings, undefined, messages));
  }

  // --- what a queue needs of its host

  now(): number {
    return this.#clock.now();
  }

  after(ms: number, act: () => void): () => void {
    return this.#clock.after(ms, () => {
      act();
      this.flush();
    });
  }

  held(bytes: number): void {
    this.#heldBytes += bytes;
  }

  /** Bytes of messages in memory, about. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  logged({ name }: MessageQueue, { index, message, expiresAt }: Entry): void {
    const { exchange, key, properties, body } = message;
    this.#ledger.putMessage(name, index, { exchange, key, properties, body, expiresAt });
  }

  settled({ name }: MessageQueue, { index }: Entry): void {
    this.#ledger.settle(name, index);
  }

  returned({ name }: MessageQueue, { index, returns }: Entry): void {
    this.#ledger.setDeliveryCount(name, index, returns);
  }

  expired(queue: MessageQueue): void {
    if (!queue.isDeleted) for (const consumer of this.#remove(queue).consumers) consumer.cancelled();
  }

  deadLetter(queue: MessageQueue, message: Message, reason: DeadReason, buried: () => void): void {
    if (queue.settings.deadLetterExchange === undefined) buried();
    else this.#burials.bury(queue.settings, message, reason, buried);
  }

  // --- exchanges

  /** @throws AmqpError 403, 406, 540 */
  declareExchange(
    name: string,
    type: string,
    flags: { readonly durable: boolean; readonly autoDelete: boolean; readonly internal: boolean },
  ): void {
    const { durable, autoDelete, internal } = flags;
    this.#exchanges.declare({ name, type, durable, autoDelete, internal });
  }

  /** @throws AmqpError 404 */
  exchange(name: string): Exchange<Queue> {
    return this.#exchanges.get(name);
  }

  findExchange(name: string): Exchange<Queue> | undefined {
    return this.#exchanges.find(name);
  }

  /** @throws AmqpError 403, 406 */
  deleteExchange(name: string, flags: { readonly ifUnused: boolean }): void {
    this.#exchanges.delete(name, flags);
  }

  exchanges(): IterableIterator<Exchange<Queue>> {
    return this.#exchanges.all();
  }

  // --- queues

  /** @throws AmqpError 405, 406, 540 */
  declareQueue(declared: Declared, owner: object): Queue {
    const { name, exclusive } = declared;
    const existing = this.#queues.find(name);
    if (existing) {
      checkOwner(existing, owner, exclusive);
      checkEquivalent(existing.settings, declared);
      if (existing instanceof MessageQueue) existing.touch();
      return existing;
    }
    this.#queues.checkRoom(name);
    const settings = newQueueSettings(declared);
    if (settings.durable) this.#ledger.putQueue({ ...settings });
    return this.#open(settings, exclusive ? owner : undefined);
  }

  #open(settings: QueueSettings, owner?: object, kept?: readonly KeptMessage[]): Queue {
    const queue =
      settings.type === 'stream' ? this.#openStream(settings) : new MessageQueue(settings, this, owner, kept);
    this.#queues.add(queue);
    this.#exchanges.default.bind(settings.name, queue);
    return queue;
  }

  #openStream(settings: QueueSettings): StreamQueue {
    return new StreamQueue(settings, {
      log: ledgerStream(this.#ledger, settings.name),
      now: () => this.now(),
      onBroken: reason => this.#warn(`stream ${settings.name} cannot be read: ${String(reason)}`),
      readAhead: this.#readAhead,
    });
  }

  /** @throws AmqpError 404, 405 */
  queue(name: string, owner: object): Queue {
    return this.#queues.get(name, owner);
  }

  findQueue(name: string): Queue | undefined {
    return this.#queues.find(name);
  }

  queues(): IterableIterator<Queue> {
    return this.#queues.all();
  }

  /**
   * One that is not there is as good as deleted.
   * @param answer is told how many messages went, before consumers are told that they are cancelled
   * @throws AmqpError 405, 406, 540
   */
  deleteQueue(
    name: string,
    owner: object,
    { ifUnused, ifEmpty }: { readonly ifUnused: boolean; readonly ifEmpty: boolean },
    answer: (messageCount: number) => void = () => {},
  ): void {
    const queue = this.#queues.find(name);
    if (!queue) return answer(0);
    checkOwner(queue, owner);
    if (queue.settings.type === 'quorum' && (ifUnused || ifEmpty)) throw noCondition(name, ifUnused);
    if (ifUnused && queue.consumerCount > 0) throw new AmqpError(406, `queue '${name}' in vhost '/' in use`);
    if (ifEmpty && queue.messageCount > 0) throw new AmqpError(406, `queue '${name}' in vhost '/' not empty`);
    const { messageCount, consumers } = this.#remove(queue);
    answer(messageCount);
    for (const consumer of consumers) consumer.cancelled();
  }

  #remove(queue: Queue): ReturnType<Queue['delete']> {
    this.#queues.remove(queue);
    this.#exchanges.forget(queue);
    const deleted = queue.delete();
    if (queue.settings.durable) this.#ledger.deleteQueue(queue.name);
    return deleted;
  }

  /** The connection has gone, and its exclusive queues with it. */
  connectionClosed(owner: object): void {
    for (const queue of this.#queues.ownedBy(owner)) this.expired(queue);
  }

  // --- bindings

  /** @throws AmqpError 403, 404, 405, 406 */
  bind({ queue: queueName, exchange: exchangeName, key, args }: BindingEnds, owner: object): void {
    checkNotDefault(exchangeName);
    const exchange = this.#exchanges.get(exchangeName);
    const queue = this.#queues.get(queueName, owner);
    if (exchange.bindingCount >= limits.bindings)
      throw new AmqpError(406, `cannot bind to exchange '${exchangeName}': limit of ${limits.bindings} is reached`);
    if (!this.#exchanges.bind(exchange, key, queue, args) || !isKept(exchange, queue)) return;
    this.#ledger.putBinding({ exchange: exchangeName, queue: queueName, key: storedKey(key, args) });
  }

  /** What is not bound, or not there, is as good as unbound. @throws AmqpError 403, 405 */
  unbind({ queue: queueName, exchange: exchangeName, key, args }: BindingEnds, owner: object): void {
    checkNotDefault(exchangeName);
    const exchange = this.#exchanges.find(exchangeName);
    const queue = this.#queues.find(queueName);
    if (!exchange || !queue) return;
    checkOwner(queue, owner);
    if (!this.#exchanges.unbind(exchange, key, queue, args)) return;
    if (isKept(exchange, queue))
      this.#ledger.deleteBinding({ exchange: exchangeName, queue: queueName, key: storedKey(key, args) });
    this.#exchanges.dropIfUnused(exchange);
  }

  // --- messages

  publish(exchange: Exchange<Queue>, message: Message): Published {
    const queues = exchange.route(message.key);
    let isRefused = false;
    let isLogged = false;
    for (const queue of queues) {
      const put = this.#put(queue, message);
      if (put === 'refused') isRefused = true;
      else if (put === 'logged') isLogged = true;
    }
    return { isRouted: queues.length > 0, isRefused, isLogged };
  }

  #put(queue: Queue, message: Message): 'refused' | 'logged' | 'held' {
    if (queue instanceof StreamQueue) {
      queue.publish(message);
      this.#dirty.add(queue);
      return 'logged';
    }
    const entry = queue.publish(message);
    if (!entry) return 'refused';
    return entry.isLogged ? 'logged' : 'held';
  }

  /** At the end of each turn: what was appended to streams is shown when it is on disk. */
  flush(): void {
    if (this.#dirty.size === 0) return;
    const appended = [...this.#dirty].map(stream => ({ stream, next: stream.nextOffset }));
    this.#dirty.clear();
    this.#ledger.sync(() => {
      for (const { stream, next } of appended) stream.commit(next);
    });
  }

  /** Once all that was said so far is on disk. */
  sync(callback: () => void): void {
    this.#ledger.sync(callback);
  }

  /** Of all queues that there are and were. */
  get totals(): Totals {
    return this.#queues.totals;
  }

  /** Hands out nothing any more. */
  halt(): void {
    for (const queue of this.#queues.all()) if (queue instanceof MessageQueue) queue.halt();
  }

  /** See `MessageQueue.keepHeld`. */
  keepHeld(): void {
    for (const queue of this.#queues.all()) if (queue instanceof MessageQueue) queue.keepHeld();
  }

  /** Ages streams whose entries grow old without new ones; to be called now and then. */
  retain(): void {
    for (const queue of this.#queues.all()) if (queue instanceof StreamQueue) queue.retain();
  }
}

function noCondition(queue: string, ifUnused: boolean): AmqpError {
  const flag = ifUnused ? 'if-unused' : 'if-empty';
  return new AmqpError(
    540,
    `cannot delete queue '${queue}' in vhost '/'. queue.delete operations with ${flag} flag set are not supported by quorum queues`,
  );
}

/** Whether their binding outlives the process. */
function isKept({ settings: exchange }: Exchange<Queue>, { settings: queue }: Queue): boolean {
  return exchange.durable && queue.durable;
}
