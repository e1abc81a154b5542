import { AmqpError } from '../amqp/error.ts';
import { compact, type Entry, type Message, sizeOf } from './message.ts';
import type { QueueSettings } from './settings.ts';

/** Why a message leaves a queue for its dead-letter exchange. */
export type DeadReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

/** A consumer as its queue sees it. */
export interface QueueConsumer {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  /** Prefetch and socket have room for one more. */
  hasCredit(): boolean;
  deliver(entry: Entry, queue: MessageQueue): void;
  /** The queue has gone. */
  cancelled(): void;
}

/** What a queue needs of its broker. */
export interface QueueHost {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once, later; @returns what cancels it */
  after(ms: number, act: () => void): () => void;
  deadLetter(queue: MessageQueue, entry: Entry, reason: DeadReason): void;
  logged(queue: MessageQueue, entry: Entry): void;
  settled(queue: MessageQueue, entry: Entry): void;
  /** It came back unacknowledged, for the delivery limit. */
  returned(queue: MessageQueue, entry: Entry): void;
  /** Bytes that are held now more (or, negative, less). */
  held(bytes: number): void;
  /** It has had no use for `x-expires`, or its last consumer went (`auto-delete`). */
  expired(queue: MessageQueue): void;
}

/**
 * A classic or quorum queue: ready entries in order, consumers in turn. One machine has one copy of either, so they differ in what is
 * logged (quorum: everything) and in the delivery limit.
 */
export class MessageQueue {
  readonly settings: QueueSettings;
  /** Only this connection may use it. */
  readonly owner: object | undefined;
  readonly #host: QueueHost;
  #ready: (Entry | undefined)[] = [];
  /** Where the ready entries begin; what is before is spent. */
  #head = 0;
  readonly #unacked = new Set<Entry>();
  #readyBytes = 0;
  #consumers: QueueConsumer[] = [];
  #turn = 0;
  #nextIndex: number;
  #isPumping = false;
  #isDeleted = false;
  #cancelExpiry: (() => void) | undefined;
  #expiryAt = Number.POSITIVE_INFINITY;
  #cancelIdle: (() => void) | undefined;
  published = 0;
  delivered = 0;
  acked = 0;

  constructor(
    settings: QueueSettings,
    host: QueueHost,
    owner: object | undefined,
    recovered: { index: number; message: Message; expiresAt: number | undefined; returns: number }[] = [],
  ) {
    this.settings = settings;
    this.#host = host;
    this.owner = owner;
    this.#nextIndex = 1;
    for (const { index, message, expiresAt, returns } of recovered) {
      // Whether it had been delivered before the restart is not known, so it may have been.
      this.#append({ message, isCompact: true, index, expiresAt, redelivered: true, returns, isLogged: true });
      this.#nextIndex = Math.max(this.#nextIndex, index + 1);
    }
    this.touch();
    this.#watchExpiry();
  }

  get name(): string {
    return this.settings.name;
  }

  get messageCount(): number {
    return this.#ready.length - this.#head;
  }

  get unackedCount(): number {
    return this.#unacked.size;
  }

  get consumerCount(): number {
    return this.#consumers.length;
  }

