import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configAccounts } from '../../../services/cli/config-accounts.ts';
import { loadConfig } from '../../../services/config/load.ts';
import { randomHex } from '../../../services/lib/random.ts';
import { keepAccounts } from '../../../services/up/accounts/keep-accounts.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'warren-accounts-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const single = { nodes: ['amqp://rabbitmq:5672'], services: ['web'], queueType: 'classic' } as const;
const cluster = {
  nodes: ['amqp://rabbitmq', 'amqp://rabbitmq-2', 'amqp://rabbitmq-3'],
  services: ['web', 'shop.eu'],
  queueType: 'quorum',
} as const;

const read = (file: string): Promise<string> => readFile(join(dir, file), 'utf8');

async function contents(): Promise<Record<string, string>> {
  const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile());
  return Object.fromEntries(
    await Promise.all(
      files.map(async ({ parentPath, name }) => [
        join(parentPath, name),
        await readFile(join(parentPath, name), 'utf8'),
      ]),
    ),
  );
}

test('every role gets a URL with a password of its own, and RabbitMQ their hashes', async () => {
  expect(await keepAccounts(dir, cluster, randomHex)).toEqual([
    'admin',
    'proxy',
    'worker-web',
    'worker-shop.eu',
    'demo',
    'directory',
    'naming',
    'directory-accounts',
  ]);
  const { users, permissions } = JSON.parse(await read('broker/definitions.json'));
  const passwords = new Map([['admin', await read('broker/admin_password')]]);
  for (const [name, folder] of Object.entries({
    proxy: 'proxy',
    'worker-web': 'worker/web',
    'worker-shop.eu': 'worker/shop.eu',
    demo: 'demo',
    directory: 'directory',
    naming: 'naming',
  })) {
    const urls = (await read(`${folder}/broker_url`))
      .trim()
      .split('\n')
      .map(url => new URL(url));
    expect(urls.map(({ hostname }) => hostname).sort()).toEqual(['rabbitmq', 'rabbitmq-2', 'rabbitmq-3']);
    expect(new Set(urls.map(({ username, password }) => `${username} ${password}`)).size).toBe(1);
    expect(urls[0]?.username).toBe(name);
    passwords.set(name, urls[0]?.password ?? '');
    expect(await read(`${folder}/queue_type`)).toBe('quorum\n');
  }
  const keeper = new URL((await read('directory/broker_http_url')).split('\n')[0] ?? '');
  expect(keeper.href).toMatch(/^http:\/\/directory-accounts:[0-9a-f]{64}@rabbitmq:15672\/$/);
  passwords.set(keeper.username, keeper.password);
  expect(new Set(passwords.values()).size).toBe(8);
  expect(users.map(({ name }: { name: string }) => name)).toEqual([...passwords.keys()]);
  for (const { name, password_hash, tags } of users) {
    const bytes = Buffer.from(password_hash, 'base64');
    const expected = createHash('sha256')
      .update(bytes.subarray(0, 4))
      .update(passwords.get(name) ?? '')
      .digest();
    expect(bytes.subarray(4)).toEqual(expected);
    expect(tags).toEqual(name === 'admin' || name === 'directory-accounts' ? ['administrator'] : []);
    expect(passwords.get(name)).toMatch(/^[0-9a-f]{64}$/);
  }
  expect(permissions.filter(({ write }: { write: string }) => new RegExp(write).test('amq.default'))).toHaveLength(1);
});

test('the roles begin with different nodes of a cluster', async () => {
  await keepAccounts(dir, cluster, randomHex);
  const folders = ['proxy', 'worker/web', 'worker/shop.eu'];
  const firsts = await Promise.all(
    folders.map(async folder => new URL((await read(`${folder}/broker_url`)).split('\n')[0] ?? '').host),
  );
  expect(new Set(firsts).size).toBe(3);
});

