import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { headersOf } from '../../../services/broker/amqp/edit-properties.ts';
import { type FieldTable, Typed } from '../../../services/broker/amqp/field-value.ts';
import { deadProperties, isCycle } from '../../../services/broker/core/dead-letter.ts';
import type { Entry } from '../../../services/broker/core/message.ts';
import type { MessageQueue } from '../../../services/broker/core/queue.ts';
import { fieldValue } from '../amqp/arbitrary.ts';
import { drain, message, testBroker } from './fixtures.ts';

const to = (queue: string): FieldTable => ({ 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue });

describe('a circle of dead-letter queues', () => {
  test('ends where nobody rejected anything', () => {
    const { clock, queue, publish, broker } = testBroker();
    const queues = ['a', 'b', 'c'].map((name, i, names) =>
      queue(name, { ...to(names[(i + 1) % 3] ?? ''), 'x-message-ttl': 10 }),
    );
    publish('a', 'round');
    clock.pass(10);
    expect(queues.map(({ messageCount }) => messageCount)).toEqual([0, 1, 0]);
    clock.pass(1_000);
    expect(queues.map(({ messageCount }) => messageCount)).toEqual([0, 0, 0]);
    expect(broker.heldBytes).toBe(0);
  });

  test('goes on for ever where somebody rejects, and counts', () => {
    const { clock, queue, publish } = testBroker();
    const work = queue('work', to('pause'));
    queue('pause', { ...to('work'), 'x-message-ttl': 10 });
    publish('work', 'again');
    for (let i = 0; i < 5; i++) {
      work.reject(work.get(false) as Entry);
      clock.pass(10);
    }
    const deaths = headersOf((work.get(true) as Entry).message.properties)['x-death'] as readonly FieldTable[];
    expect(deaths.map(({ queue: name, reason, count }) => [name, reason, count])).toEqual([
      ['pause', 'expired', 5],
      ['work', 'rejected', 5],
    ]);
  });

  test('is seen by the latest deaths up to the queue itself', () => {
    const once = deadProperties(message('k', ''), 'a', 'expired', 1);
    expect([isCycle(once, 'a'), isCycle(once, 'b')]).toEqual([true, false]);
    const then = deadProperties({ ...message('k', ''), properties: once, hasDied: true }, 'b', 'rejected', 2);
    expect(isCycle(then, 'a')).toBe(false);
  });
});

describe('a burial', () => {
  test('that fills another queue is followed by those that this causes, in order', () => {
    const { queue, publish } = testBroker();
    const last = queue('last');
    queue('middle', { ...to('last'), 'x-max-length': 1 });
    const first = queue('first', { ...to('middle'), 'x-max-length': 1 });
    for (const body of 'abcd') publish('first', body);
    expect([drain(last), drain(first)]).toEqual([['a', 'b'], ['d']]);
  });

  test('into the queue itself, which is full, ends', () => {
    const { queue, publish, broker } = testBroker();
    const own: MessageQueue = queue('own', { ...to('own'), 'x-max-length': 1 });
    for (const body of 'abc') publish('own', body);
    expect(drain(own)).toEqual(['c']);
    expect(broker.heldBytes).toBe(0);
  });

  test('keeps neither expiration nor CC', () => {
    const { properties } = message('k', '', { expiration: '5', headers: { CC: ['x'], own: 1 } });
    const dead = deadProperties({ ...message('k', ''), properties }, 'q', 'expired', 7);
    const headers = headersOf(dead);
    expect([headers.CC, headers.own]).toEqual([undefined, 1]);
    expect(headers['x-death']).toMatchObject([{ 'original-expiration': '5', 'routing-keys': ['k'], count: 1 }]);
  });
});

describe('what stands in x-death already', () => {
  test('counts for nothing when a client wrote it', () => {
    const headers = { 'x-death': [{ queue: 'q', reason: 'expired', count: 5 }], 'x-first-death-queue': 'z' };
    const dead = headersOf(deadProperties(message('k', '', { headers }), 'q', 'expired', 7));
    expect(dead).toMatchObject({ 'x-death': [{ queue: 'q', count: 1, time: new Typed('T', 7) }] });
    expect(dead['x-first-death-queue']).toBe('q');
  });

  test('may be anything after a restart, and a death is added all the same', () => {
    const field = fc.oneof(fieldValue, fc.constantFrom<FieldTable[string]>('q', 'expired', 2n ** 63n - 1n));
    const row = fc.record({ queue: field, reason: field, count: field, time: field }, { requiredKeys: [] });
    fc.assert(
      fc.property(fc.oneof(fieldValue, fc.array(fc.oneof(fieldValue, row))), deaths => {
        const old = { ...message('k', '', { headers: { 'x-death': deaths } }), hasDied: true };
        const dead = headersOf(deadProperties(old, 'q', 'expired', 7))['x-death'] as readonly FieldTable[];
        expect(dead[0]).toMatchObject({ queue: 'q', reason: 'expired', count: expect.any(Number) });
        expect(Number(dead[0]?.count)).toBeGreaterThan(0);
      }),
    );
  });
});
