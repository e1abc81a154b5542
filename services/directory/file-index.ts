import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { IndexState, SharedFile } from '../../proto/gen/warren/directory/v1/files.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import { transaction } from '../lib/sqlite.ts';
import { baseOf, type SnapshotPart, typeOf } from './shared-file.ts';

/** Checked already: see `shared-file.ts`. */
export interface Changes {
  readonly counter: number;
  readonly files: readonly SharedFile[];
  readonly removed: readonly string[];
  readonly snapshot?: SnapshotPart | undefined;
}

export interface IndexLimits {
  readonly filesOfOne: number;
  /** With those that are removed, and those that a snapshot of which parts are missing will drop. */
  readonly entriesOfOne: number;
  readonly entriesOfAll: number;
}

const indexLimits: IndexLimits = { filesOfOne: 200_000, entriesOfOne: 400_000, entriesOfAll: 1_000_000 };

/** Snapshots of one holder of which parts are missing; the oldest are given up. */
const pendingLimit = 8;

interface Holder extends IndexState {
  readonly id: number;
  readonly floor: number;
  readonly entries: number;
}

interface Before {
  readonly counter: number;
  readonly name: number | null;
  readonly root: Uint8Array | null;
  readonly size: number | null;
}

/**
 * Who has what, as each peer says of itself. Of each name the word with the highest counter holds: so what is told twice, late or in
 * another order ends in the same index. A removal leaves an entry without a file, in case that what it removes comes after it. A
 * snapshot whose parts are all there is the word on every name up to its counter: what has a lower one goes, and is not taken any
 * more. Until then its files count as if they had been added.
 */
