import { expect, test } from 'vitest';
import { arrivals } from '../../services/bus/arrival.ts';
import { isReplyKeyOf, jobKey, ownPrefix, replyKey, rpcKey } from '../../services/bus/own-keys.ts';
import { isTopicMatch } from '../compliance/topic-match.ts';
import { seededRandom } from '../support/seeded.ts';

const headers = {};

test('the same keys fit a binding as the broker takes for it', () => {
  const { pick, seed } = words();
  for (let i = 0; i < 3_000; i++) {
    const bound = pick(['a', 'b', '*', '#', '', 'a+', 'x\ny']);
    const key = pick(['a', 'b', '', 'aa', 'a+', 'x\ny']);
    const isExpected = arrivals([{ exchange: 'm', key: bound }]);
    expect(isExpected({ exchange: 'm', key, headers }), `${bound} ${key} (seed ${seed})`).toBe(
      isTopicMatch(bound, key),
    );
  }
});

function words(): { pick: (from: readonly string[]) => string; seed: number } {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  return {
    seed,
    pick: from => Array.from({ length: 1 + below(4) }, () => from[below(from.length)] ?? '').join('.'),
  };
}

test.each([
  ['by a binding', 'm', 'm.x.rpc', {}, true],
  ['by another of its bindings', 'proxy.replies', 'session', {}, true],
  ['by a key that is not bound', 'm', 'm.y.rpc', {}, false],
  ['by the key of a direct exchange, which has no wildcards', 'proxy.replies', 'm.x.rpc', {}, false],
  ['by any key of a fanout exchange', 'demo.posts', 'anything', {}, true],
  ['by another exchange', 'm.evil', 'm.x.rpc', {}, false],
  ['by the default exchange', '', 'amq.gen-x', {}, false],
  ['after it was dead', 'm', 'm.x.rpc', { 'x-death': [] }, false],
])('what came %s is %s', (_, exchange, key, given, expected) => {
  const bindings = [
    { exchange: 'm', key: 'm.x.rpc' },
    { exchange: 'proxy.replies', key: 'session' },
    { exchange: 'demo.posts', key: '' },
  ];
  expect(arrivals(bindings)({ exchange, key, headers: given })).toBe(expected);
});

test('of a queue whose bindings are not known, the dead are dropped', () => {
  expect(arrivals(undefined)({ exchange: 'x', key: 'y', headers })).toBe(true);
  expect(arrivals(undefined)({ exchange: 'x', key: 'y', headers: { 'x-death': [] } })).toBe(false);
});

test('keys begin with the account that they belong to, and no name reaches into those of another', () => {
  const id = 'ab'.repeat(32);
  expect(rpcKey(`m.${id}`)).toBe(`m.${id}.rpc`);
  expect(replyKey('directory', 'amq.gen-x')).toBe('m.directory.reply.amq.gen-x');
  expect(jobKey('worker-web', 'w')).toBe('m.worker-web.job.w');
  expect(ownPrefix('invite.x')).toBe('m.invite.x');
  expect(ownPrefix('#')).toBe('m.%23');
  expect(ownPrefix('a*b c')).toBe('m.a%2ab%20c');
  expect(isReplyKeyOf('directory', 'm.directory.reply.q')).toBe(true);
  for (const key of ['m.directory.replyx', 'm.directory.rpc', 'm.director.reply.q', 'directory.reply.q', ''])
    expect(isReplyKeyOf('directory', key)).toBe(false);
});
