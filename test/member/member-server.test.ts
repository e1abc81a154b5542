import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type Client, type ClientDuplexStream, loadPackageDefinition } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { afterEach, describe, expect, test } from 'vitest';
import { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import { ContactServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import { createAuthority, issueCertificate } from '../../services/lib/identity/authority.ts';
import { createMemberKeys, formatMemberKeys } from '../../services/lib/identity/keys.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { served } from '../../services/lib/rpc/definition.ts';
import { openGrpc } from '../../services/lib/rpc/grpc-client.ts';
import { memberChannelCredentials, memberChannelOptions } from '../../services/lib/rpc/member-tls.ts';
import { createHealth } from '../../services/member/health.ts';
import { type MemberServer, startMemberServer } from '../../services/member/member-server.ts';
import { seededRandom } from '../support/seeded.ts';
import { until } from '../support/until.ts';

const now = Date.now();
const authority = await createAuthority(now);
const [a, b] = [createMemberKeys(), createMemberKeys()];
const card = async (keys: typeof a) => ({
  authorityCertificate: authority.certificate,
  certificate: await issueCertificate(authority, { publicKey: keys.publicKey, account: 'ann', now, days: 1 }),
  key: formatMemberKeys(keys),
});

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function serve(): Promise<{
  server: MemberServer;
  ending: AbortController;
  revoke: (id: MemberId) => void;
}> {
  let revoke: (id: MemberId) => void = () => {};
  const ending = new AbortController();
  const { fullName } = ContactServiceDefinition;
  const server = await startMemberServer({
    ...{ credentials: await card(a), host: '127.0.0.1', ports: [0], warn: () => {} },
    revocations: {
      isRevoked: () => false,
      isRevokedMember: () => false,
      onRevoked: listener => {
        revoke = listener;
        return () => {};
      },
    },
    services: [
      served(ContactServiceDefinition, {
        ping: async (_request, { memberId = '' }) => ({ memberId: a.id, name: 'a', callerId: memberId }),
      }),
      served(HealthDefinition, createHealth([fullName], ending.signal)),
    ],
  });
  ends.push(() => server.close(0));
  return { server, ending, revoke: id => revoke(id) };
}

async function dial({ port }: MemberServer) {
  const channel = memberChannelCredentials(await card(b), a.id);
  const connection = openGrpc(`127.0.0.1:${port}`, channel, memberChannelOptions);
  ends.push(() => connection.close());
  return connection;
}

/** A socket whose end and errors are of no interest. */
function socketTo({ port }: MemberServer): Socket {
  const socket = connect({ port, host: '127.0.0.1' })
    .on('error', () => {})
    .resume();
  ends.push(() => socket.destroy());
  return socket;
}

function ended(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()));
}

describe('members can call', () => {
  test('while a thousand connections say nothing, and those are cut in the order in which they came', async () => {
    const { server } = await serve();
    const sockets = Array.from({ length: 1_000 }, () => socketTo(server));
    const closed = sockets.map(ended);
    await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('connect', resolve))));
    const member = (await dial(server)).client(ContactServiceDefinition);
    expect(await member.ping({})).toMatchObject({ callerId: b.id });
    // 256 may stay until the time to shake hands is over, five seconds; the others are gone before.
    await until(
      () => sockets.filter(socket => socket.closed).length,
      count => count >= 700,
      3_000,
    );
    expect(server.connected()).toBe(1);
    await Promise.all(closed);
    await member.ping({});
  }, 20_000);

  test('while others send garbage, before TLS and inside of it', async () => {
    const { server } = await serve();
    const member = (await dial(server)).client(ContactServiceDefinition);
    const seed = Math.floor(Math.random() * 2 ** 32);
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    for (let round = 0; round < 100; round++) {
      const bytes = randomBytes(6 + Math.floor(random() * 4_000));
      // A beginning of a handshake, now and then.
      if (round % 3 === 0) bytes.set([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);
      socketTo(server).end(bytes);
    }
    const { certificate: cert, key, authorityCertificate: ca } = await card(b);
    const closed = Array.from({ length: 20 }, (_, round) => {
      const inside = connectTls({
        ...{ port: server.port, host: '127.0.0.1', cert, key, ca, ALPNProtocols: ['h2'] },
        checkServerIdentity: () => undefined,
      });
      inside.on('error', () => {});
      ends.push(() => inside.destroy());
      const preface = round % 2 === 0 ? 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' : '';
      inside.write(Buffer.concat([Buffer.from(preface), randomBytes(2_000)]));
      return ended(inside.resume());
    });
    await Promise.all(closed);
    expect(await member.ping({})).toMatchObject({ callerId: b.id });
    await until(
      () => server.connected(),
      count => count === 1,
    );
  }, 20_000);

  test('but not over more than 32 connections each, nor without HTTP/2', async () => {
    const { server } = await serve();
    const { certificate: cert, key, authorityCertificate: ca } = await card(b);
    const open = (protocols: string[]) => {
      const socket = connectTls({
        ...{ port: server.port, host: '127.0.0.1', cert, key, ca, ALPNProtocols: protocols },
        checkServerIdentity: () => undefined,
      }).on('error', () => {});
      ends.push(() => socket.destroy());
      return socket.resume();
    };
    await ended(open(['http/1.1']));
    const sockets = Array.from({ length: 40 }, () => open(['h2']));
    await until(
      () => sockets.filter(socket => socket.closed).length,
      count => count === 8,
    );
  });

  test('with four megabytes a message, and not more', async () => {
    const { server } = await serve();
    const connection = await dial(server);
    const large = { ...ContactServiceDefinition.methods.ping, requestType: bytesOf(5 * 1024 * 1024) };
    const client = connection.client({ ...ContactServiceDefinition, methods: { ping: large } });
    await expect(client.ping({} as never)).rejects.toMatchObject({ status: 'RESOURCE_EXHAUSTED' });
    await connection.client(ContactServiceDefinition).ping({});
  });
});

