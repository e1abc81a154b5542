import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { hashOf } from '../../services/directory/directory.ts';
import { createHttpApp, directoryApi } from '../../services/directory/http-app.ts';
import { methodNames, methods } from '../../services/directory/methods.ts';
import { listen } from '../../services/lib/listen.ts';
import { formatOpenApi, problem, templateOf } from '../../services/lib/rest/openapi.ts';
import { temporaryDir, uniqueName } from '../support/broker.ts';
import { directoryIn, World } from './directory-under-test.ts';
import { fileOf } from './index-under-test.ts';
import { ask, askMethod, type RestAnswer } from './rest-client.ts';

// Ten thousand files are on the disk before the answer comes, and the disk is shared.
vi.setConfig({ testTimeout: 120_000 });

const password = 'correct horse';
const world = new World();
const warned: string[] = [];
let made: ReturnType<typeof directoryIn>;
let app: ReturnType<typeof createHttpApp>;
let server: Server;
let url = '';

const isSession = (token: string): boolean => made.store.findSession(hashOf(token), world.now) !== undefined;

beforeAll(async () => {
  made = directoryIn(await temporaryDir(), world);
  app = createHttpApp(made.handlers, '9.9.9', line => warned.push(line), isSession);
  server = createServer(app);
  url = `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`;
});
afterAll(() => {
  server.close();
  made.store.close();
});

function expectProblem(answer: RestAnswer, status: number, code: string, detail: RegExp): void {
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(answer.status).toBe(status);
  const { detail: line, ...rest } = problem.parse(answer.json);
  expect(rest).toMatchObject({ status, code });
  expect(line).toMatch(detail);
  expect(answer.text).not.toMatch(/\n|node_modules|\.ts/);
}

async function user(): Promise<string> {
  // Tests are many, and from one address: time passes between them.
  world.pass(60_000);
  const username = uniqueName('user');
  expect((await askMethod(url, 'createUser', { username, password })).status).toBe(201);
  return username;
}

