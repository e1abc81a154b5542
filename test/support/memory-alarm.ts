import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ChannelModel, connect } from 'amqplib';
import type { LocalBroker } from '../../services/up/local-broker.ts';

const run = promisify(execFile);

/** What an embedded broker of a test's own may hold. */
export const ownMemoryLimit = '64MiB';
const fill = { messages: 72, bytes: 1024 * 1024 };

/** What fills an embedded broker: a queue that nobody reads, and the connection that filled it. */
const fillers = new WeakMap<LocalBroker, { readonly queue: string; readonly publisher: ChannelModel }>();

/**
 * Raises or clears the broker's memory alarm: publishers are blocked while it stands. RabbitMQ's by its own control tool;
 * the embedded broker's as it comes about in life, by more messages than it may hold.
 */
export async function setMemoryAlarm(broker: LocalBroker, isOn: boolean): Promise<void> {
  if (broker.kind === 'embedded') return isOn ? fillUp(broker) : empty(broker);
  const command = ['set_vm_memory_high_watermark', ...(isOn ? ['absolute', '1000'] : ['0.4'])];
  if (broker.kind === 'container') {
    const { stdout } = await run('docker', ['ps', '-q', '--filter', `publish=${new URL(broker.url).port}`]);
    await run('docker', ['exec', stdout.trim(), 'rabbitmqctl', ...command]);
    return;
  }
  const dir = /data in (.*)$/.exec(broker.describe)?.[1] ?? '';
  const epmdPort = (await readFile(join(dir, 'node.pid'), 'utf8')).trim().split(' ')[2] ?? '';
  await run('/usr/lib/rabbitmq/bin/rabbitmqctl', ['-n', 'warren@localhost', ...command], {
    env: { PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: join(dir, 'home'), ERL_EPMD_PORT: epmdPort },
  });
}

async function fillUp(broker: LocalBroker): Promise<void> {
  const publisher = await connect(broker.url);
  publisher.on('error', () => {});
  const blocked = once(publisher, 'blocked');
  const channel = await publisher.createChannel();
  const { queue } = await channel.assertQueue(`filler-${randomUUID()}`, { durable: true });
  fillers.set(broker, { queue, publisher });
  const body = Buffer.alloc(fill.bytes);
  for (let count = 0; count < fill.messages; count++) channel.publish('', queue, body, { persistent: false });
  await blocked;
}

async function empty(broker: LocalBroker): Promise<void> {
  const filler = fillers.get(broker);
  if (!filler) return;
  fillers.delete(broker);
  const unblocked = once(filler.publisher, 'unblocked');
  const other = await connect(broker.url);
  await (await other.createChannel()).deleteQueue(filler.queue);
  await other.close();
  await unblocked;
  await filler.publisher.close();
}
