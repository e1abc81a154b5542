import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { tellWhereabouts } from '../../services/broker/home.ts';
import { keptAuthority } from '../../services/directory/authority-file.ts';
import { DirectoryStore, directoryDir } from '../../services/directory/store.ts';
import { temporaryDir } from '../support/broker.ts';
import { warren } from './network-of-processes.ts';

/** `warren invite` where accounts cannot be made on the broker: one line, and no invite is left behind. */

vi.setConfig({ testTimeout: 120_000 });

let dir = '';

beforeEach(async () => {
  dir = await temporaryDir();
  await mkdir(directoryDir(dir), { mode: 0o700 });
  await keptAuthority(directoryDir(dir), Date.now());
});

async function refusal(...flags: string[]): Promise<string> {
  const { code, out, err } = await warren(['invite', '--data', dir, ...flags]);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  using store = new DirectoryStore(directoryDir(dir));
  expect(store.invites.brokerAccounts(Date.now())).toEqual([]);
  return err;
}

test('no broker is known', async () => {
  expect(await refusal()).toMatch(/^warren: no broker is configured, and none runs for [^\n]+\n$/);
});

test('a broker that tells of no management API: what to set', async () => {
  await mkdir(join(dir, 'broker'), { mode: 0o700 });
  await tellWhereabouts(join(dir, 'broker'), { url: 'amqp://warren:secret@127.0.0.1:1', http: undefined });
  const line = await refusal();
  expect(line).toMatch(/^warren: nobody can join: [^\n]+; set broker\.http_url \(WARREN_BROKER_HTTP_URL\)[^\n]+\n$/);
  expect(line).not.toContain('secret');
});

test('the one that is guessed does not answer: where it was looked for, and what to set', async () => {
  const line = await refusal('--broker', 'amqp://warren:secret@127.0.0.1:1');
  expect(line).toMatch(
    /^warren: the broker's HTTP API at http:\/\/127\.0\.0\.1:15672 [^\n]+; is that [^\n]+ set broker\.http_url\n$/,
  );
  expect(line).not.toContain('secret');
});
