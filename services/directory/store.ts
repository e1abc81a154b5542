import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Failure, messageOf } from '../lib/failure.ts';
import { InviteStore } from './invite-store.ts';
import { MemberStore } from './member-store.ts';

export interface Account {
  readonly username: string;
  /** PHC string of argon2id. */
  readonly passwordHash: string;
  readonly isDisabled: boolean;
}

export interface Session {
  /** Of this session, for others; no secret. */
  readonly peerId: string;
  readonly username: string;
  readonly addresses: readonly string[];
  /** Milliseconds since 1970, of this machine. */
  readonly expiresAt: number;
}

const version = 1;

const schema = `
  CREATE TABLE accounts (
    username TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    peer_id TEXT NOT NULL UNIQUE,
    username TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    addresses TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX sessions_of ON sessions (username, created_at);
  PRAGMA user_version = ${version};
`;

/** A session counts while it has not expired and its account is not disabled. */
const valid = 'FROM sessions JOIN accounts USING (username) WHERE disabled = 0 AND expires_at > :now';

/** More than that of one account at a time, and the oldest is logged out. */
const sessionsOfOne = 64;

/** The directory's folder in a data directory. */
export function directoryDir(dataDir: string): string {
  return join(dataDir, 'directory');
}

/**
 * Accounts and sessions in one SQLite file, `directory.db`, which is this user's alone. Several processes may have it open: the
 * directory and `warren users`. All times in milliseconds since 1970.
 * @throws Failure DIRECTORY_DATA when it cannot be opened
 */
export class DirectoryStore {
  readonly #db: DatabaseSync;
  /** In the same file. */
  readonly members: MemberStore;
  readonly invites: InviteStore;

  constructor(dir: string) {
    const file = join(dir, 'directory.db');
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      // SQLite gives its journal the rights of its file.
      closeSync(openSync(file, 'a', 0o600));
      chmodSync(file, 0o600);
      this.#db = new DatabaseSync(file, { timeout: 5_000 });
    } catch (error) {
      throw new Failure('DIRECTORY_DATA', `cannot open ${file}: ${messageOf(error)}`, { cause: error });
    }
    try {
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      this.#transaction(() => this.#migrate(file));
      this.members = new MemberStore(this.#db);
      this.invites = new InviteStore(this.#db);
    } catch (error) {
      this.#db.close();
      if (error instanceof Failure) throw error;
      throw new Failure('DIRECTORY_DATA', `cannot use ${file}: ${messageOf(error)}`, { cause: error });
    }
  }

  #migrate(file: string): void {
    const found = Number(this.#db.prepare('PRAGMA user_version').get()?.user_version);
    if (found === 0) this.#db.exec(schema);
    else if (found !== version)
      throw new Failure(
        'DIRECTORY_DATA',
        `${file} is of another version of Warren (its format is ${found}, not ${version})`,
      );
  }

  /** @returns false when there is one of that name */
  addAccount(username: string, passwordHash: string, now: number): boolean {
    const add = this.#db.prepare(
      'INSERT INTO accounts (username, password_hash, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
    return add.run(username, passwordHash, now).changes === 1;
  }

  findAccount(username: string): Account | undefined {
    const row = this.#db.prepare('SELECT * FROM accounts WHERE username = ?').get(username);
    return row === undefined
      ? undefined
      : { username, passwordHash: String(row.password_hash), isDisabled: row.disabled === 1 };
  }

  accounts(now: number): { username: string; isDisabled: boolean; createdAt: number; sessions: number }[] {
    const all = this.#db.prepare(
      `SELECT username, disabled, created_at,
         (SELECT count(*) FROM sessions WHERE sessions.username = accounts.username AND expires_at > ?) AS sessions
       FROM accounts ORDER BY username`,
    );
    return all.all(now).map(row => ({
      username: String(row.username),
      isDisabled: row.disabled === 1,
      createdAt: Number(row.created_at),
      sessions: Number(row.sessions),
    }));
  }

  /** A new password ends all sessions, and enables the account. @returns whether there is such an account */
  setPassword(username: string, passwordHash: string): boolean {
    return this.#change(
      username,
      'UPDATE accounts SET password_hash = ?, disabled = 0 WHERE username = ?',
      passwordHash,
    );
  }

  /** Ends all sessions too. @returns whether there is such an account */
  disable(username: string): boolean {
    return this.#change(username, 'UPDATE accounts SET disabled = 1 WHERE username = ?');
  }

  #change(username: string, update: string, ...values: string[]): boolean {
    return this.#transaction(() => {
      this.#db.prepare('DELETE FROM sessions WHERE username = ?').run(username);
      return this.#db.prepare(update).run(...values, username).changes === 1;
    });
  }

  /**
   * Only if the account still has the password that was checked, and is not disabled: both may have changed meanwhile.
   * @returns whether there is a session now
   */
  addSession({
    tokenHash,
    passwordHash,
    now,
    ...session
  }: Session & { tokenHash: Buffer; passwordHash: string; now: number }): boolean {
    const { peerId, username, addresses, expiresAt } = session;
    return this.#transaction(() => {
      const account = this.findAccount(username);
      if (account === undefined || account.isDisabled || account.passwordHash !== passwordHash) return false;
      this.#db.prepare('DELETE FROM sessions WHERE expires_at <= ?').run(now);
      this.#db
        .prepare(
          `DELETE FROM sessions WHERE rowid IN
             (SELECT rowid FROM sessions WHERE username = ? ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?)`,
        )
        .run(username, sessionsOfOne - 1);
      this.#db
        .prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)')
        .run(tokenHash, peerId, username, JSON.stringify(addresses), now, expiresAt);
      return true;
    });
  }

  findSession(tokenHash: Buffer, now: number): Session | undefined {
    const row = this.#db.prepare(`SELECT sessions.* ${valid} AND token_hash = :tokenHash`).get({ now, tokenHash });
    return row === undefined ? undefined : asSession(row);
  }

  sessions(now: number): Session[] {
    return this.#db.prepare(`SELECT sessions.* ${valid} ORDER BY peer_id`).all({ now }).map(asSession);
  }

  setAddresses(tokenHash: Buffer, addresses: readonly string[]): void {
    this.#db
      .prepare('UPDATE sessions SET addresses = ? WHERE token_hash = ?')
      .run(JSON.stringify(addresses), tokenHash);
  }

  endSession(tokenHash: Buffer): void {
    this.#db.prepare('DELETE FROM sessions WHERE token_hash = ?').run(tokenHash);
  }

  /** All of it, or nothing when it throws. */
  transaction<T>(act: () => T): T {
    return this.#transaction(act);
  }

  /** Another number whenever another process has changed something. */
  version(): number {
    return Number(this.#db.prepare('PRAGMA data_version').get()?.data_version);
  }

  close(): void {
    this.#db.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #transaction<T>(act: () => T): T {
    // At once for writing: two that read first and both want to write then could not wait for each other.
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = act();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
  }
}

function asSession(row: Record<string, unknown>): Session {
  return {
    peerId: String(row.peer_id),
    username: String(row.username),
    addresses: JSON.parse(String(row.addresses)) as string[],
    expiresAt: Number(row.expires_at),
  };
}
