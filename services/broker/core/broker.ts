import { encodeRoute } from '../amqp/content.ts';
import { AmqpError } from '../amqp/error.ts';
import type { Definition, Ledger, Recovered } from '../store/ledger.ts';
import { deadProperties, isCycle } from './dead-letter.ts';
import { Exchange, type ExchangeSettings, type ExchangeType } from './exchange.ts';
import type { Entry, Message } from './message.ts';
import type { Clock } from './ports.ts';
import { type DeadReason, MessageQueue, type QueueHost } from './queue.ts';
import { checkEquivalent, type Declared, type QueueSettings, queueSettings } from './settings.ts';
import { StreamQueue } from './stream.ts';

export type Queue = MessageQueue | StreamQueue;

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
  /** That many random characters of base64url. */
  readonly randomName: () => string;
  readonly warn: (line: string) => void;
}

/** The one virtual host's exchanges and queues, and what clients may do with them; who may is `Rights`' business. */
export class Broker implements QueueHost {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #randomName: () => string;
  readonly #warn: (line: string) => void;
  readonly #exchanges = new Map<string, Exchange<Queue>>();
  readonly #queues = new Map<string, Queue>();
  /** Streams with entries that are not on disk yet. */
  readonly #dirty = new Set<StreamQueue>();
  #heldBytes = 0;
  /** Dead letters of dead letters, handled one after the other. */
  #burials: (() => void)[] | undefined;

