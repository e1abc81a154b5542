import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commands } from '../../services/cli/commands.ts';
import { flagsOf } from '../../services/config/flags.ts';
import { envName } from '../../services/config/settings.ts';

const bin = fileURLToPath(new URL('../../bin/warren.js', import.meta.url));
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'warren-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs the real command in an empty folder, with no WARREN_ variables but the given ones. */
function warren(argv: readonly string[], env: Record<string, string> = {}, node = [process.execPath]) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^WARREN_|^NODE_/.test(name));
  const [file = '', ...before] = node;
  const options = {
    cwd: folder,
    env: { ...Object.fromEntries(inherited), ...env },
    encoding: 'utf8',
    timeout: 20_000,
  } as const;
  const { status, stdout, stderr } = spawnSync(file, [...before, bin, ...argv], options);
  return { status, stdout, stderr };
}

function expectMistake(argv: readonly string[], line: string, env?: Record<string, string>): void {
  const result = warren(argv, env);
  expect(result).toEqual({ status: 2, stdout: '', stderr: expect.stringMatching(/^warren: [^\n]+\n$/) });
  expect(result.stderr).toContain(line);
}

describe('help', () => {
  test.each(commands.map(command => [command.name, command] as const))('warren %s --help', (name, command) => {
    const { status, stdout, stderr } = warren([...name.split(' '), '--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`Usage: warren ${name}`);
    if (command.settings === undefined) return;
    for (const { key, flag } of flagsOf(command.settings)) {
      expect(stdout).toContain(`--${flag.name} ${flag.value}`.trimEnd());
      expect(stdout).toContain(envName(key));
    }
    expect(stdout).toContain('--config FILE');
  });

  test('names all commands, with no arguments, --help or help', () => {
    for (const argv of [[], ['--help'], ['-h'], ['help']]) {
      const { status, stdout } = warren(argv);
      expect(status).toBe(0);
      for (const { name, summary } of commands) expect(stdout).toMatch(new RegExp(`${name} +${summary.slice(0, 20)}`));
    }
  });

  test('of a command is also behind the word help', () => {
    expect(warren(['help', 'worker']).stdout).toBe(warren(['worker', '--help']).stdout);
    expect(warren(['help', 'config']).stdout).toBe(warren(['config', '--help']).stdout);
    expect(warren(['help', 'config', 'init']).stdout).toBe(warren(['config', 'init', '--help']).stdout);
  });

  test('is not needed for the version', () => {
    const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    const { version } = manifest as { version: string };
    expect(warren(['--version'])).toEqual({ status: 0, stdout: `warren ${version}\n`, stderr: '' });
  });
});

describe('a mistake is one line on stderr and exit code 2', () => {
  test.each([
    [['prxoy'], 'unknown command "prxoy"; did you mean warren proxy?'],
    [['confg', 'show'], 'unknown command "confg"; did you mean warren config?'],
    [['config', 'shw'], 'unknown command "config shw"; did you mean warren config show?'],
    [['config'], 'config init or config show'],
    [['help', 'nonsense'], 'unknown command "nonsense" (see warren --help)'],
    [['--port', '1'], '--port stands before a command'],
    [['proxy', '--prot', '1'], 'unknown flag --prot; did you mean --port?'],
    [['worker', '--upstream'], '--upstream needs a value: --upstream URL'],
    [['worker'], 'names no backend'],
    [['proxy', '--port', '70000'], '--port must be a whole number from 0 to 65535, not "70000"'],
    [['proxy', '--config', 'none.ini'], '--config none.ini cannot be read: there is no such file'],
    [['config', 'init', '--froce'], 'unknown flag --froce; did you mean --force?'],
    [['config', 'init', 'a', 'b'], 'takes one file'],
    [['config', 'init', 'none/warren.ini'], 'none/warren.ini cannot be written'],
  ])('warren %j', (argv, line) => expectMistake(argv, line));

  test('also in a variable', () => expectMistake(['up'], 'WARREN_LOG must be console', { WARREN_LOG: 'x' }));

  test('also in warren.ini, or when that is a folder', () => {
    writeFileSync(join(folder, 'warren.ini'), '[proxy]\nprot = 1\n');
    for (const { name, settings } of commands) {
      if (settings !== undefined) expectMistake(name.split(' '), 'warren.ini:2: unknown setting proxy.prot');
    }
    expectMistake(['proxy', '--config', '.'], '--config . cannot be read: it is a folder');
  });
});

describe('config', () => {
  test('init writes a file for this user alone, and never over one that is there without --force', () => {
    const file = join(folder, 'warren.ini');
    expect(warren(['config', 'init'])).toEqual({ status: 0, stdout: 'wrote warren.ini\n', stderr: '' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const template = readFileSync(file, 'utf8');
    writeFileSync(file, 'mine');
    expectMistake(['config', 'init'], 'warren.ini exists already; --force overwrites it');
    expect(readFileSync(file, 'utf8')).toBe('mine');
    expect(warren(['config', 'init', '--force']).status).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(template);
    expect(warren(['config', 'init', 'other.ini']).stdout).toBe('wrote other.ini\n');
  });

  test('show prints what counts and no password', () => {
    writeFileSync(join(folder, 'warren.ini'), '[proxy]\nport = 1234\n');
    const { status, stdout, stderr } = warren(['config', 'show'], { WARREN_BROKER_URL: 'amqp://me:geheim@h/v' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^port = 1234 +; warren\.ini:2$/m);
    expect(stdout).toMatch(/^url = amqp:\/\/me:\*\*\*@h\/v +; WARREN_BROKER_URL$/m);
    expect(stdout).not.toContain('geheim');
  });
});

describe('an old Node is told what to do', () => {
  const message =
    /^warren: needs Node 24\.15 or later [^\n]+ and this is [^\n]+ its own: npm start, npx warren \.\.\.\n$/;

  test.each(['12.22.12', '20.11.0', '24.14.9'])('%s', version => {
    const pretend = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
    const node = [process.execPath, '--import', `data:text/javascript,${encodeURIComponent(pretend)}`];
    expect(warren(['--version'], {}, node)).toEqual({ status: 1, stdout: '', stderr: expect.stringMatching(message) });
  });

  const system = (process.env.PATH ?? '')
    .split(delimiter)
    .filter(path => !path.includes('node_modules'))
    .map(path => join(path, 'node'))
    .find(file => existsSync(file));
  const version = system === undefined ? '' : spawnSync(system, ['--version'], { encoding: 'utf8' }).stdout;
  const old = Number(/^v(\d+)/.exec(version)?.[1] ?? 99) < 24;

  test.skipIf(!old)(`the system's own: ${version.trim() || 'none'}`, () => {
    expect(warren(['up'], {}, [system ?? ''])).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(message),
    });
  });
});
