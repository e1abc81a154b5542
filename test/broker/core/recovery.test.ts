import { expect, test } from 'vitest';
import { joined } from '../../../services/broker/amqp/body.ts';
import type { Kept } from '../../../services/broker/core/recover.ts';
import type {
  Binding,
  Definition,
  Ledger,
  RecoveredMessage,
  StoredMessage,
} from '../../../services/broker/store/ledger.ts';
import { createMemoryLedger } from '../../../services/broker/store/memory-ledger.ts';
import { drain, owner, TestConsumer, testBroker } from './fixtures.ts';

/** Remembers what it is told, and gives it back as after a restart. */
function rememberingLedger(): { ledger: Ledger; recovered: (wasClean?: boolean) => Kept } {
  const exchanges = new Map<string, Definition>();
  const queues = new Map<string, Definition>();
  const bindings = new Map<string, Binding>();
  const messages = new Map<string, Map<number, { message: StoredMessage; deliveryCount: number }>>();
  const of = (queue: string): Map<number, { message: StoredMessage; deliveryCount: number }> => {
    const known = messages.get(queue) ?? new Map();
    messages.set(queue, known);
    return known;
  };
  const memory = createMemoryLedger();
  const ledger: Ledger = {
    putExchange: definition => void exchanges.set(definition.name, structuredClone(definition)),
    deleteExchange: name => void exchanges.delete(name),
    putQueue: definition => void queues.set(definition.name, structuredClone(definition)),
    deleteQueue: name => {
      queues.delete(name);
      messages.delete(name);
      for (const [at, { queue }] of bindings) if (queue === name) bindings.delete(at);
    },
    putBinding: binding => void bindings.set(JSON.stringify(binding), binding),
    deleteBinding: binding => void bindings.delete(JSON.stringify(binding)),
    putMessage: (queue, index, message) =>
      void of(queue).set(index, { message: { ...message, body: joined(message.body) }, deliveryCount: 0 }),
    settle: (queue, index) => void of(queue).delete(index),
    setDeliveryCount: (queue, index, deliveryCount) => {
      const kept = of(queue).get(index);
      if (kept) kept.deliveryCount = deliveryCount;
    },
    appendStream: (...args) => memory.appendStream(...args),
    truncateStream: (...args) => memory.truncateStream(...args),
    readStream: (...args) => memory.readStream(...args),
    streamState: name => memory.streamState(name),
    streamOffsetSince: (...args) => memory.streamOffsetSince(...args),
    streamOffsetKeeping: (...args) => memory.streamOffsetKeeping(...args),
    sync: callback => memory.sync(callback),
    onError: () => {},
    onResume: () => {},
    stats: memory.stats,
    close: async () => {},
  };
  const list = (kept: Map<number, { message: StoredMessage; deliveryCount: number }>): RecoveredMessage[] =>
    [...kept].map(([index, each]) => ({ index, ...each }));
  return {
    ledger,
    recovered: (wasClean = true) => ({
      wasClean,
      exchanges: [...exchanges.values()],
      queues: [...queues.values()],
      bindings: [...bindings.values()],
      messages: new Map([...messages].map(([name, kept]) => [name, list(kept)])),
      streams: new Map(),
      cutBytes: 0,
    }),
  };
}

const persistent = { deliveryMode: 2 } as const;

test('what is durable is there again: exchanges, queues, bindings with their arguments, messages in order', () => {
  const { ledger, recovered } = rememberingLedger();
  const before = testBroker({ ledger });
  before.broker.declareExchange('x', 'topic', { durable: true, autoDelete: false, internal: false });
  before.broker.declareExchange('gone', 'fanout', { durable: false, autoDelete: false, internal: false });
  before.queue('kept', { 'x-max-length': 10 });
  before.queue('transient', {}, { durable: false });
  for (const args of ['', 'eA==']) {
    for (const queue of ['kept', 'transient']) before.broker.bind({ queue, exchange: 'x', key: 'a.*', args }, owner);
  }
  before.publish('a.b', 'persistent', persistent, 'x');
  before.publish('a.b', 'lost', {}, 'x');
  before.publish('kept', 'direct', persistent);

  const after = testBroker({ ledger, recovered: recovered() });
  expect([...after.broker.queues()].map(({ name }) => name)).toEqual(['kept']);
  expect(after.broker.findExchange('gone')).toBeUndefined();
  const kept = after.queue('kept', { 'x-max-length': 10 });
  after.publish('a.c', 'new', persistent, 'x');
  expect(drain(kept)).toEqual(['persistent', 'direct', 'new']);
  expect(recovered().messages.get('kept')).toEqual([]);
  // Each of both bindings is still its own.
  after.broker.unbind({ queue: 'kept', exchange: 'x', key: 'a.*', args: 'eA==' }, owner);
  after.publish('a.d', 'still bound', {}, 'x');
  after.broker.unbind({ queue: 'kept', exchange: 'x', key: 'a.*', args: '' }, owner);
  after.publish('a.e', 'not bound', {}, 'x');
  expect(drain(kept)).toEqual(['still bound']);
  expect(recovered().bindings).toEqual([]);
  expect(after.broker.heldBytes).toBe(0);
});

test('returns are counted across a restart', () => {
  const { ledger, recovered } = rememberingLedger();
  const quorum = { 'x-queue-type': 'quorum', 'x-delivery-limit': 2 };
  const before = testBroker({ ledger });
  const queue = before.queue('q', quorum);
  before.publish('q', 'poison');
  for (let i = 0; i < 2; i++) {
    const entry = queue.get(false);
    if (entry) queue.requeue([entry]);
  }
  const again = testBroker({ ledger, recovered: recovered() }).queue('q', quorum);
  const last = again.get(false);
  if (last) again.requeue([last]);
  expect(again.messageCount).toBe(0);
});

test('what was to expire expires after the restart as well', () => {
  const { ledger, recovered } = rememberingLedger();
  const before = testBroker({ ledger });
  before.queue('q', { 'x-message-ttl': 100 });
  before.publish('q', 'old', persistent);
  const { broker, clock } = testBroker({ ledger, recovered: recovered() });
  clock.pass(99);
  expect(broker.queue('q', owner).messageCount).toBe(1);
  clock.pass(1);
  expect(broker.queue('q', owner).messageCount).toBe(0);
});

test('what had been handed out is a redelivery after an orderly restart, and after a crash everything may be', () => {
  const { ledger, recovered } = rememberingLedger();
  const before = testBroker({ ledger });
  const queue = before.queue('q');
  for (const body of 'abc') before.publish('q', body, persistent);
  const first = queue.get(false);
  const flags = (wasClean: boolean): boolean[] => {
    const again = testBroker({ ledger, recovered: recovered(wasClean) }).queue('q');
    return [...'abc'].map(() => again.get(false)?.redelivered === true);
  };
  expect(flags(false)).toEqual([true, true, true]);
  if (first) queue.requeue([first]);
  expect(flags(true)).toEqual([true, false, false]);
});

test('at the end nothing goes from one consumer to the next', () => {
  const { broker, queue: declare, publish } = testBroker();
  const queue = declare('q', { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 });
  const consumers = Array.from({ length: 5 }, () => new TestConsumer());
  for (const consumer of consumers) queue.addConsumer(consumer);
  for (const body of 'abcde') publish('q', body);
  broker.halt();
  for (const consumer of consumers) {
    queue.removeConsumer(consumer);
    queue.requeue(consumer.held);
    queue.consumersLeft();
  }
  expect(queue.messageCount).toBe(5);
});
