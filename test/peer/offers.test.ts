import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
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
function takesOffers() {
  const limits = new Limits(index, () => 0);
  limits.set({ offerQuota: 1_000 });
  const asked = new Map<MemberId, () => void>();
  const begun: { mostBytes: number; isCancelled: boolean; end: (state: TransferPhase) => void }[] = [];
  const running = new Map<string, OwnTransfer>();
  const offers = new Offers({
    ...{ limits, platform: 'posix', isHeld: () => false, running: id => running.get(id), hasRoom: async () => true },
    locator: {
      known: () => [],
      locate: async () => [],
      find: async () => [],
      contactOf: member => new Promise<Contact | undefined>(resolve => asked.set(member, () => resolve(undefined))),
    },
    begin: ({ id, mostBytes }) => {
      const { promise, resolve } = Promise.withResolvers<Transfer>();
      const view = { state: TransferPhase.TRANSFER_PHASE_LOCATING, verified: 0, reason: '', detail: '' } as Transfer;
      const end = (state: TransferPhase): void => {
        running.delete(id);
        resolve({ ...view, state });
      };
      const noted = { mostBytes, end, isCancelled: false };
      begun.push(noted);
      const cancel = async (): Promise<void> => {
        noted.isCancelled = true;
        end(TransferPhase.TRANSFER_PHASE_CANCELLED);
      };
      const nothing = (): void => {};
      const transfer: OwnTransfer = {
        ...{ id, done: promise, view: () => view, cancel, close: cancel },
        ...{ pause: nothing, resume: nothing, measure: nothing },
      };
      running.set(id, transfer);
      return transfer;
    },
  });
  const offer = (from: MemberId, length: number, what = id) =>
    offers.take({ fileId: what, name: 'a.bin', kind: ContentKind.CONTENT_KIND_FILE, length }, from);
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

test('one member’s offers leave room for those of others, and what never comes is given up', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const { limits, offer, begun, found } = takesOffers();
  const offerNumber = async (from: MemberId, number: number): Promise<string> => {
    const answer = offer(from, 1, number.toString(16).padStart(64, '0') as ContentId);
    await new Promise(resolve => setImmediate(resolve));
    found(from);
    return (await answer).reason;
  };
  for (let number = 0; number < 4; number++) expect(await offerNumber(ann, number)).toBe('');
  expect(await offerNumber(ann, 4)).toBe('BUSY');
  expect(await offerNumber(bob, 5)).toBe('');
  vi.advanceTimersByTime(9 * 60_000);
  expect(begun.some(({ isCancelled }) => isCancelled)).toBe(false);
  vi.advanceTimersByTime(3 * 60_000);
  expect(begun.every(({ isCancelled }) => isCancelled)).toBe(true);
  await new Promise(resolve => setImmediate(resolve));
  expect(await offerNumber(ann, 4)).toBe('');
  expect(limits.quota.used).toBe(0);
});
