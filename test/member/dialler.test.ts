import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import { ContactServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { createRelays } from '../../services/bus/relay/relays.ts';
import { type Authority, createAuthority, issueCertificate } from '../../services/lib/identity/authority.ts';
import { certificateFacts } from '../../services/lib/identity/certificate.ts';
import { createMemberKeys, formatMemberKeys, type MemberKeys } from '../../services/lib/identity/keys.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { served } from '../../services/lib/rpc/definition.ts';
import type { MemberCredentials } from '../../services/lib/rpc/member-tls.ts';
import { createDialler, type Dialler } from '../../services/member/dialler.ts';
import { type MemberServer, startMemberServer } from '../../services/member/member-server.ts';

const now = Date.now();
const authority = await createAuthority(now);
const stranger = await createAuthority(now);
const [a, b, c] = [createMemberKeys(), createMemberKeys(), createMemberKeys()];

/** Nothing of the bus is used until a call is made. */
const bus = { user: 'none' } as Bus;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Given {
  keys?: MemberKeys;
  by?: Authority;
  /** When the certificate was made: valid for a day. */
  at?: number;
  trusts?: Authority;
}

async function card({
  keys = a,
  by = authority,
  at = now,
  trusts = authority,
}: Given = {}): Promise<MemberCredentials> {
  return {
    authorityCertificate: trusts.certificate,
    certificate: await issueCertificate(by, { publicKey: keys.publicKey, account: 'ann', now: at, days: 1 }),
    key: formatMemberKeys(keys),
  };
}

class List {
  readonly members = new Set<string>();
  readonly serials = new Set<string>();
  readonly listeners = new Set<(id: MemberId) => void>();
  isRevoked = (serial: string): boolean => this.serials.has(serial);
  isRevokedMember = (id: MemberId): boolean => this.members.has(id);
  onRevoked = (listener: (id: MemberId) => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  revoke(id: MemberId): void {
    this.members.add(id);
    for (const listener of [...this.listeners]) listener(id);
  }
}

interface Serving {
  /** From where, each connection its own port. */
  from: Set<string>;
  server: MemberServer;
  address: string;
  list: List;
  /** Who has called. */
  callers: (string | undefined)[];
}

async function serve(credentials: MemberCredentials, says: MemberId = a.id): Promise<Serving> {
  const list = new List();
  const callers: (string | undefined)[] = [];
  const from = new Set<string>();
  const server = await startMemberServer({
    ...{ credentials, host: '127.0.0.1', ports: [0], revocations: list, warn: () => {} },
    services: [
      served(ContactServiceDefinition, {
        ping: async (_request, { memberId = '', address }) => {
          callers.push(memberId);
          from.add(address);
          return { memberId: says, name: 'a', callerId: memberId };
        },
      }),
    ],
  });
  ends.push(() => server.close(0));
  return { server, address: `127.0.0.1:${server.port}`, list, callers, from };
}

let clock = 0;
let mine: List;
const relays = createRelays({ bus, keys: b, clock: () => clock, warn: () => {} });
beforeEach(() => {
  clock = 0;
  mine = new List();
});

async function diallerOf(given: Given = { keys: b }): Promise<Dialler> {
  const credentials = await card(given);
  const dialler = createDialler({
    ...{ bus, relays, credentials: () => credentials, revocations: mine, clock: () => clock, random: () => 0.5 },
  });
  ends.push(() => dialler.close());
  return dialler;
}

test('each lane to a member is a connection of its own, made when it is needed; all end with the link', async () => {
  const { address, from } = await serve(await card());
  const dialler = await diallerOf();
  const link = await dialler.dial(a.id, [address]);
  expect(from.size).toBe(1);
  for (const lane of [0, 1, 2, 1, 2, 0]) await link.client(ContactServiceDefinition, lane).ping({});
  expect(from.size).toBe(3);
  mine.revoke(a.id);
  for (const lane of [0, 1, 2])
    await expect(link.client(ContactServiceDefinition, lane).ping({})).rejects.toMatchObject({ code: 'CALL_CLOSED' });
});

describe('a member is dialled', () => {
  test('straight, where one of its addresses works; and the link is shared', async () => {
    const { address, callers } = await serve(await card());
    const dialler = await diallerOf();
    const link = await dialler.dial(a.id, ['127.0.0.1:1', address]);
    expect(link).toMatchObject({ way: 'direct', address, memberId: a.id });
    expect(await link.unary(ContactServiceDefinition).ping({})).toMatchObject({ callerId: b.id });
    expect(await dialler.dial(a.id, ['127.0.0.1:1', address])).toBe(link);
    expect(callers).toEqual([b.id, b.id]);
  });

  test('once, when two ask at the same moment', async () => {
    const { address, callers } = await serve(await card());
    const dialler = await diallerOf();
    const [one, two] = await Promise.all([dialler.dial(a.id, [address]), dialler.dial(a.id, [address])]);
    expect(one).toBe(two);
    expect(callers).toHaveLength(1);
  });

  test('through the broker, where it has no addresses or none works; and those are left alone for a while', async () => {
    const dialler = await diallerOf();
    expect(await dialler.dial(a.id, [])).toMatchObject({ way: 'broker' });
    let connections = 0;
    const silent = createServer(socket => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
    ends.push(() => silent.close());
    const address = `127.0.0.1:${(silent.address() as { port: number }).port}`;
    expect(await dialler.dial(a.id, [address])).toMatchObject({ way: 'broker', grpc: undefined });
    const tried = connections;
    expect(tried).toBeGreaterThan(0);
    clock += 1_000;
    await dialler.dial(a.id, [address]);
    expect(connections).toBe(tried);
    clock += 5_000;
    await dialler.dial(a.id, [address]);
    expect(connections).toBeGreaterThan(tried);
    // Other addresses are another matter.
    const { address: other } = await serve(await card());
    expect(await dialler.dial(a.id, [other])).toMatchObject({ way: 'direct' });
  }, 20_000);

  test('within two seconds, where an address takes the connection and says nothing', async () => {
    const silent = createServer(() => {});
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
    ends.push(() => silent.close());
    const dialler = await diallerOf();
    const before = performance.now();
    const address = `127.0.0.1:${(silent.address() as { port: number }).port}`;
    expect(await dialler.dial(a.id, [address])).toMatchObject({ way: 'broker' });
    expect(performance.now() - before).toBeLessThan(4_000);
  });

  test('once, when two ask who know it by other addresses: neither loses its link', async () => {
    const { address } = await serve(await card());
    const dialler = await diallerOf();
    const known = [[address], ['127.0.0.1:1', address]];
    const links = await Promise.all(known.map(addresses => dialler.dial(a.id, addresses)));
    for (const link of links)
      expect(await link.unary(ContactServiceDefinition).ping({})).toMatchObject({ memberId: a.id });
    expect(links[0]).toBe(links[1]);
  });

  test('at hosts and ports only, whatever else it says is an address of it', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'warren-dialler-'));
    ends.push(() => rm(dir, { recursive: true }));
    let connections = 0;
    const local = createServer(socket => {
      connections++;
      socket.destroy();
    });
    const path = join(dir, 'somebodys.sock');
    await new Promise<void>(resolve => local.listen(path, resolve));
    ends.push(() => local.close());
    const { address } = await serve(await card());
    const dialler = await diallerOf();
    const odd = [`unix:${path}`, `unix://${path}`, 'dns:///localhost:1', 'ipv4:127.0.0.1:1,127.0.0.2:1', 'localhost'];
    expect(await dialler.dial(a.id, odd)).toMatchObject({ way: 'broker' });
    expect(connections).toBe(0);
    // They do not stand in the way of those that are.
    expect(await dialler.dial(a.id, [...odd, address])).toMatchObject({ way: 'direct' });
  });

  test('anew, when the link broke', async () => {
    const first = await serve(await card());
    const dialler = await diallerOf();
    const link = await dialler.dial(a.id, [first.address]);
    await first.server.close(0);
    await expect(link.unary(ContactServiceDefinition).ping({})).rejects.toMatchObject({ status: 'UNAVAILABLE' });
    const second = await serve(await card());
    expect(await dialler.dial(a.id, [second.address])).toMatchObject({ way: 'direct', address: second.address });
    // Who still has the link that went hears the same as of one that broke.
    await expect(link.unary(ContactServiceDefinition).ping({})).rejects.toMatchObject({ status: 'UNAVAILABLE' });
    const watching = link.client(HealthDefinition).watch({ service: '' })[Symbol.asyncIterator]();
    await expect(watching.next()).rejects.toMatchObject({ status: 'UNAVAILABLE' });
  });
});

