import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementResultingChanges, type StatementSync } from 'node:sqlite';
import { Failure, messageOf } from './failure.ts';

/**
 * Opens an SQLite file that is this user's alone (0600), made if need be with its folder.
 * @param setUp what it needs before it can be used, and what is made of it; it is closed again when that fails
 * @param options.readOnly it must be there
 * @throws Failure with that code: it cannot be opened, or used; and those of `setUp`
 */
export function openDatabase<T>(
  file: string,
  code: string,
  setUp: (database: DatabaseSync) => T,
  { readOnly = false } = {},
): { readonly database: DatabaseSync; readonly made: T } {
  let database: DatabaseSync;
  try {
    if (!readOnly) {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      // SQLite gives its journal the rights of its file.
      closeSync(openSync(file, 'a', 0o600));
      chmodSync(file, 0o600);
    }
    database = new DatabaseSync(file, { timeout: 5_000, readOnly });
  } catch (error) {
    throw new Failure(code, `cannot open ${file}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return { database, made: setUp(database) };
  } catch (error) {
    database.close();
    if (error instanceof Failure) throw error;
    throw new Failure(code, `cannot use ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** The version of its format, which its owner counts; 0: it is new. */
export function formatOf(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.user_version);
}

/** For a format that is not ours. */
export function otherFormat(code: string, file: string, found: number, ours: number): Failure {
  return new Failure(code, `${file} is of another version of Warren (its format is ${found}, not ${ours})`);
}

/** Commits what `act` does, or nothing of it. */
export function transaction<T>(database: DatabaseSync, act: () => T): T {
  // At once for writing: two that read first and both want to write then could not wait for each other.
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = act();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite may have done it itself (https://www.sqlite.org/lang_transaction.html): a full disk, an I/O error.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** The statements of one database, prepared once each. */
export class Statements {
  readonly database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.database = database;
  }

  sql(text: string): StatementSync {
    const known = this.#prepared.get(text);
    if (known !== undefined) return known;
    const statement = this.database.prepare(text);
    this.#prepared.set(text, statement);
    return statement;
  }

  run(text: string, ...values: SQLInputValue[] | [Record<string, SQLInputValue>]): StatementResultingChanges {
    return this.sql(text).run(...(values as SQLInputValue[]));
  }
}
