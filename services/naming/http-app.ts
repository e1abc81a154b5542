import { timingSafeEqual } from 'node:crypto';
import type { Express } from 'express';
import { createRestApp } from '../lib/rest/app.ts';
import type { RestApi } from '../lib/rest/openapi.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller } from '../lib/rpc/definition.ts';
import { type MethodName, methods } from './methods.ts';
import type { Naming, NamingHandlers } from './naming.ts';

/** Naming's REST face. */
export function namingApi(version: string): RestApi<MethodName> {
  return { service: 'naming', version, methods };
}

/**
 * Naming over REST. Everybody who reaches it may read. Who has the token (it is in a file that only naming's own user can read) may
 * write, for any member: with neither broker nor certificate there is nothing else to tell who asks.
 */
export function createHttpApp(
  { members, operator }: Pick<Naming, 'members' | 'operator'>,
  { version, token, warn }: { version: string; token: string; warn: (line: string) => void },
): Express {
  const isOperator = (given: string): boolean => {
    const [theirs, ours] = [Buffer.from(given), Buffer.from(token)];
    return theirs.length === ours.length && timingSafeEqual(theirs, ours);
  };
  const of = (handlers: NamingHandlers, name: MethodName) =>
    handlers[name] as (request: object, caller: Caller) => Promise<object> | AsyncIterable<object>;
  return createRestApp(
    namingApi(version),
    (name, request, given, caller) => {
      if (!methods[name].needsToken) return of(members, name)(request, caller);
      if (!isOperator(given))
        throw new CallFailure(
          'UNAUTHENTICATED',
          'NAMING_TOKEN',
          "over REST only the holder of naming's token writes: give it as Authorization: Bearer",
        );
      return of(operator, name)(request, caller);
    },
    warn,
  );
}
