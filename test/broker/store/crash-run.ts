import { applyRecord } from '../../../services/broker/store/apply-record.ts';
import { type CleanableLog, Cleaner } from '../../../services/broker/store/cleaner.ts';
import { Contents } from '../../../services/broker/store/contents.ts';
import {
  DiskLedger,
  type LedgerOptions,
  ledgerDefaults,
  openLedger,
} from '../../../services/broker/store/disk-ledger.ts';
import { frameBytes } from '../../../services/broker/store/frame.ts';
import { Journal } from '../../../services/broker/store/journal.ts';
import type { Ledger, Recovered, StoredMessage, StreamEntry } from '../../../services/broker/store/ledger.ts';
import { recoveredOf } from '../../../services/broker/store/recovered.ts';
import { RecoveredMessages } from '../../../services/broker/store/recovered-messages.ts';
import { Failure } from '../../../services/lib/failure.ts';
import { seededRandom } from '../../support/seeded.ts';
import { bindingName, entryText, LedgerModel, messageText, modelOf } from './ledger-model.ts';
import { type Lies, SimulatedDisk } from './simulated-disk.ts';

export type Mutation =
  | 'called back before the sync'
  | 'no checksum'
  | 'segments removed before the sync'
  | 'the directory never synced';

export interface Tally {
  crashes: number;
  cutBytes: number;
  /** Segments that cleaning removed. */
  removed: number;
  failures: number;
  confirmed: number;
}

type Operation = (model: LedgerModel) => void;

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/**
 * One machine through several lives. In each it says random things to the ledger, and dies (or is shut down) at a random
 * moment; the next life must find what had been said up to some moment not before the last confirmed one: nothing confirmed
 * missing, nothing settled back, nothing out of order. Throws when that is not so.
 */
