import { expect, test } from 'vitest';
import { envName, fileVariable, settingKeys, settingOf } from '../../services/config/settings.ts';
import { formatSettings } from '../../services/config/show.ts';
import { errorOf, load } from './given.ts';

const secret = '/run/secrets/broker';
const env = { WARREN_BROKER_URL_FILE: secret };

test('a variable with _FILE names a file that holds the value, blanks around it aside', () => {
  const { config, values } = load({ env, files: { [secret]: '  amqp://me:geheim@h:5672/v\n' } });
  expect(config.broker.url).toEqual(['amqp://me:geheim@h:5672/v']);
  expect(values.get('broker.url')?.source).toEqual({ kind: 'env', name: 'WARREN_BROKER_URL_FILE' });
});

test('of a list the file may have one item a line', () =>
  expect(load({ env, files: { [secret]: 'amqp://a\n amqp://b\r\namqp://c,amqp://d\n' } }).config.broker.url).toEqual([
    'amqp://a',
    'amqp://b',
    'amqp://c',
    'amqp://d',
  ]));

test('every setting can be given so, and no such name is that of another setting', () => {
  const names = settingKeys.map(envName);
  for (const key of settingKeys) {
    expect(names).not.toContain(fileVariable(key));
    const { format, default: fallback } = settingOf(key);
    const text = format.format(fallback);
    if (text === '') continue;
    const { values } = load({ env: { [fileVariable(key)]: '/f' }, files: { '/f': `${text}\n` } });
    expect(values.get(key)).toEqual({ text, source: { kind: 'env', name: fileVariable(key) } });
  }
});

test('it stands where the variable stands: before the settings file, behind a flag', () => {
  const files = { 'warren.ini': '[proxy]\nport = 1\n', '/port': '2' };
  const variables = { WARREN_PROXY_PORT_FILE: '/port' };
  expect(load({ files, env: variables }).config.proxy.port).toBe(2);
  expect(load({ files, env: variables, argv: ['--port', '3'] }).config.proxy.port).toBe(3);
});

test('set to nothing it is not set', () =>
  expect(load({ env: { WARREN_PROXY_PORT_FILE: ' ', WARREN_PROXY_PORT: '2' } }).config.proxy.port).toBe(2));

test('what is wrong with it is one line', () => {
  expect(errorOf({ env })).toBe(`WARREN_BROKER_URL_FILE: ${secret} cannot be read: there is no such file`);
  expect(errorOf({ env, files: { [secret]: '\n' } })).toBe(`WARREN_BROKER_URL_FILE: ${secret} is empty`);
  expect(errorOf({ env: { ...env, WARREN_BROKER_URL: 'amqp://h' }, files: { [secret]: 'amqp://h' } })).toBe(
    'WARREN_BROKER_URL and WARREN_BROKER_URL_FILE are both set: keep one of them',
  );
  expect(errorOf({ env: { WARREN_PROXY_PORT_FILE: '/port' }, files: { '/port': 'x' } })).toBe(
    'WARREN_PROXY_PORT_FILE must be a whole number from 0 to 65535, not "x"',
  );
});

test('what it holds is shown as little as any other secret', () => {
  expect(errorOf({ env, files: { [secret]: 'http://me:geheim@h' } })).not.toContain('geheim');
  const text = formatSettings(load({ command: 'config', env, files: { [secret]: 'amqp://me:geheim@h' } }));
  expect(text).toMatch(/^url = amqp:\/\/me:\*\*\*@h +; WARREN_BROKER_URL_FILE$/m);
});
