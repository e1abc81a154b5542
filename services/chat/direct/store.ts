import { join } from 'node:path';
import { DirectState } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { formatOf, openDatabase, otherFormat, Statements, transaction } from '../../lib/sqlite.ts';
import { KeyStore } from './key-store.ts';
import { MessageStore } from './message-store.ts';
import { OutgoingStore } from './outgoing-store.ts';

const code = 'CHAT_DIRECT';
const version = 1;

const schema = `
  CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    peer TEXT NOT NULL,
    is_own INTEGER NOT NULL,
    sender TEXT NOT NULL,
    body TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    state INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX messages_with ON messages (peer, number);
  CREATE INDEX messages_by_id ON messages (id);
  CREATE INDEX messages_unread ON messages (peer) WHERE state = ${DirectState.DIRECT_STATE_UNREAD};
  -- What must not be taken twice, for as long as it could be opened.
  CREATE TABLE seen (sender TEXT NOT NULL, id TEXT NOT NULL, sealing_key BLOB NOT NULL, PRIMARY KEY (sender, id)) STRICT, WITHOUT ROWID;
  -- Messages of which it is not known yet which members they go to.
  CREATE TABLE unaddressed (message INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE outgoing (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver TEXT NOT NULL,
    account TEXT NOT NULL,
    message INTEGER,
    receipt BLOB,
    attempts INTEGER NOT NULL DEFAULT 0,
    is_queued INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    made_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX outgoing_of ON outgoing (message);
  CREATE TABLE sealing_keys (
    public_key BLOB PRIMARY KEY,
    private_key BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    replaced_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE members (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    sealing_key BLOB,
    since INTEGER NOT NULL,
    PRIMARY KEY (account, id)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${version};
`;

/**
 * Private messages of one member, its correspondents, its sealing keys, and what is on its way, in one SQLite file that is its owner's
 * alone. What it says is done survives a power cut. All times in milliseconds since 1970.
 */
export class DirectStore {
  readonly messages: MessageStore;
  readonly outgoing: OutgoingStore;
  readonly keys: KeyStore;
  readonly #statements: Statements;

  /** @param dir made 0700 if need be @throws Failure CHAT_DIRECT */
  constructor(dir: string) {
    const file = join(dir, 'direct.db');
    const { database } = openDatabase(file, code, db => {
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;');
      transaction(db, () => {
        const found = formatOf(db);
        if (found === 0) db.exec(schema);
        else if (found !== version) throw otherFormat(code, file, found, version);
      });
    });
    this.#statements = new Statements(database);
    this.messages = new MessageStore(this.#statements);
    this.outgoing = new OutgoingStore(this.#statements);
    this.keys = new KeyStore(this.#statements);
  }

  /** All of it, or nothing. */
  transaction<T>(act: () => T): T {
    return transaction(this.#statements.database, act);
  }

  close(): void {
    this.#statements.database.close();
  }
}
