import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { guardOf, guardServer } from '../../../services/proxy/wire/guard.ts';

/** A guarded server of Node's, with no proxy in it. */

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  }
});

async function guarded(server: Server): Promise<number> {
  servers.push(server);
  guardServer(server, 'connection', {
    headerLimit: 8_192,
    headerTimeoutMs: 10_000,
    quick: () => false,
    refuse: (socket, { status }) =>
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('an upgrade', () => {
  const asked = 'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n';

  function echoing(): Server {
    const server = createServer((_request, response) => response.end('no upgrade'));
    server.on('upgrade', (_request, socket: Socket, head: Buffer) => {
      guardOf(socket)?.release();
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.write(head);
      socket.pipe(socket);
    });
    return server;
  }

  test.each([
    ['in a packet of their own', [asked, 'GET \x00\r\n']],
    ['right behind the head', [`${asked}GET \x00\r\n`]],
  ])('hands all octets behind its head on as they are: %s', async (_what, texts) => {
    const socket = connect({ port: await guarded(echoing()), host: '127.0.0.1', noDelay: true });
    let received = '';
    for (const text of texts) {
      socket.write(text);
      if (!received.includes('\r\n\r\n')) received += String(await once(socket, 'data'));
    }
    while (!received.endsWith('GET \x00\r\n')) received += String(await once(socket, 'data'));
    expect(received).toMatch(/^HTTP\/1\.1 101 /);
    socket.destroy();
  });

  test('that nobody takes is a request like any other', async () => {
    const socket = connect({
      port: await guarded(createServer((_, response) => response.end('plain'))),
      host: '127.0.0.1',
    });
    socket.write(asked);
    expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 200 OK/);
    socket.destroy();
  });
});

test('nothing of a spoilt request reaches the server, and what came before it does', async () => {
  const seen: (string | undefined)[] = [];
  const port = await guarded(
    createServer((request, response) => {
      seen.push(request.url);
      response.end();
    }),
  );
  const socket = connect({ port, host: '127.0.0.1' });
  socket.write(
    'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET  /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n',
  );
  let received = '';
  socket.on('data', octets => {
    received += octets;
  });
  await once(socket, 'end');
  expect(seen).toEqual(['/1']);
  expect(received.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
  socket.destroy();
});
