import { describe, expect, test } from 'vitest';
import { isTraceparent, newTraceparent, traceIdOf } from '../../services/lib/trace.ts';

/** The specification's own example. */
const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('traceparent (W3C Trace Context §3.2)', () => {
  test('is version, trace id, parent id and flags', () => {
    expect(isTraceparent(good)).toBe(true);
    expect(traceIdOf(good)).toBe('0af7651916cd43dd8448eb211c80319c');
  });

  test('of a later version may have more behind a dash (§3.2.4)', () => {
    expect(isTraceparent(`cc${good.slice(2)}-what-the-future-brings`)).toBe(true);
    expect(isTraceparent(`cc${good.slice(2)}x`)).toBe(false);
  });

  test('of version 00 has nothing more (§3.2.2.1)', () => {
    expect(isTraceparent(`${good}-more`)).toBe(false);
  });

  test.each([
    ['', 'nothing'],
    ['ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'version ff is forbidden (§3.2.2.1)'],
    ['00-00000000000000000000000000000000-b7ad6b7169203331-01', 'trace id of zeros (§3.2.2.3)'],
    ['00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01', 'parent id of zeros (§3.2.2.4)'],
    ['00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01', 'upper case (§3.2.2)'],
    ['00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01', 'too short'],
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331', 'no flags'],
    [' 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'space before'],
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n', 'line feed behind'],
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01, 00-', 'two of them'],
  ])('%j is none: %s', text => {
    expect(isTraceparent(text)).toBe(false);
  });

  test('made anew is one, and unsampled', () => {
    const digits = 'a1'.repeat(16);
    expect(newTraceparent(count => digits.slice(0, count))).toBe(`00-${digits}-${digits.slice(0, 16)}-00`);
    expect(isTraceparent(newTraceparent(count => digits.slice(0, count)))).toBe(true);
  });
});
