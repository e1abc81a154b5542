import type { DatabaseSync } from 'node:sqlite';
import type { MemberId } from '../lib/identity/member-id.ts';

/** A machine that has joined. All times in milliseconds since 1970. */
export interface MemberRow {
  readonly id: MemberId;
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly username: string;
  readonly services: readonly string[];
  /** Of its broker account, as brokers keep it. */
  readonly brokerHash: string;
  readonly joinedAt: number;
  /** To the minute; 0: never. */
  readonly seenAt: number;
  /** About: the directory itself knows better. */
  readonly activeUntil: number;
  /** Without a break; of no meaning while it is not active. */
  readonly activeSince: number;
  readonly addresses: readonly string[];
  readonly certificateEndsAt: number;
  readonly sealingKey: Uint8Array | undefined;
  readonly sealingSignature: Uint8Array | undefined;
  readonly revokedAt: number | undefined;
}

export interface Revoked {
  /** Counts up. */
  readonly number: number;
  readonly revoked: Uint8Array;
  readonly signature: Uint8Array;
}

export interface BrokerAccountRow {
  readonly id: MemberId;
  readonly brokerHash: string;
  readonly services: readonly string[];
  readonly username: string;
}

// Foreign keys to accounts are not needed: accounts are switched off, never removed.
const schema = `
  CREATE TABLE IF NOT EXISTS members (
    id TEXT PRIMARY KEY,
    public_key BLOB NOT NULL,
    username TEXT NOT NULL,
    services TEXT NOT NULL,
    broker_hash TEXT NOT NULL,
    joined_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL DEFAULT 0,
    active_until INTEGER NOT NULL DEFAULT 0,
    addresses TEXT NOT NULL DEFAULT '[]',
    certificate_ends_at INTEGER NOT NULL,
    sealing_key BLOB,
    sealing_signature BLOB,
    revoked_at INTEGER
  ) STRICT;
  CREATE TABLE IF NOT EXISTS certificates (
    serial TEXT PRIMARY KEY,
    member_id TEXT NOT NULL REFERENCES members,
    ends_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS certificates_of ON certificates (member_id);
  CREATE TABLE IF NOT EXISTS revocations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    member_id TEXT NOT NULL UNIQUE,
    revoked BLOB NOT NULL,
    signature BLOB NOT NULL
  ) STRICT;
`;

/** Whoever asks for more makes a long list, which all others would have to fetch when it is revoked. */
const certificatesOfOne = 16;

/** A member counts while it was not revoked and its account is not switched off. */
const counts = 'JOIN accounts USING (username) WHERE disabled = 0 AND revoked_at IS NULL';

