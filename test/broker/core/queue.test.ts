import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { joined } from '../../../services/broker/amqp/body.ts';
import type { Entry } from '../../../services/broker/core/message.ts';
import { drain, owner, TestConsumer, testBroker } from './fixtures.ts';

describe('the order of a queue', () => {
  type Step =
    | { readonly do: 'publish' }
    | { readonly do: 'take' }
    | { readonly do: 'ack' | 'requeue'; readonly which: readonly number[] };
  const which = fc.array(fc.nat(), { minLength: 1, maxLength: 5 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.constant<Step>({ do: 'publish' }) },
    { weight: 3, arbitrary: fc.constant<Step>({ do: 'take' }) },
    { weight: 1, arbitrary: which.map((each): Step => ({ do: 'ack', which: each })) },
    { weight: 2, arbitrary: which.map((each): Step => ({ do: 'requeue', which: each })) },
  );

  test('is that of arrival, whatever is taken, acked and given back meanwhile; and nothing is left of what went', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), steps => {
        const { broker, queue: declare, publish } = testBroker();
        const queue = declare('q');
        const ready = new Set<number>();
        const held: { entry: Entry; number: number }[] = [];
        let count = 0;
        for (const each of steps) {
          if (each.do === 'publish') {
            ready.add(count);
            publish('q', String(count++));
          } else if (each.do === 'take') {
            const entry = queue.get(false);
            const oldest = ready.size === 0 ? undefined : Math.min(...ready);
            expect(entry?.message.body.toString()).toBe(oldest === undefined ? undefined : String(oldest));
            if (!entry || oldest === undefined) continue;
            ready.delete(oldest);
            held.push({ entry, number: oldest });
          } else {
            const chosen = new Set(each.which.map(n => held[n % held.length]).filter(found => found !== undefined));
            for (const one of chosen) held.splice(held.indexOf(one), 1);
            if (each.do === 'ack') for (const { entry } of chosen) queue.ack(entry);
            else {
              const back = [...chosen].sort((a, b) => a.number - b.number);
              queue.requeue(back.map(({ entry }) => entry));
              for (const { number } of back) ready.add(number);
            }
          }
          expect(queue.messageCount).toBe(ready.size);
          expect(queue.unackedCount).toBe(held.length);
        }
        expect(queue.readyBytes).toBe([...ready].join('').length);
        expect(drain(queue)).toEqual([...ready].sort((a, b) => a - b).map(String));
        for (const { entry } of held) queue.ack(entry);
        expect([broker.heldBytes, queue.readyBytes]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  });

  test.for<[string, (entries: Entry[]) => Entry[]]>([
    ['the last first', entries => entries.reverse()],
    ['the first first', entries => entries],
    ['in any order', entries => entries.map((_, i) => entries[(i * 7_919) % entries.length] as Entry)],
  ])('holds for a hundred thousand that come back one by one, %s, in no time', ([, order]) => {
    const { queue: declare, publish } = testBroker();
    const queue = declare('q');
    const bodies = Array.from({ length: 100_000 }, (_, i) => String(i));
    for (const body of bodies) publish('q', body);
    const taken = bodies.slice(0, 90_000).map(() => queue.get(false) as Entry);
    const start = performance.now();
    for (const entry of order(taken)) queue.requeue([entry]);
    // Moving the others each time took minutes.
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(drain(queue)).toEqual(bodies);
  });
});

