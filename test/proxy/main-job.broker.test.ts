import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { expect, test } from 'vitest';
import { startBackend } from '../support/backend.ts';
import { brokerUrl, uniqueName } from '../support/broker.ts';
import { proxyConfig, proxyUnderTest, workerUnderTest } from '../support/system.ts';

interface Answer {
  readonly status: number;
  readonly rawHeaders: readonly string[];
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

function ask(
  url: string,
  options: { method?: string; headers?: readonly string[]; body?: Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { host } = new URL(url);
    const headers = ['Host', host, ...(options.headers ?? [])];
    if (options.body) headers.push('Content-Length', String(options.body.length));
    const request = httpRequest(url, { method: options.method ?? 'GET', headers, agent: false }, response => {
      const chunks: Buffer[] = [];
      response.on('data', chunk => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          rawHeaders: response.rawHeaders,
          headers: response.headers,
          body: Buffer.concat(chunks),
        }),
      );
    });
    request.on('error', reject);
    request.end(options.body);
  });
}

const pairs = (raw: readonly string[]): string[] =>
  raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1]}`] : []));

test('three workers take the requests in turn', async () => {
  const service = uniqueName('web');
  await using first = await startBackend('one');
  await using second = await startBackend('two');
  await using third = await startBackend('three');
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _a = await workerUnderTest(brokerUrl(), service, [first.url]);
  await using _b = await workerUnderTest(brokerUrl(), service, [second.url]);
  await using _c = await workerUnderTest(brokerUrl(), service, [third.url]);
  await edge.workers(3);
  const names: string[] = [];
  for (let i = 0; i < 9; i++) names.push((await ask(`${edge.url}/`)).body.toString());
  expect(new Set(names.slice(0, 3)).size).toBe(3);
  expect(names.slice(3, 6)).toEqual(names.slice(0, 3));
  expect(names.slice(6)).toEqual(names.slice(0, 3));
  expect(edge.lines.slice(0, 3)).toEqual([
    '[*] Init socket... Done.',
    '[*] socket binded successfully...',
    `[*] Server started successfully [${edge.proxy.port}]`,
  ]);
  expect(edge.lines.at(-1)).toMatch(/^\[\*\] Request done: 127\.0\.0\.1 => \d+\.\d{3}s <= 127\.0\.0\.1:\d+$/);
});

test('one worker takes its upstreams in turn and leaves out the one that refuses', async () => {
  const service = uniqueName('web');
  await using first = await startBackend('one');
  const second = await startBackend('two');
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [first.url, second.url]);
  await edge.workers(1);
  const round = async (): Promise<string[]> => {
    const names: string[] = [];
    for (let i = 0; i < 4; i++) names.push((await ask(`${edge.url}/`)).body.toString());
    return names;
  };
  expect((await round()).sort()).toEqual(['one', 'one', 'two', 'two']);
  await second.close();
  expect(await round()).toEqual(['one', 'one', 'one', 'one']);
  // A POST goes to the other one as well: no byte of it had reached the first.
  expect((await ask(`${edge.url}/`, { method: 'POST', body: Buffer.from('x') })).status).toBe(200);
});

test.each([
  ['binary', randomBytes(10_000)],
  ['empty', Buffer.alloc(0)],
  ['every byte', Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
  ['1 MiB', randomBytes(1 << 20)],
  ['8 MiB', randomBytes(8 << 20)],
])('a body is the same byte for byte both ways: %s', async (_what, body) => {
  const service = uniqueName('web');
  await using echo = await startBackend('echo', (_request, response, received) => response.end(received));
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [echo.url]);
  await edge.workers(1);
  for (const method of ['POST', 'PUT', 'PATCH']) {
    const answer = await ask(`${edge.url}/echo`, { method, body });
    expect(answer.status).toBe(200);
    expect(createHash('sha256').update(answer.body).digest('hex')).toBe(
      createHash('sha256').update(body).digest('hex'),
    );
  }
});

test('header fields keep their order, case, repeats and bytes, both ways', async () => {
  const service = uniqueName('web');
  const sent = [
    'X-One',
    '1',
    'x-two',
    'a, b',
    'X-ONE',
    '2',
    'X-Latin',
    'caf\u00e9',
    'Cookie',
    'a=b; c=d',
    'Accept',
    '*/*',
    'X-Empty',
    '',
  ];
  const replied = [
    'Set-Cookie',
    'a=1; Path=/',
    'X-Case',
    'Kept',
    'Set-Cookie',
    'b=2',
    'x-latin',
    '\u00fcber',
    'Content-Type',
    'text/x-odd',
  ];
  await using backend = await startBackend('fields', (_request, response) => {
    response.sendDate = false;
    response.writeHead(418, 'Odd', [...replied, 'Content-Length', '2']);
    // A string would make Node send the head in UTF-8 as well.
    response.end(Buffer.from('ok'));
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const answer = await ask(`${edge.url}/a%20b/..;x?q=%00&q=\u0026`, { headers: sent });
  expect(answer.status).toBe(418);
  const seen = backend.seen[0];
  expect(seen?.url).toBe('/a%20b/..;x?q=%00&q=&');
  const arrived = pairs(seen?.rawHeaders ?? []);
  expect(arrived.filter(line => pairs(sent).includes(line))).toEqual(pairs(sent));
  expect(arrived).toContain(`host: 127.0.0.1:${edge.proxy.port}`);
  expect(arrived).toContain('X-Forwarded-For: 127.0.0.1');
  expect(arrived).toContain('Via: 1.1 warren');
  const back = pairs(answer.rawHeaders);
  expect(back.filter(line => pairs(replied).includes(line))).toEqual(pairs(replied));
  expect(back).toContain('Cache-Status: warren; fwd=bypass'); // It came with a cookie.
});

test('200 clients at once, each its own answer', async () => {
  const service = uniqueName('web');
  await using backend = await startBackend('echo', (request, response) => response.end(`for ${request.url}`));
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _a = await workerUnderTest(brokerUrl(), service, [backend.url], { concurrency: 16 });
  await using _b = await workerUnderTest(brokerUrl(), service, [backend.url], { concurrency: 16 });
  await edge.workers(2);
  const clients = Array.from({ length: 200 }, async (_, client) => {
    for (let i = 0; i < 5; i++) {
      const answer = await ask(`${edge.url}/${client}/${i}`, i % 2 ? { method: 'POST', body: Buffer.from('x') } : {});
      expect(`${answer.status} ${answer.body}`).toBe(`200 for /${client}/${i}`);
    }
  });
  await Promise.all(clients);
  expect(edge.proxy.pending()).toBe(0);
});

test('no worker: 503 with Retry-After after the queue timeout, and the job is not done later', async () => {
  const service = uniqueName('web');
  await using backend = await startBackend('late');
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service, { proxy: { queueTimeoutMs: 300 } }));
  const answers = await Promise.all([
    ask(`${edge.url}/get`),
    ask(`${edge.url}/post`, { method: 'POST', body: Buffer.from('x') }),
  ]);
  for (const answer of answers) {
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toMatch(/^\d+$/);
  }
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  // Behind both on the queue: when it is answered, they have been met and dropped.
  expect((await ask(`${edge.url}/now`)).status).toBe(200);
  expect(backend.seen.map(({ url }) => url)).toEqual(['/now']);
});

test('an upstream that does not answer in time: 504, and the call is broken off', async () => {
  const service = uniqueName('web');
  let brokenOff: () => void;
  const closed = new Promise<void>(resolve => {
    brokenOff = resolve;
  });
  await using backend = await startBackend(
    'slow',
    (_request, response) => void response.on('close', () => brokenOff()),
  );
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service, { route: { deadlineMs: 400 } }));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  expect((await ask(`${edge.url}/`)).status).toBe(504);
  await closed;
});

test('an upstream that is down, or that breaks off, is a 502', async () => {
  const service = uniqueName('web');
  const down = await startBackend('down');
  await down.close();
  await using broken = await startBackend('broken', request => request.socket.destroy());
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [down.url]);
  await edge.workers(1);
  expect((await ask(`${edge.url}/`)).status).toBe(502);
  expect((await ask(`${edge.url}/`, { method: 'POST', body: Buffer.from('x') })).status).toBe(502);
  await using edge2 = await proxyUnderTest(brokerUrl(), proxyConfig(`${service}-b`));
  await using _worker2 = await workerUnderTest(brokerUrl(), `${service}-b`, [broken.url]);
  await edge2.workers(1);
  expect((await ask(`${edge2.url}/`, { method: 'POST', body: Buffer.from('x') })).status).toBe(502);
  // It may have been done, so it is not tried again.
  expect(broken.seen.length).toBe(1);
});

test('a client that goes away takes its call with it', async () => {
  const service = uniqueName('web');
  const called = Promise.withResolvers<void>();
  const brokenOff = Promise.withResolvers<void>();
  await using backend = await startBackend('slow', (_request, response) => {
    response.on('close', brokenOff.resolve);
    called.resolve();
  });
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  await using _worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  const request = httpRequest(`${edge.url}/`, { agent: false }).end();
  request.on('error', () => {});
  await called.promise;
  request.destroy();
  await brokenOff.promise;
  expect(edge.proxy.pending()).toBe(0);
});

test('what is fresh is answered without broker and worker', async () => {
  const service = uniqueName('web');
  await using backend = await startBackend('cached', (_request, response) => response.end('page'));
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service, { route: { ttlSeconds: 180 } }));
  const served = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  expect((await ask(`${edge.url}/page`)).headers['cache-status']).toBe('warren; fwd=miss; stored');
  await served[Symbol.asyncDispose]();
  await edge.bus.close();
  const again = await ask(`${edge.url}/page`);
  expect(again.body.toString()).toBe('page');
  expect(again.headers['cache-status']).toMatch(/^warren; hit; ttl=(?:180|179)$/);
  expect(edge.lines.at(-1)).toBe('[*] Request done. Cache response to => 127.0.0.1');
  expect((await fetch(`${edge.admin}/readyz`)).status).toBe(503);
  expect((await fetch(`${edge.admin}/livez`)).status).toBe(200);
});

test('admin tells what is going on', async () => {
  const service = uniqueName('web');
  await using backend = await startBackend('x');
  await using edge = await proxyUnderTest(brokerUrl(), proxyConfig(service));
  expect((await fetch(`${edge.admin}/readyz`)).status).toBe(503);
  await using worker = await workerUnderTest(brokerUrl(), service, [backend.url]);
  await edge.workers(1);
  expect((await fetch(`${edge.admin}/readyz`)).status).toBe(200);
  await ask(`${edge.url}/`);
  const status = (await (await fetch(`${edge.admin}/api/status`)).json()) as Record<string, unknown>;
  expect(status).toMatchObject({
    broker: { state: 'up' },
    routes: [{ host: '*', path: '/', service }],
    services: [{ service, liveWorkers: 1, queue: { messages: 0, consumers: 1 } }],
    workers: [{ worker: worker.worker.id, upstreams: [{ url: backend.url, healthy: true }] }],
    pendingJobs: 0,
  });
  const metrics = await (await fetch(`${edge.admin}/metrics`)).text();
  expect(metrics).toContain(`warren_proxy_requests_total{service="${service}",code="200",by="upstream"} 1`);
  expect(metrics).toContain(`warren_proxy_live_workers{service="${service}"} 1`);
});
