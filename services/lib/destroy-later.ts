import type { Socket } from 'node:net';

/** Gives the other end of a socket that we have ended so many milliseconds to close its side. */
export function destroyLater(socket: Socket, ms: number): void {
  const timer = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => clearTimeout(timer));
}
