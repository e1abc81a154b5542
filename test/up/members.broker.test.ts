import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';

const ring = z.object({ nodes: z.array(z.object({ memberId: z.string() })) });
const listed = z.array(z.object({ id: z.string(), user: z.string(), isActive: z.boolean() }));

test('three members join by themselves, are there for each other, form a ring, and are the same after a kill', async () => {
  const broker = await ownBroker({ management: true });
  const dir = await temporaryDir();
  const at = ['--data', dir, '--broker', broker.url, '--broker-http', broker.httpUrl ?? ''];
  const ports = [
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
  const up = (): Promise<WarrenProcess> => spawnWarren(['up', ...at, ...ports]);
  const members = async (): Promise<z.infer<typeof listed>> => {
    await using list = await spawnWarren(['members', 'list', '--json', ...at]);
    expect(await list.exit).toBe(0);
    return listed.parse(JSON.parse(list.lines.join('\n')));
  };
  const active = (): Promise<z.infer<typeof listed>> =>
    until(members, found => found.length === 3 && found.every(({ isActive }) => isActive));

  let ids: string[];
  {
    await using first = await up();
    await first.line(/^ *cleo +member [0-9a-f]{12}, gRPC on port \d+; its home for --data: .+cleo$/);
    await first.line(/^warren is up$/);
    const tried = first.lines.find(line => /^ +try +warren files get /.test(line)) ?? '';
    const [what = '', home = ''] = /get (\S+) --data (\S+)$/.exec(tried)?.slice(1) ?? [];
    await using get = await spawnWarren(['files', 'get', what, '--data', resolve(first.cwd, home)]);
    expect(await get.exit).toBe(0);
    const bytes = await Promise.all(['ann', 'cleo'].map(name => readFile(join(dir, 'members', name, 'share', what))));
    expect(bytes[0]?.equals(bytes[1] ?? Buffer.alloc(0))).toBe(true);
    const found = await active();
    expect(found.map(({ user }) => user).sort()).toEqual(['ann', 'bob', 'cleo']);
    ids = found.map(({ id }) => id).sort();
    const inRing = await until(
      async () => {
        await using show = await spawnWarren(['ring', 'show', '--json', '--data', join(dir, 'members', 'bob')]);
        expect(await show.exit).toBe(0);
        return ring.parse(JSON.parse(show.lines.join('\n'))).nodes.map(({ memberId }) => memberId);
      },
      nodes => nodes.length === 3,
    );
    expect(inRing.sort()).toEqual(ids);
  }
  await using second = await up();
  await second.line(/^warren is up$/);
  expect((await active()).map(({ id }) => id).sort()).toEqual(ids);
  second.kill('SIGINT');
  expect(await second.exit).toBe(0);
}, 120_000);

test('without a way to make accounts on the broker, the rest is up, and one line says why there are no members', async () => {
  const broker = await ownBroker();
  const dir = await temporaryDir();
  const at = ['--data', dir, '--broker', broker.url, '--broker-http', 'http://a:b@127.0.0.1:1'];
  const ports = [
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
  await using warren = await spawnWarren(['up', ...at, ...ports]);
  await warren.line(/^warren is up$/);
  expect(warren.lines.filter(line => line.startsWith('there are no members here: '))).toHaveLength(1);
}, 60_000);
