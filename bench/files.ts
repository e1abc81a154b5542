import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { askedFor } from './parts/asked.ts';
import { Children } from './parts/children.ts';
import { cpuOf, cpuOfMachine } from './parts/cpu.ts';
import { judge } from './parts/files/aims.ts';
import type { Contestant, Source } from './parts/files/contestant.ts';
import { describeRivals, dialledContestants, relayedContestants, type Stage } from './parts/files/contestants.ts';
import { delayMs, measureCeiling, moveAway } from './parts/files/far.ts';
import { type FilesFlags, parseFilesFlags, usage } from './parts/files/flags.ts';
import { type Cell, type Entry, measure, scanEntry, transferEntry } from './parts/files/matches.ts';
import { formatResults, type Results } from './parts/files/report.ts';
import {
  createLargeFile,
  createManyFiles,
  createSmallFiles,
  createSparseFiles,
  linkAll,
  type Sample,
} from './parts/files/samples.ts';
import { rivalScanners, warrenScanner } from './parts/files/scanners.ts';
import { describeMachine } from './parts/machine.ts';
import { writeSection } from './parts/page.ts';

const root = resolve(import.meta.dirname, '..');
const resultsFolder = join(root, 'bench/results');
const sourcesAtOnce = 3;

/** Files moved by Warren and by what one would use instead, side by side. */
export async function run(argv: readonly string[]): Promise<void> {
  const flags = askedFor(() => parseFilesFlags(argv), usage);
  if (flags === undefined) return;
  const children = new Children();
  const home = mkdtempSync(join(flags.dir ?? tmpdir(), 'warren-bench-'));
  const ending = new Ending(children, home);
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const])
    process.once(signal, () => void ending.end().finally(() => process.exit(code)));
  try {
    const results = await measureFiles(flags, { children, home, ending });
    if (!ending.hasBegun) publish(results, flags);
  } catch (error) {
    // After a signal, what failed, failed because of that.
    if (!ending.hasBegun) process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  } finally {
    await ending.end();
  }
}

/** What is left of a run goes once, whatever ends it: brokers are no children that end with their parent. */
class Ending {
  readonly #children: Children;
  readonly #home: string;
  #done: Promise<void> | undefined;
  closeBrokers: () => Promise<void> = async () => {};

  constructor(children: Children, home: string) {
    this.#children = children;
    this.#home = home;
  }

  get hasBegun(): boolean {
    return this.#done !== undefined;
  }

  end(): Promise<void> {
    this.#done ??= this.#end();
    return this.#done;
  }

  async #end(): Promise<void> {
    await this.#children.end();
    await this.closeBrokers();
    rmSync(this.#home, { recursive: true, force: true });
  }
}

