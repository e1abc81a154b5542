import { expect, test } from 'vitest';
import { drawCircle } from '../../services/chord/draw-circle.ts';
import { identifier } from '../../services/chord/identifier.ts';

const quarter = 1n << 158n;

test('nodes stand where their places are, 0 on top and clockwise, the own one marked', () => {
  const node = (at: bigint, label: string, isSelf = false) => ({ id: identifier(at), label, isSelf });
  const lines = drawCircle([
    node(0n, 'top'),
    node(quarter, 'right'),
    node(2n * quarter, 'bottom', true),
    node(3n * quarter, 'left'),
  ]).split('\n');
  expect(lines).toHaveLength(23);
  expect(lines[0]?.[40]).toBe('●');
  expect(lines[0]).toMatch(/ top$/);
  expect(lines[11]).toMatch(/^ +left ● +● right$/);
  expect(lines[22]?.[40]).toBe('◉');
  expect(lines[22]).toMatch(/ bottom ←$/);
});

test('with however many nodes it stays within 80 columns, and labels do not run into each other', () => {
  const nodes = Array.from({ length: 300 }, (_, at) => ({
    id: identifier((BigInt(at) << 160n) / 300n),
    label: 'abcdefabcdef#10',
    isSelf: at === 77,
  }));
  const drawn = drawCircle(nodes);
  for (const line of drawn.split('\n')) expect([...line].length).toBeLessThanOrEqual(80);
  for (const word of drawn.match(/[a-f#\d]+/g) ?? []) expect('abcdefabcdef#10'.startsWith(word)).toBe(true);
  expect(drawn.match(/◉/g)).toHaveLength(1);
});
