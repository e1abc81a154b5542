import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Certificate } from './certificate.ts';
import { answerQuickly } from './quick-answer.ts';
import { refuseSocket } from './refusal.ts';
import {
  type EdgeParts,
  retryAfter,
  safeMethods,
  served,
  Transaction,
  type TransactionOptions,
} from './transaction.ts';
import type { Tunnel } from './tunnel.ts';
import { guardOf, guardServer } from './wire/guard.ts';

export interface EdgeOptions extends TransactionOptions {
  readonly headerLimit: number;
  readonly maxConnections: number;
  readonly idleTimeoutMs: number;
  readonly headerTimeoutMs: number;
  /** Clients use TLS. */
  readonly certificate?: Certificate | undefined;
}

/** The edge, and the connections on which protocols were switched, which are no longer its server's. */
export interface Edge {
  readonly server: Server | TlsServer;
  readonly tunnels: ReadonlySet<Tunnel>;
  /** Those, and the ones on which that is not decided yet. */
  readonly taken: ReadonlySet<Socket>;
}

/** The HTTP/1.1 server, over TLS with a certificate: turns requests into jobs or answers them from the cache. */
export function createEdge(parts: EdgeParts, options: EdgeOptions): Edge {
  const tunnels = new Set<Tunnel>();
  const taken = new Set<Socket>();
  /** Connections on which a switch was refused: they ask once. */
  const refused = new WeakSet<Socket>();
  const begin = (request: IncomingMessage, response: ServerResponse, act: (transaction: Transaction) => void): void => {
    const transaction = new Transaction(request, response, parts, options, tunnels);
    const guard = guardOf(request.socket);
    const isSafe = safeMethods.has(request.method ?? '');
    const before = guard?.began(response, isSafe, fault => transaction.breakOff(fault));
    if (guard?.isLast) response.shouldKeepAlive = false;
    if (!before) return act(transaction);
    before.once('close', () => {
      // Meanwhile its client may have gone, or its body broken off.
      if (!request.socket.destroyed && !response.headersSent) act(transaction);
    });
  };
  const serverOptions = {
    // The guard counts; Node counts otherwise.
    maxHeaderSize: 2 * options.headerLimit,
    headersTimeout: options.headerTimeoutMs,
    requestTimeout: 0, // Bodies are timed by progress, not as a whole.
    keepAliveTimeout: options.idleTimeoutMs,
    connectionsCheckingInterval: 500,
    requireHostHeader: false, // Checked by us, and said in words.
    optimizeEmptyRequests: true,
    noDelay: true,
    // A client that went without a word is noticed, also behind a stream that says nothing for hours.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    shouldUpgradeCallback: (request: IncomingMessage) => !refused.has(request.socket) && canSwitch(request),
    allowHalfOpen: true, // node:http's own default, and not node:https's.
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
    begin(request, response, transaction => transaction.begin());
  const { certificate } = options;
  const server = certificate
    ? createTlsServer({ ...serverOptions, ...certificate, handshakeTimeout: options.headerTimeoutMs }, onRequest)
    : createServer(serverOptions, onRequest);
  const accepted = certificate ? 'secureConnection' : 'connection';
  // Fields above Node's limit of their number would be left out.
  server.maxHeadersCount = 0;
  const quick = {
    ...parts,
    scheme: certificate ? ('https' as const) : ('http' as const),
    keepAliveSeconds: Math.floor(options.idleTimeoutMs / 1000),
  };
  guardServer(server, accepted, {
    headerLimit: options.headerLimit,
    headerTimeoutMs: options.headerTimeoutMs,
    quick: (octets, socket) => answerQuickly(octets, socket, quick),
    refuse: (socket, fault, isHead) =>
      refuseSocket(socket, { ...fault, fields: fault.status === 405 ? ['Allow', served] : [] }, isHead),
  });
  let connections = 0;
  server.on(accepted, (socket: Socket) => {
    connections++;
    // Of the hundred requests that the guard reads ahead, each response may listen.
    socket.setMaxListeners(128);
    socket.once('close', () => connections--);
    if (connections <= options.maxConnections) return;
    guardOf(socket)?.leave();
    refuseSocket(socket, { status: 503, reason: 'too many connections', fields: retryAfter(1) });
  });
  // Whether there is room for the body is decided before it is asked for (RFC 9110 §10.1.1).
  server.on('checkContinue', (request, response) =>
    begin(request, response, transaction => transaction.begin(() => response.writeContinue())),
  );
  server.on('checkExpectation', (request, response) =>
    begin(request, response, transaction => transaction.refuse(417, 'only 100-continue can be expected')),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // The socket is nobody's now. Until it is a tunnel it is answered as any other request's.
    const response = new ServerResponse(request);
    const onError = (): void => void socket.destroy();
    const giveBack = (): void => void taken.delete(socket);
    socket.on('error', onError);
    taken.add(socket);
    socket.once('close', giveBack);
    response.assignSocket(socket);
    response.once('finish', () => {
      // Not switched: HTTP goes on, with what was sent behind the request.
      response.detachSocket(socket);
      if (!response.shouldKeepAlive) return socket.destroySoon();
      socket.off('error', onError).off('close', giveBack);
      giveBack();
      refused.add(socket);
      server.emit(accepted, socket);
    });
    begin(request, response, transaction => transaction.beginSwitch(head));
    guardOf(socket)?.release();
  });
  return { server, tunnels, taken };
}

/** Whether a request to switch protocols is the upstream's to decide (RFC 9110 §7.8); others are served as if they had not asked. */
function canSwitch({ method = '', headers, httpVersion, socket }: IncomingMessage): boolean {
  // What was asked before it must be answered first, and in HTTP.
  if (guardOf(socket)?.isAnswered === false) return false;
  const protocol = headers.upgrade?.trim().toLowerCase() ?? '';
  const hasNoBody = headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';
  const isHttp = /^(?:h2c|h2|http|tls)\b/.test(protocol);
  return httpVersion === '1.1' && hasNoBody && method !== 'TRACE' && method !== 'CONNECT' && protocol !== '' && !isHttp;
}
