import { Announcement, IndexChanges } from '../../proto/gen/warren/directory/v1/announcement.ts';
import { SharedFile } from '../../proto/gen/warren/directory/v1/files.ts';
import type { Delivery, Outgoing } from '../bus/bus.ts';
import { Failure } from '../lib/failure.ts';
import { isSignedBy, type MemberKeys, memberIdOf, signAs } from '../lib/identity/keys.ts';
import { type MemberId, memberOfBrokerAccount } from '../lib/identity/member-id.ts';
import { mistakeIn } from '../lib/rest/mistake.ts';
import type { Changes } from './file-index.ts';
import { changesLimit, indexChanges } from './shared-file.ts';

const type = 'warren.directory.v1.Announcement';
const bytesLimit = 1024 * 1024;
/** For what is around the changes: key, signature, lengths. */
const aroundBytes = 1024;

/** Who announces, as both the broker and the signature say. @throws Failure ANNOUNCEMENT_FORGED, ANNOUNCEMENT_BYTES */
export function openAnnouncement(delivery: Delivery): { memberId: MemberId; changes: Uint8Array } {
  const memberId = memberOfBrokerAccount(delivery.userId ?? '');
  if (memberId === undefined) throw forged('it was not sent by a member');
  if (delivery.key !== memberId) throw forged('its routing key is of somebody else');
  if (delivery.type !== type) throw malformed('it is no announcement');
  if (delivery.body.length > bytesLimit) throw malformed(`it is over ${bytesLimit} bytes`);
  const { publicKey, changes, signature } = decoded(Announcement, delivery.body);
  if (memberIdOf(publicKey) !== memberId) throw forged('its key is of somebody else');
  if (!isSignedBy(publicKey, type, changes, signature)) throw forged('its signature is false');
  return { memberId, changes };
}

/** @throws Failure ANNOUNCEMENT_BYTES, in words for who announced */
export function parseChanges(bytes: Uint8Array): Changes {
  const { success, data, error } = indexChanges.safeParse(decoded(IndexChanges, bytes));
  if (!success) throw malformed(mistakeIn(error));
  return data;
}

function decoded<T>(codec: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T {
  try {
    return codec.decode(bytes);
  } catch (cause) {
    throw new Failure('ANNOUNCEMENT_BYTES', 'it cannot be decoded', { cause });
  }
}

function forged(reason: string): Failure {
  return new Failure('ANNOUNCEMENT_FORGED', reason);
}

function malformed(reason: string): Failure {
  return new Failure('ANNOUNCEMENT_BYTES', reason);
}

/** What a member publishes; the counter must be on its disk before. Persistent: await the broker's confirm. */
export function announcementOf(keys: MemberKeys, changes: IndexChanges): Outgoing {
  const bytes = IndexChanges.encode(changes).finish();
  const body = Announcement.encode({
    publicKey: Buffer.from(keys.publicKey),
    changes: Buffer.from(bytes),
    signature: Buffer.from(signAs(keys, type, bytes)),
  }).finish();
  return { type, key: keys.id, body };
}

/** All that a member shares, in parts that may be announced in any order; one part when it shares nothing. */
export function snapshotOf(counter: number, files: readonly SharedFile[]): IndexChanges[] {
  const slices = sliced(files, file => SharedFile.encode(file).finish().length);
  if (slices.length === 0) slices.push([]);
  return slices.map((slice, part) => ({
    counter,
    files: slice,
    removed: [],
    snapshot: { part, parts: slices.length },
  }));
}

/** What changed, in as many announcements as it takes. @param nextCounter gives each time a higher one, that is on disk */
export function deltasOf(
  nextCounter: () => number,
  { files, removed }: { files: readonly SharedFile[]; removed: readonly string[] },
): IndexChanges[] {
  const all = [...removed, ...files];
  const slices = sliced(all, change =>
    typeof change === 'string' ? Buffer.byteLength(change) : SharedFile.encode(change).finish().length,
  );
  return slices.map(slice => ({
    counter: nextCounter(),
    files: slice.filter(change => typeof change !== 'string'),
    removed: slice.filter(change => typeof change === 'string'),
    snapshot: undefined,
  }));
}

/** Into pieces that an announcement has room for. */
function sliced<T>(items: readonly T[], sizeOf: (item: T) => number): T[][] {
  const slices: T[][] = [];
  let room = 0;
  for (const item of items) {
    // Tag and length before each.
    const bytes = sizeOf(item) + 4;
    const last = slices.at(-1);
    if (last === undefined || last.length === changesLimit || bytes > room) {
      slices.push([item]);
      room = bytesLimit - aroundBytes - bytes;
    } else {
      last.push(item);
      room -= bytes;
    }
  }
  return slices;
}
