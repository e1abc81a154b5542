import { isDeepStrictEqual } from 'node:util';
import { ChatLog, type Read } from '../../../services/chat/core/chat-log.ts';
import type { ClientEffect } from '../../../services/chat/core/client-events.ts';
import type { Logged, Operation } from '../../../services/chat/core/entry.ts';
import type { ServerEffect } from '../../../services/chat/core/server-events.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import { EventQueue } from '../../chord/simulation/event-queue.ts';
import { seededRandom } from '../../support/seeded.ts';
import { ModelBroker } from './model-broker.ts';
import { ModelNaming } from './model-naming.ts';
import { describe, describeInput, ModelProcess, type Mutation, nameOf, type World } from './model-process.ts';
import { Oracle } from './oracle.ts';

export interface ChatRun {
  readonly seed: number;
  readonly problems: readonly string[];
  readonly transcript: readonly string[];
  readonly counts: Readonly<Record<Count, number>>;
}

type Count =
  | 'said'
  | 'entries'
  | 'void'
  | 'epochs'
  | 'migrations'
  | 'kills'
  | 'freezes'
  | 'cuts'
  | 'brokerRestarts'
  | 'namingRestarts'
  | 'checkpoints'
  | 'cutLogs'
  | 'refused'
  | 'lateReturns'
  | 'stuck';

export interface ChatSetting {
  readonly mutation?: Mutation;
  readonly isTold?: boolean;
}

const activeMs = 20_000;
/** Whatever goes wrong lasts for 6 s at most. */
const settledMs = activeMs + 8_000;
const latestMs = activeMs + 100_000;
const maxProblems = 5;

