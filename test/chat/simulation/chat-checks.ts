import { isDeepStrictEqual } from 'node:util';
import { ChatLog, type Read } from '../../../services/chat/core/chat-log.ts';
import type { ClientEffect } from '../../../services/chat/core/client-events.ts';
import type { Logged } from '../../../services/chat/core/entry.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { RunInProgress } from './chat-run.ts';
import { describe, describeInput, nameOf } from './describe.ts';
import type { ModelProcess } from './model-process.ts';

/** What has to hold, looked at as it happens and at the end. */
export function createChecks(run: RunInProgress) {
  const { broker, naming, processes, oracle, counts, say, fail, isTight } = run;
  const texts = new Map<string, { process: ModelProcess; order: number }>();
  const seen = new Map<string, number>();
  const lastOrder = new Map<MemberId, number>();
  const shown = new Map<ModelProcess, number>();

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
    if (isHere) return;
    fail(`${nameOf(by.peer.member)} has acked ${nameOf(content.sender)}’s ${content.counter}, which is not in the log`);
  };
  broker.onPublish = ({ content, from }) =>
    say(() => `${nameOf(from)} publishes ${typeof content === 'string' ? content : describeInput(content)}`);
  return { texts, onRead, onShown, onCut, onOutcome, onSaid, isAtRest, lookAtTheEnd };

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
  /** What comes in its order would never have to be let go. */
  function onSaid(process: ModelProcess, line: string): void {
    if (line.startsWith('inputs are let go')) fail(`${process.name} has let go of what it held`);
  }

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
