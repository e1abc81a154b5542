import { Direct, type DirectContent, DirectReceipt, DirectState } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { MembershipServiceDefinition } from '../../../proto/gen/warren/directory/v1/membership.ts';
import type { Consumer, Delivery, Verdict } from '../../bus/bus.ts';
import { createClient } from '../../bus/calls.ts';
import type { MemberHost } from '../../bus/hosted.ts';
import { keepConsuming } from '../../bus/keep-consuming.ts';
import { directMessages } from '../../bus/queues.ts';
import { AttemptLimiter } from '../../lib/attempt-limiter.ts';
import { backoffMs } from '../../lib/backoff.ts';
import { EventFeed } from '../../lib/event-feed.ts';
import { messageOf } from '../../lib/failure.ts';
import { signAs } from '../../lib/identity/keys.ts';
import { brokerAccountOf, type MemberId } from '../../lib/identity/member-id.ts';
import { randomHex } from '../../lib/random.ts';
import { CallFailure } from '../../lib/rpc/call-failure.ts';
import { AddressBook, sealingKeyContext } from './address-book.ts';
import { isBody, maxBodyBytes, maxReceiptIds } from './bounds.ts';
import type { CorrespondentChange } from './correspondents.ts';
import type { KeptConversation, KeptDirect } from './message-store.ts';
import type { Addressee } from './outgoing-store.ts';
import { Receiver } from './receiving.ts';
import { type DirectReceiver, sealDirect } from './seal.ts';
import { Sender } from './sender.ts';
import { DirectStore } from './store.ts';

export type DirectEvent =
  | { readonly kind: 'message'; readonly message: KeptDirect }
  | { readonly kind: 'change'; readonly change: CorrespondentChange };

export type DirectHost = Pick<
  MemberHost,
  | 'id'
  | 'keys'
  | 'account'
  | 'authorityCertificate'
  | 'certificate'
  | 'isRevoked'
  | 'bus'
  | 'queueType'
  | 'directory'
  | 'now'
  | 'clock'
  | 'random'
  | 'warn'
>;

/** Deliveries that wait for their receipts to be sent. */
const atOnce = 50;
/** What an owner may write, and what may be on its way, to one member a place. */
const perOwner = { burst: 200, refillMs: 50, maxKeys: 1 };
const mostOutgoing = 10_000;
/** The directory is asked again for what is older, in milliseconds. */
const freshMs = 30_000;
const receiptMs = 5_000;
/** One that the directory does not know is looked up so seldom, in milliseconds. */
const meetMs = 60_000;
const metAtMost = 10_000;
const upkeepMs = 6 * 3_600_000;
const retry = { firstMs: 500, maxMs: 30_000 };
const retention = { most: 100_000, keptMs: 365 * 86_400_000 };

/**
 * Private messages of one member: those of its owner go, sealed, to all members of another account, and copies to the owner's other
 * members; those that come are kept before they are acked. What is written is kept until it is delivered, whatever happens to this process,
 * the broker or the directory.
 */
export class DirectMessages {
  readonly #host: DirectHost;
  readonly #store: DirectStore;
  readonly #book: AddressBook;
  readonly #receiver: Receiver;
  readonly #sender: Sender;
  readonly #feed = new EventFeed<DirectEvent>();
  readonly #limiter = new AttemptLimiter(perOwner);
  /** Whose account was looked up because of them, and when. */
  readonly #met = new Map<MemberId, number>();
  readonly #closing = new AbortController();
  readonly #consumer: Consumer;
  readonly #offState: () => void;
  /** What is answered to this member is sealed to. */
  #replyKey: Buffer;
  #failures = 0;
  #upkeep: NodeJS.Timeout | undefined;

