import { ConsumerLine } from './consumer-line.ts';
import { Deadline } from './deadline.ts';
import { type Entry, entrySize, goneMessage, keptOf, type Message } from './message.ts';
import type { DeadReason, KeptMessage, QueueConsumer, QueueHost } from './queue-host.ts';
import { ReadyList } from './ready-list.ts';
import type { QueueSettings } from './settings.ts';

/**
 * A classic or quorum queue: ready entries in order, consumers in turn. One machine has one copy of either, so they differ in what is
 * logged (quorum: everything), in the delivery limit, and in that a quorum queue knows no exclusive consumers.
 */
export class MessageQueue {
  readonly settings: QueueSettings;
  /** Only this connection may use it. */
  readonly owner: object | undefined;
  readonly #host: QueueHost;
  readonly #ready = new ReadyList();
  readonly #unacked = new Set<Entry>();
  readonly #line: ConsumerLine;
  #nextIndex = 1;
  #isPumping = false;
  #isHalted = false;
  #isDeleted = false;
  readonly #expiry: Deadline;
  readonly #idle: Deadline;
  published = 0;
  delivered = 0;
  acked = 0;

  constructor(settings: QueueSettings, host: QueueHost, owner?: object, kept: readonly KeptMessage[] = []) {
    this.settings = settings;
    this.#host = host;
    this.owner = owner;
    this.#expiry = new Deadline(host, () => {
      this.#expireHeads();
      this.#watchExpiry();
    });
    this.#idle = new Deadline(host, () => host.expired(this));
    this.#line = new ConsumerLine({
      isSingleActive: settings.singleActive,
      isExclusiveKnown: settings.type === 'classic',
    });
    for (const { index, message, expiresAt, returns, redelivered } of kept) {
      const entry: Entry = { message, index, expiresAt, redelivered, returns, isLogged: true };
      this.#host.held(entrySize(entry));
      this.#ready.push(entry);
      this.#nextIndex = index + 1;
    }
    this.touch();
    this.#watchExpiry();
  }

  get name(): string {
    return this.settings.name;
  }

  get messageCount(): number {
    return this.#ready.length;
  }

  get unackedCount(): number {
    return this.#unacked.size;
  }

  get consumerCount(): number {
    return this.#line.length;
  }

  /** Of the bodies that are ready. */
  get readyBytes(): number {
    return this.#ready.bytes;
  }

  /** Of the bodies that consumers hold. */
  get unackedBytes(): number {
    let bytes = 0;
    for (const { message } of this.#unacked) bytes += message.body.length;
    return bytes;
  }

  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  // --- in

  /** @returns the entry, or undefined when the queue is full and refuses */
  publish(message: Message): Entry | undefined {
    if (this.settings.overflow !== 'drop-head' && this.#isFullFor(message)) {
      if (this.settings.overflow === 'reject-publish-dlx') this.#host.deadLetter(this, message, 'maxlen', () => {});
      return undefined;
    }
    this.published++;
    const entry = this.#entryOf(message);
    this.#host.held(entrySize(entry));
    if (entry.isLogged) this.#host.logged(this, entry);
    // The common case, on its own: somebody waits for it.
    if (this.#ready.length === 0 && !this.#isPumping && !this.#isHalted) {
      const consumer = this.#line.next();
      if (consumer) {
        this.#handOver(consumer, entry);
        return entry;
      }
    }
    keep(entry);
    this.#ready.push(entry);
    this.pump();
    // Nobody waits for what may not wait.
    if (entry.expiresAt !== undefined && this.#ready.head === entry) this.#expireHeads();
    this.#watchExpiry();
    return entry;
  }

  #entryOf(message: Message): Entry {
    const { messageTtlMs, type, durable } = this.settings;
    const ttl = least(message.expirationMs, messageTtlMs);
    return {
      message,
      index: this.#nextIndex++,
      expiresAt: ttl === undefined ? undefined : this.#host.now() + ttl,
      redelivered: false,
      returns: 0,
      isLogged: durable && (message.isPersistent || type === 'quorum'),
    };
  }

  #isFullFor({ body }: Message): boolean {
    const { maxLength = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY } = this.settings;
    return this.#ready.length + 1 > maxLength || this.#ready.bytes + body.length > maxBytes;
  }

  #dropSurplus(): void {
    const { maxLength, maxBytes, overflow } = this.settings;
    if ((maxLength === undefined && maxBytes === undefined) || overflow !== 'drop-head') return;
    while (
      this.#ready.length > (maxLength ?? Number.POSITIVE_INFINITY) ||
      this.#ready.bytes > (maxBytes ?? Number.POSITIVE_INFINITY)
    ) {
      const oldest = this.#ready.shift();
      if (!oldest) return;
      this.#bury(oldest, 'maxlen');
    }
  }

  // --- out

  /** Hands out what is ready while a consumer has credit, then drops what is too much. */
  pump(): void {
    if (this.#isPumping || this.#isHalted || this.#ready.length === 0) return;
    this.#isPumping = true;
    try {
      for (;;) {
        this.#expireHeads();
        if (this.#ready.length === 0) break;
        const consumer = this.#line.next();
        const entry = consumer && this.#ready.shift();
        if (!entry) break;
        this.#handOver(consumer, entry);
      }
    } finally {
      this.#isPumping = false;
    }
    this.#dropSurplus();
    this.#watchExpiry();
  }

  #handOver(consumer: QueueConsumer, entry: Entry): void {
    this.delivered++;
    if (consumer.noAck) this.#settle(entry);
    else this.#unacked.add(entry);
    consumer.deliver(entry, this);
  }

  /** One message for `basic.get`. */
  get(noAck: boolean): Entry | undefined {
    this.touch();
    this.#expireHeads();
    const entry = this.#ready.shift();
    if (!entry) return undefined;
    this.delivered++;
    if (noAck) this.#settle(entry);
    else this.#unacked.add(entry);
    this.#watchExpiry();
    return entry;
  }

  /** Hands out nothing any more, and lets nothing expire: the ledger is about to close. */
  halt(): void {
    this.#isHalted = true;
    this.#expiry.cancel();
    this.#idle.cancel();
  }

  /** What consumers hold for long gets buffers of its own, too; to be called now and then. */
  keepHeld(): void {
    for (const entry of this.#unacked) keep(entry);
  }

  // --- what becomes of what is out

  ack(entry: Entry): void {
    if (!this.#unacked.delete(entry)) return;
    this.acked++;
    this.#settle(entry);
  }

  /** Not wanted: to the dead-letter exchange, or dropped. */
  reject(entry: Entry): void {
    if (this.#unacked.delete(entry)) this.#bury(entry, 'rejected');
  }

  /** Back to where they were. Nothing is handed out yet, since more may follow; then `pump` goes on. */
  requeue(entries: readonly Entry[]): void {
    if (this.#isDeleted) return;
    const { deliveryLimit } = this.settings;
    for (const entry of entries) {
      if (!this.#unacked.delete(entry)) continue;
      entry.redelivered = true;
      entry.returns++;
      if (deliveryLimit !== undefined && entry.returns > deliveryLimit) {
        this.#bury(entry, 'delivery_limit');
        continue;
      }
      if (entry.isLogged) this.#host.returned(this, entry);
      keep(entry);
      this.#ready.giveBack(entry);
    }
  }

  /** @returns how many */
  purge(): number {
    const count = this.#ready.length;
    for (let entry = this.#ready.shift(); entry; entry = this.#ready.shift()) this.#settle(entry);
    return count;
  }

  #bury(entry: Entry, reason: DeadReason): void {
    // In this order, so that a crash between the two leaves it here and not nowhere.
    this.#host.deadLetter(this, entry.message, reason, () => {
      if (!this.#isDeleted) this.#settle(entry);
      else this.#free(entry);
    });
  }

  #settle(entry: Entry): void {
    this.#free(entry);
    if (entry.isLogged) this.#host.settled(this, entry);
  }

  #free(entry: Entry): void {
    this.#host.held(-entrySize(entry));
  }

  // --- age

  #expireHeads(): void {
    for (
      let head = this.#ready.head;
      head?.expiresAt !== undefined && head.expiresAt <= this.#host.now();
      head = this.#ready.head
    ) {
      this.#ready.shift();
      this.#bury(head, 'expired');
    }
  }

  /** Only the head expires, so only its time is watched. */
  #watchExpiry(): void {
    if (!this.#isHalted) this.#expiry.set(this.#ready.head?.expiresAt);
  }

  /** It has been used: `x-expires` begins anew. */
  touch(): void {
    const { expiresMs } = this.settings;
    if (expiresMs === undefined) return;
    this.#idle.cancel();
    if (this.#line.length === 0 && !this.#isDeleted && !this.#isHalted) this.#idle.set(this.#host.now() + expiresMs);
  }

  // --- consumers

  /** @throws AmqpError 403 when either side wants to be alone */
  addConsumer(consumer: QueueConsumer): void {
    this.#line.add(consumer, this.name);
    this.touch();
  }

  /** Nothing is handed out yet: what it held may come back first, and then `consumersLeft` goes on. */
  removeConsumer(consumer: QueueConsumer): void {
    this.#line.remove(consumer);
  }

  /** Consumers have gone, and what they held is back: the next one's turn, or the queue goes with its last. */
  consumersLeft(): void {
    if (this.#isDeleted) return;
    this.touch();
    if (this.settings.autoDelete && this.#line.length === 0) this.#host.expired(this);
    else this.pump();
  }

  /** @returns messages that went with it, and the consumers to be told */
  delete(): { readonly messageCount: number; readonly consumers: readonly { cancelled(): void }[] } {
    this.#isDeleted = true;
    this.#expiry.cancel();
    this.#idle.cancel();
    const messageCount = this.#ready.length;
    for (let entry = this.#ready.shift(); entry; entry = this.#ready.shift()) this.#free(entry);
    for (const entry of this.#unacked) {
      this.#free(entry);
      // Whoever holds it may do so for long, and counts no bytes.
      entry.message = goneMessage;
    }
    this.#unacked.clear();
    return { messageCount, consumers: this.#line.clear() };
  }
}

/** It may stay a while. */
function keep(entry: Entry): void {
  entry.message = keptOf(entry.message);
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}
