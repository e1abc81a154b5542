import { createBus } from '../../bus/amqp-bus.ts';
import type { Bus } from '../../bus/bus.ts';
import { placeOf } from '../../bus/session.ts';
import { roles } from '../../bus/topology.ts';
import { Failure } from '../../lib/failure.ts';

/** Until the broker has let us in, in milliseconds. */
const patienceMs = 3_000;

/** Asks something over the bus, by a connection for that alone. @throws Failure BUS_… when the broker cannot be had in some seconds */
export async function onBus<T>(urls: readonly string[], ask: (bus: Bus) => Promise<T>): Promise<T> {
  const bus = createBus({ urls, name: 'warren status', role: roles.caller() });
  try {
    await up(bus, urls);
    return await ask(bus);
  } finally {
    await bus.close(0);
  }
}

/** As `ready`, but says why when there is no time left. */
async function up(bus: Bus, [url = '']: readonly string[]): Promise<void> {
  const signal = AbortSignal.timeout(patienceMs);
  try {
    await bus.ready(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    const why = `cannot reach the broker at ${placeOf(url)}: no connection within ${patienceMs / 1_000} s`;
    throw new Failure('BUS_UNREACHABLE', why, { cause: error });
  }
}
