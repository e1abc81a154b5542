import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { MemberId } from '../lib/identity/member-id.ts';
import { formatOf, openDatabase, otherFormat, transaction } from '../lib/sqlite.ts';
import type { Holder, LatentServer, NameState } from './record.ts';

/** What has become of a name. */
export interface StateChange {
  readonly name: string;
  readonly before: NameState;
  readonly after: NameState;
}

const code = 'NAMING_DATA';
const version = 1;

const schema = `
  CREATE TABLE holders (
    name TEXT PRIMARY KEY,
    member_id TEXT NOT NULL,
    addresses TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    migration_id TEXT NOT NULL,
    log_offset INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE latents (
    name TEXT NOT NULL,
    member_id TEXT NOT NULL,
    addresses TEXT NOT NULL,
    log_offset INTEGER NOT NULL,
    is_draining INTEGER NOT NULL,
    PRIMARY KEY (name, member_id)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${version};
`;

/** Naming's folder in a data directory. */
export function namingDir(dataDir: string): string {
  return join(dataDir, 'naming');
}

/**
 * The names in one SQLite file, `naming.db`, which is this user's alone. Leases are not in it: they are of a clock that ends with
 * the process.
 * @throws Failure NAMING_DATA when it cannot be opened
 */
export class NamingStore {
  readonly #db: DatabaseSync;
  readonly #statements;

  constructor(dir: string) {
    const file = join(dir, 'naming.db');
    const { database, made } = openDatabase(file, code, db => {
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      transaction(db, () => {
        const found = formatOf(db);
        if (found === 0) db.exec(schema);
        else if (found !== version) throw otherFormat(code, file, found, version);
      });
      return prepare(db);
    });
    this.#db = database;
    this.#statements = made;
  }

  /** All names as they were written last; with leases that have ended. */
  load(): Map<string, NameState> {
    const names = new Map<string, { holder: Holder | undefined; latents: Map<MemberId, LatentServer> }>();
    const at = (name: string) => {
      const state = names.get(name) ?? { holder: undefined, latents: new Map() };
      names.set(name, state);
      return state;
    };
    for (const row of this.#db.prepare('SELECT * FROM holders').all())
      at(String(row.name)).holder = {
        ...server(row),
        epoch: Number(row.epoch),
        migrationId: String(row.migration_id),
        leaseEndsAt: undefined,
      };
    for (const row of this.#db.prepare('SELECT * FROM latents').all()) {
      const latent = { ...server(row), isDraining: row.is_draining === 1, leaseEndsAt: 0 };
      at(String(row.name)).latents.set(latent.memberId, latent);
    }
    return names;
  }

  /** Writes what differs, all or nothing, and returns when it is on the disk. Leases that go on are no difference. */
  write(changes: readonly StateChange[]): void {
    const acts = changes.flatMap(change => this.#actsOf(change));
    if (acts.length === 0) return;
    transaction(this.#db, () => {
      for (const act of acts) act();
    });
  }

  #actsOf({ name, before, after }: StateChange): (() => void)[] {
    const { putHolder, dropHolder, putLatent, dropLatent } = this.#statements;
    const acts: (() => void)[] = [];
    const { holder } = after;
    if (holder === undefined && before.holder !== undefined) acts.push(() => dropHolder.run(name));
    if (holder !== undefined && !isSame(before.holder, holder)) {
      const { memberId, addresses, epoch, migrationId, logOffset } = holder;
      acts.push(() => putHolder.run(name, memberId, JSON.stringify(addresses), epoch, migrationId, logOffset));
    }
    for (const latent of after.latents.values()) {
      if (isSame(before.latents.get(latent.memberId), latent)) continue;
      const { memberId, addresses, logOffset, isDraining } = latent;
      acts.push(() => putLatent.run(name, memberId, JSON.stringify(addresses), logOffset, isDraining ? 1 : 0));
    }
    for (const memberId of before.latents.keys())
      if (!after.latents.has(memberId)) acts.push(() => dropLatent.run(name, memberId));
    return acts;
  }

  close(): void {
    this.#db.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function prepare(db: DatabaseSync) {
  return {
    putHolder: db.prepare('INSERT OR REPLACE INTO holders VALUES (?, ?, ?, ?, ?, ?)'),
    dropHolder: db.prepare('DELETE FROM holders WHERE name = ?'),
    putLatent: db.prepare('INSERT OR REPLACE INTO latents VALUES (?, ?, ?, ?, ?)'),
    dropLatent: db.prepare('DELETE FROM latents WHERE name = ? AND member_id = ?'),
  };
}

function server(row: Record<string, unknown>) {
  return {
    memberId: String(row.member_id) as MemberId,
    addresses: JSON.parse(String(row.addresses)) as string[],
    logOffset: Number(row.log_offset),
  };
}

/** But for the lease. */
function isSame<T extends Holder | LatentServer>(before: T | undefined, after: T): boolean {
  if (before === undefined) return false;
  return (Object.keys(after) as (keyof T)[]).every(
    key =>
      key === 'leaseEndsAt' ||
      before[key] === after[key] ||
      (key === 'addresses' && before.addresses.join(' ') === after.addresses.join(' ')),
  );
}