async function measureFiles(
  flags: FilesFlags,
  { children, home, ending }: { children: Children; home: string; ending: Ending },
): Promise<Results> {
  const { rounds, mebibytes, only } = flags;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const isWanted = (key: string): boolean => only.length === 0 || only.some(each => key.startsWith(each));
  const stage: Stage = { children, home, isWanted, say };
  const does = (workload: string): boolean => flags.workloads.some(each => each === workload);
  const dirs = Array.from({ length: sourcesAtOnce }, (_, index) => join(home, `source-${index + 1}`));
  const [first = home] = dirs;
  const large = createLargeFile(first, mebibytes * 2 ** 20);
  for (const dir of dirs.slice(1)) linkAll(first, dir);
  const small = does('small') ? createSmallFiles(first, flags.smallFiles) : undefined;

  const cells: Cell[] = [];
  const others = watchOthers();
  const compete = async (entries: readonly Entry[], sample?: Sample): Promise<void> => {
    const size = { bytes: sample?.bytes ?? 0, files: sample?.files.length ?? flags.scannedFiles };
    cells.push(...(await measure(entries, { rounds, ...size }, say)));
  };
  let ceiling: { near: number; far: number } | undefined;
  if (['direct', 'direct-3', 'far', 'small'].some(does)) {
    const contestants = await dialledContestants(stage);
    const sources = new Map<Contestant, Source[]>();
    for (const contestant of contestants) {
      const served = contestant.mostSources > 1 && does('direct-3') ? dirs : [first];
      sources.set(contestant, await Promise.all(served.map(dir => contestant.start(dir))));
    }
    const enter = (workload: string, sample: Sample, those: readonly Contestant[], count: number): Entry[] =>
      those.map(each =>
        transferEntry(each, { workload, sources: sources.get(each)?.slice(0, count) ?? [], sample, home }),
      );
    if (does('direct')) await compete(enter('direct', large, contestants, 1), large);
    const swarms = contestants.filter(({ mostSources }) => mostSources > 1);
    if (does('direct-3')) await compete(enter('direct-3', large, swarms, sourcesAtOnce), large);
    const folders = contestants.filter(({ takesFolders }) => takesFolders);
    if (small) await compete(enter('small', small, folders, 1), small);
    if (does('far')) {
      ceiling = await measureCeiling(children, mebibytes * 2 ** 20, rounds);
      for (const [contestant, [near]] of sources)
        if (near) sources.set(contestant, [{ ...near, address: await moveAway(children, near.address) }]);
      await compete(enter('far', large, contestants, 1), large);
    }
  }
  let broker: string | undefined;
  if (does('relayed')) {
    const { contestants, describe, close } = await relayedContestants(stage);
    broker = describe;
    ending.closeBrokers = close;
    const entries: Entry[] = [];
    for (const contestant of contestants) {
      const sources = [await contestant.start(first)];
      entries.push(transferEntry(contestant, { workload: 'relayed', sources, sample: large, home }));
    }
    await compete(entries, large);
  }
  if (does('rescan')) {
    const [dir, copy] = [join(home, 'many'), join(home, 'many-copy')];
    createManyFiles(dir, flags.scannedFiles);
    linkAll(dir, copy);
    const own = warrenScanner(children, join(home, 'many-data'), false);
    const scanners = [own, ...rivalScanners(children, copy)].filter(({ key }) => isWanted(key));
    for (const scanner of scanners) await scanner.prepare?.(dir);
    await compete(scanners.map(scanner => scanEntry(scanner, dir)));
  }
  const indexer = warrenScanner(children, join(home, 'index-data'), true);
  if (does('index') && isWanted(indexer.key)) {
    const dir = join(home, 'sparse');
    createSparseFiles(dir);
    await compete([scanEntry(indexer, dir, 'index')]);
  }
  const load = loadavg()[0]?.toFixed(1);
  return {
    machine: { ...describeMachine('none', broker), ...describeRivals() },
    method:
      `Medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, contestants in turn, every other round backwards; source and receiver are processes of their own on this ` +
      `machine, of whose CPU time processes that have nothing to do with it took ${(100 * others()).toFixed(0)} % meanwhile (load ${load} at ` +
      'the end). What is sent is in the page cache; the time ends with the last byte in the file, in the page cache too, and ' +
      '"with fsync" when it is on the disk. SHA-256 of all that arrived was right; CPU of the whole transfer. A relay that ' +
      `holds bytes back ${delayMs} ms each way stands for the distance; it ends TCP, whose own window does not count.`,
    rounds,
    ...(ceiling === undefined ? {} : { ceiling }),
    cells,
    verdicts: judge(cells, 256),
  };
}

/** @returns what to call at the end: the share of the machine that processes which are none of ours took since now */
function watchOthers(): () => number {
  const before = { ...cpuOfMachine(), oursUs: cpuOf([process.pid]) };
  return () => {
    const { allUs, usedUs } = cpuOfMachine();
    const othersUs = usedUs - before.usedUs - (cpuOf([process.pid]) - before.oursUs);
    return Math.max(0, othersUs / (allUs - before.allUs));
  };
}

/** Tells the results, and fails the run when a figure is missing. */
function publish(results: Results, { write }: FilesFlags): void {
  const text = formatResults(results);
  process.stdout.write(`${text}\n`);
  mkdirSync(resultsFolder, { recursive: true });
  const file = join(resultsFolder, `files-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.json`);
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  process.stderr.write(`written: ${relative(process.cwd(), file)}\n`);
  const failed = results.cells.filter(({ problem }) => problem !== undefined);
  for (const { workload, name, problem } of failed)
    process.stderr.write(`bench: FAILED: ${workload}: ${name}: ${problem}\n`);
  if (failed.length > 0) process.exitCode = 1;
  else if (write) writeSection(join(root, 'docs/benchmarks.md'), 'files', text);
}
