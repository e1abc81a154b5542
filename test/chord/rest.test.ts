import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Rest, startRest } from '../../services/chord/rest.ts';
import { type LocalNode, startNodes } from './nodes-in-process.ts';

let nodes: LocalNode[];
let close: () => void;
let rests: Rest[];
let at: string;
const warnings: string[] = [];

beforeAll(async () => {
  ({ nodes, close } = await startNodes(3));
  rests = await Promise.all(
    nodes.map(({ owner, metrics: { registry } }) =>
      startRest({ owner, registry, warn: line => warnings.push(line) }, { host: '127.0.0.1', ports: [0] }),
    ),
  );
  at = url(0);
});
afterAll(async () => {
  await Promise.all(rests.map(rest => rest.close()));
  close();
  expect(warnings).toEqual([]);
});

function url(node: number): string {
  return `http://127.0.0.1:${rests[node]?.port}`;
}

function put(path: string, value: Uint8Array | string, headers: Record<string, string> = {}): Promise<Response> {
  const body = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value);
  return fetch(`${at}${path}`, { method: 'PUT', body, headers });
}

/** With headers that `fetch` does not let one set. */
function raw(method: string, path: string, headers: Record<string, string>): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${at}${path}`, { method, headers, agent: false }, response => {
      let text = '';
      response.on('data', part => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on('error', reject);
    request.end();
  });
}

describe('a value', () => {
  test('is kept at one node and read at all, byte for byte, until it is removed', async () => {
    const value = new Uint8Array(64 * 1024).map((_, index) => index * 7);
    expect((await put('/keys/some%2Fkey%20with%20signs', value)).status).toBe(200);
    for (const node of [0, 1, 2]) {
      const response = await fetch(`${url(node)}/keys/some%2Fkey%20with%20signs`);
      expect(response.headers.get('content-type')).toBe('application/octet-stream');
      expect(response.headers.get('warren-writer')).toBe(nodes[0]?.host.first.node.self.member);
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(value);
    }
    expect((await fetch(`${url(1)}/keys/some%2Fkey%20with%20signs`, { method: 'DELETE' })).status).toBe(204);
    const gone = await fetch(`${url(2)}/keys/some%2Fkey%20with%20signs`);
    expect(gone.status).toBe(404);
    expect(gone.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(await gone.json()).toMatchObject({ status: 404, title: 'Not Found', code: 'CHORD_NO_VALUE' });
  });

  test('may be empty, and has 64 KiB at most', async () => {
    expect((await put('/keys/empty', '')).status).toBe(200);
    const empty = await fetch(`${url(1)}/keys/empty`);
    expect([empty.status, (await empty.arrayBuffer()).byteLength]).toEqual([200, 0]);
    const response = await put('/keys/large', new Uint8Array(64 * 1024 + 1));
    expect([response.status, await response.json()]).toEqual([413, expect.objectContaining({ code: 'HTTP_BODY' })]);
  });

  test('lives for as long as was said, a week at most', async () => {
    expect((await put('/keys/short?life_ms=150', 'x')).status).toBe(200);
    await expect.poll(async () => (await fetch(`${at}/keys/short`)).status, { timeout: 5_000 }).toBe(404);
    for (const life of ['604800001', '-1', '1e3', 'x'])
      expect((await put(`/keys/short?life_ms=${life}`, 'x')).status).toBe(400);
  });
});

test('/ring has all nodes, /lookup the way, /metrics both', async () => {
  const ring = await (await fetch(`${url(1)}/ring`)).json();
  expect(ring).toMatchObject({ isWhole: true, view: { isMember: true, isSafe: false, known: 3, safeAt: 9 } });
  expect((ring as { nodes: unknown[] }).nodes).toHaveLength(3);
  const lookup = await (await fetch(`${url(1)}/lookup/anything`)).json();
  expect(lookup).toMatchObject({ place: expect.stringMatching(/^[0-9a-f]{40}$/), hops: expect.any(Array) });
  const metrics = await (await fetch(`${url(1)}/metrics`)).text();
  expect(metrics).toMatch(/^warren_ring_known_members 3$/m);
  expect(metrics).toMatch(/^warren_ring_operations_total\{operation="lookup",code="OK"\} 1$/m);
});

describe('refused is', () => {
  const own = (): string => new URL(at).host;
  test.each<[string, string, string, (host: string) => Record<string, string>, number]>([
    [
      'a name that may be anybody’s',
      'GET',
      '/ring',
      host => ({ host: host.replace('127.0.0.1', 'evil.example') }),
      403,
    ],
    ['the same to write', 'PUT', '/keys/a', host => ({ host: host.replace('127.0.0.1', 'evil.example') }), 403],
    ['a page of another origin', 'PUT', '/keys/a', host => ({ host, origin: 'http://evil.example' }), 403],
    ['one of no origin', 'DELETE', '/keys/a', host => ({ host, origin: 'null' }), 403],
    ['a page of another port', 'PUT', '/keys/a', host => ({ host, origin: 'http://127.0.0.1:1' }), 403],
    ['a picture on another site', 'GET', '/ring', host => ({ host, 'sec-fetch-site': 'cross-site' }), 403],
    ['a form', 'PUT', '/keys/a', host => ({ host, 'content-type': 'application/x-www-form-urlencoded' }), 415],
    ['plain text of a script', 'PUT', '/keys/a', host => ({ host, 'content-type': 'Text/Plain; charset=utf-8' }), 415],
    ['another method', 'POST', '/keys/a', host => ({ host }), 405],
    ['writing the ring', 'PUT', '/ring', host => ({ host }), 405],
    ['a path that there is not', 'GET', '/keys', host => ({ host }), 404],
    ['a key that is none', 'GET', '/keys/%ff', host => ({ host }), 400],
    ['a key too long', 'GET', `/keys/${'a'.repeat(1_025)}`, host => ({ host }), 400],
  ])('%s', async (_name, method, path, headers, status) => {
    const response = await raw(method, path, headers(own()));
    expect([response.status, JSON.parse(response.text)]).toEqual([status, expect.objectContaining({ status })]);
  });

  test.each(['127.0.0.1', 'localhost', '[::1]', 'node1'])('but not %s', async name => {
    const host = own().replace('127.0.0.1', name);
    expect((await raw('GET', '/livez', { host, origin: `http://${host}` })).status).toBe(200);
  });
});

test('1,000 clients at once are served, each on a connection of its own', async () => {
  const clients = Array.from({ length: 1_000 }, async (_, client) => {
    const headers = { host: new URL(at).host, 'content-length': '0' };
    const put = await raw('PUT', `/keys/client${client}`, headers);
    const got = await raw('GET', `/keys/client${client}`, headers);
    const found = await raw('GET', `/lookup/client${client}`, headers);
    return [put.status, got.status, found.status].join(' ');
  });
  expect(new Set(await Promise.all(clients))).toEqual(new Set(['200 200 200']));
}, 60_000);
