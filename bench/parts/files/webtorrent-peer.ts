import { createRequire } from 'node:module';
import { join } from 'node:path';

/**
 * One WebTorrent client in a process of its own: `node webtorrent-peer.ts PACKAGE`, where PACKAGE is the folder it was installed to.
 * Peers are named by hand, so trackers, DHT, local discovery and uTP are off.
 */

/** As far as it is used here. The package has no types. */
interface Torrent {
  readonly torrentFile: Uint8Array;
  addPeer(address: string): void;
  on(event: 'done' | 'ready', listener: () => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
}
interface Client {
  readonly torrentPort: number;
  seed(path: string, options: object, done: (torrent: Torrent) => void): void;
  add(torrentFile: Buffer, options: object): Torrent;
  on(event: 'error', listener: (error: Error) => void): void;
  destroy(done: (error?: Error) => void): void;
}

/** An order: to seed what `names` names in a folder, or to fetch one of it. */
export type TorrentOrder =
  | { readonly seed: string; readonly names: readonly string[] }
  | { readonly torrent: string; readonly addresses: readonly string[]; readonly to: string };

const [folder = ''] = process.argv.slice(2);
const WebTorrent: new (options: object) => Client = createRequire(join(folder, 'package.json'))('webtorrent');
const client = new WebTorrent({ dht: false, tracker: false, lsd: false, utp: false, natUpnp: false, natPmp: false });
client.on('error', error => process.send?.({ problem: String(error) }));

async function seed(dir: string, names: readonly string[]): Promise<object> {
  const torrents: Record<string, string> = {};
  for (const name of names) {
    const options = { pieceLength: 2 ** 20, announceList: [], name };
    const torrent = await new Promise<Torrent>(resolve => client.seed(join(dir, name), options, resolve));
    torrents[name] = Buffer.from(torrent.torrentFile).toString('base64');
  }
  return { port: client.torrentPort, torrents };
}

async function fetch(torrentFile: string, addresses: readonly string[], to: string): Promise<object> {
  const startedAt = performance.now();
  const torrent = client.add(Buffer.from(torrentFile, 'base64'), { path: to, announce: [] });
  torrent.on('ready', () => {
    for (const address of addresses) torrent.addPeer(address);
  });
  await new Promise<void>((resolve, reject) => {
    torrent.on('done', resolve);
    torrent.on('error', reject);
  });
  const seconds = (performance.now() - startedAt) / 1000;
  // What it still has in hand goes to the files; what a user waits for was before.
  await new Promise<void>(resolve => client.destroy(() => resolve()));
  return { seconds };
}

process.on('message', (order: TorrentOrder) => {
  const done = 'seed' in order ? seed(order.seed, order.names) : fetch(order.torrent, order.addresses, order.to);
  done.then(
    answer => process.send?.(answer),
    error => process.send?.({ problem: String(error) }),
  );
});
process.on('SIGTERM', () => process.exit());
process.send?.('ready');
