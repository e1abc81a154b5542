import { closeSync, fsyncSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cpuOf } from '../cpu.ts';
import { median } from '../rounds.ts';
import type { Contestant, Source } from './contestant.ts';
import { checkHashes, type Sample } from './samples.ts';
import type { Scanner } from './scanners.ts';
import { forgetPeaks, peakRssOf } from './used.ts';

/** One contestant at one thing to do. */
export interface Entry {
  /** `direct`, `direct-3`, `relayed`, `far`, `small`, `rescan`. */
  readonly workload: string;
  readonly key: string;
  readonly name: string;
  run(): Promise<Found>;
}

/** CPU in seconds, memory in bytes. */
export interface Found {
  readonly seconds: number;
  /** With the file brought to the disk by fsync, by the bench for who does not do it. */
  readonly syncedSeconds: number;
  readonly receiverCpu: number;
  readonly receiverRss: number;
  readonly sourcesCpu: number;
  readonly sourcesRss: number;
  readonly carriersCpu: number;
}

export interface Cell extends Found {
  readonly workload: string;
  readonly key: string;
  readonly name: string;
  /** Of what was moved; 0 where nothing is. */
  readonly bytes: number;
  readonly files: number;
  /** Of the times of the rounds: the largest over the smallest. */
  readonly spread: number;
  /** Set when any round failed: there are no figures then. */
  readonly problem?: string;
}

/** A contestant that fetches a sample from sources that are ready. @param home of the folder that it fetches to, made and removed each time */
export function transferEntry(
  contestant: Contestant,
  { workload, sources, sample, home }: { workload: string; sources: readonly Source[]; sample: Sample; home: string },
): Entry {
  const sourcePids = sources.flatMap(({ pids }) => pids);
  const carriers = contestant.carriers ?? [];
  return {
    workload,
    key: contestant.key,
    name: contestant.name,
    async run() {
      const to = join(home, 'to');
      mkdirSync(to);
      try {
        forgetPeaks(sourcePids);
        const before = { sources: cpuOf(sourcePids), carriers: cpuOf(carriers) };
        const addresses = sources.map(({ address }) => address);
        const used = await contestant.fetch(addresses, sample, to);
        const sourcesCpu = (cpuOf(sourcePids) - before.sources) / 1e6;
        const carriersCpu = (cpuOf(carriers) - before.carriers) / 1e6;
        const sourcesRss = peakRssOf(sourcePids);
        const syncSeconds = sample.files.length > 1 ? 0 : sync(join(to, sample.name));
        await checkHashes(to, sample);
        return {
          seconds: used.seconds,
          syncedSeconds: used.seconds + syncSeconds,
          receiverCpu: used.cpuSeconds,
          receiverRss: used.peakRss,
          ...{ sourcesCpu, sourcesRss, carriersCpu },
        };
      } finally {
        rmSync(to, { recursive: true, force: true });
      }
    },
  };
}

export function scanEntry(scanner: Scanner, dir: string, workload = 'rescan'): Entry {
  return {
    workload,
    key: scanner.key,
    name: scanner.name,
    async run() {
      const { seconds, cpuSeconds, peakRss } = await scanner.scan(dir);
      const none = { sourcesCpu: 0, sourcesRss: 0, carriersCpu: 0 };
      return { seconds, syncedSeconds: seconds, receiverCpu: cpuSeconds, receiverRss: peakRss, ...none };
    },
  };
}

/** All entries of one workload in turn, round after round, every other round backwards; medians of each figure. */
export async function measure(
  entries: readonly Entry[],
  { rounds, bytes, files }: { rounds: number; bytes: number; files: number },
  say: (line: string) => void,
): Promise<Cell[]> {
  const found = new Map<Entry, Found[]>(entries.map(entry => [entry, []]));
  const problems = new Map<Entry, string>();
  // Once for nothing: who writes a file of that size first pays for the pages, a second a GiB on a virtual machine whose host gives them
  // when they are first touched. What fails here fails below.
  await entries[0]?.run().catch(() => {});
  for (let round = 0; round < rounds; round++)
    for (const entry of round % 2 === 0 ? entries : entries.toReversed()) {
      if (problems.has(entry)) continue;
      try {
        const one = await entry.run();
        found.get(entry)?.push(one);
        say(
          `${entry.workload}, round ${round + 1}: ${entry.name}: ${one.seconds.toFixed(2)} s; CPU of sources ` +
            `${one.sourcesCpu.toFixed(2)}, receiver ${one.receiverCpu.toFixed(2)}, brokers ${one.carriersCpu.toFixed(2)} s`,
        );
      } catch (error) {
        problems.set(entry, error instanceof Error ? error.message : String(error));
        say(`${entry.workload}, round ${round + 1}: ${entry.name}: FAILED: ${problems.get(entry)}`);
      }
    }
  return entries.map(entry => {
    const { workload, key, name } = entry;
    const each = found.get(entry) ?? [];
    const of = (figure: keyof Found): number => median(each.map(one => one[figure]));
    const seconds = each.map(one => one.seconds);
    const problem = problems.get(entry);
    return {
      ...{ workload, key, name, bytes, files },
      seconds: of('seconds'),
      syncedSeconds: of('syncedSeconds'),
      receiverCpu: of('receiverCpu'),
      receiverRss: of('receiverRss'),
      sourcesCpu: of('sourcesCpu'),
      sourcesRss: of('sourcesRss'),
      carriersCpu: of('carriersCpu'),
      spread: Math.max(...seconds) / Math.min(...seconds),
      ...(problem === undefined ? {} : { problem }),
    };
  });
}

/** @returns seconds that it took */
function sync(path: string): number {
  const startedAt = performance.now();
  const file = openSync(path, 'r+');
  fsyncSync(file);
  closeSync(file);
  return (performance.now() - startedAt) / 1000;
}
