import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { LoginResponse } from '../../../proto/gen/warren/directory/v1/directory.ts';
import { createAuthority, issueCertificate } from '../../../services/lib/identity/authority.ts';
import { createMemberKeys, formatMemberKeys, type MemberKeys } from '../../../services/lib/identity/keys.ts';
import { CallFailure } from '../../../services/lib/rpc/call-failure.ts';
import { type Caller, type Handlers, served } from '../../../services/lib/rpc/definition.ts';
import { type GrpcConnection, openGrpc } from '../../../services/lib/rpc/grpc-client.ts';
import { addService } from '../../../services/lib/rpc/grpc-server.ts';
import {
  type MemberCredentials,
  memberChannelCredentials,
  memberServerCredentials,
} from '../../../services/lib/rpc/member-tls.ts';
import { sampleService } from '../../support/sample-service.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function serve(
  handlers: Partial<Handlers<typeof sampleService>>,
  how: {
    credentials?: ServerCredentials;
    admit?: (id: string | undefined) => void;
    address?: string;
    stalledMs?: number;
  } = {},
): Promise<{ address: string; warnings: string[] }> {
  const server = new Server();
  const warnings: string[] = [];
  const all = { ping: async () => ({ leaseMs: 1 }), count: async function* () {}, ...handlers };
  addService(server, served(sampleService, all), {
    warn: line => warnings.push(line),
    ...(how.stalledMs === undefined ? {} : { stalledMs: how.stalledMs }),
    ...(how.admit === undefined ? {} : { admit: how.admit }),
  });
  const asked = how.address ?? '127.0.0.1:0';
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(asked, how.credentials ?? ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  ends.push(() => server.forceShutdown());
  return { address: how.address ?? `127.0.0.1:${port}`, warnings };
}

function connect(address: string, channel = credentials.createInsecure()): GrpcConnection {
  const connection = openGrpc(address, channel);
  ends.push(() => connection.close());
  return connection;
}

const ping = { token: 't', addresses: [] };
const login = { username: 'u', password: 'p', addresses: [] };

describe('a call over gRPC', () => {
  test('gives the request to the handler and its answer back', async () => {
    const { address } = await serve({ ping: async ({ token }) => ({ leaseMs: token.length }) });
    expect(await connect(address).client(sampleService).ping({ token: 'four', addresses: [] })).toEqual({ leaseMs: 4 });
  });

  test('goes over a Unix socket too', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'warren-grpc-'));
    ends.push(() => rm(dir, { recursive: true }));
    const { address } = await serve({}, { address: `unix:${join(dir, 'socket')}` });
    expect(await connect(address).client(sampleService).ping(ping)).toEqual({ leaseMs: 1 });
  });

  test('fails with what the handler said: status, code, words, when to ask again', async () => {
    const { address, warnings } = await serve({
      ping: async () => {
        throw new CallFailure('RESOURCE_EXHAUSTED', 'TEST_BUSY', 'zu viele Schlüssel: 100 %', { retryAfterMs: 1234.5 });
      },
    });
    await expect(connect(address).client(sampleService).ping(ping)).rejects.toMatchObject({
      status: 'RESOURCE_EXHAUSTED',
      code: 'TEST_BUSY',
      message: 'zu viele Schlüssel: 100 %',
      retryAfterMs: 1235,
    });
    expect(warnings).toEqual([]);
  });

  test('that fails by our fault tells the caller no more than that', async () => {
    const { address, warnings } = await serve({
      ping: async () => {
        throw new Error('secret path');
      },
    });
    const error = await connect(address)
      .client(sampleService)
      .ping(ping)
      .catch(thrown => thrown);
    expect(error).toMatchObject({ status: 'INTERNAL', code: 'CALL_INTERNAL' });
    expect(String(error)).not.toContain('secret');
    expect(warnings.join()).toContain('secret path');
  });

  test('ends at its deadline, and the handler hears of it', async () => {
    const heard = Promise.withResolvers<void>();
    const { address } = await serve({
      ping: (_request, { signal }) =>
        new Promise(() => {
          signal.addEventListener('abort', () => heard.resolve());
        }),
    });
    await expect(connect(address).client(sampleService).ping(ping, { deadlineMs: 1_000 })).rejects.toMatchObject({
      status: 'DEADLINE_EXCEEDED',
    });
    await heard.promise;
  });

  test('is UNAVAILABLE where nobody listens', async () => {
    await expect(connect('127.0.0.1:1').client(sampleService).ping(ping)).rejects.toMatchObject({
      status: 'UNAVAILABLE',
    });
  });
});

