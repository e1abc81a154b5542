import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { uniqueName } from '../support/broker.ts';
import { openClient, openConfirmChannel } from './clients.ts';
import { consume, listen } from './inbox.ts';
import { isTopicMatch } from './topic-match.ts';

describe('topic patterns', () => {
  test.for([
    ['a.b.c', ['a.b.c'], ['a.b', 'a.b.c.d', 'A.b.c', 'a.b.', '']],
    ['*', ['a', 'b'], ['', 'a.b', '.']],
    ['#', ['', 'a', 'a.b.c', '.', '..'], []],
    ['a.*.c', ['a.b.c', 'a..c'], ['a.c', 'a.b.b.c']],
    ['#.c', ['c', 'a.c', 'a.b.c'], ['', 'c.a', 'ac']],
    ['a.#', ['a', 'a.b', 'a.b.c', 'a.'], ['', 'b.a', 'ab']],
    ['a.#.c', ['a.c', 'a.b.c', 'a.b.b.c'], ['a', 'c', 'a.b']],
    ['*.#', ['a', 'a.b', '.'], ['']],
    ['#.*', ['a', 'a.b'], ['']],
    ['#.#', ['', 'a', 'a.b'], []],
    ['*.*', ['a.b', '.'], ['a', 'a.b.c']],
    ['#.b.#', ['b', 'a.b', 'b.c', 'a.b.c'], ['', 'a.c']],
    ['', [''], ['a', '.']],
    ['a.*#', ['a.*#'], ['a.b', 'a']],
  ] as const)("'%s' takes %j and not %j", async ([pattern, takes, not]) => {
    const channel = await openConfirmChannel();
    const exchange = uniqueName('topic');
    await channel.assertExchange(exchange, 'topic', { autoDelete: true });
    const inbox = await listen(channel, [{ exchange, key: pattern }]);
    for (const key of [...not, ...takes]) channel.publish(exchange, key, Buffer.from(key));
    await channel.waitForConfirms();
    expect(await inbox.bodies(takes.length)).toEqual(takes);
    for (const key of takes) expect(isTopicMatch(pattern, key)).toBe(true);
    for (const key of not) expect(isTopicMatch(pattern, key)).toBe(false);
  });

  test('any patterns take of any keys what the reference says', async () => {
    const client = await openClient();
    const words = fc.constantFrom('a', 'b', '', '*', '#');
    const pattern = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom('*', '#') }, words), { maxLength: 6 });
    const key = fc.array(fc.constantFrom('a', 'b', 'ab', ''), { maxLength: 6 });
    const dotted = (parts: fc.Arbitrary<string[]>): fc.Arbitrary<string> => parts.map(each => each.join('.'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(dotted(pattern), { minLength: 1, maxLength: 12 }),
        fc.array(dotted(key), { minLength: 1, maxLength: 30 }),
        async (patterns, keys) => {
          const channel = await client.createChannel();
          const exchange = uniqueName('topic');
          await channel.assertExchange(exchange, 'topic', { autoDelete: true, durable: false });
          const queues: string[] = [];
          for (const each of patterns) {
            const { queue } = await channel.assertQueue('', { exclusive: true, durable: false });
            await channel.bindQueue(queue, exchange, each);
            queues.push(queue);
          }
          for (const [i, each] of keys.entries()) channel.publish(exchange, each, Buffer.from(String(i)));
          // Behind everything in each queue.
          for (const queue of queues) channel.sendToQueue(queue, Buffer.from('end'));
          const taken: string[][] = [];
          for (const queue of queues) {
            const inbox = await consume(channel, queue, { noAck: true });
            const got: string[] = [];
            for (let [body = ''] = await inbox.bodies(1); body !== 'end'; [body = ''] = await inbox.bodies(1))
              got.push(body);
            taken.push(got);
            await channel.deleteQueue(queue);
          }
          await channel.close();
          const expected = patterns.map(each => keys.flatMap((k, i) => (isTopicMatch(each, k) ? [String(i)] : [])));
          expect(taken).toEqual(expected);
        },
      ),
      { numRuns: 40 },
    );
  });
});
