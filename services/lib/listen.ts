import type { Server } from 'node:net';
import { Failure } from './failure.ts';

/**
 * Binds a server. @param port 0 for any free one @returns the port that it got
 * @throws Failure PORT_TAKEN, PORT_DENIED, LISTEN
 */
export function listen(
  server: Server,
  { host, port, backlog }: { host: string; port: number; backlog?: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(listenFailure(error, { host, port }));
    server.once('error', onError);
    server.listen({ port, ...(host === '' ? {} : { host }), ...(backlog === undefined ? {} : { backlog }) }, () => {
      server.off('error', onError);
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

/** Why a port could not be had, in one line. */
export function listenFailure(
  error: NodeJS.ErrnoException,
  { host, port }: { readonly host: string; readonly port: number },
): Failure {
  const where = `${host === '' ? '' : `${host}:`}${port}`;
  const cause = { cause: error };
  if (error.code === 'EADDRINUSE')
    return new Failure(
      'PORT_TAKEN',
      `port ${where} is taken by another process: choose another, or stop that one`,
      cause,
    );
  if (error.code === 'EACCES')
    return new Failure('PORT_DENIED', `not allowed to listen on port ${where}: take one above 1023`, cause);
  return new Failure('LISTEN', `cannot listen on ${where}: ${error.message}`, cause);
}
