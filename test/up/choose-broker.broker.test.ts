import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { askBroker } from '../../services/up/amqp-hello.ts';
import { type BrokerChoice, type ChosenBroker, chooseBroker } from '../../services/up/choose-broker.ts';
import { docker, dockerState } from '../../services/up/docker.ts';
import { findRabbit } from '../../services/up/rabbitmq-install.ts';
import { temporaryDir } from '../support/broker.ts';
import { startHolder } from './holder.ts';

const { kind } = inject('broker');
/** Chooses as on a machine that has the project's kind of broker and no other. */
const look: NonNullable<BrokerChoice['look']> =
  kind === 'container'
    ? { findRabbit: () => undefined, dockerState }
    : { findRabbit, dockerState: async () => ({ ok: false, why: 'none' }) };

async function choose(dataDir: string, rest: Partial<BrokerChoice> = {}): Promise<ChosenBroker & { said: string[] }> {
  const said: string[] = [];
  const chosen = await chooseBroker({ urls: [], dataDir, say: line => said.push(line), look, ...rest });
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

  test('without any on the machine it fails with one line that says how to get one', async () => {
    const nothing = { findRabbit: () => undefined, dockerState: async () => ({ ok: false, why: 'none' }) as const };
    const choosing = choose(await temporaryDir(), { look: nothing });
    await expect(choosing).rejects.toMatchObject({
      code: 'NO_BROKER',
      message: expect.stringMatching(/^[^\n]*apt-get install rabbitmq-server[^\n]*--broker[^\n]*$/),
    });
  });

  test('starts one; another with the same data directory finds it, and only the owner ends it', async () => {
    const dataDir = await temporaryDir();
    // At the same moment: one of them becomes the owner, the other waits for it.
    const [one, two] = await Promise.all([choose(dataDir), choose(dataDir)]);
    expect(one.urls).toEqual(two.urls);
    const [owner, user] = one.describe.startsWith('RabbitMQ') ? [one, two] : [two, one];
    const [url = ''] = owner.urls;
    expect(user.describe).toContain(`the one of process ${process.pid}`);
    expect(owner.describe).not.toContain(new URL(url).password);
    expect(owner.said).toHaveLength(1);

    const file = join(dataDir, 'broker', 'url');
    expect((await readFile(file, 'utf8')).trim()).toBe(url);
    for (const each of ['url', 'password'])
      expect((await stat(join(dataDir, 'broker', each))).mode & 0o777).toBe(0o600);
    expect((await stat(join(dataDir, 'broker'))).mode & 0o777).toBe(0o700);

    await user.close();
    await askBroker(url);
    await owner.close();
    await expect(askBroker(url)).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.skipIf(kind !== 'rabbitmq-node')(
    'after an owner that was killed it starts its own, on the same data and account',
    async () => {
      const dataDir = await temporaryDir();
      const holder = await startHolder('choose', dataDir);
      expect((await choose(dataDir)).urls).toEqual([holder.url]);
      await holder.kill();
      const next = await choose(dataDir);
      expect(next.describe).toContain('RabbitMQ');
      expect(new URL(next.urls[0] ?? '').password).toBe(new URL(holder.url).password);
      await askBroker(next.urls[0] ?? '');
    },
  );
});