describe('what is held in memory', () => {
  test.for<
    [string, (queue: ReturnType<ReturnType<typeof testBroker>['queue']>, broker: ReturnType<typeof testBroker>) => void]
  >([
    ['the queue is deleted', (_, { broker }) => broker.deleteQueue('q', owner, { ifUnused: false, ifEmpty: false })],
    [
      'everything is purged or acked',
      queue => {
        const entry = queue.get(false) as Entry;
        queue.purge();
        queue.ack(entry);
      },
    ],
    ['everything expires', (_, { clock }) => clock.pass(1_000)],
  ])('is nothing again once %s', ([, end]) => {
    const test = testBroker();
    const queue = test.queue('q', { 'x-message-ttl': 1_000 });
    for (let i = 0; i < 10; i++) test.publish('q', 'x'.repeat(i));
    expect(test.broker.heldBytes).toBeGreaterThan(3_000);
    end(queue, test);
    expect(test.broker.heldBytes).toBe(0);
  });

  test('is counted once for a message that dies into another queue, and not at all when that is gone too', () => {
    const { broker, queue: declare, publish } = testBroker();
    const grave = declare('grave');
    const queue = declare('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'grave' });
    publish('q', 'body');
    queue.reject(queue.get(false) as Entry);
    expect([queue.messageCount, grave.messageCount]).toEqual([0, 1]);
    drain(grave);
    expect(broker.heldBytes).toBe(0);
  });

  test('shares no memory with the chunk that it came in, once it waits or is held for long', () => {
    const { broker, queue: declare, publish } = testBroker();
    const queue = declare('q');
    const consumer = new TestConsumer(1);
    queue.addConsumer(consumer);
    publish('q', 'held');
    publish('q', 'waiting');
    broker.keepHeld();
    const waiting = (): Entry => queue.get(false) as Entry;
    for (const { message } of [...consumer.held, waiting()])
      expect(joined(message.body).buffer.byteLength).toBeLessThan(100);
  });

  test('is one copy for all the queues that a message is in', () => {
    const { broker, queue: declare, publish } = testBroker();
    const queues = ['a', 'b', 'c'].map(name => declare(name));
    for (const { name } of queues) broker.bind({ queue: name, exchange: 'amq.fanout', key: '', args: '' }, owner);
    publish('k', 'shared', {}, 'amq.fanout');
    const memory = queues.map(queue => queue.get(false)?.message.body);
    expect(new Set(memory).size).toBe(1);
  });

  test('is let go with the queue, also what consumers never settle', () => {
    const { broker, queue: declare, publish } = testBroker();
    const consumer = new TestConsumer();
    declare('q').addConsumer(consumer);
    publish('q', 'x'.repeat(1_000));
    broker.deleteQueue('q', owner, { ifUnused: false, ifEmpty: false });
    expect(consumer.held.map(({ message: { body } }) => body.length)).toEqual([0]);
  });
});

describe('a single active consumer', () => {
  test('leaves what it held to the next, in order and before what waits', () => {
    const { queue: declare, publish } = testBroker();
    const queue = declare('q', { 'x-single-active-consumer': true });
    const [first, second] = [new TestConsumer(3), new TestConsumer()];
    for (const consumer of [first, second]) queue.addConsumer(consumer);
    for (const body of '12345') publish('q', body);
    expect([first.bodies, second.bodies]).toEqual([['1', '2', '3'], []]);
    queue.removeConsumer(first);
    queue.requeue(first.held);
    queue.consumersLeft();
    expect(second.got.map(({ message, redelivered }) => [message.body.toString(), redelivered])).toEqual([
      ['1', true],
      ['2', true],
      ['3', true],
      ['4', false],
      ['5', false],
    ]);
  });
});

describe('an idle queue', () => {
  test('goes after x-expires, but not while it is used', () => {
    const { broker, clock, queue: declare } = testBroker();
    const queue = declare('q', { 'x-expires': 100 });
    clock.pass(80);
    queue.touch();
    clock.pass(80);
    const consumer = new TestConsumer();
    queue.addConsumer(consumer);
    clock.pass(1_000);
    expect([...broker.queues()].length).toBe(1);
    queue.removeConsumer(consumer);
    queue.consumersLeft();
    clock.pass(99);
    expect([...broker.queues()].length).toBe(1);
    clock.pass(1);
    expect([...broker.queues()].length).toBe(0);
  });

  test('that is auto-delete goes with its last consumer, and its exchange with it', () => {
    const { broker, queue: declare } = testBroker();
    broker.declareExchange('x', 'fanout', { durable: false, autoDelete: true, internal: false });
    const queue = declare('q', {}, { autoDelete: true });
    broker.bind({ queue: 'q', exchange: 'x', key: '', args: '' }, owner);
    const consumer = new TestConsumer();
    queue.addConsumer(consumer);
    queue.removeConsumer(consumer);
    queue.consumersLeft();
    expect([...broker.queues()]).toEqual([]);
    expect(broker.findExchange('x')).toBeUndefined();
  });
});

test('consumers are told that their queue is gone after whoever deleted it was answered', () => {
  const { broker, queue: declare } = testBroker();
  const consumer = new TestConsumer();
  declare('q').addConsumer(consumer);
  let wasCancelled: boolean | undefined;
  broker.deleteQueue('q', owner, { ifUnused: false, ifEmpty: false }, () => {
    wasCancelled = consumer.isCancelled;
  });
  expect([wasCancelled, consumer.isCancelled]).toEqual([false, true]);
});

test('once the broker has come to its end, time does nothing to a queue any more', () => {
  const { broker, clock, queue: declare, publish } = testBroker();
  const queue = declare('q', { 'x-message-ttl': 100, 'x-expires': 100 });
  const consumer = new TestConsumer(1);
  queue.addConsumer(consumer);
  for (const body of 'ab') publish('q', body);
  broker.halt();
  queue.removeConsumer(consumer);
  queue.requeue(consumer.held);
  queue.consumersLeft();
  clock.pass(1_000);
  expect(queue.isDeleted).toBe(false);
  expect(queue.messageCount).toBe(2);
});
