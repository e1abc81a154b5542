import type { MemberHost } from '../bus/hosted.ts';
import { backoffMs } from '../lib/backoff.ts';
import { messageOf } from '../lib/failure.ts';
import { isMemberId, type MemberId } from '../lib/identity/member-id.ts';
import { pause } from '../lib/pause.ts';
import { formatAddresses, isAddress, maxAddresses } from './address-book.ts';
import type { RingHost } from './host.ts';
import type { Peer } from './peer.ts';
import { peerOf } from './wire.ts';

export type BootstrapHost = Pick<
  MemberHost,
  'id' | 'bus' | 'directory' | 'identify' | 'addresses' | 'random' | 'clock' | 'warn' | 'log'
>;

const askMs = 3_000;
/** Until the daemon knows where it can be dialled, or knows that it cannot. */
const ownAddressesMs = 2_000;
const retryBounds = { firstMs: 300, maxMs: 10_000 };
/** Two that find only each other, and are both still outside, do not wait for each other for ever. */
const triesBeforeAlone = 4;
/** Between looks for others while it is alone. */
const aloneBounds = { firstMs: 2_000, maxMs: 30_000 };

/** Active members, as the directory names them. None while it does not answer. */
export async function activeMembers({ id, bus, directory, random }: BootstrapHost): Promise<Peer[]> {
  if (bus.state !== 'up') return [];
  const page = async (after: string) => directory.listPeers({ token: '', after }, { deadlineMs: askMs });
  let { peers, next } = await page('');
  // Too many for a page: those behind a point anywhere.
  if (next !== '') {
    const start = Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
    const { peers: behind } = await page(start);
    if (behind.length > 0) peers = behind;
  }
  return peers.flatMap(({ peerId, addresses }) =>
    isMemberId(peerId) && peerId !== id ? [peerAt(peerId, addresses)] : [],
  );
}

function peerAt(member: MemberId, addresses: readonly string[]): Peer {
  return peerOf(member, 0, formatAddresses(addresses.filter(isAddress).slice(0, maxAddresses)));
}

/**
 * Brings the host into a ring: through an address that is given; else through an active member that the directory names; if there is
 * none, or none that is in a ring itself, it founds one. While it is alone there it looks for others (rings grow together).
 * @param join `host:port` of members
 */
export async function bootstrap(
  host: BootstrapHost,
  ring: RingHost,
  join: readonly string[],
  ending: AbortSignal,
): Promise<void> {
  const { warn, log, clock, random } = host;
  const startedAt = clock();
  while (host.addresses().length === 0 && clock() - startedAt < ownAddressesMs && !ending.aborted)
    await pause(50, ending);
  const { node } = ring.first;
  let warned = '';
  for (let tries = 0; !ending.aborted && !node.isMember; tries++) {
    const given = await identified(host, join);
    const via = given.length > 0 ? given : await activeMembers(host).catch(() => []);
    const isLast = join.length === 0 && (via.length === 0 || tries >= triesBeforeAlone);
    if (ending.aborted) return;
    try {
      if (isLast) await ring.found();
      else await ring.join(via.slice(0, 8));
      log(isLast ? 'ring: founded one, alone for now' : 'ring: joined');
    } catch (error) {
      const reason = messageOf(error);
      if (tries >= triesBeforeAlone && reason !== warned) warn(`ring: ${reason}; trying again`);
      if (tries >= triesBeforeAlone) warned = reason;
      await pause(backoffMs(tries, retryBounds, random), ending);
    }
  }
  for (let tries = 0; !ending.aborted && node.isMember; tries++) {
    await pause(backoffMs(tries, aloneBounds, random), ending);
    const isAlone = node.neighbours.successors[0]?.id === node.self.id;
    if (ending.aborted || !isAlone) return;
    const others = [...(await identified(host, join)), ...(await activeMembers(host).catch(() => []))];
    for (const other of others.slice(0, 8)) await node.meet(other);
  }
}

/** Members are called by who they are: whoever answers there says it, and has to show it when it is dialled. */
async function identified({ identify }: BootstrapHost, join: readonly string[]): Promise<Peer[]> {
  const found = await Promise.allSettled(join.map(async address => peerAt(await identify(address), [address])));
  return found.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
}
