import type { Cell } from './matches.ts';

export interface Verdict {
  readonly aim: string;
  readonly value: number;
  readonly needed: number;
}

/** Key of Warren's own contestants: `warren` where it is dialled, and `warren-<broker>` over a broker. */
export const ours = 'warren';

/**
 * What the figures of Warren should be beside its rivals'; aims whose subjects were not measured, or failed, are left out. Of
 * raw grpc-js the one with mutual TLS counts: members speak nothing else, so that what the aim leaves room for is the check of
 * every piece and the engine around it, and not encryption.
 * @param frameKiB of Warren's frames on a direct route
 */
export function judge(cells: readonly Cell[], frameKiB: number): Verdict[] {
  const find = (workload: string, key: string): Cell | undefined =>
    cells.find(cell => cell.workload === workload && cell.key === key && cell.problem === undefined);
  const verdicts: Verdict[] = [];
  const faster = (aim: string, workload: string, keys: readonly [string, string], needed: number): void => {
    const [mine, theirs] = [find(workload, keys[0]), find(workload, keys[1])];
    if (mine && theirs) verdicts.push({ aim, value: theirs.seconds / mine.seconds, needed });
  };
  faster('direct / raw grpc-js over mutual TLS', 'direct', [ours, `grpc-tls-${frameKiB}`], 0.8);
  faster('direct / rsync', 'direct', [ours, 'rsync'], 1);
  for (const workload of ['direct', 'direct-3']) faster(`${workload} / WebTorrent`, workload, [ours, 'webtorrent'], 3);
  faster('at 20 ms / plain HTTP', 'far', [ours, 'http'], 0.5);
  for (const broker of ['embedded', 'rabbitmq']) {
    // The better of its message sizes is what the bus can do.
    const raw = cells
      .filter(({ workload, key, problem }) => workload === 'relayed' && key.startsWith(`bus-${broker}-`) && !problem)
      .toSorted((a, b) => a.seconds - b.seconds)[0];
    if (raw) faster(`relayed over ${broker} / the raw bus`, 'relayed', [`${ours}-${broker}`, raw.key], 0.7);
  }
  const indexed = find('index', 'index-warren');
  if (indexed)
    verdicts.push({
      aim: '200 MiB / memory with 10 GiB indexed',
      value: (200 * 2 ** 20) / indexed.receiverRss,
      needed: 1,
    });
  return verdicts;
}
