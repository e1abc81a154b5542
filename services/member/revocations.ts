import { X509Certificate } from 'node:crypto';
import { Revocation, RevokedMember } from '../../proto/gen/warren/directory/v1/membership.ts';
import type { Bus } from '../bus/bus.ts';
import { keepConsuming } from '../bus/keep-consuming.ts';
import { membershipClient } from '../directory/client.ts';
import { revokedContext } from '../directory/revoke.ts';
import { messageOf } from '../lib/failure.ts';
import { isSignedBy, rawKeyOf } from '../lib/identity/keys.ts';
import { isMemberId, type MemberId } from '../lib/identity/member-id.ts';

export interface RevocationsNeeds {
  /** Of role `member`. Stays the caller's to close, after this. */
  readonly bus: Bus;
  /** PEM: whose signature counts. */
  readonly authorityCertificate: string;
  /** The directory's broker account; not given: anybody's answers, which the signature has to vouch for. */
  readonly directoryAccount?: string | undefined;
  /** From before; nobody is told of those again. */
  readonly known?: readonly Revocation[];
  readonly warn: (line: string) => void;
}

/** Raw, 32 bytes. @param certificate of the authority, PEM */
export function authorityKeyOf(certificate: string): Uint8Array {
  return rawKeyOf(new X509Certificate(certificate).publicKey);
}

/** Between two looks at the list, in milliseconds: what was said on the bus may have been lost. */
const everyMs = 60_000;

/** What a revocation says; undefined: the authority has not said it. @param authorityKey raw, 32 bytes */
export function revokedBy(
  authorityKey: Uint8Array,
  { revoked, signature }: Revocation,
): { memberId: MemberId; serials: readonly string[]; revokedAtMs: number } | undefined {
  if (!isSignedBy(authorityKey, revokedContext, revoked, signature)) return undefined;
  const { memberId, serials, revokedAtMs } = RevokedMember.decode(revoked);
  return isMemberId(memberId) ? { memberId, serials, revokedAtMs } : undefined;
}

/**
 * Who is a member no longer: heard on the bus as it happens, and asked of the directory whenever the bus comes up, so that whoever
 * was away knows as well. Only what the authority has signed counts. It is never taken back.
 */
export class Revocations {
  readonly #needs: RevocationsNeeds;
  readonly #authorityKey: Uint8Array;
  readonly #members = new Set<MemberId>();
  readonly #serials = new Set<string>();
  readonly #listeners = new Set<(id: MemberId, proof: Revocation) => void>();
  readonly #closed = new AbortController();
  #last = 0;
  #asking: Promise<void> | undefined;
  #told = '';
  readonly #ends: (() => unknown)[] = [];

  constructor(needs: RevocationsNeeds) {
    this.#needs = needs;
    this.#authorityKey = authorityKeyOf(needs.authorityCertificate);
    for (const proof of needs.known ?? []) this.#take(proof);
  }

  /** Hears, and asks for the list when there is a broker. Does not wait for it. */
  start(): void {
    const { bus } = this.#needs;
    const hearing = keepConsuming(bus, () =>
      bus.consume(
        { name: '', exclusive: true, why: 'revocations as they happen; the list is asked for on each connection' },
        ({ type, body }) => {
          if (type === 'warren.directory.v1.Revocation') this.#hear(body);
          return 'ack';
        },
        { noAck: true, bindings: () => [{ exchange: 'directory.events', key: 'revoked' }] },
      ),
    );
    const off = bus.onState(state => {
      if (state === 'up') void this.refresh();
    });
    const timer = setInterval(() => void this.refresh(), everyMs);
    this.#ends.push(
      off,
      () => clearInterval(timer),
      () => void hearing.close(),
    );
    if (bus.state === 'up') void this.refresh();
  }

  isRevoked = (serial: string): boolean => this.#serials.has(serial);

  isRevokedMember = (id: MemberId): boolean => this.#members.has(id);

  /** Called once for each that becomes known from now on. @returns ends it */
  onRevoked(listener: (id: MemberId, proof: Revocation) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks for what is new on the list. Failures are told once, and tried again. */
  refresh(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const { bus, directoryAccount, warn } = this.#needs;
    const client = membershipClient(bus, directoryAccount === undefined ? {} : { from: directoryAccount });
    const { signal } = this.#closed;
    try {
      for (;;) {
        const { revocations } = await client.listRevocations({ after: this.#last }, { signal });
        const before = this.#last;
        for (const each of revocations) if (this.#take(each)) this.#last = Math.max(this.#last, each.number);
        if (revocations.length === 0 || this.#last === before) break;
      }
      this.#told = '';
    } catch (error) {
      const line = messageOf(error);
      if (!signal.aborted && line !== this.#told) warn(`cannot ask for the list of revocations: ${line}`);
      this.#told = line;
    }
  }

  /** What is heard may have holes before it: `#last` counts only what the list said. */
  #hear(body: Uint8Array): void {
    try {
      this.#take(Revocation.decode(body));
    } catch {
      // Whoever may publish there, it was not the directory.
    }
  }

  #take(proof: Revocation): boolean {
    const shown = revokedBy(this.#authorityKey, proof);
    if (shown === undefined) return false;
    const { memberId, serials } = shown;
    for (const serial of serials) this.#serials.add(serial);
    if (this.#members.has(memberId)) return true;
    this.#members.add(memberId);
    for (const listener of [...this.#listeners]) listener(memberId, proof);
    return true;
  }

  close(): void {
    this.#closed.abort();
    for (const end of this.#ends.splice(0)) end();
  }
}
