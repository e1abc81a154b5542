import { describe, expect, inject, test } from 'vitest';
import { docker } from '../../services/up/docker.ts';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { startHolder } from './holder.ts';
import { listeningAddresses, loopback, processesWith } from './processes.ts';

/** The container and its volume. */
async function leftOf(name: string): Promise<string> {
  const container = await docker(['ps', '--all', '--quiet', '--filter', `name=${name}`]);
  return container + (await docker(['volume', 'ls', '--quiet', '--filter', `name=${name}`]));
}

describe.skipIf(inject('broker').kind !== 'container')('a RabbitMQ container', () => {
  test('is reached on loopback only, hides its password from inspect, and leaves nothing when closed', async () => {
    const broker = await ownBroker();
    const [name = ''] = /warren-broker-\w+/.exec(broker.describe) ?? [];
    const { port, password } = new URL(broker.url);
    expect(await listeningAddresses(Number(port))).toEqual([loopback[0]]);
    const inspected = await docker(['inspect', name]);
    expect(inspected).toContain(port);
    expect(inspected).not.toContain(password);
    await broker.close();
    expect(await leftOf(name)).toBe('');
  });

  test('is gone soon after its owner was killed', async () => {
    const dir = await temporaryDir();
    const holder = await startHolder('container', dir);
    const name = await docker(['ps', '--filter', `volume=${dir}/enabled_plugins`, '--format', '{{.Names}}']);
    expect(name).toMatch(/^warren-broker-/);
    await holder.kill();
    await until(
      () => leftOf(name),
      left => left === '',
      10_000,
    );
    await until(
      () => processesWith(dir),
      found => found.length === 0,
    );
  });
});
