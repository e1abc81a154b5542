import { MemberServiceDefinition, type WatchSystemResponse } from '../../../proto/gen/warren/member/v1/member.ts';
import { PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { cutEnd, jsonLine } from '../visible.ts';
import type { Asked } from './asked.ts';
import { glyphsFor } from './bar.ts';
import { LiveLines } from './live-lines.ts';
import { systemEvents, transferEvents } from './network-events.ts';
import { memberLine, reachView } from './status.ts';
import { transferLines } from './transfer-lines.ts';
import { isOver, type TransferView, viewOf } from './transfer-view.ts';

/** Events that stay in sight, and transfers that are over. */
const mostEvents = 10;
const mostOver = 3;
const mostTransfers = 10;

export async function watch(asked: Asked): Promise<void> {
  const { daemon, stop } = asked;
  const ending = new AbortController();
  const signal = AbortSignal.any([stop, ending.signal]);
  const seen = new Map<string, TransferView>();
  let system: WatchSystemResponse | undefined;
  const view = viewFor(asked);

  const transfers = async (): Promise<void> => {
    for await (const { transfer } of daemon.client(PeerServiceDefinition).watchTransfers({}, { signal })) {
      if (transfer === undefined) continue;
      const now = viewOf(transfer);
      const events = transferEvents(seen.get(now.transferId), now);
      seen.delete(now.transferId);
      seen.set(now.transferId, now);
      forgetOld(seen);
      view.transfer(now, events, [...seen.values()], system);
    }
  };
  const network = async (): Promise<void> => {
    for await (const now of daemon.client(MemberServiceDefinition).watchSystem({}, { signal })) {
      const events = systemEvents(system, now);
      system = now;
      view.system(now, events, [...seen.values()]);
    }
  };
  try {
    await Promise.all([transfers(), network()]);
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    ending.abort();
    view.close();
  }
}

/** Of those that are over only the last ones are kept. */
function forgetOld(seen: Map<string, TransferView>): void {
  const over = [...seen.values()].filter(isOver);
  for (const { transferId } of over.slice(0, Math.max(0, over.length - mostOver))) seen.delete(transferId);
}

interface View {
  transfer(
    now: TransferView,
    events: readonly string[],
    all: readonly TransferView[],
    system: WatchSystemResponse | undefined,
  ): void;
  system(now: WatchSystemResponse, events: readonly string[], all: readonly TransferView[]): void;
  close(): void;
}

function viewFor({ given, io }: Asked): View {
  if (given.has('--json'))
    return {
      transfer: now => io.out(jsonLine({ event: 'transfer', ...now })),
      system: ({ member }) =>
        io.out(
          jsonLine({
            event: 'member',
            ...{ broker: reachView(member?.broker), directory: reachView(member?.directory) },
            connectedMembers: member?.connectedMembers ?? 0,
          }),
        ),
      close: () => {},
    };
  const said: string[] = [];
  if (io.outColumns?.() === undefined) {
    const say = (events: readonly string[]): void => {
      for (const event of events) io.out(`${timeOfDay()}  ${event}\n`);
    };
    return { transfer: (_now, events) => say(events), system: (_now, events) => say(events), close: () => {} };
  }
  const columns = (): number => (io.outColumns?.() ?? 80) - 1;
  const glyphs = glyphsFor(io.env);
  const live = new LiveLines(io.out, () => io.outColumns?.() ?? 80);
  const draw = (
    all: readonly TransferView[],
    system: WatchSystemResponse | undefined,
    events: readonly string[],
  ): void => {
    said.push(...events.map(event => `${timeOfDay()}  ${event}`));
    said.splice(0, Math.max(0, said.length - mostEvents));
    live.update(() => {
      const width = columns();
      const member = system?.member;
      const shown = all.slice(-mostTransfers).map(each => (isOver(each) ? { ...each, sources: [] } : each));
      return [
        ...(member === undefined ? [] : [memberLine(member, true)]),
        '',
        ...(shown.length === 0
          ? ['no transfers (Ctrl-C ends this, and only this)']
          : shown.flatMap(each => transferLines(each, width, glyphs))),
        ...(all.length > shown.length ? [`and ${all.length - shown.length} more`] : []),
        ...(said.length === 0 ? [] : ['', ...said]),
      ].map(line => cutEnd(line, width));
    });
  };
  return {
    transfer: (_now, events, all, system) => draw(all, system, events),
    system: (now, events, all) => draw(all, now, events),
    close: () => live.close(),
  };
}

function timeOfDay(): string {
  return new Date().toTimeString().slice(0, 8);
}
