import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { BenchBroker } from '../broker.ts';
import { openBroker } from '../broker.ts';
import type { Children } from '../children.ts';
import { startEmbedded } from '../embedded.ts';
import { rawBus } from './bus.ts';
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
  let rabbit: BenchBroker;
  try {
    rabbit = await openBroker(dir, { url: undefined, pid: undefined });
  } catch (error) {
    embedded.close();
    throw error;
  }
  const carriers = [
    { key: 'embedded', name: 'the embedded broker', url: embedded.url, pids: [embedded.pid] },
    { key: 'rabbitmq', name: rabbit.describe, url: rabbit.url, pids: rabbit.pids },
  ];
  return {
    contestants: carriers
      .flatMap(carrier => messageKiB.map(size => rawBus(children, carrier, size)))
      .filter(({ key }) => isWanted(key)),
    describe: `${rabbit.describe} and the embedded one`,
    async close() {
      embedded.close();
      await rabbit.close();
    },
  };
}

export function describeRivals(): Record<string, string> {
  return { rsync: rsyncVersion() ?? 'none', WebTorrent: webTorrentVersion };
}
