import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { startRawBackend } from '../support/backend.ts';
import { brokerUrl, ownBroker, uniqueName } from '../support/broker.ts';
import {
  type ProxyUnderTest,
  proxyConfig,
  proxyUnderTest,
  type WorkerUnderTest,
  workerUnderTest,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { spawnWorker } from '../support/warren-process.ts';

interface Upstream {
  readonly url: string;
  readonly server: WebSocketServer;
  /** Requests that asked for a WebSocket. */
  readonly asked: IncomingMessage[];
}

/** A WebSocket server that says back what it hears. */
async function upstream(onSocket: (socket: WebSocket, request: IncomingMessage) => void = echo): Promise<Upstream> {
  const http = createServer((_request, response) => response.writeHead(426, { upgrade: 'websocket' }).end('speak up'));
  const server = new WebSocketServer({
    server: http,
    maxPayload: 64 * 1024 * 1024,
    handleProtocols: offered => [...offered][0] ?? false,
  });
  const asked: IncomingMessage[] = [];
  server.on('connection', (socket, request) => {
    asked.push(request);
    socket.on('error', () => {});
    onSocket(socket, request);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(async () => {
    for (const socket of server.clients) socket.terminate();
    http.closeAllConnections();
    await new Promise(resolve => http.close(resolve));
  });
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, server, asked };
}

function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
}

async function system(
  target: string,
  url = brokerUrl(),
  overrides: Parameters<typeof proxyConfig>[1] = {},
): Promise<{ edge: ProxyUnderTest; worker: WorkerUnderTest }> {
  const service = uniqueName('web');
  const edge = await proxyUnderTest(url, proxyConfig(service, overrides));
  onTestFinished(() => edge[Symbol.asyncDispose]());
  const worker = await workerUnderTest(url, service, [target]);
  onTestFinished(() => worker[Symbol.asyncDispose]());
  await edge.workers(1);
  return { edge, worker };
}

function dial(url: string, options: ClientOptions = {}, protocols: string[] = []): WebSocket {
  const socket = new WebSocket(url.replace('http', 'ws'), protocols, { perMessageDeflate: false, ...options });
  socket.on('error', () => {});
  onTestFinished(() => socket.terminate());
  return socket;
}

async function opened(socket: WebSocket): Promise<WebSocket> {
  await once(socket, 'open');
  return socket;
}

async function closed(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return { code, reason: reason.toString() };
}

async function heard(socket: WebSocket): Promise<Buffer | string> {
  const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
  return isBinary ? data : data.toString();
}

test('text, binary, fragments, pings and pongs go both ways as they are', async () => {
  const pings: string[] = [];
  const { url, asked } = await upstream(socket => {
    echo(socket);
    socket.on('ping', data => pings.push(data.toString()));
  });
  const { edge } = await system(url);
  const socket = await opened(
    dial(`${edge.url}/chat?room=1`, { headers: { 'X-Mine': 'yes' } }, ['chat.v2', 'chat.v1']),
  );
  expect(socket.protocol).toBe('chat.v2');
  expect(asked[0]).toMatchObject({
    url: '/chat?room=1',
    headers: { 'x-mine': 'yes', via: '1.1 warren', connection: 'Upgrade' },
  });

  socket.send('grüße');
  expect(await heard(socket)).toBe('grüße');
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  socket.send(bytes);
  expect(await heard(socket)).toEqual(bytes);
  for (const [part, fin] of [
    ['one ', false],
    ['two ', false],
    ['three', true],
  ] as const)
    socket.send(part, { fin });
  expect(await heard(socket)).toBe('one two three');
  const pong = once(socket, 'pong');
  socket.ping('are you there');
  expect(String((await pong)[0])).toBe('are you there');
  expect(pings).toEqual(['are you there']);
  socket.close();
});

test('compression is between the two ends', async () => {
  const { url } = await upstream();
  const { edge } = await system(url);
  const socket = await opened(dial(edge.url, { perMessageDeflate: true }));
  const text = 'again and '.repeat(10_000);
  socket.send(text);
  expect(await heard(socket)).toBe(text);
});

test('messages of 10 MiB go both ways, several at once', async () => {
  const { url } = await upstream();
  const { edge } = await system(url);
  const socket = await opened(dial(edge.url, { maxPayload: 64 * 1024 * 1024 }));
  const message = Buffer.alloc(10 * 1024 * 1024, 'x');
  const got: Buffer[] = [];
  socket.on('message', data => got.push(data as Buffer));
  for (let i = 0; i < 3; i++) {
    message[i] = i;
    socket.send(Buffer.from(message));
  }
  await until(
    () => got.length,
    count => count === 3,
    60_000,
  );
  expect(got[2]?.equals(message)).toBe(true);
}, 90_000);

test.each([
  ['the client', 4001, 'client is tired'],
  ['the upstream', 4002, 'upstream is tired'],
])('when %s closes, the other end hears its code and reason', async (who, code, reason) => {
  const ends = Promise.withResolvers<{ code: number; reason: string }>();
  const { url } = await upstream(socket => {
    void closed(socket).then(ends.resolve);
    if (who === 'the upstream') socket.close(code, reason);
  });
  const { edge, worker } = await system(url);
  const socket = dial(edge.url);
  const end = closed(socket);
  await opened(socket);
  if (who === 'the client') socket.close(code, reason);
  expect(await (who === 'the client' ? ends.promise : end)).toEqual({ code, reason });
  await Promise.all([end, ends.promise]);
  await until(
    () => [edge.proxy.pending(), worker.worker.inFlight()],
    ([pending, inFlight]) => pending === 0 && inFlight === 0,
  );
});

test('a client that vanishes is gone for the upstream at once, and the other way round', async () => {
  const sockets: WebSocket[] = [];
  const { url } = await upstream(socket => sockets.push(socket));
  const { edge } = await system(url);
  const first = await opened(dial(edge.url));
  const gone = closed(sockets[0] as WebSocket);
  first.terminate();
  expect((await gone).code).toBe(1006);

  const second = await opened(dial(edge.url));
  const end = closed(second);
  sockets[1]?.terminate();
  expect((await end).code).toBe(1006);
});

test('an upstream that does not switch is heard all the same', async () => {
  const http = createServer((_request, response) =>
    response.writeHead(401, { 'www-authenticate': 'Basic' }).end('who are you'),
  );
  http.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!'));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(() => void http.close());
  const { edge } = await system(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  const socket = dial(edge.url);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  expect(response.statusCode).toBe(403);
  expect(String(await new Promise(resolve => response.once('data', resolve)))).toBe('no!');
});

test('without a worker, or with one whose upstream is gone, the request to switch is answered like any other', async () => {
  const service = uniqueName('web');
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service, { proxy: { queueTimeoutMs: 200 } }));
  const refused = async (): Promise<number | undefined> => {
    const [, response] = (await once(dial(edge.url), 'unexpected-response')) as [unknown, IncomingMessage];
    return response.statusCode;
  };
  expect(await refused()).toBe(503);
  await using _worker = await workerUnderTest(brokerUrl(), service, ['http://127.0.0.1:1']);
  await edge.workers(1);
  expect(await refused()).toBe(502);
});

