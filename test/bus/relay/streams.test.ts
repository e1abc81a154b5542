import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { PingRequest, PingResponse } from '../../../proto/gen/warren/directory/v1/directory.ts';
import { RelayCalling } from '../../../services/bus/relay/calling.ts';
import type { FrameKind } from '../../../services/bus/relay/frame.ts';
import { RelayServing, relayMethods } from '../../../services/bus/relay/serving.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import type { Caller } from '../../../services/lib/rpc/definition.ts';
import { until } from '../../support/until.ts';

const method = (responseStream: boolean) => ({
  name: 'Do',
  requestType: PingRequest,
  requestStream: false,
  responseType: PingResponse,
  responseStream,
});

type Sent = { stream: number; kind: FrameKind; data: Uint8Array | undefined };

function serving(
  handler: (request: never, caller: Caller) => Promise<unknown> | AsyncIterable<unknown>,
  responseStream = false,
): { serving: RelayServing; sent: Sent[] } {
  const sent: Sent[] = [];
  const methods = relayMethods([
    { definition: { fullName: 'test.v1.Sample', methods: { do: method(responseStream) } }, handlers: { do: handler } },
  ]);
  const send = (stream: number, kind: FrameKind, data?: Uint8Array) => sent.push({ stream, kind, data }) > 0;
  return { serving: new RelayServing('a'.repeat(64) as MemberId, methods, send, () => {}), sent };
}

const call = (deadlineMs = 0, credit = 1_000_000n): FrameKind => ({
  $case: 'call',
  value: { method: 'test.v1.Sample/Do', deadlineMs, credit },
});
const none = Buffer.alloc(0);

describe('the serving side of a channel', () => {
  test('runs no more handlers at once for a caller who cancels each call and makes the next', async () => {
    let running = 0;
    // One that takes no notice of its signal, as those do that wait for a disk.
    const { serving: served } = serving(() => {
      running++;
      return new Promise(() => {});
    });
    for (let stream = 1; stream <= 1_000; stream++) {
      served.receive({ stream, kind: call(), data: none });
      served.receive({ stream, kind: { $case: 'cancel', value: {} }, data: none });
    }
    expect(running).toBeLessThanOrEqual(64);
  });

  test('keeps nothing of the times that it waited for room', async () => {
    let signal: AbortSignal | undefined;
    const { serving: served, sent } = serving(async function* (_request, caller) {
      signal = caller.signal;
      for (;;) yield PingResponse.create({ leaseMs: 1_000_000 });
    }, true);
    served.receive({ stream: 1, kind: call(0, 1n), data: none });
    for (let turn = 1; turn <= 100; turn++) {
      const before = sent.length;
      served.receive({ stream: 1, kind: { $case: 'credit', value: { until: BigInt(turn * 1_000) } }, data: none });
      await until(
        () => sent.length,
        count => count > before,
      );
      await new Promise(resolve => setImmediate(resolve));
    }
    expect(signal && getEventListeners(signal, 'abort').length).toBeLessThan(5);
    served.end();
  });

  test('ends a call that waits for room when its time is over', async () => {
    const { serving: served, sent } = serving(async () => PingResponse.create({ leaseMs: 1 }));
    served.receive({ stream: 1, kind: call(20, 0n), data: none });
    await until(
      () => sent,
      all => all.length > 0,
    );
    expect(sent[0]?.kind).toMatchObject({ $case: 'end', value: { reason: 'CALL_DEADLINE' } });
  });

  test('takes a deadline that no timer can hold for a long one', async () => {
    const { serving: served, sent } = serving(
      (_request, { signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    served.receive({ stream: 1, kind: call(4_294_967_295), data: none });
    await new Promise(resolve => setTimeout(resolve, 50));
    expect(sent).toEqual([]);
    served.end();
  });
});

describe('the calling side of a channel', () => {
  const data = (more: boolean): FrameKind => ({ $case: 'data', value: { more } });

  test.each([
    ['answers', false],
    ['pieces of an answer', true],
  ])('holds a bounded number of %s without a byte, that nobody asked for', async (_what, more) => {
    const calls = new RelayCalling(() => true);
    const answers = calls.call('test.v1.Sample/Do', none, 0);
    void answers.next().catch(() => {});
    const flood = (): void => {
      for (let count = 0; count < 200_000; count++) calls.receive({ stream: 1, kind: data(more), data: none });
    };
    expect(flood).toThrow(RangeError);
  });
});
