import { Failure } from '../../lib/failure.ts';
import type { BrokerAccounts } from './accounts.ts';

export interface ManagementOptions {
  /** For each operation as a whole, in milliseconds. */
  readonly deadlineMs?: number;
}

/**
 * Accounts over RabbitMQ's management API, which the embedded broker has too.
 * @param url `http://user:password@host:15672`; the account must be an administrator's
 */
export function createBrokerAccounts(url: string, _options: ManagementOptions = {}): BrokerAccounts {
  const place = new URL(url).origin;
  const missing = () => Promise.reject(new Failure('ACCOUNTS_UNREACHABLE', `not built yet, for ${place}`));
  return { place, list: missing, put: missing, setRights: missing, remove: missing };
}
