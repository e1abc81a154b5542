import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { Failure } from '../../lib/failure.ts';
import { ownPrefix } from '../own-keys.ts';
import type { Rights } from '../rights.ts';
import type { AccountLimits, AccountSpec, BrokerAccounts, PresentAccount } from './accounts.ts';
import { type Ask, managementApi } from './management-api.ts';
import { hashingAlgorithm } from './password-hash.ts';
import { areSameRights, isSame } from './reconcile.ts';

export interface ManagementOptions {
  /** For each operation as a whole, in milliseconds. */
  readonly deadlineMs?: number;
}

/** Of connections and queues that are going. */
const pollMs = 50;
const vhost = '/';
const inVhost = encodeURIComponent(vhost);

const limitNames = { connections: 'max-connections', channels: 'max-channels' } as const;
const userShape = z.object({
  name: z.string(),
  password_hash: z.string().optional(),
  hashing_algorithm: z.string().optional(),
  limits: z.object({ 'max-connections': z.int().optional(), 'max-channels': z.int().optional() }).default({}),
});
const permissionShape = z.object({
  user: z.string(),
  vhost: z.string(),
  configure: z.string(),
  write: z.string(),
  read: z.string(),
});
const topicShape = z.object({
  user: z.string(),
  vhost: z.string(),
  exchange: z.string(),
  write: z.string(),
  read: z.string(),
});
const namesShape = z.array(z.object({ name: z.string() }));

/**
 * Accounts over RabbitMQ's management API, which the embedded broker has too (services/broker/server/http-app.ts).
 * @param urls `http://user:password@host:15672`, of one node or of several, which are tried in turn, the one that answered last first;
 *   the account must be an administrator's, and configure what it is to remove
 */
export function createBrokerAccounts(
  urls: string | readonly string[],
  { deadlineMs = 10_000 }: ManagementOptions = {},
): BrokerAccounts {
  let nodes = [urls].flat().map(url => ({ place: new URL(url).origin, api: managementApi(url) }));
  const shareMs = Math.ceil(deadlineMs / nodes.length);
  // All that is asked may be asked twice, so half of it may have been done at another node.
  const within = async <T>(act: (ask: Ask, place: string) => Promise<T>): Promise<T> => {
    for (const [at, node] of nodes.entries()) {
      try {
        const done = await act(node.api(AbortSignal.timeout(shareMs), shareMs), node.place);
        nodes = [...nodes.slice(at), ...nodes.slice(0, at)];
        return done;
      } catch (error) {
        if (error instanceof z.ZodError)
          throw new Failure('ACCOUNTS_REFUSED', `what answers at ${node.place} is no broker's HTTP API`, {
            cause: error,
          });
        const isAway = error instanceof Failure && error.code === 'ACCOUNTS_UNREACHABLE';
        if (!isAway || at === nodes.length - 1) throw error;
      }
    }
    throw new Failure('ACCOUNTS_UNREACHABLE', 'no HTTP API of a broker is known');
  };

  return {
    place: nodes.map(({ place }) => place).join(', '),
    list: prefix => within(ask => list(ask, prefix)),
    put: account =>
      within(async ask => {
        const present = await find(ask, account.name);
        if (isSame(account, present)) return;
        // First what it may not, then what it may: it must at no time be allowed more than one of both.
        if (present?.passwordHash !== account.passwordHash) await putPassword(ask, account);
        await putLimits(ask, account.name, account.limits, present?.limits);
        await putRights(ask, account.name, account.rights, present?.rights);
        if (present !== undefined) await disconnect(ask, account.name);
      }),
    setRights: (name, rights) =>
      within(async (ask, place) => {
        const present = await find(ask, name);
        if (present === undefined)
          throw new Failure('ACCOUNTS_UNKNOWN', `the broker at ${place} has no account ${JSON.stringify(name)}`);
        if (areSameRights(rights, present.rights)) return;
        await putRights(ask, name, rights, present.rights);
        await disconnect(ask, name);
      }),
    remove: name =>
      within(async ask => {
        // The account first: whoever is thrown out must not come back.
        await ask('DELETE', userPath(name), { alsoFine: [404] });
        await disconnect(ask, name, { andNew: true });
        for (const what of ['queues', 'exchanges'] as const) await deleteOwn(ask, name, what);
      }),
  };
}

function userPath(name: string): string {
  return `/api/users/${encodeURIComponent(name)}`;
}

async function list(ask: Ask, prefix: string): Promise<PresentAccount[]> {
  const paths = ['/api/users', '/api/permissions', '/api/topic-permissions'];
  const [all, permissions, topics] = (await Promise.all(paths.map(path => ask('GET', path)))).map(({ json }) => json);
  const users = z.array(userShape).parse(all);
  const rightsOf = rightsIn(z.array(permissionShape).parse(permissions), z.array(topicShape).parse(topics));
  return users.filter(({ name }) => name.startsWith(prefix)).map(user => presentOf(user, rightsOf.get(user.name)));
}

async function find(ask: Ask, name: string): Promise<PresentAccount | undefined> {
  const { status, json } = await ask('GET', userPath(name), { alsoFine: [404] });
  if (status === 404) return undefined;
  const alsoFine = [404];
  const permissions = await ask('GET', `${userPath(name)}/permissions`, { alsoFine });
  const topics = await ask('GET', `${userPath(name)}/topic-permissions`, { alsoFine });
  const rights = rightsIn(
    permissions.status === 404 ? [] : z.array(permissionShape).parse(permissions.json),
    topics.status === 404 ? [] : z.array(topicShape).parse(topics.json),
  );
  return presentOf(userShape.parse(json), rights.get(name));
}

