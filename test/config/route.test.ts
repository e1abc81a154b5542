import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RouteSetting, routeText } from '../../services/config/route.ts';
import { errorOf, load } from './given.ts';

const plain = { ttlSeconds: undefined, idempotencyKey: false, deadlineMs: undefined };

describe('a route on the command line', () => {
  test.each<[string, Partial<RouteSetting>]>([
    ['/=web', { host: '*', path: '/', service: 'web' }],
    ['*/=web', { host: '*', path: '/', service: 'web' }],
    ['Api.Example.com/v1/=api', { host: 'api.example.com', path: '/v1', service: 'api' }],
    ['example.com=site', { host: 'example.com', path: '/', service: 'site' }],
    ['[::1]/x=web', { host: '[::1]', path: '/x', service: 'web' }],
    ['/a=b=web', { path: '/a=b', service: 'web' }],
    ['/=web;ttl=180', { ttlSeconds: 180 }],
    ['/=web; ttl = 0 ; idempotency_key=yes;deadline_ms=5s;', { ttlSeconds: 0, idempotencyKey: true, deadlineMs: 5000 }],
  ])('%s', (text, expected) => expect(routeText.parse(text)).toMatchObject({ ...plain, ...expected }));

  test.each([
    ['web', 'must be HOST/PATH=SERVICE'],
    ['/=', 'must be a service name'],
    ['/=Web', 'must be a service name'],
    ['example.com:80/=web', 'must be a host name without a port'],
    ['::1/=web', 'must be a host name without a port'],
    ['/a?b=web', 'must be a path'],
    ['/=web;tll=3', 'did you mean ttl?'],
    ['/=web;ttl=soon', 'must be a whole number from 0 to 31536000 (its ttl)'],
    ['/=web;ttl=1;ttl=2', 'must not say ttl twice'],
    ['/=web;path=/x', 'must not have "path" behind the ;'],
  ])('%s: %s', (text, message) => expect(() => routeText.parse(text)).toThrow(message));

  test('any route is read back as it was written', () => {
    const route = fc.record({
      host: fc.constantFrom('*', 'a.example', '[fe80::1]', '10.0.0.1'),
      path: fc.stringMatching(/^(\/[a-z0-9=._~-]{1,9}){0,4}$/).map(path => path || '/'),
      service: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/),
      ttlSeconds: fc.option(fc.nat(31_536_000), { nil: undefined }),
      idempotencyKey: fc.boolean(),
      deadlineMs: fc.option(fc.integer({ min: 1, max: 86_400_000 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(route, fields => {
        const given = { ...fields, name: `${fields.host}${fields.path}` };
        expect(routeText.parse(routeText.format(given))).toEqual(given);
      }),
    );
  });
});

describe('the routes of a process', () => {
  test('are everything to web when none is given, stored for 180 s by the demo only', () => {
    const web = { name: 'web', host: '*', path: '/', service: 'web', idempotencyKey: false, deadlineMs: 30_000 };
    expect(load({ command: 'proxy' }).config.routes).toEqual([{ ...web, ttlSeconds: undefined }]);
    expect(load({ command: 'up' }).config.routes).toEqual([{ ...web, ttlSeconds: 180 }]);
  });

  test('come from [route.NAME] sections, whose NAME is the service unless one is given', () => {
    const text =
      '[route.api]\nhost = Api.Example.com\npath = /v1/\nttl = 20\n[route.rest]\nservice = web\ndeadline_ms = 5s\n';
    expect(load({ files: { 'warren.ini': text } }).config.routes).toEqual([
      {
        ...plain,
        name: 'api',
        host: 'api.example.com',
        path: '/v1',
        service: 'api',
        ttlSeconds: 20,
        deadlineMs: 30_000,
      },
      { ...plain, name: 'rest', host: '*', path: '/', service: 'web', deadlineMs: 5000 },
    ]);
  });

  test('take the deadline of all jobs, wherever that comes from', () => {
    const env = { WARREN_PROXY_JOB_DEADLINE_MS: '7s' };
    expect(load({ env, argv: ['--route', '/=a', '--route=/b=b;deadline_ms=1s'] }).config.routes).toMatchObject([
      { service: 'a', deadlineMs: 7000 },
      { service: 'b', deadlineMs: 1000 },
    ]);
  });

  test("from the environment replace the file's, and flags replace both", () => {
    const files = { 'warren.ini': '[route.file]\n' };
    const env = { WARREN_ROUTES: '/=env1, x.example/=env2' };
    const services = (given: Parameters<typeof load>[0]) => load(given).config.routes.map(route => route.service);
    expect(services({ files })).toEqual(['file']);
    expect(services({ files, env })).toEqual(['env1', 'env2']);
    expect(services({ files, env, argv: ['--route', '/=flag'] })).toEqual(['flag']);
  });

  test('cannot have the same host and path twice', () => {
    const text = '[route.a]\npath = /x\n\n[route.b]\npath = /x/\n';
    expect(errorOf({ files: { 'warren.ini': text } })).toBe(
      'warren.ini:4: route.b has the host and path of route.a (*/x)',
    );
    expect(errorOf({ argv: ['--route', '/=a', '--route', '*/=b'] })).toContain(
      '--route must not have two routes for */',
    );
  });

  test.each([
    ['[route.a]\nttl = x', 'warren.ini:2: route.a.ttl must be a whole number from 0 to 31536000, not "x"'],
    ['[route.a]\nservise = x', 'warren.ini:2: unknown setting route.a.servise; did you mean service?'],
    ['[route.A]', 'warren.ini:1: route.A.service must be a service name'],
  ])('%j is told with file, line and key', (text, line) =>
    expect(errorOf({ files: { 'warren.ini': text } })).toContain(line),
  );
});
