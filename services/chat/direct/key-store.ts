import type { MemberId } from '../../lib/identity/member-id.ts';
import { createSealingKeys, type SealingKeys } from '../../lib/identity/sealing.ts';
import { type Statements, transaction } from '../../lib/sqlite.ts';
import { type Correspondent, type CorrespondentChange, changeOf } from './correspondents.ts';

/** A new sealing key so often; what was sealed to the one before waits for at most a week. Milliseconds. */
const sealingKeyMs = 30 * 86_400_000;
const oldKeyMs = 15 * 86_400_000;

/** The members that messages go to, and the keys that messages come by. Part of the `DirectStore`. */
export class KeyStore {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** As they were found last. */
  membersOf(account: string): (Correspondent & { readonly since: number })[] {
    return this.#statements
      .sql('SELECT * FROM members WHERE account = ? ORDER BY since, id')
      .all(account)
      .map(row => ({
        id: String(row.id) as MemberId,
        sealingKey: (row.sealing_key as Uint8Array | null) ?? undefined,
        since: Number(row.since),
      }));
  }

  /** @returns what is different with it, for people */
  setMembers(account: string, found: readonly Correspondent[], now: number): CorrespondentChange | undefined {
    return transaction(this.#statements.database, () => {
      const change = changeOf(account, new Set(this.membersOf(account).map(({ id }) => id)), found);
      for (const id of change?.removed ?? [])
        this.#statements.run('DELETE FROM members WHERE account = ? AND id = ?', account, id);
      for (const { id, sealingKey } of found)
        this.#statements.run(
          `INSERT INTO members VALUES (?, ?, ?, ?)
           ON CONFLICT (account, id) DO UPDATE SET sealing_key = coalesce(excluded.sealing_key, sealing_key)`,
          ...[account, id, sealingKey ?? null, now],
        );
      return change;
    });
  }

  /** The one to publish, made when there is none or it is old; of those before it, what is too old goes, with what it could open. */
  sealingKey(now: number): SealingKeys {
    return transaction(this.#statements.database, () => {
      this.#statements.run('DELETE FROM sealing_keys WHERE replaced_at < ?', now - oldKeyMs);
      this.#statements.run('DELETE FROM seen WHERE sealing_key NOT IN (SELECT public_key FROM sealing_keys)');
      const row = this.#statements
        .sql('SELECT * FROM sealing_keys WHERE replaced_at IS NULL AND made_at > ?')
        .get(now - sealingKeyMs);
      if (row !== undefined)
        return { publicKey: row.public_key as Uint8Array, privateKey: row.private_key as Uint8Array };
      const made = createSealingKeys();
      this.#statements.run('UPDATE sealing_keys SET replaced_at = ? WHERE replaced_at IS NULL', now);
      this.#statements.run('INSERT INTO sealing_keys VALUES (?, ?, ?, NULL)', made.publicKey, made.privateKey, now);
      return made;
    });
  }

  privateKeyOf(publicKey: Uint8Array): Uint8Array | undefined {
    const row = this.#statements.sql('SELECT private_key FROM sealing_keys WHERE public_key = ?').get(publicKey);
    return row?.private_key as Uint8Array | undefined;
  }
}
