import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ContentKind, OfferVerdict, type Transfer, TransferPhase } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { ContentIndex } from '../../services/peer/content-index.ts';
import { Limits } from '../../services/peer/limits.ts';
import type { Contact } from '../../services/peer/locator.ts';
import type { ContentId } from '../../services/peer/merkle.ts';
import { Offers } from '../../services/peer/offers.ts';
import type { OwnTransfer } from '../../services/peer/transfer.ts';

const id = 'a'.repeat(64) as ContentId;
const [ann, bob] = ['1'.repeat(64), '2'.repeat(64)] as MemberId[] as [MemberId, MemberId];

let dir: string;
let index: ContentIndex;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-offers-'));
  index = new ContentIndex(dir);
});

afterEach(() => {
  index.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The address of a member is found when it is said so. */
function takesOffers(room = true) {
  const limits = new Limits(index, () => 0);
  limits.set({ offerQuota: 1_000 });
  const asked = new Map<MemberId, () => void>();
  const begun: { mostBytes: number; end: (state: TransferPhase) => void }[] = [];
  let running: OwnTransfer | undefined;
  const offers = new Offers({
    ...{ limits, platform: 'posix', isHeld: () => false, running: () => running, hasRoom: async () => room },
    locator: {
      known: () => [],
      locate: async () => [],
      find: async () => [],
      contactOf: member => new Promise<Contact | undefined>(resolve => asked.set(member, () => resolve(undefined))),
    },
    begin: ({ mostBytes }) => {
      const { promise, resolve } = Promise.withResolvers<Transfer>();
      const view = { state: TransferPhase.TRANSFER_PHASE_MOVING, reason: '', detail: '' } as Transfer;
      const end = (state: TransferPhase): void => {
        running = undefined;
        resolve({ ...view, state });
      };
      begun.push({ mostBytes, end });
      running = { id: 'x', done: promise, view: () => view } as OwnTransfer;
      return running;
    },
  });
  const offer = (from: MemberId, length: number) =>
    offers.take({ fileId: id, name: 'a.bin', kind: ContentKind.CONTENT_KIND_FILE, length }, from);
  return { limits, offer, begun, found: (member: MemberId) => asked.get(member)?.() };
}

test('an offer cannot begin on what another one of the same content was promised', async () => {
  const { limits, offer, begun, found } = takesOffers();
  const small = offer(ann, 1);
  // Far more than may come, while the first one is looked at.
  const large = offer(bob, 10 ** 12);
  await new Promise(resolve => setImmediate(resolve));
  found(bob);
  await new Promise(resolve => setImmediate(resolve));
  found(ann);
  expect((await small).verdict).toBe(OfferVerdict.OFFER_VERDICT_PULLING);
  expect((await large).verdict).toBe(OfferVerdict.OFFER_VERDICT_PULLING);
  expect(begun.map(({ mostBytes }) => mostBytes)).toEqual([1]);
  begun[0]?.end(TransferPhase.TRANSFER_PHASE_DONE);
  await new Promise(resolve => setImmediate(resolve));
  expect(limits.quota.used).toBe(1);
  expect((await offer(bob, 10 ** 12)).reason).toBe('QUOTA');
});
