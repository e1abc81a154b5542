import type { AccountSpec, BrokerAccounts } from '../bus/accounts/accounts.ts';
import { reconcile } from '../bus/accounts/reconcile.ts';
import { inviteAccount, memberAccount } from '../bus/accounts/specs.ts';
import { type BackoffBounds, backoffMs } from '../lib/backoff.ts';
import { messageOf } from '../lib/failure.ts';
import type { DirectoryStore } from './store.ts';

export interface ChatRules {
  /** The network's chats, by name. */
  readonly chats: readonly string[];
  /** Accounts whose members may serve them; none: all. */
  readonly chatHosts: readonly string[];
}

/** What the broker is to know, by the store. @param now milliseconds since 1970 */
export function desiredAccounts(store: DirectoryStore, now: number, { chats, chatHosts }: ChatRules): AccountSpec[] {
  const hostedBy = (username: string): readonly string[] =>
    chatHosts.length === 0 || chatHosts.includes(username) ? chats : [];
  return [
    ...store.members
      .brokerAccounts()
      .map(({ id, brokerHash, services, username }) => memberAccount(id, brokerHash, services, hostedBy(username))),
    ...store.invites.brokerAccounts(now).map(({ id, brokerHash }) => inviteAccount(id, brokerHash)),
  ];
}

export interface KeeperOptions {
  /** Between two looks at a broker that nothing is known to have happened to, in milliseconds. */
  readonly everyMs: number;
  readonly retry: BackoffBounds;
}

interface Waiting {
  resolve(): void;
  reject(reason: unknown): void;
}

/**
 * Keeps the broker's accounts of members and invites those of the store. Modes: *idle* (until somebody asks, or `everyMs` is over) →
 * *at work* (one run at a time; who asks meanwhile waits for the next one, which sees what the store says then) → *idle*, or, when
 * it failed, *waiting* for another try. A failure is told once, and once that it is over.
 */
export class AccountKeeper {
  readonly #run: () => Promise<void>;
  readonly #options: KeeperOptions;
  readonly #warn: (line: string) => void;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #atWork: Promise<void> | undefined;
  #attempt = 0;
  #told = '';
  #isClosed = false;

  constructor(
    {
      accounts,
      desired,
      warn,
    }: {
      accounts: BrokerAccounts;
      desired: () => readonly AccountSpec[];
      warn: (line: string) => void;
    },
    options: KeeperOptions,
  ) {
    this.#run = async () => {
      await reconcile(desired, accounts);
    };
    this.#warn = warn;
    this.#options = options;
  }

  /** Resolves when the broker has what the store says now, or rejects with why it has not: it is tried again later anyhow. */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#start();
    });
  }

  /** Somebody else hears of it. */
  wake(): void {
    this.sync().catch(() => {});
  }

  #start(): void {
    if (this.#atWork !== undefined || this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#atWork = this.#work();
  }

  async #work(): Promise<void> {
    const served = this.#waiting.splice(0);
    let nextMs = this.#options.everyMs;
    try {
      await this.#run();
      if (this.#told !== '') this.#warn('the accounts of members are in step with the broker again');
      this.#told = '';
      this.#attempt = 0;
      for (const { resolve } of served) resolve();
    } catch (error) {
      const line = messageOf(error);
      if (line !== this.#told) this.#warn(`cannot keep the accounts of members on the broker: ${line}`);
      this.#told = line;
      nextMs = backoffMs(this.#attempt++, this.#options.retry, Math.random);
      for (const { reject } of served) reject(error);
    }
    this.#atWork = undefined;
    if (this.#isClosed) return;
    if (this.#waiting.length > 0) return this.#start();
    this.#timer = setTimeout(() => this.wake(), nextMs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#atWork;
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('the directory closes'));
  }
}
