import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import type { SharedFile } from '../../proto/gen/warren/directory/v1/files.ts';
import { FileCatalogue } from '../../services/directory/file-catalogue.ts';
import { FileIndex, type IndexLimits } from '../../services/directory/file-index.ts';
import { migrate } from '../../services/directory/schema.ts';

/** A file's id as good as any other. */
export function idOf(content: string | number): string {
  return createHash('sha256').update(String(content)).digest('hex');
}

export function fileOf(name: string, content: string | number = name, size = 10): SharedFile {
  return { id: idOf(content), name, size, modifiedMs: 7 };
}

/** An index in memory. */
export function indexInMemory(limits?: IndexLimits) {
  const db = new DatabaseSync(':memory:');
  migrate(db, 0);
  return { db, index: new FileIndex(db, limits), catalogue: new FileCatalogue(db) };
}

/** What a peer has, by name. */
export function sharesIn(db: DatabaseSync, peerId: string): Record<string, string> {
  const rows = db
    .prepare(
      `SELECT entries.path, lower(hex(root)) AS id, files.size, modified_ms FROM holders JOIN entries ON holder = holders.id
         JOIN names ON names.id = name JOIN files ON files.id = file WHERE peer_id = ? ORDER BY entries.path`,
    )
    .all(peerId);
  return Object.fromEntries(rows.map(({ path, id, size, modified_ms }) => [path, `${id} ${size} ${modified_ms}`]));
}

/** What is kept twice, and does not agree; empty: all does. */
export function inconsistencies(db: DatabaseSync): string[] {
  const none = (sql: string): string[] =>
    db
      .prepare(sql)
      .all()
      .map(row => `${sql}: ${JSON.stringify(row)}`);
  // Throws when the words are not those of the names.
  db.exec("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");
  return [
    ...none('SELECT * FROM names WHERE NOT EXISTS (SELECT 1 FROM entries WHERE name = names.id)'),
    ...none('SELECT * FROM names WHERE NOT EXISTS (SELECT 1 FROM files WHERE id = file AND files.size = names.size)'),
    ...none('SELECT * FROM files WHERE NOT EXISTS (SELECT 1 FROM names WHERE file = files.id)'),
    ...none('SELECT * FROM entries WHERE name IS NOT NULL AND name NOT IN (SELECT id FROM names)'),
    ...none('SELECT * FROM holders WHERE entries <> (SELECT count(*) FROM entries WHERE holder = holders.id)'),
    ...none('SELECT * FROM holders WHERE files <> (SELECT count(name) FROM entries WHERE holder = holders.id)'),
    ...none('SELECT * FROM entries JOIN holders ON holders.id = holder WHERE entries.counter < floor'),
  ];
}
