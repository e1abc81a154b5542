import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { partBytes } from '../../services/lib/parts.ts';
import { BodyPump, type PumpOptions } from '../../services/proxy/body-pump.ts';
import type { BodyRefusal } from '../../services/proxy/request-body.ts';

afterEach(() => void vi.useRealTimers());

function pump(beginning = '', some: Partial<PumpOptions> = {}) {
  const source = new PassThrough();
  const sent: { body: Buffer; last: boolean }[] = [];
  const refusals: BodyRefusal[] = [];
  const pump = new BodyPump(source, Buffer.from(beginning), {
    limitBytes: 1_000_000_000,
    progressMs: undefined,
    send: (body, last) => void sent.push({ body, last }),
    refuse: refusal => void refusals.push(refusal),
    ...some,
  });
  return { source, sent, refusals, pump };
}

test('whatever a client says, and however credit comes: every byte goes in order, none beyond credit, one part is the last', async () => {
  const sizes = fc.array(fc.nat(100_000), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.nat(1_000), sizes, fc.infiniteStream(fc.nat(90_000)), async (first, list, credits) => {
      const { source, sent, pump: body } = pump('b'.repeat(first));
      const chunks = list.map((size, i) => Buffer.alloc(size, i));
      for (const chunk of chunks) source.write(chunk);
      source.end();
      let granted = 0;
      const size = (): number => sent.reduce((sum, part) => sum + part.body.length, 0);
      while (!body.isOver) {
        granted += credits.next().value + 1;
        body.credit(granted);
        body.credit(granted - 1);
        await turn();
        expect(size()).toBeLessThanOrEqual(granted);
      }
      const whole = Buffer.concat([Buffer.alloc(first, 'b'), ...chunks]);
      expect(Buffer.concat(sent.map(part => part.body)).equals(whole)).toBe(true);
      expect(sent.map(({ last }) => last)).toEqual(sent.map((_part, i) => i === sent.length - 1));
      expect(sent.every(part => part.body.length <= partBytes)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('reads no more than it may send', async () => {
  const { source, sent, pump: body } = pump();
  const isTaken = (): boolean => source.write(Buffer.alloc(16 * 1024));
  body.credit(10);
  let written = 0;
  while (isTaken() && written < 100) written++;
  await turn();
  while (isTaken() && written < 100) written++;
  expect(written).toBeLessThan(10);
  expect(sent).toHaveLength(1);
});

test('is impatient with a client while something is welcome, and only then', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { source, refusals, sent, pump: body } = pump('', { progressMs: 1_000 });
  vi.advanceTimersByTime(10_000);
  expect(refusals).toEqual([]);
  body.credit(5);
  vi.advanceTimersByTime(900);
  source.write('hello world');
  await turn();
  expect(sent).toHaveLength(1);
  // The worker takes its time; that is not the client's fault.
  vi.advanceTimersByTime(10_000);
  expect(refusals).toEqual([]);
  body.credit(100);
  vi.advanceTimersByTime(999);
  expect(refusals).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(refusals).toMatchObject([{ status: 408 }]);
  body.credit(1_000);
  expect(sent.map(part => part.body.toString())).toEqual(['hello', ' world']);
});

test('refuses a body that grows beyond the limit, once, and sends nothing more of it', async () => {
  const { source, refusals, sent, pump: body } = pump('12345', { limitBytes: 10 });
  body.credit(1_000);
  source.write('67890');
  await turn();
  source.write('x');
  source.write('y');
  await turn();
  expect(refusals).toMatchObject([{ status: 413 }]);
  expect(sent.map(part => part.last)).toEqual([false, false]);
});
