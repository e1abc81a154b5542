import type { Express } from 'express';
import type { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import { createRestApp } from '../lib/rest/app.ts';
import type { RestApi } from '../lib/rest/openapi.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, Handlers } from '../lib/rpc/definition.ts';
import { type MethodName, methods } from './methods.ts';

/** The directory's REST face. */
export function directoryApi(version: string): RestApi<MethodName> {
  return { service: 'directory', version, methods };
}

/**
 * The directory over REST: `methods.ts` says what there is.
 * @param isSession whether a token is anybody's: who has none is not listened to at length
 */
export function createHttpApp(
  handlers: Handlers<typeof DirectoryServiceDefinition>,
  version: string,
  warn: (line: string) => void,
  isSession: (token: string) => boolean,
): Express {
  return createRestApp(
    directoryApi(version),
    (name, request, token, caller) => {
      const handle = handlers[name] as (request: object, caller: Caller) => Promise<object>;
      return handle(methods[name].needsToken ? { ...request, token } : request, caller);
    },
    warn,
    token =>
      isSession(token)
        ? undefined
        : new CallFailure('UNAUTHENTICATED', 'DIRECTORY_TOKEN', 'log in first, and give the token'),
  );
}