  constructor({ ledger, clock, randomName, warn }: BrokerParts, recovered?: Recovered) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#randomName = randomName;
    this.#warn = warn;
    this.#addExchange({ name: '', type: 'direct', durable: true, autoDelete: false, internal: false });
    for (const type of ['direct', 'fanout', 'topic'] as const) {
      this.#addExchange({ name: `amq.${type}`, type, durable: true, autoDelete: false, internal: false });
    }
    if (recovered) this.#recover(recovered);
  }

  #recover({ exchanges, queues, bindings, messages }: Recovered): void {
    for (const definition of exchanges) this.#addExchange(definition as unknown as ExchangeSettings);
    for (const definition of queues) {
      const settings = queueSettings(definition as unknown as Declared);
      const kept = (messages.get(settings.name) ?? []).map(({ index, deliveryCount, message }) => ({
        index,
        expiresAt: message.expiresAt,
        returns: deliveryCount,
        message: {
          ...message,
          route: encodeRoute(message.exchange, message.key),
          isPersistent: true,
          expirationMs: undefined,
        },
      }));
      this.#addQueue(
        settings,
        settings.type === 'stream' ? this.#openStream(settings) : new MessageQueue(settings, this, undefined, kept),
      );
    }
    for (const { exchange, queue, key } of bindings) {
      const to = this.#queues.get(queue);
      if (to) this.#exchanges.get(exchange)?.bind(key, to);
    }
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
    if (!queue.isDeleted) this.#removeQueue(queue);
  }

  deadLetter(queue: MessageQueue, { message }: Entry, reason: DeadReason): void {
    const { deadLetterExchange, deadLetterKey } = queue.settings;
    const exchange = deadLetterExchange === undefined ? undefined : this.#exchanges.get(deadLetterExchange);
    if (!exchange) return;
    const key = deadLetterKey ?? message.key;
    const bury = (): void => {
      const properties = deadProperties(message, queue.name, reason, Math.floor(this.now() / 1000));
      const name = exchange.settings.name;
      const dead: Message = {
        ...message,
        exchange: name,
        key,
        route: encodeRoute(name, key),
        properties,
        expirationMs: undefined,
      };
      for (const to of exchange.route(key)) {
        if (reason !== 'rejected' && isCycle(properties, to.name)) continue;
        this.#put(to, dead);
      }
    };
    if (this.#burials) {
      this.#burials.push(bury);
      return;
    }
    this.#burials = [bury];
    for (let next = this.#burials.shift(); next; next = this.#burials.shift()) next();
    this.#burials = undefined;
  }

  // --- exchanges

  /** @throws AmqpError 403, 406, 503, 540 */
  declareExchange(
    name: string,
    type: string,
    flags: { durable: boolean; autoDelete: boolean; internal: boolean },
  ): void {
    const existing = this.#exchanges.get(name);
    const isKnown = type === 'direct' || type === 'fanout' || type === 'topic';
    if (!isKnown) {
      if (type === 'headers') throw new AmqpError(540, `exchange type 'headers' is not supported (exchange '${name}')`);
      throw new AmqpError(503, `unknown exchange type '${type}'`);
    }
    if (existing) {
      const { settings } = existing;
      for (const [what, current, received] of [
        ['type', settings.type, type],
        ['durable', settings.durable, flags.durable],
        ['auto_delete', settings.autoDelete, flags.autoDelete],
        ['internal', settings.internal, flags.internal],
      ] as const) {
        if (current !== received) {
          throw new AmqpError(
            406,
            `inequivalent arg '${what}' for exchange '${name}' in vhost '/': received '${received}' but current is '${current}'`,
          );
        }
      }
      return;
    }
    if (name.startsWith('amq.')) throw new AmqpError(403, `exchange name '${name}' contains reserved prefix 'amq.*'`);
    this.#addExchange({ name, type, ...flags });
    if (flags.durable) this.#ledger.putExchange({ name, type, ...flags });
  }

  #addExchange(settings: ExchangeSettings): void {
    this.#exchanges.set(settings.name, new Exchange<Queue>(settings));
  }

  /** @throws AmqpError 404 */
  exchange(name: string): Exchange<Queue> {
    const found = this.#exchanges.get(name);
    if (!found) throw new AmqpError(404, `no exchange '${name}' in vhost '/'`);
    return found;
  }

  /** @throws AmqpError 403, 406 */
  deleteExchange(name: string, ifUnused: boolean): void {
    const exchange = this.#exchanges.get(name);
    if (!exchange) return;
    if (name === '' || name.startsWith('amq.'))
      throw new AmqpError(403, `exchange name '${name}' contains reserved prefix 'amq.*'`);
    if (ifUnused && exchange.isBound) throw new AmqpError(406, `exchange '${name}' in vhost '/' in use`);
    this.#exchanges.delete(name);
    if (exchange.settings.durable) this.#ledger.deleteExchange(name);
  }

  // --- queues

  /** @throws AmqpError 403, 405, 406, 540 */
  declareQueue(declared: Declared, owner: object): Queue {
    const name = declared.name === '' ? `amq.gen-${this.#randomName()}` : declared.name;
    const existing = this.#queues.get(name);
    if (existing) {
      this.#checkOwner(existing, owner, declared.exclusive);
      checkEquivalent(existing.settings, queueSettings({ ...declared, name }));
      this.#touch(existing);
      return existing;
    }
    if (declared.name.startsWith('amq.'))
      throw new AmqpError(403, `queue name '${name}' contains reserved prefix 'amq.*'`);
    const settings = queueSettings({ ...declared, name });
    // An exclusive queue goes with its connection, so nothing of it need outlive the process.
    const isKept = settings.durable && !settings.exclusive;
    if (isKept) this.#ledger.putQueue({ ...settings } as unknown as Definition);
    const queue =
      settings.type === 'stream'
        ? this.#openStream(settings)
        : new MessageQueue({ ...settings, durable: isKept }, this, settings.exclusive ? owner : undefined);
    this.#addQueue(settings, queue);
    return queue;
  }

  #openStream(settings: QueueSettings): StreamQueue {
    const { name } = settings;
    const ledger = this.#ledger;
    return new StreamQueue(
      settings,
      {
        state: () => ledger.streamState(name),
        append: (offset, timestampMs, message) => ledger.appendStream(name, offset, timestampMs, message),
        truncate: firstOffset => ledger.truncateStream(name, firstOffset),
        read: (fromOffset, limits) => ledger.readStream(name, fromOffset, limits),
        offsetSince: timestampMs => ledger.streamOffsetSince(name, timestampMs),
        offsetKeeping: maxBytes => ledger.streamOffsetKeeping(name, maxBytes),
      },
      () => this.now(),
      reason => this.#warn(`stream ${name} cannot be read: ${String(reason)}`),
    );
  }

  #addQueue({ name }: QueueSettings, queue: Queue): void {
    this.#queues.set(name, queue);
    this.#exchanges.get('')?.bind(name, queue);
  }

  /** @throws AmqpError 404, 405 */
  queue(name: string, owner: object): Queue {
    const queue = this.#queues.get(name);
    if (!queue) throw new AmqpError(404, `no queue '${name}' in vhost '/'`);
    this.#checkOwner(queue, owner);
    return queue;
  }

  #checkOwner(queue: Queue, owner: object, exclusive?: boolean): void {
    const owned = queue instanceof MessageQueue ? queue.owner : undefined;
    const isMismatch = exclusive !== undefined && exclusive !== (owned !== undefined);
    if ((owned !== undefined && owned !== owner) || isMismatch) {
      throw new AmqpError(
        405,
        `cannot obtain exclusive access to locked queue '${queue.name}' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`,
      );
    }
  }

  #touch(queue: Queue): void {
    if (queue instanceof MessageQueue) queue.touch();
  }

  /** @returns messages that went with it @throws AmqpError 405, 406 */
  deleteQueue(name: string, owner: object, { ifUnused, ifEmpty }: { ifUnused: boolean; ifEmpty: boolean }): number {
    if (!this.#queues.has(name)) return 0;
    const queue = this.queue(name, owner);
    if (ifUnused && queue.consumerCount > 0) throw new AmqpError(406, `queue '${name}' in vhost '/' in use`);
    if (ifEmpty && queue.messageCount > 0) throw new AmqpError(406, `queue '${name}' in vhost '/' is not empty`);
    return this.#removeQueue(queue);
  }

  #removeQueue(queue: Queue): number {
    this.#queues.delete(queue.name);
    for (const exchange of [...this.#exchanges.values()]) {
      if (exchange.forget(queue).length > 0) this.#dropIfUnused(exchange);
    }
    const count = queue.delete();
    if (queue.settings.durable && !queue.settings.exclusive) this.#ledger.deleteQueue(queue.name);
    return count;
  }

  /** The connection has gone, and its exclusive queues with it. */
  connectionClosed(owner: object): void {
    for (const queue of [...this.#queues.values()]) {
      if (queue instanceof MessageQueue && queue.owner === owner) this.#removeQueue(queue);
    }
  }

  // --- bindings

  /** @throws AmqpError 403, 404, 405 */
  bind(queueName: string, exchangeName: string, key: string, owner: object): void {
    const { exchange, queue } = this.#ends(queueName, exchangeName, owner);
    if (!exchange.bind(key, queue)) return;
    if (exchange.settings.durable && queue.settings.durable && !queue.settings.exclusive) {
      this.#ledger.putBinding({ exchange: exchangeName, queue: queueName, key });
    }
  }

  /** @throws AmqpError 403, 404, 405 */
  unbind(queueName: string, exchangeName: string, key: string, owner: object): void {
    const { exchange, queue } = this.#ends(queueName, exchangeName, owner);
    if (!exchange.unbind(key, queue)) return;
    if (exchange.settings.durable && queue.settings.durable)
      this.#ledger.deleteBinding({ exchange: exchangeName, queue: queueName, key });
    this.#dropIfUnused(exchange);
  }

  #ends(queueName: string, exchangeName: string, owner: object): { exchange: Exchange<Queue>; queue: Queue } {
    if (exchangeName === '') throw new AmqpError(403, 'operation not permitted on the default exchange');
    const queue = this.queue(queueName, owner);
    return { exchange: this.exchange(exchangeName), queue };
  }

  #dropIfUnused(exchange: Exchange<Queue>): void {
    if (!exchange.settings.autoDelete || exchange.isBound) return;
    this.#exchanges.delete(exchange.settings.name);
    if (exchange.settings.durable) this.#ledger.deleteExchange(exchange.settings.name);
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

  /** Ages streams whose entries grow old without new ones; to be called now and then. */
  retain(): void {
    for (const queue of this.#queues.values()) if (queue instanceof StreamQueue) queue.retain();
  }

  queues(): IterableIterator<Queue> {
    return this.#queues.values();
  }

  exchanges(): IterableIterator<Exchange<Queue>> {
    return this.#exchanges.values();
  }
}

export type { ExchangeType };
