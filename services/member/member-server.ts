import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { Failure } from '../lib/failure.ts';
import { certificateFacts } from '../lib/identity/certificate.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { listen } from '../lib/listen.ts';
import type { Served } from '../lib/rpc/definition.ts';
import { addService } from '../lib/rpc/grpc-server.ts';
import type { MemberCredentials } from '../lib/rpc/member-tls.ts';
import { admit, type RevocationList } from './admission.ts';
import { callBounds } from './call-bounds.ts';
import { addReflection } from './reflection.ts';

export interface MemberServerOptions {
  readonly credentials: MemberCredentials;
  /** Empty: all interfaces. */
  readonly host: string;
  /** In turn, until one is free. */
  readonly ports: readonly number[];
  readonly services: readonly Served[];
  readonly revocations: RevocationList;
  readonly warn: (line: string) => void;
}

export interface MemberServer {
  readonly port: number;
  /** Members that are connected now. */
  connected(): number;
  /** From the next handshake on; connections that there are stay. */
  setCredentials(credentials: MemberCredentials): void;
  /** Takes nothing new, lets calls end within `graceMs`, cuts the rest. */
  close(graceMs: number): Promise<void>;
}

const handshakeMs = 5_000;
/** Connections that have not shown who they are; beyond it the oldest goes, so that those who stall keep nobody out. */
const strangersAtOnce = 256;
const connectionsOfOne = 32;
const connectionsAtOnce = 1_024;
/** Of what is sent to a member; a frame at the lowest rate that anybody would set takes less. */
const stalledMs = 120_000;

/**
 * The gRPC server for members. TLS ends here and not in grpc-js, which has no bounds on handshakes and connections and cannot
 * change its certificate: whoever comes through has shown a certificate of the authority that is not revoked.
 * @throws Failure PORT_TAKEN, PORT_DENIED, LISTEN
 */
export async function startMemberServer(options: MemberServerOptions): Promise<MemberServer> {
  const { services, revocations, warn } = options;
  const grpc = new GrpcServer(callBounds);
  const serving = { admit: (memberId: MemberId | undefined) => admit(revocations, memberId), warn, stalledMs };
  for (const service of services) addService(grpc, service, serving);
  addReflection(
    grpc,
    services.map(({ definition }) => definition.fullName),
  );
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());

  const members = new Map<MemberId, Set<TLSSocket>>();
  let connections = 0;
  const strangers = new Map<string, Socket>();
  const server = createServer({
    ...contextOf(options.credentials),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
    handshakeTimeout: handshakeMs,
  });

  server.on('connection', socket => {
    const key = placeOf(socket);
    if (strangers.size >= strangersAtOnce) {
      const [oldest] = strangers.values();
      oldest?.destroy();
    }
    strangers.set(key, socket);
    socket.once('close', () => {
      if (strangers.get(key) === socket) strangers.delete(key);
    });
    socket.setNoDelay(true);
  });
  // Somebody's broken handshake is nobody's concern here. One that takes too long is only told of, and goes on otherwise.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('secureConnection', socket => {
    strangers.delete(placeOf(socket));
    socket.on('error', () => {});
    const memberId = admitted(socket, revocations);
    const own = memberId && (members.get(memberId) ?? new Set());
    if (
      memberId === undefined ||
      own === undefined ||
      own.size >= connectionsOfOne ||
      connections >= connectionsAtOnce
    ) {
      socket.destroy();
      return;
    }
    members.set(memberId, own.add(socket));
    connections++;
    socket.once('close', () => {
      connections--;
      own.delete(socket);
      if (own.size === 0 && members.get(memberId) === own) members.delete(memberId);
    });
    injector.injectConnection(socket);
  });

  const port = await listenOnOne(server, options);
  const offRevoked = revocations.onRevoked(memberId => {
    for (const socket of members.get(memberId) ?? []) socket.destroy();
  });
  return {
    port,
    connected: () => members.size,
    setCredentials: credentials => server.setSecureContext(contextOf(credentials)),
    async close(graceMs) {
      offRevoked();
      const closed = new Promise(resolve => server.close(resolve));
      for (const socket of strangers.values()) socket.destroy();
      const cut = setTimeout(() => {
        for (const sockets of members.values()) for (const socket of sockets) socket.destroy();
      }, graceMs);
      // Says goodbye on each connection, which ends when its calls have.
      grpc.tryShutdown(() => {});
      await closed.finally(() => clearTimeout(cut));
      grpc.forceShutdown();
    },
  };
}

function contextOf({ authorityCertificate, certificate, key }: MemberCredentials): SecureContextOptions {
  const context = { ca: authorityCertificate, cert: certificate, key, minVersion: 'TLSv1.3' as const };
  // Says what is wrong with them here, and not at the first handshake.
  createSecureContext(context);
  return context;
}

/** Whose connection it is; undefined for whom it is not to be. */
function admitted(socket: TLSSocket, revocations: RevocationList): MemberId | undefined {
  if (!socket.authorized || socket.alpnProtocol !== 'h2') return undefined;
  try {
    const { id, serial } = certificateFacts(socket.getPeerCertificate().raw);
    return revocations.isRevokedMember(id) || revocations.isRevoked(serial) ? undefined : id;
  } catch {
    return undefined;
  }
}

/** The remote end, as both the connection and the TLS above it know it: unique while it is open. */
function placeOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

async function listenOnOne(server: Server, { host, ports }: MemberServerOptions): Promise<number> {
  let taken: unknown = new Failure('LISTEN', 'no port to listen on');
  for (const port of ports) {
    try {
      return await listen(server, { host, port });
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'PORT_TAKEN') throw error;
      taken = error;
    }
  }
  throw taken;
}
