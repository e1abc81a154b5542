import type { MemberHost } from '../bus/hosted.ts';
import type { MemberId } from '../lib/identity/member-id.ts';

const most = 10_000;
const againMs = 30_000;

/** Which account a member belongs to, for people; asked of the directory once for each, in the background. */
export class MemberNames {
  readonly #host: Pick<MemberHost, 'id' | 'account' | 'directory' | 'clock' | 'signal'>;
  readonly #known = new Map<MemberId, string>();
  readonly #askedAt = new Map<MemberId, number>();

  constructor(host: Pick<MemberHost, 'id' | 'account' | 'directory' | 'clock' | 'signal'>) {
    this.#host = host;
    this.#known.set(host.id, host.account);
  }

  /** Empty while it is not known. */
  of(member: MemberId): string {
    const name = this.#known.get(member);
    if (name === undefined) void this.learn(member);
    return name ?? '';
  }

  /** Resolves when it is known, or cannot be. */
  async learn(member: MemberId): Promise<string> {
    const known = this.#known.get(member);
    if (known !== undefined) return known;
    const { clock, directory, signal } = this.#host;
    const askedAt = this.#askedAt.get(member);
    if (askedAt !== undefined && clock() - askedAt < againMs) return '';
    if (this.#askedAt.size >= most) this.#askedAt.clear();
    if (this.#known.size >= most) this.#known.clear();
    this.#askedAt.set(member, clock());
    try {
      const { member: found } = await directory.getMember(
        { token: '', memberId: member },
        { deadlineMs: 3_000, signal },
      );
      if (found !== undefined) this.#known.set(member, found.username);
      return found?.username ?? '';
    } catch {
      return '';
    }
  }

  /** Of those that are known, all members of an account. */
  membersOf(account: string): MemberId[] {
    return [...this.#known].filter(([, name]) => name === account).map(([member]) => member);
  }
}
