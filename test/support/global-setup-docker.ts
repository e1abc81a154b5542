import { GenericContainer, PullPolicy, Wait } from 'testcontainers';
import type { TestProject } from 'vitest/node';
import { randomHex } from '../../services/lib/random.ts';
import { askBroker } from '../../services/up/amqp-hello.ts';
import { brokerImage } from '../../services/up/container.ts';
import { freePort } from '../../services/up/free-port.ts';
import { brokerUrlOf } from '../../services/up/local-broker.ts';
import { tether } from '../../services/up/tether.ts';
import './provided.ts';

/** Testcontainers opens a port on all addresses of the machine; this one on 127.0.0.1 only. */
class LoopbackContainer extends GenericContainer {
  withLoopbackPort(container: number, host: number): this {
    this.withExposedPorts({ container, host });
    this.hostConfig.PortBindings = { [`${container}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: String(host) }] };
    return this;
  }
}

/** Removes the container when vitest is gone, also when it was killed. $1 its id. */
const untilWeAreGone = 'while read -r _; do :; done; docker rm -f -v "$1" >/dev/null 2>&1';

/** RabbitMQ in a container, for all files of the project. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Its reaper is one more image, which may not be here.
  process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
  const account = { user: 'test', password: randomHex(32) };
  const port = await freePort();
  const container = await new LoopbackContainer(brokerImage)
    .withLoopbackPort(5672, port)
    .withPullPolicy(PullPolicy.neverPull())
    .withEnvironment({ RABBITMQ_DEFAULT_USER: account.user, RABBITMQ_DEFAULT_PASS: account.password })
    .withCopyContentToContainer([{ content: '[].\n', target: '/etc/rabbitmq/enabled_plugins', mode: 0o644 }])
    .withWaitStrategy(Wait.forLogMessage(/Server startup complete/))
    .withStartupTimeout(90_000)
    .start();
  const held = tether(untilWeAreGone, [container.getId()], { env: process.env, graceMs: 10_000 });
  const close = async (): Promise<void> => {
    await container.stop({ timeout: 3_000 });
    held.release();
    await held.ended;
  };
  try {
    const url = brokerUrlOf(account, port);
    const { version } = await askBroker(url);
    project.provide('broker', { name: project.name, url, version, kind: 'container' });
    return close;
  } catch (error) {
    await close();
    throw error;
  }
}