describe('a stream over gRPC', () => {
  const message = (peerId: string): ReturnType<typeof LoginResponse.create> => LoginResponse.create({ peerId });

  test('yields what the handler yields, in order, and ends', async () => {
    const { address } = await serve({
      count: async function* () {
        for (let at = 0; at < 1_000; at++) yield message(String(at));
      },
    });
    const seen: string[] = [];
    for await (const { peerId } of connect(address).client(sampleService).count(login)) seen.push(peerId);
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, at) => String(at)));
  });

  test('is not made faster than it is read', async () => {
    let made = 0;
    const { address } = await serve({
      count: async function* () {
        for (;;) {
          made++;
          yield message('x'.repeat(60_000));
        }
      },
    });
    let read = 0;
    for await (const _ of connect(address).client(sampleService).count(login)) if (++read === 200) break;
    expect(made).toBeLessThan(300);
  });

  test('of which nothing is taken for too long lets go of what it holds', async () => {
    const ended = Promise.withResolvers<void>();
    const { address } = await serve(
      {
        count: async function* () {
          try {
            for (;;) yield message('x'.repeat(60_000));
          } finally {
            ended.resolve();
          }
        },
      },
      { stalledMs: 100 },
    );
    // It reads one, and then no more.
    const reading = connect(address).client(sampleService).count(login)[Symbol.asyncIterator]();
    await reading.next();
    await ended.promise;
    await reading.return?.();
  });

  test('that its reader leaves ends at the handler', async () => {
    const ended = Promise.withResolvers<void>();
    const { address } = await serve({
      count: async function* (_request, { signal }) {
        try {
          yield message('first');
          await new Promise(resolve => signal.addEventListener('abort', resolve));
        } finally {
          ended.resolve();
        }
      },
    });
    for await (const _ of connect(address).client(sampleService).count(login)) break;
    await ended.promise;
  });

  test('that fails in the middle gives what came before, then the failure', async () => {
    const { address } = await serve({
      count: async function* () {
        yield message('one');
        throw new CallFailure('DATA_LOSS', 'TEST_CHANGED', 'the file changed');
      },
    });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { peerId } of connect(address).client(sampleService).count(login)) seen.push(peerId);
    })();
    await expect(reading).rejects.toMatchObject({ status: 'DATA_LOSS', code: 'TEST_CHANGED' });
    expect(seen).toEqual(['one']);
  });
});

describe('mutual TLS between members', async () => {
  const now = Date.now();
  const authority = await createAuthority(now);
  const stranger = await createAuthority(now);
  const card = async (keys: MemberKeys, by = authority, account = 'ann'): Promise<MemberCredentials> => ({
    authorityCertificate: authority.certificate,
    certificate: await issueCertificate(by, { publicKey: keys.publicKey, account, now, days: 1 }),
    key: formatMemberKeys(keys),
  });
  const [a, b, c] = [createMemberKeys(), createMemberKeys(), createMemberKeys()];

  test('each side knows who the other is', async () => {
    let caller: Caller | undefined;
    const { address } = await serve(
      {
        ping: async (_request, from) => {
          caller = from;
          return { leaseMs: 2 };
        },
      },
      { credentials: memberServerCredentials(await card(a)) },
    );
    const client = connect(address, memberChannelCredentials(await card(b), a.id)).client(sampleService);
    expect(await client.ping(ping)).toEqual({ leaseMs: 2 });
    expect(caller?.memberId).toBe(b.id);
  });

  test('a certificate of the right authority and the wrong id ends the handshake', async () => {
    let calls = 0;
    const { address } = await serve(
      {
        ping: async () => {
          calls++;
          return { leaseMs: 2 };
        },
      },
      { credentials: memberServerCredentials(await card(a)) },
    );
    const client = connect(address, memberChannelCredentials(await card(b), c.id)).client(sampleService);
    await expect(client.ping(ping, { deadlineMs: 3_000 })).rejects.toMatchObject({ status: 'UNAVAILABLE' });
    expect(calls).toBe(0);
  });

  test('the caller that is not admitted is told so, and nothing is done for it', async () => {
    let calls = 0;
    const { address } = await serve(
      {
        ping: async () => {
          calls++;
          return { leaseMs: 2 };
        },
      },
      {
        credentials: memberServerCredentials(await card(a)),
        admit: id => {
          if (id !== c.id) throw new CallFailure('PERMISSION_DENIED', 'TEST_NOT_YOU', 'not you');
        },
      },
    );
    const by = async (keys: MemberKeys): Promise<unknown> =>
      connect(address, memberChannelCredentials(await card(keys), a.id))
        .client(sampleService)
        .ping(ping);
    await expect(by(b)).rejects.toMatchObject({ code: 'TEST_NOT_YOU' });
    expect(calls).toBe(0);
    await by(c);
    expect(calls).toBe(1);
  });

  test('a revoked certificate is refused by whoever dials it', async () => {
    const { address } = await serve({}, { credentials: memberServerCredentials(await card(a)) });
    const client = connect(
      address,
      memberChannelCredentials(await card(b), a.id, () => true),
    ).client(sampleService);
    await expect(client.ping(ping, { deadlineMs: 3_000 })).rejects.toMatchObject({ status: 'UNAVAILABLE' });
  });

  test("another authority's member, and who shows nothing, get nowhere", async () => {
    const { address } = await serve({}, { credentials: memberServerCredentials(await card(a)) });
    const foreign = connect(address, memberChannelCredentials(await card(b, stranger), a.id)).client(sampleService);
    await expect(foreign.ping(ping, { deadlineMs: 3_000 })).rejects.toMatchObject({ status: 'UNAVAILABLE' });
    const silent = connect(address, credentials.createSsl(Buffer.from(authority.certificate))).client(sampleService);
    await expect(silent.ping(ping, { deadlineMs: 3_000 })).rejects.toMatchObject({ status: 'UNAVAILABLE' });
    // And from the other side: a server of another authority.
    const { address: elsewhere } = await serve({}, { credentials: memberServerCredentials(await card(a, stranger)) });
    const client = connect(elsewhere, memberChannelCredentials(await card(b), a.id)).client(sampleService);
    await expect(client.ping(ping, { deadlineMs: 3_000 })).rejects.toMatchObject({ status: 'UNAVAILABLE' });
  });
});