export async function crashRun(seed: number, mutation: Mutation | undefined, tally: Tally): Promise<void> {
  const random = seededRandom(seed);
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  const chance = (p: number): boolean => random() < p;
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];

  const lies: Lies = {
    sync: mutation === 'called back before the sync',
    syncDir: mutation === 'the directory never synced',
  };
  const options: LedgerOptions = {
    ...ledgerDefaults,
    segmentBytes: between(600, 6_000),
    garbageBytes: between(500, 8_000),
    slice: { maxBytes: between(100, 2_000), maxRecords: between(1, 20) },
    streamCacheBytes: between(0, 3_000),
    cacheBytes: 4_000,
    salt: () => Math.floor(random() * 2 ** 32),
    after: (_ms, act) => void setImmediate(act),
    ...(mutation === 'no checksum' ? { checksum: () => 0 } : {}),
  };
  const open = mutation === 'segments removed before the sync' ? openRemovingEarly : openLedger;

  let disk = new SimulatedDisk(random, lies);
  let base = new LedgerModel();
  /** Said in the life before, and how much of it was confirmed. */
  let said: Operation[] = [];
  let confirmed = 0;
  let counter = 0;
  let problem: Error | undefined;

  for (let life = between(2, 5); life > 0; life--) {
    const opening = open(disk, options);
    if (chance(0.2)) {
      let opened: Ledger | undefined;
      opening.then(
        ({ ledger }) => {
          opened = ledger;
        },
        () => {},
      );
      for (let turns = between(0, 30); turns > 0 && !opened; turns--) await turn();
      disk = end(disk);
      continue;
    }
    const { ledger, recovered } = await opening;
    tally.cutBytes += recovered.cutBytes;
    const found = modelOf(recovered, await readStreams(ledger, recovered, between));
    // As it was told up to some moment.
    const text = found.text();
    let told = 0;
    for (; told < confirmed; told++) said[told]?.(base);
    const sure = base.text();
    while (told < said.length && base.text() !== text) said[told++]?.(base);
    if (base.text() !== text) {
      throw new Error(
        `no state since the confirmed one is what was found; against the confirmed:\n${difference(sure, text)}` +
          `\nagainst the last:\n${difference(base.text(), text)}`,
      );
    }
    base = found;
    said = [];
    confirmed = 0;

    const now = cloneOf(base);
    const say = (operation: Operation): void => {
      operation(now);
      said.push(operation);
    };
    let segments = ledger.stats.segments;
    ledger.onError(failure => {
      tally.failures++;
      // The disk fails at times; nothing else may.
      const isDisk = failure.code.startsWith('DISK_') || failure.cause instanceof Failure;
      if (!isDisk) problem = failure;
    });
    for (let step = between(5, 150); step > 0; step--) {
      act(ledger, now, say);
      if (chance(0.3)) {
        const upTo = said.length;
        ledger.sync(() => {
          if (upTo < confirmed) problem = new Error('called back out of order');
          tally.confirmed += upTo - confirmed;
          confirmed = upTo;
        });
      }
      if (chance(0.03)) disk.fail(pick(['DISK_FULL', 'DISK_ERROR', undefined] as const));
      if (chance(0.1)) disk.fail(undefined);
      if (chance(0.05)) await readSome(ledger, now);
      for (let turns = chance(0.5) ? between(0, 6) : 0; turns > 0; turns--) await turn();
      if (ledger.stats.segments < segments) tally.removed += segments - ledger.stats.segments;
      segments = ledger.stats.segments;
    }
    if (problem) throw problem;
    if (chance(0.15)) {
      disk.fail(undefined);
      await ledger.close();
      confirmed = said.length;
    }
    disk = end(disk);
  }

  function end(one: SimulatedDisk): SimulatedDisk {
    tally.crashes++;
    return chance(0.7) ? one.crash() : one.kill();
  }

  function message(): StoredMessage {
    counter++;
    return {
      exchange: pick(['', 'logs', 'jobs']) ?? '',
      key: pick(['', 'a.b', 'ключ']) ?? '',
      properties: Buffer.from(`p${counter}`.repeat(between(0, 4))),
      body: Buffer.from(`body ${counter} `.repeat(chance(0.03) ? between(0, 3_000) : between(0, 60))),
      expiresAt: chance(0.2) ? counter : undefined,
    };
  }

  function act(ledger: Ledger, now: LedgerModel, say: (operation: Operation) => void): void {
    const queues = [...now.queues.keys()];
    const queue = pick(queues);
    const what = random();
    if (!queue || what < 0.05) {
      const definition = { name: `q${between(0, 3)}`, durable: true, n: counter++ };
      ledger.putQueue(definition);
      return say(model => model.putQueue(definition));
    }
    const { messages, stream } = now.queue(queue);
    if (what < 0.08) {
      const definition = { name: `x${between(0, 2)}`, type: 'topic', n: counter++ };
      ledger.putExchange(definition);
      return say(model => void model.exchanges.set(definition.name, JSON.stringify(definition)));
    }
    if (what < 0.12) {
      const binding = { exchange: `x${between(0, 2)}`, queue, key: `k${between(0, 3)}` };
      ledger.putBinding(binding);
      return say(model => void model.bindings.set(bindingName(binding), binding));
    }
    if (what < 0.14) {
      const binding = pick([...now.bindings.values()]);
      if (!binding) return;
      ledger.deleteBinding(binding);
      return say(model => void model.bindings.delete(bindingName(binding)));
    }
    if (what < 0.15) {
      const name = `x${between(0, 2)}`;
      ledger.deleteExchange(name);
      return say(model => model.deleteExchange(name));
    }
    if (what < 0.165) {
      ledger.deleteQueue(queue);
      return say(model => model.deleteQueue(queue));
    }
    if (what < 0.5) {
      const index = Math.max(-1, ...messages.keys()) + (chance(0.9) ? 1 : between(1, 300));
      const one = message();
      ledger.putMessage(queue, index, one);
      return say(model => void model.queue(queue).messages.set(index, { text: messageText(one), count: 0 }));
    }
    if (what < 0.7) {
      const index = chance(0.7) ? messages.keys().next().value : pick([...messages.keys()]);
      if (index === undefined) return;
      ledger.settle(queue, index);
      return say(model => void model.queue(queue).messages.delete(index));
    }
    if (what < 0.75) {
      const index = pick([...messages.keys()]);
      if (index === undefined) return;
      const count = (messages.get(index)?.count ?? 0) + 1;
      ledger.setDeliveryCount(queue, index, count);
      return say(model => {
        const counted = model.queue(queue).messages.get(index);
        if (counted) counted.count = count;
      });
    }
    if (what < 0.96) {
      const offset = stream ? stream.first + stream.entries.length : 0;
      const entry = { offset, message: message(), timestampMs: counter };
      ledger.appendStream(queue, offset, entry.timestampMs, entry.message);
      return say(model => model.appendStream(queue, entryText(entry)));
    }
    if (!stream) return;
    const first = stream.first + between(0, stream.entries.length);
    ledger.truncateStream(queue, first);
    say(model => model.truncateStream(queue, first));
  }

  async function readSome(ledger: Ledger, now: LedgerModel): Promise<void> {
    const queue = pick([...now.queues.keys()]);
    const stream = queue === undefined ? undefined : now.queue(queue).stream;
    if (queue === undefined || !stream) return;
    const from = stream.first + between(0, stream.entries.length);
    const expected = stream.entries.slice(from - stream.first, from - stream.first + between(0, 20));
    const entries = await ledger.readStream(queue, from, { maxCount: expected.length, maxBytes: 1e9 });
    const texts = entries.map(entryText);
    if (texts.join('\n') !== expected.join('\n'))
      throw new Error(`${queue} at ${from}: read\n${texts.join('\n')}\nnot\n${expected.join('\n')}`);
  }
}

