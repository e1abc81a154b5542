import type { Contents, QueueContents, StreamContents } from './contents.ts';
import type { Binding, Recovered, StreamState } from './ledger.ts';
import type { RecoveredMessages } from './recovered-messages.ts';
import { damaged } from './segments.ts';
import { streamStateOf } from './stream-reads.ts';

/**
 * What a replayed log amounts to.
 * @throws Failure STORE_DAMAGED when each record is whole and together they make no sense
 */
export function recoveredOf(
  contents: Contents,
  messages: RecoveredMessages,
  storeName: string,
  cutBytes: number,
): Recovered {
  if (contents.undefinedQueues().length > 0) {
    throw damaged(`${storeName} has messages of a queue that it does not have`);
  }
  const bindings: Binding[] = [];
  const streams = new Map<string, StreamState>();
  for (const [name, queue] of contents.queues) {
    for (const [exchange, keys] of queue.bindings)
      for (const key of keys.keys()) bindings.push({ exchange, queue: name, key });
    const state = streamStateOf(queue.stream);
    if (!queue.stream || !state) continue;
    if (!isContiguous(queue.stream)) throw damaged(`${storeName} lacks entries of the stream ${name}`);
    streams.set(name, state);
  }
  return {
    exchanges: [...contents.exchanges.values()].map(({ definition }) => definition),
    queues: [...contents.queues.values()].flatMap(({ defined }: QueueContents) => defined?.definition ?? []),
    bindings,
    messages: messages.byQueue(contents),
    streams,
    cutBytes,
  };
}

function isContiguous({ entries, firstOffset, nextOffset }: StreamContents): boolean {
  return entries.count === nextOffset - firstOffset;
}
