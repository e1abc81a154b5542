import { randomBytes } from 'node:crypto';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { onTestFinished } from 'vitest';
import type { AccountSpec, BrokerAccounts } from '../../services/bus/accounts/accounts.ts';
import { createBrokerAccounts } from '../../services/bus/accounts/management.ts';
import { hashBrokerPassword } from '../../services/bus/accounts/password-hash.ts';
import { inviteAccount, memberAccount } from '../../services/bus/accounts/specs.ts';
import { createBus } from '../../services/bus/amqp-bus.ts';
import type { Bus } from '../../services/bus/bus.ts';
import { type Rights, rights } from '../../services/bus/rights.ts';
import { type Role, roles } from '../../services/bus/topology.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { randomHex } from '../../services/lib/random.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { ownBroker } from '../support/broker.ts';

/** Somebody with an account of the broker. */
export interface Person {
  /** Of a member; empty for others. */
  readonly id: string;
  readonly account: string;
  readonly url: string;
}

/** A broker with all that is shared declared by those who may, and accounts made through the port. */
export interface Network {
  readonly broker: LocalBroker;
  readonly accounts: BrokerAccounts;
  readonly directory: Person;
  readonly proxy: Person;
  /** @param hosts chats that it may serve */
  addMember(services?: readonly string[], hosts?: readonly string[], id?: MemberId): Promise<Person>;
  addInvite(): Promise<Person>;
  close(): Promise<void>;
}

export async function startNetwork(services: readonly string[], chats: readonly string[] = []): Promise<Network> {
  const broker = await ownBroker({ management: true });
  const accounts = createBrokerAccounts(broker.httpUrl ?? '');
  const add = async (id: string, make: (hash: string) => AccountSpec): Promise<Person> => {
    const password = randomHex(64);
    const spec = make(hashBrokerPassword(password, randomBytes(4)));
    await accounts.put(spec);
    const url = new URL(broker.url);
    url.username = spec.name;
    url.password = password;
    return { id, account: spec.name, url: url.href };
  };
  const role = (name: string, of: Rights): Promise<Person> =>
    add('', passwordHash => ({ name, passwordHash, rights: of, limits: { connections: null, channels: null } }));
  const directory = await role('directory', rights.directory());
  const proxy = await role('proxy', rights.proxy());
  for (const [who, as] of [
    [directory, roles.directory('classic', chats)],
    [proxy, roles.proxy(services, 'classic')],
  ] as const) {
    const bus = createBus({ urls: [who.url], name: who.account, role: as });
    await bus.ready();
    await bus.close();
  }
  return {
    broker,
    accounts,
    directory,
    proxy,
    addMember: (granted = [], hosts = [], id = randomHex(64) as MemberId) => {
      return add(id, hash => memberAccount(id, hash, granted, hosts));
    },
    addInvite: () => add('', hash => inviteAccount(randomHex(16), hash)),
    close: () => broker.close(),
  };
}

export function busOf({ url, account }: Person, role: Role, log?: (line: string) => void): Bus {
  const bus = createBus({ urls: [url], name: account, role }, log);
  onTestFinished(() => bus.close(200));
  return bus;
}

export async function rawConnection(url: string): Promise<ChannelModel> {
  const connection = await connect(url, { timeout: 5_000 });
  connection.on('error', () => {});
  onTestFinished(() => connection.close().catch(() => {}));
  return connection;
}

export type Act = (channel: ConfirmChannel) => PromiseLike<unknown> | undefined;

/**
 * Does something on a connection of its own, and waits until the broker has confirmed it.
 * @returns `allowed`, or the code of the refusal
 */
export async function tried(who: Person, act: Act): Promise<number | 'allowed'> {
  const connection = await connect(who.url, { timeout: 5_000 });
  const refusal = new Promise<number>(resolve => {
    const refused = (error: Error & { code?: number }): void => resolve(error.code ?? -1);
    connection.on('error', refused);
    void connection.createConfirmChannel().then(async channel => {
      channel.on('error', refused);
      try {
        await act(channel);
        await channel.waitForConfirms();
        allowed.resolve('allowed');
      } catch {
        // Told by the channel.
      }
    });
  });
  const allowed = Promise.withResolvers<'allowed'>();
  try {
    return await Promise.race([refusal, allowed.promise]);
  } finally {
    await connection.close().catch(() => {});
  }
}

export function publish(
  exchange: string,
  key: string,
  options: Parameters<ConfirmChannel['publish']>[3] = {},
  body = Buffer.alloc(0),
): Act {
  return channel => {
    channel.publish(exchange, key, body, options);
    return undefined;
  };
}

/** Binds a queue of its own. */
export function hear(exchange: string, key: string): Act {
  return async channel => {
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, key);
  };
}

export function take(queue: string): Act {
  return channel => channel.consume(queue, () => {}, { noAck: false });
}

export function peek(queue: string): Act {
  return channel => channel.get(queue, { noAck: false });
}
