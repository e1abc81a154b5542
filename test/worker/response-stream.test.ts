import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Failure } from '../../proto/gen/warren/proxy/v1/job.ts';
import type { PartToSend } from '../../services/lib/parts.ts';
import { partBytes } from '../../services/lib/parts.ts';
import { ResponseStream } from '../../services/worker/response-stream.ts';

const head = { status: 200, fields: [], upstream: 'backend:1' };
const failure: Failure = { status: 502, reason: 'broke', upstream: 'backend:1' };

function streamWith(credit: number) {
  const parts: PartToSend[] = [];
  const stream = new ResponseStream({ job: 'job', attempt: 'attempt', credit }, part => {
    parts.push(part);
    return Promise.resolve();
  });
  return { stream, parts, text: () => Buffer.concat(parts.flatMap(part => part.body)).toString() };
}

test('what comes in one turn is one part', async () => {
  const { stream, parts, text } = streamWith(100);
  stream.head(head);
  stream.data(Buffer.from('hello '));
  stream.data(Buffer.from('world'));
  stream.end();
  await stream.ended;
  expect(parts.map(({ part }) => part)).toEqual([
    { job: 'job', attempt: 'attempt', index: 0, head, last: true, failure: undefined },
  ]);
  expect(text()).toBe('hello world');
});

test('a response that broke before any of it was sent is a failure, and nothing of it is sent', async () => {
  const { stream, parts, text } = streamWith(100);
  stream.head(head);
  stream.data(Buffer.from('half of '));
  stream.end(failure);
  await stream.ended;
  expect(parts.map(({ part }) => part)).toMatchObject([{ index: 0, head: undefined, last: true, failure }]);
  expect(text()).toBe('');
});

test('one that breaks later ends with the failure, behind all that had come', async () => {
  const { stream, parts, text } = streamWith(4);
  stream.head(head);
  stream.data(Buffer.from('half of it'));
  await turn();
  stream.end(failure);
  expect(parts.at(-1)?.part.last).toBe(false);
  stream.creditUntil(100);
  await stream.ended;
  expect(parts.at(-1)?.part).toMatchObject({ last: true, failure });
  expect(text()).toBe('half of it');
});

test('cut, it says so without waiting for credit', async () => {
  const { stream, parts } = streamWith(1);
  stream.head(head);
  stream.data(Buffer.from('never taken'));
  await turn();
  stream.end();
  stream.cut(failure);
  await stream.ended;
  expect(parts.at(-1)?.part).toMatchObject({ last: true, failure });
});

test('given up before it began, it has not begun', async () => {
  const { stream, parts } = streamWith(1);
  stream.head(head);
  stream.abandon();
  await stream.ended;
  await turn();
  expect(await Promise.race([stream.begun.then(() => 'begun'), turn('not begun')])).toBe('not begun');
  expect(parts).toEqual([]);
});

test('whose last part the broker refuses shows the proxy that there is a gap: it would wait for ever', async () => {
  const parts: PartToSend['part'][] = [];
  const stream = new ResponseStream({ job: 'job', attempt: 'attempt', credit: 100 }, ({ part }) => {
    parts.push(part);
    return part.index === 1 ? Promise.reject(new Error('refused')) : Promise.resolve();
  });
  stream.head(head);
  await turn();
  stream.end();
  await stream.ended;
  expect(parts).toMatchObject([
    { index: 0, last: false },
    { index: 1, last: true },
    { index: 2, last: true, failure: { status: 502 } },
  ]);
});

test('whatever comes, and however credit comes: all of it goes, in order, never beyond credit, and asks for more in time', async () => {
  const sizes = fc.array(fc.nat(150_000), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.array(fc.nat(100_000), { maxLength: 8 }),
      fc.infiniteStream(fc.boolean()),
      async (chunks, credits, coins) => {
        const { stream, parts } = streamWith(50_000);
        let granted = 50_000;
        let isPaused = false;
        stream.onRoom = () => {
          isPaused = false;
        };
        const bodySize = (): number => parts.flatMap(part => part.body).reduce((sum, { length }) => sum + length, 0);
        const extend = (by: number): void => {
          granted += by;
          stream.creditUntil(granted);
          // A word that is late or doubled.
          stream.creditUntil(granted - 1);
          expect(bodySize()).toBeLessThanOrEqual(granted);
        };
        let filler = 0;
        stream.head(head);
        const left = [...chunks];
        while (left.length > 0) {
          if (isPaused) extend(credits.pop() ?? 60_000);
          else isPaused = !stream.data(Buffer.alloc(left.shift() ?? 0, ++filler));
          if (coins.next().value) await turn();
          expect(bodySize()).toBeLessThanOrEqual(granted);
        }
        stream.end();
        while (!parts.at(-1)?.part.last) extend(60_000);
        await stream.ended;
        expect(parts.map(({ part }) => part.index)).toEqual(parts.map((_part, index) => index));
        const expected = Buffer.concat(chunks.map((size, index) => Buffer.alloc(size, index + 1)));
        expect(Buffer.concat(parts.flatMap(part => part.body)).equals(expected)).toBe(true);
        expect(parts.every(({ part, body }) => !part.failure && Buffer.concat(body).length <= partBytes)).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});
