import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LocalBroker } from '../../services/up/local-broker.ts';

const run = promisify(execFile);

/** Raises or clears the broker's memory alarm, by its own control tool: publishers are blocked while it stands. */
export async function setMemoryAlarm(broker: LocalBroker, isOn: boolean): Promise<void> {
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
