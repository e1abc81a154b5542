import type { DatabaseSync } from 'node:sqlite';
import { transaction } from './schema.ts';

/** How one transfer ended. */
export interface Ended {
  readonly memberId: string;
  /** Of the file, 64 hexadecimal digits. */
  readonly fileId: string;
  readonly transferId: string;
  readonly isDone: boolean;
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
  count(ended: readonly Ended[], now: number): void {
    if (ended.length === 0) return;
    transaction(this.#db, () => {
      for (const each of ended) this.#count(each, now);
      if (this.#rows > this.#rowsLimit) this.#dropOldest();
    });
  }

  #count({ memberId, fileId, transferId, isDone, bytes }: Ended, now: number): void {
    const root = Buffer.from(fileId, 'hex');
    if (!this.#db.prepare('SELECT 1 FROM files WHERE root = ?').get(root)) return;
    const before = this.#db
      .prepare('SELECT times, transfer_id FROM downloads WHERE root = ? AND member_id = ?')
      .get(root, memberId);
    if (before?.transfer_id === transferId) return;
    if (before === undefined) this.#rows++;
    this.#db
      .prepare(
        `INSERT INTO downloads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET times = times + excluded.times,
           bytes = min(bytes + excluded.bytes, ${most}), at = excluded.at, transfer_id = excluded.transfer_id`,
      )
      .run(root, memberId, isDone ? 1 : 0, Math.min(bytes, most), now, transferId);
    if (isDone && !before?.times)
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
        `SELECT count(*) FILTER (WHERE times > 0) AS downloads, coalesce(sum(times), 0) AS times,
           CAST(min(total(bytes), ${most}) AS INTEGER) AS bytes FROM downloads WHERE root = ?`,
      )
      .get(root);
    const last = this.#db
      .prepare(
        `SELECT member_id, times, bytes, at FROM downloads WHERE root = ? AND times > 0 ORDER BY at DESC LIMIT ${lastLimit}`,
      )
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
