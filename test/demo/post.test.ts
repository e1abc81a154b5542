import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDraft } from '../../services/demo/post.ts';

const good = { author: 'Ada', text: 'Hello' };

test('a post has a name and a message', () => {
  expect(parseDraft(good)).toEqual({ ok: true, draft: good });
});

test('white space around name and message goes, inside the message it stays', () => {
  const parsed = parseDraft({ author: '  Ada \n Lovelace ', text: '\n  one\n  two \n' });
  expect(parsed).toEqual({ ok: true, draft: { author: 'Ada Lovelace', text: 'one\n  two' } });
});

test('a name is not needed', () => {
  expect(parseDraft({ text: 'Hello' })).toEqual({ ok: true, draft: { author: '', text: 'Hello' } });
});

test('control characters go, and half a surrogate pair becomes a replacement character', () => {
  const parsed = parseDraft({ author: 'A\u0000d\u001ba', text: 'a\u0007b\tc\r\nd\u007f \ud83d' });
  expect(parsed).toEqual({ ok: true, draft: { author: 'Ada', text: 'ab\tc\nd \ufffd' } });
});

test.each([
  [{ ...good, text: '' }, 'The message is empty.'],
  [{ ...good, text: ' \n\t ' }, 'The message is empty.'],
  [{ author: 'Ada' }, 'The message is empty.'],
  [{ ...good, text: 'x'.repeat(501) }, 'The message has 501 characters; 500 is the most.'],
  [{ ...good, author: 'x'.repeat(41) }, 'The name has 41 characters; 40 is the most.'],
  [{ ...good, text: 7 }, 'The message ("text") must be one text.'],
  [{ ...good, text: ['a', 'b'] }, 'The message ("text") must be one text.'],
  [{ ...good, author: null }, 'The name ("author") must be one text.'],
  [[good], 'The body must be an object with "author" and "text".'],
  ['Hello', 'The body must be an object with "author" and "text".'],
  [null, 'The body must be an object with "author" and "text".'],
  [Object.create(good), 'The message is empty.'],
])('%j is refused: %s', (body, why) => {
  expect(parseDraft(body)).toEqual({ ok: false, why });
});

test('characters are counted as people count them, line ends of a form as one', () => {
  expect(parseDraft({ author: '🐇'.repeat(40), text: '🐇'.repeat(500) })).toMatchObject({ ok: true });
  expect(parseDraft({ ...good, text: `${'a\r\n'.repeat(249)}bb` })).toMatchObject({ ok: true });
});

test('whatever is sent, what is taken keeps the limits and survives being parsed again', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 600 }),
      fc.string({ unit: 'binary', maxLength: 50 }),
      (text, author) => {
        const parsed = parseDraft({ author, text });
        if (!parsed.ok) return;
        expect([...parsed.draft.text].length).toBeLessThanOrEqual(500);
        expect(parsed.draft.text).toBe(parsed.draft.text.trim());
        expect([...parsed.draft.author].length).toBeLessThanOrEqual(40);
        expect(parseDraft(parsed.draft)).toEqual(parsed);
      },
    ),
  );
});
