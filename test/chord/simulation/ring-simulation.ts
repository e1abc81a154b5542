import { bits, distance, type Identifier, identifier } from '../../../services/chord/identifier.ts';
import { maintain } from '../../../services/chord/maintenance.ts';
import { ChordNode, isNodeCall } from '../../../services/chord/node.ts';
import type { Peer } from '../../../services/chord/peer.ts';
import { maintenanceTries, type RingSteps, zaveSteps } from '../../../services/chord/steps.ts';
import { behind } from '../../../services/chord/successor-list.ts';
import { seededRandom } from '../../support/seeded.ts';
import { EventQueue } from './event-queue.ts';
import { ascending, extended, isForJoining, type Member, principals, short, unideal, violation } from './invariant.ts';
import { Network } from './network.ts';

export interface RingRun {
  readonly seed: number;
  readonly problems: readonly string[];
  readonly transcript: readonly string[];
  readonly events: number;
  readonly mostMembers: number;
  readonly counts: Readonly<Record<'joins' | 'failures' | 'leaves' | 'refused' | 'lookups' | 'wrongLookups', number>>;
}

/** `bounded`: within Zave's model, her invariant is checked after each event. `wild`: messages lost and late, cuts: only the ideal ring at the end. `apart`: two rings, each right, that know each other only by a rendezvous. */
export type Kind = 'bounded' | 'wild' | 'apart';

export interface RingSetting {
  readonly kind?: Kind;
  readonly steps?: RingSteps;
  readonly isTold?: boolean;
}

const activeMs = 30_000;
const mostNodes = 64;

interface Actor {
  readonly peer: Peer;
  node: ChordNode;
  state: 'joining' | 'member' | 'dead';
  since: number;
  stop: () => void;
}

