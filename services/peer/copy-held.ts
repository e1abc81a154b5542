import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { diskFailure } from './disk-failure.ts';
import type { DownloadPlace } from './download-file.ts';
import { stampOf } from './file-stamp.ts';
import { copyLocally, partialDir, placeFile } from './final-place.ts';
import type { ContentId } from './merkle.ts';
import type { SharePath } from './share-path.ts';

/**
 * A content that is in the share already is not pulled again: it gets one more name, as a copy that shares its blocks where the file system
 * can do that (no hard link: a change of one would change the other).
 * @returns its path there, which is the wanted one if it has it already; undefined: it is not in the share, or not as it was hashed
 * @throws Failure as `placeFile`
 */
export async function copyHeld(
  { root, index }: Omit<DownloadPlace, 'unfinished'>,
  id: ContentId,
  path: SharePath,
): Promise<SharePath | undefined> {
  const held = index.filesOf(id);
  const content = index.manifests.find(id)?.content;
  if (content === undefined) return undefined;
  const stampAt = (at: string): Promise<string | undefined> =>
    stat(join(root, at), { bigint: true }).then(stampOf, () => undefined);
  held.sort((one, other) => Number(other.path === path) - Number(one.path === path));
  for (const file of held) {
    if ((await stampAt(file.path)) !== file.stamp) continue;
    if (file.path === path) return path;
    const partial = join(partialDir(root), `${id}.copy`);
    try {
      await mkdir(partialDir(root), { recursive: true, mode: 0o700 });
      await copyLocally(join(root, file.path), partial);
      if ((await stampAt(file.path)) !== file.stamp) continue;
      const placed = await placeFile(root, partial, path);
      await rm(partial, { force: true });
      const stats = await stat(join(root, placed), { bigint: true });
      index.transaction(() =>
        index.linkFile(placed, content, { stamp: stampOf(stats), modifiedMs: Number(stats.mtimeMs) }),
      );
      return placed;
    } catch (error) {
      throw diskFailure(error, partial);
    } finally {
      await rm(partial, { force: true });
    }
  }
  return undefined;
}
