import { describe, expect, test } from 'vitest';
import { patternProblem, Rights } from '../../../services/broker/core/permissions.ts';

const rights = (configure: string, write: string, read: string): Rights =>
  new Rights('ann', { configure, write, read }, []);

describe('rights', () => {
  test('are patterns that match anywhere unless they are anchored; none allows nothing', () => {
    const some = rights('^ann-', 'mine', '');
    expect(some.may('configure', 'ann-queue')).toBe(true);
    expect(some.may('configure', 'my-ann-queue')).toBe(false);
    expect(some.may('write', 'all-mine-too')).toBe(true);
    expect(some.may('read', 'anything')).toBe(false);
  });

  test('know the default exchange as amq.default', () => {
    expect(rights('', '^amq\\.default$', '').may('write', '')).toBe(true);
    expect(() => rights('', '', '').check('write', 'exchange', '')).toThrow(
      "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'ann'",
    );
  });

  test('are not mixed up between operations on the same name, however often they were asked', () => {
    const some = rights('^a$', '^b$', '^c$');
    for (let i = 0; i < 3; i++) {
      for (const [right, name] of [
        ['configure', 'a'],
        ['write', 'b'],
        ['read', 'c'],
      ] as const) {
        for (const other of ['a', 'b', 'c']) expect(some.may(right, other)).toBe(other === name);
      }
    }
  });

  test('on topics are of one exchange, and may name the user', () => {
    const topical = new Rights('a.nn', { configure: '.*', write: '.*', read: '.*' }, [
      { exchange: 'x', write: '^{username}\\.', read: '^{vhost}' },
    ]);
    topical.checkTopic('write', 'x', 'a.nn.key');
    topical.checkTopic('write', 'y', 'anything');
    topical.checkTopic('read', 'x', '/here');
    expect(() => topical.checkTopic('write', 'x', 'aXnn.key')).toThrow(
      "write access to topic 'aXnn.key' in exchange 'x' in vhost '/' refused for user 'a.nn'",
    );
  });

  test('that are no regular expressions are found when they are given', () => {
    expect(patternProblem('(')).toMatch(/Invalid regular expression/);
    expect(patternProblem('^(a|b)$')).toBeUndefined();
  });
});