describe('what it answers', () => {
  test('the whole round, never to be stored', async () => {
    const username = await user();
    const login = await askMethod(url, 'login', { username, password, addresses: ['10.0.0.1:50051'] });
    expect(login.status).toBe(200);
    expect(login.headers.get('cache-control')).toBe('no-store');
    const { token, peerId } = methods.login.response.parse(login.json);
    const list = await askMethod(url, 'listPeers', { token });
    expect(list.json).toEqual({ peers: [{ peerId, username, addresses: ['10.0.0.1:50051'] }], next: '' });
    const ping = await ask(`${url}/ping`, { method: 'POST', headers: { authorization: `bearer ${token}` } });
    expect(ping).toMatchObject({ status: 200, json: { leaseMs: 30_000 } });
    const logout = await ask(`${url}/logout`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    expect(logout).toMatchObject({ status: 204, text: '' });
    expectProblem(await askMethod(url, 'ping', { token }), 401, 'DIRECTORY_TOKEN', /log in/);
  });

  test('a sign of life', async () => expect(await ask(`${url}/livez`)).toMatchObject({ status: 200, text: 'alive\n' }));
});

describe('what it refuses, with one line', () => {
  test.each<[string, string, string, string, number, string, RegExp]>([
    ['POST', '/users', '{', 'application/json', 400, 'HTTP_BODY', /not valid JSON/],
    ['POST', '/users', '"x"', 'application/json', 400, 'HTTP_BODY', /not valid JSON/],
    ['POST', '/users', '[]', 'application/json', 400, 'DIRECTORY_REQUEST', /JSON object/],
    ['POST', '/users', '{}', 'application/json', 400, 'DIRECTORY_REQUEST', /^username: /],
    ['POST', '/users', '', 'application/json', 400, 'DIRECTORY_REQUEST', /^username: /],
    ['POST', '/users', '{"username":1}', 'application/json', 400, 'DIRECTORY_REQUEST', /^username: /],
    [
      'POST',
      '/users',
      '{"username":"a","password":"12345678","admin":true}',
      'application/json',
      400,
      'DIRECTORY_REQUEST',
      /admin/,
    ],
    [
      'POST',
      '/users',
      '{"username":"a","password":"12345678","token":"t"}',
      'application/json',
      400,
      'DIRECTORY_REQUEST',
      /token/,
    ],
    ['POST', '/users', '{"__proto__":{"username":"a"}}', 'application/json', 400, 'DIRECTORY_REQUEST', /^username: /],
    [
      'POST',
      '/users',
      'username=a&password=12345678',
      'application/x-www-form-urlencoded',
      415,
      'HTTP_BODY',
      /application\/json/,
    ],
    ['POST', '/users', '{"username":"a","password":"12345678"}', 'text/plain', 415, 'HTTP_BODY', /application\/json/],
    [
      'POST',
      '/users',
      JSON.stringify({ username: 'a', password: 'x'.repeat(17_000) }),
      'application/json',
      413,
      'HTTP_BODY',
      /16 KiB/,
    ],
    [
      'POST',
      '/login',
      JSON.stringify({ username: 'a', password: 'x'.repeat(257) }),
      'application/json',
      400,
      'DIRECTORY_REQUEST',
      /256/,
    ],
    [
      'POST',
      '/login',
      '{"username":"a","password":"b","addresses":["a b"]}',
      'application/json',
      400,
      'DIRECTORY_REQUEST',
      /^addresses.0: /,
    ],
    [
      'POST',
      '/login',
      JSON.stringify({ username: 'a', password: 'b', addresses: Array(9).fill('a') }),
      'application/json',
      400,
      'DIRECTORY_REQUEST',
      /^addresses: must be at most 8/,
    ],
    ['POST', '/ping', '{}', 'application/json', 401, 'DIRECTORY_TOKEN', /log in first/],
    ['PUT', '/users', '{}', 'application/json', 405, 'HTTP_METHOD', /POST/],
    ['POST', '/peers', '{}', 'application/json', 405, 'HTTP_METHOD', /GET, HEAD/],
    ['POST', '/livez', '{}', 'application/json', 405, 'HTTP_METHOD', /GET, HEAD/],
    ['POST', '/nonsense', '{}', 'application/json', 404, 'HTTP_PATH', /nothing here/],
  ])('%s %s %s', async (method, path, body, type, status, code, detail) => {
    expectProblem(
      await ask(`${url}${path}`, { method, body, headers: { 'content-type': type } }),
      status,
      code,
      detail,
    );
  });

  test('a long list of nobody’s, unread; and of a session, from 4 MiB on', async () => {
    const username = await user();
    const { json } = await askMethod(url, 'login', { username, password });
    const { token } = methods.login.response.parse(json);
    const post = (body: string, authorization: string) =>
      ask(`${url}/index`, { method: 'POST', body, headers: { 'content-type': 'application/json', authorization } });
    const files = Array.from({ length: 10_000 }, (_, i) => fileOf(`${'x'.repeat(100)} ${i}`, i));
    const body = JSON.stringify({ files });
    expect(body.length).toBeGreaterThan(1024 * 1024);
    expect(await post(body, `Bearer ${token}`)).toMatchObject({ status: 200, json: { index: { files: 10_000 } } });
    const one = JSON.stringify({ files: [...files, fileOf('one more')] });
    expectProblem(await post(one, `Bearer ${token}`), 400, 'DIRECTORY_REQUEST', /^files: must be at most 10000/);
    expectProblem(await post('x'.repeat(4_200_000), `Bearer ${token}`), 413, 'HTTP_BODY', /over 4096 KiB/);
    for (const authorization of ['', 'Bearer x'])
      expectProblem(await post('{', authorization), 401, 'DIRECTORY_TOKEN', /log in first/);
  });

  test.each([
    ['/search?minSize=-1', /^minSize: /],
    ['/search?minSize=1e3', /^minSize: /],
    ['/search?q=a&q=b', /^q: /],
    ['/search?sort=size', /sort/],
    ['/download?all=1', /^file: /],
    ['/download?file=a&all=maybe', /^all: /],
    ['/files/..%2f..', /^id: must be 64/],
    ['/files/%00', /^id: must be 64/],
  ])('GET %s', async (path, detail) => {
    const headers = { authorization: 'Bearer x' };
    expectProblem(await ask(`${url}${path}`, { headers }), 400, 'DIRECTORY_REQUEST', detail);
  });

  test('a body that says it is small and is not, or is packed', async () => {
    const { gzipSync } = await import('node:zlib');
    const body = gzipSync(JSON.stringify({ username: 'a', password: 'x'.repeat(1_000_000) }));
    expect(body.length).toBeLessThan(16 * 1024);
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    expectProblem(await ask(`${url}/users`, { method: 'POST', body, headers }), 413, 'HTTP_BODY', /16 KiB/);
  });

  test.each([
    ['', /log in first/],
    ['Basic YTpi', /log in first/],
    ['Bearer', /log in first/],
    [`Bearer ${'x'.repeat(600)}`, /log in first/],
    [`Bearer ${'x'.repeat(43)}`, /log in/],
  ])('authorization %j', async (authorization, detail) => {
    const answer = await ask(`${url}/peers`, { headers: { authorization } });
    expectProblem(answer, 401, 'DIRECTORY_TOKEN', detail);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('a query that is not known, or says a thing twice', async () => {
    const headers = { authorization: 'Bearer x' };
    expectProblem(await ask(`${url}/peers?before=1`, { headers }), 400, 'DIRECTORY_REQUEST', /before/);
    expectProblem(await ask(`${url}/peers?after=1&after=2`, { headers }), 400, 'DIRECTORY_REQUEST', /^after: /);
  });

  test('more attempts than it counts, saying when to come back', async () => {
    const username = await user();
    for (let i = 0; i < 10; i++)
      expectProblem(await askMethod(url, 'login', { username, password: 'wrong' }), 401, 'DIRECTORY_LOGIN', /wrong/);
    const answer = await askMethod(url, 'login', { username, password });
    expectProblem(answer, 429, 'DIRECTORY_ATTEMPTS', /try again in 10 s/);
    expect(answer.headers.get('retry-after')).toBe('10');
  });

  test('what fails inside, without a word of it', async () => {
    const broken = createHttpApp(
      { ...made.handlers, ping: () => Promise.reject(new Error('the disk is on fire')) },
      '9.9.9',
      line => warned.push(line),
      isSession,
    );
    const other = createServer(broken);
    const port = await listen(other, { host: '127.0.0.1', port: 0 });
    const answer = await askMethod(`http://127.0.0.1:${port}`, 'ping', { token: 'x' });
    other.close();
    expectProblem(answer, 500, 'CALL_INTERNAL', /^something went wrong here$/);
    expect(warned).toEqual(['a call failed: the disk is on fire']);
  });
});

test('an unknown user is refused in the same time and words as a wrong password', async () => {
  const username = await user();
  const time = async (name: string): Promise<{ ms: number; text: string }> => {
    world.pass(60_000);
    const before = performance.now();
    const { status, text } = await askMethod(url, 'login', { username: name, password: 'wrong' });
    expect(status).toBe(401);
    return { ms: performance.now() - before, text };
  };
  const times: [known: number, unknown: number][] = [];
  for (let i = 0; i < 8; i++) {
    const [known, unknown] = [await time(username), await time('nobody')];
    expect(unknown.text).toBe(known.text);
    times.push([known.ms, unknown.ms]);
  }
  const known = Math.min(...times.map(([first]) => first));
  const unknown = Math.min(...times.map(([, second]) => second));
  // Without hashing it would be a tenth; the machine is shared.
  expect(unknown / known).toBeGreaterThan(1 / 3);
  expect(unknown / known).toBeLessThan(3);
});

describe('its description', () => {
  interface OpenApi {
    readonly openapi: string;
    readonly paths: Record<string, Record<string, { responses: object; security?: object; requestBody?: object }>>;
  }
  interface Layer {
    readonly route?: { readonly path: string | string[] };
  }

  test('is served, and is of what the routes are', async () => {
    const { json } = await ask(`${url}/openapi.json`);
    expect(json).toEqual(JSON.parse(JSON.stringify(formatOpenApi(directoryApi('9.9.9')))));
    const { openapi, paths } = json as OpenApi;
    expect(openapi).toBe('3.1.0');
    const layers = app.router.stack as unknown as Layer[];
    const routed = new Set(layers.flatMap(({ route }) => (route === undefined ? [] : [route.path].flat())));
    expect([...routed].map(templateOf).sort()).toEqual(Object.keys(paths).sort());
    for (const path of routed)
      for (const verb of ['get', 'post', 'put', 'patch', 'delete', 'options']) {
        const { status } = await ask(`${url}${path}`, { method: verb.toUpperCase() });
        expect({ path, verb, isThere: status !== 405 }).toEqual({
          path,
          verb,
          isThere: verb in (paths[templateOf(path)] ?? {}),
        });
      }
  });

  test('says of each method what it wants and gives', async () => {
    const { paths } = formatOpenApi(directoryApi('9.9.9')) as OpenApi;
    for (const name of methodNames) {
      const { path, verb, status, needsToken } = methods[name];
      const operation = paths[templateOf(path)]?.[verb];
      expect(Object.keys(operation?.responses ?? {})).toEqual(expect.arrayContaining([String(status), '400', '500']));
      expect(operation?.security !== undefined).toBe(needsToken);
      expect(operation?.requestBody !== undefined).toBe(verb === 'post');
    }
    expect(paths['/login']?.post?.requestBody).toMatchObject({
      required: true,
      content: {
        'application/json': {
          schema: { type: 'object', required: ['username', 'password'], additionalProperties: false },
        },
      },
    });
  });
});
