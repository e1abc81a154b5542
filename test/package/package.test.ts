import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../../services/cli/commands.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** As in a shell outside of the checkout with this Node on its PATH. */
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(?:npm_(?:package|lifecycle|config_local|config_prefix)|WARREN_)/.test(name),
    ),
  ),
  PATH: [
    dirname(process.execPath),
    ...(process.env.PATH ?? '').split(delimiter).filter(place => !place.includes('node_modules')),
  ].join(delimiter),
};

let home: string;
let tarball: string;
/** An empty folder in which the package was installed. */
let folder: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'warren-package-'));
  folder = await mkdtemp(join(home, 'folder-'));
  await run('npm', ['pack', '--silent', '--pack-destination', home], { cwd: root, env });
  tarball = join(home, (await readdir(home)).find(name => name.endsWith('.tgz')) ?? '');
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--omit=optional', tarball], {
    cwd: folder,
    env,
  });
}, 120_000);

afterAll(async () => rm(home, { recursive: true, force: true }));

const installed = (...parts: string[]): string => join(folder, 'node_modules', ...parts);

const warren = (...args: string[]) => run(installed('.bin/warren'), args, { cwd: folder, env });

describe('the package', () => {
  test('holds compiled code, what is served, and nothing else', async () => {
    const { stdout } = await run('tar', ['-tzf', tarball]);
    const files = stdout.trim().split('\n');
    expect(files.filter(file => /\.tsx?$|\/(?:test|bench|node_modules)\//.test(file))).toEqual([]);
    for (const file of ['bin/warren.js', 'dist/services/cli/main.js', 'dist/services/demo/page/index.html', 'LICENSE'])
      expect(files).toContain(`package/${file}`);
  });

  test('brings no Node along: whoever can run it has one', async () => {
    const manifest: unknown = JSON.parse(await readFile(installed('warren/package.json'), 'utf8'));
    expect(manifest).not.toHaveProperty('optionalDependencies');
    expect((await readdir(installed())).filter(name => name.startsWith('node-'))).toEqual([]);
  });

  test('tells its version', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(await warren('--version')).toEqual({ stdout: `warren ${version}\n`, stderr: '' });
  });

  test.each(commands.map(({ name }) => [name]))('has help for warren %s', async name => {
    const { stdout, stderr } = await warren(...name.split(' '), '--help');
    expect(stdout).toContain(`Usage: warren ${name}`);
    expect(stderr).toBe('');
  });

  test('runs the whole system in an empty folder with npx', async () => {
    const empty = await mkdtemp(join(home, 'empty-'));
    const name = basename(tarball);
    await copyFile(tarball, join(empty, name));
    const flags = [
      '--port',
      '0',
      '--admin-port',
      '0',
      '--demo-ports',
      '0,0,0',
      '--directory-port',
      '0',
      '--naming-port',
      '0',
      '--dns-port',
      '0',
    ];
    // A group of its own: a signal must reach what npx starts as well, as Ctrl-C does.
    const child = spawn('npx', ['--yes', '--prefer-offline', `./${name}`, 'up', ...flags], {
      cwd: empty,
      env,
      detached: true,
    });
    try {
      const closed = once(child, 'close');
      let said = '';
      let url = '';
      child.stderr.on('data', chunk => {
        said += chunk;
      });
      for await (const line of createInterface({ input: child.stdout })) {
        said += `${line}\n`;
        url = /^ +proxy +(http:\S+)/.exec(line)?.[1] ?? url;
        if (line === 'warren is up') break;
      }
      expect(said).toContain('warren is up');
      // `close` comes when all of it has been read.
      child.stdout.resume();
      const page = await run('curl', ['--silent', '--include', url]);
      expect(page.stdout).toMatch(/^HTTP\/1\.1 200 /);
      expect(page.stdout).toContain('</html>');
      const seen = new Set<string>();
      for (let i = 0; i < 3; i++) seen.add((await run('curl', ['--silent', `${url}/api/whoami`])).stdout);
      expect([...seen].map(text => JSON.parse(text).name).sort()).toEqual(['backend-1', 'backend-2', 'backend-3']);
      process.kill(-(child.pid ?? 0), 'SIGINT');
      await closed;
    } finally {
      if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL');
    }
  }, 120_000);
});
