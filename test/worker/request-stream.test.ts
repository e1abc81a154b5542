import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RequestStream } from '../../services/worker/request-stream.ts';

const firstCredit = 256 * 1024;

test('gives every byte in order and credit for more, whatever the parts, while it is read', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(65_536), { maxLength: 40 }),
      fc.infiniteStream(fc.boolean()),
      async (sizes, coins) => {
        let granted = 0;
        const stream = new RequestStream(until => {
          expect(until).toBeGreaterThanOrEqual(granted);
          granted = until;
        });
        stream.sayCredit();
        expect(granted).toBe(firstCredit);
        const received: Buffer[] = [];
        stream.on('data', chunk => received.push(chunk));
        const ended = once(stream, 'end');
        const parts = sizes.map((size, index) => ({
          index,
          body: Buffer.alloc(size, index),
          last: index === sizes.length - 1,
        }));
        if (parts.length === 0) parts.push({ index: 0, body: Buffer.alloc(0), last: true });
        let sent = 0;
        for (const part of parts) {
          // A proxy waits for credit; a stream that is read always comes to give it.
          while (sent + part.body.length > granted) await turn();
          sent += part.body.length;
          stream.receive(part);
          if (coins.next().value) stream.receive(part);
          if (coins.next().value) await turn();
        }
        await ended;
        expect(Buffer.concat(received).equals(Buffer.concat(parts.map(part => part.body)))).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

test.each([
  ['a part is missing', [{ index: 1, body: Buffer.from('b'), last: true }]],
  ['there is more than was asked for', [{ index: 0, body: Buffer.alloc(firstCredit + 1), last: true }]],
])('breaks when %s, and never ends', async (_what, parts) => {
  const stream = new RequestStream(() => {});
  stream.sayCredit();
  const events: string[] = [];
  stream.on('end', () => events.push('end')).on('error', () => events.push('error'));
  stream.resume();
  const closed = new Promise<void>(resolve => stream.once('close', resolve));
  for (const part of parts) stream.receive(part);
  await closed;
  expect(events).toEqual(['error']);
});

test('that nobody reads gives no further credit', async () => {
  const grants: number[] = [];
  const stream = new RequestStream(until => grants.push(until));
  stream.sayCredit();
  for (let index = 0; index < 4; index++) stream.receive({ index, body: Buffer.alloc(65_536), last: false });
  await turn();
  expect(grants).toEqual([firstCredit]);
});