  get readyBytes(): number {
    return this.#readyBytes;
  }

  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  /** @returns the entry, or undefined when the queue is full and refuses */
  publish(message: Message): Entry | undefined {
    const { messageTtlMs, overflow, maxLength, maxBytes, type, durable } = this.settings;
    const size = sizeOf(message);
    if (overflow === 'reject-publish') {
      const isFull =
        (maxLength !== undefined && this.messageCount >= maxLength) ||
        (maxBytes !== undefined && this.#readyBytes + size > maxBytes);
      if (isFull) return undefined;
    }
    this.published++;
    const ttl = least(message.expirationMs, messageTtlMs);
    const entry: Entry = {
      message,
      isCompact: false,
      index: this.#nextIndex++,
      expiresAt: ttl === undefined ? undefined : this.#host.now() + ttl,
      redelivered: false,
      returns: 0,
      isLogged: durable && (message.isPersistent || type === 'quorum'),
    };
    if (entry.isLogged) this.#host.logged(this, entry);
    // The common case, on its own: somebody waits for it.
    if (this.#head === this.#ready.length && !this.#isPumping) {
      const consumer = this.#nextConsumer();
      if (consumer) {
        this.#hold(entry);
        this.#handOver(consumer, entry);
        return entry;
      }
    }
    this.#keep(entry);
    this.#append(entry);
    this.pump();
    if (maxLength !== undefined || maxBytes !== undefined)
      this.#dropSurplus(maxLength ?? Number.POSITIVE_INFINITY, maxBytes ?? Number.POSITIVE_INFINITY);
    if (ttl === 0 && this.#ready[this.#head] === entry) this.#expireHeads();
    this.#watchExpiry();
    return entry;
  }

  #keep(entry: Entry): void {
    if (entry.isCompact) return;
    entry.message = compact(entry.message);
    entry.isCompact = true;
  }

  #append(entry: Entry): void {
    this.#ready.push(entry);
    this.#readyBytes += sizeOf(entry.message);
    this.#hold(entry);
  }