test('any other protocol is tunnelled as well, with what was said too early, and half-closes', async () => {
  const conversation = Promise.withResolvers<string>();
  await using backend = await startRawBackend((socket, head) => {
    expect(head).toMatch(/^Upgrade: parrot\/2\r$/m);
    expect(head).toMatch(/^Connection: Upgrade\r$/m);
    let said = '';
    socket.on('data', chunk => {
      said += chunk;
    });
    socket.on('end', () => {
      conversation.resolve(said);
      socket.end('good bye');
    });
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: parrot/2\r\nX-Bird: red\r\n\r\nhello ',
    );
  });
  const { edge } = await system(backend.url);
  const socket: Socket = connect({ port: Number(new URL(edge.url).port), host: '127.0.0.1', allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  let answer = '';
  socket.on('data', chunk => {
    answer += chunk;
  });
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: parrot/2\r\n\r\nearly ');
  await until(
    () => answer,
    text => text.endsWith('hello '),
  );
  expect(answer).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  expect(answer).toMatch(/^X-Bird: red\r$/m);
  expect(answer.match(/^upgrade: /gim)).toHaveLength(1);
  socket.end('late');
  expect(await conversation.promise).toBe('early late');
  await once(socket, 'end');
  expect(answer.endsWith('hello good bye')).toBe(true);
});

test('a protocol of HTTP’s own that is offered, h2c, is not switched to: the request is served as it is (RFC 9110 §7.8)', async () => {
  const { url, asked } = await upstream();
  const { edge } = await system(url);
  const response = await new Promise<string>(resolve => {
    const socket = connect(Number(new URL(edge.url).port), '127.0.0.1');
    let text = '';
    socket.on('data', chunk => {
      text += chunk;
      if (text.includes('speak up')) socket.end(() => resolve(text));
    });
    socket.write(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n',
    );
  });
  expect(response).toMatch(/^HTTP\/1\.1 426 /);
  expect(asked).toEqual([]);
});

test('a thousand idle sockets go through one worker, and each still answers', async () => {
  const { url } = await upstream();
  const { edge, worker } = await system(url);
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => opened(dial(edge.url))));
  expect(worker.worker.inFlight()).toBe(1000);
  const answers = sockets.map(heard);
  sockets.forEach((socket, i) => {
    socket.send(`${i}`);
  });
  expect(await Promise.all(answers)).toEqual(sockets.map((_, i) => `${i}`));
  expect((await fetch(edge.url)).status).toBe(426);
  for (const socket of sockets) socket.terminate();
}, 90_000);

