import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Failure } from '../lib/failure.ts';
import { listen, listenFailure } from '../lib/listen.ts';
import { networkOf } from '../lib/network-of.ts';
import { answerTo } from './dns-message.ts';
import { createTcpServer, type TcpLimits, tcpLimits } from './dns-tcp.ts';
import type { HostPort } from './host-port.ts';
import { ResponseLimiter } from './response-limiter.ts';
import type { Zones } from './zone.ts';

export interface DnsNeeds {
  /** As they stand when a query has come. */
  readonly zones: () => Zones;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly warn: (line: string) => void;
}

export interface DnsOptions {
  readonly host: string;
  /** Of UDP and TCP; 0: any that is free for both. */
  readonly port: number;
  /** Answers over UDP a second to one address; 0: no limit. */
  readonly rate: number;
  readonly tcp?: TcpLimits;
}

export interface DnsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** For port 0: it may be free for TCP and not for UDP. */
const tries = 10;

/** @throws Failure PORT_TAKEN, PORT_DENIED, LISTEN */
export async function startDns(
  { zones, clock, warn }: DnsNeeds,
  { host, port, rate, tcp = tcpLimits }: DnsOptions,
): Promise<DnsServer> {
  for (let left = tries; ; left--) {
    const server = createTcpServer(zones, tcp);
    const sockets = new Set<{ destroy(): void }>();
    server.on('connection', socket => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    const bound = await listen(server, { host, port });
    server.on('error', error => warn(`DNS over TCP: ${error.message}`));
    const closeTcp = (): Promise<void> => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      return closed;
    };
    try {
      const udp = await bindUdp(host, bound);
      serveUdp(udp, { zones, clock, warn }, new ResponseLimiter({ perSecond: rate }));
      const closeUdp = (): Promise<void> => new Promise(resolve => udp.close(() => resolve()));
      return { port: bound, close: async () => void (await Promise.all([closeUdp(), closeTcp()])) };
    } catch (error) {
      await closeTcp();
      const isTaken = error instanceof Failure && error.code === 'PORT_TAKEN';
      if (port !== 0 || !isTaken || left <= 1) throw error;
    }
  }
}

function bindUdp(host: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: host === '' || isIPv6(host) ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      socket.close();
      reject(listenFailure(error, { host, port }));
    };
    socket.once('error', onError);
    socket.bind({ port, ...(host === '' ? {} : { address: host }) }, () => {
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

function serveUdp(socket: Socket, { zones, clock, warn }: DnsNeeds, limiter: ResponseLimiter): void {
  socket.on('error', error => warn(`DNS over UDP: ${error.message}`));
  // Who has gone is not our trouble: an answer is sent once.
  const sent = (): void => {};
  socket.on('message', (query, { address, port }) => {
    if (port === 0) return;
    const answering = limiter.next(networkOf(address), clock());
    if (answering === 'none') return;
    const answer = answerTo(query, 'udp', zones(), answering === 'brief');
    if (answer !== undefined) socket.send(answer, port, address, sent);
  });
}

/** Where a name server that listens on `host` is found: what listens on all addresses has those of the machine's interfaces. */
export function addressesOf(host: string): HostPort[] {
  const all = Object.values(networkInterfaces()).flatMap(each => each ?? []);
  const isAny = ['', '0.0.0.0', '::'].includes(host);
  const own = all.filter(({ internal, address, family }) =>
    isAny ? !internal && !address.startsWith('fe80:') && (host !== '0.0.0.0' || family === 'IPv4') : address === host,
  );
  return own.slice(0, 8).map(({ address, family }) => ({ host: address, family: family === 'IPv4' ? 4 : 6, port: 53 }));
}
