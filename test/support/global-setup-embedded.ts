import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { randomHex } from '../../services/lib/random.ts';
import { startEmbeddedProcess } from './embedded-process.ts';
import './provided.ts';

/** The embedded broker as a process of its own, for all files of the project. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), 'warren-test-broker-'));
  const broker = await startEmbeddedProcess({ dir, user: 'test', password: randomHex(32) });
  const { url, version, kind, httpUrl } = broker;
  project.provide('broker', { name: project.name, url, version, kind, httpUrl });
  return async () => {
    await broker.close();
    await rm(dir, { recursive: true, force: true });
  };
}
