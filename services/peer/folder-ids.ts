import { setImmediate as turn } from 'node:timers/promises';
import type { ContentIndex } from './content-index.ts';
import { encodeListing, type ListingEntry } from './listing.ts';
import { type ContentId, manifestOf } from './merkle.ts';
import { sha256 } from './sha256.ts';
import { splitPath } from './share-path.ts';

/** The listing of a folder of the share as it is now: of what is hashed, and of folders that have an id. */
export function listingOf(index: ContentIndex, path: string): { bytes: Uint8Array; size: number } {
  const files = index
    .filesIn(path)
    .map((file): ListingEntry => ({ kind: 'file', name: splitPath(file.path).name, size: file.length, id: file.id }));
  const folders = index
    .sql('SELECT path, id, size FROM folders JOIN contents USING (content) WHERE parent = ?')
    .all(path)
    .map(
      (row): ListingEntry => ({
        ...{ kind: 'folder', name: splitPath(String(row.path)).name },
        ...{ size: Number(row.size), id: String(row.id) as ContentId },
      }),
    );
  const entries = [...files, ...folders];
  return { bytes: encodeListing(entries), size: entries.reduce((sum, { size }) => sum + size, 0) };
}

/** The listing of a folder of ours by its id; undefined: no folder is that any more. */
export function findListing(index: ContentIndex, id: ContentId): Uint8Array | undefined {
  const row = index.sql('SELECT path FROM folders JOIN contents USING (content) WHERE id = ? AND dirty = 0').get(id);
  return row === undefined ? undefined : listingOf(index, String(row.path)).bytes;
}

/** Gives ids to the folders that have changed, from below, a few at a time so that other work goes on. */
export async function updateFolderIds(index: ContentIndex, signal: AbortSignal): Promise<void> {
  for (;;) {
    // The deepest first: their ids are in the listings above them.
    const dirty = index
      .sql(`SELECT path FROM folders WHERE dirty = 1
            ORDER BY length(path) - length(replace(path, '/', '')) + (path <> '') DESC LIMIT 64`)
      .all();
    if (dirty.length === 0 || signal.aborted) return;
    index.transaction(() => {
      let level = -1;
      for (const { path } of dirty) {
        const folder = String(path);
        const depth = folder === '' ? 0 : folder.split('/').length;
        if (level >= 0 && depth < level) break;
        level = depth;
        const { bytes, size } = listingOf(index, folder);
        const { head, leaves } = manifestOf(sha256, 'folder', bytes);
        if (index.setFolder(folder, index.manifests.add(head, leaves), size) && folder !== '')
          index.markFolder(splitPath(folder).folder);
      }
    });
    await turn();
  }
}
