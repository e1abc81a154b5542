import { joined } from '../../../services/broker/amqp/body.ts';
import { encodeRoute } from '../../../services/broker/amqp/content.ts';
import { decodeTable } from '../../../services/broker/amqp/decode-table.ts';
import { encodeTable } from '../../../services/broker/amqp/encode-table.ts';
import type { FieldTable } from '../../../services/broker/amqp/field-value.ts';
import { encodeProperties, type Properties } from '../../../services/broker/amqp/properties.ts';
import { Broker } from '../../../services/broker/core/broker.ts';
import type { Entry, Message } from '../../../services/broker/core/message.ts';
import type { Clock } from '../../../services/broker/core/ports.ts';
import type { MessageQueue } from '../../../services/broker/core/queue.ts';
import { readArguments } from '../../../services/broker/core/queue-arguments.ts';
import type { QueueConsumer } from '../../../services/broker/core/queue-host.ts';
import type { Kept } from '../../../services/broker/core/recover.ts';
import type { Ledger } from '../../../services/broker/store/ledger.ts';
import { createMemoryLedger } from '../../../services/broker/store/memory-ledger.ts';
import { VirtualTime } from '../../support/virtual-time.ts';

/** Virtual time whose events can be taken back. */
export class TestClock implements Clock {
  readonly #time = new VirtualTime();

  now(): number {
    return this.#time.now;
  }

  after(ms: number, act: () => void): () => void {
    let isOff = false;
    this.#time.after(ms, () => {
      if (!isOff) act();
    });
    return () => {
      isOff = true;
    };
  }

  pass(ms: number): void {
    this.#time.runUntil(this.#time.now + ms);
  }
}

export const owner = {};

/** A broker on virtual time, with queues as they are declared. */
export function testBroker({ ledger = createMemoryLedger(), recovered }: { ledger?: Ledger; recovered?: Kept } = {}): {
  broker: Broker;
  clock: TestClock;
  queue(name: string, args?: FieldTable, flags?: { durable?: boolean; autoDelete?: boolean }): MessageQueue;
  publish(routingKey: string, body: string, properties?: Properties, exchange?: string): void;
} {
  const clock = new TestClock();
  const warn = (line: string): never => {
    throw new Error(line);
  };
  const broker = new Broker({ ledger, clock, warn }, recovered);
  return {
    broker,
    clock,
    queue: (name, args = {}, { durable = true, autoDelete = false } = {}) =>
      broker.declareQueue(
        { name, durable, exclusive: false, autoDelete, arguments: readArguments(wired(args)) },
        owner,
      ) as MessageQueue,
    publish: (routingKey, body, properties = {}, exchange = '') => {
      broker.publish(broker.exchange(exchange), message(routingKey, body, properties, exchange));
      broker.flush();
    },
  };
}

/** As it comes from the wire, with its type letters. */
export function wired(table: FieldTable): FieldTable {
  return decodeTable(encodeTable(table).subarray(4));
}

export function message(key: string, body: string, properties: Properties = {}, exchange = ''): Message {
  return {
    exchange,
    key,
    route: encodeRoute(exchange, key),
    properties: encodeProperties(properties),
    body: Buffer.from(body),
    isPersistent: properties.deliveryMode === 2,
    expirationMs: properties.expiration === undefined ? undefined : Number(properties.expiration),
  };
}

/** A consumer that notes what it gets. */
export class TestConsumer implements QueueConsumer {
  readonly noAck: boolean;
  readonly exclusive = false;
  readonly #prefetch: number;
  readonly got: Entry[] = [];
  readonly held: Entry[] = [];
  isCancelled = false;

  constructor(prefetch = Number.POSITIVE_INFINITY, noAck = false) {
    this.#prefetch = prefetch;
    this.noAck = noAck;
  }

  hasCredit(): boolean {
    return this.held.length < this.#prefetch;
  }

  deliver(entry: Entry): void {
    this.got.push(entry);
    if (!this.noAck) this.held.push(entry);
  }

  cancelled(): void {
    this.isCancelled = true;
  }

  get bodies(): string[] {
    return this.got.map(({ message: { body } }) => joined(body).toString());
  }
}

/** What is ready, taken out without acknowledgement. */
export function drain(queue: MessageQueue): string[] {
  const bodies: string[] = [];
  for (let entry = queue.get(true); entry; entry = queue.get(true)) bodies.push(joined(entry.message.body).toString());
  return bodies;
}
