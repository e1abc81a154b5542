import type { DatabaseSync } from 'node:sqlite';
import type { MemberId } from '../lib/identity/member-id.ts';

/** All times in milliseconds since 1970. */
export interface InviteRow {
  readonly id: string;
  /** SHA-256 of the proof, which comes from the secret. */
  readonly proofHash: Uint8Array;
  /** X25519, private: a secret, kept until the invite is used up. */
  readonly sealingKey: Uint8Array;
  /** Of its broker account, as brokers keep it. */
  readonly brokerHash: string;
  readonly services: readonly string[];
  /** Whom it is for; undefined: anybody. */
  readonly username: string | undefined;
  readonly expiresAt: number;
  /** Which key has it; no other can use it any more. */
  readonly usedBy: MemberId | undefined;
}

const schema = `
  CREATE TABLE IF NOT EXISTS invites (
    id TEXT PRIMARY KEY,
    proof_hash BLOB NOT NULL,
    sealing_key BLOB NOT NULL,
    broker_hash TEXT NOT NULL,
    services TEXT NOT NULL,
    username TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_by TEXT
  ) STRICT;
  CREATE TABLE IF NOT EXISTS used_invites (
    id TEXT PRIMARY KEY,
    used_by TEXT NOT NULL
  ) STRICT;
`;

/**
 * Invites, in the directory's file: *open* (nobody has used it) → *used* by one key, which may ask for the answer again → *gone*,
 * once that member has been heard of with its own broker account, or the invite has expired. Of a used one stays by whom.
 */
export class InviteStore {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec(schema);
  }

  add(invite: Omit<InviteRow, 'usedBy'>, now: number): void {
    const { id, proofHash, sealingKey, brokerHash, services, username, expiresAt } = invite;
    this.#db
      .prepare('INSERT INTO invites VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)')
      .run(id, proofHash, sealingKey, brokerHash, JSON.stringify(services), username ?? null, now, expiresAt);
  }

  remove(id: string): void {
    this.#db.prepare('DELETE FROM invites WHERE id = ?').run(id);
  }

  find(id: string): InviteRow | undefined {
    const row = this.#db.prepare('SELECT * FROM invites WHERE id = ?').get(id);
    return row === undefined
      ? undefined
      : {
          id,
          proofHash: row.proof_hash as Uint8Array,
          sealingKey: row.sealing_key as Uint8Array,
          brokerHash: String(row.broker_hash),
          services: JSON.parse(String(row.services)) as string[],
          username: row.username === null ? undefined : String(row.username),
          expiresAt: Number(row.expires_at),
          usedBy: row.used_by === null ? undefined : (String(row.used_by) as MemberId),
        };
  }

  /** @returns whether it is that key's now: nobody had it before, or that key itself */
  use(id: string, by: MemberId): boolean {
    const use = this.#db.prepare('UPDATE invites SET used_by = ? WHERE id = ? AND (used_by IS NULL OR used_by = ?)');
    return use.run(by, id, by).changes === 1;
  }

  /** That member is there with an account of its own: it needs no invite any more. @returns whether it had one */
  finish(by: MemberId): boolean {
    this.#db.prepare('INSERT OR IGNORE INTO used_invites SELECT id, used_by FROM invites WHERE used_by = ?').run(by);
    return this.#db.prepare('DELETE FROM invites WHERE used_by = ?').run(by).changes > 0;
  }

  /** Who joined with an invite that is gone since. */
  userOf(id: string): MemberId | undefined {
    const row = this.#db.prepare('SELECT used_by FROM used_invites WHERE id = ?').get(id);
    return row === undefined ? undefined : (String(row.used_by) as MemberId);
  }

  /** @returns whether there were any */
  dropExpired(now: number): boolean {
    return this.#db.prepare('DELETE FROM invites WHERE expires_at <= ?').run(now).changes > 0;
  }

  brokerAccounts(now: number): Pick<InviteRow, 'id' | 'brokerHash'>[] {
    const rows = this.#db.prepare('SELECT id, broker_hash FROM invites WHERE expires_at > ? ORDER BY id').all(now);
    return rows.map(row => ({ id: String(row.id), brokerHash: String(row.broker_hash) }));
  }
}
