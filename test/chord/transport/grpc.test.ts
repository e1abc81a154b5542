import { describe, expect, test } from 'vitest';
import { RingServiceDefinition } from '../../../proto/gen/warren/chord/v1/ring.ts';
import { ContactServiceDefinition } from '../../../proto/gen/warren/member/v1/member.ts';
import type { Bus } from '../../../services/bus/bus.ts';
import { createRelays } from '../../../services/bus/relay/relays.ts';
import type { Answer } from '../../../services/chord/ring-service.ts';
import { createAuthority } from '../../../services/lib/identity/authority.ts';
import { createMemberKeys } from '../../../services/lib/identity/keys.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';
import { served } from '../../../services/lib/rpc/definition.ts';
import { createDialler } from '../../../services/member/dialler.ts';
import { startMemberServer } from '../../../services/member/member-server.ts';
import { codecsOf, credentialsOf, noRevocations, serviceOf } from './certified.ts';
import { transportCompliance } from './compliance.ts';
import { transportBy } from './transport-by.ts';

const authority = await createAuthority(Date.now());
const [caller, called, absent] = [createMemberKeys(), createMemberKeys(), createMemberKeys()];
const clock = (): number => performance.now();
const noBus = { user: 'none', request: async () => Promise.reject(new Error('there is no broker')) } as unknown as Bus;

async function open(answer: Answer) {
  const server = await startMemberServer({
    ...{ credentials: await credentialsOf(authority, called), host: '127.0.0.1', ports: [0] },
    ...{ revocations: noRevocations, warn: () => {}, services: [serviceOf(called.id, answer), contact()] },
  });
  const credentials = await credentialsOf(authority, caller);
  const relays = createRelays({ bus: noBus, keys: caller, clock, warn: () => {} });
  const dialler = createDialler({
    ...{ bus: noBus, relays, credentials: () => credentials, revocations: noRevocations, clock, random: () => 0.5 },
  });
  const address = `127.0.0.1:${server.port}`;
  const clientOf = async (member: string) =>
    (await dialler.dial(member as MemberId, member === called.id ? [address] : [])).unary(RingServiceDefinition);
  return {
    ...{ caller: caller.id, called: called.id, absent: absent.id, address, clientOf },
    transportOf(self: Parameters<typeof transportBy>[1]) {
      const { book, codecs } = codecsOf(caller.id, ['127.0.0.1:1']);
      return transportBy(to => clientOf(to.member), self, codecs, book);
    },
    async close() {
      dialler.close();
      relays.close();
      await server.close(0);
    },
  };
}

function contact() {
  return served(ContactServiceDefinition, {
    ping: async (_request, { memberId = '' }) => ({ memberId: called.id, name: 'b', callerId: memberId }),
  });
}

transportCompliance('gRPC', open);

describe('what is not of the right shape is refused, and reaches no node', () => {
  const way = { toIndex: 0, fromIndex: 0, fromAddresses: [] };
  const key = Buffer.alloc(20);
  const digest = { slot: { kind: 1, key, writer: Buffer.alloc(0) }, counter: 1, writer: Buffer.alloc(32) } as const;
  const record = {
    ...{ key, kind: 1, writer: Buffer.alloc(32), counter: 1, value: Buffer.alloc(1), lifeMs: 1, leftMs: 1 },
    ...{ publicKey: Buffer.alloc(32), signature: Buffer.alloc(64) },
  } as const;
  test.each<[string, 'ping' | 'route' | 'store' | 'fetch' | 'reconcile' | 'retrieve', object]>([
    ['no node that is meant', 'ping', { way: undefined }],
    ['an index too high', 'ping', { way: { ...way, fromIndex: 256 } }],
    ['a receiver with an index too high', 'ping', { way: { ...way, toIndex: 256 } }],
    ['too many addresses', 'ping', { way: { ...way, fromAddresses: Array(5).fill('a:1') } }],
    ['an address too long', 'ping', { way: { ...way, fromAddresses: [`${'a'.repeat(99)}:1`] } }],
    ['an address that is two', 'ping', { way: { ...way, fromAddresses: ['a:1 b:1'] } }],
    ['a key too short', 'route', { way, key: Buffer.alloc(19) }],
    ['a key too long', 'route', { way, key: Buffer.alloc(21) }],
    ['no record', 'store', { way, record: undefined, asOwner: false }],
    ['a record of no kind', 'store', { way, record: { ...record, kind: 0 }, asOwner: false }],
    ['a value too long', 'store', { way, record: { ...record, value: Buffer.alloc(64 * 1024 + 1) }, asOwner: false }],
    ['a signature too long', 'store', { way, record: { ...record, signature: Buffer.alloc(129) }, asOwner: false }],
    ['a writer too short', 'store', { way, record: { ...record, writer: Buffer.alloc(31) }, asOwner: false }],
    ['a kind that there is not', 'fetch', { way, key, kind: 3 }],
    ['too many digests', 'reconcile', { way, from: key, to: key, digests: Array(513).fill(digest), isOwner: false }],
    [
      'a digest of nothing',
      'reconcile',
      { way, from: key, to: key, digests: [{ ...digest, slot: undefined }], isOwner: false },
    ],
    ['too many slots', 'retrieve', { way, slots: Array(17).fill(digest.slot) }],
    ['a value with a writer', 'retrieve', { way, slots: [{ ...digest.slot, writer: Buffer.alloc(32) }] }],
  ])('%s', async (_name, call, request) => {
    const heard: unknown[] = [];
    const ends = await open((async (_to: number, name: string) => void heard.push(name)) as unknown as Answer);
    const client = await ends.clientOf(ends.called);
    await expect(client[call](request as never)).rejects.toMatchObject({ code: 'CHORD_SHAPE' });
    expect(heard).toEqual([]);
    await ends.close();
  });
});
