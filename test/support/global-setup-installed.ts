import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { randomHex } from '../../services/lib/random.ts';
import { startRabbitNode } from '../../services/up/rabbitmq-node.ts';
import './provided.ts';

/** A private node of the RabbitMQ that is installed, for all files of the project. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), 'warren-test-broker-'));
  const broker = await startRabbitNode({ dir, user: 'test', password: randomHex(32) });
  const { url, version, kind } = broker;
  project.provide('broker', { name: project.name, url, version, kind });
  return async () => {
    await broker.close();
    await rm(dir, { recursive: true, force: true });
  };
}
