import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createBus } from '../../../services/bus/amqp-bus.ts';
import { roles } from '../../../services/bus/topology.ts';
import { openBroker } from '../broker.ts';
import type { Children } from '../children.ts';
import { startEmbedded } from '../embedded.ts';
import { type Carrier, rawBus } from './bus.ts';
import type { Contestant } from './contestant.ts';
import { rawGrpc } from './grpc.ts';
import { curl } from './http.ts';
import { createMemberTls } from './member-certificates.ts';
import { rsync, rsyncVersion } from './rsync.ts';
import { warren } from './warren.ts';
import { installWebTorrent, webTorrent, webTorrentVersion } from './webtorrent.ts';

/** Messages of the raw bus: a half of a frame of AMQP (128 KiB), and what just fits into one. */
const messageKiB = [64, 124];
const frameKiB = [64, 256];

export interface Stage {
  readonly children: Children;
  /** Temporary. */
  readonly home: string;
  readonly isWanted: (key: string) => boolean;
  readonly say: (line: string) => void;
}

/** Who can be dialled. What cannot run here is said, with what to do about it. */
export async function dialledContestants({ children, home, isWanted, say }: Stage): Promise<Contestant[]> {
  const tls = await createMemberTls(Date.now());
  const all = [
    await warren(children),
    ...frameKiB.map(size => rawGrpc(children, size, tls)),
    ...frameKiB.map(size => rawGrpc(children, size)),
    curl(children, home),
  ];
  if (rsyncVersion() !== undefined) all.push(rsync(children, home));
  else if (isWanted('rsync')) say('without rsync: apt-get install -y rsync');
  if (isWanted('webtorrent')) {
    const installed = installWebTorrent(resolve(import.meta.dirname, '../../.cache'));
    if ('folder' in installed) all.push(webTorrent(children, installed.folder));
    else say(`without WebTorrent ${webTorrentVersion}: ${installed.problem}`);
  }
  return all.filter(({ key }) => isWanted(key));
}

/** Who goes over a broker; both brokers run until `close`. */
export async function relayedContestants({
  children,
  home,
  isWanted,
}: Stage): Promise<{ contestants: Contestant[]; describe: string; close(): Promise<void> }> {
  const dir = join(home, 'brokers');
  mkdirSync(dir, { recursive: true });
  const embedded = await startEmbedded(join(dir, 'embedded'));
  const ends: (() => unknown)[] = [() => embedded.close()];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const rabbit = await openBroker(dir, { url: undefined, pid: undefined }, { management: true });
    ends.push(() => rabbit.close());
    const carriers: Carrier[] = [
      { key: 'embedded', name: 'the embedded broker', ...embedded, pids: [embedded.pid] },
      { key: 'rabbitmq', name: rabbit.describe, ...rabbit, httpUrl: rabbit.httpUrl ?? '' },
    ];
    const contestants: Contestant[] = [];
    for (const carrier of carriers) {
      // What members expect to be there is the directory's to declare.
      const directory = createBus({ urls: [carrier.url], name: 'bench', role: roles.directory('classic') });
      ends.push(() => directory.close(0));
      await directory.ready();
      contestants.push(await warren(children, carrier));
      contestants.push(...messageKiB.map(size => rawBus(children, carrier, size)));
    }
    return {
      contestants: contestants.filter(({ key }) => isWanted(key)),
      describe: `${rabbit.describe} and the embedded one`,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export function describeRivals(): Record<string, string> {
  return { rsync: rsyncVersion() ?? 'none', WebTorrent: webTorrentVersion };
}
