import { timingSafeEqual } from 'node:crypto';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { resolve } from 'node:path';
import {
  Server as GrpcServer,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from '@grpc/grpc-js';
import { Failure, messageOf } from '../lib/failure.ts';
import { listen } from '../lib/listen.ts';
import { randomHex } from '../lib/random.ts';
import { replaceFile } from '../lib/replace-file.ts';
import type { Served } from '../lib/rpc/definition.ts';
import { addService } from '../lib/rpc/grpc-server.ts';
import { endpointFile, type LocalEndpoint, tokenKey } from '../lib/rpc/local-daemon.ts';
import { ownerCallBounds } from './call-bounds.ts';
import { memberDir } from './home.ts';
import { addReflection } from './reflection.ts';

export interface OwnerEndpoint {
  /** For people. */
  readonly place: string;
  /** Lets calls end within `graceMs`, cuts the rest. */
  close(graceMs: number): Promise<void>;
}

/** Bytes in a Unix socket's path, its NUL included, on the strictest of the systems (macOS; Linux has 108). */
const longestPath = 104;
const connectionsAtOnce = 64;

/**
 * Where the daemon serves its owner: a Unix socket in the member's folder, which is the owner's alone (0700); where that cannot
 * be (a path too long, a system without), loopback with a token in a file that is the owner's alone. To be called by the daemon that
 * holds the folder: a socket that lies there is a dead one's.
 * @throws Failure LISTEN
 */
export async function startOwnerEndpoint(
  dataDir: string,
  services: readonly Served[],
  warn: (line: string) => void,
): Promise<OwnerEndpoint> {
  const token = randomHex(64);
  const server = createServer();
  server.maxConnections = connectionsAtOnce;
  const endpoint = await openEndpoint(server, resolve(memberDir(dataDir), 'daemon.sock'), token, warn);
  const grpc = new GrpcServer({ ...ownerCallBounds, interceptors: 'token' in endpoint ? [onlyWith(token)] : [] });
  for (const service of services) addService(grpc, service, { warn });
  addReflection(
    grpc,
    services.map(({ definition }) => definition.fullName),
  );
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<Socket>();
  server.on('connection', socket => {
    sockets.add(socket.on('error', () => {}));
    socket.once('close', () => sockets.delete(socket));
    injector.injectConnection(socket);
  });
  // Only now, when it answers, is it to be found.
  const file = endpointFile(dataDir);
  await replaceFile(file, `${JSON.stringify(endpoint)}\n`);
  return {
    place: 'socket' in endpoint ? endpoint.socket : `127.0.0.1:${endpoint.port}, with the token in ${file}`,
    async close(graceMs) {
      await rm(file, { force: true });
      const closed = new Promise(resolve => server.close(resolve));
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      grpc.tryShutdown(() => {});
      await closed.finally(() => clearTimeout(cut));
      grpc.forceShutdown();
    },
  };
}

async function openEndpoint(
  server: Server,
  path: string,
  token: string,
  warn: (line: string) => void,
): Promise<LocalEndpoint> {
  if (process.platform !== 'win32' && Buffer.byteLength(path) < longestPath) {
    try {
      await rm(path, { force: true });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, () => {
          server.off('error', reject);
          resolve();
        });
      });
      await chmod(path, 0o600);
      return { socket: path };
    } catch (error) {
      warn(`cannot listen on the Unix socket ${path}: ${messageOf(error)}; taking loopback with a token`);
      if (server.listening) throw new Failure('LISTEN', `cannot keep ${path} to its owner`, { cause: error });
    }
  }
  return { port: await listen(server, { host: '127.0.0.1', port: 0 }), token };
}

/** Nobody without the token gets as far as a call. */
function onlyWith(token: string): ServerInterceptor {
  const wanted = Buffer.from(token);
  return (_method, call) =>
    new ServerInterceptingCall(call, {
      start(next) {
        const listener = new ServerListenerBuilder()
          .withOnReceiveMetadata((metadata, pass) => {
            const given = Buffer.from(String(metadata.get(tokenKey)[0] ?? ''));
            if (given.length === wanted.length && timingSafeEqual(given, wanted)) pass(metadata);
            else call.sendStatus({ code: status.UNAUTHENTICATED, details: 'not the owner: no token, or a wrong one' });
          })
          .build();
        next(listener);
      },
    });
}
