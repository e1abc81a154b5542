import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { type Demo, type DemoOptions, startDemo } from '../../services/demo/demo.ts';
import type { Message } from '../../services/demo/message-list.ts';
import { timeOfPostId } from '../../services/demo/post-id.ts';
import { FakeBus, FakeStream } from './fake-bus.ts';

const at = Date.UTC(2025, 5, 1, 12);
const running: Demo[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map(demo => demo.close()));
});

async function start(bus: FakeBus, options: Partial<DemoOptions> = {}): Promise<Demo> {
  const demo = await startDemo({ bus, now: () => at }, { name: 'backend-1', host: '127.0.0.1', port: 0, ...options });
  running.push(demo);
  return demo;
}

function postJson(demo: Demo, body: unknown): Promise<Response> {
  return fetch(`${demo.url}/api/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function messagesOf(demo: Demo): Promise<unknown> {
  return (await fetch(`${demo.url}/api/messages`)).json();
}

async function problemOf(response: Response): Promise<unknown> {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(response.headers.get('cache-control')).toBe('no-store');
  return response.json();
}

const good = { author: 'Ada', text: 'Hello' };

describe('reading', () => {
  test('whoami says which replica answered, and that nobody may store it', async () => {
    const demo = await start(new FakeBus(new FakeStream()), { name: 'backend-7' });
    const response = await fetch(`${demo.url}/api/whoami`);
    expect(await response.json()).toEqual({ name: 'backend-7', broker: 'up' });
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('x-powered-by')).toBeNull();
  });

  test('the page is the same on every replica, leaves caching to the route, and can be revalidated', async () => {
    const stream = new FakeStream();
    const demos = await Promise.all(['backend-1', 'backend-2'].map(name => start(new FakeBus(stream), { name })));
    const pages = await Promise.all(demos.map(demo => fetch(`${demo.url}/`)));
    const [first, second] = await Promise.all(pages.map(page => page.text()));
    expect(first).toBe(second);
    const headers = pages[0]?.headers;
    expect(headers?.get('content-type')).toBe('text/html; charset=utf-8');
    for (const name of ['cache-control', 'set-cookie', 'vary', 'expires']) expect(headers?.get(name)).toBeNull();
    const etag = headers?.get('etag') ?? '';
    const again = await fetch(`${demos[1]?.url}/`, {
      headers: { 'if-none-match': etag, 'cache-control': 'max-age=0' },
    });
    expect(again.status).toBe(304);
  });

  test('health is 200, with or without a broker', async () => {
    const bus = new FakeBus(new FakeStream(), 'connecting');
    const demo = await start(bus);
    expect((await fetch(`${demo.url}/healthz`)).status).toBe(200);
  });

  test('the list is not known before the broker was reached, and stays when it goes', async () => {
    const bus = new FakeBus(new FakeStream(), 'connecting');
    const demo = await start(bus);
    const early = await fetch(`${demo.url}/api/messages`);
    expect(early.headers.get('retry-after')).toBe('3');
    expect(await problemOf(early)).toEqual({
      status: 503,
      title: 'Service Unavailable',
      detail: 'backend-1 has not reached the message broker yet.',
    });
    bus.enter('up');
    await postJson(demo, good);
    bus.enter('connecting');
    expect(await messagesOf(demo)).toMatchObject([good]);
  });

  test('other paths and methods are refused in words', async () => {
    const demo = await start(new FakeBus(new FakeStream()));
    expect(await problemOf(await fetch(`${demo.url}/nothing`))).toMatchObject({ status: 404 });
    for (const [path, allow] of [
      ['/', 'GET, HEAD'],
      ['/api/whoami', 'GET, HEAD'],
      ['/api/messages', 'GET, HEAD, POST'],
    ] as const) {
      const response = await fetch(demo.url + path, { method: 'DELETE' });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe(allow);
    }
  });
});

describe('posting', () => {
  test('JSON is answered with the message, which is then in the list', async () => {
    const demo = await start(new FakeBus(new FakeStream()));
    const response = await postJson(demo, { author: ' Ada ', text: 'Hello\n' });
    expect(response.status).toBe(201);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const message = (await response.json()) as Message;
    expect(message).toMatchObject({ ...good, replica: 'backend-1', at: new Date(at).toISOString() });
    expect(timeOfPostId(message.id)).toBe(at);
    expect(await messagesOf(demo)).toEqual([message]);
  });

  test('a plain form leads back to the page', async () => {
    const demo = await start(new FakeBus(new FakeStream()));
    const body = new URLSearchParams({ author: 'Ada', text: 'one\r\ntwo & three' });
    const response = await fetch(`${demo.url}/api/messages`, { method: 'POST', body, redirect: 'manual' });
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toBe('/');
    expect(await messagesOf(demo)).toMatchObject([{ author: 'Ada', text: 'one\ntwo & three' }]);
  });

  test('what is posted on one replica is seen on all, in the same order, newest first', async () => {
    const stream = new FakeStream();
    const names = ['backend-1', 'backend-2', 'backend-3'];
    const demos = await Promise.all(names.map(name => start(new FakeBus(stream), { name })));
    for (const demo of demos) await postJson(demo, { author: '', text: `through ${demo.name}` });
    const lists = await Promise.all(demos.map(messagesOf));
    expect(lists[0]).toMatchObject([...names].reverse().map(replica => ({ text: `through ${replica}`, replica })));
    expect(lists[1]).toEqual(lists[0]);
    expect(lists[2]).toEqual(lists[0]);
  });

  test('a replica started later has the history, without repeats and without what is no post', async () => {
    const stream = new FakeStream();
    const first = await start(new FakeBus(stream));
    const { id } = (await (await postJson(first, good)).json()) as Message;
    const body = Buffer.from([0x0a, 0x03, 0x41, 0x64, 0x61, 0x12, 0x02, 0x48, 0x69]);
    stream.append({ type: 'warren.demo.v1.Post', key: '', body, messageId: id });
    stream.append({ type: 'warren.demo.v1.Post', key: '', body: Buffer.from([0x0a, 0xff]), messageId: 'broken' });
    stream.append({ type: 'warren.demo.v1.Post', key: '', body, messageId: 'from elsewhere' });
    const second = await start(new FakeBus(stream), { name: 'backend-2' });
    expect(await messagesOf(second)).toMatchObject([
      { id: 'from elsewhere', author: 'Ada', text: 'Hi', at: null },
      { id, ...good },
    ]);
  });

  test.each([
    ['an empty message', { ...good, text: '  ' }, 400, 'The message is empty.'],
    ['no body', '', 400, 'The message is empty.'],
    ['a long name', { ...good, author: 'x'.repeat(41) }, 400, 'The name has 41 characters; 40 is the most.'],
    ['broken JSON', '{"text":', 400, 'The body is not valid JSON.'],
    ['a list', [], 400, 'The body must be an object with "author" and "text".'],
    ['17 KiB', { ...good, padding: 'x'.repeat(17 * 1024) }, 413, 'The body is over 16 KiB.'],
  ])('%s is refused', async (_what, body, status, detail) => {
    const demo = await start(new FakeBus(new FakeStream()));
    const response = await postJson(demo, body);
    expect(response.status).toBe(status);
    expect(await problemOf(response)).toMatchObject({ status, detail });
    expect(await messagesOf(demo)).toEqual([]);
  });

  test.each([
    ['text/plain', 'Send application/json or application/x-www-form-urlencoded.'],
    ['multipart/form-data; boundary=x', 'Send application/json or application/x-www-form-urlencoded.'],
    ['application/json; charset=latin1', 'The body must be UTF-8, plain or compressed with gzip, deflate or br.'],
  ])('a body of type %s is refused', async (type, detail) => {
    const demo = await start(new FakeBus(new FakeStream()));
    const options = { method: 'POST', headers: { 'content-type': type }, body: JSON.stringify(good) };
    const response = await fetch(`${demo.url}/api/messages`, options);
    expect(await problemOf(response)).toMatchObject({ status: 415, detail });
  });

  test('a small body that unpacks to a large one is refused', async () => {
    const demo = await start(new FakeBus(new FakeStream()));
    const response = await fetch(`${demo.url}/api/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: gzipSync(JSON.stringify({ ...good, padding: 'x'.repeat(1_000_000) })),
    });
    expect(await problemOf(response)).toMatchObject({ status: 413 });
  });

  test('without a broker the visitor is told that nothing was sent', async () => {
    const demo = await start(new FakeBus(new FakeStream(), 'connecting'), { confirmMs: 20 });
    const response = await postJson(demo, good);
    expect(response.headers.get('retry-after')).toBe('3');
    const detail = 'The message was not sent: the message broker cannot be reached. Try again in a moment.';
    expect(await problemOf(response)).toMatchObject({ status: 503, detail });
  });

  test('a broker that comes back in time takes the message', async () => {
    const bus = new FakeBus(new FakeStream(), 'connecting');
    const demo = await start(bus);
    const answer = postJson(demo, good);
    setTimeout(() => bus.enter('up'), 30);
    expect((await answer).status).toBe(201);
  });

  test('without a confirm the visitor is told that the message may still appear', async () => {
    const bus = new FakeBus(new FakeStream());
    bus.confirms = false;
    const demo = await start(bus, { confirmMs: 20 });
    const detail = 'The message broker did not confirm the message. It may still appear in the list.';
    expect(await problemOf(await postJson(demo, good))).toMatchObject({ status: 503, detail });
  });
});

