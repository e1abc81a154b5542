import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { type ClientOptions, credentials, InterceptingCall } from '@grpc/grpc-js';
import { z } from 'zod';
import { Failure, messageOf } from '../failure.ts';
import { type GrpcConnection, openGrpc } from './grpc-client.ts';

/**
 * Where a daemon serves its owner, as it says in `<data>/member/daemon.json` (0600) while it runs. Where Unix sockets cannot be, it
 * is loopback, and whoever knows the token is the owner.
 */
const endpointShape = z.union([
  z.strictObject({ socket: z.string() }),
  z.strictObject({ port: z.int(), token: z.string() }),
]);

export type LocalEndpoint = z.infer<typeof endpointShape>;

export function endpointFile(dataDir: string): string {
  return join(dataDir, 'member', 'daemon.json');
}

export const tokenKey = 'warren-owner-token';

const ownOnly: ClientOptions = {
  // No proxy of the environment is asked, and no settings of a service from DNS.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // A daemon that starts again is found at once, whatever another connection of this process thinks of its socket.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

/**
 * The owner's way to the daemon of a data directory; connects at the first call.
 * @throws Failure DAEMON_NOT_RUNNING, DAEMON_ENDPOINT
 */
export async function connectToDaemon(dataDir: string): Promise<GrpcConnection> {
  const endpoint = await readEndpoint(resolve(dataDir));
  // One that was killed leaves its file.
  if (!(await isTaken(endpoint))) throw notRunning(resolve(dataDir));
  if ('socket' in endpoint) return openGrpc(`unix:${endpoint.socket}`, credentials.createInsecure(), ownOnly);
  const withToken: ClientOptions = {
    ...ownOnly,
    interceptors: [
      (options, next) =>
        new InterceptingCall(next(options), {
          start(metadata, listener, start) {
            metadata.set(tokenKey, endpoint.token);
            start(metadata, listener);
          },
        }),
    ],
  };
  return openGrpc(`127.0.0.1:${endpoint.port}`, credentials.createInsecure(), withToken);
}

function notRunning(dataDir: string): Failure {
  return new Failure('DAEMON_NOT_RUNNING', `no member runs for ${dataDir}: warren member --data ${dataDir}`);
}

/** Whether anybody listens there. */
function isTaken(endpoint: LocalEndpoint): Promise<boolean> {
  return new Promise(resolve => {
    const socket =
      'socket' in endpoint ? connect(endpoint.socket) : connect({ host: '127.0.0.1', port: endpoint.port });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function readEndpoint(dataDir: string): Promise<LocalEndpoint> {
  const file = endpointFile(dataDir);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw notRunning(dataDir);
    throw new Failure('DAEMON_ENDPOINT', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  try {
    return endpointShape.parse(JSON.parse(text));
  } catch (cause) {
    throw new Failure('DAEMON_ENDPOINT', `${file} is damaged: start the daemon again`, { cause });
  }
}
