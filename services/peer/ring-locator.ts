import { Failure, messageOf } from '../lib/failure.ts';
import { type MemberId, shortId } from '../lib/identity/member-id.ts';
import { pause } from '../lib/pause.ts';
import { remember } from '../lib/remember.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import { type Contact, type FoundContent, isAway, isNowhere, type Locate, type Locator } from './locator.ts';
import type { ContentId } from './merkle.ts';
import { refusalOfPath } from './share-path.ts';

/** What the ring is to files. */
export interface Ring {
  /** This member has it, from now on until `retract`; the ring is told soon, and again and again. @throws Failure of one that is too many */
  announce(id: string, name: string): void;
  retract(id: string): void;
  /** Who has said so, and what it calls it. @throws Failure when the ring cannot be asked */
  providers(id: string): Promise<readonly { memberId: MemberId; addresses: readonly string[]; name: string }[]>;
  /** Where a member can be dialled. @throws as `providers` */
  addressesOf(member: MemberId): Promise<readonly string[] | undefined>;
}

/** How long the ring may take. Milliseconds. */
const ringMs = 4_000;
/** How long the directory may take when the ring knows somebody already: it knows names, and who is there. */
const graceMs = 200;
/** Ids that are remembered; beyond it those that were asked for longest ago go. */
const remembered = 10_000;

/**
 * Files by their ids are looked for in the directory, in the ring, or in both at once, where one that answers is enough; the ring is asked for
 * nothing that the directory would have to answer first. Names and words the directory alone knows.
 */
export function createLocator(
  { directory, ring, own }: { directory: Locator; ring: Ring; own: MemberId },
  usual: Locate,
): Locator {
  const byRing = new Map<ContentId, readonly FoundContent[]>();

  const inRing = async (id: ContentId): Promise<readonly FoundContent[]> => {
    const providers = await soonEnough(ring.providers(id));
    const found = providers
      .filter(({ memberId }) => memberId !== own)
      .map(({ memberId, addresses, name }): FoundContent => {
        const isName = !name.includes('/') && refusalOfPath(name, 'posix') === undefined;
        return { id, path: isName ? name : id, contact: { memberId, name: shortId(memberId), addresses } };
      });
    byRing.delete(id);
    if (found.length === 0)
      throw new CallFailure('NOT_FOUND', 'RING_FILE', 'nobody says on the ring that they have this file');
    remember(byRing, id, found, remembered);
    return found;
  };

  const inBoth = async (id: ContentId, signal?: AbortSignal): Promise<readonly FoundContent[]> => {
    const came: { directory?: readonly FoundContent[]; ring?: readonly FoundContent[] } = {};
    const asked = [
      directory.locate(id, signal).then(found => {
        came.directory = found;
      }),
      inRing(id).then(found => {
        came.ring = found;
      }),
    ];
    const all = Promise.allSettled(asked);
    try {
      await Promise.any(asked);
    } catch {
      const [ofDirectory, ofRing] = (await all).map(each => (each.status === 'rejected' ? each.reason : undefined));
      throw neither(ofDirectory, ofRing);
    }
    if (came.directory === undefined) await within(all, graceMs);
    return onceEach(came.ring, came.directory);
  };

  return {
    known: id => onceEach(byRing.get(id), directory.known(id)),
    locate(id, signal, where = usual) {
      if (where === 'both') return inBoth(id, signal);
      return where === 'ring' ? inRing(id) : directory.locate(id, signal);
    },
    find: (name, signal) => directory.find(name, signal),
    async contactOf(memberId) {
      if (usual === 'directory') return directory.contactOf(memberId);
      const found = directory.contactOf(memberId);
      const soon = await within(found, usual === 'ring' ? 0 : graceMs);
      if (soon !== undefined) return soon;
      const asked = ring.addressesOf(memberId).catch(() => undefined);
      const addresses = await within(asked, ringMs);
      const contact: Contact | undefined = addresses && { memberId, name: shortId(memberId), addresses };
      return contact ?? found;
    },
  };
}

/** Each member once; what the directory says of it goes before. */
function onceEach(ring: readonly FoundContent[] = [], directory: readonly FoundContent[] = []): FoundContent[] {
  return [...new Map([...ring, ...directory].map(each => [each.contact.memberId, each])).values()];
}

/** Undefined when it takes longer; what it does goes on. */
async function within<T>(act: Promise<T>, ms: number): Promise<T | undefined> {
  const over = new AbortController();
  try {
    return await Promise.race([act, pause(ms, over.signal).then(() => undefined)]);
  } finally {
    over.abort();
  }
}

/** @throws CallFailure RING_AWAY */
async function soonEnough<T extends object>(act: Promise<T>): Promise<T> {
  const found = await within(act, ringMs).catch(error => {
    if (error instanceof CallFailure || !(error instanceof Failure)) throw error;
    throw new CallFailure('UNAVAILABLE', 'RING_AWAY', `the ring cannot be asked: ${error.message}`, { cause: error });
  });
  if (found === undefined) throw new CallFailure('UNAVAILABLE', 'RING_AWAY', 'the ring has not answered yet');
  return found;
}

/** What is said when neither knew: who can be asked goes before who cannot. */
function neither(ofDirectory: unknown, ofRing: unknown): unknown {
  if (!isAway(ofDirectory) || isAway(ofRing) || !isNowhere(ofRing)) return ofDirectory;
  const why = `nobody says on the ring that they have this file, and the directory cannot be asked (${messageOf(ofDirectory)})`;
  return new CallFailure('NOT_FOUND', 'RING_FILE', why, { cause: ofDirectory });
}
