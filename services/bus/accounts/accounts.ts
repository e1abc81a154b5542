import type { Rights } from '../rights.ts';

/** Bounds on what one account can have open at a time, on all its machines together; null: none. */
export interface AccountLimits {
  readonly connections: number | null;
  readonly channels: number | null;
}

/** One account of the broker as it is to be. */
export interface AccountSpec {
  readonly name: string;
  /** From `hashBrokerPassword`: whoever keeps accounts needs to keep no password. */
  readonly passwordHash: string;
  readonly rights: Rights;
  readonly limits: AccountLimits;
}

/** One account as the broker has it; what cannot be said in an `AccountSpec` (another kind of password, no rights yet) is undefined. */
export interface PresentAccount {
  readonly name: string;
  readonly passwordHash: string | undefined;
  readonly rights: Rights | undefined;
  readonly limits: AccountLimits;
}

/**
 * The accounts of the broker, changed while it runs. A change counts at once: whoever is connected with an account that it
 * takes something from is disconnected. Each call may be repeated, and ends within its deadline.
 *
 * All reject with a `Failure`: ACCOUNTS_UNREACHABLE (no API there, or it does not answer in time: try again), ACCOUNTS_LOGIN
 * (it refuses our account), ACCOUNTS_RIGHTS (ours is no administrator's), ACCOUNTS_REFUSED (it does not take what we ask).
 */
export interface BrokerAccounts {
  /** Where they are kept, for people: no password. */
  readonly place: string;
  /** Those whose names begin with the prefix; all for ''. */
  list(prefix: string): Promise<readonly PresentAccount[]>;
  /** Makes it, or gives it this password, these rights and these limits. Connections stay unless something of it was another before. */
  put(account: AccountSpec): Promise<void>;
  /** Password and limits stay. @throws Failure ACCOUNTS_UNKNOWN as well */
  setRights(name: string, rights: Rights): Promise<void>;
  /** Takes it away with its connections, and with the queues and exchanges under its own names (`m.<id>.…`). None there: no error. */
  remove(name: string): Promise<void>;
}