  /** @param dir its folder, made 0700 if need be @throws Failure CHAT_DIRECT */
  constructor(host: DirectHost, dir: string) {
    const { bus } = host;
    this.#host = host;
    this.#store = new DirectStore(dir);
    const { keys } = this.#store;
    this.#replyKey = Buffer.from(keys.sealingKey(host.now()).publicKey);
    const onChange = (change: CorrespondentChange): void => this.#feed.tell({ kind: 'change', change });
    this.#book = new AddressBook({ host, keys, onChange });
    this.#receiver = new Receiver(host, keys);
    this.#sender = new Sender({
      ...{ host, store: this.#store, book: this.#book, signal: this.#closing.signal },
      seal: (to, content) => this.#seal(to, content),
      onMessage: message => this.#feed.tell({ kind: 'message', message }),
    });
    const { queue, bindings } = directMessages(bus.user, host.queueType);
    this.#consumer = keepConsuming(bus, () =>
      bus.consume(queue, delivery => this.#take(delivery), { prefetch: atOnce, bindings: () => bindings }),
    );
    this.#offState = bus.onState(state => {
      if (state === 'up') this.#begin();
    });
    if (bus.state === 'up') this.#begin();
  }

  /**
   * Writes to all members of an account.
   * @returns as it is kept: from then on it goes
   * @throws CallFailure DIRECT_BODY, DIRECT_SELF, DIRECT_NOBODY, DIRECT_RATE, DIRECT_FULL
   */
  async send(to: string, body: string, signal: AbortSignal): Promise<KeptDirect> {
    const { id: sender, account, now, clock } = this.#host;
    const wrong = (code: string, message: string): CallFailure => new CallFailure('INVALID_ARGUMENT', code, message);
    if (!isBody(body)) throw wrong('DIRECT_BODY', `body: must be text of 1 to ${maxBodyBytes} octets`);
    if (to === account) throw wrong('DIRECT_SELF', 'to: is your own account');
    const waitMs = this.#limiter.waitMs('', clock());
    if (waitMs > 0)
      throw new CallFailure('RESOURCE_EXHAUSTED', 'DIRECT_RATE', 'slower: too many messages', { retryAfterMs: waitMs });
    this.#limiter.take('', clock());
    if (this.#store.outgoing.count() >= mostOutgoing)
      throw new CallFailure('RESOURCE_EXHAUSTED', 'DIRECT_FULL', 'too much waits to be delivered: write again later');
    // While the directory is away it is addressed later.
    const found = await this.#book.find(to, freshMs, signal).catch(() => undefined);
    if (found?.length === 0)
      throw new CallFailure('NOT_FOUND', 'DIRECT_NOBODY', `no machine of ${to} is in this network`);
    const message = this.#store.messages.compose({ id: randomHex(32), peer: to, sender, body, atMs: now() });
    this.#feed.tell({ kind: 'message', message });
    this.#sender.wake();
    return message;
  }

  conversations(): KeptConversation[] {
    return this.#store.messages.conversations();
  }

  /** With when each was first found. */
  membersOf(account: string): { readonly id: MemberId; readonly since: number }[] {
    return this.#store.keys.membersOf(account);
  }

  /** The oldest first. @param before a number */
  page(account: string, before: number, limit: number): KeptDirect[] {
    return this.#store.messages.page(account, before, limit);
  }

  /** Tells those that wrote, and the owner's other members. */
  markRead(account: string): void {
    const { now, account: own } = this.#host;
    const read = this.#store.transaction(() => {
      const messages = this.#store.messages.readAll(account);
      const writers = Map.groupBy(messages, ({ sender }) => sender);
      const others = this.#book.known(own).map(({ id }) => ({ id, account: own }));
      for (const [id, written] of writers) {
        for (let from = 0; from < written.length; from += maxReceiptIds) {
          const ids = written.slice(from, from + maxReceiptIds).map(message => message.id);
          this.#store.outgoing.post([{ id, account }, ...others], receiptOf(ids, true), now());
        }
      }
      return messages;
    });
    for (const message of read) this.#feed.tell({ kind: 'message', message });
    if (read.length > 0) this.#sender.wake();
  }

  /** What happens from now on. */
  follow(signal: AbortSignal): AsyncIterable<DirectEvent> {
    return this.#feed.follow(AbortSignal.any([signal, this.#closing.signal]));
  }

  async close(): Promise<void> {
    this.#offState();
    clearTimeout(this.#upkeep);
    this.#closing.abort();
    await this.#consumer.close();
    await this.#sender.close();
    this.#store.close();
  }

  /** With a broker: what waits goes, and the key that others seal to is made known. */
  #begin(): void {
    this.#sender.wake();
    void this.#keepUp();
  }

  async #keepUp(): Promise<void> {
    clearTimeout(this.#upkeep);
    const { bus, keys, now } = this.#host;
    let againMs = upkeepMs;
    try {
      this.#replyKey = Buffer.from(this.#store.keys.sealingKey(now()).publicKey);
      const sealingKey = this.#replyKey;
      const signature = Buffer.from(signAs(keys, sealingKeyContext, sealingKey));
      const client = createClient(bus, 'directory.rpc', MembershipServiceDefinition);
      await client.publishSealingKey({ sealingKey, signature }, { signal: this.#closing.signal });
      // Who else is of the owner's account: it is to have copies.
      await this.#book.find(this.#host.account, freshMs, this.#closing.signal);
      while (this.#store.messages.retain({ most: retention.most, olderThanMs: now() - retention.keptMs }) > 0);
      this.#failures = 0;
    } catch (error) {
      againMs = backoffMs(this.#failures++, retry, this.#host.random);
      // The directory may just be starting.
      if (this.#failures === 4 && bus.state === 'up')
        this.#host.warn(`private messages: cannot tell the directory what to seal to: ${messageOf(error)}`);
    }
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#upkeep);
    this.#upkeep = setTimeout(() => void this.#keepUp(), againMs);
    this.#upkeep.unref();
  }

  async #take(delivery: Delivery): Promise<Verdict> {
    if (this.#closing.signal.aborted) return 'requeue';
    let received: ReturnType<Receiver['open']>;
    try {
      received = this.#receiver.open(delivery);
      if (received === undefined) return 'dead';
      if (received.kind === 'receipt') {
        this.#noteReceipt(received.from, received.receipt);
        return 'ack';
      }
      const { from, text, sealingKey } = received;
      const isOwn = from.account === this.#host.account;
      const { id, body, atMs } = text;
      const state = isOwn ? DirectState.DIRECT_STATE_SENT : DirectState.DIRECT_STATE_UNREAD;
      const peer = isOwn ? text.to : from.account;
      const message = this.#store.messages.receive({ id, peer, isOwn, sender: from.id, body, atMs, state }, sealingKey);
      if (message !== undefined) this.#feed.tell({ kind: 'message', message });
      this.#meet(from);
    } catch (error) {
      // A full disk, say: it stays where it is.
      this.#host.warn(`private messages: cannot keep one: ${messageOf(error)}`);
      await new Promise(resolve => setTimeout(resolve, 1_000).unref());
      return 'requeue';
    }
    // It may not get there: then the sender repeats the message, and has the next one.
    const { id: to } = received.from;
    const receipt = DirectReceipt.decode(receiptOf([received.text.id], false));
    await this.#post({ id: to, sealingKey: received.replyKey }, { $case: 'receipt', value: receipt }, receiptMs).catch(
      () => {},
    );
    return this.#closing.signal.aborted ? 'requeue' : 'ack';
  }

  /** One of an account that was not among its members when these were looked up: people are to hear of it. */
  #meet({ id, account }: Addressee): void {
    if (this.#store.keys.membersOf(account).some(each => each.id === id)) return;
    const lookedAt = this.#met.get(id);
    if (lookedAt !== undefined && this.#host.clock() - lookedAt < meetMs) return;
    if (this.#met.size >= metAtMost) this.#met.clear();
    this.#met.set(id, this.#host.clock());
    this.#book.find(account, 0, this.#closing.signal).catch(() => {});
  }

  #noteReceipt(from: Addressee, { ids, isRead }: DirectReceipt): void {
    const { messages, outgoing } = this.#store;
    const changed = this.#store.transaction(() => {
      outgoing.delivered(from.id, ids);
      if (from.account === this.#host.account) return isRead ? messages.readByIds(ids) : [];
      const state = isRead ? DirectState.DIRECT_STATE_READ : DirectState.DIRECT_STATE_DELIVERED;
      return messages.ownByIds(ids, from.account).flatMap(({ number }) => messages.advance(number, state) ?? []);
    });
    for (const message of changed) this.#feed.tell({ kind: 'message', message });
  }

  async #post(to: DirectReceiver, content: DirectContent['content'], patienceMs: number): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(patienceMs)]);
    const key = `${brokerAccountOf(to.id)}.dm`;
    const body = Direct.encode(this.#seal(to, content)).finish();
    await this.#host.bus.publish({ type: 'warren.chat.v1.Direct', key, body, mustRoute: true }, signal);
  }

  #seal(to: DirectReceiver, content: DirectContent['content']): Direct {
    const { keys, certificate } = this.#host;
    return sealDirect({ keys, certificate: certificate() }, to, { content, replyKey: this.#replyKey });
  }
}

function receiptOf(ids: readonly string[], isRead: boolean): Uint8Array {
  return DirectReceipt.encode({ ids: [...ids], isRead }).finish();
}
