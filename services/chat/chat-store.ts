import { join } from 'node:path';
import { Checkpoint } from '../../proto/gen/warren/chat/v1/log.ts';
import { formatOf, openDatabase, otherFormat, Statements, transaction } from '../lib/sqlite.ts';
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint-wire.ts';
import type { Snapshot } from './core/chat-state.ts';
import type { OutboxItem } from './core/client-events.ts';

const code = 'CHAT_STORE';
const version = 1;

const schema = `
  CREATE TABLE outbox (id INTEGER PRIMARY KEY, item TEXT NOT NULL) STRICT;
  CREATE TABLE snapshot (only INTEGER PRIMARY KEY CHECK (only = 1), checkpoint BLOB NOT NULL) STRICT;
  PRAGMA user_version = ${version};
`;

/**
 * What a member keeps of a chat besides its history, in one SQLite file that is its owner's alone: what it has said and not seen in the
 * log yet, and how the chat stood when it was read up to somewhere.
 */
export class ChatStore {
  readonly #statements: Statements;

  /** @param dir made 0700 if need be @throws Failure CHAT_STORE */
  constructor(dir: string) {
    const file = join(dir, 'chat.db');
    const { database } = openDatabase(file, code, db => {
      // An item is on the disk before it is published; a snapshot may be lost.
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      transaction(db, () => {
        const found = formatOf(db);
        if (found === 0) db.exec(schema);
        else if (found !== version) throw otherFormat(code, file, found, version);
      });
    });
    this.#statements = new Statements(database);
  }

  put(item: OutboxItem): void {
    this.#statements.run('INSERT OR REPLACE INTO outbox VALUES (?, ?)', item.id, JSON.stringify(item));
  }

  remove(id: number): void {
    this.#statements.run('DELETE FROM outbox WHERE id = ?', id);
  }

  items(): OutboxItem[] {
    return this.#statements
      .sql('SELECT item FROM outbox ORDER BY id')
      .all()
      .map(({ item }) => {
        const kept = JSON.parse(String(item)) as OutboxItem;
        return { ...kept, as: kept.as };
      });
  }

  keepSnapshot(snapshot: Snapshot): void {
    const checkpoint = Checkpoint.encode(encodeCheckpoint(snapshot)).finish();
    this.#statements.run('INSERT OR REPLACE INTO snapshot VALUES (1, ?)', checkpoint);
  }

  /** @returns undefined: none, or none that can be used */
  snapshot(): Snapshot | undefined {
    const row = this.#statements.sql('SELECT checkpoint FROM snapshot').get();
    return row === undefined ? undefined : decodeCheckpoint(Checkpoint.decode(row.checkpoint as Uint8Array));
  }

  close(): void {
    this.#statements.database.close();
  }
}
