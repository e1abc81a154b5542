import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { isBrokerPassword, isBrokerPasswordHash } from '../../bus/accounts/password-hash.ts';
import { Failure } from '../../lib/failure.ts';
import { Turns } from '../../lib/turns.ts';
import { type Permission, patternProblem, Rights, type TopicPermission } from '../core/permissions.ts';
import type { Login } from './connection-host.ts';

const scryptAsync = promisify<string, Buffer, number, Buffer>(scrypt);
const keyBytes = 32;
/** Keys derived at a time, in the threads that also write the log: whoever guesses passwords must not keep it waiting. Each takes 16 MiB. */
const atOnce = 2;

/** One account as it is kept. */
export interface StoredAccount {
  readonly name: string;
  /** scrypt of the password, salted; base64. */
  readonly salt: string;
  readonly hash: string;
  /** Instead of both: as RabbitMQ keeps passwords, and as it was given. */
  readonly passwordHash?: string | undefined;
  /** `administrator` may use the HTTP API. */
  readonly tags: readonly string[];
  /** Undefined: may log in to nothing. */
  readonly permission: Permission | undefined;
  readonly topics: readonly TopicPermission[];
  readonly limits?: AccountLimits;
}

/** How many of them it may have open, on all its machines together; undefined: any number. */
export interface AccountLimits {
  readonly connections?: number | undefined;
  readonly channels?: number | undefined;
}

export interface AccountStore {
  load(): Promise<readonly StoredAccount[]>;
  save(accounts: readonly StoredAccount[]): Promise<void>;
}

/** Accounts with their rights; a change that cannot be kept is undone. */
export class Accounts {
  readonly #store: AccountStore;
  readonly #accounts = new Map<string, StoredAccount>();
  readonly #rights = new Map<string, Rights>();
  /** Passwords that were right, by account, as keyed digests: deriving takes 50 ms, and every process logs in twice. */
  readonly #verified = new Map<string, Buffer>();
  readonly #digestKey = randomBytes(32);
  readonly #turns = new Turns(atOnce);
  readonly #onChange: (name: string, rights: Rights | undefined) => void;
  #saving: Promise<void> = Promise.resolve();

  /** @param onChange rights undefined: the account has gone, or may log in no more */
  constructor(store: AccountStore, onChange: (name: string, rights: Rights | undefined) => void) {
    this.#store = store;
    this.#onChange = onChange;
  }

