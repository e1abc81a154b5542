import type { RingView } from '../../proto/gen/warren/chord/v1/chord.ts';
import type { HostedPart, MemberHost } from '../bus/hosted.ts';
import { keepConsuming } from '../bus/keep-consuming.ts';
import type { QueueSpec } from '../bus/topology.ts';
import { Changes } from '../lib/changes.ts';
import { dialable } from '../lib/dialable.ts';
import { messageOf } from '../lib/failure.ts';
import { isSignedBy, memberIdOf, signAs } from '../lib/identity/keys.ts';
import { AddressBook, formatAddresses } from './address-book.ts';
import { activeMembers, bootstrap } from './bootstrap.ts';
import { createCodecs } from './call-codecs.ts';
import { ownerHandlers, serveOwner } from './chord-service.ts';
import { type HostPorts, RingHost } from './host.ts';
import { identifierOfMember } from './identifier.ts';
import { RingMetrics } from './metrics.ts';
import type { Peer } from './peer.ts';
import { liveOptions, type RingClock, type RingEvent } from './ports.ts';
import { type ProviderPort, providersOn } from './provider-port.ts';
import { signedOctets } from './record.ts';
import { startRest } from './rest.ts';
import { decodeEvent, encodeEvent, encodeStats } from './ring-events.ts';
import { serveRing } from './ring-service.ts';
import { liveStorageOptions } from './storage.ts';
import { viewOf } from './view.ts';
import { createWays } from './ways.ts';
import { sha256 } from './wire.ts';

export interface RingOptions {
  /** `host:port` of members to join through; none: the directory knows. */
  readonly join: readonly string[];
  /** Places of this member on the circle. */
  readonly virtualNodes: number;
  /** Where REST listens. */
  readonly host: string;
  /** In turn, until one is free; 0 is any free one. */
  readonly ports: readonly number[];
}

export interface RingPart extends HostedPart {
  /** For the files: who has what. */
  readonly providers: ProviderPort;
}

/** Whoever is silent is told of no more often, in milliseconds. */
const suspectMs = 1_000;
const statsMs = 10_000;
/** For handing over what it holds, when the daemon ends. */
const leaveMs = 2_000;
const heardEvents: QueueSpec = {
  name: '',
  exclusive: true,
  arguments: { 'x-max-length': 1_000 },
  why: 'hints of the ring, fresh or nothing; bounded, because all members may write to it',
};
const recordContext = 'warren.chord.v1.Record';

