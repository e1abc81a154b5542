import { messageOf } from '../lib/failure.ts';
import { type MemberId, shortId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { ContentIndex } from './content-index.ts';
import type { FoundContent, Locator } from './locator.ts';
import type { ContentId } from './merkle.ts';

/** What the ring is to files: who has said that they have one. */
export interface Ring {
  /** Says so now and again and again, until `withdraw`; also when the first time fails. */
  provide(id: string): Promise<void>;
  withdraw(id: string): Promise<void>;
  providers(id: string): Promise<readonly MemberId[]>;
}

/** Where to look for who has a file. */
export type Locate = 'directory' | 'ring' | 'both';

/**
 * Files by their id are looked for in the ring, in the directory, or in both at once, where one that answers is enough; names and
 * words the directory alone knows.
 */
export function createLocator(
  { directory, ring, own }: { directory: Locator; ring: Ring | undefined; own: MemberId },
  locate: Locate,
): Locator {
  if (ring === undefined || locate === 'directory') return directory;

  const inRing = async (id: ContentId): Promise<FoundContent[]> => {
    const members = (await ring.providers(id)).filter(member => member !== own);
    if (members.length === 0)
      throw new CallFailure('NOT_FOUND', 'RING_NO_SOURCE', 'nobody says in the ring that they have this file');
    const found = members.map(async memberId => {
      const known = await directory.contactOf(memberId);
      // The ring knows no names: it is called by its id, unless whoever gets it says how.
      return { id, path: id, contact: known ?? { memberId, name: shortId(memberId), addresses: [] } };
    });
    return Promise.all(found);
  };

  const inBoth = async (id: ContentId, signal?: AbortSignal): Promise<FoundContent[]> => {
    const [first, second] = await Promise.allSettled([directory.locate(id, signal), inRing(id)]);
    const found = [first, second].flatMap(each => (each.status === 'fulfilled' ? each.value : []));
    if (found.length === 0 && first.status === 'rejected') throw first.reason;
    const byMember = new Map<MemberId, FoundContent>();
    for (const each of found) if (!byMember.has(each.contact.memberId)) byMember.set(each.contact.memberId, each);
    return [...byMember.values()];
  };

  return {
    ...directory,
    locate: locate === 'ring' ? inRing : inBoth,
    find: (name, signal) =>
      directory.find(name, signal).catch(error => {
        if (error instanceof CallFailure && error.status !== 'UNAVAILABLE' && error.status !== 'DEADLINE_EXCEEDED')
          throw error;
        const why = `names are looked up in the directory, which cannot be asked (${messageOf(error)}); by its id a file is found over the ring`;
        throw new CallFailure('UNAVAILABLE', 'PEER_NAMES', why, { cause: error });
      }),
  };
}

/** More are not told to the ring, which would have to hear of each again every few minutes. */
const mostProvided = 1_000;
const atOnce = 4;

/** Tells the ring what is held, as it changes. */
export class Provider {
  readonly #ring: Ring;
  readonly #index: ContentIndex;
  readonly #warn: (line: string) => void;
  readonly #told = new Set<ContentId>();
  #hasNews = false;
  #running: Promise<void> | undefined;
  #isClosed = false;
  #said = '';

  constructor(needs: { ring: Ring; index: ContentIndex; warn: (line: string) => void }) {
    this.#ring = needs.ring;
    this.#index = needs.index;
    this.#warn = needs.warn;
  }

  /** The index may have changed. */
  look(): void {
    this.#hasNews = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#hasNews && !this.#isClosed) {
      this.#hasNews = false;
      const held = this.#held();
      const gone = [...this.#told].filter(id => !held.has(id));
      const come = [...held].filter(id => !this.#told.has(id));
      for (const id of gone) this.#told.delete(id);
      for (const id of come) this.#told.add(id);
      await this.#each(gone, id => this.#ring.withdraw(id));
      await this.#each(come, id => this.#ring.provide(id));
    }
  }

  async #each(ids: ContentId[], act: (id: ContentId) => Promise<void>): Promise<void> {
    const next = async (): Promise<void> => {
      for (let id = ids.shift(); id !== undefined && !this.#isClosed; id = ids.shift()) {
        try {
          await act(id);
        } catch (error) {
          // The ring tries again by itself.
          const line = `not told to the ring yet: ${messageOf(error)}`;
          if (line !== this.#said) this.#warn(`files: ${line}`);
          this.#said = line;
        }
      }
    };
    await Promise.all(Array.from({ length: atOnce }, next));
  }

  #held(): Set<ContentId> {
    const held = new Set<ContentId>();
    for (let after = ''; ; ) {
      const page = this.#index.listFiles(after, mostProvided);
      for (const { id } of page) {
        if (held.size >= mostProvided) return held;
        held.add(id);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < mostProvided) return held;
      after = last.path;
    }
  }
}
