import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Statements, transaction } from '../lib/sqlite.ts';
import { DurableCounter } from './durable-counter.ts';
import { openIndexDatabase } from './index-database.ts';
import { ManifestStore } from './manifest-store.ts';
import { type ContentId, type ContentKind, type ManifestHead, partRootsOf } from './merkle.ts';
import { sha256 } from './sha256.ts';
import { joinPath, type SharePath, splitPath } from './share-path.ts';

/** What others are told of a path of the share. */
export interface FileFacts {
  readonly path: SharePath;
  readonly kind: ContentKind;
  readonly id: ContentId;
  /** Bytes; of a folder, of all files in it. */
  readonly length: number;
  /** Milliseconds since 1970; 0 of a folder. */
  readonly modifiedMs: number;
}

/** To be announced: the path now has these facts, or is gone. A later one of the same path replaces it. */
export interface Change {
  readonly counter: number;
  readonly path: string;
  readonly facts: FileFacts | undefined;
}

export interface IndexedFile {
  readonly path: SharePath;
  readonly id: ContentId;
  readonly length: number;
  /** Size, times and inode of the file when it was hashed (file-stamp.ts). */
  readonly stamp: string;
  readonly modifiedMs: number;
}

/**
 * What the share has: path → content, content → manifest, and what is to be announced. Equal content stands once, under several paths; its
 * pieces can be served without hashing again. See `index-database.ts` for what survives what.
 */
export class ContentIndex {
  readonly database: DatabaseSync;
  readonly manifests: ManifestStore;
  readonly #counter: DurableCounter;
  readonly #statements: Statements;

  constructor(dir: string, options: { readOnly?: boolean } = {}) {
    this.database = openIndexDatabase(dir, options);
    this.#statements = new Statements(this.database);
    this.manifests = new ManifestStore(this.#statements);
    const row = this.database.prepare('SELECT max(counter) AS most FROM changes').get();
    this.#counter = new DurableCounter(this.database, 'announcements', Number(row?.most ?? 0));
    if (options.readOnly !== true) this.manifests.prune();
  }

  /** Prepared once each. */
  sql(text: string): StatementSync {
    return this.#statements.sql(text);
  }

  /** All or nothing. */
  transaction<T>(act: () => T): T {
    const result = transaction(this.database, act);
    this.#counter.settle();
    return result;
  }

  // --- files

  /** A file was hashed. @param leaves of all its pieces */
  setFile(
    path: string,
    file: { readonly length: number; readonly stamp: string; readonly modifiedMs: number; readonly leaves: Uint8Array },
  ): void {
    const head: ManifestHead = { kind: 'file', length: file.length, partRoots: partRootsOf(sha256, file.leaves) };
    this.linkFile(path, this.manifests.add(head, file.leaves), file);
    this.sql('DELETE FROM hashing WHERE path = ?').run(path);
  }

  /** A path has a content that is known here. */
  linkFile(path: string, content: number, file: { readonly stamp: string; readonly modifiedMs: number }): void {
    const before = this.#fileRow(path);
    this.#putFile(path, content, null, file);
    if (Number(before?.content ?? -1) !== content) this.#changed(path);
  }

  /** A path cannot be shared. */
  refuseFile(path: string, reason: string, file: { readonly stamp: string; readonly modifiedMs: number }): void {
    const before = this.#fileRow(path);
    this.#putFile(path, null, reason, file);
    if (typeof before?.content === 'number') this.#changed(path);
  }

  removeFile(path: string): void {
    const { folder, name } = splitPath(path);
    const before = this.#fileRow(path);
    if (before === undefined) return;
    this.sql('DELETE FROM files WHERE folder = ? AND name = ?').run(folder, name);
    this.sql('DELETE FROM hashing WHERE path = ?').run(path);
    if (before.content !== null) this.#changed(path);
  }

  #fileRow(path: string): Record<string, unknown> | undefined {
    const { folder, name } = splitPath(path);
    return this.sql('SELECT content FROM files WHERE folder = ? AND name = ?').get(folder, name);
  }

