import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

export interface Backend extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Every request that arrived whole, in order. */
  readonly seen: Seen[];
  close(): Promise<void>;
}

/** A real HTTP server on a free port that notes what reaches it. Without a handler it answers 200 with its name. */
export async function startBackend(
  name: string,
  handle?: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void,
): Promise<Backend> {
  const seen: Seen[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      seen.push({ method: request.method ?? '', url: request.url ?? '', rawHeaders: request.rawHeaders, body });
      if (handle) handle(request, response, body);
      else response.setHeader('cache-control', 'no-store').end(name);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    if (server.listening) await new Promise(resolve => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${port}`, port, seen, close, [Symbol.asyncDispose]: close };
}

export interface StreamBackend extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/** A real HTTP server whose handler gets each request at its head and does with both bodies as it likes. */
export async function startStreamBackend(
  handle: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<StreamBackend> {
  const server = createServer((request, response) => {
    response.on('error', () => {});
    void handle(request, response);
  });
  return listening(server, () => server.closeAllConnections());
}

/** A server that speaks bytes: its handler gets the socket when the head of a request has come. */
export async function startRawBackend(handle: (socket: Socket, head: string) => unknown): Promise<StreamBackend> {
  const sockets = new Set<Socket>();
  const server = createTcpServer(socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    let head = '';
    const onData = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      void handle(socket, head);
    };
    socket.on('data', onData);
  });
  return listening(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}

async function listening(server: TcpServer, cut: () => void): Promise<StreamBackend> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    [Symbol.asyncDispose]: async () => {
      cut();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
