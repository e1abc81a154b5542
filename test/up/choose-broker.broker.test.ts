import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { listen } from '../../services/lib/listen.ts';
import { askBroker } from '../../services/up/amqp-hello.ts';
import {
  type BrokerChoice,
  type BrokerKind,
  type ChosenBroker,
  chooseBroker,
} from '../../services/up/choose-broker.ts';
import { docker } from '../../services/up/docker.ts';
import { temporaryDir } from '../support/broker.ts';
import { startHolder } from './holder.ts';

const { kind: provided } = inject('broker');
const kinds = {
  'rabbitmq-node': 'rabbitmq',
  container: 'container',
  embedded: 'embedded',
  configured: 'embedded',
} as const;
const kind: BrokerKind = kinds[provided];
/** What the broker itself says first of itself. */
const name = kind === 'embedded' ? 'Warren' : 'RabbitMQ';

async function choose(dataDir: string, rest: Partial<BrokerChoice> = {}): Promise<ChosenBroker & { said: string[] }> {
  const said: string[] = [];
  const chosen = await chooseBroker({ urls: [], dataDir, kind, say: line => said.push(line), ...rest });
  onTestFinished(async () => {
    await chosen.close();
    // What a container kept is not in the directory.
    const [, volume] = /the volume (\S+)/.exec(chosen.describe) ?? [];
    if (volume !== undefined) await docker(['volume', 'rm', volume]);
  });
  return { ...chosen, said };
}

describe('the choice of a broker', () => {
  test('takes what is configured, and starts nothing', async () => {
    const urls = ['amqps://user:secret@broker.example:5671', 'amqp://other'];
    const chosen = await choose('/does/not/exist', { urls });
    expect(chosen.urls).toBe(urls);
    expect(chosen.describe).toBe('as configured: amqps://broker.example:5671, amqp://other');
    expect(chosen.said).toEqual([]);
  });

  test('starts one; another with the same data directory finds it, and only the owner ends it', async () => {
    const dataDir = await temporaryDir();
    // At the same moment: one of them becomes the owner, the other waits for it.
    const [one, two] = await Promise.all([choose(dataDir), choose(dataDir)]);
    expect(one.urls).toEqual(two.urls);
    const [owner, user] = one.describe.startsWith(name) ? [one, two] : [two, one];
    const [url = ''] = owner.urls;
    expect(user.describe).toContain(`the one of process ${process.pid}`);
    expect(owner.describe).not.toContain(new URL(url).password);
    // One that takes seconds is announced.
    expect(owner.said).toHaveLength(kind === 'embedded' ? 0 : 1);

    const file = join(dataDir, 'broker', 'url');
    expect((await readFile(file, 'utf8')).trim()).toBe(url);
    for (const each of ['url', 'account']) expect((await stat(join(dataDir, 'broker', each))).mode & 0o777).toBe(0o600);
    expect((await stat(join(dataDir, 'broker'))).mode & 0o777).toBe(0o700);

    await user.close();
    await askBroker(url);
    await owner.close();
    await expect(askBroker(url)).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.skipIf(kind === 'container')(
    'after an owner that was killed it starts its own, on the same data and account',
    async () => {
      const dataDir = await temporaryDir();
      const holder = await startHolder(`choose-${kind}`, dataDir);
      expect((await choose(dataDir)).urls).toEqual([holder.url]);
      await holder.kill();
      const next = await choose(dataDir);
      expect(next.describe).toContain(name);
      expect(new URL(next.urls[0] ?? '').password).toBe(new URL(holder.url).password);
      await askBroker(next.urls[0] ?? '');
    },
  );

  test.runIf(kind === 'embedded')('the embedded one comes back on the port that it had, or on another', async () => {
    const dataDir = await temporaryDir();
    const first = await choose(dataDir);
    await first.close();
    const second = await choose(dataDir);
    expect(second.urls).toEqual(first.urls);
    await second.close();
    const port = Number(new URL(first.urls[0] ?? '').port);
    const other = createServer();
    onTestFinished(() => void other.close());
    await listen(other, { host: '127.0.0.1', port });
    const third = await choose(dataDir);
    expect(new URL(third.urls[0] ?? '').port).not.toBe(String(port));
    await askBroker(third.urls[0] ?? '');
  });

  test.runIf(kind === 'embedded')(
    'the embedded one is ready within 300 ms, and tells where its HTTP API is',
    async () => {
      const dataDir = await temporaryDir();
      const times: number[] = [];
      for (let i = 0; i < 3; i++) {
        const before = performance.now();
        const chosen = await choose(dataDir);
        times.push(performance.now() - before);
        const http = new URL((await readFile(join(dataDir, 'broker', 'http-url'), 'utf8')).trim());
        const { username, password, origin } = http;
        const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
        const answer = await fetch(`${origin}/api/overview`, { headers: { authorization } });
        expect(await answer.json()).toMatchObject({ product_name: 'Warren' });
        await chosen.close();
      }
      // The machine is shared: the best of three.
      expect(Math.min(...times)).toBeLessThan(300);
    },
  );
});
