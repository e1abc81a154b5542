import type { Entry, Logged } from '../../../services/chat/core/entry.ts';
import type { Content } from '../../../services/chat/core/server-events.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { EventQueue } from '../../chord/simulation/event-queue.ts';
import { Connection, type Peer } from './model-connection.ts';

export interface Weather {
  /** One way, milliseconds. */
  delay(): number;
  /** Whether a queue that lost its consumer hands out what comes next before it has what that one held (as RabbitMQ with a frozen one). */
  returnsLate(): boolean;
  /** Whether what comes back goes to where it was (classic queues); else in the order of return, before what was never delivered (quorum queues). */
  readonly keepsPlaces: boolean;
  /** How many entries a stream delivers once more after a reconnection. */
  repeats(): number;
  /** Whether the stream skips an offset before an entry. */
  skips(): boolean;
}

export interface Message {
  readonly id: number;
  readonly from: MemberId;
  readonly content: Content;
}

export interface Consumer {
  readonly connection: Connection;
  readonly channel: number;
  readonly prefetch: number;
  readonly unacked: Map<number, Message>;
  isCancelled: boolean;
  tags: number;
}

/**
 * The one input queue (durable, single active consumer, acks, redelivery when a channel closes), and the log (a stream with offsets and retention). Each way of a
 * connection is first in, first out. When one ends, what is on its way is lost from some point on; so are confirms.
 */
export class ModelBroker {
  readonly queue: EventQueue;
  readonly weather: Weather;
  readonly entries: Logged[] = [];
  readonly holes = new Set<number>();
  firstOffset = 0;
  isUp = true;
  /** Never delivered. */
  readonly #fresh: Message[] = [];
  readonly #returned: Message[] = [];
  readonly consumers: Consumer[] = [];
  readonly connections = new Set<Connection>();
  onAppend: (logged: Logged) => void = () => {};
  onAck: (message: Message, by: Connection) => void = () => {};
  onPublish: (message: Message) => void = () => {};
  readonly #segment: number;
  readonly #segments: number;
  #ids = 0;

  /** @param retention entries of a segment, and how many of them are kept; 0: all */
  constructor(queue: EventQueue, weather: Weather, retention: { segment: number; segments: number }) {
    this.queue = queue;
    this.weather = weather;
    this.#segment = retention.segment;
    this.#segments = retention.segments;
  }

  connect(peer: Peer): Connection | undefined {
    if (!this.isUp) return undefined;
    const connection = new Connection(this, peer);
    this.connections.add(connection);
    return connection;
  }

  append(from: MemberId, entry: Entry): void {
    // What the broker writes for itself: read by nobody, and void for who looks at it.
    if (this.weather.skips()) {
      this.holes.add(this.entries.length);
      const hole = { offset: this.entries.length, from: undefined, entry: undefined, size: 0, atMs: 0 };
      this.entries.push(hole);
      this.onAppend(hole);
    }
    const logged = { offset: this.entries.length, from, entry, size: 1, atMs: this.queue.now() };
    this.entries.push(logged);
    if (this.#segments > 0 && this.entries.length % this.#segment === 0) {
      const kept = this.entries.length - this.#segment * this.#segments;
      this.firstOffset = Math.max(this.firstOffset, kept);
    }
    this.onAppend(logged);
    for (const connection of this.connections) connection.push();
  }

  publish(from: MemberId, content: Content): void {
    const message = { id: this.#ids++, from, content };
    this.#fresh.push(message);
    this.onPublish(message);
    this.dispatch();
  }

  dispatch(): void {
    const active = this.consumers.find(({ isCancelled }) => !isCancelled);
    if (active === undefined) return;
    while (active.unacked.size < active.prefetch) {
      const message = this.#returned.shift() ?? this.#fresh.shift();
      if (message === undefined) return;
      const tag = ++active.tags;
      active.unacked.set(tag, message);
      active.connection.down(() => active.connection.peer.deliver(active.channel, tag, message.from, message.content));
    }
  }

  removeConsumer(consumer: Consumer, mayBeLate: boolean): void {
    const at = this.consumers.indexOf(consumer);
    if (at >= 0) this.consumers.splice(at, 1);
    const returned = [...consumer.unacked.values()];
    consumer.unacked.clear();
    if (returned.length === 0) return this.dispatch();
    if (mayBeLate && this.weather.returnsLate()) {
      this.limbo += returned.length;
      this.dispatch();
      this.queue.after(this.weather.delay(), () => {
        this.limbo -= returned.length;
        this.#goBack(returned);
        return false;
      });
      return;
    }
    this.#goBack(returned);
  }

  #goBack(messages: readonly Message[]): void {
    this.#returned.push(...messages);
    if (this.weather.keepsPlaces) this.#returned.sort((one, other) => one.id - other.id);
    this.dispatch();
  }

  /** Messages that were held by a consumer which is gone, and are not ready yet. */
  limbo = 0;

  /** Messages of the queue that are not acked. */
  get depth(): number {
    return this.consumers.reduce(
      (sum, { unacked }) => sum + unacked.size,
      this.#fresh.length + this.#returned.length + this.limbo,
    );
  }

  *messages(): Iterable<Message> {
    yield* this.#returned;
    yield* this.#fresh;
    for (const { unacked } of this.consumers) yield* unacked.values();
  }

  restart(): void {
    this.isUp = false;
    for (const connection of [...this.connections]) connection.end();
  }
}