test('a running stream of a member ends when the member is revoked', async () => {
  const { server, revoke } = await serve();
  const stream = (await dial(server)).client(HealthDefinition).watch({ service: '' })[Symbol.asyncIterator]();
  await stream.next();
  const next = stream.next();
  revoke(a.id);
  revoke(b.id);
  await expect(next).rejects.toMatchObject({ status: 'UNAVAILABLE' });
});

describe('health', () => {
  test('says what is served, and that it ends', async () => {
    const { server, ending } = await serve();
    const health = (await dial(server)).client(HealthDefinition);
    expect(await health.check({ service: '' })).toEqual({ status: 1 });
    expect(await health.check({ service: ContactServiceDefinition.fullName })).toEqual({ status: 1 });
    await expect(health.check({ service: 'x.Y' })).rejects.toMatchObject({ status: 'NOT_FOUND' });
    const watching = health.watch({ service: '' })[Symbol.asyncIterator]();
    expect(await watching.next()).toMatchObject({ value: { status: 1 } });
    const next = watching.next();
    ending.abort();
    expect(await next).toMatchObject({ value: { status: 2 } });
  });
});

describe('reflection', () => {
  test('lets a foreign client, that knows nothing but the standard, find a service and call it', async () => {
    const { server } = await serve();
    const standard = fileURLToPath(
      new URL('../../node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto', import.meta.url),
    );
    const tls = memberChannelCredentials(await card(b), a.id);
    const place = `127.0.0.1:${server.port}`;
    const packages = loadPackageDefinition(loadSync(standard));
    const Reflection = at(packages, 'grpc.reflection.v1.ServerReflection');
    const reflection = new Reflection(place, tls, memberChannelOptions);
    ends.push(() => reflection.close());
    const ask = (question: object): Promise<Record<string, unknown>> =>
      new Promise((resolve, reject) => {
        const call = reflection.serverReflectionInfo();
        call.on('error', reject).on('data', (answer: never) => {
          resolve(answer);
          call.end();
        });
        call.write(question);
      });
    const { listServicesResponse } = await ask({ listServices: '' });
    const names = (listServicesResponse as { service: { name: string }[] }).service.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['warren.member.v1.ContactService', 'grpc.health.v1.Health']));
    // What is not served here is not told of.
    expect(names).not.toContain('warren.member.v1.MemberService');

    const { fileDescriptorResponse } = await ask({ fileContainingSymbol: 'warren.member.v1.ContactService' });
    const { fileDescriptorProto } = fileDescriptorResponse as { fileDescriptorProto: Buffer[] };
    const set = Buffer.concat(
      fileDescriptorProto.map(file => Buffer.concat([Buffer.from([0x0a]), varint(file.length), file])),
    );
    const Contact = at(loadPackageDefinition(loadFileDescriptorSetFromBuffer(set)), 'warren.member.v1.ContactService');
    const contact = new Contact(place, tls, memberChannelOptions);
    ends.push(() => contact.close());
    const pong = await new Promise((resolve, reject) =>
      contact.ping({}, (error: unknown, answer: unknown) => (error ? reject(error) : resolve(answer))),
    );
    expect(pong).toMatchObject({ member_id: a.id, caller_id: b.id });
  });
});

interface Foreign {
  new (
    ...args: unknown[]
  ): Client & {
    serverReflectionInfo(): ClientDuplexStream<object, never>;
    ping(request: object, answered: (error: unknown, answer: unknown) => void): void;
  };
}

function at(packages: object, name: string): Foreign {
  return name.split('.').reduce<unknown>((found, part) => Reflect.get(found as object, part), packages) as Foreign;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** A message of nothing but an unknown field of that many bytes. */
function bytesOf(length: number) {
  const { encode, ...rest } = ContactServiceDefinition.methods.ping.requestType;
  const head = Buffer.from([0x7a, 0xff, 0xff, 0xff, 0x7f]);
  void encode;
  return { ...rest, encode: () => ({ finish: () => Buffer.concat([head, Buffer.alloc(length)]) }) } as never;
}
