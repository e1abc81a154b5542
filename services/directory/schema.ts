import type { DatabaseSync } from 'node:sqlite';

/**
 * The steps that make a directory's file what it is now, from an empty one; `user_version` counts those done. A step that has been
 * released stays as it is: there are files that have taken it.
 */
const steps = [
  `
  CREATE TABLE accounts (
    username TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    peer_id TEXT NOT NULL UNIQUE,
    username TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    addresses TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX sessions_of ON sessions (username, created_at);
  `,
  `
  -- Several sessions of one member are one peer: peer_id is no longer unique.
  ALTER TABLE sessions RENAME TO sessions_1;
  DROP INDEX sessions_of;
  CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    peer_id TEXT NOT NULL,
    username TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    addresses TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  INSERT INTO sessions SELECT token_hash, peer_id, username, addresses, created_at, expires_at FROM sessions_1;
  DROP TABLE sessions_1;
  CREATE INDEX sessions_of ON sessions (username, created_at);
  CREATE INDEX sessions_as ON sessions (peer_id);

  -- A file is what has this id, and this size: only one size can be true, but which one the directory cannot know.
  CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    size INTEGER NOT NULL,
    UNIQUE (root, size)
  ) STRICT;
  -- What files are called, by whomever, with what a search looks at: size of the file, and members that downloaded it.
  CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    file INTEGER NOT NULL,
    path TEXT NOT NULL,
    base TEXT NOT NULL,
    type TEXT NOT NULL,
    size INTEGER NOT NULL,
    downloads INTEGER NOT NULL,
    UNIQUE (file, path)
  ) STRICT;
  CREATE INDEX names_by_base ON names (base);
  CREATE VIRTUAL TABLE words USING fts5 (
    path, content = 'names', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
  );
  -- Whose index it is; the sums of its entries are kept beside them.
  CREATE TABLE holders (
    id INTEGER PRIMARY KEY,
    peer_id TEXT NOT NULL UNIQUE,
    counter INTEGER NOT NULL DEFAULT 0,
    -- Counter of the last whole snapshot.
    floor INTEGER NOT NULL DEFAULT 0,
    entries INTEGER NOT NULL DEFAULT 0,
    files INTEGER NOT NULL DEFAULT 0,
    refused TEXT NOT NULL DEFAULT ''
  ) STRICT;
  -- What a holder has under a path, since that counter; no name: nothing any more.
  CREATE TABLE entries (
    holder INTEGER NOT NULL REFERENCES holders ON DELETE CASCADE,
    path TEXT NOT NULL,
    counter INTEGER NOT NULL,
    name INTEGER,
    modified_ms INTEGER NOT NULL,
    PRIMARY KEY (holder, path)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX entries_named ON entries (name) WHERE name IS NOT NULL;
  -- Those of which parts are missing; parts_seen has a byte for each.
  CREATE TABLE snapshots (
    holder INTEGER NOT NULL REFERENCES holders ON DELETE CASCADE,
    counter INTEGER NOT NULL,
    parts_seen BLOB NOT NULL,
    PRIMARY KEY (holder, counter)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE downloads (
    root BLOB NOT NULL,
    member_id TEXT NOT NULL,
    times INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    at INTEGER NOT NULL,
    transfer_id TEXT NOT NULL,
    PRIMARY KEY (root, member_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX downloads_by_age ON downloads (at);

  CREATE TRIGGER name_added AFTER INSERT ON names BEGIN
    INSERT INTO words (rowid, path) VALUES (NEW.id, NEW.path);
  END;
  CREATE TRIGGER name_gone AFTER DELETE ON names BEGIN
    INSERT INTO words (words, rowid, path) VALUES ('delete', OLD.id, OLD.path);
    DELETE FROM files WHERE id = OLD.file AND NOT EXISTS (SELECT 1 FROM names WHERE file = OLD.file);
  END;
  CREATE TRIGGER entry_gone AFTER DELETE ON entries WHEN OLD.name IS NOT NULL BEGIN
    DELETE FROM names WHERE id = OLD.name AND NOT EXISTS (SELECT 1 FROM entries WHERE name = OLD.name);
  END;
  CREATE TRIGGER entry_changed AFTER UPDATE OF name ON entries WHEN OLD.name IS NOT NULL AND OLD.name IS NOT NEW.name BEGIN
    DELETE FROM names WHERE id = OLD.name AND NOT EXISTS (SELECT 1 FROM entries WHERE name = OLD.name);
  END;
  -- A peer that is no member is its session. Member ids have 64 digits, and their index stays while they are away.
  CREATE TRIGGER session_gone AFTER DELETE ON sessions WHEN length(OLD.peer_id) <> 64 BEGIN
    DELETE FROM holders WHERE peer_id = OLD.peer_id;
  END;
  `,
];

export const schemaVersion = steps.length;

/** To be called in a transaction. @returns false, with nothing done, when the file is of a later version */
export function migrate(db: DatabaseSync, found: number): boolean {
  if (found > schemaVersion) return false;
  for (const step of steps.slice(found)) db.exec(step);
  db.exec(`PRAGMA user_version = ${schemaVersion}`);
  return true;
}
