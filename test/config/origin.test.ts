import { describe, expect, test } from 'vitest';
import { errorOf, load } from './given.ts';

/** As ORIGINS.md (A) has it, from the origin's own description. */
const parserIni = `[DEFAULT]
port = 8080
max_conn = 5
buffer_size = 8192
ttl = 180
ip_server1 = 54.152.81.179
ip_server2 = 52.23.107.62
ip_server3 = 3.232.160.126
`;

const run = (text: string, argv: readonly string[] = []) =>
  load({ files: { 'parser.ini': text }, argv: ['--config', 'parser.ini', ...argv] }).config;

const errorIn = (text: string) => errorOf({ files: { 'parser.ini': text }, argv: ['--config', 'parser.ini'] });

describe("the origin's settings file", () => {
  test('works unchanged', () => {
    const config = run(parserIni);
    expect(config.origin).toBe(true);
    expect(config.proxy).toMatchObject({ port: 8080, backlog: 5, headerLimit: 8192 });
    expect(config.routes).toMatchObject([{ host: '*', path: '/', service: 'web', ttlSeconds: 180 }]);
    expect(config.worker.service).toBe('web');
    expect(config.worker.upstream).toEqual([
      'http://54.152.81.179:8080',
      'http://52.23.107.62:8080',
      'http://3.232.160.126:8080',
    ]);
  });

  test('leaves all else at its default', () =>
    expect(run(parserIni).proxy).toMatchObject({ adminPort: 8081, maxConnections: 10_000 }));

  test('yields to flags, as any file does', () => {
    const config = run(parserIni, ['--port', '0', '--route', '/=web;ttl=20']);
    expect(config.proxy.port).toBe(0);
    expect(config.routes[0]?.ttlSeconds).toBe(20);
    expect(config.origin).toBe(true);
  });

  test('may write its keys in any letter case, as Python reads them', () =>
    expect(run('[DEFAULT]\nPort = 81\nIP_Server1 = h\n')).toMatchObject({
      proxy: { port: 81 },
      worker: { upstream: ['http://h:8080'] },
    }));

  test('may name servers by host name or IPv6, with a port, out of order and with gaps', () =>
    expect(
      run('[DEFAULT]\nip_server10 = [::1]:81\nip_server2 = b.local:3000\nip_server1 = a\n').worker.upstream,
    ).toEqual(['http://a:8080', 'http://b.local:3000', 'http://[::1]:81']));

  test('without a ttl stores only what says that it may be stored', () =>
    expect(run('[DEFAULT]\nip_server1 = h\n').routes[0]?.ttlSeconds).toBeUndefined());

  test.each([
    ['port = x', 'parser.ini:3: port must be a whole number from 0 to 65535, not "x"'],
    ['max_conn = 0', 'parser.ini:3: max_conn must be a whole number from 1 to 65535, not "0"'],
    ['buffer_size = 12', 'parser.ini:3: buffer_size must be a size from 256 to 1MiB'],
    ['ttl = 3 min', 'parser.ini:3: ttl must be a whole number from 0 to 31536000, not "3 min"'],
    ['tll = 3', 'parser.ini:3: unknown setting tll; did you mean ttl?'],
    ['ip_server2 = 1.2.3.400', 'parser.ini:3: ip_server2 must be a host name, an IPv4 address or an [IPv6] address'],
    ['IP_SERVER01 = h', 'parser.ini:3: ip_server01 is set twice'],
    ['[proxy]', 'parser.ini:3: [proxy] has no place beside [DEFAULT]'],
    ['garbage', 'parser.ini:3: is neither [section] nor key = value'],
  ])('with %j in it is told with file, line and key', (line, message) =>
    expect(errorIn(`[DEFAULT]\nip_server1 = h\n${line}\n`)).toContain(message),
  );

  test('that names no server is told so', () =>
    expect(errorIn('[DEFAULT]\nport = 80\n')).toBe('parser.ini:1: ip_server1 is missing: the file names no server'));

  test('is refused by warren up, which brings its own backends', () =>
    expect(errorOf({ command: 'up', files: { 'warren.ini': parserIni } })).toContain(
      'warren proxy --config warren.ini',
    ));

  test('serves a worker of its own too', () =>
    expect(
      load({ command: 'worker', files: { p: parserIni }, argv: ['--config', 'p'] }).config.worker.upstream,
    ).toHaveLength(3));
});
