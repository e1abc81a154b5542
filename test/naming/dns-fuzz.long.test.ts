import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startDns } from '../../services/naming/dns-server.ts';
import { fuzz, packets } from './dns-fuzz.ts';
import { lookUp } from './look-up.ts';
import { sample } from './zones-under-test.ts';

test('100,000 random and mutated packets are answered as allowed, or not at all', () => {
  const seed = randomInt(2 ** 31);
  expect(fuzz(100_000, seed).problem, `seed ${seed}`).toBeUndefined();
}, 300_000);

test('100,000 of them over UDP and TCP leave the server as it was', async () => {
  const seed = randomInt(2 ** 31);
  const warned: string[] = [];
  const server = await startDns(
    { zones: () => sample, clock: () => performance.now(), warn: line => warned.push(line) },
    { host: '127.0.0.1', port: 0, rate: 0 },
  );
  const socket = createSocket('udp4');
  let heard = 0;
  let largest = 0;
  socket.on('message', ({ length }) => {
    heard++;
    largest = Math.max(largest, length);
  });
  const next = packets(seed);
  for (let i = 0; i < 100_000; i++) {
    const packet = next();
    if (i % 10 > 0) {
      socket.send(packet, server.port, '127.0.0.1');
      if (i % 20 === 1) await turn();
      continue;
    }
    if (i % 100 > 0) continue;
    const tcp = connect({ port: server.port, host: '127.0.0.1' });
    tcp.on('error', () => {});
    // With the right length before it, or as it is.
    const length = Buffer.alloc(2);
    length.writeUInt16BE(packet.length);
    tcp.end(i % 200 > 0 ? packet : Buffer.concat([length, packet]));
    tcp.resume();
    await once(tcp, 'close');
  }
  expect(await lookUp(server.port, 'backend.com', 'A'), `seed ${seed}`).toBe('10.0.0.1');
  socket.close();
  await server.close();
  expect(heard).toBeGreaterThan(10_000);
  expect(largest).toBeLessThanOrEqual(1232);
  expect(warned).toEqual([]);
}, 300_000);
