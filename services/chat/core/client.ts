import { sessionWindow } from './bounds.ts';
import type { ChatLog, Read } from './chat-log.ts';
import { isWritten } from './chat-state.ts';
import {
  type ClientEffect,
  type ClientEvent,
  type ClientOptions,
  type ClientPorts,
  clientDefaults,
  type OutboxItem,
} from './client-events.ts';
import type { Input, InputPlace, Operation } from './entry.ts';
import { problemOf } from './operation-bounds.ts';
import { RateLimit } from './rate.ts';
import type { IsAuthentic, Meaning } from './rule.ts';

/**
 * What one member says in a chat, until it stands in the log: events in, effects out. Each start of the program begins a session, which ends the member's session before it for every
 * reader of the log. So once the beginning is seen there, all that was said and is not in the log yet never will be, and can be said anew under the new session: nothing is written
 * twice, and nothing is lost, whatever the outbox on the disk was.
 *
 * - *beginning*: the session's beginning is published, and not seen. What is said waits.
 * - *open*: it was seen. Items are published in order, `sessionWindow` at a time, and again after each loss of the connection, until each was seen.
 */
export class ChatClient {
  readonly #ports: ClientPorts & { readonly log: Pick<ChatLog, 'state'>; readonly isAuthentic: IsAuthentic };
  readonly #options: ClientOptions;
  readonly #rate: RateLimit;
  /** In the order of their ids, which is that in which they were said. */
  readonly #items = new Map<number, OutboxItem>();
  /** Ids by counter, of this session. */
  readonly #byCounter = new Map<number, number>();
  #effects: ClientEffect[] = [];
  #nextId: number;
  #session = 0;
  #isOpen = false;
  #isConnected = false;
  #nextCounter = 1;
  /** Published since the connection was made: counters below it. */
  #published = 1;
  #progressAt = 0;
  /** Doubled each time in vain, or what is sent again would itself be what the queue is full of. */
  #resendMs: number;

  /** @param items of the outbox on the disk, in any order */
  constructor(
    ports: ClientPorts & { readonly log: Pick<ChatLog, 'state'>; readonly isAuthentic: IsAuthentic },
    items: readonly OutboxItem[] = [],
    options: ClientOptions = clientDefaults,
  ) {
    this.#ports = ports;
    this.#options = options;
    this.#resendMs = options.resendMs;
    this.#rate = new RateLimit(options.perSecond, options.burst);
    for (const item of [...items].sort((one, other) => one.id - other.id)) this.#items.set(item.id, item);
    this.#nextId = 1 + Math.max(0, ...items.map(({ id }) => id));
  }

  /** Items that are on their way, in the order in which they were said. */
  get items(): Iterable<OutboxItem> {
    return this.#items.values();
  }

  get size(): number {
    return this.#items.size;
  }

  /** Of the item said last; 0: none. */
  get lastId(): number {
    return this.#nextId - 1;
  }

