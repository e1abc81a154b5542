import type { MemberHost } from '../bus/hosted.ts';
import { Failure } from '../lib/failure.ts';
import type { DownloadPlace } from './download-file.ts';
import type { Limits } from './limits.ts';
import type { Contact, Locate, Locator } from './locator.ts';
import type { ContentId } from './merkle.ts';
import { SwarmService } from './piece-frame.ts';
import { fetchSmall, type SmallArrived, type SmallWanted } from './small-pull.ts';

export interface SmallPullsNeeds {
  readonly host: Pick<MemberHost, 'id' | 'dial' | 'warn'>;
  readonly place: DownloadPlace;
  readonly locator: Locator;
  readonly limits: Limits;
}

/** What came of a batch, and from whom. */
export interface SmallBrought<W extends SmallWanted> {
  readonly arrived: readonly SmallArrived<W>[];
  readonly from: Contact;
  readonly isRelayed: boolean;
}

export interface SmallFolder {
  readonly id: ContentId;
  readonly from: readonly Contact[];
  readonly transferId: string;
  /** As of `PullRequest`. */
  readonly where?: Locate | undefined;
}

/** Asks those who have a folder for what is small in it, in batches: a short way, beside which the ordinary one stays. */
export class SmallPulls {
  readonly #needs: SmallPullsNeeds;
  readonly #folder: SmallFolder;
  readonly #distrusted = new Set<string>();
  #contacts: Promise<readonly Contact[]> | undefined;
  #turn = 0;

  constructor(needs: SmallPullsNeeds, folder: SmallFolder) {
    this.#needs = needs;
    this.#folder = folder;
  }

  /** Gives what can be had now, and ends without the rest: what is in the way is met again, and told, on the ordinary one. */
  async *obtain<W extends SmallWanted>(wanted: readonly W[], signal: AbortSignal): AsyncGenerator<SmallBrought<W>> {
    const { host, place, limits } = this.#needs;
    const { transferId } = this.#folder;
    const left = new Map(wanted.map(each => [each.id, each]));
    const pace = (bytes: number): Promise<unknown> => limits.pace('down', bytes, signal);
    this.#contacts ??= this.#locate(signal);
    const contacts = await this.#contacts;
    if (signal.aborted) {
      // Called off, it may have found nobody for that alone.
      this.#contacts = undefined;
      return;
    }
    const first = this.#turn++;
    for (const at of contacts.keys()) {
      const from = contacts[(first + at) % contacts.length];
      if (left.size === 0 || signal.aborted) return;
      if (from === undefined || this.#distrusted.has(from.memberId)) continue;
      try {
        const link = await host.dial(from.memberId, from.addresses);
        const client = link.client(SwarmService);
        for await (const arrived of fetchSmall(client, { place, transferId, pace }, [...left.values()], signal)) {
          for (const { wanted: each } of arrived) left.delete(each.id);
          yield { arrived, from, isRelayed: link.way === 'broker' };
        }
      } catch (error) {
        if (signal.aborted || !(error instanceof Failure)) return;
        if (error.code.startsWith('PEER_DISK') || error.code.startsWith('PEER_PATH')) return;
        // Several batches can be at one source.
        if (error.code !== 'PEER_WRONG' || this.#distrusted.has(from.memberId)) continue;
        this.#distrusted.add(from.memberId);
        host.warn(
          `member ${from.memberId} is out for small files of ${this.#folder.id.slice(0, 12)}: ${error.message}`,
        );
      }
    }
  }

  async #locate(signal: AbortSignal): Promise<readonly Contact[]> {
    const { locator, host } = this.#needs;
    const { id, from, where } = this.#folder;
    const located = await locator.locate(id, signal, where).catch(() => []);
    const found = [...from, ...[...locator.known(id), ...located].map(({ contact }) => contact)];
    // The last word on where somebody is counts.
    const contacts = new Map(found.map(contact => [contact.memberId, contact]));
    contacts.delete(host.id);
    return [...contacts.values()];
  }
}
