import type { LoginRequest } from '../../proto/gen/warren/directory/v1/directory.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { CallOptions } from '../lib/rpc/definition.ts';
import type { DirectoryClient } from './client.ts';
import { methodNames, methods } from './methods.ts';

/**
 * The directory for whoever has an account and is not known by its broker account: logs in when a call needs a token and has
 * none, and again when the token is not good any more. Logging out is the caller's.
 * @param login of a member, signed (`signedLogin`)
 */
export function withSession(client: DirectoryClient, login: LoginRequest): DirectoryClient {
  let session: Promise<string> | undefined;
  const begin = (options: CallOptions | undefined): Promise<string> => {
    session ??= client.login(login, options).then(({ token }) => token);
    // What failed is tried again by the next.
    session.catch(() => {
      session = undefined;
    });
    return session;
  };
  const calls = methodNames.map(name => {
    const call = client[name] as (request: object, options?: CallOptions) => Promise<unknown>;
    const withToken = async (request: { token?: string }, options?: CallOptions): Promise<unknown> => {
      if (request.token !== undefined && request.token !== '') return call(request, options);
      const begun = begin(options);
      try {
        return await call({ ...request, token: await begun }, options);
      } catch (error) {
        if (!(error instanceof CallFailure) || error.code !== 'DIRECTORY_TOKEN') throw error;
        // Another call may have found out before.
        if (session === begun) session = undefined;
        return call({ ...request, token: await begin(options) }, options);
      }
    };
    return [name, methods[name].needsToken ? withToken : call];
  });
  return Object.fromEntries(calls) as DirectoryClient;
}