/** One seeded run of the very node code. */
export async function simulateRing(seed: number, setting: RingSetting = {}): Promise<RingRun> {
  const { kind = 'bounded', steps = zaveSteps, isTold = false } = setting;
  const random = seededRandom(seed);
  const chance = (p: number): boolean => random() < p;
  const span = (low: number, high: number): number => low + (high - low) * random();
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(from: readonly T[]): T | undefined => from[below(from.length)];

  const callTimeoutMs = 500;
  const longestMs = kind === 'bounded' ? callTimeoutMs * 0.48 : callTimeoutMs * 4;
  const slowShare = span(0, kind === 'bounded' ? 1 : 0.3);
  const lossShare = kind === 'bounded' ? 0 : span(0, 0.1);
  const doubledShare = span(0, 0.3);
  const r = pick([1, 2, 2, 3, 4, 8]) as number;
  const stabilizeMs = span(100, 2_000);
  const options = { r, callTimeoutMs, hopLimit: 200 };
  /** From a question asked of a dead node until it counts as dead. */
  const failureMs = maintenanceTries * callTimeoutMs + 1;

  const queue = new EventQueue();
  const network = new Network(queue, {
    delay: () => (chance(slowShare) ? span(1, longestMs) : span(1, 20)),
    isLost: () => chance(lossShare),
    isDoubled: () => chance(doubledShare),
  });
  const transcript: string[] = [];
  const problems: string[] = [];
  const counts = { joins: 0, failures: 0, leaves: 0, refused: 0, lookups: 0, wrongLookups: 0 };
  const say = (text: () => string): void => {
    if (isTold) transcript.push(`${queue.now().toFixed(0).padStart(7)} ${text()}`);
  };
  const actors = new Map<Identifier, Actor>();
  let isChanged = true;

  const membersOf = (): Actor[] => [...actors.values()].filter(({ node }) => node.isMember);
  const asMember = ({ peer, node }: Actor): Member => ({ self: peer, neighbours: node.neighbours });

  // Sometimes all nodes lie close together, so that every distance of one or two points and the end of the circle are met.
  const isCrowded = chance(0.3);
  const middle = identifier(chance(0.5) ? 0n : BigInt(below(2 ** 48)) << 100n);
  function newIdentifier(): Identifier {
    for (;;) {
      let value = 0n;
      for (let i = 0; i < bits / 32; i++) value = (value << 32n) | BigInt(below(2 ** 32));
      const id = isCrowded ? identifier(middle + BigInt(below(160)) - 80n) : identifier(value);
      if (!actors.has(id)) return id;
    }
  }
  function createActor(id: Identifier): Actor {
    const peer: Peer = { id, member: '', index: 0, address: '' };
    const actor: Actor = { peer, node: createNode(peer), state: 'joining', since: queue.now(), stop: () => {} };
    actors.set(id, actor);
    return actor;
  }
  function createNode(peer: Peer): ChordNode {
    const ports = { transport: network.transportOf(peer), clock: queue, random };
    const node = new ChordNode(ports, peer, options, steps);
    node.onChange(() => {
      isChanged = true;
      const { predecessor, successors } = node.neighbours;
      say(
        () =>
          `${short(peer.id)} has [${successors.map(({ id }) => short(id)).join(' ')}] after ${predecessor ? short(predecessor.id) : 'nobody'}`,
      );
    });
    network.start(peer.id, (call, request, from) => {
      if (!isNodeCall(call)) throw new Error(`no ${call} here`);
      return node.answer(call, request as never, from) as never;
    });
    return node;
  }
  const rendezvous = async (): Promise<Peer[]> => membersOf().map(({ peer }) => peer);
  function begin(actor: Actor): void {
    actor.state = 'member';
    actor.since = queue.now();
    actor.stop = maintain(
      actor.node,
      { clock: queue, random },
      { stabilizeMs, meetMs: 4_000 },
      kind === 'bounded' ? undefined : rendezvous,
    );
  }
  async function join(actor: Actor): Promise<void> {
    const { node } = actor;
    for (let left = 20; left > 0 && actor.node === node && actor.state === 'joining'; left--) {
      const via = pick(membersOf());
      if (!via) return;
      try {
        await node.join([via.peer]);
      } catch {
        await new Promise<void>(resolve => void queue.after(span(50, 1_000), resolve));
        continue;
      }
      if (actor.node !== node || actor.state !== 'joining') return;
      counts.joins++;
      begin(actor);
    }
  }

  /** Whether the rest still covers what Zave asks for without it, also once every list that is on its way has arrived. */
  function mayGo(gone: Actor): boolean {
    const rest = membersOf().filter(actor => actor !== gone);
    // Who asked a node before it entered may drop it once more.
    const settled = rest.filter(({ since, state }) => state === 'member' && queue.now() - since > failureMs);
    const lasting = new Set(settled.map(({ peer }) => peer.id));
    const lists = rest.map(actor => extended(asMember(actor)));
    for (const { asker, from, neighbours } of network.listsOnTheirWay) {
      const list = neighbours.successors.map(({ id }) => id);
      const joins = isForJoining(asker.id, from.id, list[0] as Identifier);
      lists.push(joins ? [asker.id, ...list] : [asker.id, from.id, ...list].slice(0, r + 1));
    }
    if (lists.some(([self, ...list]) => !list.some(id => id !== self && lasting.has(id)))) return false;
    return principals([...lasting].sort(ascending), lists).length > r;
  }
  function go(actor: Actor, how: 'fails' | 'leaves'): void {
    say(() => `${short(actor.peer.id)} ${how}`);
    actor.state = 'dead';
    actor.stop();
    if (how === 'leaves') actor.node.leave();
    else actor.node.close();
    network.kill(actor.peer.id);
    isChanged = true;
  }

  // --- founded as an ideal ring of at least r + 1, or as two
  function foundRing(): void {
    const founders = Array.from({ length: r + 1 + below(chance(0.5) ? 3 : 40) }, () => createActor(newIdentifier()));
    founders.sort((one, other) => ascending(one.peer.id, other.peer.id));
    for (const [at, actor] of founders.entries()) {
      const next = (far: number): Peer => (founders[(at + far + founders.length) % founders.length] as Actor).peer;
      actor.node.enter({
        predecessor: next(-1),
        successors: behind(
          next(1),
          Array.from({ length: r - 1 }, (_, i) => next(i + 2)),
          r,
        ),
      });
      begin(actor);
      actor.since = Number.NEGATIVE_INFINITY;
    }
  }
  foundRing();
  if (kind === 'apart') foundRing();

  // --- what happens
  const goingShare = span(0.2, 0.5);
  const paceMs = span(50, 1_000);
  function happen(): void {
    if (queue.now() > activeMs) return;
    queue.after(span(0, 2) * paceMs, happen);
    const members = membersOf();
    const dice = random();
    if (dice < goingShare) {
      // Now and then several at once.
      for (let left = chance(0.1) ? r : 1; left > 0; left--) {
        const actor = pick(membersOf());
        if (actor?.state !== 'member') continue;
        if (kind === 'wild' ? membersOf().length <= 2 : !mayGo(actor)) {
          counts.refused++;
          continue;
        }
        const how = chance(0.3) ? 'leaves' : 'fails';
        counts[how === 'leaves' ? 'leaves' : 'failures']++;
        go(actor, how);
      }
      return;
    }
    if (dice < 0.9) {
      if ([...actors.values()].filter(({ state }) => state !== 'dead').length >= mostNodes) return;
      const dead = pick([...actors.values()].filter(({ state }) => state === 'dead'));
      // A node that comes again starts from nothing, at its old place.
      if (dead && chance(0.3)) {
        dead.node = createNode(dead.peer);
        dead.state = 'joining';
        say(() => `${short(dead.peer.id)} comes again`);
        void join(dead);
      } else {
        const actor = createActor(newIdentifier());
        say(() => `${short(actor.peer.id)} comes`);
        void join(actor);
      }
      return;
    }
    const asker = pick(members);
    if (asker) void look(asker, newIdentifier());
  }
  async function look({ node }: Actor, key: Identifier): Promise<void> {
    const found = await node.lookup(key).catch(() => undefined);
    counts.lookups++;
    const owner = ownerOf(
      key,
      membersOf().map(({ peer }) => peer.id),
    );
    if (found?.owner.id !== owner) counts.wrongLookups++;
  }
  function cut(): void {
    if (queue.now() > activeMs) return;
    queue.after(span(2_000, 20_000), cut);
    const side = new Map<Identifier, number>();
    const sideOf = (id: Identifier): number => {
      if (!side.has(id)) side.set(id, below(2));
      return side.get(id) as number;
    };
    const isOneWay = chance(0.3);
    network.isCut = (from, to) => (isOneWay ? sideOf(from) < sideOf(to) : sideOf(from) !== sideOf(to));
    say(() => 'the network is cut');
    queue.after(span(500, 10_000), () => {
      say(() => 'the network is whole');
      network.isCut = () => false;
    });
  }
  if (kind !== 'apart') queue.after(0, happen);
  if (kind === 'wild') queue.after(span(0, 10_000), cut);

  let events = 0;
  let mostMembers = 0;
  const check = (): boolean => {
    events++;
    if (!isChanged) return false;
    isChanged = false;
    const members = membersOf();
    mostMembers = Math.max(mostMembers, members.length);
    if (kind !== 'bounded') return false;
    const problem = violation(members.map(asMember), r);
    if (problem === undefined) return false;
    say(() => problem);
    problems.push(`at ${queue.now().toFixed(0)} ms: ${problem}`);
    return true;
  };
  await queue.runUntil(activeMs, check);

  // --- left alone
  if (problems.length === 0) {
    say(() => 'left alone');
    network.isCut = () => false;
    network.weather = { delay: () => span(1, 20), isLost: () => false, isDoubled: () => false };
    // Those that join still go on; what is wrong at one end of a list is right at the other a round later for each node between.
    const patienceMs = (mostNodes + r) * 1.5 * (stabilizeMs + failureMs) + (kind === 'bounded' ? 0 : 120_000);
    let isIdeal = false;
    let lastCheckedAt = 0;
    await queue.runUntil(activeMs + patienceMs, () => {
      if (check()) return true;
      if (queue.now() < activeMs + 22_000 || queue.now() - lastCheckedAt < 1_000) return false;
      lastCheckedAt = queue.now();
      isIdeal = unideal(membersOf().map(asMember), r) === undefined;
      return isIdeal;
    });
    if (!isIdeal && problems.length === 0)
      problems.push(`not ideal when left alone: ${unideal(membersOf().map(asMember), r)}`);
  }
  for (const { stop } of actors.values()) stop();
  return { seed, problems, transcript, events, mostMembers, counts };
}

export function ownerOf(key: Identifier, ids: readonly Identifier[]): Identifier | undefined {
  let owner: Identifier | undefined;
  for (const id of ids) if (owner === undefined || distance(key, id) < distance(key, owner)) owner = id;
  return owner;
}
