import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startDelayRelay } from '../../bench/parts/delay-relay.ts';
import { listen } from '../../services/lib/listen.ts';

const delayMs = 30;

async function behindRelay(take: (socket: Socket) => void): Promise<Socket> {
  const server = createServer({ allowHalfOpen: true }, socket => take(socket.on('error', () => {})));
  onTestFinished(() => void server.close());
  const relay = await startDelayRelay(await listen(server, { host: '127.0.0.1', port: 0 }), delayMs);
  onTestFinished(() => relay.close());
  const socket = connect({ port: relay.port, host: '127.0.0.1', allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

test('an answer takes the delay twice', async () => {
  const socket = await behindRelay(far => far.pipe(far));
  const startedAt = performance.now();
  socket.write('hello');
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toBe('hello');
  // A timer may be a millisecond early on its own clock.
  expect(performance.now() - startedAt).toBeGreaterThan(2 * delayMs - 3);
});

test('what is behind other bytes does not wait for them once more', async () => {
  const bytes = 32 * 2 ** 20;
  const socket = await behindRelay(far => far.end(Buffer.alloc(bytes)));
  let received = 0;
  const startedAt = performance.now();
  socket.on('data', chunk => {
    received += chunk.length;
  });
  await once(socket, 'end');
  expect(received).toBe(bytes);
  // In chunks of 64 KiB one after the other it would be 15 s.
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});

test('bytes arrive whole and in order, and then the end, while the other side goes on', async () => {
  const sent = randomBytes(8 * 2 ** 20);
  const socket = await behindRelay(far => {
    const all = createHash('sha256');
    far.on('data', chunk => all.update(chunk)).on('end', () => far.end(all.digest('hex')));
  });
  socket.end(sent);
  let answer = '';
  socket.on('data', chunk => {
    answer += chunk;
  });
  await once(socket, 'end');
  expect(answer).toBe(createHash('sha256').update(sent).digest('hex'));
});

test('a receiver that does not read loses nothing', async () => {
  const bytes = 16 * 2 ** 20;
  const socket = await behindRelay(far => far.end(Buffer.alloc(bytes, 'x')));
  socket.pause();
  await new Promise(resolve => setTimeout(resolve, 3 * delayMs));
  let received = 0;
  socket.on('data', chunk => {
    received += chunk.length;
  });
  socket.resume();
  await once(socket, 'end');
  expect(received).toBe(bytes);
});
