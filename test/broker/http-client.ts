export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body's JSON; undefined when it has none. */
  readonly json: unknown;
}

export type Ask = (method: string, path: string, body?: unknown) => Promise<Answer>;

/** Asks an HTTP API with an account in its URL, or another. */
export function httpClient(apiUrl: string, account?: { user: string; password: string }): Ask {
  const { origin, username, password } = new URL(apiUrl);
  const pair = account ? `${account.user}:${account.password}` : `${username}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  return async (method, path, body) => {
    const response = await fetch(`${origin}${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {}
    return { status: response.status, headers: response.headers, text, json };
  };
}
