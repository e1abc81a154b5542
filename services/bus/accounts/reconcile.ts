import { Failure } from '../../lib/failure.ts';
import type { Rights } from '../rights.ts';
import type { AccountLimits, AccountSpec, BrokerAccounts, PresentAccount } from './accounts.ts';

/** Names that begin so are ours alone: who is not among the desired ones goes. */
const managedPrefixes = ['m.', 'invite.'] as const;

export interface Reconciliation {
  readonly put: readonly AccountSpec[];
  readonly remove: readonly string[];
}

/** What is to be done so that the managed accounts are the desired ones. */
export function differences(
  desired: readonly AccountSpec[],
  present: readonly PresentAccount[],
  prefixes: readonly string[] = managedPrefixes,
): Reconciliation {
  const wanted = new Map(desired.map(account => [account.name, account]));
  const there = new Map(present.map(account => [account.name, account]));
  const isManaged = (name: string): boolean => prefixes.some(prefix => name.startsWith(prefix));
  return {
    put: [...wanted.values()].filter(account => !isSame(account, there.get(account.name))),
    remove: [...there.keys()].filter(name => isManaged(name) && !wanted.has(name)),
  };
}

export function isSame(wanted: AccountSpec, present: PresentAccount | undefined): boolean {
  return (
    present !== undefined &&
    present.passwordHash === wanted.passwordHash &&
    areSameRights(wanted.rights, present.rights) &&
    areSameLimits(wanted.limits, present.limits)
  );
}

export function areSameRights(one: Rights, other: Rights | undefined): boolean {
  if (other === undefined || one.topics.length !== other.topics.length) return false;
  const topics = new Map(other.topics.map(topic => [topic.exchange, topic]));
  return (
    (['configure', 'write', 'read'] as const).every(right => one[right] === other[right]) &&
    one.topics.every(({ exchange, write, read }) => {
      const same = topics.get(exchange);
      return same !== undefined && same.write === write && same.read === read;
    })
  );
}

function areSameLimits(one: AccountLimits, other: AccountLimits): boolean {
  return one.connections === other.connections && one.channels === other.channels;
}

/**
 * Makes the managed accounts of the broker the desired ones: adds what is missing, fixes what differs, removes what should not be
 * there, first. To be called at the start, whenever the broker has come back, and may be repeated at any time.
 * @param desired asked once it is known what is there: whoever makes an account beside us notes it before, and it stays
 * @returns what was done
 * @throws Failure as `BrokerAccounts` says; what was done until then stays done
 */
export async function reconcile(
  desired: () => readonly AccountSpec[],
  accounts: BrokerAccounts,
  prefixes: readonly string[] = managedPrefixes,
): Promise<Reconciliation> {
  // All at once: the broker is asked for all of them anyhow, whatever they begin with.
  const present = await accounts.list('');
  const todo = differences(desired(), present, prefixes);
  const refusals: Failure[] = [];
  /** One that the broker does not take must not keep the others from it. */
  const unlessRefused = async (act: Promise<void>): Promise<void> => {
    try {
      await act;
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'ACCOUNTS_REFUSED') throw error;
      refusals.push(error);
    }
  };
  for (const name of todo.remove) await unlessRefused(accounts.remove(name));
  for (const account of todo.put) await unlessRefused(accounts.put(account));
  if (refusals[0] !== undefined) throw refusals[0];
  return todo;
}
