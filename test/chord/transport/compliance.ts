import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { maxDigests, maxRetrieved, maxStored, maxSuccessors, maxValue } from '../../../services/chord/bounds.ts';
import { identifier } from '../../../services/chord/identifier.ts';
import type { Peer } from '../../../services/chord/peer.ts';
import type { RingCall, RingCalls, RingTransport } from '../../../services/chord/ports.ts';
import { type RingRecord, slotOf } from '../../../services/chord/record.ts';
import type { Answer } from '../../../services/chord/ring-service.ts';
import { peerOf } from '../../../services/chord/wire.ts';
import { Failure } from '../../../services/lib/failure.ts';

/** One member that calls, and one that serves; a third is not there. */
export interface Ends {
  readonly caller: string;
  readonly called: string;
  readonly absent: string;
  /** In the name of the caller's virtual node. */
  transportOf(self: Peer): RingTransport;
  /** Of nodes of the called member, where it can be dialled; empty where that is none of the transport's concern. */
  readonly address: string;
  close(): Promise<unknown>;
}

export type Open = (answer: Answer) => Promise<Ends>;

const key = identifier(0x0123456789abcdefn);
const top = identifier((1n << 160n) - 1n);
const hex = (digit: string): string => digit.repeat(64);
const patience = 5_000;

function record(changes: Partial<RingRecord> = {}): RingRecord {
  return {
    ...{ key, kind: 'value', writer: hex('a'), counter: Number.MAX_SAFE_INTEGER, value: new Uint8Array([0, 255, 1]) },
    ...{ lifeMs: 604_800_000, leftMs: 1_234 },
    ...{ publicKey: new Uint8Array(32).fill(7), signature: new Uint8Array(64).fill(9) },
    ...changes,
  } as RingRecord;
}

const others = Array.from({ length: maxSuccessors }, (_, at) =>
  peerOf(at.toString(16).padStart(64, '0'), at % 3, at % 2 === 0 ? `10.0.0.${at}:50051 [::1]:50${at + 10}` : ''),
);
const [one = peerOf(hex('1'), 0, ''), two = one] = others;
const slots = Array.from({ length: maxDigests }, (_, at) =>
  slotOf({ kind: at % 2 === 0 ? 'value' : 'provider', key: identifier(BigInt(at) << 100n), writer: hex('b') }),
);
const digests = slots.map((slot, at) => ({ slot, counter: at + 1, writer: hex('c') }));
const large = Array.from({ length: maxRetrieved }, (_, at) =>
  record({ counter: at + 1, value: new Uint8Array(maxValue).fill(at) }),
);

type Example = {
  [K in RingCall]: readonly [name: string, call: K, request: RingCalls[K]['request'], reply: RingCalls[K]['reply']];
}[RingCall];

const examples: Example[] = [
  ['a ping', 'ping', {}, {}],
  ['neighbours', 'neighbours', {}, { predecessor: one, successors: others }],
  ['neighbours of one without a predecessor', 'neighbours', {}, { predecessor: undefined, successors: [two] }],
  ['a way', 'route', { key }, { closer: others.slice(0, 16), owners: [], predecessor: undefined }],
  ['an owner', 'route', { key: top }, { closer: [], owners: others, predecessor: one }],
  ['a notification', 'notify', {}, {}],
  ['a nudge', 'nudge', {}, {}],
  ['a value to store', 'store', { record: record(), asOwner: true }, { status: 'stored' }],
  ['the largest one', 'store', { record: large[0] ?? record(), asOwner: false }, { status: 'superseded' }],
  ['an empty one', 'store', { record: record({ value: new Uint8Array() }), asOwner: true }, { status: 'not-owner' }],
  [
    'a tombstone of a provider',
    'store',
    { record: record({ kind: 'provider', value: undefined, key: top }), asOwner: false },
    { status: 'refused', reason: 'over a bound' },
  ],
  [
    'as many providers as go together',
    'storeAll',
    { records: Array.from({ length: maxStored }, () => record({ kind: 'provider' })), asOwner: true },
    { replies: Array.from({ length: maxStored }, () => ({ status: 'stored' })) },
  ],
  ['nothing found', 'fetch', { key, kind: 'value' }, { records: [], isSettledOwner: true }],
  [
    'providers',
    'fetch',
    { key: identifier(0n), kind: 'provider' },
    { records: Array.from({ length: 64 }, () => record({ kind: 'provider' })), isSettledOwner: false },
  ],
  [
    'a comparison',
    'reconcile',
    { from: top, to: key, digests, isOwner: true, isSettled: true },
    { wanted: slots, newer: digests, isCut: true, isFresh: true, claimants: others.slice(0, 8) },
  ],
  [
    'an empty one',
    'reconcile',
    { from: key, to: key, digests: [], isOwner: false, isSettled: false },
    { wanted: [], newer: [], isCut: false, isFresh: false, claimants: [] },
  ],
  ['records, the largest', 'retrieve', { slots: slots.slice(0, maxRetrieved) }, { records: large }],
];

