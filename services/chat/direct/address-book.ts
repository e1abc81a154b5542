import type { Member } from '../../../proto/gen/warren/directory/v1/directory.ts';
import type { MemberHost } from '../../bus/hosted.ts';
import { isSignedBy, memberIdOf } from '../../lib/identity/keys.ts';
import { isMemberId } from '../../lib/identity/member-id.ts';
import type { Correspondent, CorrespondentChange } from './correspondents.ts';
import type { KeyStore } from './key-store.ts';

export interface AddressBookNeeds {
  readonly host: Pick<MemberHost, 'id' | 'directory' | 'isRevoked' | 'now' | 'clock'>;
  readonly keys: KeyStore;
  readonly onChange: (change: CorrespondentChange) => void;
}

/** The directory is asked for one account at a time, and not for longer than this, in milliseconds. */
const patienceMs = 5_000;
const pagesAtMost = 20;

/**
 * Which members an account has, and what they are sealed to: as the directory says, and while it is away as it said last. What a key is
 * signed with is checked; that there are others than before is told.
 */
export class AddressBook {
  readonly #needs: AddressBookNeeds;
  /** When each account was asked for, by the monotonic clock. */
  readonly #foundAt = new Map<string, number>();
  readonly #finding = new Map<string, Promise<readonly Correspondent[]>>();

  constructor(needs: AddressBookNeeds) {
    this.#needs = needs;
  }

  /**
   * This member itself not among them.
   * @param maxAgeMs what was found so long ago will do
   * @throws CallFailure or Failure: the directory does not answer
   */
  async find(account: string, maxAgeMs: number, signal: AbortSignal): Promise<readonly Correspondent[]> {
    const at = this.#foundAt.get(account);
    if (at !== undefined && this.#needs.host.clock() - at <= maxAgeMs) return this.known(account);
    const asking =
      this.#finding.get(account) ??
      this.#ask(account, signal).finally(() => {
        this.#finding.delete(account);
      });
    this.#finding.set(account, asking);
    return await asking;
  }

  /** As found last. */
  known(account: string): readonly Correspondent[] {
    return this.#needs.keys.membersOf(account).filter(({ id }) => !this.#needs.host.isRevoked(id));
  }

  async #ask(account: string, signal: AbortSignal): Promise<readonly Correspondent[]> {
    const { host, keys, onChange } = this.#needs;
    const found: Correspondent[] = [];
    let after = '';
    for (let page = 0; page < pagesAtMost; page++) {
      const { members, next } = await host.directory.listMembers(
        { token: '', after, username: account },
        { deadlineMs: patienceMs, signal },
      );
      for (const member of members) {
        const one = member.username === account ? correspondentIn(member) : undefined;
        if (one !== undefined && one.id !== host.id && !host.isRevoked(one.id)) found.push(one);
      }
      after = next;
      if (after === '') break;
    }
    this.#foundAt.set(account, host.clock());
    const change = keys.setMembers(account, found, host.now());
    if (change !== undefined) onChange(change);
    return this.known(account);
  }
}

/** @returns undefined: not a member's description */
function correspondentIn({ memberId, publicKey, sealingKey, sealingKeySignature }: Member): Correspondent | undefined {
  const raw = Buffer.from(publicKey, 'base64url');
  if (!isMemberId(memberId) || memberIdOf(raw) !== memberId) return undefined;
  return { id: memberId, sealingKey: keyIn(raw, sealingKey, sealingKeySignature) };
}

/** What the member has not signed is not its key. */
function keyIn(publicKey: Uint8Array, text: string, signature: string): Uint8Array | undefined {
  const key = Buffer.from(text, 'base64url');
  const isSigned = isSignedBy(publicKey, sealingKeyContext, key, Buffer.from(signature, 'base64url'));
  return key.length === 32 && isSigned ? key : undefined;
}

/** What members sign their sealing keys as, for the directory. */
export const sealingKeyContext = 'warren.directory.v1.SealingKey';
