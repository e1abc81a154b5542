import { cpuOf, cpuOfEnded, cpuOfMachine } from './cpu.ts';
import { type Part, parts, type Subject } from './subject.ts';

export interface Plan {
  readonly connections: readonly number[];
  readonly seconds: number;
  readonly rounds: number;
  readonly warmUpSeconds: number;
}

/** One subject at one number of connections. */
export interface Cell {
  readonly key: string;
  readonly connections: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Microseconds of CPU per request, by who spends them; a part that takes none is absent. */
  readonly cpuUs: Readonly<Partial<Record<Part, number>>>;
  /** Set when any request of any round failed: the figures then mean nothing. */
  readonly problem?: string;
}

export interface Measured {
  readonly cells: readonly Cell[];
  /** Share of the machine's CPU time that processes which are none of ours took meanwhile, 0 to 1. */
  readonly othersShare: number;
}

/**
 * Measures all subjects in turn, round after round, and takes each cell's median: the drift of a shared machine then hits
 * all of them alike. Every other round goes backwards, so that nobody always follows the same neighbour.
 */
export async function measureAll(
  subjects: readonly Subject[],
  plan: Plan,
  say: (line: string) => void,
): Promise<Measured> {
  for (const subject of subjects) {
    await subject.check();
    await subject.run(Math.max(...plan.connections), plan.warmUpSeconds);
  }
  const others = watchOthers(subjects);
  const cells: Cell[] = [];
  for (const connections of plan.connections) {
    const found = new Map<string, Cell[]>(subjects.map(({ key }) => [key, []]));
    for (let round = 0; round < plan.rounds; round++) {
      for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
        const cell = await measure(subject, connections, plan.seconds);
        found.get(subject.key)?.push(cell);
        say(formatProgress(subject, cell, round));
      }
    }
    for (const of of found.values()) cells.push(medianOf(of));
  }
  return { cells, othersShare: others() };
}

/** @returns what to call at the end: their share since now */
function watchOthers(subjects: readonly Subject[]): () => number {
  const brokers = subjects.flatMap(({ processes }) => processes.broker ?? []);
  // A given broker is none of our children.
  const ours = [process.pid, ...brokers];
  const before = { ...cpuOfMachine(), oursUs: cpuOf(ours) };
  return () => {
    const { allUs, usedUs } = cpuOfMachine();
    const othersUs = usedUs - before.usedUs - (cpuOf(ours) - before.oursUs);
    return Math.max(0, othersUs / (allUs - before.allUs));
  };
}

async function measure(subject: Subject, connections: number, seconds: number): Promise<Cell> {
  const before = usedBy(subject);
  const sample = await subject.run(connections, seconds);
  const after = usedBy(subject);
  const cpuUs: Partial<Record<Part, number>> = {};
  for (const part of parts) {
    const used = (after[part] ?? 0) - (before[part] ?? 0);
    if (after[part] !== undefined) cpuUs[part] = used / Math.max(1, sample.requests);
  }
  return {
    key: subject.key,
    connections,
    perSecond: sample.requests / sample.seconds,
    p50Ms: sample.p50Ms,
    p99Ms: sample.p99Ms,
    cpuUs,
    ...(sample.problem === undefined ? {} : { problem: sample.problem }),
  };
}

function usedBy({ processes }: Subject): Partial<Record<Part, number>> {
  const used: Partial<Record<Part, number>> = {};
  for (const part of parts) {
    const pids = processes[part];
    if (pids !== undefined && pids.length > 0) used[part] = cpuOf(pids);
  }
  used.load ??= cpuOfEnded();
  return used;
}

function medianOf(cells: readonly Cell[]): Cell {
  const [first] = cells;
  if (first === undefined) throw new RangeError('no rounds');
  const cpuUs: Partial<Record<Part, number>> = {};
  for (const part of parts) {
    if (first.cpuUs[part] !== undefined) cpuUs[part] = median(cells.map(cell => cell.cpuUs[part] ?? 0));
  }
  const problem = cells.find(cell => cell.problem !== undefined)?.problem;
  return {
    key: first.key,
    connections: first.connections,
    perSecond: median(cells.map(cell => cell.perSecond)),
    p50Ms: median(cells.map(cell => cell.p50Ms)),
    p99Ms: median(cells.map(cell => cell.p99Ms)),
    cpuUs,
    ...(problem === undefined ? {} : { problem }),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
}

function formatProgress({ name }: Subject, cell: Cell, round: number): string {
  const cpu = Object.values(cell.cpuUs).reduce((sum, us) => sum + us, 0);
  const figures = `${Math.round(cell.perSecond)} req/s, p50 ${cell.p50Ms.toFixed(2)} ms, ${cpu.toFixed(0)} µs CPU`;
  const failed = cell.problem === undefined ? '' : ` FAILED: ${cell.problem}`;
  return `${cell.connections} connections, round ${round + 1}: ${name}: ${figures}${failed}`;
}
