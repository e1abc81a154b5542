import { expect, test } from 'vitest';
import { Answer, Call } from '../../proto/gen/warren/bus/v1/rpc.ts';
import { PingRequest, PingResponse } from '../../proto/gen/warren/directory/v1/directory.ts';
import type { Bus, Delivery, Outgoing, Verdict } from '../../services/bus/bus.ts';
import { type ServeOptions, serveCalls } from '../../services/bus/calls.ts';
import { replyKey } from '../../services/bus/own-keys.ts';
import type { Caller } from '../../services/lib/rpc/definition.ts';

const definition = {
  fullName: 'test.v1.Sample',
  methods: {
    do: {
      ...{ name: 'Do', requestType: PingRequest, responseType: PingResponse },
      ...{ requestStream: false, responseStream: false },
    },
  },
};
const member = `m.${'a'.repeat(64)}`;

/** Serves on a bus that only hands over what came, and keeps what was sent. */
async function serve(
  handler: (request: never, caller: Caller) => Promise<unknown>,
  options: Partial<ServeOptions> = {},
) {
  const warnings: string[] = [];
  const sent: Outgoing[] = [];
  let handle: (delivery: Delivery) => Verdict | Promise<Verdict> = () => 'ack';
  const bus = {
    consume: async (_queue: unknown, given: typeof handle) => {
      handle = given;
      return { close: async () => {} };
    },
    send: (message: Outgoing) => sent.push(message) > 0,
  } as unknown as Bus;
  await serveCalls(bus, { name: '', exclusive: true, why: 'test' }, [{ definition, handlers: { do: handler } }], {
    ...{ atOnce: 1, warn: line => void warnings.push(line) },
    ...options,
  });
  const call = async (deadlineMs: number): Promise<Answer> => {
    const body = Call.encode({ method: 'test.v1.Sample/Do', body: Buffer.alloc(0), deadlineMs }).finish();
    await handle({
      ...{ type: 'warren.bus.v1.Call', key: 'k', body: Buffer.from(body), messageId: '1', correlationId: '1' },
      ...{ replyTo: replyKey(member, 'q'), userId: member, redelivered: false },
      ...{ traceparent: undefined, offset: undefined },
    });
    return Answer.decode(sent.at(-1)?.body ?? Buffer.alloc(0));
  };
  return { call, warnings };
}

test('a call whose time is over is told so, and writes no line here: anybody can make as many as they like', async () => {
  const { call, warnings } = await serve(
    (_request, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );
  expect(await call(5)).toMatchObject({ reason: 'CALL_DEADLINE' });
  expect(warnings).toEqual([]);
});

test('a caller who is not admitted gets nowhere', async () => {
  const { CallFailure } = await import('../../services/lib/rpc/call-failure.ts');
  let calls = 0;
  const { call } = await serve(
    async () => {
      calls++;
      return { leaseMs: 1 };
    },
    {
      admit: () => {
        throw new CallFailure('PERMISSION_DENIED', 'MEMBER_REVOKED', 'none any more');
      },
    },
  );
  expect(await call(1_000)).toMatchObject({ reason: 'MEMBER_REVOKED' });
  expect(calls).toBe(0);
});
