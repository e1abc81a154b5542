import { describe, expect, test } from 'vitest';
import { errorOf, load } from './given.ts';

/** As ORIGINS.md (B) has them: ENV_CLIENT and ENV_SERVER. */
const client = 'PSERVER_URL=54.152.81.179\nPSERVER_PORT=50051\nPSERVER_LOCAL_URL=localhost\n';
const server = 'SERVER_URL=http://52.23.107.62\nSERVER_PORT=5000\n';

const given = (files: Record<string, string>, more: { argv?: string[]; env?: Record<string, string> } = {}) => ({
  command: 'member' as const,
  files,
  argv: [...Object.keys(files).flatMap(name => ['--env-file', name]), ...(more.argv ?? [])],
  env: more.env ?? {},
});
const member = (...args: Parameters<typeof given>) => load(given(...args)).config.member;

describe("the origin's .env files", () => {
  test('are read together: where the peer is, and where the directory is', () =>
    expect(member({ 'c.env': client, 's.env': server })).toMatchObject({
      ...{ port: 50_051, advertise: ['54.152.81.179'], directoryUrl: 'http://52.23.107.62:5000' },
    }));

  test('yield to the environment and to flags, as a settings file does', () => {
    const more = { argv: ['--port', '1'], env: { WARREN_MEMBER_ADVERTISE: 'elsewhere:2' } };
    expect(member({ 'c.env': client }, more)).toMatchObject({ port: 1, advertise: ['elsewhere:2'] });
  });

  test('may be named in the environment', () => {
    const found = load({ command: 'member', files: { a: client, b: server }, env: { WARREN_MEMBER_ENV_FILES: 'a,b' } });
    expect(found.config.member).toMatchObject({ port: 50_051, directoryUrl: 'http://52.23.107.62:5000' });
  });

  test('of which the later one counts', () =>
    expect(member({ a: 'PSERVER_PORT=1', b: 'PSERVER_PORT=2' }).port).toBe(2));

  test.each([
    ['SERVER_URL=host', 'http://host:5000'],
    ['SERVER_URL=host:81', 'http://host:81'],
    ['SERVER_URL=host:81\nSERVER_PORT=82', 'http://host:82'],
    ['SERVER_URL=http://host', 'http://host'],
    ['SERVER_URL=https://host/api/', 'https://host/api'],
    ['SERVER_URL=[::1]', 'http://[::1]:5000'],
    ['export SERVER_URL = "http://host:1" # here', 'http://host:1'],
    ["SERVER_URL='host'", 'http://host:5000'],
  ])('%j name the directory %s', (text, url) => expect(member({ e: text }).directoryUrl).toBe(url));

  test.each([
    ['PSERVER_URL=host', 'host'],
    ['PSERVER_URL=host:80', 'host:80'],
    ['PSERVER_URL=http://host:81/', 'host:81'],
  ])('%j name the address %s', (text, address) => expect(member({ e: text }).advertise).toEqual([address]));

  test.each([
    ['PSERVER_PORT=x', 'e:1: PSERVER_PORT must be a whole number from 0 to 65535, not "x"'],
    ['\nPSERVER_URL=a b', 'e:2: PSERVER_URL must be a host, host:port or an http:// URL'],
    ['PSERVER_LOCAL_URL=?', 'e:1: PSERVER_LOCAL_URL must be a host, host:port or an http:// URL'],
    ['SERVER_URL=', 'e:1: SERVER_URL must be a host, host:port or an http:// URL'],
    ['SERVER_PORT=5000', 'e:1: SERVER_PORT stands without SERVER_URL'],
    ['SERVER_URI=host', 'e:1: unknown setting SERVER_URI; did you mean SERVER_URL?'],
    ['nonsense', 'e:1: must be KEY=value'],
  ])('that say %j are refused by line', (text, line) => expect(errorOf(given({ e: text }))).toBe(line));

  test('that are not there are said', () =>
    expect(errorOf({ command: 'member', argv: ['--env-file', 'x'] })).toBe(
      '--env-file x cannot be read: there is no such file',
    ));
});
