import { createServer, type Server, type Socket } from 'node:net';
import { networkOf } from '../lib/network-of.ts';
import { answerTo, largestQueryBytes } from './dns-message.ts';
import type { Zones } from './zone.ts';

export interface TcpLimits {
  /** Time for a whole query to arrive, and between queries (RFC 7766 §6.2.3). */
  readonly idleMs: number;
  readonly connections: number;
  readonly connectionsOfOne: number;
}

export const tcpLimits: TcpLimits = { idleMs: 10_000, connections: 200, connectionsOfOne: 20 };

/** Answers that wait to be taken, in bytes, before no more queries are read. */
const mostUnsent = 64 * 1024;

/** DNS over TCP (RFC 7766): queries one behind the other on a connection, each with its length before it, answered in order. */
export function createTcpServer(zones: () => Zones, { idleMs, connections, connectionsOfOne }: TcpLimits): Server {
  const counts = new Map<string, number>();
  const server = createServer({ noDelay: true }, socket => {
    const address = networkOf(socket.remoteAddress);
    const count = (counts.get(address) ?? 0) + 1;
    socket.on('error', () => {});
    if (count > connectionsOfOne) return void socket.destroy();
    counts.set(address, count);
    const stop = serve(socket, zones, idleMs);
    socket.once('close', () => {
      stop();
      const left = (counts.get(address) ?? 1) - 1;
      if (left === 0) counts.delete(address);
      else counts.set(address, left);
    });
  });
  server.maxConnections = connections;
  return server;
}

/** @returns what ends its timer */
function serve(socket: Socket, zones: () => Zones, idleMs: number): () => void {
  // A byte now and then does not count: only whole queries do.
  const timer = setTimeout(() => socket.destroy(), idleMs);
  let held: Buffer = Buffer.alloc(0);
  /** For the other side to take what it was sent, or for the next turn. */
  let isWaiting = false;
  const onData = (bytes: Buffer): void => {
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    answerHeld();
  };
  const answerHeld = (): void => {
    if (socket.destroyed || isWaiting) return;
    const answers: Buffer[] = [];
    let at = 0;
    let unsent = socket.writableLength;
    while (held.length - at >= 2 && unsent <= mostUnsent) {
      const length = held.readUInt16BE(at);
      if (length > largestQueryBytes) return void socket.destroy();
      if (held.length - at - 2 < length) break;
      const answer = answerTo(held.subarray(at + 2, at + 2 + length), 'tcp', zones());
      at += 2 + length;
      // What is no query has no place on a connection either.
      if (answer === undefined) return void socket.destroy();
      const head = Buffer.alloc(2);
      head.writeUInt16BE(answer.length);
      answers.push(head, answer);
      unsent += answer.length;
    }
    held = held.subarray(at);
    if (answers.length > 0) {
      timer.refresh();
      socket.write(Buffer.concat(answers));
    }
    // Whoever does not take its answers is not read from, until it does or its time is over.
    if (socket.writableNeedDrain) {
      socket.pause();
      socket.once('drain', () => {
        socket.resume();
        goOn();
      });
    } else if (unsent > mostUnsent) setImmediate(goOn);
    else return;
    isWaiting = true;
  };
  const goOn = (): void => {
    isWaiting = false;
    answerHeld();
  };
  socket.on('data', onData);
  return () => clearTimeout(timer);
}