export class FileIndex {
  readonly #db: DatabaseSync;
  readonly #limits: IndexLimits;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync, limits: IndexLimits = indexLimits) {
    this.#db = db;
    this.#limits = limits;
  }

  /** Undefined for whoever never said anything. */
  stateOf(peerId: string): IndexState | undefined {
    const holder = this.#find(peerId);
    return holder && { counter: holder.counter, files: holder.files, refused: holder.refused };
  }

  /**
   * Takes changes in, all or none, and for good.
   * @throws CallFailure DIRECTORY_INDEX_FULL, DIRECTORY_SNAPSHOT
   */
  apply(peerId: string, changes: Changes): IndexState {
    return transaction(this.#db, () => this.#apply(this.#findOrAdd(peerId), changes));
  }

  /** What the peer had is no more, and this is instead. Not for who counts: its next announcements would be old ones. */
  replace(peerId: string, files: readonly SharedFile[]): IndexState {
    return transaction(this.#db, () => {
      const holder = this.#findOrAdd(peerId);
      const counter = holder.counter + 1;
      return this.#apply(holder, { counter, files, removed: [], snapshot: { part: 0, parts: 1 } });
    });
  }

  /** Keeps for the peer, until its next snapshot, why something that it said was not taken. */
  refuse(peerId: string, reason: string): void {
    if (this.#find(peerId)?.refused === reason) return;
    transaction(this.#db, () => {
      this.#findOrAdd(peerId);
      this.#run('UPDATE holders SET refused = ? WHERE peer_id = ?', reason, peerId);
    });
  }

  /** Whose member is no more. */
  forget(peerId: string): void {
    transaction(this.#db, () => this.#run('DELETE FROM holders WHERE peer_id = ?', peerId));
  }

  #apply(holder: Holder, { counter, files, removed, snapshot }: Changes): IndexState {
    // Older than the last snapshot, which knew better.
    const isOld = counter < holder.floor || (snapshot !== undefined && counter === holder.floor);
    if (isOld) return { counter: holder.counter, files: holder.files, refused: holder.refused };
    let entries = holder.entries;
    let live = holder.files;
    for (const file of files) {
      const before = this.#before(holder.id, file.name);
      if (before !== undefined && before.counter >= counter) continue;
      const name = this.#nameOf(file, before);
      this.#put(holder.id, file.name, counter, name, file.modifiedMs);
      if (before === undefined) entries++;
      if (before === undefined || before.name === null) live++;
    }
    for (const path of removed) {
      const before = this.#before(holder.id, path);
      if (before !== undefined && before.counter >= counter) continue;
      this.#put(holder.id, path, counter, null, 0);
      if (before === undefined) entries++;
      else if (before.name !== null) live--;
    }
    let { floor, refused } = holder;
    if (snapshot !== undefined && this.#isWhole(holder.id, counter, snapshot)) {
      const below = this.#get(
        'SELECT count(*) AS entries, count(name) AS files FROM entries WHERE holder = ? AND counter < ?',
        holder.id,
        counter,
      );
      this.#run('DELETE FROM entries WHERE holder = ? AND counter < ?', holder.id, counter);
      this.#run('DELETE FROM snapshots WHERE holder = ? AND counter <= ?', holder.id, counter);
      entries -= Number(below?.entries);
      live -= Number(below?.files);
      floor = counter;
      refused = '';
    }
    const highest = Math.max(holder.counter, counter);
    this.#run(
      'UPDATE holders SET counter = ?, floor = ?, entries = ?, files = ?, refused = ? WHERE id = ?',
      ...[highest, floor, entries, live, refused, holder.id],
    );
    this.#checkLimits(holder, entries, live, snapshot !== undefined && floor < counter);
    return { counter: highest, files: live, refused };
  }

  /** @param isPart more parts of the snapshot are to come, and what they replace is still there */
  #checkLimits(holder: Holder, entries: number, files: number, isPart: boolean): void {
    if (entries <= holder.entries && files <= holder.files) return;
    const { filesOfOne, entriesOfOne, entriesOfAll } = this.#limits;
    if (files > filesOfOne && !isPart) throw full(`a peer may share ${filesOfOne} files`);
    if (entries > entriesOfOne)
      throw full(`a peer may have ${entriesOfOne} names, with those removed since its last snapshot`);
    const all = Number(this.#get('SELECT sum(entries) AS entries FROM holders')?.entries);
    if (all > entriesOfAll) throw full(`this directory holds ${entriesOfAll} names in all, and they are taken`);
  }

  /** Notes that a part is here. @returns whether it was the last one that was missing */
  #isWhole(holder: number, counter: number, { part, parts }: SnapshotPart): boolean {
    if (parts === 1) return true;
    const known = this.#get('SELECT parts_seen FROM snapshots WHERE holder = ? AND counter = ?', holder, counter);
    const seen = known === undefined ? Buffer.alloc(parts) : Buffer.from(known.parts_seen as Uint8Array);
    if (seen.length !== parts)
      throw new CallFailure(
        'INVALID_ARGUMENT',
        'DIRECTORY_SNAPSHOT',
        `snapshot ${counter} was said to have ${seen.length} parts before, and now ${parts}`,
      );
    seen[part] = 1;
    if (!seen.includes(0)) return true;
    this.#run('INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)', holder, counter, seen);
    this.#run(
      `DELETE FROM snapshots WHERE holder = ?1 AND counter NOT IN
         (SELECT counter FROM snapshots WHERE holder = ?1 ORDER BY counter DESC LIMIT ${pendingLimit})`,
      holder,
    );
    return false;
  }

  #before(holder: number, path: string): Before | undefined {
    const found: unknown = this.#get(
      `SELECT entries.counter, entries.name, files.root, files.size FROM entries
         LEFT JOIN names ON names.id = entries.name LEFT JOIN files ON files.id = names.file
         WHERE holder = ? AND entries.path = ?`,
      holder,
      path,
    );
    return found as Before | undefined;
  }

  /** The row of a name of a file, which is made if there is none. */
  #nameOf({ id, size, name: path }: SharedFile, before: Before | undefined): number {
    const root = Buffer.from(id, 'hex');
    if (before?.root && before.size === size && root.equals(before.root)) return Number(before.name);
    const known = this.#get('SELECT id FROM files WHERE root = ? AND size = ?', root, size);
    if (known === undefined) {
      const { lastInsertRowid } = this.#run('INSERT INTO files (root, size) VALUES (?, ?)', root, size);
      return this.#addName(Number(lastInsertRowid), path, size, root);
    }
    const file = Number(known.id);
    const name = this.#get('SELECT id FROM names WHERE file = ? AND path = ?', file, path);
    return name === undefined ? this.#addName(file, path, size, root) : Number(name.id);
  }

  #addName(file: number, path: string, size: number, root: Buffer): number {
    const { lastInsertRowid } = this.#run(
      `INSERT INTO names (file, path, base, type, size, downloads)
         VALUES (?, ?, ?, ?, ?, (SELECT count(*) FROM downloads WHERE root = ?))`,
      ...[file, path, baseOf(path), typeOf(path), size, root],
    );
    return Number(lastInsertRowid);
  }

  #put(holder: number, path: string, counter: number, name: number | null, modifiedMs: number): void {
    this.#run(
      `INSERT INTO entries (holder, path, counter, name, modified_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET counter = excluded.counter, name = excluded.name, modified_ms = excluded.modified_ms`,
      ...[holder, path, counter, name, modifiedMs],
    );
  }

  #findOrAdd(peerId: string): Holder {
    const found = this.#find(peerId);
    if (found) return found;
    const { lastInsertRowid } = this.#run('INSERT INTO holders (peer_id) VALUES (?)', peerId);
    return { id: Number(lastInsertRowid), counter: 0, floor: 0, entries: 0, files: 0, refused: '' };
  }

  #find(peerId: string): Holder | undefined {
    const row = this.#get(
      'SELECT id, counter, floor, entries, files, refused FROM holders WHERE peer_id = ?',
      peerId,
    ) as unknown;
    return row as Holder | undefined;
  }

  #get(sql: string, ...values: (string | number | Uint8Array)[]): Record<string, unknown> | undefined {
    return this.#prepared(sql).get(...values);
  }

  #run(sql: string, ...values: (string | number | Uint8Array | null)[]): ReturnType<StatementSync['run']> {
    return this.#prepared(sql).run(...values);
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function full(reason: string): CallFailure {
  return new CallFailure('RESOURCE_EXHAUSTED', 'DIRECTORY_INDEX_FULL', reason);
}
