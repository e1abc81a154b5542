import type { Request, RequestHandler, Response } from 'express';
import type { Accounts, StoredAccount } from './accounts.ts';
import { HttpProblem } from './http-problem.ts';

/** The tags that RabbitMQ has too: one may look at everything, the other may change it. */
type Role = 'monitoring' | 'administrator';

/**
 * Basic authentication (RFC 7617) with one of the broker's accounts. What is wrong about a name or password is not told,
 * not by the time it takes either.
 * @returns a handler that lets pass who has at least this role
 */
export function allow(accounts: Accounts, role: Role): RequestHandler {
  return async (request, response, next) => {
    const given = credentialsOf(request);
    const account = given && (await accounts.verify(given.user, given.password));
    if (!account) {
      response.set('WWW-Authenticate', 'Basic realm="Warren broker", charset="UTF-8"');
      throw new HttpProblem(401, 'not_authorized', 'Login failed');
    }
    if (!account.tags.includes('administrator') && !account.tags.includes(role))
      throw new HttpProblem(403, 'not_authorized', `needs an account with the tag ${role}`);
    response.locals.account = account;
    next();
  };
}

/** Who asks, after `allow`. */
export function accountOf(response: Response): StoredAccount {
  return response.locals.account as StoredAccount;
}

function credentialsOf(request: Request): { user: string; password: string } | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(request.get('authorization') ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
