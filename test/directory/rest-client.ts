import { type MethodName, methods } from '../../services/directory/methods.ts';

export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of JSON; undefined of anything else. */
  readonly json: unknown;
}

export async function ask(url: string, init: RequestInit = {}): Promise<RestAnswer> {
  const { status, headers, ...answer } = await (async () => {
    const response = await fetch(url, init);
    return { status: response.status, headers: response.headers, text: await response.text() };
  })();
  const isJson = /\bjson\b/.test(headers.get('content-type') ?? '');
  return { status, headers, ...answer, json: isJson ? JSON.parse(answer.text) : undefined };
}

/** A method of the directory, over REST, as `methods.ts` says. */
export function askMethod(base: string, name: MethodName, request: object): Promise<RestAnswer> {
  const { verb, path } = methods[name];
  const { token, ...fields } = request as { token?: string };
  const authorization = token === undefined ? undefined : { authorization: `Bearer ${token}` };
  if (verb === 'get') {
    const filled = path.replaceAll(/:(\w+)/g, (_, field: string) =>
      encodeURIComponent(String(Reflect.get(fields, field))),
    );
    const query = Object.entries(fields).filter(([field]) => !path.includes(`:${field}`));
    return ask(
      `${base}${filled}?${new URLSearchParams(Object.fromEntries(query.map(([field, value]) => [field, String(value)])))}`,
      authorization === undefined ? {} : { headers: authorization },
    );
  }
  return ask(`${base}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...authorization },
    body: JSON.stringify(fields),
  });
}