/** This member's node on the ring, for its daemon to host. It joins in the background, and goes on without a broker. */
export async function startRing(
  host: MemberHost,
  { join, virtualNodes, host: restHost, ports: restPorts }: RingOptions,
): Promise<RingPart> {
  const { id, keys, bus, warn } = host;
  const book = new AddressBook(id, host.addresses);
  const codecs = createCodecs(book);
  const peers = Array.from({ length: virtualNodes }, (_, index) => ownPeer(host, index));
  const changes = new Changes();
  const ending = new AbortController();
  let hasLeft = false;

  const ways = createWays({
    ...{ host, codecs, book },
    onSilent: (node, by) => {
      metrics.silent();
      told(node.member, () => tell({ type: 'suspect', node, by }));
    },
    answerHere: (to, call, request, from) => ring.answer(to.id, call, request as never, from),
  });
  const told = onceIn(suspectMs, host.clock);
  const tell = (event: RingEvent): void => {
    bus.send(encodeEvent(event, book, id));
    ring.hear(event);
  };
  const ports: HostPorts = {
    transportOf: ways.transportOf,
    clock: clockOf(host),
    random: host.random,
    firstCounter: host.now(),
    writer: id,
    sign: record => ({ publicKey: keys.publicKey, signature: signAs(keys, recordContext, signedOctets(record)) }),
    isAuthentic: record =>
      memberIdOf(record.publicKey) === record.writer &&
      isSignedBy(record.publicKey, recordContext, signedOctets(record), record.signature),
    emit: event => void bus.send(encodeEvent(event, book, id)),
    rendezvous: () => activeMembers(host),
  };
  // A node has r other nodes to rely on; with several of a member among them, as many more.
  const options = { ...liveOptions, ...liveStorageOptions, r: Math.max(liveOptions.r, 3 * virtualNodes) };
  const ring = new RingHost(ports, peers, options);
  const view = (): RingView => viewOf(ring, book, options.r);
  const metrics = new RingMetrics(view);
  const offs = ring.places.map(({ node }) => node.onChange(() => changes.happened()));

  const events = keepConsuming(bus, () =>
    bus.consume(
      heardEvents,
      delivery => {
        const event = delivery.userId === bus.user ? undefined : decodeEvent(delivery, book);
        if (event !== undefined) ring.hear(event);
        return 'ack';
      },
      { noAck: true, bindings: () => [{ exchange: 'chord.events', key: '#' }] },
    ),
  );
  const { node } = ring.first;
  const stats = setInterval(() => {
    if (!node.isMember) return;
    const { known, isSafe, records, octets } = view();
    bus.send(encodeStats({ successors: known - 1, isSafe, records, octets }, book, id));
  }, statsMs);
  stats.unref();

  const leave = async (): Promise<void> => {
    hasLeft = true;
    ending.abort();
    if (node.isMember) await ring.leave();
    changes.happened();
  };
  bootstrap(host, ring, join, AbortSignal.any([ending.signal, host.signal])).catch(error =>
    warn(`ring: ${messageOf(error)}`),
  );

  const service = serveRing(
    (toIndex, call, request, from) => {
      const to = peers[toIndex];
      if (to === undefined) throw new RangeError('no such node here');
      return ring.answer(to.id, call, request, from);
    },
    codecs,
    book,
  );
  const providers = providersOn(ring.first, book);
  const owner = metrics.measure(
    ownerHandlers({ ring, book, ways, changes, providers, leave, view, ending: ending.signal }),
  );
  // Members are served without it, so it is not worth a daemon.
  const rest = await startRest({ owner, registry: metrics.registry, warn }, { host: restHost, ports: restPorts }).catch(
    error => {
      warn(`ring: there is no REST: ${messageOf(error)}`);
      return undefined;
    },
  );
  return {
    name: 'ring',
    forMembers: [service],
    forMembersByBus: [service],
    forOwner: [serveOwner(owner)],
    providers,
    status() {
      const rested = rest === undefined ? [] : [`REST at http://${dialable(restHost)}:${rest.port}/ring`];
      if (hasLeft) return ['has left the ring; it joins again when the daemon starts'];
      if (!node.isMember) return ['outside: looking for a way in', ...rested];
      const { known, isSafe, safeAt, records } = view();
      const safety = isSafe ? 'safe' : `not yet safe: ${known} of ${safeAt} members`;
      return [safety, `${records} records held`, ...rested];
    },
    async close() {
      clearInterval(stats);
      // Another one might wait for ever, for nodes that are gone.
      const late = new Promise<void>(resolve => setTimeout(resolve, leaveMs).unref());
      await Promise.race([leave().catch(error => warn(`ring: while leaving: ${messageOf(error)}`)), late]);
      ring.close();
      for (const off of offs) off();
      await rest?.close();
      await events.close();
    },
  };
}

/** As others know it: its address is where it can be dialled just now. */
function ownPeer({ id, addresses }: MemberHost, index: number): Peer {
  return {
    ...{ id: identifierOfMember(id, index, sha256), member: id, index },
    get address() {
      return formatAddresses(addresses());
    },
  };
}

/** Acts for a name unless it has done so a moment ago. */
function onceIn(ms: number, clock: () => number): (name: string, act: () => void) => void {
  const last = new Map<string, number>();
  return (name, act) => {
    const now = clock();
    for (const [each, at] of last) {
      if (now - at < ms) break;
      last.delete(each);
    }
    if (last.has(name)) return;
    last.set(name, now);
    act();
  };
}

function clockOf({ clock }: MemberHost): RingClock {
  return {
    now: clock,
    after(ms, act) {
      const timer = setTimeout(act, ms);
      return () => clearTimeout(timer);
    },
  };
}
