import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { formatOf, openDatabase, otherFormat } from '../lib/sqlite.ts';

const code = 'PEER_INDEX';
const version = 1;

const schema = `
  CREATE TABLE contents (
    content INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    length INTEGER NOT NULL,
    part_roots BLOB NOT NULL
  ) STRICT;
  CREATE TABLE manifests (
    content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE,
    part INTEGER NOT NULL,
    leaves BLOB NOT NULL,
    PRIMARY KEY (content, part)
  ) STRICT, WITHOUT ROWID;
  -- What is in the share: content is null for what is refused.
  CREATE TABLE files (
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    content INTEGER REFERENCES contents,
    refused TEXT,
    stamp TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    PRIMARY KEY (folder, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX files_of ON files (content);
  CREATE TABLE folders (
    path TEXT PRIMARY KEY,
    parent TEXT,
    content INTEGER REFERENCES contents,
    size INTEGER NOT NULL DEFAULT 0,
    dirty INTEGER NOT NULL DEFAULT 1
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX folders_in ON folders (parent);
  CREATE INDEX folders_of ON folders (content);
  -- Paths whose present state has not been announced, once each.
  CREATE TABLE changes (path TEXT PRIMARY KEY, counter INTEGER NOT NULL UNIQUE) STRICT, WITHOUT ROWID;
  CREATE TABLE hashing (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, leaves BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE downloads (
    id TEXT PRIMARY KEY,
    content INTEGER NOT NULL REFERENCES contents,
    path TEXT NOT NULL,
    map BLOB NOT NULL,
    state TEXT NOT NULL,
    asked_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX downloads_of ON downloads (content);
  CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${version};
`;

/** What came later: a database of before gets it when it is opened. */
const added = `
  CREATE TABLE IF NOT EXISTS asked (
    id TEXT PRIMARY KEY,
    transfer_id TEXT NOT NULL,
    path TEXT NOT NULL,
    paused INTEGER NOT NULL,
    most_bytes INTEGER,
    contacts TEXT NOT NULL
  ) STRICT;
`;

/**
 * The peer's SQLite file, `index.db`, this user's alone. One process writes to it (its daemon, in one thread), others may read. A commit
 * survives the death of the process; a power cut may take the last ones, all together: what they said is found again on the disk.
 * @throws Failure PEER_INDEX when it cannot be opened
 */
export function openIndexDatabase(dir: string, { readOnly = false } = {}): DatabaseSync {
  const file = join(dir, 'index.db');
  const setUp = (database: DatabaseSync): void => {
    if (readOnly) return;
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192;');
    const found = formatOf(database);
    if (found === 0) database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
    else if (found !== version) throw otherFormat(code, file, found, version);
    database.exec(added);
  };
  return openDatabase(file, code, setUp, { readOnly }).database;
}
