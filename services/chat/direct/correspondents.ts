import type { MemberId } from '../../lib/identity/member-id.ts';

/** A member of an account that messages go to. */
export interface Correspondent {
  readonly id: MemberId;
  /** X25519, raw, signed by it; undefined: it has published none. */
  readonly sealingKey: Uint8Array | undefined;
}

/** The members behind an account are others than before: people are told, because one of them could be somebody else's. */
export interface CorrespondentChange {
  readonly account: string;
  readonly added: readonly MemberId[];
  readonly removed: readonly MemberId[];
}

/**
 * Keys that members seal with may change at any time, signed by what makes the member; which members there are may not, without that
 * somebody hears of it. @returns undefined at the first look, and when they are the same
 */
export function changeOf(
  account: string,
  known: ReadonlySet<MemberId>,
  found: readonly Correspondent[],
): CorrespondentChange | undefined {
  if (known.size === 0) return undefined;
  const now = new Set(found.map(({ id }) => id));
  const added = [...now].filter(id => !known.has(id));
  const removed = [...known].filter(id => !now.has(id));
  return added.length + removed.length === 0 ? undefined : { account, added, removed };
}
