import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';

const everywhere = new Set(['', '0.0.0.0', '::']);

/**
 * Where others can dial this member, `host:port`, best first: as set; else the address that the server listens on; else the one
 * that this machine has towards the broker, which others reach too. (Loopback when the broker is on this machine.)
 */
export async function dialAddresses({
  advertise,
  host,
  port,
  brokerHost,
}: {
  advertise: readonly string[];
  host: string;
  port: number;
  brokerHost: string;
}): Promise<readonly string[]> {
  if (advertise.length > 0) return advertise.map(address => withPort(address, port));
  if (!everywhere.has(host)) return [join(host, port)];
  const own = await addressTowards(brokerHost);
  return own === undefined ? [] : [join(own, port)];
}

/** `host` and `[::1]` get the server's port; `host:port` has one. */
function withPort(address: string, port: number): string {
  if (isIPv6(address)) return join(address, port);
  return /:\d+$/.test(address) ? address : `${address}:${port}`;
}

function join(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** This machine's address on the way to a host; nothing is sent. Undefined where there is no way (now). */
async function addressTowards(host: string): Promise<string | undefined> {
  try {
    const { address, family } = await lookup(host);
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        // Any port: to connect it is only to choose a route.
        socket.connect(9, address, resolve);
      });
      return socket.address().address;
    } finally {
      socket.close();
    }
  } catch {
    return undefined;
  }
}
