import { parseArgs } from 'node:util';

export const workloads = ['direct', 'direct-3', 'relayed', 'far', 'small', 'rescan', 'index'] as const;
export type Workload = (typeof workloads)[number];

export interface FilesFlags {
  readonly help: boolean;
  readonly write: boolean;
  readonly rounds: number;
  readonly mebibytes: number;
  readonly smallFiles: number;
  readonly scannedFiles: number;
  readonly workloads: readonly Workload[];
  /** Contestants whose key begins with one of these; all when empty. */
  readonly only: readonly string[];
  /** Where the files are; a temporary folder when absent. */
  readonly dir: string | undefined;
}

export const usage = `npm run bench -- files [flags]: files moved by Warren and by its rivals, side by side
  --quick            128 MiB, 1,000 small files, 10,000 scanned ones, one round (else 1 GiB, 10,000, 100,000, three)
  --rounds N, --mib N, --small N, --scanned N
  --workloads A,B    of ${workloads.join(', ')}
  --only A,B         contestants by key: grpc-tls-64, grpc-plain, rsync, http, webtorrent, bus-embedded, scan-find …
  --dir FOLDER       where the files are (a temporary folder)
  --write            into docs/benchmarks.md
`;

/** @throws Error that says what is wrong */
export function parseFilesFlags(argv: readonly string[]): FilesFlags {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...{ help: flag, quick: flag, write: flag, rounds: text, mib: text, small: text, scanned: text },
      ...{ workloads: text, only: text, dir: text },
    },
  });
  const count = (name: 'rounds' | 'mib' | 'small' | 'scanned', full: number, quick: number): number => {
    const value = values[name] === undefined ? (values.quick ? quick : full) : Number(values[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} wants a whole number from 1`);
    return value;
  };
  const wanted = values.workloads?.split(',') ?? workloads;
  const isWorkload = (name: string): name is Workload => (workloads as readonly string[]).includes(name);
  const unknown = wanted.find(name => !isWorkload(name));
  if (unknown !== undefined) throw new Error(`no workload "${unknown}"`);
  return {
    help: values.help,
    write: values.write,
    rounds: count('rounds', 3, 1),
    mebibytes: count('mib', 1024, 128),
    smallFiles: count('small', 10_000, 1_000),
    scannedFiles: count('scanned', 100_000, 10_000),
    workloads: wanted.filter(isWorkload),
    only: values.only?.split(',') ?? [],
    dir: values.dir,
  };
}