  #hold({ message }: Entry): void {
    this.#host.held(sizeOf(message) + entryBytes);
  }

  #free({ message }: Entry): void {
    this.#host.held(-sizeOf(message) - entryBytes);
  }

  #shift(): Entry | undefined {
    const entry = this.#ready[this.#head];
    if (!entry) return undefined;
    this.#ready[this.#head++] = undefined;
    if (this.#head === this.#ready.length) {
      this.#ready = [];
      this.#head = 0;
    } else if (this.#head > 1_024 && this.#head * 2 > this.#ready.length) {
      this.#ready = this.#ready.slice(this.#head);
      this.#head = 0;
    }
    this.#readyBytes -= sizeOf(entry.message);
    return entry;
  }

  /** Hands out what is ready while a consumer has credit. */
  pump(): void {
    if (this.#isPumping || this.#head === this.#ready.length) return;
    this.#isPumping = true;
    try {
      for (;;) {
        this.#expireHeads();
        if (this.#head === this.#ready.length) break;
        const consumer = this.#nextConsumer();
        if (!consumer) break;
        const entry = this.#shift();
        if (!entry) break;
        this.#handOver(consumer, entry);
      }
    } finally {
      this.#isPumping = false;
    }
    this.#watchExpiry();
  }

  #handOver(consumer: QueueConsumer, entry: Entry): void {
    this.delivered++;
    if (consumer.noAck) this.#settle(entry);
    else this.#unacked.add(entry);
    consumer.deliver(entry, this);
  }

  #nextConsumer(): QueueConsumer | undefined {
    const count = this.#consumers.length;
    if (this.settings.singleActive) {
      const active = this.#consumers[0];
      return active?.hasCredit() ? active : undefined;
    }
    for (let step = 0; step < count; step++) {
      const index = (this.#turn + step) % count;
      const consumer = this.#consumers[index];
      if (consumer?.hasCredit()) {
        this.#turn = (index + 1) % count;
        return consumer;
      }
    }
    return undefined;
  }

  /** One message for `basic.get`. */
  get(noAck: boolean): Entry | undefined {
    this.touch();
    this.#expireHeads();
    const entry = this.#shift();
    if (!entry) return undefined;
    this.delivered++;
    if (noAck) this.#settle(entry);
    else this.#unacked.add(entry);
    return entry;
  }

  ack(entry: Entry): void {
    if (!this.#unacked.delete(entry)) return;
    this.acked++;
    this.#settle(entry);
  }

  /** Not wanted: to the dead-letter exchange, or dropped. */
  reject(entry: Entry): void {
    if (!this.#unacked.delete(entry)) return;
    this.#bury(entry, 'rejected');
  }

  /** Back to where they were. @param entries in order of their index */
  requeue(entries: readonly Entry[]): void {
    if (this.#isDeleted) return;
    const back: Entry[] = [];
    for (const entry of entries) {
      if (!this.#unacked.delete(entry)) continue;
      entry.redelivered = true;
      entry.returns++;
      if (this.settings.deliveryLimit !== undefined && entry.returns > this.settings.deliveryLimit)
        this.#bury(entry, 'delivery_limit');
      else {
        if (entry.isLogged && this.settings.deliveryLimit !== undefined) this.#host.returned(this, entry);
        this.#keep(entry);
        this.#readyBytes += sizeOf(entry.message);
        back.push(entry);
      }
    }
    if (back.length > 0) {
      const ready = this.#ready.slice(this.#head) as Entry[];
      const first = ready[0];
      const last = back.at(-1);
      this.#ready =
        !first || !last || last.index < first.index
          ? [...back, ...ready]
          : [...back, ...ready].sort((a, b) => a.index - b.index);
      this.#head = 0;
    }
    this.pump();
    this.#watchExpiry();
  }

  /** @returns how many */
  purge(): number {
    const count = this.messageCount;
    for (let entry = this.#shift(); entry; entry = this.#shift()) this.#settle(entry);
    return count;
  }

  #dropSurplus(maxLength: number, maxBytes: number): void {
    while (this.messageCount > maxLength || this.#readyBytes > maxBytes) {
      const oldest = this.#shift();
      if (!oldest) return;
      this.#bury(oldest, 'maxlen');
    }
  }

  #expireHeads(): void {
    for (
      let head = this.#ready[this.#head];
      head?.expiresAt !== undefined && head.expiresAt <= this.#host.now();
      head = this.#ready[this.#head]
    ) {
      this.#shift();
      this.#bury(head, 'expired');
    }
  }

  /** Only the head expires, so only its time is watched. */
  #watchExpiry(): void {
    const at = this.#ready[this.#head]?.expiresAt ?? Number.POSITIVE_INFINITY;
    if (at >= this.#expiryAt || at === Number.POSITIVE_INFINITY) return;
    this.#cancelExpiry?.();
    this.#expiryAt = at;
    this.#cancelExpiry = this.#host.after(Math.max(0, at - this.#host.now()), () => {
      this.#expiryAt = Number.POSITIVE_INFINITY;
      this.#expireHeads();
      this.#watchExpiry();
    });
  }

  #bury(entry: Entry, reason: DeadReason): void {
    this.#host.deadLetter(this, entry, reason);
    this.#settle(entry);
  }

  #settle(entry: Entry): void {
    this.#free(entry);
    if (entry.isLogged) this.#host.settled(this, entry);
  }

  /** @throws AmqpError 403 when either side wants to be alone */
  addConsumer(consumer: QueueConsumer): void {
    const isTaken =
      this.#consumers.some(other => other.exclusive) || (consumer.exclusive && this.#consumers.length > 0);
    if (isTaken) throw new AmqpError(403, `queue '${this.name}' in vhost '/' in exclusive use`);
    this.#consumers.push(consumer);
    this.touch();
  }

  removeConsumer(consumer: QueueConsumer): void {
    const index = this.#consumers.indexOf(consumer);
    if (index === -1) return;
    this.#consumers.splice(index, 1);
    if (index < this.#turn) this.#turn--;
    this.touch();
    if (this.#isDeleted) return;
    if (this.settings.autoDelete && this.#consumers.length === 0) this.#host.expired(this);
    else this.pump();
  }

  /** It has been used: `x-expires` begins anew. */
  touch(): void {
    const { expiresMs } = this.settings;
    if (expiresMs === undefined) return;
    this.#cancelIdle?.();
    this.#cancelIdle =
      this.#consumers.length > 0 || this.#isDeleted
        ? undefined
        : this.#host.after(expiresMs, () => this.#host.expired(this));
  }

  /** @returns messages that went with it */
  delete(): number {
    this.#isDeleted = true;
    this.#cancelExpiry?.();
    this.#cancelIdle?.();
    const count = this.messageCount;
    for (let entry = this.#shift(); entry; entry = this.#shift()) this.#free(entry);
    for (const entry of this.#unacked) this.#free(entry);
    this.#unacked.clear();
    for (const consumer of this.#consumers.splice(0)) consumer.cancelled();
    return count;
  }
}

/** About what an entry costs beside its bytes. */
const entryBytes = 300;

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}
