import type { Statements } from '../lib/sqlite.ts';
import { type ContentId, type ContentKind, contentIdOf, hashBytes, type ManifestHead, partPieces } from './merkle.ts';
import { sha256 } from './sha256.ts';

export interface Content {
  /** Its number in this database. */
  readonly content: number;
  readonly id: ContentId;
  readonly head: ManifestHead;
}

/** Manifests of contents that are held, or on their way; in parts, so that none has to be in memory as a whole. */
export class ManifestStore {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** @param leaves of all pieces @returns the content's number */
  add(head: ManifestHead, leaves: Uint8Array, id = contentIdOf(sha256, head)): number {
    const { kind, length, partRoots } = head;
    const { changes, lastInsertRowid } = this.#statements
      .sql('INSERT INTO contents (id, kind, length, part_roots) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING')
      .run(id, kind, length, partRoots);
    if (changes === 0)
      return Number(this.#statements.sql('SELECT content FROM contents WHERE id = ?').get(id)?.content);
    const content = Number(lastInsertRowid);
    const bytes = partPieces * hashBytes;
    for (let part = 0; part * bytes < leaves.length; part++)
      this.#statements
        .sql('INSERT INTO manifests VALUES (?, ?, ?)')
        .run(content, part, leaves.subarray(part * bytes, (part + 1) * bytes));
    return content;
  }

  find(id: ContentId): Content | undefined {
    const row = this.#statements.sql('SELECT * FROM contents WHERE id = ?').get(id);
    if (row === undefined) return undefined;
    const head = { kind: row.kind as ContentKind, length: Number(row.length), partRoots: row.part_roots as Uint8Array };
    return { content: Number(row.content), id, head };
  }

  /** The leaves of a part; empty: there is none. */
  leaves(content: number, part: number): Uint8Array {
    const row = this.#statements.sql('SELECT leaves FROM manifests WHERE content = ? AND part = ?').get(content, part);
    return row === undefined ? new Uint8Array() : (row.leaves as Uint8Array);
  }

  /** Drops those of what is neither here nor on its way. */
  prune(): void {
    this.#statements.database.exec(`
      DELETE FROM contents WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.content = contents.content)
        AND NOT EXISTS (SELECT 1 FROM folders WHERE folders.content = contents.content)
        AND NOT EXISTS (SELECT 1 FROM downloads WHERE downloads.content = contents.content)`);
  }
}