test('nobody else can read them', async () => {
  await keepAccounts(dir, cluster, randomHex);
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const { mode } = await stat(join(entry.parentPath, entry.name));
    expect(mode & 0o777).toBe(entry.isDirectory() ? 0o700 : 0o600);
  }
});

test('a second time nothing changes', async () => {
  await keepAccounts(dir, single, randomHex);
  const before = await contents();
  expect(await keepAccounts(dir, single, randomHex)).toEqual([]);
  expect(await contents()).toEqual(before);
});

test('another broker, or one more service, leaves the passwords as they are', async () => {
  await keepAccounts(dir, single, randomHex);
  const { password } = new URL(await read('proxy/broker_url'));
  expect(await keepAccounts(dir, cluster, randomHex)).toEqual(['worker-shop.eu']);
  expect(new URL((await read('proxy/broker_url')).split('\n')[0] ?? '').password).toBe(password);
});

test('a cluster is told its nodes, a single one nothing', async () => {
  await keepAccounts(dir, single, randomHex);
  expect(await read('broker/cluster.conf')).toBe('');
  await keepAccounts(dir, cluster, randomHex);
  expect(await read('broker/cluster.conf')).toContain('cluster_formation.classic_config.nodes.3 = rabbit@rabbitmq-3\n');
});

test('the directory gets the management API of each node', async () => {
  await keepAccounts(dir, cluster, randomHex);
  const urls = (await read('directory/broker_http_url')).trim().split('\n');
  expect(urls.map(url => new URL(url).host)).toEqual(cluster.nodes.map(node => `${new URL(node).hostname}:15672`));
  const env = { WARREN_BROKER_HTTP_URL_FILE: join(dir, 'directory/broker_http_url') };
  const text = await contents();
  const { broker } = loadConfig({ command: 'directory', argv: [], env, readFile: path => text[path] ?? '' });
  expect(broker.httpUrl).toEqual(urls);
});

test('where it cannot write it says so', async () => {
  await writeFile(join(dir, 'file'), '');
  await expect(keepAccounts(join(dir, 'file'), single, randomHex)).rejects.toMatchObject({ code: 'ACCOUNTS' });
});

test('what it writes is what the settings read', async () => {
  const said: string[] = [];
  const io = { out: (text: string) => void said.push(text), err: () => {}, env: { WARREN_ROUTES: '/=shop' }, cwd: '/' };
  const argv = [dir, '--broker', 'amqp://rabbitmq:5672', '--queue-type', 'quorum'];
  await configAccounts.run(argv, new AbortController().signal, io);
  expect(said).toEqual(['made accounts admin, proxy, worker-shop, demo, directory, naming, directory-accounts\n']);
  const env = {
    WARREN_BROKER_URL_FILE: join(dir, 'worker/shop/broker_url'),
    WARREN_BROKER_QUEUE_TYPE_FILE: join(dir, 'worker/shop/queue_type'),
  };
  const text = await contents();
  const readFile = (path: string): string => text[path] ?? '';
  const keeper = { WARREN_BROKER_HTTP_URL_FILE: join(dir, 'directory/broker_http_url') };
  const { httpUrl } = loadConfig({ command: 'directory', argv: [], env: keeper, readFile }).broker;
  expect(httpUrl).toEqual([text[join(dir, 'directory/broker_http_url')]?.trim()]);
  const { broker } = loadConfig({ command: 'proxy', argv: [], env, readFile });
  expect(broker.queueType).toBe('quorum');
  expect(broker.url).toEqual([expect.stringMatching(/^amqp:\/\/worker-shop:[0-9a-f]{64}@rabbitmq:5672$/)]);
});

test.each<[readonly string[], string]>([
  [[], 'needs a folder first'],
  [['--broker', 'amqp://h'], 'needs a folder first'],
  [['dir'], 'where is the broker?'],
])('%j is refused in one line', async (argv, line) => {
  const io = { out: () => {}, err: () => {}, env: {}, cwd: '/' };
  await expect(configAccounts.run(argv, new AbortController().signal, io)).rejects.toThrow(line);
});
