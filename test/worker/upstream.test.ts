import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  Cancellation,
  Upstream,
  type UpstreamEnd,
  type UpstreamOptions,
  type UpstreamRequest,
} from '../../services/worker/upstream.ts';
import { startBackend } from '../support/backend.ts';

// An answer that never comes shows soon.
vi.setConfig({ testTimeout: 5_000 });

const empty = Buffer.alloc(0);
const good: UpstreamRequest = {
  method: 'GET',
  target: '/',
  fields: ['Host', 'shop.example'],
  body: empty,
  upgrade: '',
};
const never = new Cancellation();

const cleanup: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of cleanup.splice(0).reverse()) await end();
});

function upstreamAt(url: string, options: Partial<UpstreamOptions> = {}): Upstream {
  const upstream = new Upstream(url, { connections: 4, connectTimeoutMs: 2_000, ...options });
  cleanup.push(() => upstream.close());
  return upstream;
}

async function backend(handle?: Parameters<typeof startBackend>[1]) {
  const server = await startBackend('backend', handle);
  cleanup.push(() => server.close());
  return server;
}

/** A server that speaks bytes: calls back with the socket once a request's head has come. @returns its URL */
async function rawServer(answer: (socket: Socket, head: string) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    let head = '';
    socket.setEncoding('latin1').on('data', text => {
      head += text;
      for (let end = head.indexOf('\r\n\r\n'); end >= 0; end = head.indexOf('\r\n\r\n')) {
        const whole = head.slice(0, end + 4);
        head = head.slice(end + 4);
        answer(socket, whole);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise(resolve => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Outcome extends UpstreamEnd {
  /** Of informational responses, in order. */
  readonly informed: readonly number[];
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: Buffer;
}

/** What came until the end, all of it. */
async function call(upstream: Upstream, request: Partial<UpstreamRequest> = {}, signal = never): Promise<Outcome> {
  const informed: number[] = [];
  let head: { status: number; fields: string[] } = { status: 0, fields: [] };
  const chunks: Buffer[] = [];
  const listener = {
    informed: (status: number): void => void informed.push(status),
    head: (status: number, fields: string[]): void => {
      head = { status, fields };
    },
    data: (chunk: Buffer): boolean => chunks.push(chunk) > 0,
  };
  const end = await upstream.call({ ...good, ...request }, listener, signal);
  return { ...end, ...head, informed, body: Buffer.concat(chunks) };
}

function responseOf(outcome: Outcome): Outcome {
  if (outcome.kind !== 'complete') throw new Error(`no response, but ${outcome.kind}: ${outcome.reason}`);
  return outcome;
}

describe('the request', () => {
  test('arrives with its method, target, fields and bytes as they are', async () => {
    const server = await backend();
    const body = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const fields = ['Host', 'shop.example', 'x-B', '2', 'X-a', '1', 'X-b', 'café', 'x-B', '2', 'X-Empty', ''];
    await call(upstreamAt(server.url), {
      method: 'PUT',
      target: '/a%20b//../c?d=é&e'.replace('é', '%C3%A9'),
      fields,
      body,
    });
    expect(server.seen).toMatchObject([{ method: 'PUT', url: '/a%20b//../c?d=%C3%A9&e', body }]);
    const arrived = server.seen[0]?.rawHeaders.join('\n') ?? '';
    expect(arrived).toContain(fields.slice(2).join('\n'));
    expect(arrived.toLowerCase()).toContain('host\nshop.example');
  });

  test.each(['POST', 'PUT', 'PATCH'])(
    'by %s without a body says that its length is 0 (RFC 9110 §8.6)',
    async method => {
      const server = await backend();
      await call(upstreamAt(server.url), { method });
      const raw = server.seen[0]?.rawHeaders ?? [];
      expect(raw[raw.findIndex(name => name.toLowerCase() === 'content-length') + 1]).toBe('0');
    },
  );

  test('goes over a connection that was kept (RFC 9112 §9.3)', async () => {
    const ports = new Set<number | undefined>();
    const server = await backend((request, response) => {
      ports.add(request.socket.remotePort);
      response.end();
    });
    const upstream = upstreamAt(server.url, { connections: 1 });
    for (const method of ['GET', 'POST', 'DELETE', 'GET']) responseOf(await call(upstream, { method }));
    expect(ports.size).toBe(1);
  });

  test('waits its turn when all connections are busy, and is given up on without reaching the upstream', async () => {
    const started = Promise.withResolvers<() => void>();
    const server = await backend((_request, response) => started.resolve(() => response.end('first')));
    const upstream = upstreamAt(server.url, { connections: 1 });
    const first = call(upstream);
    const finish = await started.promise;
    const abort = new Cancellation();
    const second = call(upstream, { target: '/second' }, abort);
    abort.abort();
    expect((await second).kind).toBe('aborted');
    finish();
    expect(responseOf(await first).body.toString()).toBe('first');
    expect(server.seen.map(({ url }) => url)).toEqual(['/']);
  });
});

describe('the response', () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i));

  test('comes with its status, fields in order with case and duplicates, and bytes as they are', async () => {
    const url = await rawServer(socket => {
      socket.write(
        'HTTP/1.1 299 Odd\r\nX-b: 2\r\nSet-Cookie: a=1\r\nx-A: caf\xe9\r\nset-cookie: a=1\r\nX-Empty:\r\nContent-Length: 256\r\n\r\n',
        'latin1',
      );
      socket.write(bytes);
    });
    const { status, fields, body } = responseOf(await call(upstreamAt(url)));
    expect(status).toBe(299);
    expect(fields).toEqual([
      ...['X-b', '2', 'Set-Cookie', 'a=1', 'x-A', 'café', 'set-cookie', 'a=1', 'X-Empty', '', 'Content-Length', '256'],
    ]);
    expect(body).toEqual(bytes);
  });

  test('in chunks comes as one body (RFC 9112 §7.1)', async () => {
    const url = await rawServer(socket => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n');
    });
    expect(responseOf(await call(upstreamAt(url))).body.toString()).toBe('hello world');
  });

  test('that ends with its connection is whole (RFC 9112 §6.3)', async () => {
    const url = await rawServer(socket => socket.end('HTTP/1.0 200 OK\r\n\r\nhello'));
    expect(responseOf(await call(upstreamAt(url))).body.toString()).toBe('hello');
  });

  test('to HEAD has no body, and the length of the one that GET would have (RFC 9110 §9.3.2)', async () => {
    const server = await backend((_request, response) =>
      response.writeHead(200, { 'Content-Length': 1_000_000 }).end(),
    );
    const { fields, body } = responseOf(await call(upstreamAt(server.url), { method: 'HEAD' }));
    expect(body).toHaveLength(0);
    expect(fields).toContain('1000000');
  });

  test.each([204, 304])('%i has no body (RFC 9112 §6.3)', async status => {
    const url = await rawServer(socket =>
      socket.write(`HTTP/1.1 ${status} X\r\nETag: "v1"\r\nContent-Length: 7\r\n\r\n`),
    );
    const upstream = upstreamAt(url);
    for (let i = 0; i < 2; i++) {
      const response = responseOf(await call(upstream));
      expect(response).toMatchObject({ status, body: empty });
      expect(response.fields).toContain('"v1"');
    }
  });

  test('is the final one: 1xx before it are told apart (RFC 9110 §15.2)', async () => {
    const url = await rawServer(socket => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n');
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
    const { status, fields, body, informed } = responseOf(await call(upstreamAt(url)));
    expect(informed).toEqual([103, 102]);
    expect(status).toBe(200);
    expect(fields).toEqual(['Content-Length', '2']);
    expect(body.toString()).toBe('ok');
  });

  test('that redirects is passed on, not followed', async () => {
    const server = await backend((_request, response) => response.writeHead(302, { Location: '/there' }).end());
    expect(responseOf(await call(upstreamAt(server.url))).status).toBe(302);
    expect(server.seen).toHaveLength(1);
  });
});

describe('there is none', () => {
  test('because nobody listens: nothing was sent', async () => {
    const server = await startBackend('gone');
    await server.close();
    const outcome = await call(upstreamAt(server.url));
    expect(outcome).toMatchObject({ kind: 'unsent' });
    expect(outcome).toHaveProperty('reason', expect.stringContaining('ECONNREFUSED'));
  });

  test.each([
    ['at once', ''],
    ['in the middle of the head', 'HTTP/1.1 200 OK\r\nContent-'],
    ['in the middle of the body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'],
    ['in the middle of a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel'],
    ['before the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ])('because the connection broke %s: it may have been done (RFC 9112 §8)', async (_when, said) => {
    const url = await rawServer(socket => (said === '' ? socket.destroy() : socket.end(said)));
    expect(await call(upstreamAt(url))).toMatchObject({ kind: 'broken' });
  });

  test.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['a field that holds a control character', 'HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['more fields than 64 KiB', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}\r\nContent-Length: 0\r\n\r\n`],
  ])('because the upstream said %s', async (_what, said) => {
    const url = await rawServer(socket => socket.write(said));
    expect(await call(upstreamAt(url))).toMatchObject({ kind: 'broken' });
  });

  test('because we gave up before, and nothing was sent', async () => {
    const server = await backend();
    const given = new Cancellation();
    given.abort();
    expect(await call(upstreamAt(server.url), {}, given)).toMatchObject({ kind: 'aborted' });
    expect(server.seen).toEqual([]);
  });

  test.each([
    ['for its head', ''],
    ['for the rest of its body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'],
  ])('because we gave up while we waited %s: the upstream sees the connection go', async (_what, said) => {
    const arrived = Promise.withResolvers<Socket>();
    const url = await rawServer(socket => {
      socket.write(said);
      arrived.resolve(socket);
    });
    const abort = new Cancellation();
    const outcome = call(upstreamAt(url), {}, abort);
    const socket = await arrived.promise;
    const gone = new Promise(resolve => socket.on('close', resolve));
    abort.abort();
    expect(await outcome).toMatchObject({ kind: 'aborted' });
    await gone;
  });
});

test('after a failure of any kind the next request is served', async () => {
  let count = 0;
  const url = await rawServer(socket => {
    count++;
    if (count === 1) socket.destroy();
    else if (count === 2) socket.write('garbage\r\n\r\n');
    else if (count === 3) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\nx');
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const upstream = upstreamAt(url, { connections: 1 });
  for (const kind of ['broken', 'broken', 'broken', 'complete']) expect((await call(upstream)).kind).toBe(kind);
});

// undici refuses these before anything is sent. Its pool then takes the client that refused for busy, for good: as many such
// requests as there are connections, and the upstream is never called again.
test.each([
  ['two Host fields, as any client can send them', { fields: ['Host', 'a', 'Host', 'b'] }],
  ['a field that undici makes itself', { fields: ['Upgrade', 'websocket'] }],
  ['a field that would break the message apart', { fields: ['X', 'a\r\nY: b'] }],
  ['a field beyond latin-1', { fields: ['X', 'Ā'] }],
  ['a target that is no path', { method: 'OPTIONS', target: '*' }],
  ['a method that is no token', { method: 'G T' }],
] as const)(
  'a request with %s fails alone: no upstream is to blame, and those after it are served',
  async (_what, bad) => {
    const server = await backend();
    const upstream = upstreamAt(server.url, { connections: 1 });
    const outcome = await call(upstream, { ...bad, fields: 'fields' in bad ? [...bad.fields] : [] });
    const next = await Promise.race([call(upstream), wait(1_000, { kind: 'never served' })]);
    expect(next.kind).toBe('complete');
    expect(outcome.kind).not.toBe('unsent'); // that would leave the upstream out, one after the other
  },
);

describe('a body that streams', () => {
  test('is whole for the next upstream when one could not be reached', async () => {
    const server = await backend();
    const closed = await backend();
    await closed.close();
    const body = new PassThrough();
    const request = { method: 'POST', body, bodyLength: 5n };
    expect(await call(upstreamAt(closed.url), request)).toMatchObject({ kind: 'unsent' });
    body.end('whole');
    expect(await call(upstreamAt(server.url), request)).toMatchObject({ kind: 'complete' });
    expect(server.seen[0]?.body.toString()).toBe('whole');
  });
});

describe('a switch of protocols', () => {
  const upgrade = { upgrade: 'echo', body: new PassThrough() };
  const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

  test('can be broken off after another upstream could not be reached in time', async () => {
    const control = new Cancellation();
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const left = new Promise<void>(resolve =>
      silent.once('connection', socket =>
        socket
          .on('error', () => {})
          .resume()
          .once('close', resolve),
      ),
    );
    cleanup.push(async () => void (await new Promise(resolve => silent.close(resolve))));
    // It takes the connection, and never says a word of TLS.
    const slow = upstreamAt(`https://127.0.0.1:${(silent.address() as AddressInfo).port}`, { connectTimeoutMs: 50 });
    expect(await call(slow, upgrade, control)).toMatchObject({ kind: 'unsent' });
    const switched = Promise.withResolvers<void>();
    const url = await rawServer(socket => {
      socket.write(switching);
      switched.resolve();
    });
    const second = call(upstreamAt(url), upgrade, control);
    await Promise.all([left, switched.promise]);
    // The first connection's last events have gone by.
    await wait(20);
    control.abort();
    expect(await second).toMatchObject({ kind: 'aborted' });
  });

  test('is broken when what the client says breaks', async () => {
    const body = new PassThrough();
    const url = await rawServer(socket => {
      socket.write(switching);
      body.destroy(new Error('a part of the request body was lost'));
    });
    expect(await call(upstreamAt(url), { ...upgrade, body })).toMatchObject({
      kind: 'broken',
      reason: 'a part of the request body was lost',
    });
  });

  test('hears the client’s end, and goes on to the upstream’s', async () => {
    const body = new PassThrough();
    const url = await rawServer(socket => {
      socket.write(switching);
      socket.on('end', () => socket.end('goodbye'));
      body.end('hello');
    });
    const outcome = await call(upstreamAt(url), { ...upgrade, body });
    expect(outcome).toMatchObject({ kind: 'complete', status: 101 });
    expect(outcome.body.toString()).toBe('goodbye');
  });
});
