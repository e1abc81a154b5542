import { messageOf } from '../../lib/failure.ts';

const patienceMs = 3_000;

/** The JSON of a URL, with the account in it if there is one. @throws Error whose message reads on from "cannot be reached: " */
export async function askJson(url: string): Promise<unknown> {
  return (await ask(url)).json();
}

/** The same of what is no JSON. */
export async function askText(url: string): Promise<string> {
  return (await ask(url)).text();
}

async function ask(url: string): Promise<Response> {
  const { origin, pathname, search, username, password } = new URL(url);
  const account = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const headers: Record<string, string> =
    username === '' ? {} : { authorization: `Basic ${Buffer.from(account).toString('base64')}` };
  let response: Response;
  try {
    response = await fetch(`${origin}${pathname}${search}`, { headers, signal: AbortSignal.timeout(patienceMs) });
  } catch (error) {
    // "fetch failed" says nothing; what lies below does.
    throw new Error(messageOf((error as Error).cause ?? error), { cause: error });
  }
  if (response.status === 401) throw new Error('it refuses this account');
  if (!response.ok) throw new Error(`it answers ${response.status}`);
  return response;
}

/** Where it is, without the account. */
export function placeOf(url: string): string {
  return new URL(url).origin;
}

export interface Unreached {
  /** In words, one line. */
  readonly problem: string;
}

export function isUnreached(part: object): part is Unreached {
  return 'problem' in part;
}
