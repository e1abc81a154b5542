import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../services/config/load.ts';
import { envName, settingKeys, settingOf } from '../../services/config/settings.ts';
import { errorOf, load } from './given.ts';

const ini = (text: string) => ({ 'warren.ini': text });

describe('settings', () => {
  test('have defaults when nothing is given', () => {
    const { config } = load();
    expect(config).toMatchObject({
      broker: { url: [], queueType: 'classic' },
      data: { dir: '.warren' },
      log: { format: 'console' },
      proxy: { host: '', port: 8080, adminHost: '127.0.0.1', adminPort: 8081, backlog: 511, trusted: [] },
      worker: { service: 'web', upstream: [], concurrency: 64, leaseMs: 3000, renewMs: 1000, drainMs: 25_000 },
      demo: { ports: [3001, 3002, 3003] },
      origin: false,
    });
    expect(config.proxy).toMatchObject({ headerLimit: 32_768, bodyLimit: 1024 ** 3, cacheBytes: 67_108_864 });
    expect(config.proxy).toMatchObject({ jobDeadlineMs: 30_000, queueTimeoutMs: 5000, idleTimeoutMs: 60_000 });
  });

  test('come from warren.ini before the defaults, from the environment before that, from flags before all', () => {
    const files = ini('[proxy]\nport = 1\nadmin_port = 1\nbacklog = 1\n');
    const env = { WARREN_PROXY_PORT: '2', WARREN_PROXY_ADMIN_PORT: '2' };
    const argv = ['--port', '3'];
    const ports = ({ config: { proxy } }: ReturnType<typeof load>) => [proxy.port, proxy.adminPort, proxy.backlog];
    expect(ports(load())).toEqual([8080, 8081, 511]);
    expect(ports(load({ files }))).toEqual([1, 1, 1]);
    expect(ports(load({ files, env }))).toEqual([2, 2, 1]);
    expect(ports(load({ files, env, argv }))).toEqual([3, 2, 1]);
  });

  test('remember where they come from', () => {
    const { values } = load({
      files: ini('\n[proxy]\nbacklog = 1\nport = 2\n'),
      env: { WARREN_PROXY_PORT: '2', WARREN_LOG: 'json' },
      argv: ['--log=off'],
    });
    const source = (key: (typeof settingKeys)[number]) => values.get(key)?.source;
    expect(source('proxy.backlog')).toEqual({ kind: 'file', file: 'warren.ini', line: 3, key: 'proxy.backlog' });
    expect(source('proxy.port')).toEqual({ kind: 'env', name: 'WARREN_PROXY_PORT' });
    expect(source('log.format')).toEqual({ kind: 'flag', name: '--log' });
    expect(source('data.dir')).toEqual({ kind: 'default' });
  });

  test('are frozen all the way down', () => {
    const { config } = load({ argv: ['--trusted', '::1'] });
    expect(() => Object.assign(config.proxy, { port: 1 })).toThrow(TypeError);
    expect(() => Object.assign(config.proxy.trusted, ['x'])).toThrow(TypeError);
    expect(() => Object.assign(config.routes[0] ?? {}, { path: '/x' })).toThrow(TypeError);
  });

  test('in one process do not leak into another load', () => {
    load({ argv: ['--port', '1', '--trusted', '::1'] });
    expect(load().config.proxy).toMatchObject({ port: 8080, trusted: [] });
  });

  test('of every kind can be given in the environment, by a name of their own', () => {
    expect(new Set(settingKeys.map(envName)).size).toBe(settingKeys.length);
    for (const key of settingKeys) {
      const { format, default: fallback } = settingOf(key);
      const text = format.format(fallback);
      if (text === '') continue;
      expect(load({ env: { [envName(key)]: text } }).values.get(key)).toMatchObject({ text, source: { kind: 'env' } });
    }
  });

  test('that are set to nothing in the environment are not set', () =>
    expect(load({ env: { WARREN_PROXY_PORT: '', WARREN_LOG: '  ' } }).config.proxy.port).toBe(8080));

  test('look like numbers to no parser: what was typed is what counts', () => {
    expect(load({ argv: ['--data', '0755'] }).config.data.dir).toBe('0755');
    expect(load({ env: { WARREN_DATA: '1e3' } }).config.data.dir).toBe('1e3');
    expect(load({ files: ini('[data]\ndir = true\n') }).config.data.dir).toBe('true');
  });

  test('that are lists add up over repeated flags; of others the last flag counts', () => {
    const argv = ['--broker', 'amqp://a,amqp://b', '--port', '1', '--broker=amqp://c', '--port=2'];
    const { broker, proxy } = load({ argv }).config;
    expect(broker.url).toEqual(['amqp://a', 'amqp://b', 'amqp://c']);
    expect(proxy.port).toBe(2);
  });

  test('may be absent as a default file, and come from another that --config names', () => {
    const files = { ...ini('[proxy]\nport = 1\n'), 'other.ini': '[proxy]\nbacklog = 7\n' };
    expect(load({ files, argv: ['--config', 'other.ini'] }).config.proxy).toMatchObject({ port: 8080, backlog: 7 });
  });

  test('do not look at the process', () => {
    process.env.WARREN_PROXY_PORT = '1';
    try {
      const readFile = () => '';
      expect(loadConfig({ command: 'proxy', argv: [], env: {}, readFile }).proxy.port).toBe(8080);
    } finally {
      delete process.env.WARREN_PROXY_PORT;
    }
  });
});

