// What the other scripts share. `page.ts` joins them all into one script: their names must differ.

const hues = 6;

export const byId = id => document.getElementById(id);

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  // Never as markup: people typed it.
  if (text !== undefined) made.textContent = text;
  return made;
}

export function button(text, onClick) {
  const made = element('button', 'quiet', text);
  made.type = 'button';
  made.addEventListener('click', onClick);
  return made;
}

/** backend-1 → 0, backend-2 → 1, …; the same colour for the same name everywhere. */
export function hueOf(name) {
  const number = Number(/\d+$/.exec(name)?.[0] ?? [...name].reduce((sum, c) => sum + c.codePointAt(0), 1));
  return String((number + hues - 1) % hues);
}

/** Ours are JSON problems with a line in `detail`; a proxy on the way may answer in its own form. */
async function reasonOf(answer) {
  const type = answer.headers.get('content-type') ?? '';
  const problem = /json/.test(type) ? await answer.json().catch(() => undefined) : undefined;
  return problem?.detail ?? `The proxy says ${`${answer.status} ${answer.statusText}`.trim()}.`;
}

/** An error whose message is a sentence for people; `unsure` when the server may have done its part all the same. */
class AskError extends Error {
  constructor(message, unsure) {
    super(message);
    this.unsure = unsure;
  }
}

/** The JSON that a URL answers with. Throws an AskError. */
export async function askFor(url, timeoutMs, options) {
  let answer;
  try {
    answer = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(timeoutMs), ...options });
    if (answer.ok) return await answer.json();
  } catch (thrown) {
    if (thrown.name === 'TimeoutError') throw new AskError(`No answer within ${timeoutMs / 1000} s.`, true);
    if (answer) throw new AskError('The answer could not be read.', true);
    throw new AskError('The server cannot be reached.', true);
  }
  throw new AskError(await reasonOf(answer), false);
}
