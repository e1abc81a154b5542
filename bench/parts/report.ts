import type { Verdict } from './aims.ts';
import type { Cell } from './rounds.ts';
import { parts, type Subject } from './subject.ts';

export interface Results {
  readonly machine: Readonly<Record<string, string>>;
  /** How it was measured, in words. */
  readonly method: string;
  readonly subjects: readonly Pick<Subject, 'key' | 'name'>[];
  readonly cells: readonly Cell[];
  readonly verdicts: readonly Verdict[];
}

/** Markdown: the machine, req/s and latencies, the aims, and where the CPU time goes. */
export function formatResults({ machine, method, subjects, cells, verdicts }: Results): string {
  const facts = Object.entries(machine).map(([what, value]) => `${what}: ${value}`);
  const connections = [...new Set(cells.map(cell => cell.connections))];
  const cellsOf = (key: string): Cell[] => cells.filter(cell => cell.key === key);
  const speed = table(
    ['', ...connections.flatMap(count => [`${count}: req/s`, 'p50 ms', 'p99 ms'])],
    subjects.map(({ key, name }) => [label(key, name), ...cellsOf(key).flatMap(formatFigures)]),
  );
  const cpu = table(
    ['', 'connections', ...parts.map(part => (part === 'load' ? 'load generator' : part)), 'all'],
    subjects.flatMap(({ key, name }) =>
      cellsOf(key)
        .filter(cell => cell.problem === undefined)
        .map(cell => [label(key, name), String(cell.connections), ...formatCpu(cell)]),
    ),
  );
  const aims = table(
    ['aim', 'connections', 'measured', 'needed', ''],
    verdicts.map(({ aim, connections: count, value, needed, passed }) => [
      aim,
      String(count),
      value.toFixed(2),
      needed,
      passed ? 'pass' : '**FAIL**',
    ]),
  );
  return [
    facts.join('; '),
    method,
    speed,
    ...(verdicts.length > 0 ? ['First aims:', aims] : []),
    'µs of CPU per request:',
    cpu,
  ].join('\n\n');
}

function label(key: string, name: string): string {
  return `(${key}) ${name}`;
}

function formatFigures({ perSecond, p50Ms, p99Ms, problem }: Cell): string[] {
  if (problem !== undefined) return [`**FAILED**: ${problem}`, '', ''];
  return [Math.round(perSecond).toLocaleString('en'), formatMs(p50Ms), formatMs(p99Ms)];
}

function formatCpu({ cpuUs }: Cell): string[] {
  const all = Object.values(cpuUs).reduce((sum, us) => sum + us, 0);
  return [...parts.map(part => formatUs(cpuUs[part])), formatUs(all)];
}

function formatUs(us: number | undefined): string {
  return us?.toFixed(us < 100 ? 1 : 0) ?? '';
}

function formatMs(ms: number): string {
  return ms < 10 ? ms.toFixed(2) : ms.toFixed(1);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}
