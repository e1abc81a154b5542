import { EventQueue } from '../../chord/simulation/event-queue.ts';
import { seededRandom } from '../../support/seeded.ts';
import { createChecks } from './chat-checks.ts';
import { createFaults } from './chat-faults.ts';
import { type Count, countedThings, createDice } from './chat-run.ts';
import { createTalk } from './chat-talk.ts';
import { ModelBroker } from './model-broker.ts';
import { ModelNaming } from './model-naming.ts';
import { ModelProcess } from './model-process.ts';
import { Oracle } from './oracle.ts';
import type { Mutation, World } from './world.ts';

export interface ChatRun {
  readonly seed: number;
  readonly problems: readonly string[];
  readonly transcript: readonly string[];
  readonly counts: Readonly<Record<Count, number>>;
}

export interface ChatSetting {
  readonly mutation?: Mutation;
  readonly isTold?: boolean;
}

const activeMs = 20_000;
/** Whatever goes wrong lasts for 6 s at most. */
const settledMs = activeMs + 8_000;
const latestMs = activeMs + 100_000;
const maxProblems = 5;

/** One seeded run of the very machines of the chat, over models of the broker and of naming. */
export async function simulateChat(
  seed: number,
  { mutation = {}, isTold = false }: ChatSetting = {},
): Promise<ChatRun> {
  const dice = createDice(seededRandom(seed));
  const { random, chance, span, below, pick } = dice;
  const queue = new EventQueue();
  const counts = Object.fromEntries(countedThings.map(name => [name, 0])) as Record<Count, number>;
  const problems: string[] = [];
  const transcript: string[] = [];
  const say = (text: () => string): void => {
    if (isTold) transcript.push(`${queue.now().toFixed(1).padStart(8)} ${text()}`);
  };
  const fail = (text: string): void => {
    say(() => `WRONG: ${text}`);
    if (problems.length < maxProblems) problems.push(`at ${queue.now().toFixed(0)} ms: ${text}`);
  };

  // --- the world of this run
  const leaseMs = span(500, 1_500);
  const slowShare = chance(0.5) ? 0 : span(0, 0.3);
  const lateShare = span(0, 1);
  const isCutOff = chance(0.6);
  const segment = 10 + below(10);
  const segments = 8 + below(4);
  const weather = {
    delay: () => (chance(slowShare) ? span(1, 80) : span(0.2, 3)),
    returnsLate: () => {
      const isLate = chance(lateShare);
      if (isLate) counts.lateReturns++;
      return isLate;
    },
    keepsPlaces: chance(0.5),
    skips: () => chance(0.02),
    repeats: () => (chance(0.5) ? below(10) : 0),
  };
  const broker = new ModelBroker(queue, weather, { segment, segments: isCutOff ? segments : 0 });
  const naming = new ModelNaming(queue, random, leaseMs, span(0, 0.2));
  const isTight = chance(0.15);
  const processes: ModelProcess[] = [];
  const oracle = new Oracle();

  const run = { queue, broker, naming, processes, oracle, dice, counts, say, fail, isTight };
  const { texts, ...checks } = createChecks(run);
  const { hazard, strike } = createFaults(run, { leaseMs, untilMs: activeMs });
  const speak = createTalk(run, texts, activeMs);
  const world: World = {
    ...{ queue, broker, naming, random, mutation, say },
    server: {
      ...{ minN: chance(0.3) ? 1 + below(3) : 0, leaseMs, migrateEveryMs: chance(0.15) ? 0 : span(500, 4_000) },
      prefetch: pick([4, 10, 70, 200]) ?? 70,
      ...(isTight ? { perSecond: 5, burst: 8 } : { perSecond: 500, burst: 2_000 }),
      checkpoint: { entries: Math.floor((segment * segments) / 8), size: 1e9, ageMs: span(1_000, 60_000) },
    },
    client: { maxItems: 10_000, resendMs: span(500, 2_000), perSecond: 200, burst: 500 },
    others: () => processes,
    hazard,
    ...checks,
  };

  // --- the run
  const size = 3 + below(3);
  for (let at = 0; at < size; at++) {
    const process = new ModelProcess(world, at, at === 0 || chance(0.1));
    processes.push(process);
    queue.after(at === 0 ? 0 : span(0, 3_000), () => {
      process.start();
      process.say({ kind: 'join', room: 'lobby' });
      speak(process, span(30, 1_000));
      return false;
    });
  }
  const countPresent = (): boolean => {
    queue.after(300, countPresent);
    const there = processes.filter(({ connection }) => connection !== undefined && !connection.isCut).length;
    for (const process of processes) process.present(there);
    return false;
  };
  queue.after(300, countPresent);
  queue.after(chance(0.1) ? 1e9 : 1_000, () => {
    strike();
    return false;
  });
  const stop = (): boolean => problems.length >= maxProblems;
  await queue.runUntil(activeMs, stop);
  await queue.runUntil(settledMs, stop);
  let looks = 0;
  await queue.runUntil(latestMs, () => stop() || (looks++ % 1_000 === 0 && checks.isAtRest()));
  if (problems.length < maxProblems) checks.lookAtTheEnd();
  return { seed, problems, transcript, counts };
}
