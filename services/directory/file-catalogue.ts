import type { DatabaseSync } from 'node:sqlite';
import type { SharedFile } from '../../proto/gen/warren/directory/v1/files.ts';
import { matchOf } from '../lib/search-words.ts';
import { baseOf, typeOf } from './shared-file.ts';

export interface Wanted {
  readonly q: string;
  readonly type: string;
  readonly minSize: number;
  /** 0: any. */
  readonly maxSize: number;
  /** How many to leave out, of those before. */
  readonly offset: number;
  readonly limit: number;
}

export interface Hit {
  /** Of the row, for `holdersOf`. */
  readonly file: number;
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly type: string;
  readonly downloads: number;
}

export interface Holding {
  readonly peerId: string;
  readonly file: SharedFile;
}

/** Names looked at for one search, which then takes about 20 ms. */
const candidatesLimit = 50_000;
/** Holders looked at of one file. */
const holdersLimit = 5_000;
const countLimit = 1_000;
const namesLimit = 100;

/** What is shared, as it is looked for. Whether a holder is there just now it does not know. */
export class FileCatalogue {
  readonly #db: DatabaseSync;
  readonly #candidatesLimit: number;

  constructor(db: DatabaseSync, limit = candidatesLimit) {
    this.#db = db;
    this.#candidatesLimit = limit;
  }

  /** Last segment as asked first, then what more members downloaded, then by name. */
  search({ q, type, minSize, maxSize, offset, limit }: Wanted): { hits: Hit[]; hasMore: boolean; isCut: boolean } {
    if (q.trim() !== '' && matchOf(q) === undefined) return { hits: [], hasMore: false, isCut: false };
    // A type is a word of the name as well.
    const match = matchOf(`${q} ${type}`);
    const source =
      match === undefined
        ? "SELECT id FROM names WHERE :match = ''"
        : 'SELECT rowid AS id FROM words WHERE words MATCH :match';
    const candidates = `SELECT id FROM (${source} LIMIT ${this.#candidatesLimit + 1})`;
    const page = this.#db
      .prepare(
        `SELECT names.id FROM (${candidates} LIMIT ${this.#candidatesLimit}) AS found JOIN names ON names.id = found.id
           WHERE (:type = '' OR type = :type) AND size >= :minSize AND (:maxSize = 0 OR size <= :maxSize)
           ORDER BY base = :q DESC, downloads DESC, path, names.id LIMIT :limit + 1 OFFSET :offset`,
      )
      .all({ match: match ?? '', type, minSize, maxSize, q: q.trim(), limit, offset });
    const count = this.#db.prepare(`SELECT count(*) AS count FROM (${candidates})`).get({ match: match ?? '' });
    return {
      hits: page.slice(0, limit).map(({ id }) => this.#hit(Number(id))),
      hasMore: page.length > limit,
      isCut: Number(count?.count) > this.#candidatesLimit,
    };
  }

  #hit(name: number): Hit {
    const row = this.#db
      .prepare(
        `SELECT file, root, path, names.size, type, downloads FROM names JOIN files ON files.id = file WHERE names.id = ?`,
      )
      .get(name);
    return {
      file: Number(row?.file),
      id: hex(row?.root),
      name: String(row?.path),
      size: Number(row?.size),
      type: String(row?.type),
      downloads: Number(row?.downloads),
    };
  }

  /** Peers that have a hit's file; the first thousand. */
  holdersOf({ file }: Hit): string[] {
    return this.#db
      .prepare(
        `SELECT DISTINCT peer_id FROM names JOIN entries ON entries.name = names.id JOIN holders ON holders.id = holder
           WHERE file = ? LIMIT ${countLimit}`,
      )
      .all(file)
      .map(row => String(row.peer_id));
  }

  /** Each holder once, of up to 5,000 entries. */
  withId(id: string): Holding[] {
    return this.#holdings('root = ?', Buffer.from(id, 'hex'));
  }

  /** By the whole path, or if nobody has that, by the last segment: each holder of each file once. */
  withName(name: string): Holding[] {
    // The index is of last segments.
    const exact = this.#holdings('base = ? AND names.path = ?', baseOf(name), name);
    return exact.length > 0 || name.includes('/') ? exact : this.#holdings('base = ?', name);
  }

  #holdings(where: string, ...values: (string | Uint8Array)[]): Holding[] {
    const rows = this.#db
      .prepare(
        `SELECT peer_id, root, names.path, files.size, modified_ms FROM files JOIN names ON names.file = files.id
           JOIN entries ON entries.name = names.id JOIN holders ON holders.id = holder
           WHERE ${where} LIMIT ${holdersLimit}`,
      )
      .all(...values);
    const once = new Map<string, Holding>();
    for (const row of rows) {
      const [peerId, id, size] = [String(row.peer_id), hex(row.root), Number(row.size)];
      const file = { id, name: String(row.path), size, modifiedMs: Number(row.modified_ms) };
      const key = `${peerId} ${id} ${size}`;
      if (!once.has(key)) once.set(key, { peerId, file });
    }
    return [...once.values()];
  }

  /** What is said of a file, by most if not by all; undefined when nobody has it. */
  describe(id: string): { size: number; type: string; names: string[]; holders: number } | undefined {
    const root = Buffer.from(id, 'hex');
    const sized = this.#db
      .prepare(
        `SELECT files.id, files.size, count(DISTINCT holder) AS holders FROM files JOIN names ON names.file = files.id
           JOIN entries ON entries.name = names.id WHERE root = ? GROUP BY files.id ORDER BY holders DESC, files.size LIMIT 1`,
      )
      .get(root);
    if (sized === undefined) return undefined;
    const names = this.#db
      .prepare(
        `SELECT names.path, count(*) AS entries FROM names JOIN entries ON entries.name = names.id
           WHERE file = ? GROUP BY names.id ORDER BY entries DESC, names.path LIMIT ${namesLimit}`,
      )
      .all(Number(sized.id))
      .map(row => String(row.path));
    const [size, holders] = [Number(sized.size), Number(sized.holders)];
    return { size, type: typeOf(names[0] ?? ''), names, holders };
  }
}

function hex(blob: unknown): string {
  return Buffer.from(blob as Uint8Array).toString('hex');
}
