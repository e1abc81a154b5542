import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../../services/up/free-port.ts';

/** A TCP relay that a test puts between a client and a server on 127.0.0.1, to do to the wire what networks do. */
export interface Relay extends AsyncDisposable {
  readonly port: number;
  /** Resets (RST) every connection on both sides. New ones are still taken; see `refuse`. */
  cut(): void;
  /** From now on new connections are refused; those that are open stay. */
  refuse(): void;
  /** Takes new connections again. */
  accept(): Promise<void>;
  /** Forwards no more bytes, neither way, on connections open and new; nobody is told. */
  freeze(): void;
  /** No more bytes from the client to the server. */
  freezeUpstream(): void;
  /** No more bytes from the server to the client. */
  freezeDownstream(): void;
  /** Forwards again, first what waited: nothing was lost. */
  thaw(): void;
  /** Clients that are connected now. */
  connections(): number;
  close(): Promise<void>;
}

interface Link {
  readonly near: Socket;
  readonly far: Socket;
}

/** @param targetPort on 127.0.0.1 */
export async function startRelay(targetPort: number): Promise<Relay> {
  const port = await freePort();
  const links = new Set<Link>();
  const frozen = { up: false, down: false };
  let server: Server | undefined;

  function take(near: Socket): void {
    const far = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const link: Link = { near, far };
    links.add(link);
    forward(near, far, () => frozen.up);
    forward(far, near, () => frozen.down);
    for (const side of [near, far]) side.on('close', () => near.destroyed && far.destroyed && links.delete(link));
    flow(link);
  }
  /** Bytes, end and reset of one side become those of the other, unless they are to be held back. */
  function forward(from: Socket, to: Socket, isFrozen: () => boolean): void {
    from.on('data', chunk => {
      if (to.write(chunk)) return;
      from.pause();
      to.once('drain', () => isFrozen() || from.resume());
    });
    from.on('end', () => to.end());
    from.on('error', () => isFrozen() || to.resetAndDestroy());
  }
  /** A paused socket reads nothing: its sender's window fills, and its end is not seen. */
  function flow({ near, far }: Link): void {
    if (frozen.up) near.pause();
    else near.resume();
    if (frozen.down) far.pause();
    else far.resume();
  }
  function setFrozen(up: boolean, down: boolean): void {
    Object.assign(frozen, { up, down });
    for (const link of links) {
      flow(link);
      // A side that was reset while it was frozen.
      if (!up && link.near.destroyed) link.far.resetAndDestroy();
      if (!down && link.far.destroyed) link.near.resetAndDestroy();
    }
  }
  function refuse(): void {
    server?.close();
    server = undefined;
  }
  async function accept(): Promise<void> {
    if (server !== undefined) return;
    server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, take);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  }
  function cut(): void {
    for (const { near, far } of links) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }
  async function close(): Promise<void> {
    refuse();
    cut();
  }

  await accept();
  return {
    port,
    cut,
    refuse,
    accept,
    freeze: () => setFrozen(true, true),
    freezeUpstream: () => setFrozen(true, frozen.down),
    freezeDownstream: () => setFrozen(frozen.up, true),
    thaw: () => setFrozen(false, false),
    connections: () => [...links].filter(({ near }) => !near.destroyed).length,
    close,
    [Symbol.asyncDispose]: close,
  };
}