  #putFile(
    path: string,
    content: number | null,
    refused: string | null,
    { stamp, modifiedMs }: { readonly stamp: string; readonly modifiedMs: number },
  ): void {
    const { folder, name } = splitPath(path);
    this.addFolder(folder);
    this.sql('INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)').run(
      ...([folder, name, content, refused, stamp, Math.trunc(modifiedMs)] as const),
    );
  }

  findFile(path: string): IndexedFile | undefined {
    const { folder, name } = splitPath(path);
    const row = this.sql(`${selectFiles} WHERE folder = ? AND name = ?`).get(folder, name);
    return row === undefined ? undefined : asFile(row);
  }

  /** Where a content is in the share. */
  filesOf(id: ContentId): IndexedFile[] {
    return this.sql(`${selectFiles} WHERE id = ? ORDER BY folder, name`).all(id).map(asFile);
  }

  /** Stamps of what is directly in a folder, refused ones too. */
  stampsIn(folder: string): Map<string, string> {
    const rows = this.sql('SELECT name, stamp FROM files WHERE folder = ?').all(folder);
    return new Map(rows.map(({ name, stamp }) => [String(name), String(stamp)]));
  }

  /** Files directly in a folder, by name. */
  filesIn(folder: string): IndexedFile[] {
    return this.sql(`${selectFiles} WHERE folder = ? ORDER BY name`).all(folder).map(asFile);
  }

  /** In order of folders and names, from after a path of a file on. */
  listFiles(after: string, limit: number): IndexedFile[] {
    const { folder, name } = splitPath(after);
    return this.sql(`${selectFiles} WHERE (folder, name) > (?, ?) ORDER BY folder, name LIMIT ?`)
      .all(folder, name, limit)
      .map(asFile);
  }

  refusals(limit: number): { path: string; reason: string }[] {
    return this.sql('SELECT folder, name, refused FROM files WHERE refused IS NOT NULL ORDER BY folder, name LIMIT ?')
      .all(limit)
      .map(({ folder, name, refused }) => ({ path: joinPath(String(folder), String(name)), reason: String(refused) }));
  }

  totals(): { files: number; bytes: number } {
    const row = this.sql(
      'SELECT count(*) AS files, total(length) AS bytes FROM files JOIN contents USING (content)',
    ).get();
    return { files: Number(row?.files), bytes: Number(row?.bytes) };
  }

  // --- folders (their ids: folder-ids.ts)

  /** With those above it. */
  addFolder(path: string): void {
    if (this.sql('SELECT 1 FROM folders WHERE path = ?').get(path) !== undefined) return;
    const { folder: parent } = splitPath(path);
    this.sql('INSERT INTO folders (path, parent) VALUES (?, ?)').run(path, path === '' ? null : parent);
    if (path === '') return;
    this.addFolder(parent);
    this.markFolder(parent);
  }

  /** All that have an id, but for the share itself. */
  listFolders(): FileFacts[] {
    return this.sql("SELECT path, id, size FROM folders JOIN contents USING (content) WHERE path <> ''")
      .all()
      .map(({ path, id, size }) => ({
        ...{ path: String(path) as SharePath, kind: 'folder', id: String(id) as ContentId },
        ...{ length: Number(size), modifiedMs: 0 },
      }));
  }

  foldersIn(path: string): string[] {
    return this.sql('SELECT path FROM folders WHERE parent = ? ORDER BY path')
      .all(path)
      .map(row => String(row.path));
  }

  /** What is in it goes with it. @returns whether something is left: then once more, so that no transaction is long */
  removeFolder(path: string): boolean {
    for (const below of this.foldersIn(path)) if (this.removeFolder(below)) return true;
    const files = this.sql('SELECT name FROM files WHERE folder = ? LIMIT 1000').all(path);
    for (const { name } of files) this.removeFile(joinPath(path, String(name)));
    if (files.length > 0) return true;
    const row = this.sql('SELECT content FROM folders WHERE path = ?').get(path);
    this.sql('DELETE FROM folders WHERE path = ?').run(path);
    if (typeof row?.content === 'number') this.#changed(path);
    else this.markFolder(splitPath(path).folder);
    return false;
  }

  /** Its listing has changed. */
  markFolder(path: string): void {
    this.sql('UPDATE folders SET dirty = 1 WHERE path = ?').run(path);
  }

  /** @returns whether it is another content than before */
  setFolder(path: string, content: number, size: number): boolean {
    const before = this.sql('SELECT content FROM folders WHERE path = ?').get(path);
    this.sql('UPDATE folders SET content = ?, size = ?, dirty = 0 WHERE path = ?').run(content, size, path);
    if (before?.content === content) return false;
    if (path !== '') this.#changed(path);
    return true;
  }

  // --- what is to be announced

  /** The last number given to a change. */
  get counter(): number {
    return this.#counter.last;
  }

  /** A number of its own, for an announcement of all that is here now. */
  takeCounter(): number {
    const counter = this.#counter.next();
    this.#counter.settle();
    return counter;
  }

  /** For an announcement that stands for no change: kept on disk when this returns. */
  nextCounter(): number {
    return this.transaction(() => this.#counter.next());
  }

  /** Oldest first. They stay until `forgetChanges`. */
  changes(limit: number): Change[] {
    return this.sql('SELECT path, counter FROM changes ORDER BY counter LIMIT ?')
      .all(limit)
      .map(({ path, counter }) => ({
        counter: Number(counter),
        path: String(path),
        facts: this.factsOf(String(path)),
      }));
  }

  /** They have been announced, and confirmed: up to that counter. One that has changed again since stays, with its new counter. */
  forgetChanges(upTo: number): void {
    this.sql('DELETE FROM changes WHERE counter <= ?').run(upTo);
  }

  factsOf(path: string): FileFacts | undefined {
    const file = this.findFile(path);
    if (file !== undefined) {
      const { id, length, modifiedMs } = file;
      return { path: file.path, kind: 'file', id, length, modifiedMs };
    }
    const row = this.sql('SELECT id, size FROM folders JOIN contents USING (content) WHERE path = ?').get(path);
    if (row === undefined) return undefined;
    const id = String(row.id) as ContentId;
    return { path: path as SharePath, kind: 'folder', id, length: Number(row.size), modifiedMs: 0 };
  }

  #changed(path: string): void {
    this.markFolder(splitPath(path).folder);
    this.sql('INSERT OR REPLACE INTO changes VALUES (?, ?)').run(path, this.#counter.next());
  }

  // --- hashing that was interrupted

  saveHashing(path: string, stamp: string, leaves: Uint8Array): void {
    this.sql('INSERT OR REPLACE INTO hashing VALUES (?, ?, ?)').run(path, stamp, leaves);
  }

  /** The first leaves of a file that is still the same. */
  hashedSoFar(path: string, stamp: string): Uint8Array {
    const row = this.sql('SELECT leaves FROM hashing WHERE path = ? AND stamp = ?').get(path, stamp);
    return row === undefined ? new Uint8Array() : (row.leaves as Uint8Array);
  }

  close(): void {
    this.database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const selectFiles = 'SELECT folder, name, id, length, stamp, modified_ms FROM files JOIN contents USING (content)';

function asFile(row: Record<string, unknown>): IndexedFile {
  return {
    path: joinPath(String(row.folder), String(row.name)) as SharePath,
    id: String(row.id) as ContentId,
    length: Number(row.length),
    stamp: String(row.stamp),
    modifiedMs: Number(row.modified_ms),
  };
}
