import { createServer, type Socket } from 'node:net';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { PServerDefinition } from '../../proto/gen/pserver.ts';
import { listen } from '../lib/listen.ts';
import { type Handlers, served } from '../lib/rpc/definition.ts';
import { addService } from '../lib/rpc/grpc-server.ts';

const connectionsAtOnce = 64;
/** Whoever says nothing for so long makes room for others. */
const idleMs = 10 * 60_000;

/**
 * Serves the origin's own clients, which know neither certificates nor tokens: on loopback only, and only where the owner wants it, since
 * whoever has an account on this machine can use it.
 * @throws Failure PORT_TAKEN, PORT_DENIED, LISTEN
 */
export async function startOriginServer(
  port: number,
  handlers: Handlers<typeof PServerDefinition>,
  warn: (line: string) => void,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const grpc = new GrpcServer({ 'grpc.max_concurrent_streams': 32, 'grpc.max_receive_message_length': 64 * 1024 });
  addService(grpc, served(PServerDefinition, handlers), { warn });
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const server = createServer();
  server.maxConnections = connectionsAtOnce;
  const sockets = new Set<Socket>();
  server.on('connection', socket => {
    sockets.add(socket.on('error', () => {}));
    socket.once('close', () => sockets.delete(socket));
    socket.setTimeout(idleMs, () => socket.destroy());
    injector.injectConnection(socket);
  });
  const bound = await listen(server, { host: '127.0.0.1', port });
  return {
    port: bound,
    async close() {
      const closed = new Promise(resolve => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      grpc.forceShutdown();
    },
  };
}
