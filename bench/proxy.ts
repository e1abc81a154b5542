import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { judge } from './parts/aims.ts';
import { askedFor } from './parts/asked.ts';
import { type BenchBroker, openBroker } from './parts/broker.ts';
import { Children } from './parts/children.ts';
import { chooseLoadGenerator } from './parts/load.ts';
import { describeMachine } from './parts/machine.ts';
import { writeSection } from './parts/page.ts';
import { type ProxyFlags, parseProxyFlags, usage } from './parts/proxy-flags.ts';
import { formatResults, type Results } from './parts/report.ts';
import { measureAll, type Plan } from './parts/rounds.ts';
import { startSubjects } from './parts/subjects.ts';

const root = resolve(import.meta.dirname, '..');
const resultsFolder = join(root, 'bench/results');

/** The main job side by side with what one would use instead: a backend, a plain proxy, nginx, Warren, the bus alone. */
export async function run(argv: readonly string[]): Promise<void> {
  const flags = askedFor(() => parseProxyFlags(argv), usage);
  if (flags === undefined) return;
  const children = new Children();
  const home = mkdtempSync(join(tmpdir(), 'warren-bench-'));
  let opening: Promise<BenchBroker> | undefined;
  const broker = (): Promise<BenchBroker> => {
    opening ??= openBroker(home, flags.broker);
    return opening;
  };
  let ending: Promise<void> | undefined;
  const endAll = async (): Promise<void> => {
    await children.end();
    await (await opening?.catch(() => undefined))?.close();
    rmSync(home, { recursive: true, force: true });
  };
  const end = (): Promise<void> => {
    ending ??= endAll();
    return ending;
  };
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
    process.once(signal, () => void end().finally(() => process.exit(code)));
  }
  try {
    const results = await measureProxy(flags, { children, home, broker });
    if (!ending) publish(results, flags);
  } catch (error) {
    // After a signal, what failed, failed because of that.
    if (!ending) process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  } finally {
    await end();
  }
}

async function measureProxy(
  { plan, isWanted, against, profile }: ProxyFlags,
  { children, home, broker }: { children: Children; home: string; broker: () => Promise<BenchBroker> },
): Promise<Results> {
  const load = chooseLoadGenerator();
  mkdirSync(resultsFolder, { recursive: true });
  const profiles = profile ? resultsFolder : undefined;
  const subjects = await startSubjects({ children, load, broker, home, isWanted, against, profiles });
  if (subjects.length === 0) throw new Error('nothing to measure: see --help for the subjects');
  const { cells, othersShare } = await measureAll(subjects, plan, line => process.stderr.write(`${line}\n`));
  const usesBroker = subjects.some(({ processes }) => processes.broker !== undefined);
  return {
    machine: describeMachine(load.describe, usesBroker ? (await broker()).describe : undefined),
    method: describePlan(plan, othersShare),
    subjects: subjects.map(({ key, name }) => ({ key, name })),
    cells,
    verdicts: judge(cells),
  };
}

function describePlan({ seconds, rounds, warmUpSeconds }: Plan, othersShare: number): string {
  return (
    `1 KiB bodies; each cell is the median of ${rounds} × ${seconds} s, subjects in turn, after a warm-up of ` +
    `${warmUpSeconds} s; all processes and the load generator share this machine, of whose CPU time processes that have ` +
    `nothing to do with it took ${(100 * othersShare).toFixed(0)} % meanwhile.`
  );
}

/** Tells the results, and fails the run when a figure cannot be trusted. */
function publish(results: Results, { write, profile }: ProxyFlags): void {
  const text = formatResults(results);
  process.stdout.write(`${text}\n`);
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '');
  const file = join(resultsFolder, `proxy-${time}.json`);
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  process.stderr.write(`written: ${relative(process.cwd(), file)}${profile ? ', and profiles beside it' : ''}\n`);
  const failed = results.cells.filter(cell => cell.problem !== undefined);
  for (const { key, connections, problem } of failed)
    process.stderr.write(`bench: FAILED: (${key}) at ${connections} connections: ${problem}\n`);
  if (failed.length > 0) process.exitCode = 1;
  else if (write) writeSection(join(root, 'docs/benchmarks.md'), 'proxy', text);
}
