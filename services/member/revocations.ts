import type { MemberId } from '../lib/identity/member-id.ts';

/** Who is none of the network any more, as far as is known here. */
export interface Revocations {
  /** @param serial of the certificate that was shown, where one was */
  isRevoked(memberId: MemberId, serial?: string): boolean;
  /** Called once for each member that becomes revoked. @returns what ends it */
  onRevoked(listener: (memberId: MemberId) => void): () => void;
}

/** The list as the directory gives it, replaced whole. */
export class RevocationList implements Revocations {
  #members: ReadonlySet<MemberId> = new Set();
  readonly #listeners = new Set<(memberId: MemberId) => void>();

  replace(members: Iterable<MemberId>): void {
    const before = this.#members;
    this.#members = new Set(members);
    for (const memberId of this.#members)
      if (!before.has(memberId)) for (const listener of [...this.#listeners]) listener(memberId);
  }

  isRevoked(memberId: MemberId): boolean {
    return this.#members.has(memberId);
  }

  onRevoked(listener: (memberId: MemberId) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
