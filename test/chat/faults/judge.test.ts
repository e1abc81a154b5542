import { expect, test } from 'vitest';
import { judge, type Said } from './judge.ts';

const said: Said[] = [
  { sender: 'a', kept: new Set([0, 1, 3]), unsure: new Set([2]) },
  { sender: 'b', kept: new Set([0]), unsure: new Set() },
];
const nothing = { lost: [], doubled: [], reordered: [], strange: [] };

test('what each has said, in its order, whatever the others said between: nothing is wrong', () => {
  expect(judge(said, ['a 0', 'b 0', 'a 1', 'a 2', 'a 3'])).toEqual(nothing);
  expect(judge(said, ['b 0', 'a 0', 'a 1', 'a 3'])).toEqual(nothing);
});

test('what is missing, there twice, out of order or of nobody is found', () => {
  expect(judge(said, ['a 0', 'b 0', 'a 3'])).toEqual({ ...nothing, lost: ['a 1'] });
  expect(judge(said, ['a 0', 'b 0', 'a 1', 'a 3', 'b 0'])).toEqual({ ...nothing, doubled: ['b 0'] });
  expect(judge(said, ['a 1', 'a 0', 'b 0', 'a 3', 'a 2'])).toEqual({
    ...nothing,
    reordered: ['a 0 after 1', 'a 2 after 3'],
  });
  expect(judge(said, ['a 0', 'b 0', 'a 1', 'a 3', 'b 1', 'hello'])).toEqual({ ...nothing, strange: ['b 1', 'hello'] });
});
