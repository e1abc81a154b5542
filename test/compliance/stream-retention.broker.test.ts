import { describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { openPeer } from './clients.ts';
import { append, range, read, stream, textOf } from './stream.ts';

/** The body of the first entry that is still there. */
async function firstLeft(queue: string): Promise<number> {
  const peer = await openPeer();
  const next = await read(peer, queue, 'first', { prefetch: 1 });
  const first = Number(textOf(await next()).split(' ')[0]);
  peer.cut();
  return first;
}

describe('retention', () => {
  const segment = { 'x-stream-max-segment-size-bytes': 5_000 };

  test('by size drops whole segments from the front, and keeps the end', async () => {
    const { queue, peer } = await stream({ ...segment, 'x-max-length-bytes': 20_000 });
    await append(
      peer,
      queue,
      range(0, 200).map(i => `${i} ${'x'.repeat(500)}`),
    );
    // Bounded: what is left are the limit and a segment or two.
    await until(
      () => firstLeft(queue),
      left => left > 200 - 60,
    );
    const next = await read(peer, queue, 'first');
    const first = Number(textOf(await next()).split(' ')[0]);
    expect(first).toBeLessThan(200 - 20);
    for (const i of range(first + 1, 200)) expect(textOf(await next()).split(' ')[0]).toBe(i);
    // One who comes back too late begins with what is left.
    const late = await read(peer, queue, 3, { channel: 3 });
    expect(Number(textOf(await late()).split(' ')[0])).toBeGreaterThanOrEqual(first);
  });

  test('by age drops what is older, once something new is written', async () => {
    const { queue, peer } = await stream({ ...segment, 'x-max-age': '1s' });
    let count = 0;
    const first = await until(
      async () => {
        await append(
          peer,
          queue,
          range(count, count + 20).map(i => `${i} ${'x'.repeat(500)}`),
        );
        count += 20;
        return firstLeft(queue);
      },
      left => left > 0,
    );
    expect(first).toBeLessThan(count);
  });

  test('does not stop a reader that is in the middle', async () => {
    const { queue, peer } = await stream({ ...segment, 'x-max-length-bytes': 10_000 });
    const reader = await openPeer();
    const next = await read(reader, queue, 'first', { prefetch: 10 });
    const all = range(0, 100).map(i => `${i} ${'x'.repeat(500)}`);
    await append(peer, queue, all);
    let seen = -1;
    while (seen < 99) {
      const message = await next();
      const i = Number(textOf(message).split(' ')[0]);
      expect(i).toBeGreaterThan(seen);
      seen = i;
      reader.send(1, 'basic.ack', { deliveryTag: Number(message.fields.deliveryTag) });
    }
  });
});
