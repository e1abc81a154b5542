import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nearest } from '../../services/config/nearest.ts';
import { formatReference } from '../../services/config/reference.ts';
import { envName, settingKeys, settingOf } from '../../services/config/settings.ts';
import { formatSettings } from '../../services/config/show.ts';
import { formatTemplate } from '../../services/config/template.ts';
import { load } from './given.ts';

describe('config show', () => {
  test('gives each value with where it comes from', () => {
    const text = formatSettings(
      load({
        command: 'config',
        files: { 'warren.ini': '[proxy]\nbacklog = 7\n' },
        env: { WARREN_DATA: '/srv/my # data' },
        argv: ['--port', '9000', '--route', '/=web;ttl=3'],
      }),
    ).replaceAll(/ +;/g, ' ;');
    expect(text).toContain('\nport = 9000 ; --port\n');
    expect(text).toContain('\nbacklog = 7 ; warren.ini:2\n');
    expect(text).toContain('\ndir = "/srv/my # data" ; WARREN_DATA\n');
    expect(text).toContain('\nadmin_port = 8081 ; default\n');
    expect(text).toContain('\n[route.*/] ; --route\nhost = *\npath = /\nservice = web\nttl = 3\n');
  });

  test('is itself a settings file that says the same', () => {
    const argv = ['--port=1', '--route=[::1]/x=a;ttl=9', '--route=/=b', '--data= x ;y', '--trusted=10.0.0.0/8,::1'];
    const first = load({ command: 'config', argv }).config;
    const files = { 'warren.ini': formatSettings(load({ command: 'config', argv })) };
    const second = load({ command: 'config', files }).config;
    const unnamed = ({ routes, ...rest }: typeof first) => ({ ...rest, routes: routes.map(r => ({ ...r, name: '' })) });
    expect(unnamed(second)).toEqual(unnamed(first));
  });

  test('never shows a password', () => {
    const url = (password: string) => `amqps://me:${encodeURIComponent(password)}@broker.example:5671/v`;
    fc.assert(
      fc.property(fc.stringMatching(/^Z[^,\s]{4,12}Z$/u), password => {
        const argv = ['--broker', url(password), '--broker', 'amqp://plain:5672'];
        const text = formatSettings(load({ command: 'config', argv }));
        expect(text).not.toContain(encodeURIComponent(password));
        expect(text).toContain('url = amqps://me:***@broker.example:5671/v,amqp://plain:5672');
      }),
    );
  });
});

describe('config init', () => {
  const template = formatTemplate();

  test('has every setting with its doc, its default commented out, and its other names', () => {
    for (const key of settingKeys.filter(name => name !== 'routes')) {
      const { doc, flag } = settingOf(key);
      expect(template).toContain(doc);
      expect(template).toContain(envName(key));
      if (flag !== undefined) expect(template).toContain(`--${flag.name}`);
    }
    expect(template).toContain('\n; port = 8080\n');
    expect(template).toContain('\n; header_limit = 32KiB\n');
  });

  test('changes nothing as it is', () => {
    for (const command of ['up', 'proxy', 'demo', 'config'] as const) {
      expect(load({ command, files: { 'warren.ini': template } }).config).toEqual(load({ command }).config);
    }
  });

  test('changes nothing with all of it uncommented', () => {
    const uncommented = template.replaceAll(/^; /gm, '');
    expect(uncommented.match(/^[a-z_]+ =/gm)?.length).toBe(settingKeys.length - 1 + 6);
    const { config, values } = load({ files: { 'warren.ini': uncommented } });
    expect(config).toEqual(load().config);
    expect([...values.values()].map(({ source }) => source.kind)).toEqual(settingKeys.map(() => 'file'));
  });
});

test('the reference for the documentation has a row for every setting', () => {
  const text = formatReference();
  for (const key of settingKeys) expect(text).toContain(`\`${envName(key)}\``);
});

test('the documentation has that reference as it is', () => {
  // To write it anew: node -e "import('./services/config/reference.ts').then(m => console.log(m.formatReference()))"
  expect(readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')).toContain(formatReference());
});

describe('a slip of the pen', () => {
  test.each([
    ['prot', 'port'],
    ['proxi', 'proxy'],
    ['wroker', 'worker'],
  ])('%s is meant as %s', (word, meant) => expect(nearest(word, ['up', 'port', 'proxy', 'worker'])).toBe(meant));

  test('is not seen in a word that is like none', () => expect(nearest('chat', ['up', 'proxy'])).toBeUndefined());
});
