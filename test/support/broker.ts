import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { randomHex } from '../../services/lib/random.ts';
import { startContainer } from '../../services/up/container.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { findRabbit } from '../../services/up/rabbitmq-install.ts';
import { startRabbitNode } from '../../services/up/rabbitmq-node.ts';
import { startEmbeddedProcess } from './embedded-process.ts';
import { ownMemoryLimit } from './memory-alarm.ts';
import type { ProvidedBroker } from './provided.ts';

/** The broker that all tests of the project share, with an administrator's account. Keep apart by `uniqueName`. */
export function brokerUrl(): string {
  return inject('broker').url;
}

/**
 * A broker of the same kind as the project's, for one test alone: to be stopped, killed, frozen. Takes 2 to 4 s, the embedded one half a second; with `management` it has an HTTP API in any case. Closed
 * when the test ends; one that was started in a `beforeAll` is to be closed in the `afterAll`.
 */
export async function ownBroker({ management = false } = {}): Promise<LocalBroker> {
  const dir = await mkdtemp(join(tmpdir(), 'warren-test-'));
  const account = { user: 'test', password: randomHex(32) };
  const { kind } = inject('broker');
  const broker = await startOf(kind, { dir, ...account, management });
  const close = async (): Promise<void> => {
    await broker.close();
    await rm(dir, { recursive: true, force: true });
  };
  atEnd(close);
  return {
    ...broker,
    get pid() {
      return broker.pid;
    },
    close,
  };
}

function startOf(
  kind: ProvidedBroker['kind'],
  options: { dir: string; user: string; password: string; management: boolean },
): Promise<LocalBroker> {
  // Small enough to be filled by a test, see `setMemoryAlarm`.
  if (kind === 'embedded') return startEmbeddedProcess({ ...options, flags: ['--memory-limit', ownMemoryLimit] });
  const inContainer = kind === 'container' || (kind === 'configured' && findRabbit() === undefined);
  return inContainer ? startContainer({ ...options, keepData: false }) : startRabbitNode(options);
}

/** An empty directory, removed at the end of the test. */
export async function temporaryDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'warren-test-'));
  atEnd(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A name that no other test has, for a service, a queue, a member. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`;
}

/** Last in, first out. Vitest refuses outside of a test; there it is the caller's. */
function atEnd(end: () => Promise<void>): void {
  try {
    onTestFinished(end, 30_000);
  } catch {}
}
