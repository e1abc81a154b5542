import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import {
  applyEvent,
  changesBetween,
  type Held,
  isHeld,
  type NameEvent,
  type NameState,
  pickLatent,
  restored,
  unserved,
} from '../../services/naming/record.ts';

const members = ['a', 'b', 'c', 'd'].map(digit => digit.repeat(64) as MemberId);
const [ann, bob, cid] = members as [MemberId, MemberId, MemberId];
const leaseMs = 3_000;

/** A name's life: each event at its time. */
class Life {
  state: NameState = unserved;
  now = 0;

  does(event: NameEvent): string | undefined {
    const { state, refusal } = applyEvent(this.state, event, { now: this.now, leaseMs, maxLatents: 3 });
    this.state = state;
    return refusal;
  }
}

function held(memberId: MemberId, epoch: number, migrationId = `m${epoch}`, logOffset = 0): Held {
  return { memberId, addresses: ['10.0.0.1:1'], epoch, migrationId, logOffset };
}

const register = (memberId: MemberId, epoch: number, migrationId?: string): NameEvent => ({
  kind: 'register',
  held: held(memberId, epoch, migrationId),
});
const latent = (memberId: MemberId, logOffset = 0, isDraining = false): NameEvent => ({
  kind: 'latent',
  server: { memberId, addresses: [], logOffset, isDraining },
});
const renew = (memberId: MemberId, epoch: number, logOffset = 0): NameEvent => ({
  kind: 'renew',
  memberId,
  epoch,
  logOffset,
  isDraining: false,
});
const swap = (
  memberId: MemberId,
  expectedEpoch: number,
  epoch = expectedEpoch + 1,
  migrationId?: string,
): NameEvent => ({
  kind: 'compare-and-set',
  held: held(memberId, epoch, migrationId),
  expectedEpoch,
});

describe('the holder', () => {
  test('is whoever reported the highest epoch', () => {
    const life = new Life();
    expect(life.does(register(ann, 2))).toBeUndefined();
    expect(life.does(register(bob, 7))).toBeUndefined();
    expect(life.does(register(ann, 6))).toBe('epoch');
    expect(life.does(register(cid, 7))).toBe('epoch');
    expect(life.does(register(bob, 7, 'another'))).toBe('epoch');
    expect(life.state.holder).toMatchObject({ memberId: bob, epoch: 7 });
  });

  test('may register again, with other addresses, and its log never shrinks', () => {
    const life = new Life();
    life.does({ kind: 'register', held: held(ann, 1, 'm', 9) });
    life.does({ kind: 'register', held: { ...held(ann, 1, 'm', 4), addresses: ['elsewhere:1'] } });
    expect(life.state.holder).toMatchObject({ addresses: ['elsewhere:1'], logOffset: 9 });
  });

  test('moves by compare-and-set from the epoch expected, once', () => {
    const life = new Life();
    expect(life.does(swap(ann, 1))).toBe('epoch');
    expect(life.does(swap(ann, 0))).toBeUndefined();
    expect(life.does(swap(bob, 1, 2, 'x'))).toBeUndefined();
    expect(life.does(swap(bob, 1, 2, 'x'))).toBeUndefined();
    expect(life.does(swap(bob, 1, 2, 'y'))).toBe('epoch');
    expect(life.does(swap(cid, 1, 2, 'x'))).toBe('epoch');
    expect(life.does(swap(cid, 2))).toBeUndefined();
    expect(life.does(swap(bob, 1, 2, 'x'))).toBe('epoch');
    expect(life.state.holder).toMatchObject({ memberId: cid, epoch: 3 });
  });

  test('is silent when its lease has ended, and back with a renewal', () => {
    const life = new Life();
    life.does(register(ann, 1));
    life.now = leaseMs - 1;
    expect(isHeld(life.state, life.now)).toBe(true);
    life.now = leaseMs;
    expect(isHeld(life.state, life.now)).toBe(false);
    life.does({ kind: 'expire' });
    expect(life.state.holder).toMatchObject({ memberId: ann, epoch: 1, leaseEndsAt: undefined });
    expect(life.does(renew(ann, 1, 5))).toBeUndefined();
    expect(isHeld(life.state, life.now)).toBe(true);
    expect(life.state.holder?.logOffset).toBe(5);
    life.does({ kind: 'leave', memberId: ann });
    expect(isHeld(life.state, life.now)).toBe(false);
  });

  test('renews its own epoch only, and registers one that is not known yet', () => {
    const life = new Life();
    expect(life.does(renew(ann, 1))).toBe('unknown');
    life.does(register(ann, 2));
    expect(life.does(renew(ann, 1))).toBe('epoch');
    expect(life.does(renew(bob, 2))).toBe('epoch');
    expect(life.does(renew(ann, 3))).toBe('unknown');
  });
});

