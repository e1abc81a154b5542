/** What a visitor may send, as it goes on the bus. */
export interface Draft {
  /** At most `authorMax` characters; '' when the visitor gave no name. */
  readonly author: string;
  /** 1 to `textMax` characters, no white space at its ends. */
  readonly text: string;
}

export type ParsedDraft = { readonly ok: true; readonly draft: Draft } | { readonly ok: false; readonly why: string };

/** Unicode code points, so that nothing that a form's `maxlength` (UTF-16 units) lets through is refused here. */
export const authorMax = 40;
export const textMax = 500;

/** Everything below a space, and DEL, except tab and line feed: nothing that a person types into a form. */
const controls = /[^\P{Cc}\t\n]/gu;

function clean(text: string): string {
  // Forms send line ends as CRLF, but count them as one character. Protobuf strings have no lone surrogates.
  return text.toWellFormed().replaceAll(/\r\n?/g, '\n').replaceAll(controls, '').trim();
}

function lengthOf(text: string): number {
  return [...text].length;
}

/** A field that is absent is empty; anything but a string is refused rather than guessed at. */
function field(body: object, name: string): string | undefined {
  const value: unknown = Object.hasOwn(body, name) ? Reflect.get(body, name) : '';
  return typeof value === 'string' ? value : undefined;
}

/** @param body a parsed JSON or urlencoded request body */
export function parseDraft(body: unknown): ParsedDraft {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { ok: false, why: 'The body must be an object with "author" and "text".' };
  }
  const author = field(body, 'author');
  const text = field(body, 'text');
  if (author === undefined) return { ok: false, why: 'The name ("author") must be one text.' };
  if (text === undefined) return { ok: false, why: 'The message ("text") must be one text.' };
  const draft = { author: clean(author).replaceAll(/\s+/g, ' '), text: clean(text) };
  if (draft.text === '') return { ok: false, why: 'The message is empty.' };
  const authorLength = lengthOf(draft.author);
  if (authorLength > authorMax) {
    return { ok: false, why: `The name has ${authorLength} characters; ${authorMax} is the most.` };
  }
  const textLength = lengthOf(draft.text);
  if (textLength > textMax) {
    return { ok: false, why: `The message has ${textLength} characters; ${textMax} is the most.` };
  }
  return { ok: true, draft };
}
