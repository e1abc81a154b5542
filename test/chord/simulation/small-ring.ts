import { RingHost } from '../../../services/chord/host.ts';
import { type Identifier, identifier } from '../../../services/chord/identifier.ts';
import type { Peer } from '../../../services/chord/peer.ts';
import { liveOptions, type RingEvent } from '../../../services/chord/ports.ts';
import type { RingRecord } from '../../../services/chord/record.ts';
import { seededRandom } from '../../support/seeded.ts';
import { EventQueue } from './event-queue.ts';
import { ascending, type Member, unideal } from './invariant.ts';
import { Network } from './network.ts';

export const id = (value: number | bigint): Identifier => identifier(BigInt(value));

/** The place that a test chooses, of a member that stands for it. */
export function peer(value: number, member = value, index = 0): Peer {
  return { id: id(value), member: member.toString(16).padStart(64, '0'), index, address: '' };
}

const options = {
  ...{ ...liveOptions, r: 3, callTimeoutMs: 200, stabilizeMs: 500, repairMs: 1_000, meetMs: 2_000 },
  ...{ patienceMs: 5_000, providerLifeMs: 60_000 },
};

/** Real hosts at chosen places over a calm network in virtual time. What is signed with `false` in front is not authentic. */
export class SmallRing {
  readonly queue = new EventQueue();
  readonly network = new Network(this.queue, { delay: () => 5, isLost: () => false, isDoubled: () => false });
  readonly hosts = new Map<Identifier, RingHost>();
  readonly events: RingEvent[] = [];
  readonly options: typeof options;
  rendezvous: (() => Promise<Peer[]>) | undefined;
  readonly #random = seededRandom(1);

  constructor(changes: Partial<typeof options> = {}) {
    this.options = { ...options, ...changes };
  }

  host(...peers: readonly Peer[]): RingHost {
    const isAuthentic = ({ signature }: RingRecord): boolean => signature[0] !== 0;
    const signed = { publicKey: new Uint8Array(32), signature: new Uint8Array([1]) };
    const { rendezvous } = this;
    const host = new RingHost(
      {
        ...{ clock: this.queue, random: this.#random, writer: peers[0]?.member ?? '', sign: () => signed, isAuthentic },
        transportOf: self => this.network.transportOf(self),
        emit: event => void this.events.push(event),
        ...(rendezvous ? { rendezvous } : {}),
      },
      peers,
      this.options,
    );
    for (const self of peers) {
      this.hosts.set(self.id, host);
      this.network.start(self.id, (call, request, from) => host.answer(self.id, call, request, from));
    }
    return host;
  }

  /** The first founds it, the others join through the first, one after the other. */
  async grow(...places: readonly number[]): Promise<this> {
    const [first = 0, ...others] = places;
    const founder = this.host(peer(first));
    await this.run(founder.found());
    for (const place of others) {
      await this.run(this.host(peer(place)).join([peer(first)]));
      // The one before it hears of it.
      await this.pass(200);
    }
    // However far apart the rounds of this ring are.
    for (let left = this.options.r + 1; left > 0; left--)
      for (const { places } of this.hosts.values()) for (const { node } of places) await this.run(node.stabilize());
    await this.settle();
    return this;
  }

  at(place: number): RingHost {
    return this.hosts.get(id(place)) as RingHost;
  }

  kill(place: number): void {
    const host = this.at(place);
    for (const { node } of host.places) {
      this.network.kill(node.self.id);
      this.hosts.delete(node.self.id);
    }
    host.close();
  }

  /** Virtual time goes on until the promise is settled. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    const end = (): void => {
      isOver = true;
    };
    promise.then(end, end);
    await this.queue.runWhile(() => !isOver);
    return promise;
  }

  async pass(ms: number): Promise<void> {
    await this.queue.runUntil(this.queue.now() + ms);
  }

  /** Time enough for everything to be found out and repaired. */
  async settle(): Promise<void> {
    await this.pass(20_000);
  }

  members(): Member[] {
    const nodes = [...new Set(this.hosts.values())].flatMap(({ places }) => places.map(({ node }) => node));
    return nodes.filter(({ isMember }) => isMember).map(({ self, neighbours }) => ({ self, neighbours }));
  }

  /** What is not as in the ideal ring. */
  unideal(): string | undefined {
    return unideal(this.members(), this.options.r);
  }

  /** Places that hold the key, in the order of the circle. */
  holding(key: Identifier): number[] {
    const found: Identifier[] = [];
    for (const [at, { places }] of this.hosts) {
      const place = places.find(({ node }) => node.self.id === at);
      if (place && place.storage.store.of(key, 'value', this.queue.now()).length > 0) found.push(at);
    }
    return found.sort(ascending).map(Number);
  }
}
