import { createHash } from 'node:crypto';
import { hashBrokerPassword, hashingAlgorithm } from '../../bus/accounts/password-hash.ts';
import type { Rights } from '../../bus/rights.ts';

export interface BrokerAccount {
  readonly name: string;
  readonly password: string;
  /** An administrator when absent. */
  readonly rights?: Rights;
  /** May change everything over the HTTP API, whatever its rights. */
  readonly keepsAccounts?: boolean;
}

const vhost = '/';
const DAY = 86_400_000;
const everything = { configure: '.*', write: '.*', read: '.*' };

/**
 * What keeps forgotten queues from staying for ever, and messages that their senders forgot to bound. No job lives longer than
 * a day (`proxy.job_deadline_ms`); a service that nobody has worked for in a week declares its queue anew when it comes back.
 * The delivery limit counts for quorum queues, where RabbitMQ 4 would drop a job after 20.
 */
const policies = [
  {
    vhost,
    name: 'warren-jobs',
    pattern: '^proxy\\.jobs\\.',
    'apply-to': 'queues',
    priority: 0,
    definition: { 'message-ttl': DAY, expires: 7 * DAY, 'delivery-limit': 1_000_000 },
  },
];

/** Accounts and policies as RabbitMQ imports them when it boots (https://www.rabbitmq.com/docs/definitions). */
export function formatDefinitions(accounts: readonly BrokerAccount[]): string {
  const definitions = {
    vhosts: [{ name: vhost }],
    users: accounts.map(({ name, password, rights, keepsAccounts }) => ({
      name,
      password_hash: hashBrokerPassword(password, saltOf(password)),
      hashing_algorithm: hashingAlgorithm,
      tags: rights === undefined || keepsAccounts ? ['administrator'] : [],
    })),
    permissions: accounts.map(({ name, rights: { configure, write, read } = everything }) => ({
      user: name,
      vhost,
      configure,
      write,
      read,
    })),
    topic_permissions: accounts.flatMap(({ name, rights }) =>
      (rights?.topics ?? []).map(topic => ({ user: name, vhost, ...topic })),
    ),
    policies,
  };
  return `${JSON.stringify(definitions, null, 2)}\n`;
}

/**
 * The salt follows from the password, so that the same accounts give the same text and RabbitMQ sees that nothing has changed; what
 * a salt is for, equal passwords and tables made in advance, cannot be with random ones.
 */
function saltOf(password: string): Buffer {
  return createHash('sha256').update(`salt of ${password}`).digest().subarray(0, 4);
}
