import { expect, test } from 'vitest';
import { counterExample, report, seedsFrom } from '../chord/simulation/seeds.ts';
import { simulateChat } from './simulation/chat-simulation.ts';

test('a chat loses, doubles and reorders nothing in 10,000 seeded runs, and everybody gets through in the end', async () => {
  const found = await counterExample(seedsFrom(1_000, 10_000), (seed, isTold) => simulateChat(seed, { isTold }));
  expect(found && report(found, '', 'test/chat/replay.ts')).toBeUndefined();
}, 3_600_000);
