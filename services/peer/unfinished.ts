import type { ContentIndex } from './content-index.ts';
import type { ContentId, ManifestHead } from './merkle.ts';
import { pieceCount } from './merkle.ts';
import { PieceMap } from './piece-map.ts';
import type { SharePath } from './share-path.ts';

/** running: goes on when the daemon starts. paused: by its owner. */
export type UnfinishedState = 'running' | 'paused';

export interface Unfinished {
  readonly id: ContentId;
  readonly head: ManifestHead;
  /** Where it goes in the share. */
  readonly path: SharePath;
  readonly state: UnfinishedState;
  /** What was there when it was last noted. The truth is on the disk (download-file.ts). */
  readonly map: PieceMap;
  /** Milliseconds since 1970. */
  readonly askedAt: number;
}

/** Downloads that are not over, in the index's database: they outlive the process. */
export class UnfinishedDownloads {
  readonly #index: ContentIndex;

  constructor(index: ContentIndex) {
    this.#index = index;
  }

  /** Notes what is to be pulled. One that is noted already stays as it is. @param leaves checked, of all pieces */
  begin(download: { id: ContentId; head: ManifestHead; leaves: Uint8Array; path: SharePath; now: number }): Unfinished {
    const { id, head, leaves, path, now } = download;
    const map = new PieceMap(pieceCount(head.length)).encode();
    this.#index.transaction(() => {
      const content = this.#index.manifests.add(head, leaves, id);
      this.#index
        .sql('INSERT INTO downloads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING')
        .run(id, content, path, map, 'running', now);
    });
    const noted = this.find(id);
    if (noted === undefined) throw new Error('a download was not noted');
    return noted;
  }

  find(id: ContentId): Unfinished | undefined {
    const row = this.#index.sql(`${select} WHERE contents.id = ?`).get(id);
    return row === undefined ? undefined : asUnfinished(row);
  }

  /** Oldest first. */
  list(): Unfinished[] {
    return this.#index.sql(`${select} ORDER BY asked_at`).all().map(asUnfinished);
  }

  saveMap(id: ContentId, map: PieceMap): void {
    this.#index.sql('UPDATE downloads SET map = ? WHERE id = ?').run(map.encode(), id);
  }

  saveState(id: ContentId, state: UnfinishedState): void {
    this.#index.sql('UPDATE downloads SET state = ? WHERE id = ?').run(state, id);
  }

  end(id: ContentId): void {
    this.#index.sql('DELETE FROM downloads WHERE id = ?').run(id);
  }
}

const select = `SELECT contents.id, kind, length, part_roots, path, map, state, asked_at
  FROM downloads JOIN contents USING (content)`;

function asUnfinished(row: Record<string, unknown>): Unfinished {
  const length = Number(row.length);
  const kind = row.kind === 'folder' ? 'folder' : 'file';
  return {
    id: String(row.id) as ContentId,
    head: { kind, length, partRoots: row.part_roots as Uint8Array },
    path: String(row.path) as SharePath,
    state: row.state === 'paused' ? 'paused' : 'running',
    map: PieceMap.decode(pieceCount(length), row.map as Uint8Array),
    askedAt: Number(row.asked_at),
  };
}
