import { setImmediate as turn } from 'node:timers/promises';
import { messageOf } from '../lib/failure.ts';
import type { ContentIndex } from './content-index.ts';
import type { ContentId } from './merkle.ts';
import type { Ring } from './ring-locator.ts';
import { splitPath } from './share-path.ts';

interface Needs {
  readonly ring: Pick<Ring, 'announce' | 'retract'>;
  readonly index: Pick<ContentIndex, 'listFiles' | 'listFolders'>;
  readonly warn: (line: string) => void;
}

const pageFiles = 1_000;
/** Changes that come together are seen together; while there are many, they are looked at as rarely as the second. Milliseconds. */
const gatherMs = 100;
const apartMs = 2_000;

/** Has the ring know which files and folders are held here, as they come and go. The ring itself sees to it that it is told at a bearable pace. */
export class RingProvider {
  readonly #needs: Needs;
  #told = new Map<ContentId, string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #hasWarned = false;
  #isClosed = false;

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  /** The index may have changed. */
  look(): void {
    if (this.#isClosed || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (this.#running !== undefined) return this.look();
        this.#running = this.#tell()
          .catch(error => this.#needs.warn(`files: cannot tell the ring what is shared: ${messageOf(error)}`))
          .finally(() => {
            this.#running = undefined;
          });
      },
      Math.max(gatherMs, this.#lookedAt + apartMs - performance.now()),
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #tell(): Promise<void> {
    const { ring } = this.#needs;
    this.#lookedAt = performance.now();
    const held = await this.#held();
    if (this.#isClosed) return;
    for (const id of this.#told.keys())
      if (!held.has(id)) {
        ring.retract(id);
        this.#told.delete(id);
      }
    for (const [id, name] of held) {
      if (this.#told.get(id) === name) continue;
      try {
        ring.announce(id, name);
      } catch (error) {
        if (!this.#hasWarned)
          this.#needs.warn(`files: the ring is not told of all that is shared: ${messageOf(error)}`);
        this.#hasWarned = true;
        return;
      }
      this.#told.set(id, name);
    }
  }

  async #held(): Promise<Map<ContentId, string>> {
    const held = new Map<ContentId, string>();
    for (const { id, path } of this.#needs.index.listFolders()) held.set(id, splitPath(path).name);
    for (let after = ''; !this.#isClosed; ) {
      const page = this.#needs.index.listFiles(after, pageFiles);
      for (const { id, path } of page) held.set(id, splitPath(path).name);
      const last = page.at(-1);
      if (last === undefined || page.length < pageFiles) break;
      after = last.path;
      await turn();
    }
    return held;
  }
}