  handle(event: ClientEvent): ClientEffect[] {
    this.#effects = [];
    switch (event.kind) {
      case 'start':
        this.#forgetWritten();
        this.#beginSession(event.now);
        break;
      case 'say':
        this.#say(event.operation, event.sentAtMs, event.now);
        break;
      case 'read':
        this.#read(event.read, event.now);
        break;
      case 'connected':
        this.#isConnected = true;
        this.#publishAgain(event.now);
        break;
      case 'disconnected':
        this.#isConnected = false;
        break;
      case 'tick':
        this.#resend(event.now);
        this.#publish(event.now);
        break;
    }
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #say(operation: Operation, sentAtMs: number, now: number): void {
    const reason = this.#items.size >= this.#options.maxItems ? 'outbox-full' : problemOf(operation);
    if (reason !== undefined) return this.#emit({ kind: 'turned-away', reason });
    const item: OutboxItem = { id: this.#nextId++, operation, sentAtMs, as: undefined };
    this.#items.set(item.id, item);
    if (this.#isOpen) this.#number(item);
    else this.#emit({ kind: 'store', item });
    this.#publish(now);
  }

  #read(read: Read, now: number): void {
    if (read.kind === 'cut') {
      this.#forgetWritten();
      this.#lookAtSession(now);
      return;
    }
    const { meaning } = read;
    if (meaning.kind === 'input' && meaning.input.sender === this.#ports.self)
      this.#readOwn(meaning.input, meaning, now);
    else if (meaning.kind === 'refused' && meaning.sender === this.#ports.self) this.#readOwn(meaning, meaning, now);
    this.#lookAtSession(now);
  }

  /** Something of this member's was written. */
  #readOwn(place: InputPlace, meaning: Extract<Meaning, { kind: 'input' | 'refused' }>, now: number): void {
    const { session, counter } = place;
    const item = session === this.#session ? this.#ofCounter(counter) : this.#ofPast(session, counter);
    if (session === this.#session) this.#progress(now);
    if (item === undefined) return;
    this.#forget(item);
    if (meaning.kind === 'refused') this.#emit({ kind: 'refused', id: item.id, reason: meaning.reason });
    else if (!this.#ports.isAuthentic(meaning.input)) this.#emit({ kind: 'refused', id: item.id, reason: 'forged' });
    else if (meaning.refusal !== undefined) this.#emit({ kind: 'refused', id: item.id, reason: meaning.refusal });
    else this.#emit({ kind: 'written', id: item.id, seq: meaning.seq });
    this.#publish(now);
  }

  /** Whether the log knows of this session, or has ended it. */
  #lookAtSession(now: number): void {
    const known = this.#ports.log.state.senders.get(this.#ports.self);
    if (known === undefined || known.session < this.#session) return;
    if (known.session > this.#session) return this.#beginSession(now);
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#progress(now);
    this.#nextCounter = 2;
    this.#published = 2;
    // What is not written by now was of a session that has ended.
    for (const item of this.#items.values()) this.#number(item);
    this.#publish(now);
  }

  #beginSession(now: number): void {
    const known = this.#ports.log.state.senders.get(this.#ports.self)?.session ?? 0;
    let latest = Math.max(known, this.#session);
    for (const { as } of this.#items.values()) latest = Math.max(latest, as?.session ?? 0);
    this.#session = sessionAfter(latest, this.#ports.random32());
    this.#isOpen = false;
    this.#byCounter.clear();
    this.#nextCounter = 2;
    this.#publishAgain(now);
  }

  #number(item: OutboxItem): void {
    const numbered = { ...item, as: { session: this.#session, counter: this.#nextCounter++ } };
    this.#items.set(item.id, numbered);
    this.#byCounter.set(numbered.as.counter, item.id);
    this.#emit({ kind: 'store', item: numbered });
  }

  #publishAgain(now: number): void {
    this.#progressAt = now;
    if (!this.#isConnected) return;
    if (!this.#isOpen) return this.#publishInput({ counter: 1, sentAtMs: 0, operation: { kind: 'begin' } });
    const seen = this.#ports.log.state.senders.get(this.#ports.self);
    const first = seen?.session === this.#session ? seen.next : 2;
    const until = this.#published;
    this.#published = first;
    // Once more what is on its way, whatever the rate.
    for (let counter = first; counter < until; counter++) this.#publishCounter(counter);
    this.#published = Math.max(first, until);
    this.#publish(now);
  }

  #progress(now: number): void {
    this.#progressAt = now;
    this.#resendMs = this.#options.resendMs;
  }

  #resend(now: number): void {
    if (!this.#isWaiting || now - this.#progressAt <= this.#resendMs) return;
    this.#resendMs = Math.min(2 * this.#resendMs, mostResendMs);
    this.#publishAgain(now);
  }

  /** As much as may go now. */
  #publish(now: number): void {
    if (!this.#isOpen || !this.#isConnected) return;
    const seen = this.#ports.log.state.senders.get(this.#ports.self);
    const first = seen?.session === this.#session ? seen.next : 2;
    this.#published = Math.max(this.#published, first);
    while (this.#published < this.#nextCounter && this.#published < first + sessionWindow) {
      if (!this.#rate.take(this.#ports.self, now)) return;
      if (this.#published === first) this.#progressAt = now;
      this.#publishCounter(this.#published++);
    }
  }

  #publishCounter(counter: number): void {
    const item = this.#ofCounter(counter);
    if (item !== undefined) this.#publishInput({ counter, sentAtMs: item.sentAtMs, operation: item.operation });
  }

  #publishInput(said: Pick<Input, 'counter' | 'sentAtMs' | 'operation'>): void {
    const { self: sender } = this.#ports;
    this.#emit({ kind: 'publish', input: { sender, session: this.#session, ...said } });
  }

  /** Items that stand in a part of the log which was not read: what follows from it is known. */
  #forgetWritten(): void {
    const { state } = this.#ports.log;
    for (const item of this.#items.values()) {
      if (item.as === undefined || !isWritten(state, { sender: this.#ports.self, ...item.as })) continue;
      this.#forget(item);
      this.#emit({ kind: 'written', id: item.id, seq: undefined });
    }
  }

  get #isWaiting(): boolean {
    return !this.#isOpen || this.#items.size > 0;
  }

  #ofCounter(counter: number): OutboxItem | undefined {
    return this.#items.get(this.#byCounter.get(counter) ?? 0);
  }

  #ofPast(session: number, counter: number): OutboxItem | undefined {
    for (const item of this.#items.values())
      if (item.as?.session === session && item.as.counter === counter) return item;
    return undefined;
  }

  #forget({ id, as }: OutboxItem): void {
    this.#items.delete(id);
    if (as?.session === this.#session) this.#byCounter.delete(as.counter);
  }

  #emit(effect: ClientEffect): void {
    this.#effects.push(effect);
  }
}

const mostResendMs = 60_000;
const sessionsBits = 2 ** 32;
const mostSession = Number.MAX_SAFE_INTEGER;

/** Later than the one given, and than no other one of the same member but by chance. */
export function sessionAfter(session: number, random32: number): number {
  const after = (Math.floor(session / sessionsBits) + 1) * sessionsBits + random32;
  return Math.min(after, mostSession);
}
