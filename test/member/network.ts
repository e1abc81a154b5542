import { MemberServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import { createBus } from '../../services/bus/amqp-bus.ts';
import { rights } from '../../services/bus/rights.ts';
import { roles } from '../../services/bus/topology.ts';
import { type Authority, createAuthority, issueCertificate } from '../../services/lib/identity/authority.ts';
import type { MemberKeys } from '../../services/lib/identity/keys.ts';
import { brokerAccountOf } from '../../services/lib/identity/member-id.ts';
import { randomHex } from '../../services/lib/random.ts';
import type { GrpcConnection } from '../../services/lib/rpc/grpc-client.ts';
import { connectToDaemon } from '../../services/lib/rpc/local-daemon.ts';
import { keepMembership, keptMemberKeys } from '../../services/member/home.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { accountsOf } from '../compliance/accounts.ts';
import { temporaryDir } from '../support/broker.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';

export interface JoinedHome {
  readonly dir: string;
  readonly keys: MemberKeys;
  /** With the member's broker account. */
  readonly brokerUrl: string;
  readonly certificate: string;
}

export interface Network {
  readonly authority: Authority;
  /** A home as `warren join` leaves it, with an account of its own on the broker. */
  join(account: string, options?: { brokerUrl?: (url: URL) => void; days?: number }): Promise<JoinedHome>;
}

/** A network on a broker of the test's own: an authority, and what the directory declares. */
export async function createNetwork(broker: LocalBroker): Promise<Network> {
  const authority = await createAuthority(Date.now());
  const accounts = await accountsOf(broker);
  if (typeof accounts === 'string') throw new Error(accounts);
  const directory = createBus({ urls: [broker.url], name: 'declares', role: roles.directory('classic') });
  await directory.ready();
  await directory.close();
  return {
    authority,
    async join(account, { brokerUrl = () => {}, days = 1 } = {}) {
      const dir = await temporaryDir();
      const keys = await keptMemberKeys(dir);
      const certificate = await issueCertificate(authority, {
        ...{ publicKey: keys.publicKey, account, now: Date.now(), days },
      });
      const name = brokerAccountOf(keys.id);
      const password = randomHex(32);
      const { topics, ...patterns } = rights.member(keys.id);
      await accounts.create([{ name, password, rights: patterns, topics }]);
      const url = new URL(broker.url);
      url.username = name;
      url.password = password;
      brokerUrl(url);
      await keepMembership(dir, {
        ...{ authorityCertificate: authority.certificate, certificate, brokerUrls: [url.href] },
        ...{ queueType: 'classic', services: [] },
      });
      return { dir, keys, brokerUrl: url.href, certificate };
    },
  };
}

export interface DaemonProcess {
  readonly process: WarrenProcess;
  readonly port: number;
  /** As its owner. */
  readonly connection: GrpcConnection;
  readonly owner: ReturnType<typeof ownerOf>;
}

/** `warren member` for a home, on the usual ports unless told otherwise, up to where it serves; `process.line(/^member is up$/)` says when it is connected. */
export function spawnDaemon(dir: string, ...more: string[]): Promise<DaemonProcess> {
  return spawnDaemonOf('member', dir, ...more);
}

/** As `spawnDaemon`, by `warren chord` instead if that is the command. */
export async function spawnDaemonOf(
  command: 'member' | 'chord',
  dir: string,
  ...more: string[]
): Promise<DaemonProcess> {
  const process = await spawnWarren([command, '--data', dir, ...more]);
  const line = await process.line(/^its owner is served at /).then(() => process.line(/serves members on port/));
  const port = Number(/port (\d+)$/.exec(line)?.[1]);
  const connection = await connectToDaemon(dir);
  return { process, port, connection, owner: ownerOf(connection) };
}

function ownerOf(connection: GrpcConnection) {
  return connection.client(MemberServiceDefinition);
}
