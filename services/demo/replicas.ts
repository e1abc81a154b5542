import { createBus } from '../bus/amqp-bus.ts';
import type { Bus } from '../bus/bus.ts';
import { roles } from '../bus/topology.ts';
import { type Demo, startDemo } from './demo.ts';

export interface Replicas {
  readonly replicas: readonly Demo[];
  /** Rejects when the broker refuses one of them for good (login, rights); resolves when all have been connected once. */
  readonly connected: Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts one replica for each port, each with a bus of its own, as if on machines of their own. Those without a name
 * are `backend-1`… by their place.
 * All of them or none.
 * @throws Failure PORT_TAKEN, PORT_REFUSED
 */
export async function startReplicas(
  {
    brokerUrls,
    ports,
    names = [],
    host = '127.0.0.1',
  }: { brokerUrls: readonly string[]; ports: readonly number[]; names?: readonly string[]; host?: string },
  log: (line: string) => void,
): Promise<Replicas> {
  const buses: Bus[] = [];
  const replicas: Demo[] = [];

  async function close(): Promise<void> {
    await Promise.all(replicas.map(replica => replica.close()));
    await Promise.all(buses.map(bus => bus.close()));
  }

  try {
    for (const [index, port] of ports.entries()) {
      const name = names[index] ?? `backend-${index + 1}`;
      const bus = createBus({ urls: brokerUrls, name, role: roles.demo() }, line => log(`${name}: ${line}`));
      buses.push(bus);
      replicas.push(await startDemo({ bus, now: Date.now }, { name, host, port }));
    }
  } catch (failure) {
    await close();
    throw failure;
  }
  const connected = Promise.all(buses.map(bus => bus.ready())).then(() => {});
  // Whoever does not look at it must not die of it, and closing before the broker was found is no failure.
  connected.catch(() => {});
  return { replicas, connected, close };
}
