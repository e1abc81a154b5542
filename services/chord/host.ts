import { type Identifier, isBetween } from './identifier.ts';
import { maintain, type Rendezvous } from './maintenance.ts';
import { ChordNode, isNodeCall } from './node.ts';
import type { Peer } from './peer.ts';
import {
  isStorageCall,
  type RingCall,
  type RingCalls,
  type RingEvent,
  type RingOptions,
  type RingPorts,
} from './ports.ts';
import { type RingSteps, zaveSteps } from './steps.ts';
import { RingStorage, type StorageOptions, type StoragePorts } from './storage.ts';

export interface HostPorts extends Omit<RingPorts, 'transport'>, Omit<StoragePorts, 'clock' | 'random' | 'emit'> {
  /** Each virtual node calls in its own name. */
  readonly transportOf: (self: Peer) => RingPorts['transport'];
  /** Members to look oneself up through now and then. */
  readonly rendezvous?: Rendezvous;
}

export type HostOptions = RingOptions & Omit<StorageOptions, 'k' | 'r' | 'repairMs'>;

/** A node and what it stores. */
export interface Place {
  readonly node: ChordNode;
  readonly storage: RingStorage;
}

/**
 * A member's places on the ring: one, or several virtual nodes that share its fate. Puts and gets of the member go through the first.
 */
export class RingHost {
  readonly places: readonly Place[];
  readonly #byId: ReadonlyMap<Identifier, Place>;
  readonly #ports: HostPorts;
  readonly #options: HostOptions;
  #stops: (() => void)[] = [];

  /** @param peers one for each virtual node, see `identifierOfMember` */
  constructor(ports: HostPorts, peers: readonly Peer[], options: HostOptions, steps: RingSteps = zaveSteps) {
    this.#ports = ports;
    this.#options = options;
    this.places = peers.map(self => {
      const node = new ChordNode({ ...ports, transport: ports.transportOf(self) }, self, options, steps);
      return { node, storage: new RingStorage(node, ports, options) };
    });
    this.#byId = new Map(this.places.map(place => [place.node.self.id, place]));
  }

  get first(): Place {
    const [place] = this.places;
    if (!place) throw new RangeError('a host has at least one node');
    return place;
  }

  /** A ring of its own. */
  async found(): Promise<void> {
    this.first.node.found();
    await this.#joinRest();
  }

  /** @throws Failure `NOT_JOINED`: try again a little later */
  async join(via: readonly Peer[]): Promise<void> {
    await this.first.node.join(via);
    await this.#joinRest();
  }

  /** Begins to maintain what has been entered already (`ChordNode.enter`). */
  maintain(): void {
    for (const { node, storage } of this.places) this.#maintain(node, storage);
  }

  /** Hands over what it holds, and says so. The places answer no more afterwards. */
  async leave(): Promise<void> {
    for (const { node, storage } of this.places) {
      await storage.handOver();
      node.leave();
    }
    this.close();
  }

  /** Without a word: to the others it died. */
  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    for (const { node, storage } of this.places) {
      node.close();
      storage.store.clear();
    }
  }

  /**
   * Serves a call to one of its places.
   * @throws Failure `OUTSIDE` when the place is in no ring; a RangeError when it is not of this host
   */
  answer<K extends RingCall>(
    to: Identifier,
    call: K,
    request: RingCalls[K]['request'],
    from: Peer,
  ): RingCalls[K]['reply'] {
    const place = this.#byId.get(to);
    if (!place) throw new RangeError('no such node here');
    if (isNodeCall(call)) return place.node.answer(call, request as never, from) as RingCalls[K]['reply'];
    if (isStorageCall(call)) return place.storage.answer(call, request as never, from) as RingCalls[K]['reply'];
    throw new RangeError(`no call ${String(call)}`);
  }

  /** An event of the ring, from whoever: the repair that it may call for is done at once. */
  hear({ node: { id } }: RingEvent): void {
    for (const { node, storage } of this.places) {
      const { predecessor, successors } = node.neighbours;
      const isNeighbour = predecessor?.id === id || successors.some(peer => peer.id === id);
      // Or a new one next to us.
      const isNext = node.owns(id) || isBetween(node.self.id, id, (successors[0] ?? node.self).id);
      if (!isNeighbour && !isNext) continue;
      node.nudge();
      storage.hear();
    }
  }

  async #joinRest(): Promise<void> {
    this.#maintain(this.first.node, this.first.storage);
    for (const { node, storage } of this.places.slice(1)) {
      await node.join([this.first.node.self]);
      this.#maintain(node, storage);
    }
  }

  #maintain(node: ChordNode, storage: RingStorage): void {
    this.#stops.push(maintain(node, this.#ports, this.#options, this.#ports.rendezvous), storage.maintain());
  }
}