function rightsIn(
  permissions: readonly z.infer<typeof permissionShape>[],
  topics: readonly z.infer<typeof topicShape>[],
): Map<string, Rights> {
  const byUser = Map.groupBy(
    topics.filter(topic => topic.vhost === vhost),
    ({ user }) => user,
  );
  return new Map(
    permissions
      .filter(permission => permission.vhost === vhost)
      .map(({ user, configure, write, read }) => [
        user,
        {
          configure,
          write,
          read,
          topics: (byUser.get(user) ?? []).map(topic => ({
            exchange: topic.exchange,
            write: topic.write,
            read: topic.read,
          })),
        },
      ]),
  );
}

function presentOf(user: z.infer<typeof userShape>, rights: Rights | undefined): PresentAccount {
  const { name, password_hash: hash, hashing_algorithm: algorithm, limits } = user;
  return {
    name,
    passwordHash: algorithm === hashingAlgorithm ? hash : undefined,
    rights,
    limits: { connections: limits['max-connections'] ?? null, channels: limits['max-channels'] ?? null },
  };
}

async function putPassword(ask: Ask, { name, passwordHash }: AccountSpec): Promise<void> {
  const body = { password_hash: passwordHash, hashing_algorithm: hashingAlgorithm, tags: '' };
  const { status } = await ask('PUT', userPath(name), { body, alsoFine: [400] });
  // RabbitMQ 4 says so when somebody else makes the same one at this moment; it is changed then, and what is really wrong said again.
  if (status === 400) await ask('PUT', userPath(name), { body });
}

async function putLimits(ask: Ask, name: string, limits: AccountLimits, present?: AccountLimits): Promise<void> {
  for (const kind of ['connections', 'channels'] as const) {
    const value = limits[kind];
    if (present !== undefined && present[kind] === value) continue;
    const path = `/api/user-limits/${encodeURIComponent(name)}/${limitNames[kind]}`;
    if (value !== null) await ask('PUT', path, { body: { value } });
    else if (present !== undefined) await ask('DELETE', path, { alsoFine: [404] });
  }
}

/**
 * A topic exchange without an entry has all its keys free. So entries come before the permission to use their exchange, and go
 * after it.
 */
async function putRights(ask: Ask, name: string, rights: Rights, present: Rights | undefined): Promise<void> {
  const user = encodeURIComponent(name);
  const there = new Map(present?.topics.map(topic => [topic.exchange, topic]));
  for (const topic of rights.topics) {
    const before = there.get(topic.exchange);
    if (before?.write === topic.write && before.read === topic.read) continue;
    await ask('PUT', `/api/topic-permissions/${inVhost}/${user}`, { body: topic });
  }
  const { configure, write, read } = rights;
  await ask('PUT', `/api/permissions/${inVhost}/${user}`, { body: { configure, write, read } });
  // The broker can delete all of an account's entries or none: the rest is put again.
  const isLeft = [...there.keys()].some(exchange => !rights.topics.some(topic => topic.exchange === exchange));
  if (!isLeft) return;
  await ask('PUT', `/api/permissions/${inVhost}/${user}`, { body: { configure: '^$', write: '^$', read: '^$' } });
  await ask('DELETE', `/api/topic-permissions/${inVhost}/${user}`, { alsoFine: [404] });
  for (const topic of rights.topics) await ask('PUT', `/api/topic-permissions/${inVhost}/${user}`, { body: topic });
  await ask('PUT', `/api/permissions/${inVhost}/${user}`, { body: { configure, write, read } });
}

/** Resolves when none of the connections that there were is left, or, of an account that has gone, none at all. */
async function disconnect(ask: Ask, name: string, { andNew = false } = {}): Promise<void> {
  const path = `/api/connections/username/${encodeURIComponent(name)}`;
  const connections = async (): Promise<string[]> => {
    const { status, json } = await ask('GET', path, { alsoFine: [404] });
    return status === 404 ? [] : namesShape.parse(json).map(each => each.name);
  };
  const before = new Set(await connections());
  if (before.size === 0) return;
  for (;;) {
    // Again each time: one may have been about to open.
    await ask('DELETE', path, { alsoFine: [404] });
    if (!(await connections()).some(each => andNew || before.has(each))) return;
    await wait(pollMs);
  }
}

/** Queues of connections that just ended go by themselves, and meanwhile cannot be deleted. */
async function deleteOwn(ask: Ask, name: string, what: 'queues' | 'exchanges'): Promise<void> {
  const prefix = `${ownPrefix(name)}.`;
  for (let isFirst = true; ; isFirst = false) {
    const all = namesShape.parse((await ask('GET', `/api/${what}/${inVhost}?columns=name`)).json);
    const own = all.filter(each => each.name.startsWith(prefix));
    if (own.length === 0) return;
    if (!isFirst) await wait(pollMs);
    for (const each of own)
      await ask('DELETE', `/api/${what}/${inVhost}/${encodeURIComponent(each.name)}`, { alsoFine: [400, 404, 405] });
  }
}
