import type { Verdict } from './aims.ts';
import type { Cell } from './matches.ts';

export interface Results {
  readonly machine: Readonly<Record<string, string>>;
  readonly method: string;
  readonly rounds: number;
  /** MiB/s of plain TCP, near and through the relay; absent when nothing was measured from afar. */
  readonly ceiling?: { readonly near: number; readonly far: number };
  readonly cells: readonly Cell[];
  readonly verdicts: readonly Verdict[];
}

const titles: Readonly<Record<string, string>> = {
  direct: 'One file, from 1 source',
  'direct-3': 'One file, from 3 sources at once',
  relayed: 'One file, through a broker',
  far: 'One file, from 1 source 20 ms away (round trip)',
  small: 'Many small files',
  rescan: 'A folder in which nothing has changed',
  index: 'Ten files of 1 GiB, shared for the first time',
};

const mebi = 2 ** 20;

/** Markdown: a table for each workload, then the aims. */
export function formatResults({ machine, method, ceiling, cells, verdicts }: Results): string {
  const workloads = [...new Set(cells.map(({ workload }) => workload))];
  const sections = workloads.map(workload => {
    const rows = cells.filter(cell => cell.workload === workload);
    const { files = 0, bytes = 0 } = rows[0] ?? {};
    const size = bytes > 0 ? `, ${(bytes / mebi).toFixed(0)} MiB` : '';
    const count = files > 1 ? `, ${files.toLocaleString('en')} files` : '';
    return `### ${titles[workload] ?? workload}${count}${size}\n\n${formatRows(rows)}`;
  });
  const road =
    ceiling &&
    `Plain TCP from memory to nowhere: ${ceiling.near.toFixed(0)} MiB/s, through the delaying relay ${ceiling.far.toFixed(0)} MiB/s: nothing behind it can be faster.`;
  const aims = verdicts.map(({ aim, value, needed }) => [
    aim,
    value.toFixed(2),
    `≥ ${needed}`,
    value >= needed ? 'met' : '**missed**',
  ]);
  return [
    Object.entries(machine)
      .map(([what, value]) => `${what}: ${value}`)
      .join('; '),
    method,
    ...sections,
    ...(road === undefined ? [] : [road]),
    ...(aims.length === 0 ? [] : [table(['aim', 'measured', 'needed', ''], aims)]),
  ].join('\n\n');
}

function formatRows(cells: readonly Cell[]): string {
  const best = Math.min(...cells.filter(({ problem }) => problem === undefined).map(({ seconds }) => seconds));
  const isMoved = (cells[0]?.bytes ?? 0) > 0;
  const isOne = cells[0]?.files === 1;
  const head = isMoved
    ? [isOne ? 'MiB/s' : 'files/s', ...(isOne ? ['with fsync'] : []), 'of the best', 'slowest / fastest round']
    : ['s', 'of the best', 'slowest / fastest round'];
  const per = isOne ? 'CPU s/GiB' : 'CPU s';
  const costs = isMoved
    ? [`source ${per}`, `receiver ${per}`, `broker ${per}`, 'source MiB', 'receiver MiB']
    : ['CPU s', 'peak MiB'];
  const rows = cells.map(cell => {
    if (cell.problem !== undefined) return [cell.name, `**FAILED**: ${cell.problem}`];
    const rate = (seconds: number): string => (cell.bytes / mebi / seconds).toFixed(0);
    const speed = isOne
      ? [rate(cell.seconds), rate(cell.syncedSeconds)]
      : [isMoved ? (cell.files / cell.seconds).toFixed(0) : cell.seconds.toFixed(2)];
    const share = [(best / cell.seconds).toFixed(2), cell.spread.toFixed(2)];
    const cpu = (seconds: number): string =>
      (isOne && isMoved ? (seconds * 1024 * mebi) / cell.bytes : seconds).toFixed(2);
    const memory = (bytes: number): string => (bytes / mebi).toFixed(0);
    const spent = isMoved
      ? [
          cpu(cell.sourcesCpu),
          cpu(cell.receiverCpu),
          cell.carriersCpu > 0 ? cpu(cell.carriersCpu) : '',
          memory(cell.sourcesRss),
          memory(cell.receiverRss),
        ]
      : [cpu(cell.receiverCpu), memory(cell.receiverRss)];
    return [cell.name, ...speed, ...share, ...spent];
  });
  return table(['', ...head, ...costs], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n');
}