test('idle for longer than any timeout, a socket stays open', async () => {
  const { url } = await upstream();
  const { edge } = await system(url, brokerUrl(), {
    proxy: { bodyTimeoutMs: 150, idleTimeoutMs: 150 },
    route: { deadlineMs: 300 },
  });
  const socket = await opened(dial(edge.url));
  socket.send('before');
  expect(await heard(socket)).toBe('before');
  await new Promise(resolve => setTimeout(resolve, 1_000));
  socket.send('after');
  expect(await heard(socket)).toBe('after');
});

test('the broker gone: sockets close with 1013, at once', async () => {
  const broker = await ownBroker();
  const { url } = await upstream();
  const { edge } = await system(url, broker.url);
  const sockets = await Promise.all(Array.from({ length: 20 }, () => opened(dial(edge.url))));
  const ends = sockets.map(closed);
  const killedAt = performance.now();
  await broker.kill();
  for (const { code } of await Promise.all(ends)) expect(code).toBe(1013);
  expect(performance.now() - killedAt).toBeLessThan(5_000);
}, 60_000);

test('the worker killed: sockets close with 1013 within its lease; stopped in order, after its drain', async () => {
  const { url } = await upstream();
  const service = uniqueName('web');
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await using worker = await spawnWorker(brokerUrl(), service, url, { WARREN_WORKER_DRAIN_MS: '300' });
    await edge.workers(1);
    const end = closed(await opened(dial(edge.url)));
    worker.kill(signal);
    expect((await end).code).toBe(1013);
    await edge.workers(0);
  }
}, 60_000);

test('the proxy stopped: sockets close with 1001', async () => {
  const { url } = await upstream();
  const { edge } = await system(url);
  const end = closed(await opened(dial(edge.url)));
  await edge.proxy.close(2_000);
  expect((await end).code).toBe(1001);
});

test.each([
  ['are switched while it drains: they are closed', true],
  ['are not answered: it does not wait for them beyond its drain', false],
])('the proxy stopped with requests to switch that %s', async (_what, isAnswered) => {
  const asked: Socket[] = [];
  await using backend = await startRawBackend(socket => void asked.push(socket));
  const { edge } = await system(backend.url);
  const client = connect(edge.proxy.port, '127.0.0.1').resume();
  client.on('error', () => {});
  onTestFinished(() => void client.destroy());
  client.write('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  await until(
    () => asked.length,
    count => count === 1,
  );
  const end = once(client, 'close');
  const startedAt = performance.now();
  const stopped = edge.proxy.close(isAnswered ? 60_000 : 500);
  if (isAnswered) asked[0]?.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  await Promise.all([stopped, end]);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});