describe('latents', () => {
  test('are there while they renew, and at most so many', () => {
    const life = new Life();
    for (const member of members.slice(0, 3)) expect(life.does(latent(member))).toBeUndefined();
    const fourth = members[3] as MemberId;
    expect(life.does(latent(fourth))).toBe('full');
    life.now = 2_000;
    expect(life.does(renew(ann, 0, 8))).toBeUndefined();
    life.now = 3_500;
    expect(life.does(latent(fourth))).toBeUndefined();
    expect([...life.state.latents.keys()]).toEqual([ann, fourth]);
    expect(life.does(renew(bob, 0))).toBe('unknown');
    life.does({ kind: 'leave', memberId: ann });
    expect([...life.state.latents.keys()]).toEqual([fourth]);
  });

  test('are no latents once they hold the name, nor is the holder one before its lease has ended', () => {
    const life = new Life();
    life.does(latent(bob));
    life.does(register(bob, 1));
    expect(life.state.latents.size).toBe(0);
    expect(life.does(latent(bob))).toBe('holds');
    life.does({ kind: 'leave', memberId: bob });
    expect(life.does(latent(bob))).toBeUndefined();
  });

  test('are picked at random of those that are there, willing and not too far behind', () => {
    const life = new Life();
    life.does({ kind: 'register', held: held(members[3] as MemberId, 1, 'm', 100) });
    life.does(latent(ann, 100));
    life.does(latent(bob, 90));
    life.does(latent(cid, 100, true));
    const pick = (random: number, maxLag: number, ...except: string[]) =>
      pickLatent(life.state, { now: life.now, maxLag, except: new Set(except) }, random)?.memberId;
    expect([pick(0, 10), pick(0.49, 10), pick(0.5, 10), pick(0.999, 10)]).toEqual([ann, ann, bob, bob]);
    expect(pick(0.999, 9)).toBe(ann);
    expect(pick(0, 10, ann)).toBe(bob);
    expect(pick(0, 0, ann)).toBeUndefined();
    life.now = leaseMs;
    expect(pick(0, 10)).toBeUndefined();
  });
});

test('others are told of another epoch, of silence and return, and of other latents, and of nothing else', () => {
  const life = new Life();
  const told = (event: NameEvent): readonly string[] => {
    const before = life.state;
    life.does(event);
    return changesBetween(before, life.state);
  };
  expect(told(latent(bob))).toEqual(['latents']);
  expect(told(renew(bob, 0, 7))).toEqual([]);
  expect(told({ ...latent(bob, 7, true) })).toEqual(['latents']);
  expect(told(register(ann, 1))).toEqual(['moved']);
  expect(told(renew(ann, 1, 9))).toEqual([]);
  expect(told(register(bob, 2))).toEqual(['moved', 'latents']);
  life.now = leaseMs;
  expect(told({ kind: 'expire' })).toEqual(['expired']);
  expect(told({ kind: 'expire' })).toEqual([]);
  expect(told(renew(bob, 2))).toEqual(['returned']);
  expect(told({ kind: 'leave', memberId: bob })).toEqual(['expired']);
});

