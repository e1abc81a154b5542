import type { Identifier } from '../../../services/chord/identifier.ts';
import { hopsOf, timeoutsOf } from '../../../services/chord/lookup.ts';
import { maintain } from '../../../services/chord/maintenance.ts';
import { ChordNode } from '../../../services/chord/node.ts';
import { EventQueue } from '../../../test/chord/simulation/event-queue.ts';
import { Network } from '../../../test/chord/simulation/network.ts';
import { seededRandom } from '../../../test/support/seeded.ts';
import { createConverged, peerAt, randomIdentifier } from './converged.ts';

export interface ChurnSetting {
  readonly nodes: number;
  readonly r: number;
  /** Joins a second, and as many departures. */
  readonly rate: number;
  /** On average; each wait is uniform in ½ … 1½ of it. */
  readonly stabilizeMs: number;
  readonly lookups: number;
  /** Of all nodes together. */
  readonly lookupsPerSecond: number;
  /** Let this pass before the first lookup that counts. */
  readonly warmUpMs: number;
  /** Say so to their neighbours when they depart; else they fall silent. */
  readonly isPolite: boolean;
}

export interface Churn {
  readonly mean: number;
  readonly timeouts: number;
  readonly p99: number;
  readonly failed: number;
  readonly count: number;
  readonly joins: number;
  readonly departures: number;
  readonly calls: number;
  /** Milliseconds of virtual time that passed. */
  readonly virtualMs: number;
}

const callTimeoutMs = 500;
/** One way, on average, exponentially distributed: as in the paper. */
const delayMs = 50;

/** The real protocol over virtual time: everybody maintains, random nodes join and depart, random ones look random keys up. */
export async function measureChurn(seed: number, setting: ChurnSetting): Promise<Churn> {
  const random = seededRandom(seed);
  const exponential = (mean: number): number => -mean * Math.log(1 - random());
  const queue = new EventQueue();
  const network = new Network(queue, {
    delay: () => exponential(delayMs),
    isLost: () => false,
    isDoubled: () => false,
  });
  const options = { r: setting.r, callTimeoutMs, hopLimit: 100 };
  const living: ChordNode[] = [];
  const stops = new Map<Identifier, () => void>();

  function enter(node: ChordNode): void {
    living.push(node);
    const period = { stabilizeMs: setting.stabilizeMs, meetMs: 0 };
    stops.set(node.self.id, maintain(node, { clock: queue, random }, period));
  }
  function serve(node: ChordNode): void {
    network.start(node.self.id, (call, request, from) => node.answer(call as 'ping', request as never, from) as never);
  }
  /** Sorted lazily: who is a member, as one who sees everything knows it. */
  function ownerOf(key: Identifier): Identifier | undefined {
    let after: Identifier | undefined;
    let first: Identifier | undefined;
    for (const { self, isMember } of living) {
      if (!isMember) continue;
      if (self.id >= key && (after === undefined || self.id < after)) after = self.id;
      if (first === undefined || self.id < first) first = self.id;
    }
    return after ?? first;
  }
  const any = (): ChordNode => living[Math.floor(random() * living.length)] as ChordNode;

  const place = { clock: queue, transportOf: network.transportOf.bind(network) };
  for (const node of createConverged(setting.nodes, setting.r, random, place, callTimeoutMs).nodes) {
    serve(node);
    enter(node);
  }

  let joins = 0;
  let departures = 0;
  async function join(): Promise<void> {
    const self = peerAt(randomIdentifier(random));
    const node = new ChordNode({ transport: network.transportOf(self), clock: queue, random }, self, options);
    serve(node);
    for (let left = 10; left > 0; left--) {
      try {
        await node.join([any().self]);
        joins++;
        enter(node);
        return;
      } catch {
        await new Promise<void>(resolve => void queue.after(1_000, resolve));
      }
    }
  }
  function depart(): void {
    const at = Math.floor(random() * living.length);
    const node = living[at] as ChordNode;
    living[at] = living.at(-1) as ChordNode;
    living.pop();
    stops.get(node.self.id)?.();
    stops.delete(node.self.id);
    if (setting.isPolite) node.leave();
    else node.close();
    network.kill(node.self.id);
    departures++;
  }
  function poisson(perSecond: number, act: () => void): void {
    queue.after(exponential(1_000 / perSecond), () => {
      act();
      poisson(perSecond, act);
    });
  }
  if (setting.rate > 0) {
    poisson(setting.rate, () => void join());
    poisson(setting.rate, depart);
  }

  let [asked, done, failed, hops, timeouts] = [0, 0, 0, 0, 0];
  const lengths: number[] = [];
  async function look(): Promise<void> {
    const node = any();
    const key = randomIdentifier(random);
    const ownerBefore = ownerOf(key);
    const found = await node.lookup(key).catch(() => undefined);
    // Whose asker departed meanwhile does not count.
    if (!node.isMember) {
      asked--;
      return;
    }
    done++;
    if (!found || (found.owner.id !== ownerBefore && found.owner.id !== ownerOf(key))) failed++;
    if (!found) return;
    const taken = hopsOf(found);
    lengths.push(taken);
    hops += taken;
    timeouts += timeoutsOf(found);
  }
  await queue.runUntil(setting.warmUpMs);
  poisson(setting.lookupsPerSecond, () => {
    if (asked >= setting.lookups) return;
    asked++;
    void look();
  });
  while (done < setting.lookups) await queue.runUntil(queue.now() + 10_000);
  lengths.sort((a, b) => a - b);
  return {
    mean: hops / lengths.length,
    timeouts: timeouts / lengths.length,
    p99: lengths[Math.floor(lengths.length * 0.99)] ?? 0,
    ...{ failed, count: done, joins, departures, calls: network.calls, virtualMs: queue.now() },
  };
}
