import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { pieceBytes } from '../../services/peer/merkle.ts';
import { PieceMap } from '../../services/peer/piece-map.ts';
import { Scheduler } from '../../services/peer/scheduler.ts';
import type { SwarmEffect } from '../../services/peer/swarm-event.ts';
import { seededRandom } from '../support/seeded.ts';
import { type Behaviour, Swarm } from './swarm-simulation.ts';

const mib = pieceBytes;
/** MiB a second, as bytes a millisecond. */
const rate = (mibPerSecond: number): number => (mibPerSecond * mib) / 1000;

function badSource(random: () => number): Behaviour {
  const from = random() * 5_000;
  const behaviour = { upRate: rate(0.5 + random() * 100), latencyMs: 1 + random() * 50 };
  const kinds: Behaviour[] = [
    { ...behaviour, upRate: rate(0.02) },
    { ...behaviour, silent: { from, to: from + random() * 60_000 } },
    { ...behaviour, silent: { from: 0, to: Number.POSITIVE_INFINITY } },
    { ...behaviour, wrong: random() },
    { ...behaviour, wrong: 1 },
    { ...behaviour, failing: random() * 0.2 },
    { ...behaviour, leavesAt: from },
    behaviour,
  ];
  return kinds[Math.floor(random() * kinds.length)] ?? behaviour;
}

describe('a swarm', { timeout: 120_000 }, () => {
  test('of slow, silent, lying, failing and vanishing sources is survived while one honest source is there', () => {
    const first = randomInt(2 ** 31);
    for (let seed = first; seed < first + 100; seed++) {
      const random = seededRandom(seed);
      const swarm = new Swarm(Math.ceil(random() * 120 * mib), random);
      swarm.addSeed('honest', { upRate: rate(1 + random() * 50), latencyMs: random() * 40 });
      const sources = Math.floor(random() * 8);
      for (let each = 0; each < sources; each++) swarm.addSeed(`seed ${each}`, badSource(random));
      const receivers = 1 + Math.floor(random() * 4);
      for (let each = 0; each < receivers; each++) swarm.addReceiver(`receiver ${each}`, badSource(random));
      expect(swarm.run(1_200_000), `seed ${seed}`).toBe(true);
      for (const { have, hasLeft, bannedBy, scheduler } of swarm.receivers) {
        expect(hasLeft || have.isComplete, `seed ${seed}`).toBe(true);
        expect(bannedBy.has('honest'), `seed ${seed}`).toBe(false);
        for (const { id, mode } of scheduler.sources())
          expect(mode === 'banned', `seed ${seed}`).toBe(bannedBy.has(id));
      }
    }
  });

  test.each([
    ['a fast link', 200, 200, 1, 1.8],
    ['a slow link far away', 5, 5, 40, 1.3],
    ['a link that is faster than theirs', 20, 4, 5, 1.5],
  ])(
    'of ten who start at once has %s of one seed send little more than one copy',
    (_, mibPerSecond, ownMibPerSecond, latencyMs, most) => {
      const first = randomInt(2 ** 31);
      for (let seed = first; seed < first + 3; seed++) {
        const random = seededRandom(seed);
        const swarm = new Swarm(256 * mib, random);
        const from = swarm.addSeed('seed', { upRate: rate(mibPerSecond), latencyMs });
        for (let each = 0; each < 10; each++)
          swarm.addReceiver(`receiver ${each}`, { upRate: rate(ownMibPerSecond), latencyMs });
        expect(swarm.run(10_000_000), `seed ${seed}`).toBe(true);
        const sent = from.sentPieces.reduce((sum, count) => sum + count, 0);
        const often = from.sentPieces.filter(count => count > 2).length;
        console.log(
          `seed ${seed}: ${(sent / 256).toFixed(2)} times on average, ${often} of 256 pieces more than twice; ${swarm.time.now / 1000} s, ` +
            `${((256 / mibPerSecond) * 10).toFixed(1)} s one after the other`,
        );
        expect(sent / 256, `seed ${seed}`).toBeLessThan(most);
        // Before they know of each other, and of the last ones that nobody has yet, several may ask for the same.
        expect(often, `seed ${seed}`).toBeLessThan(64);
      }
    },
  );

  test('uses the whole of three seeds, and of one that is far away', () => {
    const random = seededRandom(1);
    const three = new Swarm(300 * mib, random);
    for (const id of ['a', 'b', 'c']) three.addSeed(id, { upRate: rate(10), latencyMs: 1 });
    const receiver = three.addReceiver('receiver', { upRate: rate(1), latencyMs: 1 });
    expect(three.run(60_000)).toBe(true);
    expect(receiver.doneAt).toBeLessThan(11_000);

    const far = new Swarm(300 * mib, random);
    far.addSeed('far', { upRate: rate(30), latencyMs: 50 });
    const alone = far.addReceiver('receiver', { upRate: rate(1), latencyMs: 1 });
    expect(far.run(60_000)).toBe(true);
    expect(alone.doneAt).toBeLessThan(11_500);
  });

  test('does not wait for the slowest at the end', () => {
    const swarm = new Swarm(100 * mib, seededRandom(2));
    swarm.addSeed('fast', { upRate: rate(20), latencyMs: 1 });
    swarm.addSeed('slow', { upRate: rate(0.05), latencyMs: 1 });
    const receiver = swarm.addReceiver('receiver', { upRate: rate(1), latencyMs: 1 });
    expect(swarm.run(60_000)).toBe(true);
    expect(receiver.doneAt).toBeLessThan(6_000);
  });

  test('does not leave a fast seed alone for the sake of a slow one that has a part', () => {
    const swarm = new Swarm(200 * mib, seededRandom(3));
    swarm.addSeed('fast', { upRate: rate(20), latencyMs: 1 });
    const slow = swarm.addReceiver('slow', { upRate: rate(0.2), latencyMs: 1 });
    slow.have.addRun({ first: 0, count: 150 });
    const receiver = swarm.addReceiver('receiver', { upRate: rate(1), latencyMs: 1 });
    expect(swarm.run(120_000)).toBe(true);
    expect(receiver.doneAt).toBeLessThan(25_000);
  });
});