test('after a restart all leases begin anew', () => {
  const life = new Life();
  life.does(register(ann, 1));
  life.does(latent(bob));
  const again = restored(life.state, { now: 50_000, leaseMs });
  expect(isHeld(again, 50_000 + leaseMs - 1)).toBe(true);
  expect(isHeld(again, 50_000 + leaseMs)).toBe(false);
  expect(again.latents.get(bob)?.leaseEndsAt).toBe(50_000 + leaseMs);
});

describe('whatever comes, in whatever order, once or twice', () => {
  const member = fc.constantFrom(...members);
  const epoch = fc.integer({ min: 1, max: 6 });
  const migration = fc.constantFrom('x', 'y');
  const offset = fc.integer({ min: 0, max: 9 });
  const event: fc.Arbitrary<NameEvent> = fc.oneof(
    fc.tuple(member, epoch, migration).map(([m, e, id]) => register(m, e, id)),
    fc.tuple(member, epoch, migration).map(([m, e, id]) => swap(m, e - 1, e, id)),
    fc.tuple(member, offset).map(([m, o]) => latent(m, o)),
    fc.tuple(member, fc.integer({ min: 0, max: 6 }), offset).map(([m, e, o]) => renew(m, e, o)),
    member.map((m): NameEvent => ({ kind: 'leave', memberId: m })),
    fc.constant<NameEvent>({ kind: 'expire' }),
  );
  const step = fc.record({ event, pass: fc.integer({ min: 0, max: 2_000 }), times: fc.constantFrom(1, 1, 1, 2, 3) });
  const steps = fc.array(step, { maxLength: 60 });

  test('the epoch never goes back, an epoch never changes hands, and who holds is no latent while its lease runs', () => {
    fc.assert(
      fc.property(steps, all => {
        const life = new Life();
        const holders = new Map<number, string>();
        for (const { event: each, pass, times } of all) {
          life.now += pass;
          for (let i = 0; i < times; i++) {
            const before = life.state;
            const refusal = life.does(each);
            if (refusal !== undefined) expect(life.state).toBe(before);
            const { holder, latents } = life.state;
            expect(holder?.epoch ?? 0).toBeGreaterThanOrEqual(before.holder?.epoch ?? 0);
            if (holder === undefined) continue;
            const who = `${holder.memberId} ${holder.migrationId}`;
            expect(holders.get(holder.epoch) ?? who).toBe(who);
            holders.set(holder.epoch, who);
            if (isHeld(life.state, life.now)) expect(latents.has(holder.memberId)).toBe(false);
            expect(latents.size).toBeLessThanOrEqual(3);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('a compare-and-set that comes again changes nothing, and is answered as the first time or refused', () => {
    fc.assert(
      fc.property(steps, fc.tuple(member, epoch, migration), steps, (before, [m, e, id], between) => {
        const life = new Life();
        const play = (some: typeof before): void => {
          for (const { event: each, pass } of some) {
            life.now += pass;
            life.does(each);
          }
        };
        play(before);
        const first = life.does(swap(m, e - 1, e, id));
        const after = life.state;
        expect(life.does(swap(m, e - 1, e, id))).toBe(first);
        expect(life.state).toBe(after);
        if (first !== undefined) return;
        play(between);
        const later = life.state;
        const again = life.does(swap(m, e - 1, e, id));
        expect(life.state).toBe(later);
        expect(again).toBe(later.holder?.epoch === e ? undefined : 'epoch');
      }),
      { numRuns: 2_000 },
    );
  });

  test('a lease runs for its time from the last word of its holder, and no longer', () => {
    fc.assert(
      fc.property(steps, all => {
        const life = new Life();
        let last: number | undefined;
        for (const { event: each, pass } of all) {
          life.now += pass;
          if (isHeld(life.state, life.now)) expect(life.now - (last ?? Number.NaN)).toBeLessThan(leaseMs);
          const before = life.state;
          if (
            life.does(each) === undefined &&
            life.state !== before &&
            ['register', 'compare-and-set', 'renew'].includes(each.kind) &&
            life.state.holder !== before.holder
          )
            last = life.now;
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
