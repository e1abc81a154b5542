import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PeerServiceDefinition } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { HostedPart, MemberHost } from '../bus/hosted.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { served } from '../lib/rpc/definition.ts';
import { Announcer, type Announcing } from './announcer.ts';
import { ContentIndex } from './content-index.ts';
import { Contents } from './contents.ts';
import { createDirectoryLocator } from './directory-locator.ts';
import { hasRoom, removeStrays } from './download-file.ts';
import { Limits } from './limits.ts';
import type { Locate } from './locator.ts';
import { Offers } from './offers.ts';
import { startOriginServer } from './origin-server.ts';
import { createOriginService } from './origin-service.ts';
import { createPeer } from './peer-service.ts';
import { SwarmService } from './piece-frame.ts';
import { Pulls } from './pulls.ts';
import { createLocator, type Ring } from './ring-locator.ts';
import { RingProvider } from './ring-provider.ts';
import { Share } from './share.ts';
import { type Platform, splitPath } from './share-path.ts';
import { createSwarm } from './swarm-service.ts';
import { Swarms } from './swarms.ts';
import { Transfers } from './transfers.ts';
import { UnfinishedDownloads } from './unfinished.ts';

export interface PeerOptions {
  /** The folder that is shared, and into which downloads go; none: `share` in the data directory. */
  readonly share: string | undefined;
  readonly announcing: Announcing;
  readonly ring: Ring;
  /** Where files are looked for by their ids. */
  readonly locate: Locate;
  /** Where the origin's own clients are served, on loopback; none: nowhere. */
  readonly originPort?: number | undefined;
}

/**
 * The files of a member: what it shares, what it pulls from others, what others pull from it.
 * @throws Failure PEER_SHARE, PEER_INDEX
 */
export async function startPeer(host: MemberHost, options: PeerOptions): Promise<HostedPart> {
  const { dataDir, clock, warn } = host;
  const root = options.share ?? join(dataDir, 'share');
  const indexDir = join(dataDir, 'peer');
  const platform: Platform = process.platform === 'win32' ? 'windows' : 'posix';
  if (options.share === undefined) await mkdir(root, { recursive: true, mode: 0o700 }).catch(cannotMake(root));
  const index = new ContentIndex(indexDir);
  const ends: (() => unknown)[] = [() => index.close()];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    let isSettled = false;
    let announcer: Announcer | undefined;
    const { ring } = options;
    const provider = new RingProvider({ ring, index, warn });
    ends.push(() => provider.close());
    const onChange = (): void => {
      announcer?.look();
      provider.look();
    };
    const share = new Share(
      {
        ...{ root, index, indexDir, onChange },
        onProblem: failure => warn(`files: ${failure.message}`),
      },
      { exclude: [dataDir], platform },
    );
    ends.push(() => share.close());
    void share.whenIdle().then(() => {
      isSettled = true;
    });
    announcer = new Announcer({ host, index, announcing: options.announcing, isSettled: () => isSettled });
    const announcing = announcer;
    ends.push(() => announcing.close());
    provider.look();

    const place = { root: share.root, index, unfinished: new UnfinishedDownloads(index) };
    await removeStrays(place);
    const contents = new Contents({ root: share.root, index, onChanged: path => share.look(splitPath(path).folder) });
    const swarms = new Swarms(contents, clock);
    ends.push(() => swarms.close());
    const limits = new Limits(index, clock);
    const locator = createLocator({ directory: createDirectoryLocator(host), ring, own: host.id }, options.locate);
    const pulling = { host, place, contents, locator, limits };
    const transfers = new Transfers(host, { ...pulling, pulls: new Pulls(pulling), platform });
    ends.push(() => transfers.close());
    const offers = new Offers({
      ...{ limits, locator, platform },
      isHeld: id => contents.stateOf(id) === 'held',
      running: id => transfers.ofContent(id),
      begin: request => transfers.download(request),
      hasRoom: bytes => hasRoom(share.root, bytes),
    });
    const peer = createPeer({ host, index, share, transfers, locator, limits, platform });
    const swarm = served(SwarmService, createSwarm({ contents, swarms, limits, offers, clock }));
    for (const { request, transfer } of transfers.resume()) {
      const { id, from, mostBytes } = request;
      const [offering] = from;
      if (mostBytes !== undefined && offering !== undefined)
        offers.resume(transfer, { id, from: offering.memberId, length: mostBytes });
    }
    const origin =
      options.originPort === undefined
        ? undefined
        : await startOriginServer(options.originPort, createOriginService({ host, index, peer }), warn);
    if (origin !== undefined) {
      host.log(`the origin's clients are served at 127.0.0.1:${origin.port}`);
      ends.push(() => origin.close());
    }
    return {
      name: 'files',
      forMembers: [swarm],
      forMembersByBus: [],
      forOwner: [served(PeerServiceDefinition, peer.handlers)],
      status() {
        const { files, bytes } = index.totals();
        const running = transfers.list(false).length;
        return [`${share.root}: ${files} files, ${bytes} bytes; ${running} transfers run`];
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function cannotMake(folder: string): (error: unknown) => never {
  return error => {
    throw new Failure('PEER_SHARE', `cannot make ${folder}: ${messageOf(error)}`, { cause: error });
  };
}
