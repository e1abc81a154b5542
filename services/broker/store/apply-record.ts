import type { Contents, QueueContents } from './contents.ts';
import {
  bindingOf,
  countOf,
  definitionOf,
  indexOf,
  nameOf,
  queueOf,
  recordType,
  timestampOf,
  typeOf,
} from './record.ts';
import type { RecordRef } from './record-ref.ts';

/** Hears of messages while the log is replayed: of these the contents keep only the place. */
export interface ReplayListener {
  message(queue: QueueContents, index: number, record: Buffer): void;
  settled(queue: QueueContents, index: number): void;
}

/**
 * What a record of the log does to the contents: while the log is replayed, and when cleaning has copied a record to its
 * end. A record may come twice, and what belongs to a queue or a message may come before it, since each is copied when its
 * own segment is the oldest: whatever undoes a record always comes after its last copy, so the end is the same.
 */
export function applyRecord(contents: Contents, record: Buffer, ref: RecordRef, listener?: ReplayListener): void {
  const type = typeOf(record);
  if (type === recordType.exchange) return contents.putExchange(definitionOf(record), ref);
  if (type === recordType.exchangeDeleted) return contents.deleteExchange(nameOf(record));
  const queue = contents.queueOf(queueOf(record));
  switch (type) {
    case recordType.queue:
      return contents.putQueue(queue.id, definitionOf(record), ref);
    case recordType.queueDeleted:
      return contents.deleteQueue(queue);
    case recordType.binding: {
      const { exchange, key } = bindingOf(record);
      return contents.putBinding(queue, exchange, key, ref);
    }
    case recordType.bindingDeleted: {
      const { exchange, key } = bindingOf(record);
      return contents.deleteBinding(queue, exchange, key);
    }
    case recordType.message:
      contents.putMessage(queue, indexOf(record), ref);
      listener?.message(queue, indexOf(record), record);
      return;
    case recordType.settled:
      contents.settle(queue, indexOf(record));
      listener?.settled(queue, indexOf(record));
      return;
    case recordType.deliveryCount:
      return contents.setDeliveryCount(queue, indexOf(record), countOf(record), ref);
    case recordType.streamEntry:
      return contents.putStreamEntry(queue, indexOf(record), timestampOf(record), ref);
    case recordType.streamStart:
      return contents.startStreamAt(queue, indexOf(record), ref);
    default:
      throw new Error(`a record of unknown type ${type}`);
  }
}

/** Whether the record that stands at this position still matters. */
export function isLive(contents: Contents, record: Buffer, position: number): boolean {
  return liveRef(contents, record)?.position === position;
}

/** Where what the record says stands now. */
function liveRef(contents: Contents, record: Buffer): RecordRef | undefined {
  const type = typeOf(record);
  if (type === recordType.exchange) return contents.exchanges.get(definitionOf(record).name)?.ref;
  if (type === recordType.exchangeDeleted) return undefined;
  const queue = contents.knownQueue(queueOf(record));
  if (!queue) return undefined;
  switch (type) {
    case recordType.queue:
      return queue.defined?.ref;
    case recordType.binding: {
      const { exchange, key } = bindingOf(record);
      return queue.bindings.get(exchange)?.get(key);
    }
    case recordType.message:
      return queue.messages.get(indexOf(record));
    case recordType.deliveryCount:
      return queue.deliveryCounts.get(indexOf(record))?.ref;
    case recordType.streamEntry:
      return queue.stream?.entries.get(indexOf(record));
    case recordType.streamStart:
      return queue.stream?.start;
    default:
      // What undoes another record: that one is in this segment or gone, so in the oldest segment it has done its work.
      return undefined;
  }
}
