import { Failure, messageOf } from '../../lib/failure.ts';

export interface ApiAnswer {
  readonly status: number;
  /** The body's JSON; undefined when there is none. */
  readonly json: unknown;
}

/** Asks a broker's HTTP API. Statuses of success, and those in `alsoFine`, are answers; all others are thrown. */
export type Ask = (
  method: 'GET' | 'PUT' | 'DELETE',
  path: string,
  given?: { readonly body?: unknown; readonly alsoFine?: readonly number[] },
) => Promise<ApiAnswer>;

/** Longer ones are cut: they go into logs. */
const reasonLength = 200;

/**
 * @param url with the account
 * @returns for an operation that must end until the signal aborts
 */
export function managementApi(url: string): (signal: AbortSignal, deadlineMs: number) => Ask {
  const { origin, pathname, username, password } = new URL(url);
  const place = origin;
  const base = `${origin}${pathname.replace(/\/+$/, '')}`;
  const user = decodeURIComponent(username);
  const pair = Buffer.from(`${user}:${decodeURIComponent(password)}`).toString('base64');
  const headers = { authorization: `Basic ${pair}`, 'content-type': 'application/json' };

  return (signal, deadlineMs) =>
    async (method, path, { body, alsoFine = [] } = {}) => {
      const content = body === undefined ? {} : { body: JSON.stringify(body) };
      const send = async (): Promise<{ response: Response; text: string }> => {
        const got = await fetch(`${base}${path}`, { method, headers, signal, redirect: 'error', ...content });
        return { response: got, text: await got.text() };
      };
      // Once more: a connection kept from before a restart fails at its first use, and all that is asked may be asked twice.
      const { response, text } = await send()
        .catch(send)
        .catch(cause => {
          // "fetch failed" says nothing; what lies below does.
          const why = signal.aborted ? `no answer within ${deadlineMs} ms` : messageOf((cause as Error).cause ?? cause);
          throw new Failure('ACCOUNTS_UNREACHABLE', `the broker's HTTP API at ${place} cannot be reached: ${why}`, {
            cause,
          });
        });
      const { status } = response;
      const json = parsed(text);
      if (response.ok || alsoFine.includes(status)) return { status, json };
      throw refusal({ status, json, user, place, what: `${method} ${path}` });
    };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(given: { status: number; json: unknown; user: string; place: string; what: string }): Failure {
  const { status, json, user, place, what } = given;
  const reason = messageOf((json as { reason?: unknown } | undefined)?.reason ?? '').slice(0, reasonLength);
  // RabbitMQ says 401 to both, "Login failed" to the one and "Not administrator user" to the other.
  if (status === 403 || (status === 401 && !/^(?:login failed|not_authori[sz]ed)?$/i.test(reason)))
    return new Failure(
      'ACCOUNTS_RIGHTS',
      `the broker's HTTP API at ${place} does not let user "${user}" keep accounts: it needs the tag administrator, and to configure m.…`,
    );
  if (status === 401)
    return new Failure(
      'ACCOUNTS_LOGIN',
      `the broker's HTTP API at ${place} refused user "${user}": wrong name or password`,
    );
  if (status >= 500 || status === 429)
    return new Failure('ACCOUNTS_UNREACHABLE', `the broker's HTTP API at ${place} is not ready: it answers ${status}`);
  return new Failure(
    'ACCOUNTS_REFUSED',
    `the broker's HTTP API at ${place} does not take ${what}: ${status}${reason === '' ? '' : ` ${reason}`}`,
  );
}
