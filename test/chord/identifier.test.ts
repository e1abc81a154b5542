import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  circle,
  distance,
  formatIdentifier,
  type Identifier,
  identifier,
  identifierOfMember,
  isBetween,
  isUpTo,
  parseIdentifier,
} from '../../services/chord/identifier.ts';
import { id } from './simulation/small-ring.ts';

const sha256 = (octets: Uint8Array): Uint8Array => createHash('sha256').update(octets).digest();
const top = identifier(circle - 1n);
const any = fc.oneof(
  fc.bigInt({ min: 0n, max: circle - 1n }),
  fc.bigInt({ min: 0n, max: 3n }),
  fc.bigInt({ min: circle - 3n, max: circle - 1n }),
);

describe('on the circle', () => {
  test.each([
    [1, 2, 3, true],
    [1, 1, 3, false],
    [1, 3, 3, false],
    [3, 2, 1, false],
    [3, 4, 1, true],
    [3, 0, 1, true],
    [5, 5, 5, false],
    [5, 6, 5, true],
    [5, 4, 5, true],
  ])('from %i, %i lies before %i: %s', (low, it, high, isIt) => {
    expect(isBetween(id(low), id(it), id(high))).toBe(isIt);
  });

  test('zero lies between the last point and the first', () => {
    expect(isBetween(top, id(0), id(1))).toBe(true);
    expect(isUpTo(top, id(0), id(0))).toBe(true);
    expect(identifier(top + 1n)).toBe(0n);
    expect(identifier(-1n)).toBe(top);
    expect(distance(top, id(1))).toBe(2n);
  });

  test('a node alone owns every key, its own place too', () => {
    for (const key of [0, 4, 5, 6]) expect(isUpTo(id(5), id(key), id(5))).toBe(true);
  });

  test('between is what distances say', () => {
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        const [low, it, high] = [a as Identifier, b as Identifier, c as Identifier];
        const far = distance(low, high) || circle;
        expect(isBetween(low, it, high)).toBe(distance(low, it) > 0n && distance(low, it) < far);
        expect(isUpTo(low, it, high)).toBe((distance(low, it) || circle) <= far);
      }),
    );
  });

  test('there and back is once around, or nowhere', () => {
    fc.assert(
      fc.property(any, any, (a, b) => {
        const [from, to] = [a as Identifier, b as Identifier];
        expect(identifier(from + distance(from, to))).toBe(to);
        expect(distance(from, to) + distance(to, from)).toBe(from === to ? 0n : circle);
      }),
    );
  });
});

describe('as text', () => {
  test('an identifier is 40 hex digits and comes back', () => {
    fc.assert(
      fc.property(any, value => {
        const text = formatIdentifier(value as Identifier);
        expect(text).toMatch(/^[0-9a-f]{40}$/);
        expect(parseIdentifier(text)).toBe(value);
      }),
    );
  });

  test.each(['', '12', 'A'.repeat(40), `0x${'1'.repeat(38)}`, '1'.repeat(41), `${'1'.repeat(39)}\n`])(
    '%j is none',
    text => {
      expect(parseIdentifier(text)).toBeUndefined();
    },
  );
});

describe('a member’s place', () => {
  const member = Buffer.from(sha256(new Uint8Array([1]))).toString('hex');

  test('is the first 160 bits of its id', () => {
    expect(formatIdentifier(identifierOfMember(member, 0, sha256))).toBe(member.slice(0, 40));
  });

  test('is another for each virtual node, and always the same', () => {
    const places = Array.from({ length: 300 }, (_, index) => identifierOfMember(member, index, sha256));
    expect(new Set(places).size).toBe(300);
    expect(identifierOfMember(member, 299, sha256)).toBe(places[299]);
    const octets = new Uint8Array([...Buffer.from(member, 'hex'), 1, 43]);
    expect(formatIdentifier(places[299] as Identifier)).toBe(Buffer.from(sha256(octets)).toString('hex').slice(0, 40));
  });
});
