import type { FileSource } from '../../proto/gen/warren/directory/v1/files.ts';
import type { MemberHost } from '../bus/hosted.ts';
import { messageOf } from '../lib/failure.ts';
import { isMemberId, type MemberId, shortId } from '../lib/identity/member-id.ts';
import { remember } from '../lib/remember.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import { type Contact, type FoundContent, isAway, type Locator } from './locator.ts';
import { type ContentId, isContentId } from './merkle.ts';

const patienceMs = 5_000;
/** Names and ids that are remembered; beyond it those that were asked for longest ago go. */
const remembered = 10_000;
/** A member's addresses are taken as they are for so long, in milliseconds. */
const freshMs = 10_000;

type Needs = Pick<MemberHost, 'directory' | 'id' | 'clock'>;

/** Asks the directory, and remembers what it said for when it is away. */
export function createDirectoryLocator({ directory, id: own, clock }: Needs): Locator {
  const byId = new Map<ContentId, readonly FoundContent[]>();
  const byName = new Map<string, readonly FoundContent[]>();
  const contacts = new Map<MemberId, { contact: Contact; at: number }>();

  const take = (sources: readonly FileSource[]): FoundContent[] =>
    sources.flatMap(({ peerId, username, addresses, file }) => {
      if (!isMemberId(peerId) || file === undefined || !isContentId(file.id)) return [];
      const contact = { memberId: peerId, name: username, addresses: addresses.slice(0, 16) };
      remember(contacts, peerId, { contact, at: clock() }, remembered);
      return peerId === own ? [] : [{ id: file.id, path: file.name, contact }];
    });

  const ask = async (file: string, signal?: AbortSignal): Promise<FoundContent[]> => {
    const request = { token: '', file, all: true };
    const { sources } = await directory.download(request, {
      deadlineMs: patienceMs,
      ...(signal === undefined ? {} : { signal }),
    });
    const found = take(sources);
    if (found.length === 0)
      throw new CallFailure('NOT_FOUND', 'DIRECTORY_NO_SOURCE', 'nobody else who has this file is there now');
    for (const each of found) {
      const others = (byId.get(each.id) ?? []).filter(({ contact }) => contact.memberId !== each.contact.memberId);
      remember(byId, each.id, [...others, each].slice(-100), remembered);
    }
    return found;
  };

  return {
    known: id => byId.get(id) ?? [],
    locate: (id, signal) => ask(id, signal),
    async find(name, signal) {
      try {
        const found = await ask(name, signal);
        remember(byName, name, found, remembered);
        return found;
      } catch (error) {
        const before = byName.get(name);
        // That it says so itself is another thing.
        if (before === undefined || (error instanceof CallFailure && error.status === 'NOT_FOUND'))
          throw onlyDirectoryKnows(error);
        return before;
      }
    },
    async contactOf(memberId) {
      const before = contacts.get(memberId);
      if (before !== undefined && clock() - before.at < freshMs) return before.contact;
      try {
        const { member } = await directory.getMember({ token: '', memberId }, { deadlineMs: patienceMs });
        if (member === undefined) return before?.contact;
        const contact = { memberId, name: member.username || shortId(memberId), addresses: member.addresses };
        remember(contacts, memberId, { contact, at: clock() }, remembered);
        return contact;
      } catch {
        return before?.contact;
      }
    },
  };
}

/** Says of names and words why nothing is found while the directory is away. */
export function onlyDirectoryKnows(error: unknown): unknown {
  if (!isAway(error)) return error;
  const why = `names need the directory, which cannot be asked now (${messageOf(error)}); by its id a file is found over the ring`;
  return new CallFailure('UNAVAILABLE', 'PEER_NAMES', why, { cause: error });
}
