import { expect, test } from 'vitest';
import { createPostId, timeOfPostId } from '../../services/demo/post-id.ts';

test('an id carries the time it was made', () => {
  const at = Date.UTC(2025, 5, 1, 12, 30, 15, 250);
  expect(timeOfPostId(createPostId(at, digits => '0123456789abcdef0123'.slice(0, digits)))).toBe(at);
});

test('the form is that of RFC 9562, as in its example A.6', () => {
  // unix_ts_ms 017F22E279B0, rand_a CC3, rand_b 18C4DC0C0C07398F under the variant bits 10.
  const id = createPostId(0x017f22e279b0, () => 'cc318c4dc0c0c07398f0');
  expect(id).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
});

test.each(['0'.repeat(20), 'f'.repeat(20), '0123456789abcdef0123'])('random bits %s give a well-formed id', bits => {
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(createPostId(1, () => bits)).toMatch(form);
});

test.each(['', 'x', '3f2504e0-4f89-41d3-9a0c-0305e82c3301'])('"%s" has no time', id => {
  expect(timeOfPostId(id)).toBeUndefined();
});
