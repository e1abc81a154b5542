import { RingHost } from '../../../services/chord/host.ts';
import { bits, distance, type Identifier, identifier } from '../../../services/chord/identifier.ts';
import type { Peer } from '../../../services/chord/peer.ts';
import { isStorageCall } from '../../../services/chord/ports.ts';
import { isHigher, slotOf, type UnsignedRecord, type Version } from '../../../services/chord/record.ts';
import { maintenanceTries } from '../../../services/chord/steps.ts';
import { behind } from '../../../services/chord/successor-list.ts';
import { seededRandom } from '../../support/seeded.ts';
import { EventQueue } from './event-queue.ts';
import { ascending, short, unideal } from './invariant.ts';
import { Network, type Process } from './network.ts';

export interface StorageRun {
  readonly seed: number;
  readonly problems: readonly string[];
  readonly transcript: readonly string[];
  readonly counts: Readonly<
    Record<'puts' | 'acknowledged' | 'gets' | 'answered' | 'failures' | 'leaves' | 'joins', number>
  >;
}

export interface StorageSetting {
  /** What goes wrong on purpose: around what a node answers. */
  readonly spoil?: (process: Process) => Process;
  readonly isTold?: boolean;
}

const activeMs = 30_000;
const k = 3;
const r = 4;

interface Actor {
  readonly peer: Peer;
  host: RingHost;
  state: 'joining' | 'member' | 'leaving' | 'dead';
}

/** A key that is written and read, and what the simulator knows of it. */
interface Known {
  readonly key: Identifier;
  /** The highest that was acknowledged. */
  acknowledged: Version | undefined;
  /** Every version that was signed, and whether it removes. */
  readonly versions: { version: Version; isRemoval: boolean }[];
  /** Who held it when last all of its holders did, or when it was acknowledged. */
  holders: ReadonlySet<Identifier>;
  /** Of those, how many have gone since. */
  gone: number;
}

/**
 * Values written, read and removed by many while nodes join, leave and fail, fewer than a majority of a key's holders between two moments in
 * which all of its holders have it. Every get that answers must give what was acknowledged before it was asked, or newer.
 */