/** Bytes as they are, whatever array they are in. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
  return value;
}

/** What the core relies on, of whatever carries its calls. */
export function transportCompliance(name: string, open: Open): void {
  describe(`calls of the ring over ${name}`, () => {
    let ends: Ends;
    let heard: { toIndex: number; call: RingCall; request: unknown; from: Peer }[];
    let reply: (call: RingCall, request: unknown) => unknown;
    beforeEach(async () => {
      heard = [];
      reply = () => ({});
      ends = await open((async (toIndex: number, call: RingCall, request: unknown, from: Peer) => {
        heard.push({ toIndex, call, request, from });
        return reply(call, request);
      }) as Answer);
    });
    afterEach(() => ends.close());

    const self = (index = 0, address = '127.0.0.1:1'): Peer => peerOf(ends.caller, index, address);
    const to = (index = 0): Peer => peerOf(ends.called, index, ends.address);

    test.each(examples)('bring %s (%s) there and back unchanged', async (_name, call, request, answer) => {
      reply = () => answer;
      const got = await ends.transportOf(self()).call(to(), call, request as never, patience);
      expect(plain(heard.map(each => each.request))).toEqual(plain([request]));
      expect(heard[0]?.call).toBe(call);
      expect(plain(got)).toEqual(plain(answer));
    });

    test('name the node that calls by its member and index, and the node that is meant', async () => {
      await ends.transportOf(self(3)).call(to(2), 'notify', {}, patience);
      await ends.transportOf(self(0)).call(to(0), 'notify', {}, patience);
      expect(heard.map(({ toIndex, from }) => [toIndex, from.id, from.member, from.index])).toEqual([
        [2, self(3).id, ends.caller, 3],
        [0, self(0).id, ends.caller, 0],
      ]);
      expect(heard[0]?.from.id).not.toBe(heard[1]?.from.id);
    });

    test('fail when the node is in no ring, when it is not there, and when nobody is', async () => {
      reply = () => {
        throw new Failure('OUTSIDE', 'the node is in no ring');
      };
      await expect(ends.transportOf(self()).call(to(), 'ping', {}, patience)).rejects.toThrow();
      reply = () => {
        throw new RangeError('no such node here');
      };
      await expect(ends.transportOf(self()).call(to(1), 'ping', {}, patience)).rejects.toThrow();
      const nobody = peerOf(ends.absent, 0, '');
      await expect(ends.transportOf(self()).call(nobody, 'ping', {}, 500)).rejects.toThrow();
      expect(heard).toHaveLength(2);
    });

    test('get each its own answer, many at once and in any order', async () => {
      reply = async (_call, request) => {
        const at = Number((request as RingCalls['route']['request']).key);
        await new Promise(resolve => setImmediate(resolve));
        if (at % 2 === 0) await new Promise(resolve => setImmediate(resolve));
        return { closer: [others[at % 64]], owners: [], predecessor: undefined };
      };
      const transport = ends.transportOf(self());
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, at) =>
          transport.call(to(), 'route', { key: identifier(BigInt(at)) }, patience),
        ),
      );
      expect(answers.map(({ closer }) => closer[0]?.id)).toEqual(answers.map((_, at) => others[at % 64]?.id));
    });
  });
}
