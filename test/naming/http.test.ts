import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { formatOpenApi, problem } from '../../services/lib/rest/openapi.ts';
import { namingApi } from '../../services/naming/http-app.ts';
import { methodNames, methods } from '../../services/naming/methods.ts';
import { restNamingClient } from '../../services/naming/rest-client.ts';
import { ask } from '../directory/rest-client.ts';
import { temporaryDir, uniqueName } from '../support/broker.ts';
import { member, type NamingUnderTest, namingIn, restOf, token, World } from './naming-under-test.ts';
import { askMethod } from './rest-client.ts';

const world = new World();
const warned: string[] = [];
let made: NamingUnderTest;
let rest: Awaited<ReturnType<typeof restOf>>;

beforeAll(async () => {
  made = namingIn(await temporaryDir(), world);
  rest = await restOf(made.naming, line => warned.push(line));
});
afterAll(() => {
  rest.close();
  made[Symbol.dispose]();
});

const held = (name: string, epoch = 1) => ({ name, memberId: member(1), epoch, migrationId: `m${epoch}` });

describe('without the token', () => {
  test.each(methodNames.filter(name => methods[name].needsToken))('%s is refused', async name => {
    for (const given of [undefined, '', 'x', token.slice(1), `${token.slice(1)}e`]) {
      const answer = await askMethod(rest.url, name, held('backend.com'), given);
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      expect(problem.parse(answer.json)).toMatchObject({ code: 'NAMING_TOKEN' });
    }
  });

  test('everything can be read', async () => {
    const name = `${uniqueName('n')}.lab`;
    expect((await askMethod(rest.url, 'register', held(name), token)).status).toBe(200);
    expect((await askMethod(rest.url, 'resolve', { name })).json).toMatchObject({ record: { name, epoch: 1 } });
    expect((await askMethod(rest.url, 'list', {})).status).toBe(200);
    expect((await askMethod(rest.url, 'pickLatent', { name })).status).toBe(404);
  });
});

test('with the token one says which member', async () => {
  const { memberId: _, ...nobody } = held('backend.com');
  const answer = await askMethod(rest.url, 'register', nobody, token);
  expect(answer.status).toBe(400);
  expect(problem.parse(answer.json)).toMatchObject({
    code: 'NAMING_REQUEST',
    detail: 'memberId: must say which member',
  });
});

describe('a watch', () => {
  test('is a stream of events: what is known, then each change', async () => {
    const name = `${uniqueName('n')}.lab`;
    await askMethod(rest.url, 'register', held(name), token);
    const response = await fetch(`${rest.url}/watch?name=${name}`);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('cache-control')).toBe('no-store');
    await response.body?.cancel();

    const end = new AbortController();
    onTestFinished(() => end.abort());
    const seen: string[] = [];
    for await (const { kind, record } of restNamingClient(rest.url).watch(name, end.signal)) {
      seen.push(`${kind} ${record?.epoch}`);
      if (seen.length === 1) await askMethod(rest.url, 'register', held(name, 2), token);
      else end.abort();
    }
    expect(seen).toEqual(['current 1', 'moved 2']);
  });

  test('of a name that cannot be is refused before it begins, and HEAD ends at once', async () => {
    const answer = await askMethod(rest.url, 'watch', { name: 'no_name' });
    expect(answer.status).toBe(400);
    expect(problem.parse(answer.json)).toMatchObject({ code: 'NAMING_REQUEST' });
    expect((await fetch(`${rest.url}/watch`, { method: 'HEAD' })).status).toBe(200);
  });

  test('ends when naming does', async () => {
    const own = namingIn(await temporaryDir(), world);
    const served = await restOf(own.naming);
    onTestFinished(() => {
      served.close();
      own[Symbol.dispose]();
    });
    const response = await fetch(`${served.url}/watch`);
    own.naming.close();
    expect(await response.text()).toBe('');
  });
});

test('what fails inside is told without a word of it', async () => {
  const own = namingIn(await temporaryDir(), world);
  const lines: string[] = [];
  const broken = {
    ...own.naming,
    members: { ...own.naming.members, list: () => Promise.reject(new Error('the disk is on fire')) },
  };
  const served = await restOf(broken, line => lines.push(line));
  onTestFinished(() => {
    served.close();
    own[Symbol.dispose]();
  });
  const answer = await askMethod(served.url, 'list', {});
  expect(answer.status).toBe(500);
  expect(answer.text).not.toContain('fire');
  expect(lines).toEqual(['a call failed: the disk is on fire']);
});

describe('its description', () => {
  interface OpenApi {
    readonly paths: Record<
      string,
      Record<string, { responses: Record<string, { content?: object }>; security?: object }>
    >;
  }
  interface Layer {
    readonly route?: { readonly path: string | string[] };
  }

  test('is served, and is of what the routes are', async () => {
    const { json } = await ask(`${rest.url}/openapi.json`);
    expect(json).toEqual(JSON.parse(JSON.stringify(formatOpenApi(namingApi('9.9.9')))));
    const { paths } = json as OpenApi;
    const layers = rest.app.router.stack as unknown as Layer[];
    const routed = new Set(layers.flatMap(({ route }) => (route === undefined ? [] : [route.path].flat())));
    expect([...routed].sort()).toEqual(Object.keys(paths).sort());
    for (const name of methodNames) {
      const { path, verb, needsToken } = methods[name];
      expect(paths[path]?.[verb]?.security !== undefined).toBe(needsToken);
    }
    expect(paths['/watch']?.get?.responses[200]?.content).toHaveProperty('text/event-stream');
  });
});