export async function simulateStorage(
  seed: number,
  { spoil, isTold = false }: StorageSetting = {},
): Promise<StorageRun> {
  const random = seededRandom(seed);
  const chance = (p: number): boolean => random() < p;
  const span = (low: number, high: number): number => low + (high - low) * random();
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(from: readonly T[]): T | undefined => from[below(from.length)];

  const callTimeoutMs = 400;
  const slowShare = span(0, 0.5);
  const lossShare = span(0, 0.3);
  const doubledShare = span(0, 0.2);
  const queue = new EventQueue();
  const network = new Network(queue, {
    delay: () => (chance(slowShare) ? span(1, callTimeoutMs * 0.48) : span(1, 20)),
    // Losses of the ring's own calls would be false suspicions; those of storage are what it must bear.
    isLost: call => isStorageCall(call) && chance(lossShare),
    isDoubled: () => chance(doubledShare),
  });
  const options = {
    ...{ r, k, callTimeoutMs, hopLimit: 200, stabilizeMs: span(200, 1_000), repairMs: span(500, 15_000), meetMs: 1e9 },
    ...{ patienceMs: 8_000, providerLifeMs: 600_000 },
  };
  const problems: string[] = [];
  const transcript: string[] = [];
  const counts = { puts: 0, acknowledged: 0, gets: 0, answered: 0, failures: 0, leaves: 0, joins: 0 };
  const say = (text: () => string): void => {
    if (isTold) transcript.push(`${queue.now().toFixed(0).padStart(7)} ${text()}`);
  };
  const fail = (text: string): void => {
    say(() => text);
    problems.push(`at ${queue.now().toFixed(0)} ms: ${text}`);
  };
  const actors = new Map<Identifier, Actor>();
  const membersOf = (): Actor[] => [...actors.values()].filter(({ host }) => host.first.node.isMember);

  function newIdentifier(): Identifier {
    let value = 0n;
    for (let i = 0; i < bits / 32; i++) value = (value << 32n) | BigInt(below(2 ** 32));
    return identifier(value);
  }
  const keys: Known[] = Array.from({ length: 1 + below(40) }, () => ({
    ...{ key: newIdentifier(), acknowledged: undefined, versions: [], holders: new Set<Identifier>(), gone: 0 },
  }));
  const knownOf = new Map(keys.map(known => [known.key, known]));

  function createActor(id = newIdentifier()): Actor {
    const member = id.toString(16).padStart(64, '0');
    const peer: Peer = { id, member, index: 0, address: '' };
    const actor: Actor = { peer, host: createHost(peer), state: 'joining' };
    actors.set(id, actor);
    return actor;
  }
  function createHost(peer: Peer): RingHost {
    const nothing = new Uint8Array();
    const sign = ({ key, counter, writer, value }: UnsignedRecord) => {
      knownOf.get(key)?.versions.push({ version: { counter, writer }, isRemoval: value === undefined });
      return { publicKey: nothing, signature: nothing };
    };
    const ports = { clock: queue, random, writer: peer.member, sign, isAuthentic: () => true };
    const host = new RingHost({ ...ports, transportOf: self => network.transportOf(self) }, [peer], options);
    const process: Process = (call, request, from) => host.answer(peer.id, call, request, from);
    network.start(peer.id, spoil ? spoil(process) : process);
    return host;
  }
  async function join(actor: Actor): Promise<void> {
    for (let left = 20; left > 0 && actor.state === 'joining'; left--) {
      const via = pick(membersOf());
      try {
        await actor.host.join(via ? [via.peer] : []);
      } catch {
        await new Promise<void>(resolve => void queue.after(span(50, 500), resolve));
        continue;
      }
      if (actor.state !== 'joining') return;
      counts.joins++;
      actor.state = 'member';
    }
  }

  // --- what the simulator sees
  function holdersOf(key: Identifier): Actor[] {
    return membersOf()
      .sort((one, other) => (distance(key, one.peer.id) < distance(key, other.peer.id) ? -1 : 1))
      .slice(0, k);
  }
  const versionAt = ({ host }: Actor, key: Identifier): Version | undefined =>
    host.first.storage.store.get(slotOf({ kind: 'value', key, writer: '' }), queue.now());
  /** At least what was acknowledged. */
  const isFresh = (found: Version | undefined, acknowledged: Version | undefined): boolean =>
    acknowledged === undefined || (found !== undefined && !isHigher(acknowledged, found));
  function look(): void {
    for (const known of keys) {
      const holders = holdersOf(known.key);
      if (!holders.every(holder => isFresh(versionAt(holder, known.key), known.acknowledged))) continue;
      known.holders = new Set(holders.map(({ peer }) => peer.id));
      known.gone = 0;
    }
  }
  /** One of three may go until all have it again, and one node at a time for the ring. */
  function mayGo({ peer }: Actor): boolean {
    look();
    if (membersOf().length <= r + 2 || queue.now() - lastGoneAt < 2 * maintenanceTries * callTimeoutMs) return false;
    return keys.every(({ holders, gone }) => !holders.has(peer.id) || gone < Math.floor((k - 1) / 2));
  }
  let written: Known | undefined;
  let lastGoneAt = Number.NEGATIVE_INFINITY;
  function count({ peer }: Actor): void {
    lastGoneAt = queue.now();
    for (const known of keys) if (known.holders.has(peer.id)) known.gone++;
  }

  async function write(actor: Actor, known: Known, isRemoval: boolean): Promise<void> {
    const { storage } = actor.host.first;
    counts.puts++;
    const before = known.versions.length;
    try {
      if (isRemoval) await storage.remove(known.key);
      else await storage.put(known.key, new Uint8Array([counts.puts & 0xff]));
    } catch {
      return;
    }
    counts.acknowledged++;
    written = known;
    const mine = known.versions.slice(before).find(({ version }) => version.writer === actor.peer.member)?.version;
    if (!mine) return fail('a put was acknowledged that was not signed');
    say(() => `${short(actor.peer.id)} ${isRemoval ? 'removed' : 'put'} ${short(known.key)} as ${mine.counter}`);
    if (!isHigher(mine, known.acknowledged)) return;
    known.acknowledged = mine;
    // From here on its holders count; those that have gone while it was written, too.
    const holders = holdersOf(known.key);
    known.holders = new Set([...known.holders, ...holders.map(({ peer }) => peer.id)]);
  }
  async function read(actor: Actor, known: Known, isLast = false): Promise<void> {
    const { acknowledged } = known;
    counts.gets++;
    let found: Version | undefined;
    try {
      found = await actor.host.first.storage.get(known.key);
    } catch (error) {
      if (isLast) fail(`${short(known.key)} cannot be read: ${String(error)}`);
      return;
    }
    counts.answered++;
    if (isFresh(found, acknowledged)) return;
    const isRemoved = known.versions.some(
      ({ version, isRemoval }) => isRemoval && !isHigher(acknowledged as Version, version),
    );
    if (found === undefined && isRemoved) return;
    fail(
      `${short(actor.peer.id)} got ${found ? `version ${found.counter}` : 'nothing'} for ${short(known.key)}, of which version ${acknowledged?.counter} was acknowledged`,
    );
  }

  // --- founded as an ideal ring
  const founders = Array.from({ length: r + 2 + below(12) }, () => createActor());
  founders.sort((one, other) => ascending(one.peer.id, other.peer.id));
  for (const [at, { host, peer }] of founders.entries()) {
    const next = (far: number): Peer => (founders[(at + far + founders.length) % founders.length] as Actor).peer;
    const successors = behind(
      next(1),
      Array.from({ length: r - 1 }, (_, i) => next(i + 2)),
      r,
    );
    host.first.node.enter({ predecessor: next(-1), successors });
    host.maintain();
    (actors.get(peer.id) as Actor).state = 'member';
  }

  // --- what happens
  const goingShare = span(0, 0.25);
  const paceMs = span(20, 300);
  async function leave(actor: Actor): Promise<void> {
    actor.state = 'leaving';
    await actor.host.leave();
    if (actor.state !== 'leaving') return;
    actor.state = 'dead';
    network.kill(actor.peer.id);
  }
  function happen(): void {
    if (queue.now() > activeMs || problems.length > 0) return;
    queue.after(span(0, 2) * paceMs, happen);
    const actor = pick(membersOf().filter(({ state }) => state === 'member'));
    const known = pick(keys);
    if (!actor || !known) return;
    const dice = random();
    if (dice < goingShare) {
      // Often the owner of what was written last, which is then read while others take over.
      const recent = chance(0.5) ? written : undefined;
      const owner = recent && holdersOf(recent.key)[0];
      goes(owner?.state === 'member' ? owner : actor, recent);
    } else if (dice < 0.35) {
      if (membersOf().length < 24) void join(createActor());
    } else if (dice < 0.6) void write(actor, known, chance(0.2));
    else void read(actor, known);
  }
  function goes(actor: Actor, recent: Known | undefined): void {
    if (!mayGo(actor)) return;
    count(actor);
    const leaves = chance(0.3);
    say(() => `${short(actor.peer.id)} ${leaves ? 'leaves' : 'fails'}`);
    counts[leaves ? 'leaves' : 'failures']++;
    if (leaves) return void leave(actor);
    actor.state = 'dead';
    actor.host.close();
    network.kill(actor.peer.id);
    for (let left = recent ? 8 : 0; left > 0; left--)
      queue.after(span(0, 4_000), () => {
        const reader = pick(membersOf());
        if (reader && recent) void read(reader, recent);
      });
  }
  queue.after(0, happen);
  const watch = (): void => {
    look();
    if (queue.now() < activeMs) queue.after(500, watch);
  };
  queue.after(0, watch);
  await queue.runUntil(activeMs, () => problems.length > 0);

  // --- left alone
  if (problems.length === 0) {
    network.weather = { delay: () => span(1, 20), isLost: () => false, isDoubled: () => false };
    await queue.runUntil(activeMs + 45_000);
    const ring = membersOf().map(({ peer, host }) => ({ self: peer, neighbours: host.first.node.neighbours }));
    const wrong = unideal(ring, r);
    if (wrong) fail(wrong);
    for (const known of keys) {
      const reader = pick(membersOf());
      if (reader) void read(reader, known, true);
      const holders = holdersOf(known.key);
      const versions = membersOf().map(actor => ({ actor, version: versionAt(actor, known.key) }));
      for (const { actor, version } of versions) {
        const isHolder = holders.includes(actor);
        if (isHolder && !isFresh(version, known.acknowledged))
          fail(`${short(actor.peer.id)} holds ${short(known.key)} and has ${version ? 'an older version' : 'nothing'}`);
        if (!isHolder && version) fail(`${short(actor.peer.id)} still keeps ${short(known.key)}, which others hold`);
      }
    }
    await queue.runUntil(queue.now() + 10_000);
  }
  for (const { host } of actors.values()) host.close();
  return { seed, problems, transcript, counts };
}
