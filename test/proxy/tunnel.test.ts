import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClientWriter } from '../../services/proxy/client-writer.ts';
import { Tunnel } from '../../services/proxy/tunnel.ts';
import { closeFrame } from '../../services/proxy/websocket-frames.ts';

/** A connection whose other side takes what the test says. */
class FakeSocket extends Duplex {
  readonly written: Buffer[] = [];
  timeoutMs = 0;
  #taken: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, taken: () => void): void {
    this.written.push(chunk);
    this.#taken = taken;
  }

  override _read(): void {}

  setTimeout(ms: number): this {
    this.timeoutMs = ms;
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  /** The write that is under way. */
  async accept(): Promise<void> {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
    await turn();
  }

  get asSocket(): Socket {
    return this as unknown as Socket;
  }
}

describe('a writer', () => {
  test('hands over a piece at a time, and is patient only while one is under way', async () => {
    const socket = new FakeSocket();
    const writer = new ClientWriter(socket, socket.asSocket, 1_000);
    const taken: number[] = [];
    writer.write(Buffer.alloc(150 * 1024), bytes => taken.push(bytes));
    expect(socket.written.map(({ length }) => length)).toEqual([64 * 1024]);
    expect(socket.timeoutMs).toBe(1_000);
    for (let i = 0; i < 3; i++) await socket.accept();
    expect(taken).toEqual([64 * 1024, 64 * 1024, 22 * 1024]);
    expect(socket.timeoutMs).toBe(0);
    socket.emit('timeout');
    expect(socket.destroyed).toBe(false);
    writer.write(Buffer.from('more'));
    socket.emit('timeout');
    expect(socket.destroyed).toBe(true);
  });

  test('ends behind all that it has, and leaves the socket’s time alone then', async () => {
    const socket = new FakeSocket();
    const writer = new ClientWriter(socket, socket.asSocket, 1_000);
    writer.write(Buffer.alloc(100 * 1024));
    writer.end(() => socket.end());
    expect(socket.writableEnded).toBe(false);
    await socket.accept();
    expect(socket.timeoutMs).toBe(1_000);
    await socket.accept();
    expect(socket.writableFinished).toBe(true);
    expect(socket.timeoutMs).toBe(0);
    expect(socket.listenerCount('timeout')).toBe(0);
  });
});

describe('a tunnel', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  const part = (body: Buffer, last = false) => ({ job: '', attempt: '', index: 0, size: 0, last, body });

  function tunnel(protocol: string) {
    const socket = new FakeSocket();
    const events: string[] = [];
    const opened = new Tunnel({
      socket: socket.asSocket,
      protocol,
      job: { abandon: () => events.push('abandoned'), send: () => {}, credit: () => {} },
      head: Buffer.alloc(0),
      stallMs: 30_000,
      over: problem => events.push(problem ?? 'over'),
    });
    return { socket, events, tunnel: opened };
  }

  test('whose upstream has ended gives a slow client all of it, before its time to close begins', async () => {
    const { socket, events, tunnel: opened } = tunnel('echo');
    opened.part(part(Buffer.alloc(100 * 1024), true));
    expect(events).toEqual(['over']);
    for (let i = 0; i < 2; i++) {
      vi.advanceTimersByTime(10_000);
      expect(socket.destroyed).toBe(false);
      await socket.accept();
    }
    expect(socket.writableFinished).toBe(true);
    vi.advanceTimersByTime(2_000);
    expect(socket.destroyed).toBe(true);
  });

  test('that must go says so behind the frames that are still on their way, not among them', async () => {
    const { socket, events, tunnel: opened } = tunnel('websocket');
    const size = 70 * 1024;
    const frame = Buffer.concat([Buffer.from([0x82, 127, 0, 0, 0, 0, 0, size >> 16, (size >> 8) & 0xff, size & 0xff])]);
    opened.part(part(Buffer.concat([frame, Buffer.alloc(size)])));
    opened.breakOff('no broker');
    expect(events).toEqual(['no broker', 'abandoned']);
    for (let i = 0; i < 3; i++) await socket.accept();
    expect(socket.written.at(-1)).toEqual(closeFrame(1013, 'no broker'));
    expect(socket.writableFinished).toBe(true);
  });

  test('in the middle of a frame has no place for a word', () => {
    const { socket, tunnel: opened } = tunnel('websocket');
    opened.part(part(Buffer.from([0x82, 5, 0x68])));
    opened.breakOff('no broker');
    expect(socket.destroyed).toBe(true);
  });
});
