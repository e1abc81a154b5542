import type { Entry, Logged } from '../../../services/chat/core/entry.ts';
import type { Content } from '../../../services/chat/core/server-events.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { Consumer, ModelBroker } from './model-broker.ts';

/** As the broker sees one process. What it gets comes in order, after a delay of the connection's own. */
export interface Peer {
  readonly member: MemberId;
  deliver(channel: number, tag: number, from: MemberId, content: Content): void;
  channelClosed(channel: number): void;
  entry(logged: Logged): void;
  confirmed(publish: number): void;
  lost(): void;
}

export class Connection {
  readonly peer: Peer;
  readonly #broker: ModelBroker;
  /** As the broker sees it. */
  isOpen = true;
  /** Nothing passes, either way, until it heals or ends. */
  isCut = false;
  readonly #up: Way;
  readonly #down: Way;
  #next: number | undefined;
  #last: number | undefined;
  #publishes = 0;
  #isDropped = false;
  /** What is on its way up when it ends is lost from here on. */
  #lossAt: number | undefined;

  constructor(broker: ModelBroker, peer: Peer) {
    this.#broker = broker;
    this.peer = peer;
    this.#up = new Way(broker, () => {
      const isLost = this.#lossAt !== undefined && broker.queue.now() >= this.#lossAt;
      if (!this.isOpen || isLost) return 'never';
      return this.isCut ? 'later' : 'now';
    });
    this.#down = new Way(broker, () => {
      if (!this.isOpen) return 'never';
      return this.isCut ? 'later' : 'now';
    });
  }

  // --- from the process; each may be lost with the connection

  publish(content: Content): number {
    const id = ++this.#publishes;
    this.#up.send(() => {
      this.#broker.publish(this.peer.member, content);
      this.down(() => this.peer.confirmed(id));
    });
    return id;
  }

  append(entry: Entry): number {
    const id = ++this.#publishes;
    this.#up.send(() => {
      this.#broker.append(this.peer.member, entry);
      this.down(() => this.peer.confirmed(id));
    });
    return id;
  }

  consume(channel: number, prefetch: number): void {
    this.#up.send(() => {
      const consumer = { connection: this, channel, prefetch, unacked: new Map(), isCancelled: false, tags: 0 };
      this.#broker.consumers.push(consumer);
      this.#broker.dispatch();
    });
  }

  closeChannel(channel: number): void {
    this.#up.send(() => {
      const consumer = this.#consumer(channel);
      if (consumer !== undefined) this.#broker.removeConsumer(consumer, false);
      this.down(() => this.peer.channelClosed(channel));
    });
  }

  /** `basic.cancel`: what is delivered stays with the channel, which stays open. */
  cancel(channel: number): void {
    this.#up.send(() => {
      const consumer = this.#consumer(channel);
      if (consumer !== undefined) consumer.isCancelled = true;
      this.#broker.dispatch();
      this.down(() => this.peer.channelClosed(channel));
    });
  }

  ack(channel: number, tag: number): void {
    this.#up.send(() => {
      const consumer = this.#consumer(channel);
      const message = consumer?.unacked.get(tag);
      if (consumer === undefined || message === undefined) return;
      consumer.unacked.delete(tag);
      this.#broker.onAck(message, this);
      this.#broker.dispatch();
    });
  }

  /** @param next offset; or the first that is there */
  read(next: number): void {
    this.#up.send(() => {
      this.#next = Math.max(next - this.#broker.weather.repeats(), this.#broker.firstOffset);
      this.#last = undefined;
      this.push();
    });
  }

  // --- at the broker

  push(): void {
    const { entries, firstOffset, holes } = this.#broker;
    if (this.#next === undefined) return;
    this.#next = Math.max(this.#next, firstOffset);
    while (this.#next < entries.length) {
      const logged = { ...(entries[this.#next++] as Logged), after: this.#last };
      if (holes.has(logged.offset)) continue;
      this.#last = logged.offset;
      this.down(() => this.peer.entry(logged));
    }
  }

  down(act: () => void): void {
    this.#down.send(act);
  }

  heal(): void {
    if (!this.isCut) return;
    this.isCut = false;
    this.#up.flush();
    this.#down.flush();
    if (this.#isDropped) this.end(false);
    else if (!this.isOpen) this.peer.lost();
  }

  /** The broker takes it for dead, or it is: what it held goes back. The process hears of it unless nothing passes. */
  end(isHeard = true): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#broker.connections.delete(this);
    for (const consumer of this.#broker.consumers.filter(({ connection }) => connection === this))
      this.#broker.removeConsumer(consumer, this.#broker.isUp);
    if (isHeard && !this.isCut) this.peer.lost();
  }

  /** The process has closed it: the broker learns of it when something passes. */
  drop(): void {
    this.#isDropped = true;
    if (this.isCut) return;
    this.#broker.queue.after(this.#broker.weather.delay(), () => {
      this.end(false);
      return false;
    });
  }

  /** The process is gone: some of what it sent last still arrives. */
  abandon(lossAfterMs: number): void {
    this.#lossAt = this.#broker.queue.now() + lossAfterMs;
  }

  #consumer(channel: number): Consumer | undefined {
    return this.#broker.consumers.find(each => each.connection === this && each.channel === channel);
  }
}

/** One way of a connection: first in, first out. */
class Way {
  readonly #broker: ModelBroker;
  readonly #passes: () => 'now' | 'later' | 'never';
  #lastAt = 0;
  readonly #sent: (() => void)[] = [];

  constructor(broker: ModelBroker, passes: () => 'now' | 'later' | 'never') {
    this.#broker = broker;
    this.#passes = passes;
  }

  send(act: () => void): void {
    this.#sent.push(act);
    if (this.#passes() === 'now') this.#arrive();
  }

  /** What waits goes on. */
  flush(): void {
    for (const _ of this.#sent) this.#arrive();
  }

  #arrive(): void {
    const { queue, weather } = this.#broker;
    this.#lastAt = Math.max(this.#lastAt, queue.now() + weather.delay());
    queue.after(this.#lastAt - queue.now(), () => {
      if (this.#passes() === 'later') return false;
      const act = this.#sent.shift();
      if (this.#passes() === 'now') act?.();
      return false;
    });
  }
}
