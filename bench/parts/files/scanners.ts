import type { Children } from '../children.ts';
import { rsyncVersion } from './rsync.ts';
import { type Used, useProgram, useScript } from './used.ts';

/** Looks through a folder in which nothing has changed since it last did. */
export interface Scanner {
  readonly key: string;
  readonly name: string;
  /** The first look, where it keeps what it saw; not measured. */
  prepare?(dir: string): Promise<void>;
  scan(dir: string): Promise<Used>;
}

/** Warren's own. @param data where its index is kept from one look to the next; `isNew`: it has none, and hashes everything */
export function warrenScanner(children: Children, data: string, isNew: boolean): Scanner {
  const scan = (dir: string): Promise<Used> =>
    useScript(children, { name: 'warren share', file: 'files/warren-share.ts', args: [data] }, { dir, isNew });
  return {
    key: isNew ? 'index-warren' : 'scan-warren',
    name: isNew ? 'Warren, hashed and indexed from nothing' : 'Warren, all in its index and every folder watched',
    ...(isNew ? {} : { prepare: async dir => void (await scan(dir)) }),
    scan,
  };
}

/** @param copy of the folder, equal to it */
export function rivalScanners(children: Children, copy: string): Scanner[] {
  const rsync: Scanner = {
    key: 'scan-rsync',
    name: 'rsync --dry-run against an equal copy (two trees)',
    scan: dir => useProgram(children, 'rsync', ['--recursive', '--times', '--dry-run', `${dir}/`, `${copy}/`]),
  };
  return [
    {
      key: 'scan-find',
      name: 'find, size and time of each',
      scan: dir => useProgram(children, 'find', [dir, '-type', 'f', '-size', '+1000000', '-newermt', '2100-01-01']),
    },
    {
      key: 'scan-node',
      name: 'Node: readdir and lstat, synchronously',
      scan: dir => useScript(children, { name: 'walk', file: 'files/walk.ts' }, { dir }),
    },
    ...(rsyncVersion() === undefined ? [] : [rsync]),
  ];
}
