import type { EventQueue } from '../../chord/simulation/event-queue.ts';
import type { ModelBroker } from './model-broker.ts';
import type { ModelNaming } from './model-naming.ts';
import type { ModelProcess } from './model-process.ts';
import type { Oracle } from './oracle.ts';

export const countedThings = [
  ...(['said', 'entries', 'void', 'epochs', 'migrations', 'checkpoints', 'cutLogs', 'refused', 'lateReturns'] as const),
  ...(['kills', 'freezes', 'cuts', 'brokerRestarts', 'namingRestarts'] as const),
];

export type Count = (typeof countedThings)[number];

/** What all parts of one simulated run share. */
export interface RunInProgress {
  readonly queue: EventQueue;
  readonly broker: ModelBroker;
  readonly naming: ModelNaming;
  readonly processes: ModelProcess[];
  readonly oracle: Oracle;
  readonly dice: Dice;
  readonly counts: Record<Count, number>;
  /** Of the transcript. */
  readonly say: (text: () => string) => void;
  readonly fail: (text: string) => void;
  /** So much may be said too fast, and is refused. */
  readonly isTight: boolean;
}

export interface Dice {
  readonly random: () => number;
  chance(p: number): boolean;
  span(low: number, high: number): number;
  below(count: number): number;
  pick<T>(from: readonly T[]): T | undefined;
}

export function createDice(random: () => number): Dice {
  const below = (count: number): number => Math.floor(random() * count);
  return {
    random,
    chance: p => random() < p,
    span: (low, high) => low + (high - low) * random(),
    below,
    pick: from => from[below(from.length)],
  };
}
