import { chmod, chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { listen } from '../../services/lib/listen.ts';
import { startRabbitNode } from '../../services/up/rabbitmq-node.ts';
import { temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { startHolder } from './holder.ts';
import { listeningAddresses, loopback, processesWith } from './processes.ts';

const account = { user: 'test', password: 'known-to-the-test' };
const none = (found: readonly string[]): boolean => found.length === 0;

/** The shell that holds a node, and its part that waits for the owner's end. */
async function tethersOf(dir: string): Promise<number[]> {
  const shells = (await processesWith(dir)).filter(line => line.includes('/bin/sh -c'));
  return shells.map(line => Number.parseInt(line, 10));
}

describe.skipIf(inject('broker').kind !== 'rabbitmq-node')('a private RabbitMQ node', () => {
  test('listens on loopback only, keeps its files to its user, and leaves no process when stopped', async () => {
    const dir = await temporaryDir();
    await chmod(dir, 0o755);
    const node = await startRabbitNode({ dir, ...account });
    onTestFinished(() => node.close());
    const [beam = '', , epmdPort = ''] = (await readFile(join(dir, 'node.pid'), 'utf8')).trim().split(' ');
    expect(Number(beam)).toBe(node.pid);
    const environment = await readFile(`/proc/${beam}/environ`, 'latin1');
    const distPort = /RABBITMQ_DIST_PORT=(\d+)/.exec(environment)?.[1] ?? '';
    for (const port of [new URL(node.url).port, epmdPort, distPort]) {
      const addresses = await listeningAddresses(Number(port));
      expect(addresses.length, `port ${port}`).toBeGreaterThan(0);
      expect(loopback, `port ${port}`).toEqual(expect.arrayContaining(addresses));
    }
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    for (const file of ['rabbitmq.conf', 'log/rabbit.log', 'home/.erlang.cookie'])
      expect((await stat(join(dir, file))).mode & 0o077, file).toBe(0);

    expect((await processesWith(dir)).length).toBeGreaterThan(3);
    const before = performance.now();
    await node.stop();
    expect(performance.now() - before).toBeLessThan(4_000);
    expect(await processesWith(dir)).toEqual([]);
  });

  test('is gone soon after its owner was killed', async () => {
    const dir = await temporaryDir();
    const holder = await startHolder('node', dir);
    await holder.kill();
    await until(() => processesWith(dir), none, 5_000);
  });

  test('ends first what an owner and its tether left running', async () => {
    const dir = await temporaryDir();
    const first = await startHolder('node', dir);
    const tethers = await tethersOf(dir);
    expect(tethers).toHaveLength(2);
    // Nobody is left to end the node, not even the shell that holds it.
    for (const pid of tethers) process.kill(pid, 'SIGKILL');
    await first.kill();
    const [beam] = (await readFile(join(dir, 'node.pid'), 'utf8')).split(' ');
    const second = await startRabbitNode({ dir, ...account });
    expect(await processesWith(dir)).not.toContainEqual(expect.stringMatching(`^${beam} `));
    await second.close();
    expect(await processesWith(dir)).toEqual([]);
  });

  test('stops also when somebody killed the shell that holds it', async () => {
    const dir = await temporaryDir();
    const node = await startRabbitNode({ dir, ...account });
    for (const pid of await tethersOf(dir)) process.kill(pid, 'SIGKILL');
    await node.stop();
    expect(await processesWith(dir)).toEqual([]);
  });

  test('says which port is taken', async () => {
    const server = createServer();
    onTestFinished(() => void server.close());
    const port = await listen(server, { host: '127.0.0.1', port: 0 });
    const starting = startRabbitNode({ dir: await temporaryDir(), ...account, port });
    await expect(starting).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringContaining(String(port)),
    });
  });

  test('that cannot start says why in one line, names its log and leaves no process', async () => {
    const dir = await temporaryDir();
    // The file that the server makes its directory under.
    const blocked = join(dir, 'data', 'warren@localhost');
    await mkdir(join(dir, 'data'));
    await writeFile(blocked, 'not a directory');
    const starting = startRabbitNode({ dir, ...account });
    await expect(starting).rejects.toMatchObject({
      code: 'BROKER_START',
      message: expect.stringMatching(/^[^\n]*log: [^\n]*rabbit\.log\)$/),
    });
    expect(await processesWith(dir)).toEqual([]);
  });

  test('a start that is called off leaves no process', async () => {
    const dir = await temporaryDir();
    const off = new AbortController();
    const starting = startRabbitNode({ dir, ...account, signal: off.signal });
    const refused = expect(starting).rejects.toThrow('called off');
    await until(
      () => processesWith(dir),
      found => found.some(line => line.includes('beam')),
    );
    off.abort(new Error('called off'));
    await refused;
    expect(await processesWith(dir)).toEqual([]);
  });

  test.skipIf(process.getuid?.() !== 0)('starts for a user without rights', async () => {
    const nobody = 65_534;
    const dir = await temporaryDir();
    await chown(dir, nobody, nobody);
    const holder = await startHolder('node', dir, nobody);
    expect(holder.url).toMatch(/^amqp:/);
    await holder.kill();
    await until(() => processesWith(dir), none, 5_000);
  });
});
