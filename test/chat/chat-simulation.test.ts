import { describe, expect, test } from 'vitest';
import { counterExample, report, seedsFrom } from '../chord/simulation/seeds.ts';
import { chatMutations } from './simulation/chat-mutations.ts';
import { type ChatRun, simulateChat } from './simulation/chat-simulation.ts';

/** See `chat-simulation.long.test.ts` for 10,000 of them. */
const slow = 300_000;
const script = 'test/chat/replay.ts';

describe('a chat whose server moves, is killed, frozen and cut off', () => {
  test(
    'loses, doubles and reorders nothing in 300 seeded runs, and everybody gets through in the end',
    async () => {
      const found = await counterExample(seedsFrom(1, 300), (seed, isTold) => simulateChat(seed, { isTold }));
      expect(found && report(found, '', script)).toBeUndefined();
    },
    slow,
  );

  test('replays a seed to the letter', async () => {
    const [one, other] = [await simulateChat(7, { isTold: true }), await simulateChat(7, { isTold: true })];
    expect(one.transcript.length).toBeGreaterThan(100);
    expect(other).toEqual(one);
  });

  test('meets what it is there for: hand-overs, faults of all kinds, void entries, logs that were cut', async () => {
    const runs: ChatRun[] = [];
    for (const seed of seedsFrom(1, 60)) runs.push(await simulateChat(seed));
    const sum = (of: keyof ChatRun['counts']): number => runs.reduce((total, { counts }) => total + counts[of], 0);
    for (const [what, atLeast] of [
      ['said', 10_000],
      ['epochs', 400],
      ['migrations', 400],
      ['kills', 200],
      ['freezes', 100],
      ['cuts', 100],
      ['brokerRestarts', 20],
      ['namingRestarts', 20],
      ['void', 200],
      ['checkpoints', 300],
      ['cutLogs', 5],
      ['refused', 100],
      ['lateReturns', 20],
    ] as const)
      expect(sum(what), what).toBeGreaterThan(atLeast);
  });
});

describe('the simulator finds', () => {
  test.each([...chatMutations])(
    '%s',
    async (name, mutation) => {
      const found = await counterExample(seedsFrom(1, 300), (seed, isTold) => simulateChat(seed, { isTold, mutation }));
      expect(found?.problems[0]).toMatch(signs.get(name) ?? /never/);
      expect(found?.transcript.length).toBeGreaterThan(0);
    },
    slow,
  );
});

/** What each shows as. */
const signs: ReadonlyMap<string, RegExp> = new Map([
  ['any EPOCH accepted', /takes EPOCH\(.*\) at \d+ for epoch, and it is void/],
  ['entries of a stale epoch accepted', /takes \d+\/\d+ .* and it is void/],
  ['an ack before the own entry is seen to count', /has acked .*, which is not in the log/],
  ['a higher counter appended early', /takes \d+\/\d+ .* for input, and it is void/],
  ['no checkpoint before retention', /has no checkpoint from which it can be read/],
  ['basic.cancel instead of closing the channel', /has let go of what it held|inputs are not acked/],
]);
