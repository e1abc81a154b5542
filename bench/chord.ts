import { resolve } from 'node:path';
import { writeSection } from './parts/page.ts';
import { measureChurn } from './parts/ring/churn.ts';
import { measureKeys } from './parts/ring/keys.ts';
import { afterFailures, duringChurn, keysPerNode, pathLengths } from './parts/ring/paper.ts';
import { measurePaths } from './parts/ring/paths.ts';
import { isReached, tableOf, verdict } from './parts/ring/table.ts';

interface Setting {
  readonly seed: number;
  readonly isQuick: boolean;
}

const tables: Readonly<Record<string, (setting: Setting) => Promise<string>>> = {
  paths,
  distribution,
  keys,
  failures,
  churn,
  speed,
};

const hopsAre =
  'A hop is a node that was contacted and answered: those on the way, and the owner itself as the last one. A key that the asker owns takes none. Silent nodes are timeouts, not hops.';

/** `npm run bench -- chord [--only paths,churn] [--seed N] [--quick] [--write]`: the ring beside the figures of its paper. */
export async function run(flags: readonly string[]): Promise<void> {
  const valueOf = (flag: string, fallback: string): string => flags[flags.indexOf(flag) + 1 || -1] ?? fallback;
  const setting = { seed: Number(valueOf('--seed', '1')), isQuick: flags.includes('--quick') };
  const names = valueOf('--only', Object.keys(tables).join(',')).split(',');
  for (const name of names) {
    const measure = tables[name];
    if (!measure) throw new Error(`no table "${name}"; there are: ${Object.keys(tables).join(', ')}`);
    const startedAt = performance.now();
    const cpu = process.cpuUsage();
    const text = await measure(setting);
    const { user, system } = process.cpuUsage(cpu);
    const took = `Seed ${setting.seed}${setting.isQuick ? ', quick' : ''}; ${((performance.now() - startedAt) / 1_000).toFixed(0)} s, of which ${((user + system) / 1e6).toFixed(0)} s on a processor.`;
    const page = `${text}\n\n${took}`;
    process.stdout.write(`${page}\n\n`);
    if (flags.includes('--write'))
      writeSection(resolve(import.meta.dirname, '../docs/chord.md'), `chord:${name}`, page);
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function paths({ seed, isQuick }: Setting): Promise<string> {
  const rows: string[][] = [];
  const verdicts: boolean[] = [];
  for (let power = 3; power <= 14; power++) {
    const nodes = 2 ** power;
    const lookups = isQuick ? 1_000 : 10_000;
    const bare = await measurePaths(seed, { nodes, r: 1, lookups });
    const listed = await measurePaths(seed, { nodes, r: 8, lookups });
    const known = pathLengths.get(nodes);
    if (known !== undefined) verdicts.push(isReached(bare.mean, known));
    verdicts.push(bare.failed + listed.failed === 0);
    rows.push([
      `2^${power} = ${nodes}`,
      (power / 2).toFixed(2),
      (bare.mean - bare.hops.slice(1).reduce((sum, each) => sum + each, 0) / bare.count).toFixed(2),
      known?.toFixed(2) ?? '',
      bare.mean.toFixed(2),
      `${bare.p1} … ${bare.p99}`,
      nodes > 8 ? (power / 2 - Math.log2(8) / 2 + 1).toFixed(2) : '',
      listed.mean.toFixed(2),
    ]);
    say(`paths: ${nodes} nodes, ${bare.mean.toFixed(2)} and ${listed.mean.toFixed(2)} hops`);
  }
  return [
    `${hopsAre} Converged rings (neighbours and fingers set to what they must become, not grown), ${isQuick ? '1,000' : '10,000'} lookups each.`,
    '',
    tableOf(
      [
        'nodes',
        'paper: ½·log₂N',
        'without list, owner not counted',
        'paper, owner counted',
        'without list',
        '1st … 99th percentile',
        '½·log₂N − ½·log₂r + 1',
        'list of 8 (ours)',
      ],
      rows,
    ),
    '',
    `Means within 5 % of the paper's, every owner found: ${verdict(verdicts.every(Boolean))}.`,
  ].join('\n');
}

async function distribution({ seed, isQuick }: Setting): Promise<string> {
  const lookups = isQuick ? 2_000 : 20_000;
  const bare = await measurePaths(seed, { nodes: 4096, r: 1, lookups });
  const listed = await measurePaths(seed, { nodes: 4096, r: 8, lookups });
  const share = (count: number | undefined): string => ((count ?? 0) / lookups).toFixed(3);
  const most = Math.max(bare.hops.length, listed.hops.length);
  return [
    `Share of lookups by their hops (the owner counted) at 2^12 nodes, ${lookups} lookups. The paper's figure, as recalled, has its peak at 6, and ends at 12; it is not known whether it counts the owner.`,
    '',
    tableOf(
      ['hops', 'without list', 'list of 8'],
      Array.from({ length: most }, (_, hops) => [String(hops), share(bare.hops[hops]), share(listed.hops[hops])]),
    ),
  ].join('\n');
}

async function keys({ isQuick }: Setting): Promise<string> {
  const members = 10_000;
  const steps = isQuick ? [100_000] : Array.from({ length: 10 }, (_, at) => (at + 1) * 100_000);
  const single = measureKeys(members, 1, steps).map((each, at) => [
    String(steps[at]),
    each.mean.toFixed(0),
    String(each.p1),
    String(each.p99),
    (each.p99 / each.mean).toFixed(2),
  ]);
  const last = steps.at(-1) ?? 0;
  const rows: string[][] = [];
  const verdicts: boolean[] = [];
  for (const count of [1, 2, 5, 10, 20]) {
    const [found] = measureKeys(members, count, [last]);
    if (!found) continue;
    const { mean, p1, p99 } = found;
    const known = keysPerNode.get(count);
    if (count === 1) verdicts.push(isReached(p99 / mean, 4.8));
    if (count === 20) verdicts.push(isReached(p99 / mean, 1.6), p1 / mean >= 0.5 * 0.95);
    rows.push([String(count), known?.p1 ?? '', (p1 / mean).toFixed(2), known?.p99 ?? '', (p99 / mean).toFixed(2)]);
    say(`keys: ${count} virtual nodes, 99th percentile ${(p99 / mean).toFixed(2)} of the mean`);
  }
  return [
    'Keys per node, 10,000 nodes, no virtual ones; places and keys are SHA-256 of numbers, so there is no seed.',
    '',
    tableOf(['keys', 'mean', '1st percentile', '99th percentile', '99th / mean (paper: 4.6–4.8)'], single),
    '',
    `Virtual nodes, ${last} keys, as shares of the mean:`,
    '',
    tableOf(['virtual nodes each', 'paper, 1st', '1st percentile', 'paper, 99th', '99th percentile'], rows),
    '',
    `Within 5 % of the paper: ${verdict(verdicts.every(Boolean))}.`,
  ].join('\n');
}

async function failures({ seed, isQuick }: Setting): Promise<string> {
  const lookups = isQuick ? 2_000 : 20_000;
  const rows: string[][] = [];
  const verdicts: boolean[] = [];
  for (const paper of afterFailures) {
    const found = await measurePaths(seed, { nodes: 1_000, r: 20, dead: paper.dead, lookups, rings: 20 });
    verdicts.push(isReached(found.mean, paper.path), isReached(found.timeouts, paper.timeouts), found.failed === 0);
    rows.push([
      paper.dead.toString(),
      paper.path.toFixed(2),
      found.mean.toFixed(2),
      paper.timeouts.toFixed(2),
      found.timeouts.toFixed(2),
      String(found.failed),
    ]);
    say(`failures: ${paper.dead} dead, ${found.mean.toFixed(2)} hops, ${found.timeouts.toFixed(2)} timeouts`);
  }
  return [
    `1,000 nodes with lists of 20, a share of which dies at once; nobody repairs anything. ${lookups} lookups over 20 rings. ${hopsAre}`,
    '',
    tableOf(['dead', 'paper, path', 'path', 'paper, timeouts', 'timeouts', 'owner not found'], rows),
    '',
    `Means within 5 % of the paper's or better, every owner found: ${verdict(verdicts.every(Boolean))}.`,
  ].join('\n');
}

async function churn({ seed, isQuick }: Setting): Promise<string> {
  const lookups = isQuick ? 1_000 : 10_000;
  const rows: string[][] = [];
  const verdicts: boolean[] = [];
  for (const paper of duringChurn) {
    const found = await measureChurn(seed, {
      ...{ nodes: 1_000, r: 20, rate: paper.rate, stabilizeMs: 30_000, lookups, lookupsPerSecond: 1 },
      ...{ warmUpMs: 600_000, isPolite: false },
    });
    const failed = (found.failed / found.count) * 10_000;
    verdicts.push(isReached(found.mean, paper.path), isReached(found.timeouts, paper.timeouts), failed <= paper.failed);
    rows.push([
      paper.rate.toFixed(2),
      paper.path.toFixed(2),
      found.mean.toFixed(2),
      paper.timeouts.toFixed(2),
      found.timeouts.toFixed(2),
      String(paper.failed),
      failed.toFixed(0),
    ]);
    say(
      `churn: ${paper.rate}/s, ${found.mean.toFixed(2)} hops, ${found.timeouts.toFixed(2)} timeouts, ${found.failed} failed`,
    );
  }
  return [
    `The real protocol in virtual time: 1,000 nodes (a converged ring, then ten minutes before the first lookup), lists of 20, joins and as many departures at random moments; each node stabilizes, fixes one finger and checks its predecessor every 15 … 45 s; messages take 50 ms on average, exponentially distributed, a call times out after 500 ms; one lookup a second, ${lookups} in all. Who departs says nothing. A lookup failed if it found none, or none that owned the key when it began or when it ended; a node owns from the moment in which it has joined. ${hopsAre} The paper's figures are recalled, not checked.`,
    '',
    tableOf(
      [
        'joins, departures a second',
        'paper, path',
        'path',
        'paper, timeouts',
        'timeouts',
        'paper, failed of 10,000',
        'failed of 10,000',
      ],
      rows,
    ),
    '',
    `No more failures than the paper's, paths and timeouts within 5 % of its or better: ${verdict(verdicts.every(Boolean))}.`,
  ].join('\n');
}

async function speed({ seed, isQuick }: Setting): Promise<string> {
  const cpu = process.cpuUsage();
  const found = await measureChurn(seed, {
    ...{ nodes: 10_000, r: 8, rate: 1, stabilizeMs: 30_000, lookups: isQuick ? 200 : 6_000 },
    ...{ lookupsPerSecond: 10, warmUpMs: 0, isPolite: false },
  });
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (user + system) / 1e6;
  return [
    `10,000 nodes, one joining and one departing a second, ${(found.virtualMs / 1_000).toFixed(0)} s of virtual time with every node stabilizing every 30 s, ${found.count} lookups (${found.mean.toFixed(2)} hops on average, ${found.failed} failed): ${found.calls} calls in ${seconds.toFixed(0)} s on one core. Aim, under a minute: ${verdict(seconds < 60)}.`,
  ].join('\n');
}