describe('starting and closing', () => {
  test('a taken port is named', async () => {
    const bus = new FakeBus(new FakeStream());
    const { port } = await start(bus);
    const { listeners } = bus;
    await expect(start(bus, { name: 'backend-2', port })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: `backend-2: port ${port} is taken; stop what uses it or choose another`,
    });
    expect(bus.listeners).toBe(listeners);
  });

  test('close answers who waits for a confirm, stops listening and consuming, and leaves the bus open', async () => {
    const bus = new FakeBus(new FakeStream());
    bus.confirms = false;
    const demo = await start(bus);
    const waiting = postJson(demo, good);
    await expect.poll(async () => (await fetch(`${demo.url}/healthz`)).status).toBe(200);
    await demo.close();
    await demo.close();
    expect((await waiting).status).toBe(503);
    await expect(fetch(`${demo.url}/healthz`)).rejects.toThrow();
    expect(bus).toMatchObject({ consumers: 0, listeners: 0, state: 'up' });
  });

  test('close does not wait for a broker that never came, nor consume when it comes', async () => {
    const bus = new FakeBus(new FakeStream(), 'connecting');
    const demo = await start(bus);
    await demo.close();
    bus.enter('up');
    await bus.ready();
    await expect.poll(() => bus.consumers).toBe(0);
  });

  test('a request that never ends does not hold close up', async () => {
    const demo = await start(new FakeBus(new FakeStream()));
    const open = request(`${demo.url}/api/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    const ended = new Promise(resolve => open.once('error', resolve));
    open.write('{');
    await expect.poll(() => open.socket?.bytesWritten).toBeGreaterThan(0);
    await demo.close();
    await ended;
  });

  test('an IPv6 host makes a URL that works', async ({ skip }) => {
    const demo = await start(new FakeBus(new FakeStream()), { host: '::1' }).catch(() => skip('no IPv6 here'));
    expect(demo.url).toBe(`http://[::1]:${demo.port}`);
    expect((await fetch(`${demo.url}/healthz`)).status).toBe(200);
  });
});