  async load(): Promise<void> {
    for (const account of await this.#store.load()) this.#accounts.set(account.name, account);
  }

  get size(): number {
    return this.#accounts.size;
  }

  all(): StoredAccount[] {
    return [...this.#accounts.values()];
  }

  find(name: string): StoredAccount | undefined {
    return this.#accounts.get(name);
  }

  /**
   * The account whose password it is.
   * @param isWanted asked when its turn comes: whoever hung up must not keep others waiting
   */
  async verify(
    name: string,
    password: string,
    isWanted: () => boolean = () => true,
  ): Promise<StoredAccount | undefined> {
    const account = this.#accounts.get(name);
    const digest = this.#digest(name, password);
    const verified = account && this.#verified.get(name);
    if (verified) {
      if (timingSafeEqual(verified, digest)) return account;
    }
    const { passwordHash } = account ?? {};
    if (account && passwordHash !== undefined && isBrokerPassword(password, passwordHash)) return account;
    // An unknown name takes as long as a known one, and a wrong password as long whatever it is compared with.
    const salt = account ? Buffer.from(account.salt, 'base64') : Buffer.alloc(16);
    const hash = await this.#turns.take(async () => (isWanted() ? derive(password, salt) : undefined));
    // Meanwhile it may have gone, or have another password; other rights are no reason to refuse it.
    const current = this.#accounts.get(name);
    if (!hash || !current || current.hash !== account?.hash || current.passwordHash !== undefined) return undefined;
    if (!timingSafeEqual(hash, Buffer.from(current.hash, 'base64'))) return undefined;
    this.#verified.set(name, digest);
    return current;
  }

  /** Undefined for a wrong name or password. */
  async login(name: string, password: string, isWanted?: () => boolean): Promise<Login | undefined> {
    const account = (await this.verify(name, password, isWanted)) && this.#accounts.get(name);
    return account && { user: account.name, rights: this.#rightsOf(account) };
  }

  #digest(name: string, password: string): Buffer {
    return createHash('sha256').update(this.#digestKey).update(`${name.length}:${name}${password}`).digest();
  }

  #rightsOf(account: StoredAccount): Rights | undefined {
    if (!account.permission) return undefined;
    const known = this.#rights.get(account.name);
    if (known) return known;
    const rights = new Rights(account.name, account.permission, account.topics);
    this.#rights.set(account.name, rights);
    return rights;
  }

  /** @throws Failure BROKER_ACCOUNT */
  async put(
    name: string,
    {
      password,
      passwordHash,
      tags,
    }: { password?: string | undefined; passwordHash?: string | undefined; tags: readonly string[] },
  ): Promise<void> {
    const existing = this.#accounts.get(name);
    if (name === '' || Buffer.byteLength(name) > 255)
      throw new Failure('BROKER_ACCOUNT', 'an account needs a name of 1 to 255 bytes');
    if (passwordHash !== undefined && (password !== undefined || !isBrokerPasswordHash(passwordHash)))
      throw new Failure(
        'BROKER_ACCOUNT',
        'password_hash must be base64 of four bytes of salt and a SHA-256, without a password',
      );
    if (password === undefined && passwordHash === undefined && !existing)
      throw new Failure('BROKER_ACCOUNT', `account "${name}" needs a password`);
    const salt = randomBytes(16);
    let secret: Partial<StoredAccount> = {};
    if (passwordHash !== undefined) secret = { salt: '', hash: '', passwordHash };
    else if (password !== undefined) {
      const hash = await this.#turns.take(() => derive(password, salt));
      secret = { salt: salt.toString('base64'), hash: hash.toString('base64'), passwordHash: undefined };
    }
    this.#verified.delete(name);
    const made = {
      permission: undefined,
      topics: [],
      salt: '',
      hash: '',
      ...this.#accounts.get(name),
      name,
      tags,
      ...secret,
    };
    await this.#change(name, made);
    // Whoever logs in next has most likely this one.
    if (password !== undefined && this.#accounts.get(name) === made)
      this.#verified.set(name, this.#digest(name, password));
  }

  /** @throws Failure BROKER_ACCOUNT (no such account, or a pattern that is no regular expression) */
  async setPermission(name: string, permission: Permission | undefined): Promise<void> {
    for (const pattern of permission ? [permission.configure, permission.write, permission.read] : [])
      checkPattern(pattern);
    await this.#change(name, { ...this.#get(name), permission });
  }

  /** @throws Failure BROKER_ACCOUNT */
  async setTopics(name: string, topics: readonly TopicPermission[]): Promise<void> {
    for (const { write, read } of topics) for (const pattern of [write, read]) checkPattern(pattern);
    await this.#change(name, { ...this.#get(name), topics });
  }

  /** @throws Failure BROKER_ACCOUNT */
  async setLimits(name: string, limits: AccountLimits): Promise<void> {
    const account = this.#get(name);
    await this.#change(name, { ...account, limits: { ...account.limits, ...limits } });
  }

  async delete(name: string): Promise<boolean> {
    if (!this.#accounts.has(name)) return false;
    await this.#change(name, undefined);
    return true;
  }

  #get(name: string): StoredAccount {
    const account = this.#accounts.get(name);
    if (!account) throw new Failure('BROKER_ACCOUNT', `no account "${name}"`);
    return account;
  }

  /** @param account undefined: it goes */
  async #change(name: string, account: StoredAccount | undefined): Promise<void> {
    const before = this.#accounts.get(name);
    this.#set(name, account);
    try {
      await this.#save();
    } catch (error) {
      // Or who asks again would hear that it is done, with connections still open that it was about.
      if (this.#accounts.get(name) === account) this.#set(name, before);
      throw error;
    }
    const current = account && this.#accounts.get(name);
    this.#onChange(name, current && this.#rightsOf(current));
  }

  #set(name: string, account: StoredAccount | undefined): void {
    this.#rights.delete(name);
    if (account) this.#accounts.set(name, account);
    else {
      this.#accounts.delete(name);
      this.#verified.delete(name);
    }
  }

  /** One after the other, each with what is true then. */
  #save(): Promise<void> {
    this.#saving = this.#saving.catch(() => {}).then(() => this.#store.save(this.all()));
    return this.#saving;
  }
}

function derive(password: string, salt: Buffer): Promise<Buffer> {
  return scryptAsync(password, salt, keyBytes);
}

function checkPattern(pattern: string): void {
  const problem = patternProblem(pattern);
  if (problem !== undefined) throw new Failure('BROKER_ACCOUNT', `not a regular expression: ${pattern} (${problem})`);
}
