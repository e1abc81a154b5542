import type { ContentIndex } from './content-index.ts';
import type { DownloadFile } from './download-file.ts';
import type { FilePull } from './file-pull.ts';
import type { ContentId, ManifestHead } from './merkle.ts';
import { openHeldFile, type PieceSource, sourceOfDownload } from './piece-source.ts';

/** A content on its way here, which others can have what has come of. */
export interface ActivePull {
  readonly download: DownloadFile;
  readonly pull: Pick<FilePull<unknown>, 'coming'>;
}

/** What of a content is here, for others: all of it, or what has come of it so far. */
export class Contents {
  readonly #root: string;
  readonly #index: ContentIndex;
  readonly #onChanged: (path: string) => void;
  readonly #pulls = new Map<ContentId, ActivePull>();

  /** @param onChanged a path is not what the index says */
  constructor({ root, index, onChanged }: { root: string; index: ContentIndex; onChanged: (path: string) => void }) {
    this.#root = root;
    this.#index = index;
    this.#onChanged = onChanged;
  }

  /** @returns to be called when it is over */
  addPull(id: ContentId, pull: ActivePull): () => void {
    this.#pulls.set(id, pull);
    return () => {
      if (this.#pulls.get(id) === pull) this.#pulls.delete(id);
    };
  }

  stateOf(id: ContentId): 'held' | ActivePull | undefined {
    return this.#pulls.get(id) ?? (this.#isHeld(id) ? 'held' : undefined);
  }

  #isHeld(id: ContentId): boolean {
    return (
      this.#index
        .sql(
          `SELECT 1 FROM contents WHERE id = ? AND (EXISTS (SELECT 1 FROM files WHERE files.content = contents.content)
           OR EXISTS (SELECT 1 FROM folders WHERE folders.content = contents.content AND dirty = 0))`,
        )
        .get(id) !== undefined
    );
  }

  /** @throws Failure PEER_NOT_HELD */
  async open(id: ContentId): Promise<PieceSource> {
    const openHeld = () => openHeldFile({ root: this.#root, index: this.#index, onChanged: this.#onChanged }, id);
    const pull = this.#pulls.get(id);
    if (pull === undefined) return openHeld();
    const coming = sourceOfDownload(pull.download);
    let held: PieceSource | undefined;
    return {
      length: coming.length,
      read: async (piece, into) => {
        if (held === undefined) {
          try {
            return await coming.read(piece, into);
          } catch (error) {
            // It may have become complete meanwhile, and be under its final name.
            if (this.#pulls.get(id) === pull && pull.download.map.isComplete === false) throw error;
          }
          held = await openHeld();
        }
        return held.read(piece, into);
      },
      close: async () => held?.close(),
    };
  }

  /** Of what is here or on its way. The leaves are empty when there is no such part. */
  manifestPart(id: ContentId, part: number): { head: ManifestHead; leaves: Uint8Array } | undefined {
    if (this.stateOf(id) === undefined) return undefined;
    const content = this.#index.manifests.find(id);
    if (content === undefined) return undefined;
    return { head: content.head, leaves: this.#index.manifests.leaves(content.content, part) };
  }
}