describe('a scheduler', () => {
  const start = (pieces: number) => {
    const have = new PieceMap(pieces);
    const scheduler = new Scheduler(
      { length: pieces * mib, have, random: seededRandom(1) },
      { lanes: 1, backoff: { firstMs: 1000, maxMs: 8000 } },
    );
    return { have, scheduler };
  };
  const fetches = (effects: readonly SwarmEffect[]) => effects.filter(each => each.type === 'fetch');

  test('is done at once when nothing is missing', () => {
    const { scheduler } = start(0);
    expect(scheduler.handle({ type: 'tick' }, 0)).toEqual([{ type: 'done' }]);
    expect(scheduler.handle({ type: 'joined', source: 'a', has: undefined }, 1)).toEqual([]);
  });

  test('names who sent a wrong piece, ends all it had of it, and does not take it back', () => {
    const { scheduler } = start(8);
    const [fetch] = fetches(scheduler.handle({ type: 'joined', source: 'a', has: undefined }, 0));
    if (fetch?.type !== 'fetch') throw new Error('nothing is fetched');
    const piece = fetch.run.first;
    expect(scheduler.handle({ type: 'wrong', request: fetch.request, piece }, 1)).toEqual([
      { type: 'stop', request: fetch.request },
      { type: 'ban', source: 'a', piece },
    ]);
    scheduler.handle({ type: 'left', source: 'a' }, 2);
    expect(scheduler.handle({ type: 'joined', source: 'a', has: undefined }, 3)).toEqual([]);
    expect(scheduler.handle({ type: 'tick' }, 1_000_000)).toEqual([]);
    expect(fetches(scheduler.handle({ type: 'joined', source: 'b', has: undefined }, 4))).toHaveLength(1);
  });

  test('passes over who is silent, longer each time, and asks again', () => {
    const { scheduler } = start(8);
    scheduler.handle({ type: 'joined', source: 'a', has: undefined }, 0);
    let now = 0;
    const waits: number[] = [];
    while (waits.length < 5 && now < 200_000) {
      now += 250;
      for (const effect of scheduler.handle({ type: 'tick' }, now))
        if (effect.type === 'pass') waits.push(effect.until - now);
    }
    expect(waits).toHaveLength(5);
    for (const [at, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(Math.min(8000, 1000 * 2 ** at) / 2);
      expect(wait).toBeLessThanOrEqual(Math.min(8000, 1000 * 2 ** at));
    }
  });

  test('does not take our own limit for silence', () => {
    const { scheduler } = start(8);
    const [fetch] = fetches(scheduler.handle({ type: 'joined', source: 'a', has: undefined }, 0));
    if (fetch?.type !== 'fetch') throw new Error('nothing is fetched');
    for (let now = 1_000; now < 60_000; now += 1_000) {
      scheduler.handle({ type: 'bytes', request: fetch.request, bytes: 0 }, now);
      expect(scheduler.handle({ type: 'tick' }, now)).toEqual([]);
    }
  });

  test('asks nobody while paused, goes on when resumed, and never after it was cancelled', () => {
    const { scheduler } = start(8);
    const [fetch] = fetches(scheduler.handle({ type: 'joined', source: 'a', has: undefined }, 0));
    if (fetch?.type !== 'fetch') throw new Error('nothing is fetched');
    expect(scheduler.handle({ type: 'pause' }, 1)).toEqual([{ type: 'stop', request: fetch.request }]);
    expect(scheduler.handle({ type: 'joined', source: 'b', has: undefined }, 2)).toEqual([]);
    expect(scheduler.handle({ type: 'tick' }, 3)).toEqual([]);
    expect(fetches(scheduler.handle({ type: 'resume' }, 4))).toHaveLength(2);
    expect(scheduler.handle({ type: 'cancel' }, 5).map(({ type }) => type)).toEqual(['stop', 'stop']);
    expect(scheduler.handle({ type: 'resume' }, 6)).toEqual([]);
  });

  test('asks who has a part only for that, and for the rarest of it first', () => {
    const { scheduler } = start(4);
    const map = (...pieces: number[]): PieceMap => {
      const has = new PieceMap(4);
      for (const piece of pieces) has.add(piece);
      return has;
    };
    scheduler.handle({ type: 'pause' }, 0);
    for (const [source, has] of [
      ['a', map(0, 1, 3)],
      ['b', map(0, 1)],
      ['c', map(0)],
    ] as const)
      scheduler.handle({ type: 'joined', source, has }, 0);
    const asked = fetches(scheduler.handle({ type: 'resume' }, 1));
    expect(asked).toEqual([
      { type: 'fetch', request: 1, source: 'a', run: { first: 3, count: 1 } },
      { type: 'fetch', request: 2, source: 'b', run: { first: 1, count: 1 } },
      { type: 'fetch', request: 3, source: 'c', run: { first: 0, count: 1 } },
    ]);
  });
});