describe('one clear line', () => {
  test.each<[string, string]>([
    ['[proxy]\nport = abc', 'warren.ini:2: proxy.port must be a whole number from 0 to 65535, not "abc"'],
    ['[proxy]\nport = 65536', 'warren.ini:2: proxy.port must be a whole number from 0 to 65535, not "65536"'],
    ['[proxy]\nport =', 'warren.ini:2: proxy.port must be a whole number from 0 to 65535'],
    ['[proxy]\nprot = 1', 'warren.ini:2: unknown setting proxy.prot; did you mean proxy.port?'],
    ['[proxxy]\nport = 1', 'warren.ini:1: unknown section [proxxy]; did you mean proxy?'],
    ['[nonsense]', 'warren.ini:1: unknown section [nonsense]'],
    ['[proxy]\nport 8080', 'warren.ini:2: is neither [section] nor key = value'],
    ['port = 8080', 'warren.ini:1: port stands before the first [section]'],
    ['[log]\nformat = xml', 'warren.ini:2: log.format must be console, json or off, not "xml"'],
    ['[data]\ndir =', 'warren.ini:2: data.dir must not be empty'],
    ['[worker]\nconcurrency = 1001', 'worker.concurrency must be a whole number from 1 to 1000, not "1001"'],
    [
      '[worker]\nupstream = http://a, h:1',
      'worker.upstream must be http://host:port or https://host:port (item 2 of 2)',
    ],
    ['[demo]\nports = 1,1', 'demo.ports must be one or more different ports, not "1,1"'],
    [
      '[worker]\nlease_ms = 1s',
      'warren.ini:2: worker.lease_ms: worker.renew_ms (1000) must be less than worker.lease_ms (1000)',
    ],
  ])('%j', (text, line) => expect(errorOf({ files: ini(text) })).toContain(line));

  test.each<[string, readonly string[], string]>([
    ['an unknown flag', ['--prot', '1'], 'unknown flag --prot; did you mean --port?'],
    ['a flag of another command', ['--demo-ports', '1'], '--demo-ports is not a flag of warren proxy'],
    ['a flag without its value', ['--port'], '--port needs a value: --port PORT'],
    ['a flag in place of a value', ['--port', '--log', 'off'], '--port needs a value'],
    ['a value of the wrong type', ['--port', 'x'], '--port must be a whole number from 0 to 65535, not "x"'],
    ['a value out of range', ['--port=-1'], '--port must be a whole number from 0 to 65535, not "-1"'],
    ['a stray word', ['8080'], 'unexpected argument "8080"'],
    ['a missing file', ['--config', 'x.ini'], '--config x.ini cannot be read: there is no such file'],
  ])('for %s', (_, argv, line) => expect(errorOf({ argv })).toContain(line));

  test('for a bad variable', () =>
    expect(errorOf({ env: { WARREN_PROXY_PORT: 'x' } })).toBe(
      'WARREN_PROXY_PORT must be a whole number from 0 to 65535, not "x"',
    ));

  test('for a worker without a backend', () => expect(errorOf({ command: 'worker' })).toContain('worker.upstream'));

  test('for a file that is there and cannot be read', () => {
    const readFile = () => {
      throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    };
    const options = { command: 'proxy', argv: [], env: {}, readFile, defaultFile: 'warren.ini' } as const;
    expect(() => loadConfig(options)).toThrow('warren.ini cannot be read: no permission');
  });

  test('with the first of several problems and how many more there are', () =>
    expect(errorOf({ files: ini('[proxy]\nport = x\nprot = 1\n'), argv: ['--log', 'x'] })).toBe(
      'warren.ini:3: unknown setting proxy.prot; did you mean proxy.port? (and 2 more)',
    ));

  test('and no password, in whatever form the mistake is', () => {
    const attempts = [
      { argv: ['--broker', 'amqp://u:geheim@'] },
      { argv: ['--broker', 'amqp://u:geheim@h:99999'] },
      { argv: ['--brokr=amqp://u:geheim@h'] },
      { argv: ['amqp://u:geheim@h'] },
      { argv: ['--upstream', 'http://u:geheim@h'], command: 'worker' as const },
      { argv: ['--route', 'amqp://u:geheim@h'] },
      { env: { WARREN_BROKER_URL: 'http://u:geheim@h' } },
      { files: ini('[broker]\namqp://u:geheim@h/v?heartbeat=1\n') },
      { files: ini('[broker]\namqp://u:geheim@h\n') },
      { files: ini('amqp://u:geheim@h?x=1\n') },
    ];
    for (const given of attempts) expect(errorOf(given)).not.toContain('geheim');
  });

  test('whatever is typed: a Failure CONFIG of one line, or a configuration', () => {
    const word = fc.oneof(
      fc.constantFrom('--port', '--route', '--broker', '--log=', '--config'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 4 }), fc.string({ unit: 'binary' }), (argv, text) => {
        try {
          load({ argv, files: ini(text), env: { WARREN_ROUTES: text } });
        } catch {
          errorOf({ argv, files: ini(text), env: { WARREN_ROUTES: text } });
        }
      }),
    );
  });
});
