import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay to a broker that a test can cut: the one way to lose a connection without stopping the broker. */
export interface CuttableLink {
  /** The broker's URL, by way of the relay. */
  readonly url: string;
  /** Ends every connection, and refuses new ones until `mend`. */
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

export async function createCuttableLink(brokerUrl: string): Promise<CuttableLink> {
  const target = new URL(brokerUrl);
  const sockets = new Set<Socket>();
  let whole = true;
  const server = createServer(near => {
    if (!whole) return near.destroy();
    const far = connect(Number(target.port || 5672), target.hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(brokerUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);

  function cut(): void {
    whole = false;
    for (const socket of sockets) socket.destroy();
  }
  return {
    url: url.href,
    cut,
    mend: () => {
      whole = true;
    },
    close: async () => {
      cut();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
