import type { DatabaseSync } from 'node:sqlite';

/**
 * Numbers that only ever grow, over restarts and power cuts: what is set aside on disk is always ahead of what others may have seen.
 */
export class DurableCounter {
  readonly #database: DatabaseSync;
  readonly #name: string;
  #last: number;
  #reserved: number;

  /** @param atLeast what was given out as far as is known elsewhere */
  constructor(database: DatabaseSync, name: string, atLeast: number) {
    this.#database = database;
    this.#name = name;
    const row = database.prepare('SELECT value FROM numbers WHERE name = ?').get(name);
    this.#reserved = Number(row?.value ?? 0);
    this.#last = Math.max(this.#reserved, atLeast);
  }

  get last(): number {
    return this.#last;
  }

  next(): number {
    return ++this.#last;
  }

  /** After the transaction that took some, and before anybody else sees them. */
  settle(): void {
    if (this.#last <= this.#reserved) return;
    this.#reserved = this.#last + 10_000;
    this.#database.exec('PRAGMA synchronous = FULL');
    this.#database
      .prepare('INSERT INTO numbers VALUES (:name, :value) ON CONFLICT DO UPDATE SET value = :value')
      .run({ name: this.#name, value: this.#reserved });
    this.#database.exec('PRAGMA synchronous = NORMAL');
  }
}
