import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { formatOf, openDatabase, otherFormat, transaction } from '../lib/sqlite.ts';
import { DownloadCounts } from './download-counts.ts';
import { FileCatalogue } from './file-catalogue.ts';
import { FileIndex } from './file-index.ts';
import { InviteStore } from './invite-store.ts';
import { MemberStore } from './member-store.ts';
import { migrate, schemaVersion } from './schema.ts';

export interface Account {
  readonly username: string;
  /** PHC string of argon2id. */
  readonly passwordHash: string;
  readonly isDisabled: boolean;
}

export interface Session {
  /** Of its token the hash, in hexadecimal digits. */
  readonly id: string;
  /** For others; no secret. Of a member its id, else of this session alone. */
  readonly peerId: string;
  readonly username: string;
  readonly addresses: readonly string[];
  /** Milliseconds since 1970, of this machine. */
  readonly expiresAt: number;
}

const code = 'DIRECTORY_DATA';

/** A session counts while it has not expired and its account is not disabled. */
const valid = 'FROM sessions JOIN accounts USING (username) WHERE disabled = 0 AND expires_at > :now';

/** More than that of one account at a time, and the oldest is logged out. */
const sessionsOfOne = 64;

/** The directory's folder in a data directory. */
export function directoryDir(dataDir: string): string {
  return join(dataDir, 'directory');
}

/**
 * Accounts, sessions and the index of files in one SQLite file, `directory.db`, which is this user's alone. Several processes may
 * have it open: the directory and `warren users`. All times in milliseconds since 1970.
 * @throws Failure DIRECTORY_DATA when it cannot be opened
 */
export class DirectoryStore {
  readonly #db: DatabaseSync;
  /** In the same file. */
  readonly members: MemberStore;
  readonly invites: InviteStore;
  /** In the same file: what peers share, as they say it, as it is found, and what became of it. */
  readonly index: FileIndex;
  readonly catalogue: FileCatalogue;
  readonly downloads: DownloadCounts;

  constructor(dir: string) {
    const file = join(dir, 'directory.db');
    const { database, made } = openDatabase(file, code, db => {
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      // Ids of files are random, so that a large index touches pages all over: 64 MiB of them in memory, 16 in the log.
      db.exec('PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4096;');
      transaction(db, () => {
        const found = formatOf(db);
        if (!migrate(db, found)) throw otherFormat(code, file, found, schemaVersion);
      });
      return {
        index: new FileIndex(db),
        catalogue: new FileCatalogue(db),
        downloads: new DownloadCounts(db),
        members: new MemberStore(db),
        invites: new InviteStore(db),
      };
    });
    this.#db = database;
    this.index = made.index;
    this.catalogue = made.catalogue;
    this.downloads = made.downloads;
    this.members = made.members;
    this.invites = made.invites;
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
    return transaction(this.#db, () => {
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
  }: Omit<Session, 'id'> & { tokenHash: Buffer; passwordHash: string; now: number }): boolean {
    const { peerId, username, addresses, expiresAt } = session;
    return transaction(this.#db, () => {
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

  /** By peer, of one the newest first. */
  sessions(now: number): Session[] {
    return this.#db
      .prepare(`SELECT sessions.* ${valid} ORDER BY peer_id, sessions.created_at DESC, sessions.rowid DESC`)
      .all({ now })
      .map(asSession);
  }

  setAddresses(tokenHash: Buffer, addresses: readonly string[]): void {
    this.#db
      .prepare('UPDATE sessions SET addresses = ? WHERE token_hash = ?')
      .run(JSON.stringify(addresses), tokenHash);
  }

  endSession(tokenHash: Buffer): void {
    this.#db.prepare('DELETE FROM sessions WHERE token_hash = ?').run(tokenHash);
  }

  /** Those that a member has begun with a token. */
  endSessionsAs(peerId: string): void {
    this.#db.prepare('DELETE FROM sessions WHERE peer_id = ?').run(peerId);
  }

  /** All of it, or nothing when it throws. */
  transaction<T>(act: () => T): T {
    return transaction(this.#db, act);
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
}

function asSession(row: Record<string, unknown>): Session {
  return {
    id: Buffer.from(row.token_hash as Uint8Array).toString('hex'),
    peerId: String(row.peer_id),
    username: String(row.username),
    addresses: JSON.parse(String(row.addresses)) as string[],
    expiresAt: Number(row.expires_at),
  };
}
