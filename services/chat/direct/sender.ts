import { Direct, type DirectContent, DirectReceipt, DirectState } from '../../../proto/gen/warren/chat/v1/direct.ts';
import type { MemberHost } from '../../bus/hosted.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import { brokerAccountOf } from '../../lib/identity/member-id.ts';
import { Turns } from '../../lib/turns.ts';
import type { AddressBook } from './address-book.ts';
import { keptMs } from './bounds.ts';
import type { KeptDirect } from './message-store.ts';
import type { KeptOutgoing } from './outgoing-store.ts';
import type { DirectReceiver } from './seal.ts';
import { planSending, queuedAt, retryAt } from './sending.ts';
import type { DirectStore } from './store.ts';

export interface SenderNeeds {
  readonly host: Pick<MemberHost, 'account' | 'bus' | 'isRevoked' | 'now' | 'random' | 'warn'>;
  readonly store: DirectStore;
  readonly book: AddressBook;
  readonly seal: (to: DirectReceiver, content: DirectContent['content']) => Direct;
  /** It is in another state. */
  readonly onMessage: (message: KeptDirect) => void;
  /** Aborts when it is to end. */
  readonly signal: AbortSignal;
}

const receiversAtOnce = 8;
/** The broker's confirm is waited for so long, in milliseconds. */
const confirmMs = 30_000;
/** To address what was written while the directory was away. */
const addressAgainMs = 5_000;
/** Keys that members seal with are looked up again after so long. */
const keyMs = 600_000;
const longestMs = 3_600_000;

/**
 * Sends what is on its way. Modes: *idle* (until woken, by something new or a broker that is back, or until something is due) → *at work*
 * (addresses what is new; then to each receiver what is due, one after the other; woken meanwhile, it looks once more) → *idle*.
 */
export class Sender {
  readonly #needs: SenderNeeds;
  readonly #turns = new Turns(receiversAtOnce);
  #timer: NodeJS.Timeout | undefined;
  #atWork: Promise<void> | undefined;
  #isWoken = false;

  constructor(needs: SenderNeeds) {
    this.#needs = needs;
  }

  wake(): void {
    this.#isWoken = true;
    if (this.#needs.signal.aborted) return;
    this.#atWork ??= this.#work().finally(() => {
      this.#atWork = undefined;
    });
  }

  /** After the signal has aborted. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#atWork;
  }

  async #work(): Promise<void> {
    const { signal, host } = this.#needs;
    clearTimeout(this.#timer);
    let nextMs: number | undefined;
    while (this.#isWoken && !signal.aborted && host.bus.state === 'up') {
      this.#isWoken = false;
      try {
        nextMs = await this.#round();
      } catch (error) {
        host.warn(`private messages: ${messageOf(error)}`);
        nextMs = addressAgainMs;
      }
    }
    if (nextMs === undefined || signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wake(), Math.min(nextMs, longestMs));
    this.#timer.unref();
  }

  /** @returns milliseconds until there is something to do; undefined: nothing */
  async #round(): Promise<number | undefined> {
    const { store, host, signal } = this.#needs;
    const isAllAddressed = await this.#addressAll();
    const { send, giveUp } = planSending(store.outgoing.all(), host.now());
    for (const one of giveUp) this.#giveUp(one);
    await Promise.all(
      [...send.values()].map(chain =>
        this.#turns.take(async () => {
          for (const one of chain) if (signal.aborted || !(await this.#sendOne(one))) return;
        }),
      ),
    );
    if (signal.aborted) return undefined;
    const { nextAt } = planSending(store.outgoing.all(), host.now());
    const times = [
      ...(nextAt === undefined ? [] : [Math.max(0, nextAt - host.now())]),
      ...(isAllAddressed ? [] : [addressAgainMs]),
    ];
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** @returns false: the directory does not answer, and was not asked before */
  async #addressAll(): Promise<boolean> {
    const { store, host, book, signal } = this.#needs;
    const lookUp = async (account: string): Promise<{ id: KeptOutgoing['receiver']; account: string }[]> => {
      const found = await book.find(account, keyMs, signal).catch(() => book.known(account));
      return found.map(({ id }) => ({ id, account }));
    };
    let isAll = true;
    for (const message of store.messages.unaddressed()) {
      const theirs = await lookUp(message.peer);
      if (signal.aborted) return false;
      if (theirs.length === 0) {
        isAll = false;
        if (host.now() - message.atMs >= keptMs) {
          store.transaction(() => store.outgoing.address(message.number, [], host.now()));
          this.#advance(message.number, DirectState.DIRECT_STATE_FAILED);
        }
        continue;
      }
      const ours = await lookUp(host.account);
      store.transaction(() => store.outgoing.address(message.number, [...theirs, ...ours], host.now()));
    }
    return isAll;
  }

  /** @returns whether it is done with, and the next one may follow */
  async #sendOne(one: KeptOutgoing): Promise<boolean> {
    const { store, host, book, signal, seal } = this.#needs;
    const { number, receiver: id, account, message, attempts } = one;
    if (host.isRevoked(id)) {
      this.#giveUp(one);
      return true;
    }
    const content = this.#contentOf(one);
    if (content === undefined) {
      store.outgoing.drop(number);
      return true;
    }
    try {
      const members = await book.find(account, attempts > 0 ? 0 : keyMs, signal).catch(() => book.known(account));
      const sealingKey = members.find(each => each.id === id)?.sealingKey;
      if (sealingKey === undefined) throw new Failure('DIRECT_KEY', 'it has published no key to seal to');
      const body = Direct.encode(seal({ id, sealingKey }, content)).finish();
      await host.bus.publish(
        { type: 'warren.chat.v1.Direct', key: `${brokerAccountOf(id)}.dm`, body, mustRoute: true },
        AbortSignal.any([signal, AbortSignal.timeout(confirmMs)]),
      );
    } catch {
      // There may be no queue yet, or a full one; or it is not known what to seal to.
      if (!signal.aborted)
        store.outgoing.setAttempted(number, attempts + 1, retryAt(attempts, host.now(), host.random));
      return false;
    }
    if (message === undefined) store.outgoing.drop(number);
    else {
      store.outgoing.setQueued(number, queuedAt(host.now()));
      if (account !== host.account) this.#advance(message, DirectState.DIRECT_STATE_SENT);
    }
    return true;
  }

  #contentOf({ number, message }: KeptOutgoing): DirectContent['content'] {
    const { store } = this.#needs;
    if (message === undefined) {
      const receipt = store.outgoing.receiptOf(number);
      return receipt && { $case: 'receipt', value: DirectReceipt.decode(receipt) };
    }
    const kept = store.messages.message(message);
    // Said to be delivered meanwhile: it is not there any more.
    if (kept === undefined || !store.outgoing.has(number)) return undefined;
    const { id, peer: to, body, atMs } = kept;
    return { $case: 'text', value: { id, to, body, atMs } };
  }

  #giveUp({ number, message }: KeptOutgoing): void {
    const { store } = this.#needs;
    store.outgoing.drop(number);
    if (message !== undefined && !store.outgoing.isOnItsWay(message))
      this.#advance(message, DirectState.DIRECT_STATE_FAILED);
  }

  #advance(number: number, state: DirectState): void {
    const changed = this.#needs.store.messages.advance(number, state);
    if (changed !== undefined) this.#needs.onMessage(changed);
  }
}
