import type { TestProject } from 'vitest/node';
import { askBroker } from '../../services/up/amqp-hello.ts';
import './provided.ts';

/** The broker that WARREN_BROKER_URL names. */
export async function setup(project: TestProject): Promise<void> {
  const url = process.env.WARREN_BROKER_URL ?? '';
  const { version } = await askBroker(url, 10_000);
  project.provide('broker', { name: project.name, url, version, kind: 'configured' });
}
