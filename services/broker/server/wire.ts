import type { Socket } from 'node:net';
import { destroyLater } from '../../lib/destroy-later.ts';

/** The other end: a socket, as far as a connection knows. */
export interface Wire {
  /** Address and port. */
  readonly remote: string;
  write(buffers: readonly Buffer[]): void;
  /** Bytes that the system has not taken yet. */
  readonly waitingBytes: number;
  pause(): void;
  resume(): void;
  /** Sends what is left, then closes. */
  end(): void;
  destroy(): void;
}

/** Milliseconds for a peer to take what is left and to close its side. */
const endMs = 2_000;

export function socketWire(socket: Socket): Wire {
  socket.setNoDelay(true);
  return {
    remote: `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`,
    write: buffers => {
      if (buffers.length === 1) {
        socket.write(buffers[0] as Buffer);
        return;
      }
      // One vectored write.
      socket.cork();
      for (const buffer of buffers) socket.write(buffer);
      socket.uncork();
    },
    get waitingBytes() {
      return socket.writableLength;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => {
      // What it still sends is read and forgotten: unread bytes would turn the end into a reset that overtakes our last words.
      socket.resume();
      socket.end();
      destroyLater(socket, endMs);
    },
    destroy: () => void socket.destroy(),
  };
}
