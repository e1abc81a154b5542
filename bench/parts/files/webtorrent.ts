import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Children, nextMessage } from '../children.ts';
import type { Contestant } from './contestant.ts';
import { tell, useScript } from './used.ts';
import type { TorrentOrder } from './webtorrent-peer.ts';

/** The last one that installs without a native module that is downloaded. */
export const webTorrentVersion = '1.9.7';

const seedPatienceMs = 600_000;

/**
 * From the npm registry into a folder of its own, once: it is no dependency of the project, and no script of it is run.
 * @returns the folder, or why there is none
 */
export function installWebTorrent(cache: string): { folder: string } | { problem: string } {
  const folder = join(cache, `webtorrent-${webTorrentVersion}`);
  if (existsSync(join(folder, 'node_modules/webtorrent/package.json'))) return { folder };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  try {
    execFileSync('npm', ['install', ...flags, `webtorrent@${webTorrentVersion}`], { cwd: folder, stdio: 'pipe' });
    return { folder };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Pieces of 1 MiB, checked by SHA-1. @param folder it is installed to */
export function webTorrent(children: Children, folder: string): Contestant {
  /** By what they describe; the same from every source. */
  let torrents: Readonly<Record<string, string>> = {};
  return {
    key: 'webtorrent',
    name: `WebTorrent ${webTorrentVersion}`,
    mostSources: 3,
    takesFolders: true,
    route: 'direct',
    async start(dir) {
      const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as ('ignore' | 'inherit' | 'ipc')[];
      const child = children.startScript('WebTorrent seeder', 'files/webtorrent-peer.ts', [folder], { stdio });
      await nextMessage(child, seedPatienceMs);
      const order: TorrentOrder = { seed: dir, names: readdirSync(dir) };
      const answer = (await tell(child, order)) as { port: number; torrents: Record<string, string> };
      torrents = answer.torrents;
      return { address: `127.0.0.1:${answer.port}`, pids: [child.pid] };
    },
    fetch(addresses, { name }, to) {
      const order: TorrentOrder = { torrent: torrents[name] ?? '', addresses, to };
      return useScript(children, { name: 'WebTorrent', file: 'files/webtorrent-peer.ts', args: [folder] }, order);
    },
  };
}
