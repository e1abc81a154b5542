import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { Failure } from '../lib/failure.ts';
import { listen } from '../lib/listen.ts';

/**
 * A port of 127.0.0.1 that nobody listens on, below the range from which the kernel takes the ports of outgoing
 * connections: a broker must find its port free again after a restart, and a client that dials a stopped broker on a
 * port of that range now and then connects to itself.
 * @throws Failure PORT_TAKEN when none is found
 */
export async function freePort(): Promise<number> {
  const low = 15_000;
  const high = Math.max(low + 1_000, Math.min(ephemeralStart(), 60_000));
  for (let tries = 0; tries < 100; tries++) {
    const port = low + Math.floor(Math.random() * (high - low));
    if (await isFree(port)) return port;
  }
  throw new Failure('PORT_TAKEN', `no free port between ${low} and ${high} on 127.0.0.1`);
}

/** Whether a server can listen there now. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await listen(server, { host: '127.0.0.1', port });
  } catch {
    return false;
  }
  await new Promise(resolve => server.close(resolve));
  return true;
}

function ephemeralStart(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10) || 32_768;
  } catch {
    return 32_768;
  }
}
