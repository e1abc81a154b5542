import type { BrokerAccounts } from '../bus/accounts/accounts.ts';
import { createBrokerAccounts } from '../bus/accounts/management.ts';
import { createBus } from '../bus/amqp-bus.ts';
import { userOf } from '../bus/session.ts';
import { roles } from '../bus/topology.ts';
import type { Config } from '../config/config.ts';
import { readAuthority } from '../directory/authority-file.ts';
import { brokerPlaces, isLoopback } from '../directory/broker-places.ts';
import { createInvite, type InviteRequest } from '../directory/invites.ts';
import type { MemberRow } from '../directory/member-store.ts';
import { tellOfRevocations } from '../directory/revocation-feed.ts';
import { findMember, revokeMember } from '../directory/revoke.ts';
import { noAccounts } from '../directory/service.ts';
import { DirectoryStore, directoryDir } from '../directory/store.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import type { Authority } from '../lib/identity/authority.ts';
import { brokerAccountOf } from '../lib/identity/member-id.ts';
import { knownBroker } from './known-broker.ts';

/**
 * What `warren invite` and `warren members` do beside a directory, which sees it in the store.
 * All throw Failure DIRECTORY_DATA, AUTHORITY, and NO_DIRECTORY when none has ever run for the data directory.
 */

/** What others have revoked in the same moment comes along. */
const revocationsAtOnce = 100;
/** A revocation does not wait longer than this, in milliseconds, to be told before it is done. */

/** @throws Failure CONFIG, INVITE_ACCOUNTS, and those of `BrokerAccounts`: then there is no invite */
export async function inviteHere(
  config: Config,
  dataDir: string,
  request: InviteRequest,
): Promise<{ readonly line: string; readonly isLocal: boolean }> {
  const authority = await authorityOf(dataDir);
  const known = await knownBroker(config, dataDir);
  const [url] = known?.urls ?? [];
  if (known === undefined || url === undefined)
    throw new Failure(
      'NO_BROKER',
      `no broker is configured, and none runs for ${dataDir}: start warren up there, or name it with --broker URL`,
    );
  if (known.httpUrl === undefined) throw noAccounts();
  const brokerUrls = brokerPlaces({ address: config.broker.address, url: known.urls });
  using store = new DirectoryStore(directoryDir(dataDir));
  const made = createInvite({ store, authority, now: Date.now }, request, {
    brokerUrls,
    directoryAccount: userOf(url),
  });
  try {
    await createBrokerAccounts(known.httpUrl).put(made.account);
  } catch (error) {
    store.invites.remove(made.id);
    if (error instanceof Failure && error.code.startsWith('ACCOUNTS_') && config.broker.httpUrl === undefined)
      throw new Failure(
        error.code,
        `${error.message}; is that the broker's management API, and the account an administrator's? set broker.http_url`,
        { cause: error },
      );
    throw error;
  }
  return { line: made.line, isLocal: brokerUrls.every(isLoopback) };
}

export interface Revocation {
  readonly member: MemberRow;
  /** Why its account could not be taken from the broker now: the directory does it as soon as it can; undefined: it is gone. */
  readonly pending: string | undefined;
}

/** @throws Failure NO_MEMBER */
export async function revokeHere(config: Config, dataDir: string, text: string): Promise<Revocation> {
  const authority = await authorityOf(dataDir);
  using store = new DirectoryStore(directoryDir(dataDir));
  const member = findMember(store, text);
  const before = store.members.lastRevocation();
  revokeMember(store, authority, member.id, Date.now());
  const { httpUrl, urls = [] } = (await knownBroker(config, dataDir)) ?? {};
  // A directory that runs says so too.
  if (urls.length > 0) {
    const bus = createBus({ urls, name: 'warren members revoke', role: roles.caller() });
    await tellOfRevocations(bus, store.members.revocations(before, revocationsAtOnce));
    await bus.close(0);
  }
  if (httpUrl === undefined) return { member, pending: 'no broker is known here' };
  const pending = await removed(createBrokerAccounts(httpUrl), brokerAccountOf(member.id));
  return { member, pending };
}

async function removed(accounts: BrokerAccounts, name: string): Promise<string | undefined> {
  try {
    await accounts.remove(name);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** The network's, as the directory of this machine has made it. */
export async function authorityOf(dataDir: string): Promise<Authority> {
  const authority = await readAuthority(directoryDir(dataDir));
  if (authority === undefined)
    throw new Failure(
      'NO_DIRECTORY',
      `no directory has run for ${dataDir} yet: start warren up or warren directory first`,
    );
  return authority;
}