describe('who answers at an address of the member', () => {
  test.each<[string, () => Promise<MemberCredentials>]>([
    ['another member', () => card({ keys: c })],
    ["another authority's", () => card({ by: stranger })],
    ['a certificate that has ended', () => card({ at: now - 3 * 86_400_000 })],
    ['a certificate of the right name by itself', async () => selfSigned(a)],
  ])('is not taken for it: %s', async (_, credentials) => {
    const { address, callers } = await serve(await credentials());
    const dialler = await diallerOf();
    expect(await dialler.dial(a.id, [address])).toMatchObject({ way: 'broker' });
    expect(callers).toEqual([]);
  });

  test('is refused when it is revoked: by its certificate, or by name', async () => {
    const credentials = await card();
    const { address, callers } = await serve(credentials);
    const dialler = await diallerOf();
    mine.serials.add(certificateFacts(credentials.certificate).serial);
    expect(await dialler.dial(a.id, [address])).toMatchObject({ way: 'broker' });
    mine.revoke(a.id);
    await expect(dialler.dial(a.id, [address])).rejects.toMatchObject({ code: 'MEMBER_REVOKED' });
    expect(callers).toEqual([]);
  });
});

describe('who calls a member', () => {
  test.each<[string, Given]>([
    ["another authority's", { keys: b, by: stranger }],
    ['with a certificate that has ended', { keys: b, at: now - 3 * 86_400_000 }],
  ])('is not let in: %s', async (_, given) => {
    const { address, callers } = await serve(await card());
    expect(await (await diallerOf(given)).dial(a.id, [address])).toMatchObject({ way: 'broker' });
    expect(callers).toEqual([]);
  });

  test('is not let in by a certificate that it made itself', async () => {
    const { address, callers } = await serve(await card());
    const credentials = await selfSigned(b);
    const dialler = createDialler({
      ...{ bus, relays, credentials: () => credentials, revocations: mine, clock: () => clock, random: () => 0.5 },
    });
    ends.push(() => dialler.close());
    expect(await dialler.dial(a.id, [address])).toMatchObject({ way: 'broker' });
    expect(callers).toEqual([]);
  });

  test('is cut when it is revoked, stays out, and nobody else is', async () => {
    const { address, list, server, callers } = await serve(await card());
    const [of, other] = [await diallerOf({ keys: b }), await diallerOf({ keys: c })];
    const link = await of.dial(a.id, [address]);
    const fine = await other.dial(a.id, [address]);
    expect(server.connected()).toBe(2);
    list.revoke(b.id);
    await expect(link.unary(ContactServiceDefinition).ping({})).rejects.toMatchObject({ status: 'UNAVAILABLE' });
    expect(server.connected()).toBe(1);
    await fine.unary(ContactServiceDefinition).ping({});
    expect(await of.dial(a.id, [address])).toMatchObject({ way: 'broker' });
    expect(callers.filter(id => id === b.id)).toHaveLength(1);
  });
});

test('a renewed certificate is shown from the next handshake on, and connections stay', async () => {
  const credentials = await card();
  const { address, server } = await serve(credentials);
  const link = await (await diallerOf()).dial(a.id, [address]);
  const renewed = await card();
  server.setCredentials(renewed);
  await link.unary(ContactServiceDefinition).ping({});
  expect(server.connected()).toBe(1);
  mine.serials.add(certificateFacts(credentials.certificate).serial);
  // Whoever comes now sees the new one: the old one would be refused.
  expect(await (await diallerOf({ keys: c })).dial(a.id, [address])).toMatchObject({ way: 'direct' });
});

/** Names the member, by its own hand. */
async function selfSigned(keys: MemberKeys): Promise<MemberCredentials> {
  const own = { certificate: authority.certificate, key: formatMemberKeys(keys) };
  return card({ keys, by: own });
}
