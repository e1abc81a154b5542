import { Direct, type DirectReceipt, type DirectText } from '../../../proto/gen/warren/chat/v1/direct.ts';
import type { Delivery } from '../../bus/bus.ts';
import type { MemberHost } from '../../bus/hosted.ts';
import { AttemptLimiter } from '../../lib/attempt-limiter.ts';
import { messageOf } from '../../lib/failure.ts';
import { type MemberId, memberOfBrokerAccount, shortId } from '../../lib/identity/member-id.ts';
import { maxDirectBytes } from './bounds.ts';
import type { KeyStore } from './key-store.ts';
import { openDirect } from './seal.ts';

/** Who says it, as shown by its certificate. */
export interface From {
  readonly id: MemberId;
  readonly account: string;
}

export type Received =
  | {
      readonly kind: 'text';
      readonly from: From;
      readonly text: DirectText;
      readonly sealingKey: Uint8Array;
      readonly replyKey: Uint8Array;
    }
  | { readonly kind: 'receipt'; readonly from: From; readonly receipt: DirectReceipt };

/** A week of messages comes at once to who was away; more than that of one member is a flood. */
const perSender = { burst: 20_000, refillMs: 5, maxKeys: 10_000 };
const toldAtMost = 1_000;

/** Opens what comes to this member's queue, and lets nothing through that is not from a member of the network and for this one. */
export class Receiver {
  readonly #host: Pick<MemberHost, 'id' | 'account' | 'authorityCertificate' | 'isRevoked' | 'now' | 'clock' | 'warn'>;
  readonly #keys: KeyStore;
  readonly #limiter = new AttemptLimiter(perSender);
  /** Of whom something was dropped: said once each, since it could be repeated at will. */
  readonly #told = new Set<string>();

  constructor(
    host: Pick<MemberHost, 'id' | 'account' | 'authorityCertificate' | 'isRevoked' | 'now' | 'clock' | 'warn'>,
    keys: KeyStore,
  ) {
    this.#host = host;
    this.#keys = keys;
  }

  /** @returns undefined: dropped */
  open({ type, userId, body }: Delivery): Received | undefined {
    const { id: to, account, authorityCertificate, now, clock, isRevoked } = this.#host;
    const id = userId === undefined ? undefined : memberOfBrokerAccount(userId);
    if (id === undefined || type !== 'warren.chat.v1.Direct') return undefined;
    if (isRevoked(id)) return this.#drop(id, 'it is no member any more');
    if (body.length > maxDirectBytes) return this.#drop(id, 'it is too long');
    if (this.#limiter.waitMs(id, clock()) > 0) return this.#drop(id, 'too much at once');
    this.#limiter.take(id, clock());
    try {
      const direct = Direct.decode(body);
      const privateKeyOf = (key: Uint8Array): Uint8Array | undefined => this.#keys.privateKeyOf(key);
      const opened = openDirect(direct, { from: id, to, authorityCertificate, privateKeyOf, now: now() });
      const { content, replyKey } = opened.content;
      const from = { id, account: opened.account };
      if (content?.$case === 'receipt') return { kind: 'receipt', from, receipt: content.value };
      if (content?.$case !== 'text') return undefined;
      const text = content.value;
      const isCopy = from.account === account;
      if (isCopy ? text.to === account : text.to !== account) return this.#drop(id, 'it is meant for another account');
      return { kind: 'text', from, text, sealingKey: direct.sealingKey, replyKey };
    } catch (error) {
      return this.#drop(id, messageOf(error));
    }
  }

  #drop(from: MemberId, why: string): undefined {
    if (this.#told.has(from) || this.#told.size >= toldAtMost) return undefined;
    this.#told.add(from);
    this.#host.warn(`private messages: dropped what member ${shortId(from)} sent, and will again: ${why}`);
    return undefined;
  }
}
