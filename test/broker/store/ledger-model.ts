import { crc32 } from 'node:zlib';
import type {
  Binding,
  Definition,
  Recovered,
  StoredMessage,
  StreamEntry,
} from '../../../services/broker/store/ledger.ts';

interface ModelQueue {
  definition: string;
  readonly messages: Map<number, { readonly text: string; count: number }>;
  stream: { first: number; readonly entries: string[] } | undefined;
}

/** What a ledger should know, kept plainly. */
export class LedgerModel {
  readonly exchanges = new Map<string, string>();
  readonly queues = new Map<string, ModelQueue>();
  readonly bindings = new Map<string, Binding>();

  queue(name: string): ModelQueue {
    const queue = this.queues.get(name);
    if (!queue) throw new Error(`no queue ${name}`);
    return queue;
  }

  putQueue(definition: Definition): void {
    const queue = this.queues.get(definition.name);
    if (queue) queue.definition = JSON.stringify(definition);
    else {
      this.queues.set(definition.name, {
        definition: JSON.stringify(definition),
        messages: new Map(),
        stream: undefined,
      });
    }
  }

  deleteQueue(name: string): void {
    this.queues.delete(name);
    for (const [key, binding] of this.bindings) if (binding.queue === name) this.bindings.delete(key);
  }

  deleteExchange(name: string): void {
    if (!this.exchanges.delete(name)) return;
    for (const [key, binding] of this.bindings) if (binding.exchange === name) this.bindings.delete(key);
  }

  appendStream(name: string, text: string): void {
    const queue = this.queue(name);
    queue.stream ??= { first: 0, entries: [] };
    queue.stream.entries.push(text);
  }

  truncateStream(name: string, first: number): void {
    const { stream } = this.queue(name);
    if (!stream || first <= stream.first) return;
    stream.entries.splice(0, first - stream.first);
    stream.first = first;
  }

  /** Equal texts, equal knowledge. */
  text(): string {
    const queues = [...this.queues].sort(byName).map(([name, { definition, messages, stream }]) => ({
      name,
      definition,
      messages: [...messages].sort(([a], [b]) => a - b).map(([index, { text, count }]) => `${index} ${count} ${text}`),
      stream: stream && [stream.first, ...stream.entries],
    }));
    return JSON.stringify([[...this.exchanges].sort(byName), [...this.bindings.keys()].sort(), queues], undefined, 1);
  }
}

export function bindingName(binding: Binding): string {
  return JSON.stringify([binding.exchange, binding.queue, binding.key]);
}

export function messageText({ exchange, key, properties, body, expiresAt }: StoredMessage): string {
  const bodyText = `${body.toString('latin1', 0, 12)}…${body.length}:${crc32(body)}`;
  return [exchange, key, properties.toString('latin1'), bodyText, expiresAt].join('|');
}

export function entryText({ offset, timestampMs, message }: StreamEntry): string {
  return `${offset} ${timestampMs} ${messageText(message)}`;
}

/** The model of what was recovered; the streams' entries are read by the caller. */
export function modelOf(recovered: Recovered, entries: ReadonlyMap<string, readonly StreamEntry[]>): LedgerModel {
  const model = new LedgerModel();
  for (const definition of recovered.exchanges) model.exchanges.set(definition.name, JSON.stringify(definition));
  for (const definition of recovered.queues) model.putQueue(definition);
  for (const binding of recovered.bindings) model.bindings.set(bindingName(binding), binding);
  for (const [name, messages] of recovered.messages) {
    let last = -1;
    for (const { index, message, deliveryCount } of messages) {
      if (index <= last) throw new Error(`${name}: ${index} after ${last}`);
      last = index;
      model.queue(name).messages.set(index, { text: messageText(message), count: deliveryCount });
    }
  }
  for (const [name, { firstOffset, nextOffset }] of recovered.streams) {
    const read = entries.get(name) ?? [];
    const texts = read.map(entryText);
    for (const [i, { offset }] of read.entries()) {
      if (offset !== firstOffset + i) throw new Error(`${name}: offset ${offset} instead of ${firstOffset + i}`);
    }
    if (firstOffset + texts.length !== nextOffset)
      throw new Error(`${name}: ${texts.length} entries of ${firstOffset}…${nextOffset}`);
    model.queue(name).stream = { first: firstOffset, entries: texts };
  }
  return model;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