/** Members and revocations, in the directory's file. */
export class MemberStore {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec(schema);
    // Of files from before it was kept.
    if (
      !db
        .prepare('PRAGMA table_info(members)')
        .all()
        .some(({ name }) => name === 'active_since')
    )
      db.exec('ALTER TABLE members ADD COLUMN active_since INTEGER NOT NULL DEFAULT 0');
  }

  /** Revoked or not. */
  find(id: string): MemberRow | undefined {
    const row = this.#db.prepare('SELECT * FROM members WHERE id = ?').get(id);
    return row === undefined ? undefined : asMember(row);
  }

  /** One that may act now. */
  findActive(id: string): MemberRow | undefined {
    const row = this.#db.prepare(`SELECT members.* FROM members ${counts} AND id = ?`).get(id);
    return row === undefined ? undefined : asMember(row);
  }

  /** Those that were not revoked, by id. @param beginning of their ids @param after an id @param username of that account only */
  list({
    beginning = '',
    after = '',
    username = '',
    limit = -1,
  }: {
    beginning?: string;
    after?: string;
    username?: string;
    limit?: number;
  } = {}): MemberRow[] {
    const rows = this.#db
      .prepare(
        `SELECT * FROM members WHERE revoked_at IS NULL AND id > :after AND substr(id, 1, length(:beginning)) = :beginning
           AND (:username = '' OR username = :username)
         ORDER BY id LIMIT :limit`,
      )
      .all({ after, beginning, username, limit });
    return rows.map(asMember);
  }

  /** By id. */
  listActive(): MemberRow[] {
    return this.#db.prepare(`SELECT members.* FROM members ${counts} ORDER BY id`).all().map(asMember);
  }

  /** It has joined, or joined again: with these services, in place of those before. */
  put(
    member: Pick<
      MemberRow,
      'id' | 'publicKey' | 'username' | 'services' | 'brokerHash' | 'joinedAt' | 'certificateEndsAt'
    >,
  ): void {
    this.#db
      .prepare(
        `INSERT INTO members (id, public_key, username, services, broker_hash, joined_at, certificate_ends_at)
         VALUES (:id, :publicKey, :username, :services, :brokerHash, :joinedAt, :certificateEndsAt)
         ON CONFLICT (id) DO UPDATE SET services = excluded.services, broker_hash = excluded.broker_hash,
           certificate_ends_at = excluded.certificate_ends_at`,
      )
      .run({ ...member, services: JSON.stringify(member.services) });
  }

  /** Of one member the newest few: who has had more is revoked by its id, which all of them have. */
  addCertificate(id: string, { serial, endsAt }: { serial: string; endsAt: number }, now: number): void {
    this.#db.prepare('DELETE FROM certificates WHERE ends_at <= ?').run(now);
    this.#db.prepare('INSERT INTO certificates VALUES (?, ?, ?)').run(serial, id, endsAt);
    this.#db
      .prepare(
        `DELETE FROM certificates WHERE member_id = ?1 AND rowid NOT IN
           (SELECT rowid FROM certificates WHERE member_id = ?1 ORDER BY rowid DESC LIMIT ${certificatesOfOne})`,
      )
      .run(id);
    this.#db.prepare('UPDATE members SET certificate_ends_at = ? WHERE id = ?').run(endsAt, id);
  }

  serials(id: string, now: number): string[] {
    const rows = this.#db
      .prepare('SELECT serial FROM certificates WHERE member_id = ? AND ends_at > ? ORDER BY rowid')
      .all(id, now);
    return rows.map(row => String(row.serial));
  }

  setSeen(id: string, now: number): void {
    this.#db.prepare('UPDATE members SET seen_at = ? WHERE id = ?').run(now, id);
  }

  setActive(id: string, { since, until }: { since: number; until: number }): void {
    this.#db.prepare('UPDATE members SET active_since = ?, active_until = ? WHERE id = ?').run(since, until, id);
  }

  setAddresses(id: string, addresses: readonly string[]): void {
    this.#db.prepare('UPDATE members SET addresses = ? WHERE id = ?').run(JSON.stringify(addresses), id);
  }

  setSealingKey(id: string, key: Uint8Array, signature: Uint8Array): void {
    this.#db.prepare('UPDATE members SET sealing_key = ?, sealing_signature = ? WHERE id = ?').run(key, signature, id);
  }

  /** For good. @returns whether it was a member until now */
  revoke(id: string, { revoked, signature }: Omit<Revoked, 'number'>, now: number): boolean {
    const { changes } = this.#db
      .prepare('UPDATE members SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL')
      .run(now, id);
    if (changes === 0) return false;
    this.#db
      .prepare('INSERT INTO revocations (member_id, revoked, signature) VALUES (?, ?, ?)')
      .run(id, revoked, signature);
    return true;
  }

  revocations(after: number, limit: number): Revoked[] {
    const rows = this.#db
      .prepare('SELECT * FROM revocations WHERE number > ? ORDER BY number LIMIT ?')
      .all(after, limit);
    return rows.map(row => ({
      number: Number(row.number),
      revoked: row.revoked as Uint8Array,
      signature: row.signature as Uint8Array,
    }));
  }

  lastRevocation(): number {
    return Number(this.#db.prepare('SELECT max(number) AS last FROM revocations').get()?.last ?? 0);
  }

  brokerAccounts(): BrokerAccountRow[] {
    return this.listActive().map(({ id, brokerHash, services, username }) => ({ id, brokerHash, services, username }));
  }
}

function asMember(row: Record<string, unknown>): MemberRow {
  return {
    id: String(row.id) as MemberId,
    publicKey: row.public_key as Uint8Array,
    username: String(row.username),
    services: JSON.parse(String(row.services)) as string[],
    brokerHash: String(row.broker_hash),
    joinedAt: Number(row.joined_at),
    seenAt: Number(row.seen_at),
    activeUntil: Number(row.active_until),
    activeSince: Number(row.active_since),
    addresses: JSON.parse(String(row.addresses)) as string[],
    certificateEndsAt: Number(row.certificate_ends_at),
    sealingKey: (row.sealing_key as Uint8Array | null) ?? undefined,
    sealingSignature: (row.sealing_signature as Uint8Array | null) ?? undefined,
    revokedAt: row.revoked_at === null ? undefined : Number(row.revoked_at),
  };
}
