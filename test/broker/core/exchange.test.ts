import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyOfStored, storedKey } from '../../../services/broker/core/binding-key.ts';
import { Exchange, type ExchangeType } from '../../../services/broker/core/exchange.ts';
import { TopicTrie } from '../../../services/broker/core/topic-trie.ts';
import { owner, testBroker } from './fixtures.ts';

/** The definition, word by word: slow, and plain. */
function matches(pattern: readonly string[], words: readonly string[]): boolean {
  const [part, ...rest] = pattern;
  if (part === undefined) return words.length === 0;
  if (part === '#')
    return Array.from({ length: words.length + 1 }, (_, i) => i).some(i => matches(rest, words.slice(i)));
  return words.length > 0 && (part === '*' || part === words[0]) && matches(rest, words.slice(1));
}

const split = (text: string): string[] => (text === '' ? [] : text.split('.'));
const key = fc.array(fc.constantFrom('a', 'b', 'ab', ''), { maxLength: 6 }).map(words => words.join('.'));
const pattern = fc.array(fc.constantFrom('a', 'b', '*', '#', ''), { maxLength: 6 }).map(words => words.join('.'));

function trieOf(...patterns: string[]): TopicTrie {
  const trie = new TopicTrie();
  for (const each of patterns) trie.add(each);
  return trie;
}

describe('topic patterns', () => {
  test('match what the definition says', () => {
    fc.assert(
      fc.property(pattern, key, (p, k) => {
        expect(trieOf(p).match(k)).toEqual(matches(split(p), split(k)) ? [p] : []);
      }),
      { numRuns: 5_000 },
    );
  });

  test('of many # take no longer for a long key', () => {
    const begun = performance.now();
    expect(trieOf(Array(60).fill('#.a').join('.')).match(Array(120).fill('b').join('.'))).toEqual([]);
    expect(performance.now() - begun).toBeLessThan(200);
  });

  test('are not all looked at for each key', () => {
    const trie = trieOf(...Array.from({ length: 100_000 }, (_, i) => `m.${i}.#`));
    const begun = performance.now();
    for (let i = 0; i < 1_000; i++) expect(trie.match(`m.${i}.job.${i}`)).toEqual([`m.${i}.#`]);
    // One by one it is a minute.
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});

describe('an exchange', () => {
  const queues = ['q1', 'q2', 'q3'].map(name => ({ name }));
  const step = fc.record({
    do: fc.constantFrom('bind', 'bind', 'unbind', 'forget', 'route', 'route'),
    key: fc.oneof(key, pattern),
    queue: fc.nat({ max: 2 }),
    args: fc.constantFrom('', '', 'x'),
  });

  test.for<ExchangeType>(['direct', 'fanout', 'topic'])(
    'of type %s routes as its bindings say, asked before or not',
    type => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60 }), steps => {
          const exchange = new Exchange<{ name: string }>({
            name: 'x',
            type,
            durable: false,
            autoDelete: false,
            internal: false,
          });
          let bindings: { key: string; name: string; args: string }[] = [];
          for (const each of steps) {
            const queue = queues[each.queue] ?? { name: '' };
            const own: { key: string; name: string; args: string } = {
              key: each.key,
              name: queue.name,
              args: each.args,
            };
            const isOwn = (other: typeof own): boolean =>
              other.key === own.key && other.name === own.name && other.args === own.args;
            if (each.do === 'bind') {
              expect(exchange.bind(own.key, queue, own.args)).toBe(!bindings.some(isOwn));
              if (!bindings.some(isOwn)) bindings.push(own);
            } else if (each.do === 'unbind') {
              expect(exchange.unbind(own.key, queue, own.args)).toBe(bindings.some(isOwn));
              bindings = bindings.filter(other => !isOwn(other));
            } else if (each.do === 'forget') {
              expect(exchange.forget(queue)).toBe(bindings.some(({ name }) => name === own.name));
              bindings = bindings.filter(({ name }) => name !== own.name);
            } else {
              const fits = ({ key: bound }: typeof own): boolean =>
                type === 'fanout' || (type === 'direct' ? bound === own.key : matches(split(bound), split(own.key)));
              const expected = new Set(bindings.filter(fits).map(({ name }) => name));
              expect(
                exchange
                  .route(own.key)
                  .map(({ name }) => name)
                  .toSorted(),
              ).toEqual([...expected].toSorted());
            }
            expect([exchange.isBound, exchange.bindingCount]).toEqual([bindings.length > 0, bindings.length]);
            expect(exchange.bindings().length).toBe(bindings.length);
          }
        }),
        { numRuns: 500 },
      );
    },
  );
});

test('a queue that goes asks only the exchanges that are bound to it', () => {
  const { broker, queue } = testBroker();
  const many = Array.from({ length: 20_000 }, (_, i) => String(i));
  const flags = { durable: false, autoDelete: true, internal: false };
  for (const name of many) {
    broker.declareExchange(name, 'fanout', flags);
    queue(name);
  }
  for (const name of many.slice(0, 100)) broker.bind({ queue: name, exchange: name, key: '', args: '' }, owner);
  const begun = performance.now();
  for (const name of many) broker.deleteQueue(name, owner, { ifUnused: false, ifEmpty: false });
  // Asking all takes half a minute.
  expect(performance.now() - begun).toBeLessThan(3_000);
  expect([...broker.exchanges()].length).toBe(4 + 20_000 - 100);
});

test('a binding is found again by what the ledger keeps of it, whatever its key', () => {
  const args = fc.base64String();
  const anyKey = fc.string({ unit: fc.constantFrom('a', '.', '\0', 'é'), maxLength: 8 });
  fc.assert(
    fc.property(anyKey, args, anyKey, args, (k, a, otherKey, otherArgs) => {
      expect(keyOfStored(storedKey(k, a))).toEqual({ key: k, args: a });
      if (k !== otherKey || a !== otherArgs) expect(storedKey(k, a)).not.toBe(storedKey(otherKey, otherArgs));
    }),
  );
});
