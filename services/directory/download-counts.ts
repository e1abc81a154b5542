import type { DatabaseSync } from 'node:sqlite';
import { transaction } from '../lib/sqlite.ts';

/** A file that a member has got whole. */
export interface Download {
  readonly memberId: string;
  /** Of the file, 64 hexadecimal digits. */
  readonly fileId: string;
  readonly transferId: string;
  /** That moved for it. */
  readonly bytes: number;
}

export interface DownloadsOfFile {
  readonly downloads: number;
  readonly times: number;
  readonly bytes: number;
  readonly last: { memberId: string; times: number; bytes: number; atMs: number }[];
}

/** Pairs of a member and a file; past it the oldest go. */
const rowsLimit = 1_000_000;
const lastLimit = 100;
const most = Number.MAX_SAFE_INTEGER;

/** Who downloaded what, and how much moved for it: as receivers say, so a member can lie about itself, and only once per file about popularity. */
export class DownloadCounts {
  readonly #db: DatabaseSync;
  readonly #rowsLimit: number;
  #rows: number;

  constructor(db: DatabaseSync, limit = rowsLimit) {
    this.#db = db;
    this.#rowsLimit = limit;
    this.#rows = Number(db.prepare('SELECT count(*) AS rows FROM downloads').get()?.rows);
  }

  /** Counts those of files that somebody shares. A transfer counts once, if none of the member's for that file came between. */
  count(done: readonly Download[], now: number): void {
    if (done.length === 0) return;
    transaction(this.#db, () => {
      for (const each of done) this.#count(each, now);
      if (this.#rows > this.#rowsLimit) this.#dropOldest();
    });
  }

  #count({ memberId, fileId, transferId, bytes }: Download, now: number): void {
    const root = Buffer.from(fileId, 'hex');
    if (!this.#db.prepare('SELECT 1 FROM files WHERE root = ?').get(root)) return;
    const before = this.#db
      .prepare('SELECT transfer_id FROM downloads WHERE root = ? AND member_id = ?')
      .get(root, memberId);
    if (before?.transfer_id === transferId) return;
    this.#db
      .prepare(
        `INSERT INTO downloads VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET times = times + 1,
           bytes = min(bytes + excluded.bytes, ${most}), at = excluded.at, transfer_id = excluded.transfer_id`,
      )
      .run(root, memberId, Math.min(bytes, most), now, transferId);
    if (before !== undefined) return;
    this.#rows++;
    this.#db
      .prepare('UPDATE names SET downloads = downloads + 1 WHERE file IN (SELECT id FROM files WHERE root = ?)')
      .run(root);
  }

  #dropOldest(): void {
    const { changes } = this.#db
      .prepare(
        `DELETE FROM downloads WHERE (root, member_id) IN
           (SELECT root, member_id FROM downloads ORDER BY at LIMIT ?)`,
      )
      .run(this.#rows - Math.floor(this.#rowsLimit * 0.99));
    this.#rows -= Number(changes);
  }

  of(fileId: string): DownloadsOfFile {
    const root = Buffer.from(fileId, 'hex');
    const sums = this.#db
      .prepare(
        `SELECT count(*) AS downloads, coalesce(sum(times), 0) AS times,
           CAST(min(total(bytes), ${most}) AS INTEGER) AS bytes FROM downloads WHERE root = ?`,
      )
      .get(root);
    const last = this.#db
      .prepare(`SELECT member_id, times, bytes, at FROM downloads WHERE root = ? ORDER BY at DESC LIMIT ${lastLimit}`)
      .all(root);
    return {
      downloads: Number(sums?.downloads),
      times: Number(sums?.times),
      bytes: Number(sums?.bytes),
      last: last.map(row => ({
        memberId: String(row.member_id),
        times: Number(row.times),
        bytes: Number(row.bytes),
        atMs: Number(row.at),
      })),
    };
  }
}