/** The lines that only one of the two has. */
function difference(expected: string, found: string): string {
  const [before, after] = [expected.split('\n'), found.split('\n')];
  const missing = before.filter(line => !after.includes(line)).map(line => `- ${line}`);
  return [...missing, ...after.filter(line => !before.includes(line)).map(line => `+ ${line}`)].join('\n');
}

function cloneOf(model: LedgerModel): LedgerModel {
  const clone = new LedgerModel();
  for (const [name, definition] of model.exchanges) clone.exchanges.set(name, definition);
  for (const [name, binding] of model.bindings) clone.bindings.set(name, binding);
  for (const [name, { definition, messages, stream }] of model.queues) {
    clone.queues.set(name, {
      definition,
      messages: new Map([...messages].map(([index, message]) => [index, { ...message }])),
      stream: stream && { first: stream.first, entries: [...stream.entries] },
    });
  }
  return clone;
}

async function readStreams(
  ledger: Ledger,
  recovered: Recovered,
  between: (low: number, high: number) => number,
): Promise<Map<string, StreamEntry[]>> {
  const streams = new Map<string, StreamEntry[]>();
  for (const [name, { firstOffset, nextOffset }] of recovered.streams) {
    const entries: StreamEntry[] = [];
    while (firstOffset + entries.length < nextOffset) {
      const limits = { maxCount: between(1, 30), maxBytes: between(0, 2_000) };
      const read = await ledger.readStream(name, firstOffset + entries.length, limits);
      if (read.length === 0)
        throw new Error(`${name} ends at ${firstOffset + entries.length} instead of ${nextOffset}`);
      entries.push(...read);
    }
    streams.set(name, entries);
  }
  return streams;
}

/** `openLedger` with a cleaner that takes everything for synced. */
async function openRemovingEarly(
  disk: SimulatedDisk,
  options: LedgerOptions,
): Promise<{ ledger: Ledger; recovered: Recovered }> {
  const contents = new Contents();
  const messages = new RecoveredMessages();
  const journal = await Journal.open(
    disk,
    (record, position) => applyRecord(contents, record, { position, bytes: frameBytes + record.length }, messages),
    options,
  );
  const hasty: CleanableLog = {
    segments: journal.segments,
    get appendedBytes() {
      return journal.appendedBytes;
    },
    append: parts => journal.append(parts),
    scan: (number, from, limits, visit) => journal.scan(number, from, limits, visit),
    isWritten: number => journal.isWritten(number),
    whenSynced: callback => queueMicrotask(callback),
  };
  const recovered = recoveredOf(contents, messages, disk.name, journal.cutBytes);
  const cleaner = new Cleaner(hasty, contents, options);
  return { ledger: new DiskLedger({ journal, cleaner, contents }, options), recovered };
}
