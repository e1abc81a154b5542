import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { expect, test } from 'vitest';
import { startRawBackend, startStreamBackend } from '../support/backend.ts';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { hashOf, patternHash, writePattern } from '../support/patterned.ts';
import { proxyConfig, proxyUnderTest, workerUnderTest } from '../support/system.ts';
import { until } from '../support/until.ts';
import { spawnWarren, spawnWorker } from '../support/warren-process.ts';

const mebibytes = process.env.WARREN_LONG ? 2048 : 256;
const long = Math.max(120_000, mebibytes * 300);
const leaseMs = 3_000;

function ask(url: string, options: RequestOptions = {}): ClientRequest {
  const request = requestHttp(url, { agent: false, ...options });
  request.on('error', () => {});
  return request;
}

async function responseTo(request: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  return response;
}

/** What came until the end, and whether that was a clean one. */
async function drained(response: IncomingMessage): Promise<{ bytes: number; text: string; isWhole: boolean }> {
  const chunks: Buffer[] = [];
  response.on('data', chunk => chunks.push(chunk)).resume();
  if (!response.closed) await new Promise(resolve => response.once('close', resolve));
  const body = Buffer.concat(chunks);
  return { bytes: body.length, text: body.toString('latin1'), isWhole: response.complete };
}

