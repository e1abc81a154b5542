import { describe, expect, test, vi } from 'vitest';
import { Failure } from '../../services/lib/failure.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { CallFailure } from '../../services/lib/rpc/call-failure.ts';
import type { FoundContent, Locate, Locator } from '../../services/peer/locator.ts';
import type { ContentId } from '../../services/peer/merkle.ts';
import { createLocator, type Ring } from '../../services/peer/ring-locator.ts';

const id = 'f'.repeat(64) as ContentId;
const [own, ann, bob] = ['0', 'a', 'b'].map(digit => digit.repeat(64)) as [MemberId, MemberId, MemberId];
const never = new Promise<never>(() => {});

const byDirectory: FoundContent = {
  id,
  path: 'papers/a.pdf',
  contact: { memberId: ann, name: 'ann', addresses: ['10.0.0.1:1'] },
};
const byRing = { memberId: bob, addresses: ['10.0.0.2:2'], name: 'b.pdf' };
const inRing = { id, path: 'b.pdf', contact: { memberId: bob, name: bob.slice(0, 12), addresses: ['10.0.0.2:2'] } };
const away = new CallFailure('DEADLINE_EXCEEDED', 'CALL_DEADLINE', 'no answer within 5 s');
const unknown = new CallFailure('NOT_FOUND', 'DIRECTORY_FILE', 'no peer shares such a file');

function locatorOf(
  { directory, ring, contact }: Partial<{ directory: unknown; ring: unknown; contact: unknown }>,
  usual: Locate = 'both',
): Locator {
  const given = async <T>(what: unknown): Promise<T> => {
    if (what instanceof Error) throw what;
    return what as T;
  };
  const asDirectory: Locator = {
    known: () => [],
    locate: () => given(directory ?? never),
    find: () => given(directory ?? never),
    contactOf: () => given(contact ?? never),
  };
  const asRing: Ring = {
    announce: () => {},
    retract: () => {},
    providers: () => given(ring ?? never),
    addressesOf: async member => (member === bob ? ['10.0.0.2:2'] : undefined),
  };
  return createLocator({ directory: asDirectory, ring: asRing, own }, usual);
}

describe('looking in both', () => {
  test('finds over the ring while the directory does not answer, at once', async () => {
    const locator = locatorOf({ ring: [byRing] });
    expect(await locator.locate(id)).toEqual([inRing]);
    expect(locator.known(id)).toEqual([inRing]);
  });

  test('finds in the directory while the ring does not answer', async () => {
    expect(await locatorOf({ directory: [byDirectory] }).locate(id)).toEqual([byDirectory]);
  });

  test('finds what either knows, and goes by the directory where both do', async () => {
    const ring = [byRing, { ...byRing, memberId: ann, name: 'other.pdf' }];
    const found = await locatorOf({ directory: new Promise(done => setTimeout(done, 20, [byDirectory])), ring }).locate(
      id,
    );
    expect(found).toEqual(expect.arrayContaining([byDirectory, inRing]));
    expect(found).toHaveLength(2);
  });

  test('ends when nobody has it, as each that can be asked says', async () => {
    await expect(locatorOf({ directory: unknown, ring: [] }).locate(id)).rejects.toBe(unknown);
    await expect(locatorOf({ directory: away, ring: [] }).locate(id)).rejects.toMatchObject({
      code: 'RING_FILE',
      message: expect.stringMatching(/on the ring.+the directory cannot be asked \(no answer within 5 s\)$/),
    });
    await expect(locatorOf({ directory: away, ring: new Failure('OUTSIDE', 'x') }).locate(id)).rejects.toBe(away);
    await expect(locatorOf({ directory: unknown, ring: new Failure('OUTSIDE', 'x') }).locate(id)).rejects.toBe(unknown);
  });
});

test('one way alone is asked when it is told so, whatever the member is set to', async () => {
  const locator = locatorOf({ directory: [byDirectory], ring: [byRing] }, 'directory');
  expect(await locator.locate(id)).toEqual([byDirectory]);
  expect(await locator.locate(id, undefined, 'ring')).toEqual([inRing]);
  expect(await locatorOf({ directory: [byDirectory], ring: [byRing] }, 'ring').locate(id)).toEqual([inRing]);
});

test('over the ring this member is no source, and what cannot be a file name is none', async () => {
  const names = ['', '..', 'a/b', 'a\0b'];
  const ring = [
    { ...byRing, memberId: own },
    ...names.map((name, at) => ({ ...byRing, memberId: `${at}`.padEnd(64, 'c'), name })),
  ];
  const found = await locatorOf({ ring }).locate(id, undefined, 'ring');
  expect(found.map(({ path }) => path)).toEqual(names.map(() => id));
});

test('a ring that does not answer is waited for no longer than four seconds', async () => {
  vi.useFakeTimers();
  try {
    const found = locatorOf({}).locate(id, undefined, 'ring');
    const failed = expect(found).rejects.toMatchObject({ code: 'RING_AWAY', status: 'UNAVAILABLE' });
    await vi.advanceTimersByTimeAsync(4_000);
    await failed;
  } finally {
    vi.useRealTimers();
  }
});

describe('where a member is', () => {
  test('the directory says, and the ring when that does not answer', async () => {
    const contact = { memberId: bob, name: 'bob', addresses: [] };
    expect(await locatorOf({ contact }).contactOf(bob)).toEqual(contact);
    expect(await locatorOf({}).contactOf(bob)).toEqual(inRing.contact);
    expect(await locatorOf({ contact }, 'directory').contactOf(bob)).toEqual(contact);
  });
});