/** One seeded run of the very machines of the chat, over models of the broker and of naming. */
export async function simulateChat(
  seed: number,
  { mutation = {}, isTold = false }: ChatSetting = {},
): Promise<ChatRun> {
  const random = seededRandom(seed);
  const chance = (p: number): boolean => random() < p;
  const span = (low: number, high: number): number => low + (high - low) * random();
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(from: readonly T[]): T | undefined => from[below(from.length)];

  const queue = new EventQueue();
  const counts: Record<Count, number> = {
    ...{ said: 0, entries: 0, void: 0, epochs: 0, migrations: 0, kills: 0, freezes: 0, cuts: 0, brokerRestarts: 0 },
    ...{ namingRestarts: 0, checkpoints: 0, cutLogs: 0, refused: 0, lateReturns: 0, stuck: 0 },
  };
  const problems: string[] = [];
  const transcript: string[] = [];
  const say = (text: () => string): void => {
    if (isTold) transcript.push(`${queue.now().toFixed(1).padStart(8)} ${text()}`);
  };
  const fail = (text: string): void => {
    say(() => `WRONG: ${text}`);
    if (problems.length < maxProblems) problems.push(`at ${queue.now().toFixed(0)} ms: ${text}`);
  };

  // --- the world of this run
  const leaseMs = span(500, 1_500);
  const slowShare = chance(0.5) ? 0 : span(0, 0.3);
  const lateShare = span(0, 1);
  const isCutOff = chance(0.6);
  const segment = 10 + below(10);
  const segments = 8 + below(4);
  const weather = {
    delay: () => (chance(slowShare) ? span(1, 80) : span(0.2, 3)),
    returnsLate: () => {
      const isLate = chance(lateShare);
      if (isLate) counts.lateReturns++;
      return isLate;
    },
    keepsPlaces: chance(0.5),
    repeats: () => (chance(0.5) ? below(10) : 0),
  };
  const broker = new ModelBroker(queue, weather, { segment, segments: isCutOff ? segments : 0 });
  const naming = new ModelNaming(queue, random, leaseMs, span(0, 0.2));
  const isTight = chance(0.15);
  const hazards = span(0, 0.01);
  const heartbeat = (): number => span(0.5, 1.2) * leaseMs;
  const processes: ModelProcess[] = [];
  const oracle = new Oracle();
  let isQuiet = false;

  const world: World = {
    ...{ queue, broker, naming, random, mutation, say },
    server: {
      ...{ minN: chance(0.3) ? 1 + below(3) : 0, leaseMs, migrateEveryMs: chance(0.15) ? 0 : span(500, 4_000) },
      prefetch: pick([4, 10, 70, 200]) ?? 70,
      ...(isTight ? { perSecond: 5, burst: 8 } : { perSecond: 500, burst: 2_000 }),
      checkpoint: { entries: Math.floor((segment * segments) / 8), size: 1e9, ageMs: span(1_000, 60_000) },
    },
    client: { maxItems: 10_000, resendMs: span(500, 2_000), perSecond: 200, burst: 500 },
    others: () => processes,
    hazard,
    onRead,
    onShown,
    onCut,
    onOutcome,
  };

  // --- what is looked at, as it happens
  const texts = new Map<string, { process: ModelProcess; order: number }>();
  const seen = new Map<string, number>();
  const lastOrder = new Map<MemberId, number>();

  let firstOffset = 0;
  broker.onAppend = logged => {
    counts.entries++;
    oracle.append(logged);
    const isCounted = oracle.counts[logged.offset] === true;
    say(
      () => `log ${logged.offset}: ${describe(logged.entry)} from ${nameOf(logged.from)}${isCounted ? '' : ', void'}`,
    );
    if (!isCounted) counts.void++;
    else if (logged.entry?.kind === 'epoch') counts.epochs++;
    else if (logged.entry?.kind === 'checkpoint') counts.checkpoints++;
    else if (logged.entry?.kind === 'refused') counts.refused++;
    if (isCounted) lookAtOrder(logged);
    if (broker.firstOffset !== firstOffset) {
      firstOffset = broker.firstOffset;
      const isFound = broker.entries.some(
        ({ offset, entry }) =>
          offset >= firstOffset && entry?.kind === 'checkpoint' && entry.snapshot.offset >= firstOffset - 1,
      );
      if (!isFound) fail(`the log begins at ${firstOffset} now, and has no checkpoint from which it can be read`);
    }
  };
  /** Each text once, and of one member in the order in which they were said. */
  function lookAtOrder({ entry, offset }: Logged): void {
    if (entry?.kind !== 'input' || entry.input.operation.kind !== 'message') return;
    const { text } = entry.input.operation;
    const before = seen.get(text);
    if (before !== undefined) fail(`“${text}” is in the log twice, at ${before} and ${offset}`);
    seen.set(text, offset);
    const said = texts.get(text);
    if (said === undefined) return fail(`nobody said “${text}”`);
    const last = lastOrder.get(entry.input.sender) ?? 0;
    if (said.order <= last) fail(`“${text}” is in the log after what was said later`);
    lastOrder.set(entry.input.sender, said.order);
  }
  broker.onAck = (message, by) => {
    const { content } = message;
    if (typeof content === 'string' || oracle.isSettled(content)) return;
    // A beginning that comes too fast is let go; it is said again.
    if (isTight && content.counter === 1) return;
    const isHere = [...broker.messages()].some(
      ({ content: other }) =>
        typeof other !== 'string' &&
        other.sender === content.sender &&
        other.session === content.session &&
        other.counter === content.counter,
    );
    if (isHere || isGivenUp) return;
    fail(`${nameOf(by.peer.member)} has acked ${nameOf(content.sender)}’s ${content.counter}, which is not in the log`);
  };
  broker.onPublish = ({ content, from }) =>
    say(() => `${nameOf(from)} publishes ${typeof content === 'string' ? content : describeInput(content)}`);
  /** A server has let go what was held, after a second time in vain. */
  let isGivenUp = false;

  function onRead(process: ModelProcess, logged: Logged, read: Read): void {
    if (read.kind !== 'entry') return;
    const { meaning } = read;
    const isCounted = oracle.counts[logged.offset] === true;
    if ((meaning.kind !== 'void') !== isCounted)
      fail(
        `${process.name} takes ${describe(logged.entry)} at ${logged.offset} for ${meaning.kind}${meaning.kind === 'void' ? ` (${meaning.why})` : ''}, and it ${isCounted ? 'counts' : 'is void'}`,
      );
    if (meaning.kind === 'epoch' && oracle.owners[meaning.epoch] !== meaning.owner)
      fail(`${process.name} sees epoch ${meaning.epoch} owned by ${nameOf(meaning.owner)}`);
    if (
      meaning.kind === 'epoch' &&
      /^[A-G]\./.test(meaning.migrationId) &&
      meaning.migrationId[0] !== nameOf(meaning.owner)
    )
      counts.migrations++;
  }
  const shown = new Map<ModelProcess, number>();
  function onShown(process: ModelProcess, seq: number, logged: Logged): void {
    const last = shown.get(process) ?? 0;
    if (seq !== last + 1) fail(`${process.name} shows ${seq} after ${last}`);
    if (oracle.counted[seq - 1]?.offset !== logged.offset) fail(`${process.name} shows another ${seq} than there is`);
    shown.set(process, seq);
  }
  function onCut(process: ModelProcess, fromSeq: number, toSeq: number): void {
    counts.cutLogs++;
    say(() => `${process.name} misses ${fromSeq} to ${toSeq}, which were cut`);
    if (fromSeq !== (shown.get(process) ?? 0) + 1) fail(`${process.name} misses what it has shown`);
    if (process.readTo + 1 >= broker.firstOffset)
      fail(`${process.name} misses ${process.readTo + 1}, which is there: the log begins at ${broker.firstOffset}`);
    if (toSeq > oracle.counted.length) fail(`${process.name} misses ${toSeq}, which there is not`);
    shown.set(process, toSeq);
  }
  function onOutcome(process: ModelProcess, effect: ClientEffect): void {
    if (effect.kind === 'refused') say(() => `${process.name}’s item ${effect.id} is refused: ${effect.reason}`);
    if (effect.kind === 'refused' && effect.reason === 'forged') fail(`${process.name} sees its own words forged`);
  }

  // --- what goes wrong
  function hazard(process: ModelProcess, effect: ServerEffect | ClientEffect): void {
    if (effect.kind === 'say' && effect.line.startsWith('inputs are let go')) {
      isGivenUp = true;
      counts.stuck++;
    }
    if (isQuiet || effect.kind === 'mode' || effect.kind === 'say' || effect.kind === 'beat') return;
    const isStep =
      effect.kind === 'hand-over' || effect.kind === 'close' || effect.kind === 'consume' || effect.kind === 'record';
    const isEpoch = effect.kind === 'append' && effect.entry.kind === 'epoch';
    if (!chance(isStep || isEpoch ? hazards * 8 : hazards / 4)) return;
    const blow = pick([kill, kill, freeze, cut]);
    say(() => `just after ${effect.kind}:`);
    blow?.(process);
  }
  function kill(process: ModelProcess): void {
    if (!process.isRunning) return;
    counts.kills++;
    process.kill(span(0, 5), chance(0.7) ? span(0, 5) : heartbeat());
    queue.after(span(50, 4_000), () => {
      if (!process.isRunning) process.start();
      return false;
    });
  }
  function freeze(process: ModelProcess): void {
    if (process.isFrozen || !process.isRunning) return;
    counts.freezes++;
    process.freeze();
    const { connection } = process;
    queue.after(heartbeat(), () => {
      if (process.isFrozen) connection?.end();
      return false;
    });
    queue.after(chance(0.5) ? span(20, 400) : span(400, 6_000), () => {
      process.thaw();
      return false;
    });
  }
  function cut(process: ModelProcess): void {
    const { connection } = process;
    if (process.isCutOff || connection === undefined) return;
    counts.cuts++;
    say(() => `${process.name} is cut off`);
    process.isCutOff = true;
    connection.isCut = true;
    queue.after(heartbeat(), () => {
      if (connection.isCut) connection.end(false);
      return false;
    });
    queue.after(heartbeat(), () => {
      if (connection.isCut) process.lose(connection);
      return false;
    });
    queue.after(chance(0.5) ? span(20, 400) : span(400, 6_000), () => {
      say(() => `${process.name} is cut off no more`);
      process.isCutOff = false;
      connection.heal();
      return false;
    });
  }
  function restartBroker(): void {
    if (!broker.isUp) return;
    counts.brokerRestarts++;
    say(() => 'the broker stops');
    broker.restart();
    queue.after(span(100, 2_000), () => {
      say(() => 'the broker is back');
      broker.isUp = true;
      return false;
    });
  }
  function restartNaming(): void {
    counts.namingRestarts++;
    say(() => 'naming stops');
    naming.isUp = false;
    queue.after(span(100, 5_000), () => {
      const losesAll = chance(0.3);
      say(() => `naming is back${losesAll ? ', with nothing' : ''}`);
      naming.restart(losesAll);
      return false;
    });
  }
  /** What somebody who has no right to might append, or a claim that comes late. */
  function intrude(): void {
    const process = pick(processes);
    if (process === undefined) return;
    const { epoch } = oracle;
    const minN = 0;
    if (chance(0.4) && epoch > 0)
      return broker.append(process.member, { kind: 'epoch', epoch: epoch + 1, migrationId: 'late', minN });
    const bad = pick([epoch, epoch - 1, epoch + 2, 1 + below(epoch + 1)]) ?? 0;
    if (bad < 1 || bad === epoch + 1) return;
    if (chance(0.5)) return broker.append(process.member, { kind: 'epoch', epoch: bad, migrationId: 'wrong', minN });
    if (bad === epoch && process.member === oracle.owner) return;
    broker.append(process.member, { kind: 'opens', epoch: bad, seq: oracle.counted.length + 1 });
  }

  const faultEveryMs = span(300, 4_000);
  function strike(): void {
    if (queue.now() > activeMs) return;
    queue.after(span(0, 2) * faultEveryMs, () => {
      strike();
      return false;
    });
    const owner = processes.find(({ server, isRunning }) => isRunning && server.mode === 'active');
    const victim = chance(0.5) ? (owner ?? pick(processes)) : pick(processes);
    if (victim === undefined) return;
    const luck = random();
    if (luck < 0.25) kill(victim);
    else if (luck < 0.5) freeze(victim);
    else if (luck < 0.75) cut(victim);
    else if (luck < 0.82) restartBroker();
    else if (luck < 0.88) restartNaming();
    else intrude();
  }

  // --- what is said
  const rooms = ['lobby', 'tea', 'work'];
  const mostSaid = span(50, 600);
  function speak(process: ModelProcess, everyMs: number): void {
    if (queue.now() > activeMs || counts.said > mostSaid) return;
    queue.after(span(0, 2) * everyMs, () => {
      speak(process, everyMs);
      return false;
    });
    if (!process.isRunning || process.isFrozen) return;
    for (let left = chance(0.02) ? 80 : 1; left > 0 && process.isRunning && !process.isFrozen; left--)
      process.say(chance(0.9) ? text(process) : operation());
  }
  function text(process: ModelProcess): Operation {
    const order = ++process.saidCount;
    const words = `${process.name}#${order}`;
    texts.set(words, { process, order });
    counts.said++;
    return { kind: 'message', room: chance(0.9) ? 'lobby' : (pick(rooms) ?? ''), text: words, mentions: [] };
  }
  function operation(): Operation {
    const room = pick(rooms) ?? '';
    const member = pick(processes)?.member as MemberId;
    const all: Operation[] = [
      ...([
        { kind: 'create', room, topic: '' },
        { kind: 'join', room },
        { kind: 'leave', room },
      ] as const),
      ...([
        { kind: 'kick', room, member },
        { kind: 'mute', room, member, isMuted: chance(0.3) },
      ] as const),
      ...([
        { kind: 'give', room, member },
        { kind: 'topic', room, topic: `${below(9)}` },
      ] as const),
    ];
    return pick(all) as Operation;
  }

  // --- the run
  const size = 3 + below(3);
  for (let at = 0; at < size; at++) {
    const process = new ModelProcess(world, at, at === 0 || chance(0.1));
    processes.push(process);
    queue.after(at === 0 ? 0 : span(0, 3_000), () => {
      process.start();
      process.say({ kind: 'join', room: 'lobby' });
      speak(process, span(30, 1_000));
      return false;
    });
  }
  const countPresent = (): boolean => {
    queue.after(300, countPresent);
    const there = processes.filter(({ connection }) => connection !== undefined && !connection.isCut).length;
    for (const process of processes) process.present(there);
    return false;
  };
  queue.after(300, countPresent);
  queue.after(chance(0.1) ? 1e9 : 1_000, () => {
    strike();
    return false;
  });
  const stop = (): boolean => problems.length >= maxProblems;
  await queue.runUntil(activeMs, stop);
  isQuiet = true;
  await queue.runUntil(settledMs, stop);
  let looks = 0;
  await queue.runUntil(latestMs, () => stop() || (looks++ % 1_000 === 0 && isAtRest()));
  if (problems.length < maxProblems) lookAtTheEnd();
  return { seed, problems, transcript, counts };

  function isAtRest(): boolean {
    return (
      broker.depth === 0 &&
      processes.every(({ client, log }) => client.size === 0 && log.nextOffset === broker.entries.length) &&
      naming.state.holder?.epoch === oracle.epoch &&
      processes.some(({ server }) => server.mode === 'active')
    );
  }

  function lookAtTheEnd(): void {
    say(() => 'the end');
    for (const { name, server, log } of processes)
      say(() => `${name}: ${server.mode}, ${log.isLost ? 'lost' : `at ${log.state.offset}`}, epoch ${log.state.epoch}`);
    for (const { connection, channel, unacked } of broker.consumers)
      say(() => `consumer ${nameOf(connection.peer.member)} ${channel}, ${unacked.size} unacked`);
    const truth = new ChatLog({ isAuthentic: () => true });
    for (const logged of broker.entries) truth.read(logged);
    for (const { name, client, log, isRunning, disk } of processes) {
      if (!isRunning) fail(`${name} does not run`);
      if (client.size > 0 || disk.outbox.size > 0) fail(`${name} has ${client.size} in its outbox still`);
      if (!isDeepStrictEqual(log.snapshot(), truth.snapshot())) fail(`${name} has come to another state`);
    }
    for (const words of texts.keys()) if (!seen.has(words) && !isTight) fail(`“${words}” is not in the log`);
    if (broker.depth > 0) fail(`${broker.depth} inputs are not acked`);
    const serving = processes.filter(({ server }) => server.mode === 'active');
    if (serving.length !== 1) fail(`${serving.length} serve: ${serving.map(({ name }) => name).join(', ')}`);
    if (serving[0]?.member !== oracle.owner)
      fail(`${nameOf(oracle.owner)} owns epoch ${oracle.epoch}, and does not serve`);
    const { holder } = naming.state;
    if (holder?.memberId !== oracle.owner || holder?.epoch !== oracle.epoch)
      fail(`naming says ${nameOf(holder?.memberId)} at epoch ${holder?.epoch}`);
    const fresh = new ChatLog({ isAuthentic: () => true });
    for (const logged of broker.entries.slice(broker.firstOffset)) fresh.read(logged);
    if (fresh.isLost || !isDeepStrictEqual(fresh.snapshot(), truth.snapshot()))
      fail(`who reads from ${broker.firstOffset} on ${fresh.isLost ? 'is lost' : 'comes to another state'}`);
  }
}