/** Peak of resident memory in MiB, as Linux has it. */
async function peakOf(pid: number): Promise<number> {
  return Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

test(
  `a download and an upload of ${mebibytes} MiB are the same bytes, and proxy and worker stay below 200 MiB`,
  async () => {
    const service = uniqueName('web');
    const uploaded = Promise.withResolvers<string>();
    await using backend = await startStreamBackend(async (request, response) => {
      if (request.method === 'GET') {
        if (request.url === '/sized') response.setHeader('content-length', mebibytes * 1024 * 1024);
        await writePattern(response, mebibytes);
      } else {
        uploaded.resolve(await hashOf(request));
        response.end('thanks');
      }
    });
    await using worker = await spawnWorker(brokerUrl(), service, backend.url);
    await using proxy = await spawnWarren(
      [
        'proxy',
        '--broker',
        brokerUrl(),
        '--route',
        `/=${service}`,
        '--port',
        '0',
        '--admin-port',
        '0',
        '--log',
        'json',
      ],
      { WARREN_PROXY_BODY_LIMIT: '4GiB' },
    );
    const { port } = JSON.parse(await proxy.line(/"event":"listening"/)) as { port: number };
    await worker.line(/takes jobs/);
    const url = `http://127.0.0.1:${port}`;
    const expected = patternHash(mebibytes);
    for (const path of ['/sized', '/chunked'])
      expect(await hashOf(await responseTo(ask(url + path).end()))).toBe(expected);

    const upload = ask(url, { method: 'POST', headers: { 'content-length': mebibytes * 1024 * 1024 } });
    const answer = responseTo(upload);
    await writePattern(upload, mebibytes);
    expect(await uploaded.promise).toBe(expected);
    expect((await drained(await answer)).text).toBe('thanks');

    const peaks = { proxy: await peakOf(proxy.pid), worker: await peakOf(worker.pid) };
    console.log('peak MiB', peaks);
    expect(Math.max(peaks.proxy, peaks.worker)).toBeLessThan(200);
  },
  long,
);

test('a slow client slows the upstream down, and one that takes nothing is cut: then the upstream is rid of it', async () => {
  const service = uniqueName('web');
  let written = 0;
  const gone = Promise.withResolvers<void>();
  await using backend = await startStreamBackend((_request, response) => {
    response.on('close', gone.resolve);
    const chunk = Buffer.alloc(64 * 1024);
    const more = (): void => {
      do written += chunk.length;
      while (response.write(chunk));
    };
    response.on('drain', more);
    more();
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service, { proxy: { bodyTimeoutMs: 1_500 } }));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const response = await responseTo(ask(edge.url).end());
  response.pause();
  const startedAt = performance.now();
  await gone.promise;
  expect(performance.now() - startedAt).toBeGreaterThan(1_400);
  // The window, and what the sockets of three processes hold.
  expect(written).toBeLessThan(24 * 1024 * 1024);
  expect((await drained(response)).isWhole).toBe(false);
  expect(edge.proxy.pending()).toBe(0);
});

test('a stream that says nothing for longer than any timeout goes on', async () => {
  const service = uniqueName('web');
  const speak = Promise.withResolvers<void>();
  await using backend = await startStreamBackend(async (_request, response) => {
    response.write('begin ');
    await speak.promise;
    response.end('end');
  });
  const config = proxyConfig(service, { proxy: { bodyTimeoutMs: 200 }, route: { deadlineMs: 400 } });
  await using edge = await proxyUnderTest(brokerUrl(), config);
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const response = await responseTo(ask(edge.url).end());
  // Three times the deadline, and six times the client's patience.
  setTimeout(speak.resolve, 1_200);
  expect(await drained(response)).toMatchObject({ text: 'begin end', isWhole: true });
});

test('a client that goes away in the middle aborts the upstream request at once', async () => {
  const service = uniqueName('web');
  const gone = Promise.withResolvers<void>();
  await using backend = await startStreamBackend((_request, response) => {
    response.on('close', gone.resolve);
    response.write('begin');
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const request = ask(edge.url).end();
  await responseTo(request);
  request.destroy();
  await gone.promise;
  await until(
    () => worker.worker.inFlight(),
    count => count === 0,
  );
  expect(edge.proxy.pending()).toBe(0);
});

test.each([
  ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
])('an upstream that breaks in the middle of a response %s breaks the client’s', async (_how, said) => {
  const service = uniqueName('web');
  const cut = Promise.withResolvers<void>();
  await using backend = await startRawBackend(async socket => {
    socket.write(said);
    await cut.promise;
    socket.destroy();
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const response = await responseTo(ask(edge.url).end());
  cut.resolve();
  expect(await drained(response)).toEqual({ bytes: 5, text: 'hello', isWhole: false });
});

test('the head is passed on before there is a body, and events one by one, with Last-Event-ID', async () => {
  const service = uniqueName('web');
  const say: ((text: string) => void)[] = [];
  await using backend = await startStreamBackend((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-since': request.headers['last-event-id'] ?? '' });
    response.flushHeaders();
    say.push(text => response.write(text));
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const response = await responseTo(ask(edge.url, { headers: { 'Last-Event-ID': '41' } }).end());
  expect(response.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-since': '41' });
  for (const event of ['id: 42\ndata: a\n\n', 'id: 43\ndata: b\n\n']) {
    const came = once(response, 'data');
    say[0]?.(event);
    expect(String((await came)[0])).toBe(event);
  }
  response.destroy();
});

test('early hints are passed on before the response (RFC 8297)', async () => {
  const service = uniqueName('web');
  await using backend = await startStreamBackend((_request, response) => {
    response.writeEarlyHints({ link: ['</a.css>; rel=preload; as=style', '</b.js>; rel=preload; as=script'] });
    setImmediate(() => response.end('page'));
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const request = ask(edge.url);
  const hints = once(request, 'information');
  const answer = responseTo(request.end());
  expect((await hints)[0]).toMatchObject({
    statusCode: 103,
    headers: { link: '</a.css>; rel=preload; as=style, </b.js>; rel=preload; as=script' },
  });
  expect(await drained(await answer)).toMatchObject({ text: 'page', isWhole: true });
});

test('a worker killed in the middle of a response breaks it, within its lease', async () => {
  const service = uniqueName('web');
  await using backend = await startStreamBackend((_request, response) => void response.write('begin'));
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using worker = await spawnWorker(brokerUrl(), service, backend.url);
  await edge.workers(1);
  const response = await responseTo(ask(edge.url).end());
  worker.kill('SIGKILL');
  const killedAt = performance.now();
  expect(await drained(response)).toEqual({ bytes: 5, text: 'begin', isWhole: false });
  expect(performance.now() - killedAt).toBeLessThan(leaseMs + 1_500);
});

test('streams hold no prefetch: hundreds of them leave a worker of four jobs free', async () => {
  const service = uniqueName('web');
  const open = new Set<() => void>();
  await using backend = await startStreamBackend((request, response) => {
    if (request.url !== '/stream') return void response.end('quick');
    response.write('begin');
    open.add(() => response.end());
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using worker = await workerUnderTest(brokerUrl(), service, [backend.url], { concurrency: 4, maxStreams: 300 });
  await edge.workers(1);
  const streams = await Promise.all(Array.from({ length: 300 }, () => responseTo(ask(`${edge.url}/stream`).end())));
  expect(worker.worker.inFlight()).toBe(300);
  const quick = (): Promise<IncomingMessage> => responseTo(ask(`${edge.url}/quick`).end());
  expect((await drained(await quick())).text).toBe('quick');

  // Beyond its bound they are held as jobs are: then it takes no more.
  const more = await Promise.all(Array.from({ length: 4 }, () => responseTo(ask(`${edge.url}/stream`).end())));
  const waiting = quick();
  expect(
    await Promise.race([
      waiting,
      until(
        () => edge.proxy.pending(),
        count => count === 305,
      ),
    ]),
  ).toBe(305);
  for (const end of open) end();
  expect((await drained(await waiting)).text).toBe('quick');
  for (const response of [...streams, ...more]) expect((await drained(response)).isWhole).toBe(true);
});

test('an upload of unknown length arrives in chunks; one that the upstream answers early is answered early', async () => {
  const service = uniqueName('web');
  const seen = Promise.withResolvers<{ coding: string | undefined; hash: string }>();
  await using backend = await startStreamBackend(async (request, response) => {
    if (request.url === '/early') return void response.writeHead(413).end('too large for me');
    seen.resolve({ coding: request.headers['transfer-encoding'], hash: await hashOf(request) });
    response.end('thanks');
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const chunked = ask(edge.url, { method: 'POST' });
  const thanks = responseTo(chunked);
  await writePattern(chunked, 3);
  expect(await seen.promise).toEqual({ coding: 'chunked', hash: patternHash(3) });
  expect((await drained(await thanks)).text).toBe('thanks');

  const early = ask(`${edge.url}/early`, { method: 'PUT', headers: { 'content-length': 64 * 1024 * 1024 } });
  const refusal = responseTo(early);
  early.write(Buffer.alloc(1024 * 1024));
  const response = await refusal;
  expect(response.statusCode).toBe(413);
  expect(response.headers.connection).toBe('close');
  expect((await drained(response)).text).toBe('too large for me');
  early.destroy();
});

test('an upload that stalls gets 408, one that is too long 413, one that is broken off reaches no end at the upstream', async () => {
  const service = uniqueName('web');
  const broken: Promise<unknown>[] = [];
  await using backend = await startStreamBackend((request, response) => {
    broken.push(new Promise(resolve => request.once('close', () => resolve(request.complete))));
    request.resume().on('error', () => {});
    request.on('end', () => response.end('whole'));
  });
  const config = proxyConfig(service, { proxy: { bodyTimeoutMs: 400, bodyLimit: 2 * 1024 * 1024 } });
  await using edge = await proxyUnderTest(brokerUrl(), config);
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const begin = Buffer.alloc(512 * 1024);
  const stalled = ask(edge.url, { method: 'POST', headers: { 'content-length': 1024 * 1024 } });
  stalled.write(begin);
  expect((await responseTo(stalled)).statusCode).toBe(408);

  const endless = ask(edge.url, { method: 'POST' });
  const tooLong = responseTo(endless);
  for (let i = 0; i < 5; i++) endless.write(begin);
  expect((await tooLong).statusCode).toBe(413);

  const leaver = ask(edge.url, { method: 'POST', headers: { 'content-length': 1024 * 1024 } });
  leaver.write(begin);
  await until(
    () => broken.length,
    count => count === 3,
  );
  leaver.destroy();
  expect(await Promise.all(broken)).toEqual([false, false, false]);
});

test('a long upload outlasts the deadline as long as it goes on', async () => {
  const service = uniqueName('web');
  await using backend = await startStreamBackend(async (request, response) => response.end(await hashOf(request)));
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service, { route: { deadlineMs: 600 } }));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const upload = ask(edge.url, { method: 'POST', headers: { 'content-length': 10 * 256 * 1024 } });
  const answer = responseTo(upload);
  const piece = Buffer.alloc(256 * 1024);
  for (let i = 0; i < 10; i++) {
    upload.write(piece);
    await new Promise(resolve => setTimeout(resolve, 150));
  }
  expect((await answer).statusCode).toBe(200);
});

test('a response that streams is stored once it is whole, and served from the cache then', async () => {
  const service = uniqueName('web');
  let calls = 0;
  await using backend = await startStreamBackend((_request, response) => {
    calls++;
    response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 300_000 });
    response.write(Buffer.alloc(100_000, 'a'));
    setImmediate(() => response.end(Buffer.alloc(200_000, 'b')));
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const first = await responseTo(ask(edge.url).end());
  expect(first.headers['cache-status']).toBe('warren; fwd=miss; stored');
  const { text } = await drained(first);
  expect(text).toBe(`${'a'.repeat(100_000)}${'b'.repeat(200_000)}`);
  const second = await responseTo(ask(edge.url).end());
  expect(second.headers['cache-status']).toMatch(/^warren; hit/);
  expect((await drained(second)).text).toBe(text);
  expect(calls).toBe(1);
});
