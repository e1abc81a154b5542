import type { Cell } from './rounds.ts';

/** Something that the figures should show, and whether they do. */
export interface Verdict {
  readonly aim: string;
  readonly connections: number;
  readonly value: number;
  readonly needed: string;
  readonly passed: boolean;
}

/** The first aims of the project for the proxy. An aim whose subjects were not measured, or failed, is left out. */
export function judge(cells: readonly Cell[]): Verdict[] {
  const find = (key: string, connections: number): Cell | undefined =>
    cells.find(cell => cell.key === key && cell.connections === connections && cell.problem === undefined);
  const verdicts: Verdict[] = [];
  const ratio = (aim: string, keys: readonly [string, string], connections: number, least: number): void => {
    const [ours, theirs] = keys.map(key => find(key, connections));
    if (!ours || !theirs) return;
    const value = ours.perSecond / theirs.perSecond;
    verdicts.push({ aim, connections, value, needed: `≥ ${least}`, passed: value >= least });
  };
  const all = [...new Set(cells.map(cell => cell.connections))];
  for (const connections of all) ratio('(d)/(b): Warren / plain Node proxy, req/s', ['d', 'b'], connections, 0.6);
  for (const connections of all)
    ratio('(e)/(c): Warren cached / nginx cached, req/s', ['e', 'c-cache'], connections, 0.8);
  const [a, d, f] = ['a', 'd', 'f'].map(key => find(key, 1));
  if (a && d && f) {
    const most = 2 * f.p50Ms + a.p50Ms;
    verdicts.push({
      aim: '(d) p50 in ms, at most 2 × (f) p50 + (a) p50',
      connections: 1,
      value: d.p50Ms,
      needed: `≤ ${most.toFixed(2)}`,
      passed: d.p50Ms <= most,
    });
  }
  return verdicts;
}
